//! A stream's way out: records into the host's ring. [`OutHandle`] owns the contract's `VpOut` and releases it exactly
//! once, by being dropped; [`Out`] is what an [`Inline`](crate::prelude::Inline) author sees of it.

use std::ptr;

use crate::abi::{flag, kind, status, VpBytes, VpEvent, VpHost, VpOut};

/// The longest sentence sent with FAILED. The host keeps the last 512 bytes of a ring for control records, so that
/// they always fit; 16 of them are the record's head.
pub(crate) const FAILED_TEXT_BYTES: usize = 400;

/// What a responder asks for beside words: the JSON of an ACTION.
pub(crate) const HANG_UP: &[u8] = br#"{"do":"hang_up"}"#;
const OWN_TURNS: &[u8] = br#"{"do":"own_turns"}"#;

/// The contract's `VpOut`, owned.
pub struct OutHandle {
    host: &'static VpHost,
    out: *mut VpOut,
}

// SAFETY: the contract lets any thread use an out, one at a time; every use takes `&mut self`.
unsafe impl Send for OutHandle {}

impl OutHandle {
    /// # Safety
    /// `out` must be a live out of this host that nobody else uses or releases.
    pub(crate) unsafe fn new(host: &'static VpHost, out: *mut VpOut) -> OutHandle {
        OutHandle { host, out }
    }

    /// One record with its bytes copied; answers a [`status`].
    pub(crate) fn emit(&mut self, kind: u16, turn: u32, flags: u16, data: &[u8]) -> i32 {
        let event = VpEvent {
            kind,
            flags,
            turn,
            at: 0,
            data: VpBytes::lend(data),
        };
        // SAFETY: the out is alive until self is dropped and used by one caller at a time through `&mut`; the event
        // and its bytes outlive the call.
        unsafe { (self.host.emit)(self.out, &event) }
    }

    /// One audio record of `len` bytes written in place by `fill`, which must not panic; answers a [`status`].
    pub(crate) fn fill(&mut self, turn: u32, len: usize, fill: impl FnOnce(&mut [u8])) -> i32 {
        let mut room = ptr::null_mut();
        // SAFETY: as in `emit`; `room` outlives the call.
        let status = unsafe { (self.host.reserve)(self.out, kind::AUDIO, turn, len, &mut room) };
        if status != status::OK {
            return status;
        }
        // SAFETY: OK promises `len` bytes at `room`, ours to write until the commit below. The ring hands out memory
        // that holds bytes already, so a slice of u8 is right even before anything is written.
        fill(unsafe { std::slice::from_raw_parts_mut(room, len) });
        // SAFETY: something is reserved, and `len` is what was.
        unsafe { (self.host.commit)(self.out, len, 0) }
    }
}

impl Drop for OutHandle {
    fn drop(&mut self) {
        // SAFETY: self owned the out, and is gone after this: the one release.
        unsafe { (self.host.release)(self.out) }
    }
}

/// A sentence cut to what always fits, at a character's edge.
pub(crate) fn failed_text(text: &str) -> &[u8] {
    let mut end = text.len().min(FAILED_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text.as_bytes()[..end]
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is in the ring.
    Yes,
    /// The ring is full and the record is not in it: try again at [`InlineEvent::Writable`](crate::prelude::InlineEvent).
    Full,
    /// The turn is no longer wanted: stop answering it.
    Cancelled,
    /// The host does not take it: more than a ring holds, or the stream is over.
    Refused,
}

/// The way out of one call, lent to an [`Inline`](crate::prelude::Inline) responder. Nothing here waits or allocates.
pub struct Out<'a> {
    handle: &'a mut OutHandle,
}

impl<'a> Out<'a> {
    pub(crate) fn new(handle: &'a mut OutHandle) -> Out<'a> {
        Out { handle }
    }

    /// Sound for the caller, µ-law 8000 Hz, as part of the answer to `turn`. At most a few KiB at once.
    pub fn audio(&mut self, turn: u32, bytes: &[u8]) -> Sent {
        self.record(kind::AUDIO, turn, 0, bytes)
    }

    /// Words for the voice, one utterance.
    pub fn text(&mut self, turn: u32, words: &str) -> Sent {
        self.record(kind::TEXT, turn, 0, words.as_bytes())
    }

    /// The same, for words that are the same in other calls: the host may keep their sound. Not for what was made of the
    /// caller's words, name or number.
    pub fn fixed_text(&mut self, turn: u32, words: &str) -> Sent {
        self.record(kind::TEXT, turn, flag::FIXED, words.as_bytes())
    }

    /// The answer to `turn` is complete.
    pub fn done(&mut self, turn: u32) -> Sent {
        self.record(kind::DONE, turn, flag::LAST, &[])
    }

    /// There is no answer to `turn`, and why: a sentence for the log, cut at 400 bytes.
    pub fn failed(&mut self, turn: u32, why: &str) -> Sent {
        self.record(kind::FAILED, turn, flag::LAST, failed_text(why))
    }

    /// End the call once the caller has heard what was said so far.
    pub fn hang_up(&mut self, turn: u32) -> Sent {
        self.record(kind::ACTION, turn, 0, HANG_UP)
    }

    /// To be said in `start`: this responder listens for itself and speaks when it likes; the host is to take no turns.
    pub fn own_turns(&mut self) -> Sent {
        self.record(kind::ACTION, 0, 0, OWN_TURNS)
    }

    fn record(&mut self, kind: u16, turn: u32, flags: u16, data: &[u8]) -> Sent {
        match self.handle.emit(kind, turn, flags, data) {
            status::OK => Sent::Yes,
            status::AGAIN => Sent::Full,
            status::CANCELLED => Sent::Cancelled,
            _ => Sent::Refused,
        }
    }
}
