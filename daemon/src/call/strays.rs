//! Sound that stands ready and that nobody asked for: what a voice makes of an utterance that is over, or a responder
//! while somebody else has the word.

use super::machine::{Call, Floor};
use super::saying::{Saying, Stage};
use super::time::{CallTime, samples};

/// Sound that nobody asked for may stand ready for so long before it is thrown away for its own sake.
const MAX_STRAY_MS: u64 = 1000;

#[derive(Debug, Default)]
pub(super) struct Strays {
    /// So many stand at the end of the queue. They are never played.
    pub(super) samples: u64,
    /// The story has been told of them, once.
    noted: bool,
}

impl Call {
    /// Sound stands ready that nobody asked for.
    ///
    /// The queue is played in its order and can only be emptied whole. So it counts to the utterance it lies in;
    /// behind the last one it is a stray, and thrown away as soon as nothing is lost with it.
    pub(super) fn stray_sound(&mut self, now: CallTime, step: &'static str, samples: u64) {
        let expected = self.own_turns && self.floor == Floor::Greeting;
        if samples > 0 && !expected && !std::mem::replace(&mut self.strays.noted, true) {
            self.failed(
                step,
                "it made sound that nobody waits for, which is lost or mixes with other speech",
            );
        }
        self.sound_arrived(now, samples);
    }

    pub(super) fn throw_strays_away(&mut self, now: CallTime) {
        let queued = self
            .sayings
            .iter()
            .any(|saying| saying.stage == Stage::Queued);
        // On a live line the next sound has to find the queue empty; elsewhere a message to the carrier can wait.
        let wanted = queued || self.own_turns || self.strays.samples > samples(MAX_STRAY_MS);
        if self.strays.samples > 0
            && wanted
            && !self.is_stopped()
            && !self.sayings.iter().any(Saying::is_under_way)
        {
            self.clear(now);
        }
    }
}
