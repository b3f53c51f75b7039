//! `Call`: what is known of one conversation, and the doors through which it is told things. The decisions are next door:
//! about the caller in `turns`, about the agent's speech in `speaking`.
//!
//! Every door has the same shape: take note of the time, let the room next door decide, then `settle`, which
//! lets everything follow that has become possible. The door for the clock is in `deadlines`.

use super::away::{Away, Departing};
use super::barge_in::Stopped;
use super::ear::Ear;
use super::endpoint::Endpoint;
use super::heard::HeardReply;
use super::in_line::InLine;
use super::input::{Input, Why};
use super::leaving::Leaving;
use super::output::{Note, Output};
use super::playout::{Pace, Playout};
use super::responders::{Asked, OpenReply};
use super::saying::{Origin, Saying, Utterances};
use super::settings::Settings;
use super::silence::Silence;
use super::speaker::Speaker;
use super::strays::Strays;
use super::time::{CallTime, ms};
use super::transcript::Transcript;
use super::turns::CallersTurn;
use std::collections::VecDeque;
use std::sync::Arc;

/// Outputs that may wait to be fetched. One entry makes a few, or two for each of the utterances under way when they
/// are cut off; one who does not fetch them is not listened to until he does.
pub(super) const MAX_OUTPUTS: usize = 256;

/// Who may speak now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// The agent says his first sentence.
    Greeting,
    /// The caller, if he likes.
    Listening,
    /// Nobody: the agent is about to say something and has not begun.
    Thinking,
    /// The agent.
    Speaking,
    /// Nobody any more.
    Ended,
}

/// One conversation. See the [module](super) for how it is driven.
#[derive(Debug)]
pub struct Call {
    pub(super) settings: Arc<Settings>,
    /// The latest time we were told.
    pub(super) now: CallTime,
    started: bool,
    pub(super) floor: Floor,
    /// The responder listens himself and speaks when he likes.
    pub(super) own_turns: bool,

    // The caller.
    pub(super) ear: Ear,
    pub(super) transcript: Transcript,
    pub(super) endpoint: Endpoint,
    pub(super) turn: CallersTurn,
    pub(super) silence: Silence,
    /// Keys he pressed that are turns and have not been taken.
    pub(super) keys: VecDeque<char>,

    // Who answers him.
    pub(super) responder: InLine,
    pub(super) asked: Asked,
    /// The answer to what was asked last, until it is complete.
    pub(super) reply: Option<OpenReply>,
    /// What the caller heard of the latest answer, of the utterances that have left his ear.
    pub(super) heard_reply: HeardReply,
    pub(super) speaker: Speaker,

    // What he is told.
    /// The agent's utterances that have not left the caller's ear, in order.
    pub(super) sayings: VecDeque<Saying>,
    pub(super) utterances: Utterances,
    pub(super) voice: InLine,
    /// When the voice last gave us something, or last had nothing of its own standing ready.
    pub(super) voice_since: CallTime,
    pub(super) strays: Strays,
    pub(super) playout: Playout,
    pub(super) pace: Pace,
    /// Gaps the caller heard.
    pub(super) underruns: u32,
    pub(super) stopped: Stopped,

    // Where the call goes from here.
    pub(super) leaving: Option<Leaving>,
    /// The longest allowed time is over.
    pub(super) over: bool,
    /// The call will leave its stream when the agent has finished speaking, or cannot and the responder is told.
    pub(super) departing: Option<Departing>,
    /// When the responder was last asked what now, the call had not been elsewhere.
    pub(super) stayed: bool,
    /// It has none.
    pub(super) away: Option<Away>,

    pub(super) outputs: VecDeque<Output>,
    #[cfg(test)]
    pub(super) planted: Option<super::faults::Planted>,
}

impl Call {
    /// A call that has not begun.
    pub fn new(settings: impl Into<Arc<Settings>>) -> Call {
        let settings = settings.into();
        Call {
            now: CallTime(0),
            started: false,
            floor: Floor::Listening,
            own_turns: settings.own_turns,
            ear: Ear::new(&settings),
            transcript: Transcript::default(),
            endpoint: Endpoint::default(),
            turn: CallersTurn::default(),
            silence: Silence::default(),
            keys: VecDeque::new(),
            responder: InLine::default(),
            asked: Asked::default(),
            reply: None,
            heard_reply: HeardReply::default(),
            speaker: Speaker::default(),
            sayings: VecDeque::new(),
            utterances: Utterances::default(),
            voice: InLine::default(),
            voice_since: CallTime(0),
            strays: Strays::default(),
            playout: Playout::new(settings.mark_grace_ms),
            pace: Pace::new(&settings),
            underruns: 0,
            stopped: Stopped::default(),
            leaving: None,
            over: false,
            departing: None,
            stayed: false,
            away: None,
            outputs: VecDeque::new(),
            #[cfg(test)]
            planted: None,
            settings,
        }
    }

    /// The stream is open: greet, or listen. A second start is ignored.
    pub fn start(&mut self, now: CallTime) {
        if self.started || self.is_deaf() {
            return;
        }
        let now = self.tick(now);
        self.started = true;
        self.silence.begin(now);
        self.asked.first_words = self.settings.speaks_first && !self.own_turns;
        if let Some(text) = self.settings.greeting.clone() {
            self.say(text, Origin::Greeting);
        }
        if !self.sayings.is_empty() {
            self.floor = Floor::Greeting;
        }
        self.settle(now);
    }

    /// From now on the responder takes its own turns: it hears the sound itself and speaks when it likes. No end of
    /// turn is looked for, nothing it says is cut off, and silence is no reason to ask. What it sounds before the
    /// greeting has been heard is thrown away.
    pub fn set_own_turns(&mut self) {
        if self.ear.in_speech() && !self.own_turns {
            // No end of it will be looked for.
            let (spoke_ms, last_voiced) = (self.ear.spoke_ms(), self.ear.last_voiced());
            self.stretch_ended(self.now, spoke_ms, last_voiced);
        }
        self.waste(self.now);
        self.own_turns = true;
        self.turn.his = false;
        self.asked.first_words = false;
        self.reply = None;
    }

    /// The responder says while it starts which turns beside the caller's words it takes, instead of what the settings
    /// say of it; `None` leaves them as they are.
    pub fn set_taken(&mut self, first: Option<bool>, digits: Option<bool>, silence: Option<bool>) {
        let settings = Arc::make_mut(&mut self.settings);
        settings.speaks_first = first.unwrap_or(settings.speaks_first);
        settings.takes_digits = digits.unwrap_or(settings.takes_digits);
        settings.takes_silence = silence.unwrap_or(settings.takes_silence);
    }

    /// Something happened.
    pub fn handle_input(&mut self, now: CallTime, input: Input<'_>) {
        if self.is_deaf() {
            return;
        }
        let now = self.tick(now);
        match input {
            // Who takes his own turns also listens himself; these frames are all there is on a live line.
            Input::Heard { .. } if self.own_turns => return,
            // Of a stream that is no more.
            Input::Heard { .. } | Input::Digit(_) | Input::Marked(_) if self.away.is_some() => {
                return;
            }
            Input::Heard { voiced } => self.heard(now, voiced),
            Input::Digit(digit) => self.digit(now, digit),
            Input::Reply { turn, reply } => self.replied(now, turn, reply),
            Input::Speech { utterance, speech } => self.spoken(now, utterance, speech),
            Input::Marked(mark) => self.marked(now, mark),
            Input::Transcript { stretch, words } => self.transcribed(now, stretch, words),
            Input::Finished { stretch, percent } => self.judged(now, stretch, percent),
            Input::TakenBack { samples } => self.taken_back(now, samples),
            Input::Returned(back) => self.returned(now, back),
            Input::Stop(Why::StreamLost) if self.started => self.lose_stream(now),
            Input::Stop(why) => return self.end(now, why),
        }
        self.settle(now);
    }

    /// What to do, in order, until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Who may speak now.
    pub fn floor(&self) -> Floor {
        self.floor
    }

    /// Who says the responder's next words: the number that came with its last `Speaker` that has not been withdrawn.
    pub fn speaker(&self) -> u32 {
        self.speaker.now
    }

    /// Is the responder to give an answer, or more of it?
    pub fn awaits_reply(&self) -> bool {
        self.reply.is_some()
    }

    /// How often the caller heard a gap within an utterance because its sound came too late.
    pub fn underruns(&self) -> u32 {
        self.underruns
    }

    /// How far ahead of the caller's ear we have sent, in milliseconds.
    pub fn lead_ms(&self, now: CallTime) -> u64 {
        ms(self.playout.lead(now.max(self.now)))
    }

    pub(super) fn put(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn note(&mut self, note: Note) {
        self.put(Output::Note(note));
    }

    /// May nothing be told any more, or not until the outputs have been fetched?
    pub(super) fn is_deaf(&self) -> bool {
        self.floor == Floor::Ended || self.outputs.len() >= MAX_OUTPUTS
    }

    pub(super) fn tick(&mut self, now: CallTime) -> CallTime {
        self.now = self.now.max(now);
        self.now
    }

    /// Lets everything follow that has become possible, in the order in which one makes the next possible:
    ///
    /// 1. A turn that is over asks for its answer; else what follows would find nobody asked and nothing to say.
    /// 2. What is held goes on if it may no longer be held: then there is something to send.
    /// 3. What may be sent is sent, and the end of what has ended is marked; what has been heard is let go of.
    /// 4. With that gone nothing firm keeps a key from being a turn, the first words may be asked for, and what is held
    ///    may have been heard to its end.
    /// 5. With nothing under way strays are thrown away, and with no stray in the queue the next voice is asked.
    /// 6. With nothing left to say the call leaves its stream or ends, if it is to; else the floor falls to whom it
    ///    belongs by now.
    pub(super) fn settle(&mut self, now: CallTime) {
        if self.floor == Floor::Ended || self.away.is_some() {
            return;
        }
        self.end_turn_if_over(now);
        self.settle_held(now);
        self.pump(now);
        self.retire(now);
        self.take_keys(now);
        self.ask_for_first_words(now);
        self.settle_held(now);
        self.throw_strays_away(now);
        self.ask_voice(now);
        if self.leave_stream(now) {
            return;
        }
        match self.leaving {
            Some(leaving) if self.sayings.is_empty() => self.hang_up(now, leaving.why),
            Some(_) | None => self.pass_floor(now),
        }
        debug_assert_eq!(self.fault(), None, "at {now}: {self:#?}");
    }

    fn pass_floor(&mut self, now: CallTime) {
        let floor = match self.sayings.front() {
            _ if self.is_early() => Floor::Listening,
            Some(saying) if saying.origin == Origin::Greeting => Floor::Greeting,
            Some(saying) if saying.sent > 0 || self.floor == Floor::Speaking => Floor::Speaking,
            Some(_) => Floor::Thinking,
            None if self.reply.is_some() => Floor::Thinking,
            None => Floor::Listening,
        };
        let before = std::mem::replace(&mut self.floor, floor);
        if floor == Floor::Listening && before != Floor::Listening {
            self.silence.begin(now);
            if self.ear.in_speech() && !self.own_turns && !self.turn.his {
                self.turn.took_floor = false;
                self.begin_turn(); // he began while the agent was speaking and is still at it
                self.end_turn_if_over(now);
            }
        }
    }
}
