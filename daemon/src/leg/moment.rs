//! What a media thread has once and lends to the line at work: room to convert, to write and to frame in, and what is
//! counted until the next tick. Nothing in it means anything to the line that comes next.

/// Room for conversion, and what is counted; one per thread, so that a thousand calls do not hold a thousand of them.
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
