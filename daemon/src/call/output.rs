//! What the core answers: what to do, what to write down, and when and why to come back.

use super::input::{Mark, Turn, Utterance, Why};
use std::borrow::Cow;

/// What to do, in this order, before the next input.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// The caller's turn is over (or the call began with it): ask the responder to answer `turn`.
    Respond { turn: Turn },
    /// Tell responder and transcriber that the caller began to speak.
    ///
    /// Comes again for the same turn when he goes on after `SpeechPaused`. Speech that does not take the floor (a
    /// cough while the agent speaks) is not told.
    SpeechStarted { turn: Turn },
    /// Tell them that he paused; not yet that he finished.
    SpeechPaused { turn: Turn },
    /// Ask a voice for an utterance. `fixed` texts are the same in every call: worth keeping as sound. `voice` is a
    /// place in the line of the agent's voices: 0 his own, 1 its fallback, and so on. To be answered with
    /// [`Speech::Begun`](super::Speech::Begun).
    Speak {
        utterance: Utterance,
        text: Cow<'static, str>,
        fixed: bool,
        voice: u32,
    },
    /// Send this many of the samples that stand ready, in order. Never more than stand ready.
    Play { samples: u64 },
    /// Send a mark behind what was played.
    Mark(Mark),
    /// Throw away what the carrier holds, and every sample that stands ready.
    Clear,
    /// The voice need not go on with this utterance nor any before it.
    Cancel { utterance: Utterance },
    /// The responder need not go on with this turn nor any before it.
    CancelReply { turn: Turn },
    /// Tell the responder what was heard to its end.
    HeardWhole { utterance: Utterance, turn: Turn },
    /// For the record: what happened in the conversation.
    Note(Note),
    /// Close the stream; everything worth hearing has been heard.
    HangUp,
    /// The core has nothing more to say; no input will be answered.
    Done(Why),
}

/// One line of the call's story, kept in the store and shown to people.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// The agent began to say something. Sound that a responder made itself has an empty text.
    Said {
        utterance: Utterance,
        turn: Turn,
        text: Cow<'static, str>,
    },
    /// An utterance left the caller's ear: `heard_ms` of `sent_ms` reached him; `whole` if to the end.
    Heard {
        utterance: Utterance,
        text: Cow<'static, str>,
        heard_ms: u64,
        sent_ms: u64,
        whole: bool,
    },
    /// The caller began to speak.
    CallerStarted { turn: Turn },
    /// The caller's turn is over: how long he spoke, how long we waited to be sure, and why so long.
    TurnEnded {
        turn: Turn,
        spoke_ms: u64,
        waited_ms: u64,
        reason: &'static str,
    },
    /// The agent's answer began to sound this long after the turn was decided.
    Answered { turn: Turn, after_ms: u64 },
    /// The caller took the floor while the agent spoke.
    BargeIn {
        utterance: Utterance,
        voiced_ms: u64,
    },
    /// The caller pressed a key.
    Digit { digit: char },
    /// Nobody spoke for so long.
    NoInput { count: u32 },
    /// A voice failed and the next in the line has its place from now on. `again`: it says the whole utterance, under
    /// a new number, because nothing of this one had come; else what had come is all the caller hears of it.
    VoiceReplaced {
        utterance: Utterance,
        turn: Turn,
        /// The place in the line of the one that failed.
        voice: u32,
        /// From the `Speak` to the failure.
        after_ms: u64,
        again: bool,
        reason: String,
    },
    /// A step failed; `step` is "responder" or "voice", and a voice fails here only if none stands behind it.
    Failed { step: &'static str, text: String },
    /// The call ended.
    Ended { why: Why },
}

/// Which deadline woke us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timer {
    /// The caller has been silent long enough for it to mean something: a pause, then the end of his turn.
    Endpoint,
    /// The carrier's buffer has room for more of what stands ready.
    Pace,
    /// Nobody has spoken for too long.
    NoInput,
    /// A responder or a voice has not answered in time, or a voice has fallen silent.
    PluginDeadline,
    /// The last mark has not come back in time.
    MarkOverdue,
    /// The call has lasted as long as it may.
    MaxCall,
}
