//! The bytes of a ring: pages mapped twice in a row, so that a stretch that runs over the end goes on at the beginning
//! without anybody noticing, and a plugin's decoder can write straight into it. And the few of them kept for the next
//! stream. Which bytes are whose is the ring's business (`ring.rs`); nothing here knows what a record is.
//!
//! ```text
//!   base                 base + len             base + 2·len
//!    │ page 0 … page 7    │ page 0 … page 7      │
//!    └──── first ─────────┴──── the same again ──┘
//! ```

use super::ring::{Head, Memory, RING_BYTES};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::{Mutex, PoisonError};

/// Mappings kept for the next stream instead of being unmapped: 2 MiB, a busy minute's worth. A stream that finds none
/// pays four system calls (some 10 µs), which is nothing at the start of a call.
const IDLE_KEPT: usize = 64;

static IDLE: Mutex<Vec<Mapping>> = Mutex::new(Vec::new());

/// Pages mapped twice in a row.
struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a mapping is an address range of the process, not of a thread; who may touch which byte is argued in ring.rs.
unsafe impl Send for Mapping {}
// SAFETY: as above; the mapping itself never changes.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new() -> io::Result<Mapping> {
        // SAFETY: asks a number of the system.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
        // Pages of 64 KiB exist (some aarch64 kernels); a ring is then one page.
        let len = RING_BYTES.max(page);
        // SAFETY: the name is NUL-terminated.
        let fd = unsafe { libc::memfd_create(c"voice-ring".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just made, and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: a file descriptor we own; a ring's length fits every off_t.
        if unsafe { libc::ftruncate(fd.as_raw_fd(), len as libc::off_t) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: asks for fresh addresses, touches none in use.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                2 * len,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast::<u8>()).ok_or_else(io::Error::last_os_error)?;
        // From here on Drop gives the addresses back, also when one of the two below fails.
        let mapping = Mapping { base, len };
        for half in 0..2 {
            // SAFETY: replaces a half of the stretch reserved above, which nobody uses yet.
            let got = unsafe {
                libc::mmap(
                    base.as_ptr().add(half * len).cast(),
                    len,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_SHARED | libc::MAP_FIXED,
                    fd.as_raw_fd(),
                    0,
                )
            };
            if got == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
        }
        // The mappings keep the pages alive; the descriptor is closed here, so calls cost none.
        Ok(mapping)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: our own stretch, and whoever could hold an address in it held this mapping.
        unsafe { libc::munmap(self.base.as_ptr().cast(), 2 * self.len) };
    }
}

/// A mapping that goes back to the idle ones when both halves of its ring are gone.
pub(crate) struct Pages(ManuallyDrop<Mapping>);

impl Pages {
    /// Pages for one ring: kept ones if there are any, new ones otherwise. What they hold is left from their last
    /// stream: no ring shows a byte that was not written into it.
    pub(crate) fn get() -> io::Result<Pages> {
        let kept = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mapping = match kept {
            Some(mapping) => mapping,
            None => Mapping::new()?,
        };
        Ok(Pages(ManuallyDrop::new(mapping)))
    }

    /// Where position `at` is; at least a whole capacity follows it without a break.
    pub(crate) fn place(&self, at: usize) -> *mut u8 {
        // SAFETY: masked to the first half of the mapping.
        unsafe { self.0.base.as_ptr().add(at & (self.0.len - 1)) }
    }

    /// The `len` bytes from position `at` on.
    ///
    /// # Safety
    /// `len` is at most the capacity, and nobody writes these bytes while the slice lives.
    pub(crate) unsafe fn bytes(&self, at: usize, len: usize) -> &[u8] {
        debug_assert!(len <= self.0.len);
        // SAFETY: `place` begins in the first half and `len` is at most a half, so the end is inside the second; the
        // rest is promised by the caller. The compiler does not know that the two halves are the same bytes, and need
        // not: between a write through one and a read through the other there is always an acquire or release of
        // ring.rs, across which it may not carry what it knew about memory.
        unsafe { std::slice::from_raw_parts(self.place(at), len) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: taken once, here, and not used afterwards.
        let mapping = unsafe { ManuallyDrop::take(&mut self.0) };
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_KEPT {
            idle.push(mapping);
        }
    }
}

/// As the head lies in memory.
#[repr(C, align(16))]
struct RawHead {
    kind: u16,
    flags: u16,
    turn: u32,
    len: u32,
    _spare: u32,
}

impl Memory for Pages {
    fn capacity(&self) -> usize {
        self.0.len
    }

    unsafe fn put_head(&self, at: usize, head: Head) {
        let raw = RawHead {
            kind: head.kind,
            flags: head.flags,
            turn: head.turn,
            len: head.len,
            _spare: 0,
        };
        // SAFETY: `at` is a multiple of 16 and the mapping begins at a page, so this is aligned and lies within the
        // first half; that it is ours to write is promised by the caller.
        unsafe { self.place(at).cast::<RawHead>().write(raw) };
    }

    unsafe fn head(&self, at: usize) -> Head {
        // SAFETY: as in `put_head`; any bytes make a valid RawHead.
        let raw = unsafe { self.place(at).cast::<RawHead>().read() };
        Head {
            kind: raw.kind,
            flags: raw.flags,
            turn: raw.turn,
            len: raw.len,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_runs_over_the_end_goes_on_at_the_beginning() {
        let pages = Pages::get().unwrap();
        let near_the_end = pages.capacity() - 2;
        // SAFETY: the pages are this test's alone.
        unsafe {
            pages.place(near_the_end).copy_from(b"abcd".as_ptr(), 4);
            assert_eq!(pages.bytes(0, 2), b"cd");
            assert_eq!(pages.bytes(near_the_end + pages.capacity(), 4), b"abcd");
        }
    }

    #[test]
    fn a_head_comes_back_as_it_was_written_also_at_the_very_end() {
        let pages = Pages::get().unwrap();
        let head = Head {
            kind: 1,
            flags: 2,
            turn: u32::MAX,
            len: 4,
        };
        // SAFETY: the pages are this test's alone.
        unsafe {
            pages.put_head(pages.capacity() - 16, head);
            assert_eq!(pages.head(pages.capacity() - 16), head);
        }
    }

    #[test]
    fn no_more_than_the_bound_is_kept_idle() {
        let many: Vec<Pages> = (0..IDLE_KEPT + 3).map(|_| Pages::get().unwrap()).collect();
        drop(many);
        assert!(IDLE.lock().unwrap().len() <= IDLE_KEPT);
    }
}
