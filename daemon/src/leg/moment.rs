//! What a media thread brings to a line whenever there is something to do: the time, and what it has once and lends.
//! Nothing of it is kept, and nothing in it means anything to the line that comes next.

use std::time::Instant;

/// One step with one line. Everything in it happens at the same time, so the clock is read once, by the thread.
pub(super) struct Moment<'t> {
    pub(super) now: Instant,
    pub(super) scratch: &'t mut Scratch,
}

/// Room to convert, to write and to frame in, and what is counted; one per thread, so that a thousand calls do not hold a
/// thousand of them.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) heard: Vec<u8>,
    pub(super) mulaw: Vec<u8>,
    pub(super) wide: Vec<i16>,
    pub(super) narrow: Vec<i16>,
    /// Sound on its way to somebody who does not take the line's own.
    pub(super) bytes: Vec<u8>,
    pub(super) json: Vec<u8>,
    /// Room for the framed bytes of the line at work; see [`Line`](super::line::Line).
    pub(super) wire: Vec<u8>,
    pub(super) counted: Counted,
}

/// Counted on one thread since the last tick; added to the metrics there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    pub(super) frames_in: u64,
    pub(super) frames_out: u64,
}
