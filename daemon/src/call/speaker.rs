//! Who says the responder's words: the agent himself, or a speaker it has asked for. Numbers of the leg's, which knows
//! voice and language of each.

#[derive(Debug, Default)]
pub(super) struct Speaker {
    /// Who says its next words.
    pub(super) now: u32,
    /// Who did when it was asked: it is he again if the turn is withdrawn.
    before: u32,
    /// Who said the latest utterance.
    latest: u32,
}

impl Speaker {
    /// The responder is asked about a turn: whoever speaks now is kept.
    pub(super) fn keep(&mut self) {
        self.before = self.now;
    }

    /// The turn is none, or another is asked about it: nobody has heard the one that was chosen.
    pub(super) fn put_back(&mut self) {
        self.now = self.before;
    }

    /// He says the next utterance. Was it he who said the one before? The line of voices is another one for each.
    pub(super) fn speaks_on(&mut self, speaker: u32) -> bool {
        speaker == std::mem::replace(&mut self.latest, speaker)
    }
}
