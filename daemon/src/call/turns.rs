//! Whose turn it is: the caller's speech against the agent's. Who answers his turns is next door in `responders`.
//! Nothing here counts samples.

use super::ear::Noticed;
#[cfg(test)]
use super::faults::Planted;
use super::input::{Stretch, Why};
use super::machine::{Call, Floor};
use super::output::{Note, Output, Prompt, Sounded};
use super::saying::Origin;
use super::time::CallTime;

/// Keys that wait for the end of a phrase that cannot be interrupted. Nobody dials a longer number.
pub(super) const MAX_WAITING_KEYS: usize = 32;

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
                    Floor::Listening if self.his_turn => {
                        self.waste(now);
                        self.tell_speaking();
                    }
                    Floor::Listening => self.begin_turn(),
                    // He goes on before he has been answered: the reply that was begun is dropped, and what he says
                    // next is a turn of its own.
                    Floor::Thinking if self.may_be_stopped() => {
                        self.silence_agent(now);
                        self.begin_turn();
                    }
                    // Perhaps a cough. It takes the floor if it lasts, or if it still lasts when the agent has finished.
                    Floor::Thinking | Floor::Greeting | Floor::Speaking | Floor::Ended => {}
                }
            }
            Some(Noticed::Paused) => {
                self.transcribe(Sounded::Paused);
                if self.his_turn {
                    self.put(Output::SpeechPaused {
                        turn: self.asked + 1,
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
        if self.his_turn {
            self.put(Output::SpeechStarted {
                turn: self.asked + 1,
            });
        }
    }

    /// What he says from the beginning of this stretch is a turn. Should the stretch be over already, so is the turn,
    /// as soon as its words are there.
    pub(super) fn begin_turn(&mut self) {
        self.begin_turn_from(self.transcript.latest());
    }

    /// The same, from the beginning of an earlier stretch.
    pub(super) fn begin_turn_from(&mut self, from: Stretch) {
        let turn = self.asked + 1;
        self.floor = Floor::Listening;
        self.his_turn = true;
        self.asked_early = 0;
        self.no_inputs = 0;
        self.first_words = false;
        self.resumed = None;
        self.transcript.begin_turn(from);
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
        if self.his_turn && !self.ear.in_speech() && !self.awaits_words() {
            self.end_turn(now);
        }
    }

    fn end_turn(&mut self, now: CallTime) {
        let text = self.transcript.turn_text();
        if !self.was_asked_about(text.as_deref()) {
            self.waste(now);
        }
        self.his_turn = false;
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

    pub(super) fn digit(&mut self, now: CallTime, digit: char) {
        self.note(Note::Digit { digit });
        self.no_inputs = 0;
        self.quiet_since = now;
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

    /// Nobody presses a key by accident: the agent falls silent for certain. What the caller was saying belongs to it.
    fn take_digit(&mut self, now: CallTime, digit: char) {
        self.waste(now);
        let (spoke_ms, waited_ms) = if std::mem::take(&mut self.his_turn) {
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
        self.silence_agent(now);
        self.note(Note::TurnEnded {
            turn: self.asked + 1,
            spoke_ms,
            waited_ms,
            reason: "digit",
        });
        self.ask(now, Prompt::Digit(digit));
    }

    /// After the greeting, or without one at the beginning. Who speaks meanwhile is asked for his own words instead.
    pub(super) fn ask_for_first_words(&mut self, now: CallTime) {
        let quiet = self.sayings.is_empty() && !self.ear.in_speech() && self.leaving.is_none();
        if self.first_words && quiet {
            self.ask(now, Prompt::Start);
        }
    }

    pub(super) fn no_input_deadline(&self) -> Option<CallTime> {
        let listening =
            self.floor == Floor::Listening && self.sayings.is_empty() && self.leaving.is_none();
        let waits = listening && !self.his_turn && !self.own_turns;
        let patience_ms = self.silence_ms.unwrap_or(self.settings.no_input_ms);
        (waits && patience_ms > 0).then(|| self.quiet_since.plus_ms(patience_ms))
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
