//! A call without its stream: it has left, because the responder wants the caller connected elsewhere or keys pressed on
//! his line, or the stream has broken. What was not heard is kept, and the conversation goes on when it is back.
//!
//! ```text
//!  "One moment, please." ─ Depart ─→ waits until that has been heard ─→ away ── Returned ─→ a turn: what now?
//!  says something ──────── lost ───→ Hold, away ── Returned(Lost) ─→ says on
//!                                        └─ return_ms ─→ ended
//! ```
//!
//! A responder that wants the call where it cannot go is asked what now, as if it had been there:
//!
//! ```text
//!  "One moment, please." ─ Stays ──→ waits until that has been heard, and all else of the turn ──→ a turn: what now?
//! ```
//!
//! While away nothing is heard or said. Voices deliver on, and what the responder gives waits in the queue of what is
//! to be said, with its bound.

use super::ear::Ear;
#[cfg(test)]
use super::faults::Planted;
use super::input::{Departure, Reply, Return, Turn, Why};
use super::machine::{Call, Floor};
use super::output::{Note, Output, Prompt};
use super::saying::Saying;
use super::time::CallTime;

#[derive(Clone, Copy, Debug)]
pub(super) struct Away {
    since: CallTime,
    /// The stream broke; nobody asked for it.
    lost: bool,
}

/// What is to follow when the agent has finished speaking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Departing {
    To(Departure),
    /// It cannot go there: the responder is asked what now.
    Stays,
}

impl Call {
    /// The responder wants the call elsewhere once everything it said has been heard.
    pub(super) fn reply_depart(&mut self, turn: Turn, to: Departure) {
        self.say_pieces(turn, true);
        self.close_sound();
        self.has_acted();
        if matches!(self.departing, Some(Departing::To(_))) {
            return self.failed(
                "responder",
                "it sends the call elsewhere twice; the second is not done",
            );
        }
        self.departing = Some(Departing::To(to));
    }

    /// It wants it where it cannot go. Who answers that with the same has no answer: nobody goes round for ever.
    pub(super) fn reply_stays(&mut self, now: CallTime, turn: Turn) {
        let again = (self.reply.as_ref()).is_some_and(|open| open.prompt == Prompt::Returned);
        if again && self.stayed {
            let reason = "it wants the call where it cannot go, again";
            return self.replied(now, turn, Reply::Failed(reason));
        }
        self.say_pieces(turn, true);
        self.close_sound();
        self.has_acted();
        self.departing.get_or_insert(Departing::Stays);
    }

    /// Something to say. What comes behind a departure is said when the call is back.
    pub(super) fn queue(&mut self, mut saying: Saying) {
        saying.when_back = matches!(self.departing, Some(Departing::To(_)));
        self.sayings.push_back(saying);
    }

    /// Leaves if the responder wants it and all was heard. Says whether the call is away.
    pub(super) fn leave_stream(&mut self, now: CallTime) -> bool {
        let said = self.sayings.iter().all(|saying| saying.when_back);
        #[cfg(test)]
        let said = said || self.planted == Some(Planted::DepartsTooEarly);
        if said && !self.is_stopped() {
            match self.departing.take() {
                Some(Departing::To(to)) => self.depart(now, to),
                // It may have more to say about it.
                Some(Departing::Stays) if self.reply.is_some() => {
                    self.departing = Some(Departing::Stays);
                }
                // Who speaks when he likes is not asked, and one who hangs up has no more to say.
                Some(Departing::Stays) if self.own_turns || self.leaving.is_some() => {}
                Some(Departing::Stays) => {
                    self.stayed = true;
                    self.ask(now, Prompt::Returned);
                }
                None => {}
            }
        }
        self.away.is_some()
    }

    fn depart(&mut self, now: CallTime, to: Departure) {
        for saying in &mut self.sayings {
            saying.when_back = false;
        }
        self.stop_listening(now);
        self.floor = Floor::Thinking;
        self.away = Some(Away {
            since: now,
            lost: false,
        });
        self.pace.at = None;
        self.note(Note::Departed {
            to: Some(to.clone()),
        });
        self.put(Output::Depart(to));
    }

    /// The stream broke. If it is worth waiting for another, what was on its way counts as not heard.
    pub(super) fn lose_stream(&mut self, now: CallTime) {
        let waits = self.settings.return_ms > 0 && self.away.is_none() && self.may_be_stopped();
        if !waits {
            return self.end(now, Why::StreamLost);
        }
        let speaks = self.sayings.iter().any(Saying::is_under_way);
        #[cfg(test)]
        let speaks = speaks && self.planted != Some(Planted::ForgetsWhatWasOnItsWay);
        if speaks && !self.is_stopped() {
            self.hold(now);
        }
        self.stopped.held = None;
        self.stopped.resumed = None;
        self.pace.at = None;
        self.away = Some(Away {
            since: now,
            lost: true,
        });
        self.note(Note::Departed { to: None });
    }

    /// A stream is there again: the carrier holds nothing, and nothing was heard since.
    pub(super) fn returned(&mut self, now: CallTime, back: Return<'_>) {
        let Some(away) = self.away.take() else {
            return;
        };
        self.note(Note::Returned {
            after_ms: now.ms_since(away.since),
        });
        self.stayed = false;
        if let Some(lost) = self.stopped.taking_back.take() {
            self.skip(lost); // the leg has not kept it
        }
        self.playout.clear(now);
        self.voice_since = now;
        self.silence.begin(now);
        if let Some(open) = &mut self.reply {
            open.since = now;
        }
        match back {
            Return::Lost => {}
            // Who speaks when he likes is not asked, and one who hangs up has no more to say.
            Return::Digits | Return::Transfer { .. }
                if self.own_turns || self.leaving.is_some() => {}
            Return::Digits | Return::Transfer { .. } => {
                self.waste(now);
                self.stop_listening(now);
                if self.reply.is_some() {
                    self.cancel_reply(); // what it gave is said; from now on it is asked something else
                }
                self.ask(now, Prompt::Returned);
            }
        }
    }

    /// Nobody is listened to any more: what he was saying ends here.
    fn stop_listening(&mut self, now: CallTime) {
        if self.ear.in_speech() && !self.own_turns {
            let (spoke_ms, last_voiced) = (self.ear.spoke_ms(), self.ear.last_voiced());
            self.stretch_ended(now, spoke_ms, last_voiced);
        }
        self.turn.his = false;
        self.ear = Ear::new(&self.settings);
    }

    /// When a stream that broke is given up.
    pub(super) fn return_deadline(&self) -> Option<CallTime> {
        let away = self.away.filter(|away| away.lost)?;
        Some(away.since.plus_ms(self.settings.return_ms))
    }
}
