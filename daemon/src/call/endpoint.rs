//! Endpointing: how long a silence ends what the caller says. The ear counts it; here its length is chosen, at every
//! pause and again whenever something new is known in it.
//!
//! ```text
//!  the endpointer's verdict    50 % or more: finished_ms        less: unfinished_ms
//!  without one, his words      "I want a table." finished_ms    "a table and" unfinished_ms    "a table" end_of_turn_ms
//!  without either              end_of_turn_ms
//! ```
//!
//! Words count only if they came since his last voice: older ones cannot know the end of the sentence.

#[cfg(test)]
use super::faults::Planted;
use super::input::Stretch;
use super::machine::Call;
use super::sentence::{Ending, ending};
use super::time::CallTime;

/// From this likelihood on he has finished.
const FINISHED_PERCENT: u8 = 50;

/// What is known in a pause.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// The endpointer's verdict on this pause.
    percent: Option<u8>,
    /// When words of the latest stretch last came.
    words_came: Option<CallTime>,
    /// Why the silence ends the turn when it does.
    pub(super) reason: &'static str,
    /// What he says is likely to go on.
    unfinished: bool,
}

impl Default for Endpoint {
    fn default() -> Endpoint {
        Endpoint {
            percent: None,
            words_came: None,
            reason: "silence",
            unfinished: false,
        }
    }
}

impl Call {
    /// He began, or goes on: what was thought of the pause before is of no use.
    pub(super) fn forget_pause(&mut self) {
        #[cfg(test)]
        if self.planted == Some(Planted::KeepsTheVerdict) {
            return;
        }
        self.endpoint = Endpoint::default();
    }

    /// The endpointer's verdict on a stretch. One that comes when he has gone on, or has ended, is too late.
    pub(super) fn judged(&mut self, now: CallTime, stretch: Stretch, percent: u8) {
        let asked = self.settings.endpointed && stretch == self.transcript.latest();
        if asked && self.ear.paused() {
            self.endpoint.percent = Some(percent);
            self.choose_wait(now);
            self.ask_early(now);
        }
    }

    pub(super) fn words_came_for(&mut self, now: CallTime, stretch: Stretch) {
        if stretch == self.transcript.latest() {
            self.endpoint.words_came = Some(now);
            self.choose_wait(now);
            self.ask_early(now);
        }
    }

    /// Chooses the length of this pause by what is known by now. If it has lasted for so long already, it ends now.
    pub(super) fn choose_wait(&mut self, now: CallTime) {
        if !self.turn.his || !self.ear.paused() {
            return;
        }
        let settings = &self.settings;
        let words = if self.words_are_fresh() {
            let text = self.transcript.words_of(self.transcript.latest());
            ending(text, &settings.unfinished_words)
        } else {
            Ending::Open
        };
        let (wait_ms, reason) = match (self.endpoint.percent, words) {
            (Some(FINISHED_PERCENT..), _) => (settings.finished_ms, "endpointer: finished"),
            (Some(_), _) => (settings.unfinished_ms, "endpointer: unfinished"),
            (None, Ending::Finished) => (settings.finished_ms, "finished sentence"),
            (None, Ending::Unfinished) => (settings.unfinished_ms, "unfinished sentence"),
            (None, Ending::Open) => (settings.end_of_turn_ms, "silence"),
        };
        self.endpoint.unfinished =
            matches!(reason, "endpointer: unfinished" | "unfinished sentence");
        self.endpoint.reason = reason;
        self.ear.wait(wait_ms);
        self.ear_timeout(now);
    }

    /// Did words of the latest stretch come since its last voice?
    pub(super) fn words_are_fresh(&self) -> bool {
        (self.endpoint.words_came).is_some_and(|came| came >= self.ear.last_voiced())
    }

    pub(super) fn sounds_unfinished(&self) -> bool {
        self.endpoint.unfinished
    }
}
