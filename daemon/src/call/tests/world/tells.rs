//! What happens in the [`World`] and is told to the core: by the caller, his line, the carrier, voices, responders and
//! those who listen.

use super::World;
use crate::call::input::{
    Departure, Input, Reply, Speech, Stretch, Turn, Utterance, Wording, Words,
};
use crate::call::tests::happenings::{Does, Event, Fate, Owner, PLAIN, Sound, Writes};
use crate::call::time::CallTime;

impl World {
    pub(super) fn happens(&mut self, event: Event) {
        match event {
            Event::Frame(voiced) => self.tell(Input::Heard { voiced }),
            Event::Key(key) => self.tell(Input::Digit(key)),
            Event::Stop(why) => self.tell(Input::Stop(why)),
            Event::Returns(back) => self.tell(Input::Returned(back)),
            Event::Plays(..) | Event::Marks(_) | Event::Clears if self.away => {} // it was lost on the way
            Event::Does(turn, does) => self.does(turn, does),
            Event::Answers(before, does) => self.does(self.asked.saturating_sub(before), does),
            Event::Writes(stretch, writes) => self.writes(stretch, writes),
            Event::WritesLast(before, writes) => {
                self.writes(self.listener.latest.saturating_sub(before), writes);
            }
            Event::Begun(utterance, voice, fallbacks) => self.tell(Input::Speech {
                utterance,
                speech: Speech::Begun { voice, fallbacks },
            }),
            Event::Line(voices) => {
                self.line = voices;
                self.line_changed = true;
            }
            Event::Audio(utterance, _) if self.is_finished(utterance) => {} // the leg drops it
            Event::Audio(utterance, samples) => {
                if utterance > self.cancelled {
                    self.mixed |= self.speaking != Some(utterance);
                    self.sounded.insert(utterance);
                    self.unheard_since = None;
                    self.mouth.add(Owner::Voice(utterance), samples);
                }
                // A leg need not tell of what it drops; one that does has to be survived.
                self.tell(Input::Speech {
                    utterance,
                    speech: Speech::Audio { samples },
                });
            }
            Event::Spoken(utterance) => {
                self.unfinished.remove(&utterance);
                self.spoken(utterance, Speech::Done);
            }
            Event::NotSpoken(utterance) => {
                self.spoken(utterance, Speech::Failed("it lost its voice"))
            }
            Event::Plays(owner, samples) => {
                let from = self.plays_until.max(self.now);
                self.plays_until = from.plus_samples(samples);
                self.heard.push(Sound {
                    from,
                    to: self.plays_until,
                    owner,
                });
                // The core's clock starts when it sends, the carrier's when it receives.
                let (held_ms, most_ms) = (
                    self.plays_until.ms_since(self.now),
                    self.most_ms() + self.latency_ms,
                );
                if held_ms > most_ms {
                    self.wrong(format!(
                        "the carrier holds {held_ms} ms; at most {most_ms} ms may be ahead"
                    ));
                }
            }
            Event::Marks(mark) => {
                self.open.push(mark);
                let wait = self.plays_until.0.saturating_sub(self.now.0);
                self.sequence += 1;
                self.events.insert(
                    (CallTime(self.now.0 + wait), self.sequence),
                    Event::Reaches(mark),
                );
            }
            Event::Clears => {
                self.falls_silent();
                for mark in std::mem::take(&mut self.open) {
                    self.later(1, Event::Marked(mark));
                }
            }
            Event::Reaches(mark) => {
                if let Some(at) = self.open.iter().position(|open| *open == mark) {
                    self.open.remove(at);
                    match (self.marks)() {
                        Fate::Lost => {}
                        Fate::Back { after_ms } => self.later(after_ms, Event::Marked(mark)),
                        Fate::Twice { after_ms, again_ms } => {
                            self.later(after_ms, Event::Marked(mark));
                            self.later(after_ms + again_ms, Event::Marked(mark));
                        }
                    }
                }
            }
            Event::Marked(mark) => self.tell(Input::Marked(mark)),
            Event::Tick => {}
        }
    }

    fn writes(&mut self, stretch: Stretch, writes: Writes) {
        self.listener.wrote(stretch, &writes);
        let words = match &writes {
            Writes::Begins {
                transcriber,
                fallbacks,
            } => Words::Begun {
                transcriber: *transcriber,
                fallbacks: *fallbacks,
            },
            Writes::Partial(text) => Words::Partial(text),
            Writes::Final(text) => Words::Final(text),
            Writes::Fails => Words::Failed("it has no ear"),
            Writes::Judges(percent) => {
                let percent = *percent;
                return self.tell(Input::Finished { stretch, percent });
            }
        };
        self.tell(Input::Transcript { stretch, words });
    }

    fn does(&mut self, turn: Turn, does: Does) {
        if !matches!(does, Does::Begins { .. }) && turn == self.asked {
            self.unanswered_since = None;
        }
        let ends = matches!(does, Does::HangsUp | Does::Finishes | Does::Fails);
        if ends && self.in_flight == Some(turn) {
            self.in_flight = None;
        }
        let reply = match &does {
            Does::Begins {
                responder,
                fallbacks,
            } => Reply::Begun {
                responder: *responder,
                fallbacks: *fallbacks,
            },
            Does::Writes(piece) => Reply::Piece(piece, PLAIN),
            Does::Waits(after_ms) => Reply::Silence {
                after_ms: *after_ms,
            },
            Does::Says(text) => Reply::Text(text, PLAIN),
            Does::Insists(text) => Reply::Text(
                text,
                Wording {
                    firm: true,
                    ..PLAIN
                },
            ),
            Does::Departs(to) => Reply::Depart(to.clone()),
            Does::Stays => Reply::Stays,
            Does::Speaks(speaker) => Reply::Speaker(*speaker),
            Does::HangsUp => Reply::HangUp,
            Does::Finishes => Reply::Done,
            Does::Fails => Reply::Failed("it lost its mind"),
            Does::Sounds(samples) => {
                if self.speaking.is_some() && self.holds_back {
                    return self.held.push_back((turn, *samples));
                }
                if turn < self.wanted_turn {
                    return; // the ring drops it
                }
                self.mixed |= self.speaking.is_some();
                self.sounded_turn = self.sounded_turn.max(turn);
                self.mouth.add(Owner::Responder(turn), *samples);
                Reply::Audio { samples: *samples }
            }
        };
        self.tell(Input::Reply { turn, reply });
    }

    fn spoken(&mut self, utterance: Utterance, speech: Speech<'_>) {
        if self.speaking == Some(utterance) {
            self.speaking = None;
            self.unheard_since = None;
        }
        self.tell(Input::Speech { utterance, speech });
    }

    /// The responder's sound that was held back goes on its way, one input at a time: each may make the voice speak.
    pub(super) fn release(&mut self) {
        while self.speaking.is_none()
            && let Some((turn, samples)) = self.held.pop_front()
        {
            self.does(turn, Does::Sounds(samples));
            self.obey();
        }
    }

    /// The call leaves its stream, and may come back.
    pub(super) fn leaves(&mut self, to: Option<&Departure>) {
        self.away = true;
        self.falls_silent();
        self.open.clear();
        if let Some((after_ms, back)) = (self.returns)(to) {
            self.later(after_ms, Event::Returns(back));
        }
    }

    /// The carrier has nothing more to play.
    pub(super) fn falls_silent(&mut self) {
        let now = self.now;
        self.plays_until = now;
        self.heard.retain(|sound| sound.from < now);
        for sound in &mut self.heard {
            sound.to = sound.to.min(now);
        }
    }
}
