//! The measure of everything on the line: 20 ms of mono sound at 8 kHz. Numbers only, no type around the samples: a
//! frame is a slice, so that a ring, a message or a file can lend one without a copy.

/// Samples per second on the telephone line (ITU-T G.711).
pub const RATE: u32 = 8000;

/// Samples, and in µ-law also bytes, of one frame.
pub const FRAME_SAMPLES: usize = 160;

/// Milliseconds of one frame. Carriers send in this step, and timers in the call count in it.
pub const FRAME_MS: u64 = 20;

/// The µ-law byte that decodes to zero and is sent when there is nothing to say. The other zero, 0x7F, is "minus zero".
pub const MULAW_SILENCE: u8 = 0xFF;

const _: () = assert!(RATE as u64 * FRAME_MS == 1000 * FRAME_SAMPLES as u64);
