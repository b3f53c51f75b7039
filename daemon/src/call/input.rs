//! What the core is told: everything that can happen to a call, seen from outside.

/// A turn of the caller: everything he says before the agent takes over. Numbered from 1; 0 is "before the first".
pub type Turn = u32;

/// One stretch of the agent's speech, the unit of synthesis. Numbered from 1 within a call.
pub type Utterance = u32;

/// One stretch of the caller's speech, from the first voice to the silence that ends it, whatever comes of it: a cough
/// while the agent speaks is one. Numbered from 1 within a call; a turn holds one or more. The unit of transcription.
pub type Stretch = u32;

/// A mark sent to the carrier: where in the agent's speech it stands, and how often we had cleared when it was sent.
///
/// A carrier gives back every open mark when it clears, so a mark of an older `epoch` proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// Utterance that ends or passes here.
    pub utterance: Utterance,
    /// Samples of that utterance that lie before the mark.
    pub samples: u64,
    /// How often the carrier had been told to throw away what it held, by `Clear` or `Hold`, before this mark.
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
    /// The transcriber delivered something for a stretch of speech it was told of with `Transcribe`.
    Transcript { stretch: Stretch, words: Words<'a> },
    /// How likely the caller has finished, in percent, in the opinion of somebody who heard the stretch up to this pause.
    Finished { stretch: Stretch, percent: u8 },
    /// So many samples that had been sent and not been heard stand ready again, in front of all others: the answer to
    /// `Hold`, and its only one.
    TakenBack { samples: u64 },
    /// The carrier gave a mark back.
    Marked(Mark),
    /// A stream of this call is there again, after `Depart` or after one was lost.
    Returned(Return<'a>),
    /// The call is over or has to be: said by the carrier, the operator or the leg.
    Stop(Why),
}

/// What a responder says or does.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply<'a> {
    /// Somebody has been asked: the one at this place in the line of responders, and so many stand behind it. As
    /// [`Speech::Begun`].
    Begun { responder: u32, fallbacks: u32 },
    /// Words to say: one utterance.
    Text(&'a str, Wording),
    /// A piece of what it says: utterances are cut from the pieces at the ends of sentences. It is never firm.
    Piece(&'a str, Wording),
    /// From now on its words are said by this speaker: a number of the leg's that comes back with `Speak`. 0 is the
    /// agent's own voice and language.
    Speaker(u32),
    /// The next silence is told after so long; 0: after `no_input_ms` again.
    Silence { after_ms: u64 },
    /// The responder made this many samples of sound itself; they stand ready at the leg, in order of arrival.
    Audio { samples: u64 },
    /// End the call once everything said before has been heard.
    HangUp,
    /// Connect the caller elsewhere, or press keys on his line, once everything said before has been heard.
    Depart(Departure),
    /// It wanted the call elsewhere as by [`Reply::Depart`], and that cannot be: it is asked what now, with
    /// [`Prompt::Returned`](super::Prompt::Returned), once everything it has to say in this turn has been heard.
    Stays,
    /// Nothing more in this turn.
    Done,
    /// It could not answer; a sentence for the log.
    Failed(&'a str),
}

/// What a responder says of its words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wording {
    /// The caller cannot interrupt them.
    pub firm: bool,
    /// They are the same in other calls too: worth keeping as sound.
    pub fixed: bool,
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

/// What a transcriber delivers.
#[derive(Clone, Debug, PartialEq)]
pub enum Words<'a> {
    /// Who hears this stretch: the place in the line of transcribers, and so many stand behind it.
    Begun { transcriber: u32, fallbacks: u32 },
    /// Words so far, replaced by what follows.
    Partial(&'a str),
    /// All words of the stretch. An empty text says that there were none in it, which is more than not to know. Comes
    /// once.
    Final(&'a str),
    /// It could not be transcribed; a sentence for the log.
    Failed(&'a str),
}

/// Where a call goes when it leaves its stream and goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Departure {
    /// The caller is connected to this number.
    Transfer(String),
    /// These keys are pressed on his line; then the stream comes back.
    Digits(String),
}

/// How it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return<'a> {
    /// The stream had broken.
    Lost,
    /// The digits were sent.
    Digits,
    /// The transfer is over and the caller still there; how it went, in the carrier's word.
    Transfer { outcome: &'a str },
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The caller hung up: `stop` or the carrier's callback.
    CallerHungUp,
    /// The stream broke without a `stop`, and no other came.
    StreamLost,
    /// The caller was connected elsewhere and did not come back.
    Transferred,
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
