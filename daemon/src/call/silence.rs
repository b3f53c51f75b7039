//! Nobody speaks: how long that may last, and what happens then. Only silence while the floor is the caller's counts.

use super::input::Why;
use super::machine::{Call, Floor};
use super::output::{Note, Prompt};
use super::saying::Origin;
use super::time::CallTime;

impl Call {
    pub(super) fn no_input_deadline(&self) -> Option<CallTime> {
        let listening =
            self.floor == Floor::Listening && self.sayings.is_empty() && self.leaving.is_none();
        let waits = listening && !self.his_turn && !self.own_turns;
        let patience_ms = self.silence_patience_ms();
        (waits && patience_ms > 0).then(|| self.quiet_since.plus_ms(patience_ms))
    }

    /// How long nobody may speak; 0: for ever.
    pub(super) fn silence_patience_ms(&self) -> u64 {
        self.silence_ms.unwrap_or(self.settings.no_input_ms)
    }

    pub(super) fn nobody_speaks(&mut self, now: CallTime) {
        self.no_inputs += 1;
        let count = self.no_inputs;
        self.note(Note::NoInput { count });
        self.quiet_since = now;
        self.silence_ms = None;
        if count > self.settings.no_input_limit {
            self.leave(Why::NoInput, true);
        } else if self.settings.takes_silence {
            self.ask(now, Prompt::Silence { count });
        } else if let Some(text) = self.settings.no_input_text.clone() {
            self.say(text, Origin::Sentence);
        }
    }
}
