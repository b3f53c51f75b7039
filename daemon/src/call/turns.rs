//! Whose turn it is: the caller's speech against the agent's. Who answers his turns is next door in `responders`.
//! Nothing here counts samples.

use super::ear::Noticed;
#[cfg(test)]
use super::faults::Planted;
use super::input::Stretch;
use super::machine::{Call, Floor};
use super::output::{Note, Output, Prompt, Sounded};
use super::time::CallTime;
use super::transcript::Said;

/// Keys that wait for the end of a phrase that cannot be interrupted. Nobody dials a longer number.
pub(super) const MAX_WAITING_KEYS: usize = 32;

/// The caller's turn: the one he has, or had last.
#[derive(Debug, Default)]
pub(super) struct CallersTurn {
    /// He is in the middle of it. Its number is the one behind the latest that was answered; see `his_turn_number`.
    pub(super) his: bool,
    /// The one that begins now goes on with the one before, which was withdrawn.
    goes_on: bool,
    /// It took the floor from the agent, who had not finished, or was about to say something.
    pub(super) took_floor: bool,
    pub(super) began: CallTime,
    /// How often the responder was asked in it before it had ended.
    pub(super) asked_early: u32,
}

impl CallersTurn {
    /// It is his from now on. Says whether it goes on with the one before.
    fn begin(&mut self, now: CallTime) -> bool {
        self.his = true;
        self.asked_early = 0;
        self.began = now;
        std::mem::take(&mut self.goes_on)
    }
}

impl Call {
    pub(super) fn heard(&mut self, now: CallTime, voiced: bool) {
        let noticed = self.ear.frame(now, voiced);
        if voiced {
            self.stop_if_spoken_over(now, noticed == Some(Noticed::Started));
        }
        self.noticed(now, noticed);
        if voiced {
            self.weigh_voice(now);
        }
    }

    pub(super) fn ear_deadline(&self) -> Option<CallTime> {
        if self.own_turns {
            None
        } else {
            self.ear.deadline()
        }
    }

    pub(super) fn ear_timeout(&mut self, now: CallTime) {
        while let Some(noticed) = self.ear.timeout(now) {
            self.noticed(now, Some(noticed));
        }
    }

    fn noticed(&mut self, now: CallTime, noticed: Option<Noticed>) {
        match noticed {
            Some(Noticed::Started) => {
                self.stretch_began();
                self.forget_pause();
                match self.floor {
                    // He goes on while his last words are awaited: it is still the same turn.
                    Floor::Listening if self.turn.his => {
                        self.waste(now);
                        self.tell_speaking();
                    }
                    Floor::Listening => {
                        self.turn.took_floor = false;
                        self.begin_turn();
                    }
                    // He goes on before he has been answered: the reply that was begun is dropped.
                    Floor::Thinking if self.may_be_stopped() => {
                        self.interrupt(now);
                        self.begin_turn();
                    }
                    // Perhaps a cough. It takes the floor if it lasts, or if it still lasts when the agent has finished.
                    Floor::Thinking | Floor::Greeting | Floor::Speaking | Floor::Ended => {}
                }
            }
            Some(Noticed::Paused) => {
                self.transcribe(Sounded::Paused);
                if self.turn.his {
                    self.put(Output::SpeechPaused {
                        turn: self.asked.turn + 1,
                    });
                    self.choose_wait(now);
                    self.ask_early(now);
                }
            }
            Some(Noticed::WentOn) => {
                self.stretch_went_on();
                self.forget_pause();
                self.waste(now);
                self.tell_speaking();
            }
            // If it was his turn, that is over as well, as soon as all its words are there.
            Some(Noticed::Ended {
                spoke_ms,
                last_voiced,
            }) => self.stretch_ended(now, spoke_ms, last_voiced),
            None => {}
        }
    }

    fn tell_speaking(&mut self) {
        if self.turn.his {
            self.put(Output::SpeechStarted {
                turn: self.asked.turn + 1,
            });
        }
    }

    /// He speaks over the agent, or before he has begun: the agent is silent, and the floor is the caller's. If he has
    /// heard nothing of the answer to what he said last, that turn is withdrawn, and he goes on with it.
    pub(super) fn interrupt(&mut self, now: CallTime) {
        let (turn, unanswered) = (self.asked.turn, self.is_unanswered(now));
        // Who says nothing then has taken nothing.
        let took_floor = !self.is_about_to_finish(now);
        self.silence_agent(now, unanswered);
        self.turn.goes_on = unanswered;
        self.turn.took_floor = took_floor;
        if unanswered {
            self.note(Note::Withdrawn { turn });
        }
    }

    /// What he says from the beginning of this stretch is a turn, or goes on with the one that was withdrawn. Should the
    /// stretch be over already, so is the turn, as soon as its words are there.
    pub(super) fn begin_turn(&mut self) {
        self.begin_turn_from(self.transcript.latest());
    }

    /// The same, from the beginning of an earlier stretch.
    pub(super) fn begin_turn_from(&mut self, from: Stretch) {
        let turn = self.asked.turn + 1;
        self.floor = Floor::Listening;
        self.stopped.resumed = None;
        if !self.turn.begin(self.now) {
            self.transcript.begin_turn(from);
        }
        self.transcript.before_key = None;
        self.put(Output::SpeechStarted { turn });
        self.note(Note::CallerStarted { turn });
        if self.ear.paused() {
            self.put(Output::SpeechPaused { turn });
        }
        self.tell_said_so_far();
        self.choose_wait(self.now);
        self.ask_early(self.now);
    }

    pub(super) fn end_turn_if_over(&mut self, now: CallTime) {
        if self.turn.his && !self.ear.in_speech() && !self.awaits_words() {
            self.end_turn(now);
        }
    }

    fn end_turn(&mut self, now: CallTime) {
        let said = self.transcript.turn_said();
        // With a cough that stopped the agent somebody has to go on.
        let is_none = said == Said::Nothing && !self.turn.took_floor;
        #[cfg(test)]
        let is_none = is_none && self.planted != Some(Planted::AnswersCoughs);
        if is_none {
            return self.forget_turn(now);
        }
        let text = match said {
            Said::Words(text) => Some(text),
            Said::Nothing | Said::Unknown => None,
        };
        self.silence.told = 0;
        if !self.was_asked_about(text.as_deref()) {
            self.waste(now);
        }
        self.turn.his = false;
        let (spoke_ms, to) = self.transcript.turn_spoke();
        self.note(Note::TurnEnded {
            turn: self.his_turn_number(),
            spoke_ms,
            waited_ms: now.ms_since(to),
            reason: self.endpoint.reason,
        });
        if self.is_early() {
            self.release(now);
        } else {
            self.ask(now, Prompt::Speech { text });
        }
    }

    /// He coughed, or it was a noise: that is no turn, and the silence before it goes on. The responder was told that it
    /// began, so it is told that it is none; its number is used up.
    fn forget_turn(&mut self, now: CallTime) {
        if self.is_early() {
            self.waste(now);
        } else {
            self.asked.turn += 1;
            self.asked.speech = false;
            self.speaker.keep();
            self.cancel_reply_at(self.playout.head(now), true);
        }
        self.turn.his = false;
        let (spoke_ms, _) = self.transcript.turn_spoke();
        self.note(Note::NoWords { spoke_ms });
        self.silence_goes_on(now);
    }

    pub(super) fn digit(&mut self, now: CallTime, digit: char) {
        self.note(Note::Digit { digit });
        self.silence.told = 0;
        self.silence.begin(now);
        if self.settings.takes_digits && !self.own_turns && self.keys.len() < MAX_WAITING_KEYS {
            self.keys.push_back(digit);
            self.take_keys(now);
        }
    }

    /// Keys are turns, each of them, as soon as they may interrupt what is being said.
    pub(super) fn take_keys(&mut self, now: CallTime) {
        if !self.may_be_stopped() {
            self.keys.clear();
        }
        while !self.is_firm(now)
            && let Some(digit) = self.keys.pop_front()
        {
            self.take_digit(now, digit);
        }
    }

    /// Nobody presses a key by accident: the agent falls silent for certain. What the caller was saying belongs to it, and
    /// his words are told with it, as far as they are known.
    fn take_digit(&mut self, now: CallTime, digit: char) {
        self.waste(now);
        let spoke = std::mem::take(&mut self.turn.his);
        let (spoke_ms, waited_ms) = if spoke {
            let (spoke_ms, _) = self.transcript.turn_spoke();
            let now_ms = self.ear.spoke_ms();
            (spoke_ms + now_ms, now.ms_since(self.ear.last_voiced()))
        } else {
            (0, 0)
        };
        #[cfg(test)]
        if self.planted == Some(Planted::SpeaksOnAtAKey) {
            return self.ask(now, Prompt::Digit(digit));
        }
        self.silence_agent(now, false);
        // What he said before it takes nothing any more.
        self.stopped.resumed = None;
        let turn = self.asked.turn + 1;
        self.note(Note::TurnEnded {
            turn,
            spoke_ms,
            waited_ms,
            reason: "digit",
        });
        if spoke {
            self.transcript.ends_with_key(turn);
            self.tell_before_key();
        }
        self.ask(now, Prompt::Digit(digit));
    }

    /// After the greeting, or without one at the beginning. Who speaks meanwhile is asked for his own words instead.
    pub(super) fn ask_for_first_words(&mut self, now: CallTime) {
        let quiet = self.sayings.is_empty() && !self.ear.in_speech() && self.leaving.is_none();
        if self.asked.first_words && quiet && !self.turn.his {
            self.ask(now, Prompt::Start);
        }
    }
}
