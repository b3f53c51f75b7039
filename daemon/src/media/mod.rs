//! Samples: from the line's µ-law to verdicts about them and back. No files, no sockets, no clock, no words.
//!
//! ```text
//! line ─→ mulaw ─→ level ─→ silero        in: is this frame voiced?   (detect ties the three together)
//! line ←─ mulaw ←─ resample ←─ wav, voices    out: anything with samples becomes 8 kHz µ-law
//! ```
//!
//! Whatever runs once per frame works in arrays that were there before the frame came: nothing here allocates while a
//! call goes on, and a frame costs microseconds. `wav`, `tone` and `correlate` are for prompts, recordings and
//! measurements, and may allocate what they return.

pub mod correlate;
pub mod detect;
pub mod edge;
pub mod frame;
pub mod level;
pub mod mulaw;
pub mod resample;
pub mod silero;
pub mod tone;
pub mod wav;

pub use detect::{Detector, Kind};
pub use frame::{FRAME_MS, FRAME_SAMPLES, MULAW_SILENCE, RATE};
pub use resample::{ResampleError, Resampler};
pub use wav::{Wav, WavError};
