//! Nobody speaks: how long that may last, and what happens then. Only silence while the floor is the caller's counts.

use super::input::Why;
use super::machine::{Call, Floor};
use super::output::{Note, Prompt};
use super::saying::Origin;
use super::time::CallTime;

/// Who has coughed is not asked at once whether he is there.
const MOMENT_MS: u64 = 500;

#[derive(Debug, Default)]
pub(super) struct Silence {
    /// Since when nobody speaks, while we listen.
    since: CallTime,
    /// How often in a row it was too long.
    pub(super) told: u32,
    /// How long it may be this once, if the responder has asked for that.
    pub(super) asked_ms: Option<u64>,
}

impl Silence {
    /// Somebody did something just now.
    pub(super) fn begin(&mut self, now: CallTime) {
        self.since = now;
    }
}

impl Call {
    pub(super) fn no_input_deadline(&self) -> Option<CallTime> {
        let listening =
            self.floor == Floor::Listening && self.sayings.is_empty() && self.leaving.is_none();
        let waits = listening && !self.turn.his && !self.own_turns;
        let patience_ms = self.silence_patience_ms();
        (waits && patience_ms > 0).then(|| self.silence.since.plus_ms(patience_ms))
    }

    /// How long nobody may speak; 0: for ever.
    fn silence_patience_ms(&self) -> u64 {
        self.silence.asked_ms.unwrap_or(self.settings.no_input_ms)
    }

    pub(super) fn nobody_speaks(&mut self, now: CallTime) {
        self.silence.told += 1;
        let count = self.silence.told;
        self.note(Note::NoInput { count });
        self.silence.begin(now);
        self.silence.asked_ms = None;
        if count > self.settings.no_input_limit {
            self.leave(Why::NoInput, true);
        } else if self.settings.takes_silence {
            self.ask(now, Prompt::Silence { count });
        } else if let Some(text) = self.settings.no_input_text.clone() {
            self.say(text, Origin::Sentence);
        }
    }

    /// What he made was no turn. Time in which he made it is no silence; and he has a moment to say something after it.
    pub(super) fn silence_goes_on(&mut self, now: CallTime) {
        let least_ms = self.settings.end_of_turn_ms.max(MOMENT_MS);
        let noise_ms = now.ms_since(self.turn.began);
        let latest = CallTime(
            now.plus_ms(least_ms)
                .0
                .saturating_sub(self.silence_patience_ms() * 1000),
        );
        self.silence.since = self.silence.since.plus_ms(noise_ms).max(latest);
    }
}
