//! The way out of a plugin: a ring of turn-stamped records, one writer, one reader. Indices and rules only: the bytes
//! live in a [`Memory`], so that the same code runs on the doubly mapped pages of `memory.rs` and, under
//! `--cfg loom`, on cells that notice every race (see the end of this file and the package `daemon/loom`).
//!
//! ```text
//!        read                                    written
//!         │ head │ payload ░│ head │ payload     │ reserved, not handed over │      free      │ control only │
//!         └─ freed in steps of UNIT_BYTES        └─ moves at commit, never before             └─ CONTROL_RESERVE_BYTES
//! ```
//!
//! Who may change what: `written` and `wanting` belong to the writer (the reader clears `wanting` when it answers),
//! `read` and `least` to the reader. Positions count bytes for ever and are masked by the memory, so "full" and "empty"
//! cannot be mistaken for each other.
//!
//! **Why the orderings are enough.** `written` is stored with Release after head and payload were written, and loaded
//! with Acquire before they are read; `read` is stored with Release after the reader's last look at the bytes, and
//! loaded with Acquire before the writer reuses them: these two pairs carry all data. `least` publishes nothing, so it
//! is Relaxed: a writer that sees it late writes a stale record, and the reader, who raised it himself, compares every
//! record with it before showing one. A writer that was *told* of the cancellation (by CANCEL and whatever its threads
//! use to pass it on) cannot see the old value. `wanting` is a note the reader finds at its next look; the ticker looks
//! every frame, so it may be seen late but not lost.
//!
//! **The bell.** A reader that would rather not wait for its next look arms the bell and then looks once more; a writer
//! writes and then looks at the bell. Each side stores before it loads, with a fence between (SeqCst, as in Dekker's
//! algorithm), so at least one of them sees the other: nobody sleeps beside a record.

use voice_plugin::abi::{kind, limit};

#[cfg(loom)]
use loom::sync::{
    Arc, Mutex,
    atomic::{
        AtomicBool, AtomicU64, AtomicUsize,
        Ordering::{Acquire, Relaxed, Release, SeqCst},
        fence,
    },
};
use std::sync::PoisonError;
#[cfg(not(loom))]
use std::sync::{
    Arc, Mutex,
    atomic::{
        AtomicBool, AtomicU64, AtomicUsize,
        Ordering::{Acquire, Relaxed, Release, SeqCst},
        fence,
    },
};
use std::task::Waker;

/// Bytes of one ring: 4 s of µ-law. A voice may be this far ahead of the ear, no further.
pub(crate) const RING_BYTES: usize = 32 * 1024;

/// The end of a ring that takes only DONE, FAILED and ACTION, so that a plugin that filled the ring with sound can
/// still say that it is done, or why it is not.
pub(crate) const CONTROL_RESERVE_BYTES: usize = 512;

/// Bytes of a record's head: kind, flags, turn, length, four spare.
pub(crate) const HEAD_BYTES: usize = 16;

const _: () = assert!(RING_BYTES - CONTROL_RESERVE_BYTES - HEAD_BYTES == limit::RECORD_BYTES);

/// Records begin at multiples of this, so a head never lies across the edge of the memory.
const UNIT_BYTES: usize = HEAD_BYTES;

/// `least` of a ring whose stream has ended: above every turn.
const STOPPED: u64 = u64::MAX;

/// What a record says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) turn: u32,
    pub(crate) len: u32,
}

/// Where the bytes are.
pub(crate) trait Memory {
    /// Bytes in it: a power of two, and a multiple of [`UNIT_BYTES`].
    fn capacity(&self) -> usize;

    /// Writes a head at position `at`, masked to the capacity.
    ///
    /// # Safety
    /// `at` is a multiple of [`UNIT_BYTES`], and nobody reads or writes these bytes meanwhile.
    unsafe fn put_head(&self, at: usize, head: Head);

    /// Reads the head at position `at`, masked to the capacity.
    ///
    /// # Safety
    /// `at` is a multiple of [`UNIT_BYTES`], a head was written there, and nobody writes these bytes meanwhile.
    unsafe fn head(&self, at: usize) -> Head;
}

/// Why the writer was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No room now; the reader will say when there is.
    Again,
    /// The turn is given up, or the stream has ended.
    Cancelled,
    /// The contract does not allow this call here.
    Misuse,
}

/// Written by the writer; a cache line of its own, or the two sides would slow each other down.
#[repr(align(64))]
struct WriterLine {
    written: AtomicUsize,
    /// Bytes of the record that was refused for want of room; 0 when nobody waits.
    wanting: AtomicUsize,
}

/// Written by the reader.
#[repr(align(64))]
struct ReaderLine {
    read: AtomicUsize,
    /// The least turn still wanted. 64 bits wide so that "after turn `u32::MAX`" and "stopped" have values too.
    least: AtomicU64,
}

/// Rung by the writer at its next commit if the reader has armed it; then it is silent until armed again.
#[repr(align(64))]
struct Bell {
    armed: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Bell {
    fn ring(&self) {
        if self.armed.load(Relaxed) && self.armed.swap(false, Acquire) {
            let waker = self.take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    fn take(&self) -> Option<Waker> {
        let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        waker.take()
    }

    fn arm(&self, waker: &Waker) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
        self.armed.store(true, Release);
    }
}

/// What both halves share.
pub(crate) struct Ring<M> {
    memory: M,
    control_reserve: usize,
    writer: WriterLine,
    reader: ReaderLine,
    bell: Bell,
}

impl<M: Memory> Ring<M> {
    /// Two halves of a ring over this memory, of whose bytes the last `control_reserve` are for control records.
    pub(crate) fn over(memory: M, control_reserve: usize) -> (Writer<M>, Reader<M>) {
        let capacity = memory.capacity();
        assert!(capacity.is_power_of_two() && capacity.is_multiple_of(UNIT_BYTES));
        assert!(control_reserve + HEAD_BYTES <= capacity);
        let ring = Arc::new(Ring {
            memory,
            control_reserve,
            writer: WriterLine {
                written: AtomicUsize::new(0),
                wanting: AtomicUsize::new(0),
            },
            reader: ReaderLine {
                read: AtomicUsize::new(0),
                least: AtomicU64::new(0),
            },
            bell: Bell {
                armed: AtomicBool::new(false),
                waker: Mutex::new(None),
            },
        });
        let writer = Writer {
            ring: Arc::clone(&ring),
            written: 0,
            reserved: None,
        };
        let reader = Reader {
            ring,
            at: 0,
            open: None,
            least: 0,
            broken: false,
        };
        (writer, reader)
    }

    /// The memory the positions point into.
    pub(crate) fn memory(&self) -> &M {
        &self.memory
    }
}

/// An action is the caller's business whatever became of the turn (he is to be hung up on, say), and turn 0 is the
/// time outside all turns; everything else of a turn before `least` is stale.
fn is_stale(kind_: u16, turn: u32, least: u64) -> bool {
    turn != 0 && kind_ != kind::ACTION && u64::from(turn) < least
}

fn is_control(kind_: u16) -> bool {
    matches!(kind_, kind::DONE | kind::FAILED | kind::ACTION)
}

/// Bytes a record takes in the ring.
fn span(len: usize) -> usize {
    HEAD_BYTES + len.next_multiple_of(UNIT_BYTES)
}

#[derive(Clone, Copy)]
struct Reserved {
    kind: u16,
    turn: u32,
    want: usize,
}

/// The plugin's half.
pub(crate) struct Writer<M> {
    ring: Arc<Ring<M>>,
    /// Our own copy of the shared position: only we move it.
    written: usize,
    reserved: Option<Reserved>,
}

impl<M: Memory> Writer<M> {
    /// Room for a record of `want` bytes: the position of its payload. Nothing is visible to the reader before
    /// [`Writer::commit`]; meanwhile `want` bytes from that position on are the writer's alone.
    pub(crate) fn reserve(&mut self, kind: u16, turn: u32, want: usize) -> Result<usize, Refusal> {
        let capacity = self.ring.memory.capacity();
        let most = capacity - self.ring.control_reserve - HEAD_BYTES;
        if self.reserved.is_some() || want > most {
            return Err(Refusal::Misuse);
        }
        self.wanted(kind, turn)?;
        let need = span(want);
        let open_to_it = if is_control(kind) {
            capacity
        } else {
            capacity - self.ring.control_reserve
        };
        let used = self
            .written
            .wrapping_sub(self.ring.reader.read.load(Acquire));
        if used + need > open_to_it {
            self.ring.writer.wanting.store(need, Relaxed);
            return Err(Refusal::Again);
        }
        self.reserved = Some(Reserved { kind, turn, want });
        Ok(self.written.wrapping_add(HEAD_BYTES))
    }

    /// Hands over the first `n` bytes of the reservation; 0 bytes of AUDIO gives it up. Whatever the answer, the
    /// reservation is gone afterwards: a plugin that miscounted once can go on with the next record.
    pub(crate) fn commit(&mut self, n: usize, flags: u16) -> Result<(), Refusal> {
        let Reserved { kind, turn, want } = self.reserved.take().ok_or(Refusal::Misuse)?;
        if n > want {
            return Err(Refusal::Misuse);
        }
        self.wanted(kind, turn)?;
        if n == 0 && kind == kind::AUDIO {
            return Ok(());
        }
        let head = Head {
            kind,
            flags,
            turn,
            // At most a ring's capacity, see `reserve`.
            len: n as u32,
        };
        // SAFETY: these bytes lie between `written` and `written` + the span that `reserve` found free, which the
        // reader does not look at before the store below; `written` moves in whole units.
        unsafe { self.ring.memory.put_head(self.written, head) };
        self.written = self.written.wrapping_add(span(n));
        self.ring.writer.written.store(self.written, Release);
        fence(SeqCst);
        self.ring.bell.ring();
        Ok(())
    }

    /// The ring written to.
    pub(crate) fn ring(&self) -> &Ring<M> {
        &self.ring
    }

    fn wanted(&self, kind: u16, turn: u32) -> Result<(), Refusal> {
        let least = self.ring.reader.least.load(Relaxed);
        if least == STOPPED || is_stale(kind, turn, least) {
            Err(Refusal::Cancelled)
        } else {
            Ok(())
        }
    }
}

/// The host's half.
pub(crate) struct Reader<M> {
    ring: Arc<Ring<M>>,
    /// The next byte to look at: a head, or, while a record is open, what is left of its payload.
    at: usize,
    open: Option<Open>,
    least: u64,
    broken: bool,
}

/// The record being read. Its head is kept here, so the bytes it came from may be freed under it, part by part.
#[derive(Clone, Copy)]
struct Open {
    head: Head,
    end: usize,
}

impl<M: Memory> Reader<M> {
    /// The oldest record that is still wanted, as its head (`len` counts what is left of it) and the position of its
    /// bytes. Stays the same until [`Reader::take`] or a cancellation; stale records are freed as they are met.
    pub(crate) fn next(&mut self) -> Option<(Head, usize)> {
        loop {
            let open = match self.open {
                Some(open) => open,
                None => self.meet()?,
            };
            if !is_stale(open.head.kind, open.head.turn, self.least) {
                self.open = Some(open);
                return Some((open.head, self.at));
            }
            self.at = open.end;
            self.open = None;
            self.free();
        }
    }

    /// Frees the record [`Reader::next`] showed. Nothing shown: does nothing.
    pub(crate) fn take(&mut self) {
        if let Some(open) = self.open.take() {
            self.at = open.end;
            self.free();
        }
    }

    /// Frees the first `n` bytes of the record [`Reader::next`] showed; all of them is [`Reader::take`].
    pub(crate) fn take_part(&mut self, n: usize) {
        match &mut self.open {
            Some(open) if n < open.head.len as usize => {
                open.head.len -= n as u32;
                self.at = self.at.wrapping_add(n);
                self.free();
            }
            _ => self.take(),
        }
    }

    /// `turn` and everything before it is no longer wanted; never lowers what was raised.
    pub(crate) fn cancel(&mut self, turn: u32) {
        if turn != 0 {
            self.raise(u64::from(turn) + 1);
        }
    }

    /// The stream has ended: every later write is refused as cancelled.
    pub(crate) fn stop(&mut self) {
        self.raise(STOPPED);
    }

    /// Whether the writer waits and there is now room for it: half a ring, or more if its record is larger. Says so
    /// once per refusal.
    pub(crate) fn owes_writable(&mut self) -> bool {
        let wanting = self.ring.writer.wanting.load(Relaxed);
        if wanting == 0 {
            return false;
        }
        let capacity = self.ring.memory.capacity();
        let used = self
            .ring
            .writer
            .written
            .load(Relaxed)
            .wrapping_sub(self.at & !(UNIT_BYTES - 1));
        let free = (capacity - self.ring.control_reserve).saturating_sub(used);
        if free < wanting.max(capacity / 2 - self.ring.control_reserve) {
            return false;
        }
        self.ring.writer.wanting.store(0, Relaxed);
        true
    }

    /// Wakes this one at the writer's next commit, once, unless something has come meanwhile: then it answers false, and
    /// there is something to look at now.
    pub(crate) fn wake_at_commit(&mut self, waker: &Waker) -> bool {
        let bell = &self.ring.bell;
        // Armed before and not rung since: nothing has come.
        if bell.armed.load(Relaxed) {
            return true;
        }
        bell.arm(waker);
        fence(SeqCst);
        self.ring.writer.written.load(Relaxed) == self.at
    }

    /// Nothing to read and nobody waiting: two loads.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_none()
            && self.ring.writer.written.load(Relaxed) == self.at
            && self.ring.writer.wanting.load(Relaxed) == 0
    }

    /// Whether a head was met that no writer of ours can have written: somebody wrote over the ring. What was in it
    /// is lost.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// The ring read from.
    pub(crate) fn ring(&self) -> &Ring<M> {
        &self.ring
    }

    /// Opens the record at `at`, if there is one.
    fn meet(&mut self) -> Option<Open> {
        let written = self.ring.writer.written.load(Acquire);
        let used = written.wrapping_sub(self.at);
        if used == 0 {
            return None;
        }
        // SAFETY: `at` is behind `written`, so a head was written there before the store we acquired, and the writer
        // does not touch it until `read` has passed it; with no record open, `at` is a multiple of the unit.
        let head = unsafe { self.ring.memory.head(self.at) };
        let len = head.len as usize;
        if len > used || span(len) > used {
            self.broken = true;
            self.at = written;
            self.free();
            return None;
        }
        let end = self.at.wrapping_add(span(len));
        self.at = self.at.wrapping_add(HEAD_BYTES);
        Some(Open { head, end })
    }

    /// Gives everything before `at` back to the writer, in whole units.
    fn free(&mut self) {
        self.ring
            .reader
            .read
            .store(self.at & !(UNIT_BYTES - 1), Release);
    }
}

impl<M> Reader<M> {
    fn raise(&mut self, least: u64) {
        if least > self.least {
            self.least = least;
            self.ring.reader.least.store(least, Relaxed);
        }
    }
}

impl<M> Drop for Reader<M> {
    /// Nobody reads any more: the writer is refused, or it would fill the ring and wait for ever.
    fn drop(&mut self) {
        self.raise(STOPPED);
        // Whoever was to be woken may be gone before the plugin lets go of its half.
        drop(self.ring.bell.take());
    }
}

// Beside this file and not in it, for length; by path, because `daemon/loom` takes this file in under another parent.
#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
