//! What can happen in a [`World`](super::world::World): what everybody around the core does, and what becomes of marks.

use crate::call::input::{Departure, Mark, Return, Stretch, Turn, Utterance, Why, Wording};
use crate::call::time::CallTime;

/// A text that begins so cannot be interrupted.
pub(super) const FIRM: &str = "!";

/// Words of one call.
pub(super) const PLAIN: Wording = Wording {
    firm: false,
    fixed: false,
};

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
    /// Wanted to, for somewhere it cannot go.
    Stays,
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
