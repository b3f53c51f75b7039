//! One utterance of the agent, from the words to the caller's ear.
//!
//! ```text
//!  Queued ──Speak──→ Arriving ──Done──→ Complete ──last mark──→ gone, with one `Note::Heard`
//!    ↑                  │ └── sound stands ready, is sent, is heard, all at the same time ──┘
//!    └──── failed ──────┘ before any sound came, and another voice stands behind the one that was asked
//! ```
//!
//! Sound that a responder makes itself has no words and begins at Arriving.

use super::heard::{beginning, estimated_samples, heard_bytes};
use super::input::{Turn, Utterance};
use super::output::Note;
use super::time::{CallTime, ms};
use std::borrow::Cow;

/// Utterances of one reply that may wait to be spoken or heard; more are refused with a note. At two seconds each
/// this is a minute of speech in advance.
pub const MAX_QUEUED_UTTERANCES: usize = 32;

/// Length of one utterance's text; a longer one is refused with a note. Several minutes of speech, and less than
/// makers of voices accept in one request.
pub const MAX_TEXT_BYTES: usize = 4000;

/// Whose words these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The agent's first sentence.
    Greeting,
    /// One of his other fixed sentences: a prompt, an apology, a goodbye.
    Sentence,
    /// The responder's words, for the voice to speak.
    Words,
    /// The responder's own sound.
    Sound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Queued,
    Arriving,
    Complete,
}

/// The numbers of utterances, in the order in which they are begun.
#[derive(Debug, Default)]
pub(super) struct Utterances {
    latest: Utterance,
    cancelled: Utterance,
}

impl Utterances {
    /// Another one is begun: its number.
    pub(super) fn begin(&mut self) -> Utterance {
        self.latest += 1;
        self.latest
    }

    /// The one begun last; 0 before the first.
    pub(super) fn latest(&self) -> Utterance {
        self.latest
    }

    /// All that were begun are cancelled: the latest, if it was not before.
    pub(super) fn cancel(&mut self) -> Option<Utterance> {
        let new = self.latest > self.cancelled;
        self.cancelled = self.latest;
        new.then_some(self.latest)
    }

    pub(super) fn is_cancelled(&self, utterance: Utterance) -> bool {
        utterance <= self.cancelled
    }
}

#[derive(Debug)]
pub(super) struct Saying {
    /// Its number; 0 until the voice is asked, so that numbers follow the order of what is said.
    pub(super) utterance: Utterance,
    pub(super) turn: Turn,
    pub(super) text: Cow<'static, str>,
    pub(super) origin: Origin,
    /// The caller cannot interrupt it.
    pub(super) firm: bool,
    /// It is said in other calls too: worth keeping as sound.
    pub(super) fixed: bool,
    /// It is said when the call is back in a stream.
    pub(super) when_back: bool,
    /// Who says it: a number of the leg's.
    pub(super) speaker: u32,
    pub(super) stage: Stage,
    /// The voice failed in the middle: it will never be heard whole.
    pub(super) broken: bool,
    /// The voice never said that this is all, though it may be.
    pub(super) endless: bool,
    /// When the voice was asked for it.
    pub(super) asked: CallTime,
    /// Voices that could say it in the place of the one that was asked.
    pub(super) fallbacks: u32,
    /// Samples the leg was told of.
    pub(super) arrived: u64,
    /// Samples sent.
    pub(super) sent: u64,
    /// The story has been told that it began.
    pub(super) said: bool,
    /// Samples sent before some were taken back, and how many of them had been heard.
    pub(super) sent_before: u64,
    pub(super) heard_before: u64,
    /// Position in the playout of its first sample.
    pub(super) start: u64,
    /// Samples in front of its latest mark.
    pub(super) marked: u64,
    pub(super) end_marked: bool,
    /// Its last mark came back, or was given up.
    pub(super) end_heard: bool,
}

impl Saying {
    pub(super) fn new(turn: Turn, text: Cow<'static, str>, origin: Origin) -> Saying {
        Saying {
            utterance: 0,
            turn,
            text,
            origin,
            firm: false,
            fixed: matches!(origin, Origin::Greeting | Origin::Sentence),
            when_back: false,
            speaker: 0,
            stage: Stage::Queued,
            broken: false,
            endless: false,
            asked: CallTime(0),
            fallbacks: 0,
            arrived: 0,
            sent: 0,
            said: false,
            sent_before: 0,
            heard_before: 0,
            start: 0,
            marked: 0,
            end_marked: false,
            end_heard: false,
        }
    }

    /// Samples that stand ready.
    pub(super) fn ready(&self) -> u64 {
        self.arrived - self.sent
    }

    pub(super) fn is_arriving(&self) -> bool {
        self.stage == Stage::Arriving
    }

    /// Was the voice asked for it, or did it bring its own sound? Then it owes the story a `Heard`.
    pub(super) fn is_under_way(&self) -> bool {
        self.stage != Stage::Queued
    }

    /// Is it what the responder answers to `turn`?
    pub(super) fn answers(&self, turn: Turn) -> bool {
        self.turn == turn && matches!(self.origin, Origin::Words | Origin::Sound)
    }

    /// Does the voice owe us more of it?
    pub(super) fn awaits_voice(&self) -> bool {
        self.is_arriving() && self.origin != Origin::Sound
    }

    /// Has so much of it come that an ordinary voice could have said it all? Then only the word that it is complete may
    /// be missing.
    pub(super) fn may_be_whole(&self) -> bool {
        self.awaits_voice() && self.arrived * 3 >= estimated_samples(&self.text) * 2
    }

    /// Has all of it been sent, and the mark behind it?
    pub(super) fn is_sent(&self) -> bool {
        self.stage == Stage::Complete && self.ready() == 0 && (self.end_marked || self.arrived == 0)
    }

    /// Has it left the caller's ear?
    pub(super) fn is_over(&self) -> bool {
        self.is_sent() && (self.end_heard || self.arrived == 0)
    }

    /// A mark says that the playout has got to `position`.
    pub(super) fn heard_up_to(&mut self, position: u64) {
        self.end_heard |= self.end_marked && self.start + self.sent <= position;
    }

    /// Samples of it that reached the caller, if the head is at `head`.
    pub(super) fn heard(&self, head: u64) -> u64 {
        if self.end_heard {
            self.sent
        } else {
            (head.saturating_sub(self.start).min(self.sent)).max(self.heard_before)
        }
    }

    /// The last of what was sent stands ready again, at most so much. Returns how much that is. The head had got to
    /// `head`.
    pub(super) fn take_back(&mut self, samples: u64, head: u64) -> u64 {
        let count = samples.min(self.sent);
        self.heard_before = self.heard(head);
        self.sent_before = self.sent_before.max(self.sent);
        self.sent -= count;
        self.marked = self.marked.min(self.sent);
        self.end_marked &= count == 0;
        self.end_heard &= count == 0;
        count
    }

    /// Is it the responder's own sound, and has some of it been heard, if the head is at `head`?
    pub(super) fn sounded(&self, head: u64) -> bool {
        self.origin == Origin::Sound && self.heard(head) > 0
    }

    /// Has it been heard to its end, if the head is at `head`?
    pub(super) fn is_whole(&self, head: u64) -> bool {
        !self.broken
            && !self.endless
            && self.sent > 0
            && self.is_sent()
            && self.heard(head) == self.sent
    }

    /// Letters of its text that were heard, if the head is at `head`.
    fn heard_bytes(&self, head: u64) -> usize {
        if self.is_whole(head) {
            return self.text.len();
        }
        let total = if self.stage == Stage::Complete && !self.broken {
            self.arrived
        } else {
            // Its end has not come, so it is longer than what has.
            self.arrived.max(estimated_samples(&self.text))
        };
        heard_bytes(&self.text, self.heard(head), total)
    }

    /// The words of it that were heard, if the head is at `head`.
    pub(super) fn heard_text(&self, head: u64) -> &str {
        beginning(&self.text, self.heard_bytes(head))
    }

    /// What the story tells when it leaves the caller's ear.
    pub(super) fn leaves(&self, head: u64) -> Note {
        Note::Heard {
            utterance: self.utterance,
            text: self.text.clone(),
            heard_bytes: self.heard_bytes(head),
            heard_ms: ms(self.heard(head)),
            sent_ms: ms(self.sent.max(self.sent_before)),
            whole: self.is_whole(head),
        }
    }
}
