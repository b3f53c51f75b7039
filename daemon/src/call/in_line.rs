//! Who of a line is asked: the agent's own voice or responder, and for a while after a failure the one behind it, and so
//! on. It knows places and times; who stands there is known to the leg.
//!
//! ```text
//!  asked      0 ── failed ─→ 1 ─────────── rest_ms ──────────→ 0
//!                            └─ failed ─→ 2, the last ── failed ─→ 0, and one more in `failures`
//! ```

use super::time::CallTime;

/// How often in a row all of a line may fail before the call is given up: once is an accident, and a caller who is asked
/// to repeat himself for ever is worse off than one who is sent to the carrier's fallback.
const MAX_FAILURES: u32 = 2;

#[derive(Debug, Default)]
pub(super) struct InLine {
    place: u32,
    /// When the first one is worth asking again.
    rested: CallTime,
    /// How often in a row nobody was left to ask.
    failures: u32,
}

impl InLine {
    /// Who is asked next, or was asked last.
    pub(super) fn place(&self) -> u32 {
        self.place
    }

    /// Is the first one worth asking again?
    pub(super) fn has_rested(&self, now: CallTime) -> bool {
        self.rested <= now
    }

    /// The first one is asked next.
    pub(super) fn back_to_the_first(&mut self) {
        self.place = 0;
    }

    /// The one at this place has been asked: another than was wanted, if the line has changed.
    pub(super) fn set_place(&mut self, place: u32) {
        self.place = place;
    }

    /// He failed, and the next one has his place for so long.
    pub(super) fn fall_back(&mut self, now: CallTime, rest_ms: u64) {
        self.place += 1;
        self.rested = now.plus_ms(rest_ms);
    }

    /// Nobody is left to ask: what comes next begins at the head of the line.
    pub(super) fn all_failed(&mut self, now: CallTime) {
        self.rested = now;
        self.failures += 1;
    }

    /// One of them did what he was asked for.
    pub(super) fn did_well(&mut self) {
        self.failures = 0;
    }

    /// Was nobody left to ask the last time?
    pub(super) fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// Was that so too often?
    pub(super) fn is_given_up(&self) -> bool {
        self.failures >= MAX_FAILURES
    }
}
