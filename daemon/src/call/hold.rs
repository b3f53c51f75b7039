//! What was sent and not heard is taken out of the carrier's hands, to be sent again: because the caller speaks, or the
//! stream has broken. Whether it is sent again is decided elsewhere.

#[cfg(test)]
use super::faults::Planted;
use super::machine::Call;
use super::output::Output;
use super::time::CallTime;

impl Call {
    /// Is nothing sent, though something may stand ready?
    pub(super) fn is_stopped(&self) -> bool {
        #[cfg(test)]
        if self.planted == Some(Planted::PlaysWhileHeld) {
            return false;
        }
        self.stopped.held.is_some() || self.stopped.taking_back.is_some() || self.away.is_some()
    }

    /// Takes what was sent and not heard out of the carrier's hands, to be sent again.
    pub(super) fn hold(&mut self, now: CallTime) {
        let head = self.playout.head(now);
        self.heard_up_to(Some(head));
        let samples = self.playout.hold(now);
        self.put(Output::Hold { samples });
        self.set_back(samples, head);
        self.stopped.taking_back = Some(samples);
        self.pace.at = None;
    }

    /// The leg says how much stands ready again: what was not heard, and some before it so that it begins with a word.
    pub(super) fn taken_back(&mut self, now: CallTime, samples: u64) {
        let Some(expected) = self.stopped.taking_back.take() else {
            return; // it was thrown away meanwhile
        };
        #[cfg(test)]
        let samples = match self.planted {
            Some(Planted::SkipsAfterResume) => samples - samples / 4,
            _ => samples,
        };
        if let Some(more) = samples.checked_sub(expected) {
            let head = self.playout.head(now);
            self.playout.take_back(now, more);
            let rest = self.set_back(more, head);
            // Of an utterance that has left the ear: it is heard with the one that follows.
            let mut sayings = self.sayings.iter_mut();
            match sayings.find(|saying| saying.is_under_way() && !saying.is_sent()) {
                Some(saying) => saying.arrived += rest,
                None => self.strays.samples += rest,
            }
        } else {
            self.skip(expected - samples);
        }
    }

    /// The last `samples` that were sent stand ready again. Returns how many of them belong to nobody.
    fn set_back(&mut self, samples: u64, head: u64) -> u64 {
        let mut rest = samples;
        for saying in self.sayings.iter_mut().rev() {
            if saying.sent > 0 && rest > 0 {
                rest -= saying.take_back(rest, head);
            }
        }
        rest
    }

    /// So much of what was taken back is lost.
    pub(super) fn skip(&mut self, samples: u64) {
        self.playout.skip(samples);
        let mut rest = samples;
        for saying in &mut self.sayings {
            let count = rest.min(saying.ready());
            saying.sent += count;
            rest -= count;
        }
    }
}
