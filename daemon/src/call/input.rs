//! What the core is told: everything that can happen to a call, seen from outside.

/// A turn of the caller: everything he says before the agent takes over. Numbered from 1; 0 is "before the first".
pub type Turn = u32;

/// One stretch of the agent's speech, the unit of synthesis. Numbered from 1 within a call.
pub type Utterance = u32;

/// A mark sent to the carrier: where in the agent's speech it stands, and how often we had cleared when it was sent.
///
/// A carrier gives back every open mark when it clears, so a mark of an older `epoch` proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// Utterance that ends or passes here.
    pub utterance: Utterance,
    /// Samples of that utterance that lie before the mark.
    pub samples: u64,
    /// How many `Clear`s had been sent before this mark.
    pub epoch: u32,
}

/// What happened, seen from outside. Times come beside it.
#[derive(Clone, Debug, PartialEq)]
pub enum Input<'a> {
    /// A frame of the caller's audio (20 ms) arrived, and the detector's verdict on it.
    Heard { voiced: bool },
    /// The caller pressed a key.
    Digit(char),
    /// The responder wants something, for the turn it was asked about.
    Reply { turn: Turn, reply: Reply<'a> },
    /// The voice delivered something for an utterance that was asked for with `Speak`.
    Speech {
        utterance: Utterance,
        speech: Speech<'a>,
    },
    /// The carrier gave a mark back.
    Marked(Mark),
    /// The call is over or has to be: said by the carrier, the operator or the leg.
    Stop(Why),
}

/// What a responder says or does.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply<'a> {
    /// Words to say: one utterance.
    Text(&'a str),
    /// The responder made this many samples of sound itself; they stand ready at the leg, in order of arrival.
    Audio { samples: u64 },
    /// End the call once everything said before has been heard.
    HangUp,
    /// Nothing more in this turn.
    Done,
    /// It could not answer; a sentence for the log.
    Failed(&'a str),
}

/// What a voice delivers.
#[derive(Clone, Debug, PartialEq)]
pub enum Speech<'a> {
    /// A voice has been asked: the one at this place in the line (another than the core named if the line has changed
    /// meanwhile), and so many stand behind it. Comes first, whatever the voice then does. Until it comes the core
    /// takes it that there is no other voice.
    Begun { voice: u32, fallbacks: u32 },
    /// This many samples stand ready at the leg, in order of arrival.
    Audio { samples: u64 },
    /// The utterance is complete. Without any audio before it this is a failure.
    Done,
    /// It could not be spoken; a sentence for the log.
    Failed(&'a str),
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The caller hung up: `stop` or the carrier's callback.
    CallerHungUp,
    /// The stream broke without a `stop`.
    StreamLost,
    /// The responder asked for it.
    ResponderHungUp,
    /// Nobody spoke, too often.
    NoInput,
    /// The longest allowed time is over.
    TooLong,
    /// A voice or a responder failed and nothing was left to say.
    Failed,
    /// The operator ended it.
    Operator,
    /// The daemon is shutting down.
    Drained,
}
