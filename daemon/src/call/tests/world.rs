//! A world for the core to live in, for tests: a leg with its queue of samples, a carrier that plays in real time, a
//! voice and a responder, all in virtual time. It does what it is told, and watches: whatever the core must never do
//! is checked at every step. Charts draw what happened in it; the simulation fills it with accidents.

mod listener;
mod mouth;
mod obeys;
mod tells;

use self::listener::Listener;
use self::mouth::Mouth;
pub(super) use super::happenings::{Does, Event, FIRM, Fate, Manner, Owner, Sound, Writes};
use crate::call::input::{Departure, Input, Mark, Return, Stretch, Turn, Utterance, Why};
use crate::call::machine::Call;
use crate::call::output::{Output, Prompt, Sounded};
use crate::call::settings::Settings;
use crate::call::time::{CallTime, ms};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

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
    /// The latest turn that was answered with sound of the responder's own.
    sounded_turn: Turn,
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
            sounded_turn: 0,
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
