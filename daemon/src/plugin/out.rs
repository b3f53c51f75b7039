//! What a plugin holds as `vp_out*`: the writing end of one stream's ring, behind a door that survives misuse.
//!
//! A plugin in C can call from two threads at once, write after its stream has ended, or release twice. Each of these is
//! a bug of the plugin, and none may become one of the host. So: outs are never given back to the allocator but kept for
//! the next stream (a pointer to one is a pointer to one for ever); the pointer's low bits carry a tag that changes at
//! every release, so that an old pointer does not fit the out's next stream; and one atomic flag lets only one caller in.
//! What is left is a pointer made up from nothing, against which nothing helps.

use super::host::Ctx;
use super::memory::Pages;
use super::ring::{CONTROL_RESERVE_BYTES, Reader, Refusal, Ring, Writer};
use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use voice_plugin::abi::{VpEvent, VpOut, status};

/// Alignment of an out, hence how many tags fit beside its address.
const TAGS: usize = 64;

/// Outs without a stream. First in, first out, so that an old pointer's tag stays wrong for as long as possible.
static IDLE: Mutex<VecDeque<&'static Out>> = Mutex::new(VecDeque::new());

#[repr(align(64))]
struct Out {
    busy: AtomicBool,
    /// Changed only by the caller who is in; read before entering, so that an old pointer cannot even knock.
    tag: AtomicUsize,
    line: UnsafeCell<Option<Line>>,
}

/// The writing end of one stream, and whose it is.
struct Line {
    writer: Writer<Pages>,
    ctx: &'static Ctx,
}

// SAFETY: `line` is reached only through `Door`, which lets one caller in at a time.
unsafe impl Sync for Out {}

const _: () = assert!(align_of::<Out>() == TAGS);

/// An out in use by one caller, until dropped.
struct Door {
    out: &'static Out,
}

impl Door {
    fn enter(out: &'static Out) -> Option<Door> {
        // Acquire: see what the last caller left. The swap is the price of surviving a plugin that calls from two
        // threads at once: some 5 ns.
        if out.busy.swap(true, Ordering::Acquire) {
            None
        } else {
            Some(Door { out })
        }
    }

    fn line(&mut self) -> &mut Option<Line> {
        // SAFETY: `busy` was ours to set, and nobody else gets past it until Drop.
        unsafe { &mut *self.out.line.get() }
    }

    /// Gives the out a stream: the pointer that stands for it.
    fn move_in(mut self, line: Line) -> *mut VpOut {
        *self.line() = Some(line);
        let tag = self.out.tag.load(Ordering::Relaxed);
        ptr::from_ref(self.out)
            .cast_mut()
            .wrapping_byte_add(tag)
            .cast()
    }

    /// Takes the stream away again: from here on its pointer fits nothing.
    fn move_out(mut self) -> Option<Line> {
        let tag = self.out.tag.load(Ordering::Relaxed);
        self.out.tag.store((tag + 1) % TAGS, Ordering::Relaxed);
        self.line().take()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // Release: the next caller sees what we left.
        self.out.busy.store(false, Ordering::Release);
    }
}

impl Out {
    fn leak() -> &'static Out {
        Box::leak(Box::new(Out {
            busy: AtomicBool::new(false),
            tag: AtomicUsize::new(0),
            line: UnsafeCell::new(None),
        }))
    }
}

/// Opens a new stream's ring: the pointer for the plugin and the reading end for the host.
pub(crate) fn open(ctx: &'static Ctx) -> io::Result<(*mut VpOut, Reader<Pages>)> {
    let (writer, reader) = Ring::over(Pages::get()?, CONTROL_RESERVE_BYTES);
    let kept = || {
        IDLE.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    };
    let door = loop {
        // Busy only if a plugin is at this moment using a pointer it has released: that out is not given out again.
        if let Some(door) = Door::enter(kept().unwrap_or_else(Out::leak)) {
            break door;
        }
    };
    ctx.out_opened();
    Ok((door.move_in(Line { writer, ctx }), reader))
}

/// Lets a caller with this pointer in, if the pointer still stands for a stream.
///
/// # Safety
/// `out` was given out by [`open`], however long ago, or is null.
unsafe fn enter(out: *mut VpOut) -> Option<Door> {
    if out.is_null() {
        return None;
    }
    let tag = out.addr() % TAGS;
    // SAFETY: promised by the caller; outs are never freed.
    let out: &'static Out = unsafe { &*out.wrapping_byte_sub(tag).cast::<Out>() };
    let fits = || out.tag.load(Ordering::Relaxed) == tag;
    if !fits() {
        return None;
    }
    // Once more inside: the tag may have changed while we knocked.
    Door::enter(out).filter(|_| fits())
}

fn code(refusal: Refusal) -> i32 {
    match refusal {
        Refusal::Again => status::AGAIN,
        Refusal::Cancelled => status::CANCELLED,
        Refusal::Misuse => status::ERROR,
    }
}

/// `vp_host.reserve`.
///
/// # Safety
/// `out` was given out by [`open`], however long ago, or is null; `place` may be written to, or is null.
pub(crate) unsafe extern "C" fn reserve(
    out: *mut VpOut,
    kind: u16,
    turn: u32,
    want: usize,
    place: *mut *mut u8,
) -> i32 {
    // SAFETY: promised by the caller.
    let door = unsafe { enter(out) };
    let Some(mut door) = door else {
        return status::ERROR;
    };
    let Some(line) = door.line().as_mut().filter(|_| !place.is_null()) else {
        return status::ERROR;
    };
    match line.writer.reserve(kind, turn, want) {
        Ok(at) => {
            // SAFETY: not null, and promised by the caller.
            unsafe { place.write(line.writer.ring().memory().place(at)) };
            status::OK
        }
        Err(refusal) => code(refusal),
    }
}

/// `vp_host.commit`.
///
/// # Safety
/// `out` was given out by [`open`], however long ago, or is null.
pub(crate) unsafe extern "C" fn commit(out: *mut VpOut, n: usize, flags: u16) -> i32 {
    // SAFETY: promised by the caller.
    let door = unsafe { enter(out) };
    let Some(mut door) = door else {
        return status::ERROR;
    };
    match door
        .line()
        .as_mut()
        .map(|line| line.writer.commit(n, flags))
    {
        Some(Ok(())) => status::OK,
        Some(Err(refusal)) => code(refusal),
        None => status::ERROR,
    }
}

/// `vp_host.emit`: reserve, copy, commit.
///
/// # Safety
/// `out` was given out by [`open`], however long ago, or is null; `event` and its bytes can be read, or it is null.
pub(crate) unsafe extern "C" fn emit(out: *mut VpOut, event: *const VpEvent) -> i32 {
    // SAFETY: promised by the caller.
    let (door, event) = unsafe { (enter(out), event.as_ref()) };
    let (Some(mut door), Some(event)) = (door, event) else {
        return status::ERROR;
    };
    let Some(line) = door.line().as_mut() else {
        return status::ERROR;
    };
    let len = event.data.len;
    if len > 0 && event.data.ptr.is_null() {
        return status::ERROR;
    }
    let written = line
        .writer
        .reserve(event.kind, event.turn, len)
        .and_then(|at| {
            if len > 0 {
                let place = line.writer.ring().memory().place(at);
                // SAFETY: `reserve` found room for `len` bytes here, which are ours until `commit`; the source is the
                // plugin's own memory (were it a part of a ring, `copy` does not mind).
                unsafe { place.copy_from(event.data.ptr, len) };
            }
            line.writer.commit(len, event.flags)
        });
    match written {
        Ok(()) => status::OK,
        Err(refusal) => code(refusal),
    }
}

/// `vp_host.release`: the plugin's last use. A second release finds the tag changed and does nothing.
///
/// # Safety
/// `out` was given out by [`open`], however long ago, or is null.
pub(crate) unsafe extern "C" fn release(out: *mut VpOut) {
    // SAFETY: promised by the caller.
    if let Some(door) = unsafe { enter(out) } {
        let out = door.out;
        if let Some(line) = door.move_out() {
            line.ctx.out_released();
        }
        IDLE.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(out);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use voice_plugin::abi::{VpBytes, kind};

    fn stream() -> (*mut VpOut, Reader<Pages>) {
        open(Ctx::leak("test", 1)).unwrap()
    }

    fn say(out: *mut VpOut, kind: u16, turn: u32, text: &[u8]) -> i32 {
        // SAFETY: the out came from `open`, the event is real.
        unsafe { emit(out, &VpEvent::new(kind, turn, text)) }
    }

    fn place(out: *mut VpOut, want: usize) -> Result<*mut u8, i32> {
        let mut place = ptr::null_mut();
        // SAFETY: the out came from `open`.
        match unsafe { reserve(out, kind::AUDIO, 1, want, &mut place) } {
            status::OK => Ok(place),
            refused => Err(refused),
        }
    }

    fn read(reader: &mut Reader<Pages>) -> Option<Vec<u8>> {
        let (head, at) = reader.next()?;
        // SAFETY: the record is open, the writer keeps away.
        let bytes = unsafe { reader.ring().memory().bytes(at, head.len as usize) }.to_vec();
        reader.take();
        Some(bytes)
    }

    #[test]
    fn bytes_written_in_place_are_what_the_host_reads() {
        let (out, mut reader) = stream();
        for round in 0..1_000u32 {
            let want = 1 + round as usize % 700;
            let to = place(out, want).unwrap();
            // SAFETY: reserved.
            unsafe { to.write_bytes(round as u8, want) };
            // SAFETY: the out came from `open`.
            assert_eq!(unsafe { commit(out, want, 0) }, status::OK);
            assert_eq!(read(&mut reader).unwrap(), vec![round as u8; want]);
        }
        // SAFETY: the last use.
        unsafe { release(out) };
    }

    #[test]
    fn null_and_nonsense_are_errors() {
        let (out, _reader) = stream();
        let missing = VpEvent {
            data: VpBytes {
                ptr: ptr::null(),
                len: 5,
            },
            ..VpEvent::new(kind::TEXT, 1, b"")
        };
        let mut to = ptr::null_mut();
        // SAFETY: null is allowed, everything else is real.
        unsafe {
            assert_eq!(emit(out, ptr::null()), status::ERROR);
            assert_eq!(emit(out, &missing), status::ERROR);
            assert_eq!(emit(ptr::null_mut(), &missing), status::ERROR);
            assert_eq!(
                reserve(out, kind::AUDIO, 1, 8, ptr::null_mut()),
                status::ERROR
            );
            assert_eq!(
                reserve(ptr::null_mut(), kind::AUDIO, 1, 8, &mut to),
                status::ERROR
            );
            assert_eq!(commit(out, 0, 0), status::ERROR, "nothing reserved");
            assert_eq!(commit(ptr::null_mut(), 0, 0), status::ERROR);
            release(ptr::null_mut());
            release(out);
        }
    }

    #[test]
    fn an_out_outlives_its_stream() {
        let (out, reader) = stream();
        let to = place(out, 100).unwrap();
        drop(reader);
        // SAFETY: still reserved, though nobody will read it.
        unsafe { to.write_bytes(1, 100) };
        // SAFETY: the out came from `open`.
        assert_eq!(unsafe { commit(out, 100, 0) }, status::CANCELLED);
        assert_eq!(say(out, kind::DONE, 1, b""), status::CANCELLED);
        // SAFETY: the last use.
        unsafe { release(out) };
    }

    #[test]
    fn a_released_out_answers_errors_and_cannot_be_released_again() {
        let ctx = Ctx::leak("test", 1);
        let (out, reader) = open(ctx).unwrap();
        drop(reader);
        for _ in 0..2 {
            // SAFETY: the second one is the misuse under test; outs are never freed.
            unsafe { release(out) };
            assert_eq!(ctx.outs_held(), 0);
            assert_eq!(say(out, kind::TEXT, 1, b"late"), status::ERROR);
        }
    }

    #[test]
    fn an_old_pointer_does_not_reach_the_next_stream() {
        let ctx = Ctx::leak("test", 1);
        let out = Out::leak();
        let line = || {
            let (writer, reader) = Ring::over(Pages::get().unwrap(), CONTROL_RESERVE_BYTES);
            ctx.out_opened();
            (Line { writer, ctx }, reader)
        };
        let old = Door::enter(out).unwrap().move_in(line().0);
        Door::enter(out).unwrap().move_out();
        let (second, mut reader) = line();
        let new = Door::enter(out).unwrap().move_in(second);
        assert_eq!(say(old, kind::TEXT, 1, b"late"), status::ERROR);
        // SAFETY: the misuse under test.
        unsafe { release(old) };
        assert_eq!(say(new, kind::TEXT, 1, b"mine"), status::OK);
        assert_eq!(read(&mut reader).unwrap(), b"mine");
        // SAFETY: the last use.
        unsafe { release(new) };
    }

    #[test]
    fn two_callers_at_once_get_an_error_and_no_harm() {
        let (out, mut reader) = stream();
        let address = out.expose_provenance();
        let callers: Vec<_> = (0..2u8)
            .map(|me| {
                std::thread::spawn(move || {
                    let out = ptr::with_exposed_provenance_mut(address);
                    (0..500)
                        .filter(|_| say(out, kind::TEXT, 1, &[me; 7]) == status::OK)
                        .count()
                })
            })
            .collect();
        let mut read_whole = 0;
        let mut drain = |reader: &mut Reader<Pages>| {
            while let Some(bytes) = read(reader) {
                assert_eq!(bytes, [bytes[0]; 7]);
                read_whole += 1;
            }
        };
        while !callers.iter().all(|caller| caller.is_finished()) {
            drain(&mut reader);
        }
        let written: usize = callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .sum();
        drain(&mut reader);
        assert_eq!(read_whole, written);
        // SAFETY: the last use.
        unsafe { release(out) };
    }
}
