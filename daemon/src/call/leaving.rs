//! How a call ends: after a goodbye or at once, because somebody wants it, nobody answers, or it has lasted as long as it
//! may. What is said before is in `speaking`; a call that only leaves its stream is in `away`.

#[cfg(test)]
use super::faults::Planted;
use super::input::Why;
use super::machine::{Call, Floor};
use super::output::{Note, Output};
use super::saying::Origin;
use super::time::CallTime;

/// The call will be ended when the agent has finished speaking.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    pub(super) why: Why,
    /// The caller can still prevent it by speaking.
    pub(super) revocable: bool,
}

impl Call {
    pub(super) fn max_call_deadline(&self) -> Option<CallTime> {
        #[cfg(test)]
        if self.planted == Some(Planted::NeverEnds) && self.over {
            return None;
        }
        let end = match self.settings.max_call_secs {
            0 => return None,
            secs => CallTime::from_ms(secs.saturating_mul(1000)),
        };
        // A goodbye may take as long as a mark may be late; then the line is cut whatever is being said.
        Some(if self.over {
            end.plus_ms(self.settings.mark_grace_ms)
        } else {
            end
        })
    }

    pub(super) fn too_long(&mut self, now: CallTime) {
        if self.away.is_some() {
            return self.end(now, Why::TooLong);
        }
        if std::mem::replace(&mut self.over, true) {
            return self.hang_up(
                now,
                self.leaving.map_or(Why::TooLong, |leaving| leaving.why),
            );
        }
        if let Some(leaving) = &mut self.leaving {
            leaving.revocable = false; // a goodbye is being said already
            return;
        }
        self.waste(now);
        self.turn.his = false;
        self.silence_agent(now, false);
        self.leave(Why::TooLong, false);
    }

    /// Ends the call when everything said has been heard, a goodbye included if there is one.
    pub(super) fn leave(&mut self, why: Why, revocable: bool) {
        if let Some(text) = self.settings.goodbye_text.clone()
            && matches!(why, Why::NoInput | Why::TooLong)
        {
            self.say(text, Origin::Sentence);
        }
        self.leaving = Some(Leaving { why, revocable });
    }

    /// May the caller take the floor from the agent?
    pub(super) fn may_be_stopped(&self) -> bool {
        self.leaving.is_none_or(|leaving| leaving.revocable)
    }

    pub(super) fn hang_up(&mut self, now: CallTime, why: Why) {
        if self.floor == Floor::Ended {
            return;
        }
        self.tell_what_was_cut(self.playout.head(now));
        self.put(Output::HangUp);
        self.end(now, why);
    }

    pub(super) fn end(&mut self, now: CallTime, why: Why) {
        self.tell_what_was_cut(self.playout.head(now));
        self.note(Note::Ended { why });
        self.put(Output::Done(why));
        self.floor = Floor::Ended;
        self.turn.his = false;
        self.reply = None;
        self.pace.at = None;
    }
}
