//! A world for the core to live in, for tests: a leg with its queue of samples, a carrier that plays in real time, a
//! voice and a responder, all in virtual time. It does what it is told, and watches: whatever the core must never do
//! is checked at every step. Charts draw what happened in it; the simulation fills it with accidents.

use super::listener::Listener;
use super::mouth::Mouth;
use crate::call::input::{
    Departure, Input, Mark, Reply, Return, Speech, Stretch, Turn, Utterance, Why, Words,
};
use crate::call::machine::{Call, Floor};
use crate::call::output::{Note, Output, Prompt, Sounded};
use crate::call::settings::Settings;
use crate::call::time::{CallTime, ms, samples};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A text that begins so cannot be interrupted.
pub(super) const FIRM: &str = "!";

/// What a responder does, some time after it was asked.
#[derive(Clone, Debug)]
pub(super) enum Does {
    /// Somebody has been asked: his place in the line, and how many stand behind.
    Begins {
        responder: u32,
        fallbacks: u32,
    },
    Says(String),
    /// A piece of what it says.
    Writes(String),
    /// The next silence is told after so many milliseconds.
    Waits(u64),
    /// The same, and the caller cannot interrupt it.
    Insists(String),
    /// Has the call leave its stream.
    Departs(Departure),
    /// What it says from now on is said by this speaker.
    Speaks(u32),
    Sounds(u64),
    HangsUp,
    Finishes,
    Fails,
}

/// How a voice speaks one utterance.
#[derive(Clone, Copy, Debug)]
pub(super) enum Manner {
    /// In pieces; the first after a while, the others at intervals. 0 ms apart: all at once.
    Speaks {
        after_ms: u64,
        piece_ms: u64,
        every_ms: u64,
    },
    /// Claims to have finished, without a sound.
    Silent { after_ms: u64 },
    /// Fails after so much of its sound.
    Fails { after_ms: u64, given_ms: u64 },
    /// Gives so much and is never heard of again.
    Hangs { given_ms: u64 },
    /// Claims to have finished, without a sound, and then speaks on and on.
    Babbles { after_ms: u64 },
}

/// What somebody who listens to the caller makes of a stretch.
#[derive(Clone, Debug)]
pub(super) enum Writes {
    Begins {
        transcriber: u32,
        fallbacks: u32,
    },
    Partial(String),
    Final(String),
    Fails,
    /// The endpointer: so many percent that he has finished.
    Judges(u8),
}

/// What becomes of a mark when its moment has come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Back { after_ms: u64 },
    Twice { after_ms: u64, again_ms: u64 },
    Lost,
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    Frame(bool),
    Key(char),
    Stop(Why),
    Returns(Return<'static>),
    Does(Turn, Does),
    /// For the turn that was asked about last, less so many.
    Answers(Turn, Does),
    Writes(Stretch, Writes),
    /// For the latest stretch, less so many.
    WritesLast(Stretch, Writes),
    /// A voice was asked: its place in the line, and how many stand behind it.
    Begun(Utterance, u32, u32),
    /// The configuration changes: the line has so many voices now.
    Line(u32),
    Audio(Utterance, u64),
    Spoken(Utterance),
    NotSpoken(Utterance),
    /// A message gets to the carrier.
    Plays(Owner, u64),
    Marks(Mark),
    Clears,
    /// The carrier's playout gets to a mark, if it was not cleared before.
    Reaches(Mark),
    /// A mark gets back to us.
    Marked(Mark),
    /// Nothing but the time.
    Tick,
}

/// Whose samples these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    Voice(Utterance),
    Responder(Turn),
}

/// A stretch of sound at the caller's ear.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sound {
    pub(super) from: CallTime,
    pub(super) to: CallTime,
    pub(super) owner: Owner,
}

type Answers = Box<dyn FnMut(Turn) -> Vec<(u64, Does)>>;
/// By the number of the utterance and the voice's place in the line.
type Speaks = Box<dyn FnMut(Utterance, u32) -> Manner>;
type Keeps = Box<dyn FnMut() -> Fate>;
/// What a transcriber and an endpointer make of it, each so much later.
type Listens = Box<dyn FnMut(Stretch, Sounded) -> Vec<(u64, Writes)>>;

type Returns = Box<dyn FnMut(Option<&Departure>) -> Option<(u64, Return<'static>)>>;

pub(super) struct World {
    pub(super) call: Call,
    pub(super) now: CallTime,
    pub(super) responder: Answers,
    pub(super) voice: Speaks,
    /// Voices in the line.
    pub(super) line: u32,
    /// Responders in the line.
    pub(super) responders: u32,
    /// What was asked, of whom.
    pub(super) prompts: Vec<(Prompt, u32)>,
    pub(super) marks: Keeps,
    pub(super) transcriber: Listens,
    /// From us to the carrier.
    pub(super) latency_ms: u64,
    /// How late a deadline is noticed.
    pub(super) wake_ms: u64,
    /// Where a call goes (`None`: its stream broke), and how and when it comes back, if ever.
    pub(super) returns: Returns,
    /// How much more the leg takes back than was not heard, to begin with a word.
    pub(super) edge: Box<dyn FnMut() -> u64>,
    /// Does the leg hold the responder's sound back while the voice delivers, as it should?
    pub(super) holds_back: bool,
    pub(super) log: Vec<(CallTime, Output)>,
    pub(super) heard: Vec<Sound>,
    /// What the core did that it must never do.
    pub(super) wrong: Option<String>,
    settings: Settings,
    listener: Listener,
    events: BTreeMap<(CallTime, u64), Event>,
    sequence: u64,
    same_time: u32,

    mouth: Mouth,
    held: VecDeque<(Turn, u64)>,
    owed: BTreeSet<Utterance>,
    /// Utterances the voice has not delivered to their end.
    unfinished: BTreeSet<Utterance>,
    asked: Turn,
    in_flight: Option<Turn>,
    /// When it was asked, if another could answer and nothing has come of it.
    unanswered_since: Option<CallTime>,
    /// The turn about which somebody was asked before it had ended.
    early: Option<Turn>,
    /// The caller's turn has ended, and nobody has been asked about it.
    turn_ended: bool,
    /// The place of the responder that was replaced just now.
    replaced_responder: Option<u32>,
    speaking: Option<Utterance>,
    /// When it was asked for, if another voice could say it and it has not been heard from.
    unheard_since: Option<CallTime>,
    /// The line is another than when a voice was asked last.
    line_changed: bool,
    /// Utterances of which sound came.
    sounded: BTreeSet<Utterance>,
    /// The place of the voice whose utterance has to be said again.
    replaced: Option<u32>,
    utterance: Utterance,
    wanted_turn: Turn,
    cancelled: Utterance,
    cleared: Utterance,
    clears: u32,
    /// The call has no stream.
    away: bool,
    /// How often the agent was stopped for the time being.
    holds: u64,
    /// How much more was taken back in all.
    more_ms: u64,
    plays_until: CallTime,
    open: Vec<Mark>,
    whole: Option<Utterance>,
    /// Sound lies in an utterance that is not its own.
    mixed: bool,
    pub(super) done: Option<Why>,
    pub(super) steps: u32,
}

impl World {
    pub(super) fn new(settings: Settings) -> World {
        World {
            call: Call::new(settings.clone()),
            now: CallTime(0),
            responder: Box::new(|_| {
                vec![(100, Does::Says("abcdefgh".into())), (100, Does::Finishes)]
            }),
            voice: Box::new(|_, _| Manner::Speaks {
                after_ms: 100,
                piece_ms: 10_000,
                every_ms: 0,
            }),
            line: 1,
            responders: 1,
            prompts: Vec::new(),
            marks: Box::new(|| Fate::Back { after_ms: 0 }),
            transcriber: Box::new(|_, _| Vec::new()),
            latency_ms: 0,
            wake_ms: 0,
            edge: Box::new(|| 0),
            returns: Box::new(|_| None),
            away: false,
            holds_back: true,
            log: Vec::new(),
            heard: Vec::new(),
            wrong: None,
            listener: Listener::new(&settings),
            settings,
            events: BTreeMap::new(),
            sequence: 0,
            same_time: 0,
            mouth: Mouth::default(),
            held: VecDeque::new(),
            owed: BTreeSet::new(),
            unfinished: BTreeSet::new(),
            asked: 0,
            in_flight: None,
            unanswered_since: None,
            early: None,
            turn_ended: false,
            replaced_responder: None,
            speaking: None,
            unheard_since: None,
            line_changed: false,
            sounded: BTreeSet::new(),
            replaced: None,
            utterance: 0,
            wanted_turn: 0,
            cancelled: 0,
            cleared: 0,
            clears: 0,
            holds: 0,
            more_ms: 0,
            plays_until: CallTime(0),
            open: Vec::new(),
            whole: None,
            mixed: false,
            done: None,
            steps: 0,
        }
    }

    pub(super) fn start(&mut self) {
        self.call.start(self.now);
        self.obey();
    }

    /// Something will happen so much later.
    pub(super) fn later(&mut self, after_ms: u64, event: Event) {
        self.sequence += 1;
        self.events
            .insert((self.now.plus_ms(after_ms), self.sequence), event);
    }

    /// The next thing happens: an event, or a deadline. False if there is none, or the call is over, or went wrong.
    pub(super) fn step(&mut self) -> bool {
        if self.wrong.is_some() || self.done.is_some() {
            return false;
        }
        let event = self.events.first_key_value().map(|((time, _), _)| *time);
        let deadline = self
            .call
            .poll_timeout()
            .map(|(time, _)| time.plus_ms(self.wake_ms).max(self.now));
        self.steps += 1;
        let before = self.now;
        match (event, deadline) {
            (Some(event), deadline) if deadline.is_none_or(|deadline| event <= deadline) => {
                self.now = event;
                if let Some((_, event)) = self.events.pop_first() {
                    self.happens(event);
                }
            }
            (_, Some(deadline)) => {
                self.now = deadline;
                self.call.handle_timeout(deadline);
                let next = self.call.poll_timeout();
                if let Some((next, timer)) = next.filter(|(next, _)| *next <= self.now) {
                    self.wrong(format!(
                        "{timer:?} of {next} is still due at {} after handle_timeout",
                        self.now
                    ));
                }
            }
            (_, None) => return false,
        }
        self.obey();
        self.release();
        self.same_time = if self.now == before {
            self.same_time + 1
        } else {
            0
        };
        if self.same_time > 10_000 {
            self.wrong("time stands still".into());
        }
        self.nobody_waits_for_a_silent_voice();
        self.nobody_waits_for_a_silent_responder();
        true
    }

    /// With another voice at hand, one that stays silent is given up in time.
    fn nobody_waits_for_a_silent_voice(&mut self) {
        let patience_ms = match (
            self.settings.reply_deadline_ms,
            self.settings.voice_deadline_ms,
        ) {
            (0, some) | (some, 0) => some,
            (reply_ms, voice_ms) => reply_ms.min(voice_ms),
        };
        // Sound that lies in an utterance that is not its own looks as if the voice had spoken.
        if let Some(since) = self.unheard_since
            && patience_ms > 0
            && !self.mixed
            && !self.mouth.is_held()
            && !self.away
            && self.done.is_none()
            && self.now > since.plus_ms(patience_ms + self.wake_ms)
        {
            self.wrong(format!(
                "a voice has been silent since {since}, and another was not asked"
            ));
        }
    }

    /// The same for responders.
    fn nobody_waits_for_a_silent_responder(&mut self) {
        let patience_ms = match (
            self.settings.reply_deadline_ms,
            self.settings.responder_deadline_ms,
        ) {
            (0, some) | (some, 0) => some,
            (reply_ms, responder_ms) => reply_ms.min(responder_ms),
        };
        if let Some(since) = self.unanswered_since
            && patience_ms > 0
            && !self.away
            && self.done.is_none()
            && self.now > since.plus_ms(patience_ms + self.wake_ms)
        {
            self.wrong(format!(
                "a responder has been silent since {since}, and another was not asked"
            ));
        }
    }

    /// Said by the voice itself to be complete, and not cancelled.
    fn is_finished(&self, utterance: Utterance) -> bool {
        (self.cancelled + 1..=self.utterance).contains(&utterance)
            && !self.unfinished.contains(&utterance)
    }

    fn wrong(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }

    fn tell(&mut self, input: Input<'_>) {
        self.call.handle_input(self.now, input);
    }

    fn happens(&mut self, event: Event) {
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

    /// The call leaves its stream, and may come back.
    fn leaves(&mut self, to: Option<&Departure>) {
        self.away = true;
        self.falls_silent();
        self.open.clear();
        if let Some((after_ms, back)) = (self.returns)(to) {
            self.later(after_ms, Event::Returns(back));
        }
    }

    /// The carrier has nothing more to play.
    fn falls_silent(&mut self) {
        let now = self.now;
        self.plays_until = now;
        self.heard.retain(|sound| sound.from < now);
        for sound in &mut self.heard {
            sound.to = sound.to.min(now);
        }
    }

    fn spoken(&mut self, utterance: Utterance, speech: Speech<'_>) {
        if self.speaking == Some(utterance) {
            self.speaking = None;
            self.unheard_since = None;
        }
        self.tell(Input::Speech { utterance, speech });
    }

    /// The responder's sound that was held back goes on its way, one input at a time: each may make the voice speak.
    fn release(&mut self) {
        while self.speaking.is_none()
            && let Some((turn, samples)) = self.held.pop_front()
        {
            self.does(turn, Does::Sounds(samples));
            self.obey();
        }
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
            Does::Writes(piece) => Reply::Piece(piece),
            Does::Waits(after_ms) => Reply::Silence {
                after_ms: *after_ms,
            },
            Does::Says(text) => Reply::Text(text),
            Does::Insists(text) => Reply::Firm(text),
            Does::Departs(to) => Reply::Depart(to.clone()),
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
                self.mouth.add(Owner::Responder(turn), *samples);
                Reply::Audio { samples: *samples }
            }
        };
        self.tell(Input::Reply { turn, reply });
    }

    /// Does what the core wants, and watches it.
    fn obey(&mut self) {
        let mut cleared_now = false;
        let mut barged_in = false;
        let mut taken_back = None;
        let mut firm_cut = false;
        while let Some(output) = self.call.poll_output() {
            self.log.push((self.now, output.clone()));
            if self.done.is_some() {
                return self.wrong(format!("{output:?} after the end"));
            }
            let whole = self.whole.take();
            match output {
                Output::Respond {
                    turn,
                    prompt,
                    responder,
                } => {
                    self.respond(turn, prompt, responder);
                }
                Output::Transcribe { stretch, heard } => {
                    if let Some(wrong) = self.listener.told(self.now, stretch, heard) {
                        self.wrong(wrong);
                    }
                    for (after_ms, writes) in (self.transcriber)(stretch, heard) {
                        self.later(after_ms, Event::Writes(stretch, writes));
                    }
                }
                Output::Speak {
                    utterance,
                    text,
                    voice,
                    ..
                } => self.speak(utterance, &text, voice),
                Output::Play { .. } | Output::Note(Note::Said { .. } | Note::Answered { .. })
                    if self.early.is_some() =>
                {
                    self.wrong(format!("{output:?} before the turn had ended"));
                }
                Output::Play { samples } => self.play(samples),
                Output::Mark(mark) => {
                    if mark.epoch != self.clears {
                        self.wrong(format!("{mark:?} after {} clears", self.clears));
                    }
                    self.later(self.latency_ms, Event::Marks(mark));
                }
                Output::Clear => {
                    cleared_now = true;
                    self.clears += 1;
                    self.cleared = self.utterance;
                    self.replaced = None;
                    self.mouth.forget();
                    self.later(self.latency_ms, Event::Clears);
                }
                Output::Forget => {
                    cleared_now = true;
                    self.cleared = self.utterance;
                    self.replaced = None;
                    self.mouth.forget();
                }
                Output::Hold { samples } => {
                    self.holds += 1;
                    self.clears += 1;
                    self.later(self.latency_ms, Event::Clears);
                    let more = (self.edge)();
                    self.more_ms += ms(more);
                    match self.mouth.hold(samples, more) {
                        Ok(back) => taken_back = Some(back),
                        Err(wrong) => self.wrong(wrong),
                    }
                }
                Output::Depart(to) => {
                    if !self.owed.is_empty() {
                        self.wrong(format!("it departs before {:?} was heard", self.owed));
                    }
                    self.leaves(Some(&to));
                }
                Output::Note(Note::Departed { to: None }) => self.leaves(None),
                Output::Note(Note::Departed { .. }) => {}
                Output::Note(Note::Returned { .. }) => {
                    self.away = false;
                    self.clears += 1;
                    self.holds += 1; // what was on the way
                    self.mouth.resume();
                    self.unheard_since = self.unheard_since.map(|_| self.now);
                    self.unanswered_since = self.unanswered_since.map(|_| self.now);
                }
                Output::Note(Note::Resumed { .. }) => {
                    if !self.mouth.is_held() {
                        self.wrong("the agent goes on and was not stopped".into());
                    }
                    self.mouth.resume();
                    self.unheard_since = self.unheard_since.map(|_| self.now);
                }
                Output::Cancel { utterance } => {
                    self.cancelled = utterance;
                    self.speaking = None;
                    self.unheard_since = None;
                }
                Output::CancelReply { turn, heard } => {
                    if self.early.is_some() && !heard.is_empty() {
                        self.wrong(format!(
                            "{heard:?} was heard of an answer that was held back"
                        ));
                    }
                    self.wanted_turn = turn + 1;
                    self.in_flight = None;
                    self.unanswered_since = None;
                    self.held.retain(|(held, _)| *held > turn);
                }
                Output::HeardWhole { utterance, .. } if whole != Some(utterance) => {
                    self.wrong(format!(
                        "utterance {utterance} was heard whole, but the story does not say so"
                    ));
                }
                Output::Note(Note::Heard {
                    utterance,
                    text,
                    heard_bytes,
                    heard_ms,
                    sent_ms,
                    whole,
                }) => {
                    self.was_heard(utterance, heard_ms, sent_ms, whole);
                    if text.get(..heard_bytes).is_none() || whole && heard_bytes < text.len() {
                        self.wrong(format!(
                            "{heard_bytes} bytes heard of {text:?}, whole: {whole}"
                        ));
                    }
                    if whole && !self.mixed && !self.mouth.is_played(utterance) {
                        self.wrong(format!(
                            "utterance {utterance} was heard whole and not played so"
                        ));
                    }
                    if text.starts_with(FIRM) && heard_ms > 0 && heard_ms < sent_ms {
                        firm_cut = true;
                    }
                }
                Output::Note(Note::VoiceReplaced {
                    utterance,
                    voice,
                    again: true,
                    ..
                }) => {
                    if !self.owed.remove(&utterance) {
                        self.wrong(format!("utterance {utterance} was replaced without need"));
                    }
                    if self.sounded.contains(&utterance) {
                        self.wrong(format!(
                            "utterance {utterance} is said again after it had begun to sound"
                        ));
                    }
                    self.replaced = Some(voice);
                }
                Output::Note(Note::Said {
                    utterance, text, ..
                }) if text.is_empty() => {
                    self.utterance = self.utterance.max(utterance);
                    self.owed.insert(utterance);
                }
                Output::Note(Note::Wasted { turn }) => {
                    if self.early.take() != Some(turn) || self.in_flight.is_some() {
                        self.wrong(format!("turn {turn} was wasted, which was not held back"));
                    }
                }
                Output::Note(Note::BargeIn { .. }) => barged_in = true,
                Output::Note(Note::ResponderReplaced { responder, .. }) => {
                    self.replaced_responder = Some(responder);
                }
                Output::Note(Note::TurnEnded {
                    turn,
                    reason,
                    waited_ms,
                    ..
                }) => {
                    if self.early.is_some_and(|early| early != turn) {
                        self.wrong(format!(
                            "turn {turn} ends while {:?} is held back",
                            self.early
                        ));
                    }
                    self.turn_ended = true;
                    if self.early.take().is_some() {
                        self.turn_ended = false;
                        let prompt = self.prompts.last().map(|last| last.0.clone());
                        let asked =
                            prompt.and_then(|prompt| self.listener.asked(self.now, &prompt));
                        if let Some(wrong) = asked {
                            self.wrong(wrong);
                        }
                    }
                    if let Some(wrong) = self.listener.turn_ended(reason, waited_ms) {
                        self.wrong(wrong);
                    }
                }
                Output::Done(why) => {
                    self.done = Some(why);
                    self.falls_silent();
                    if !self.owed.is_empty() {
                        self.wrong(format!("utterances {:?} never ended in a Heard", self.owed));
                    }
                }
                Output::SpeechStarted { turn } | Output::SpeechPaused { turn } => {
                    if turn != self.early.unwrap_or(self.asked + 1) {
                        self.wrong(format!(
                            "the caller speaks in turn {turn} after turn {}",
                            self.asked
                        ));
                    }
                }
                Output::HeardWhole { .. }
                | Output::HangUp
                | Output::SaidSoFar { .. }
                | Output::Note(
                    Note::Said { .. }
                    | Note::Transcript { .. }
                    | Note::TranscriberReplaced { .. }
                    | Note::CallerStarted { .. }
                    | Note::Answered { .. }
                    | Note::Digit { .. }
                    | Note::NoInput { .. }
                    | Note::VoiceReplaced { .. }
                    | Note::Failed { .. }
                    | Note::Ended { .. },
                ) => {}
            }
        }
        if barged_in && firm_cut {
            self.wrong("the caller cut off what he cannot interrupt".into());
        }
        // A key that waited behind what he interrupted is a turn at once, and so is speech that was over.
        let given_away = matches!(self.call.floor(), Floor::Listening | Floor::Thinking);
        if barged_in && (!cleared_now || !given_away) {
            self.wrong("a barge-in that did not clear, or did not give the floor away".into());
        }
        if let Some(samples) = taken_back.filter(|_| self.done.is_none()) {
            self.tell(Input::TakenBack { samples });
            self.obey();
        }
        if self.done.is_none()
            && self.call.poll_timeout().is_none()
            && self.settings.max_call_secs > 0
        {
            self.wrong("nothing will ever end this call".into());
        }
    }

    fn respond(&mut self, turn: Turn, prompt: Prompt, responder: u32) {
        if let Some(other) = self.in_flight {
            self.wrong(format!("turn {turn} is asked while {other} is in flight"));
        }
        if turn != self.asked + 1 {
            self.wrong(format!("turn {turn} follows turn {}", self.asked));
        }
        let speech = matches!(prompt, Prompt::Speech { .. });
        match (self.replaced_responder, self.early) {
            (Some(_), early) => self.early = early.map(|_| turn),
            (None, Some(early)) => {
                self.wrong(format!("turn {turn} is asked while {early} is held back"));
            }
            (None, None) if speech && !self.turn_ended => self.early = Some(turn),
            (None, None) => {
                let asked = self.listener.asked(self.now, &prompt);
                if let Some(wrong) = asked {
                    self.wrong(wrong);
                }
            }
        }
        if self.early.is_some() && !self.settings.speculate {
            self.wrong(format!("turn {turn} is asked before it had ended"));
        }
        self.turn_ended = false;
        self.asked = turn;
        self.in_flight = Some(turn);
        if responder >= self.responders {
            return self.wrong(format!(
                "responder {responder} is asked in a line of {}",
                self.responders
            ));
        }
        if let Some(failed) = self.replaced_responder.take()
            && (responder != failed + 1 || Some(&prompt) != self.prompts.last().map(|last| &last.0))
        {
            self.wrong(format!(
                "responder {responder} is asked {prompt:?} because responder {failed} failed"
            ));
        }
        self.prompts.push((prompt, responder));
        let fallbacks = self.responders - 1 - responder;
        let begins = Does::Begins {
            responder,
            fallbacks,
        };
        self.unanswered_since = (fallbacks > 0).then_some(self.now);
        self.later(0, Event::Does(turn, begins));
        for (after_ms, does) in (self.responder)(turn) {
            self.later(after_ms, Event::Does(turn, does));
        }
    }

    fn speak(&mut self, utterance: Utterance, text: &str, voice: u32) {
        // As the leg does: another line is begun at its head.
        let voice = if std::mem::take(&mut self.line_changed) {
            0
        } else {
            voice
        };
        if voice >= self.line {
            return self.wrong(format!("voice {voice} is asked in a line of {}", self.line));
        }
        if let Some(failed) = self.replaced.take()
            && voice <= failed
            && voice > 0
        {
            self.wrong(format!("voice {voice} says what voice {failed} could not"));
        }
        let fallbacks = self.line - 1 - voice;
        self.later(0, Event::Begun(utterance, voice, fallbacks));
        self.unheard_since = (fallbacks > 0).then_some(self.now);
        if let Some(other) = self.speaking {
            self.wrong(format!(
                "utterance {utterance} is asked for while {other} arrives"
            ));
        }
        if utterance <= self.utterance {
            self.wrong(format!(
                "utterance {utterance} follows utterance {}",
                self.utterance
            ));
        }
        self.utterance = utterance;
        self.speaking = Some(utterance);
        self.owed.insert(utterance);
        self.unfinished.insert(utterance);
        let length_ms = 100 * text.chars().count() as u64;
        match (self.voice)(utterance, voice) {
            Manner::Speaks {
                after_ms,
                piece_ms,
                every_ms,
            } => {
                let (mut at, mut given) = (after_ms, 0);
                while given < length_ms {
                    let piece = piece_ms.clamp(1, length_ms - given);
                    self.later(at, Event::Audio(utterance, samples(piece)));
                    given += piece;
                    at += every_ms;
                }
                self.later(at, Event::Spoken(utterance));
            }
            Manner::Silent { after_ms } => self.later(after_ms, Event::Spoken(utterance)),
            Manner::Fails { after_ms, given_ms } => {
                if given_ms > 0 {
                    self.later(after_ms, Event::Audio(utterance, samples(given_ms)));
                }
                self.later(after_ms, Event::NotSpoken(utterance));
            }
            Manner::Babbles { after_ms } => {
                self.later(after_ms, Event::Spoken(utterance));
                for piece in 1..=10 {
                    self.later(after_ms + 30 * piece, Event::Audio(utterance, samples(50)));
                }
            }
            Manner::Hangs { given_ms } if given_ms > 0 => {
                self.later(100, Event::Audio(utterance, samples(given_ms)));
            }
            Manner::Hangs { .. } => {}
        }
    }

    fn play(&mut self, mut count: u64) {
        if self.away {
            self.wrong("something is played into no stream".into());
        }
        let lead_ms = self.call.lead_ms(self.now);
        if lead_ms > self.most_ms() {
            self.wrong(format!(
                "a lead of {lead_ms} ms; at most {} ms are allowed",
                self.most_ms()
            ));
        }
        while count > 0 {
            let (owner, piece) = match self.mouth.play(count) {
                Ok(played) => played,
                Err(wrong) => return self.wrong(wrong),
            };
            count -= piece;
            if matches!(owner, Owner::Voice(utterance) if utterance <= self.cleared) {
                self.wrong(format!("{owner:?} is played after it was cleared"));
            }
            self.later(self.latency_ms, Event::Plays(owner, piece));
        }
    }

    fn most_ms(&self) -> u64 {
        self.settings
            .lead_ms
            .max(self.settings.play_ms)
            .max(self.settings.first_play_ms)
    }

    fn was_heard(&mut self, utterance: Utterance, heard_ms: u64, sent_ms: u64, whole: bool) {
        if !self.owed.remove(&utterance) {
            self.wrong(format!(
                "utterance {utterance} ends in a second Heard, or was never asked for"
            ));
        }
        if heard_ms > sent_ms || (whole && heard_ms != sent_ms) {
            self.wrong(format!(
                "{heard_ms} of {sent_ms} ms of utterance {utterance} heard, whole: {whole}"
            ));
        }
        if whole && self.unfinished.contains(&utterance) {
            self.wrong(format!(
                "utterance {utterance} was heard whole before it was whole"
            ));
        }
        // Between marks the clock may be ahead of the carrier by the way there, and by as much as messages of this
        // instant, which have not been carried out yet.
        // Each time the agent was stopped, what was on the way there is told and was not heard; and what was taken back
        // of the utterance before counts to this one.
        let ahead_ms = (self.latency_ms + 1) * (1 + self.holds) + self.more_ms;
        let truth_ms = self.heard_ms(Owner::Voice(utterance));
        let strict = self.holds_back && !self.mixed && heard_ms > truth_ms + ahead_ms;
        if strict
            && self
                .heard
                .iter()
                .any(|sound| sound.owner == Owner::Voice(utterance))
        {
            self.wrong(format!(
                "{heard_ms} ms of utterance {utterance} told, {truth_ms} ms heard"
            ));
        }
        self.whole = whole.then_some(utterance);
    }

    /// How much of this has reached the caller's ear by now.
    pub(super) fn heard_ms(&self, owner: Owner) -> u64 {
        let of = self.heard.iter().filter(|sound| sound.owner == owner);
        ms(of
            .map(|sound| sound.to.min(self.now).samples_since(sound.from))
            .sum())
    }

    /// The rest of the time until `end`.
    pub(super) fn run_until(&mut self, end: CallTime) {
        let wait_ms = end.ms_since(self.now);
        self.later(wait_ms, Event::Tick);
        while self.now < end && self.step() {}
    }
}
