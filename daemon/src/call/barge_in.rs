//! The caller speaks while the agent does: whether that takes the floor.

use super::machine::{Call, Floor};
use super::output::Note;
use super::time::CallTime;

impl Call {
    /// A voiced frame was heard. If the agent is speaking, and it has lasted, the caller has the floor.
    pub(super) fn spoke_over(&mut self, now: CallTime) {
        let speaking = matches!(self.floor, Floor::Greeting | Floor::Speaking);
        if speaking
            && self.settings.barge_in
            && self.may_be_stopped()
            && self.ear.voiced_ms() >= self.settings.barge_in_ms
            && self.ear.in_speech()
        {
            self.barge_in(now);
        }
    }

    /// Words came for speech that does not have the floor.
    pub(super) fn words_came(&mut self, _now: CallTime) {}

    /// For good, today. To make it reversible, keep what `silence_agent` gives up: it is given up nowhere else.
    fn barge_in(&mut self, now: CallTime) {
        let utterance = self
            .sayings
            .front()
            .map_or(self.utterance, |saying| saying.utterance);
        let voiced_ms = self.ear.voiced_ms();
        self.silence_agent(now);
        self.note(Note::BargeIn {
            utterance,
            voiced_ms,
        });
        self.begin_turn();
    }
}
