//! What the plugins of one call put out, into the core: sound and ends of the voice, words of whoever listens, and what
//! the responder says and does. One thing at a time, because each may change what the next one means.

use super::actions::{self, Action};
use super::leg::Leg;
use super::listener;
use super::moment::Moment;
use super::mouth::Delivered;
use super::story;
use crate::call::{CallTime, Floor, Input, Note, Reply, Speech, Turn, Wording, Words};
use std::time::Instant;
use tracing::{debug, warn};
use voice_plugin::abi::{flag, kind};

/// Variables and notes of one call that are kept. A form has a few dozen fields; a plugin gone wild has no end.
const MAX_KEPT: u32 = 200;

impl Leg {
    /// One thing from the voice into the core; false if there was none.
    pub(super) fn pump_voice(&mut self, moment: &mut Moment<'_>) -> bool {
        let Some(delivered) = self.mouth.next(&self.visit.house, moment.scratch) else {
            return false;
        };
        let (utterance, speech) = match &delivered {
            Delivered::Begun {
                utterance,
                voice,
                fallbacks,
            } => (
                *utterance,
                Speech::Begun {
                    voice: *voice,
                    fallbacks: *fallbacks,
                },
            ),
            Delivered::Audio { utterance, samples } => {
                (*utterance, Speech::Audio { samples: *samples })
            }
            Delivered::Done { utterance } => (*utterance, Speech::Done),
            Delivered::Failed { utterance, text } => (*utterance, Speech::Failed(text)),
        };
        let at = self.call_time(moment.now);
        let input = Input::Speech { utterance, speech };
        self.call.handle_input(at, input);
        true
    }

    /// One thing from transcriber or endpointer into the core; false if there was none.
    pub(super) fn pump_listeners(&mut self, now: Instant) -> bool {
        let next = |listener: &mut Option<Box<listener::Listener>>| {
            listener.as_mut()?.next(&self.visit.house, now)
        };
        let (delivered, step) = match next(&mut self.listeners.transcriber) {
            Some(delivered) => (delivered, "transcriber"),
            None => match next(&mut self.listeners.endpointer) {
                Some(delivered) => (delivered, "endpointer"),
                None => return false,
            },
        };
        let heard = step == "transcriber";
        let (stretch, words) = match &delivered {
            listener::Delivered::Finished { stretch, percent } => {
                let (stretch, percent) = (*stretch, *percent);
                let input = Input::Finished { stretch, percent };
                self.call.handle_input(self.call_time(now), input);
                return true;
            }
            listener::Delivered::GaveWay {
                stretch,
                place,
                replaced,
                text,
            } => {
                self.write_down(&if *replaced && heard {
                    Note::TranscriberReplaced {
                        stretch: *stretch,
                        transcriber: *place,
                        after_ms: 0,
                        reason: text.clone(),
                    }
                } else {
                    Note::Failed {
                        step,
                        text: text.clone(),
                    }
                });
                return true;
            }
            // Nobody waits for words of him who is asked at pauses.
            _ if !heard => return true,
            listener::Delivered::Begun {
                stretch,
                place,
                fallbacks,
            } => (
                *stretch,
                Words::Begun {
                    transcriber: *place,
                    fallbacks: *fallbacks,
                },
            ),
            listener::Delivered::Partial { stretch, text } => (*stretch, Words::Partial(text)),
            listener::Delivered::Final { stretch, text } => (*stretch, Words::Final(text)),
            listener::Delivered::Failed { stretch, text } => (*stretch, Words::Failed(text)),
        };
        let at = self.call_time(now);
        let input = Input::Transcript { stretch, words };
        self.call.handle_input(at, input);
        true
    }

    /// One record of the responder into the core; false if there was none, or none for which there is room.
    pub(super) fn pump_responder(&mut self, now: Instant) -> bool {
        let at = self.call_time(now);
        if let Some((turn, responder, fallbacks)) = self.responder.begun.take() {
            let reply = Reply::Begun {
                responder,
                fallbacks,
            };
            self.call.handle_input(at, Input::Reply { turn, reply });
            return true;
        }
        if let Some(text) = self.responder.fault.take() {
            // Who takes his own turns is never asked again, so he is not started again either.
            let for_good = self.responder.own_turns && self.responder.stream.is_none();
            let turn = if for_good { 0 } else { self.turn };
            let reply = Reply::Failed(&text);
            self.call.handle_input(at, Input::Reply { turn, reply });
            return true;
        }
        let Some(stream) = &mut self.responder.stream else {
            return false;
        };
        if stream.is_idle() {
            let awaited = self.call.floor() == Floor::Thinking;
            // False: it has come in this very moment.
            if let Some(bell) = self.bell.as_ref().filter(|_| awaited)
                && !stream.wake_at_record(bell)
            {
                return true;
            }
            return false;
        }
        let Some(record) = stream.next() else {
            return false;
        };
        let turn = record.turn;
        let wording = Wording {
            firm: record.flags & flag::FIRM != 0,
            fixed: record.flags & flag::FIXED != 0,
        };
        match record.kind {
            kind::AUDIO => {
                // The voice's samples come first: they were asked for earlier.
                let room = if self.mouth.is_saying() {
                    0
                } else {
                    self.mouth.room().min(record.data.len())
                };
                if room == 0 {
                    return false;
                }
                self.mouth.add(&record.data[..room]);
                if room == record.data.len() {
                    stream.take();
                } else {
                    stream.take_part(room);
                }
                let reply = Reply::Audio {
                    samples: room as u64,
                };
                self.call.handle_input(at, Input::Reply { turn, reply });
            }
            kind::FAILED if turn == 0 => {
                let why = String::from_utf8_lossy(record.data).into_owned();
                self.responder.ended(&why, self.call.awaits_reply());
            }
            kind::TEXT | kind::PARTIAL | kind::FAILED => {
                let text = String::from_utf8_lossy(record.data);
                let reply = match record.kind {
                    kind::FAILED => Reply::Failed(&text),
                    kind::PARTIAL => Reply::Piece(&text, wording),
                    _ => Reply::Text(&text, wording),
                };
                self.call.handle_input(at, Input::Reply { turn, reply });
                stream.take();
            }
            kind::DONE => {
                let reply = Reply::Done;
                self.call.handle_input(at, Input::Reply { turn, reply });
                stream.take();
                self.responder.did_well(&self.visit.house);
            }
            kind::ACTION => {
                let action = actions::read(record.data);
                stream.take();
                self.act(turn, action, at);
            }
            _ => stream.take(),
        }
        true
    }

    fn act(&mut self, turn: Turn, action: Result<Action, actions::Refused>, at: CallTime) {
        let reply = match action {
            Ok(Action::HangUp) => Reply::HangUp,
            Ok(Action::Depart(departure)) => Reply::Depart(departure),
            Ok(Action::Silence { after_ms }) => Reply::Silence { after_ms },
            Ok(Action::OwnTurns) => {
                self.responder.own_turns = true;
                return self.call.set_own_turns();
            }
            Ok(Action::Take {
                first,
                digits,
                silence,
                audio,
            }) => {
                if let Some(audio) = audio {
                    self.responder.hears_audio = audio;
                }
                return self.call.set_taken(first, digits, silence);
            }
            Ok(Action::Voice(voice)) => {
                if !self.visit.house.roster.now().voices.contains_key(&voice) {
                    let reason = format!(
                        "not_found: it wants to speak by the voice \"{voice}\", but there is no [voices.{voice}]; the one before speaks on"
                    );
                    return self.refuse("voice", reason);
                }
                Reply::Speaker(self.speakers.use_voice(&voice))
            }
            Ok(Action::Language(language)) => {
                let speaker = self.speakers.use_language(&language);
                self.expect_language_of(speaker);
                Reply::Speaker(speaker)
            }
            Ok(Action::Set { name, value }) => {
                if let Err(full) = self.history.set(&name, &value) {
                    return self.refuse("set", full);
                }
                return self.keep("set", |leg| story::variable(&leg.visit, &name, &value));
            }
            Ok(Action::Note(text)) => {
                return self.keep("note", |leg| story::remark(&leg.visit, &text));
            }
            Err(refused) => match refused.departs {
                Some(from) => {
                    self.responder
                        .stays(from, &refused.text, self.turn, self.heard);
                    self.complain(refused.text);
                    Reply::Stays
                }
                None => return self.refuse(&refused.what, refused.text),
            },
        };
        self.call.handle_input(at, Input::Reply { turn, reply });
    }

    /// Whoever listens is told what this speaker's caller speaks, and so is a responder that comes to the call.
    pub(super) fn expect_language_of(&mut self, speaker: u32) {
        let language = &self.speakers.at(speaker).language;
        let own = &self.visit.guest.agent.language;
        (self.responder.language).clone_from(language.as_ref().unwrap_or(own));
        for listener in self.listeners.each() {
            listener.expect(language.as_deref());
        }
    }

    /// Something the responder asked for cannot be: it is told, and its answer goes on.
    fn refuse(&mut self, what: &str, reason: String) {
        self.responder.refused(what, &reason, self.turn, self.heard);
        self.complain(reason);
    }

    /// Something the responder asked for cannot be.
    fn complain(&self, text: String) {
        self.write_down(&Note::Failed {
            step: "responder",
            text,
        });
    }

    /// One more variable or note, if there is room.
    fn keep(&mut self, what: &str, write: impl FnOnce(&Leg)) {
        self.kept += 1;
        if self.kept <= MAX_KEPT {
            return write(self);
        }
        let reason = format!("bad_action: a call keeps at most {MAX_KEPT} variables and notes");
        self.responder.refused(what, &reason, self.turn, self.heard);
        match self.kept {
            n if n == MAX_KEPT + 1 => warn!(call = %self.visit.guest.call_sid,
                "the responder keeps more than {MAX_KEPT} variables and notes; the others of this call are lost"),
            _ => debug!(call = %self.visit.guest.call_sid, "one more is lost"),
        }
    }
}
