//! What the core answers: what to do, what to write down, and when and why to come back.

use super::input::{Departure, Mark, Stretch, Turn, Utterance, Why};
use std::borrow::Cow;

/// What to do, in this order, before the next input.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// The caller's turn is over (or the call began with it): ask the responder at this place in the line to answer
    /// `turn`. To be answered with [`Reply::Begun`](super::Reply::Begun).
    ///
    /// With `speculate` it may come before that is certain: then `TurnEnded` of the same turn follows, and before it
    /// nothing of the answer is played; or `CancelReply` and `Wasted`. A responder that is replaced is cancelled first,
    /// and the next is asked the same under the next number.
    Respond {
        turn: Turn,
        prompt: Prompt,
        responder: u32,
    },
    /// Tell the responder that the caller began to speak.
    ///
    /// Comes again for the same turn when he goes on after `SpeechPaused`. Speech that does not take the floor (a
    /// cough while the agent speaks) is not told.
    SpeechStarted { turn: Turn },
    /// Tell it that he paused; not yet that he finished.
    SpeechPaused { turn: Turn },
    /// Tell it what he said so far. With a key that ended the turn: what he said before it, again whenever more is known.
    SaidSoFar { turn: Turn, text: String },
    /// Tell transcriber and endpointer how far a stretch of his speech has got. Told of every stretch, whoever has the
    /// floor, if there is somebody who listens.
    Transcribe { stretch: Stretch, heard: Sounded },
    /// Ask a voice for an utterance. `fixed` texts are the same in every call: worth keeping as sound. `voice` is a
    /// place in the line of the agent's voices: 0 his own, 1 its fallback, and so on. To be answered with
    /// [`Speech::Begun`](super::Speech::Begun).
    Speak {
        utterance: Utterance,
        text: Cow<'static, str>,
        fixed: bool,
        voice: u32,
        speaker: u32,
    },
    /// Send this many of the samples that stand ready, in order. Never more than stand ready.
    Play { samples: u64 },
    /// Send a mark behind what was played.
    Mark(Mark),
    /// Throw away what the carrier holds, and every sample that stands ready.
    Clear,
    /// As `Clear`, but nothing is lost: of what was sent the last `samples` were not heard. They, and some before them so
    /// that it begins at the edge of a word, stand ready again in front of all others. To be answered at once with
    /// [`Input::TakenBack`](super::Input::TakenBack).
    Hold { samples: u64 },
    /// Throw away every sample that stands ready; the carrier holds none.
    Forget,
    /// The voice need not go on with this utterance nor any before it.
    Cancel { utterance: Utterance },
    /// The responder need not go on with this turn nor any before it. What the caller heard of the answer to it.
    ///
    /// `withdrawn`: the turn is none. He has heard nothing of its answer, the speaker is again who it was before, and
    /// what he said in it comes again with what he goes on to say, unless he presses a key instead. So is one that nobody
    /// was asked about, if there was no word in it.
    CancelReply {
        turn: Turn,
        heard: String,
        withdrawn: bool,
    },
    /// Tell the responder what was heard to its end.
    HeardWhole { utterance: Utterance, turn: Turn },
    /// For the record: what happened in the conversation.
    Note(Note),
    /// Close the stream; everything worth hearing has been heard, and the call goes on elsewhere. Nothing is done until
    /// [`Input::Returned`](super::Input::Returned), and the leg is kept until then or until `Done`.
    Depart(Departure),
    /// Close the stream; everything worth hearing has been heard.
    HangUp,
    /// The core has nothing more to say; no input will be answered.
    Done(Why),
}

/// What a responder is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// The caller has spoken. His words, if they are known; without them he may have said something, or stopped the agent
    /// with a cough.
    Speech { text: Option<String> },
    /// He pressed a key.
    Digit(char),
    /// Nobody has spoken, so often in a row.
    Silence { count: u32 },
    /// The call has begun, and the responder speaks first.
    Start,
    /// The call is back from elsewhere.
    Returned,
}

/// How far a stretch of speech has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sounded {
    /// It has begun, or goes on after a pause.
    Started,
    /// He paused. What he says next belongs to the same stretch, if he does so soon.
    Paused,
    /// It is over: all its words are wanted.
    Ended,
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
        /// Letters of `text` that were heard, cut between words, as near as the times tell.
        heard_bytes: usize,
        heard_ms: u64,
        sent_ms: u64,
        whole: bool,
    },
    /// The caller began to speak.
    CallerStarted { turn: Turn },
    /// What began as a turn of the caller's was none: not a word in so much sound, in the opinion of a transcriber.
    NoWords { spoke_ms: u64 },
    /// The caller's turn is over: how long he spoke, how long we waited to be sure, and why so long.
    TurnEnded {
        turn: Turn,
        spoke_ms: u64,
        waited_ms: u64,
        reason: &'static str,
    },
    /// What the caller said in a stretch, final, and how long after its end the words came.
    Transcript {
        stretch: Stretch,
        text: String,
        /// Since the stream started.
        from_ms: u64,
        to_ms: u64,
        /// Since the transcriber was told that the stretch is over.
        after_ms: u64,
    },
    /// The responder was asked before the turn was certain, and its answer to `turn` was thrown away unheard.
    Wasted { turn: Turn },
    /// The caller went on before he had heard anything of the answer to `turn`: what he said in it is asked again with
    /// the rest.
    Withdrawn { turn: Turn },
    /// The agent's answer began to sound this long after the turn was decided.
    Answered { turn: Turn, after_ms: u64 },
    /// The caller took the floor while the agent spoke.
    BargeIn {
        utterance: Utterance,
        voiced_ms: u64,
    },
    /// It was no barge-in, and the agent goes on: he was silent for so long. `words` is what the caller said, such as
    /// "mm-hm", if anybody knows.
    Resumed {
        utterance: Utterance,
        silent_ms: u64,
        words: String,
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
    /// A responder failed, and the next in the line has its place for this turn and those that follow.
    ResponderReplaced {
        turn: Turn,
        /// The place in the line of the one that failed.
        responder: u32,
        after_ms: u64,
        reason: String,
    },
    /// A transcriber failed, and the next in the line hears the stretches that follow.
    TranscriberReplaced {
        stretch: Stretch,
        transcriber: u32,
        /// Since the stretch was over; 0 if it was not.
        after_ms: u64,
        reason: String,
    },
    /// The call left its stream.
    Departed {
        /// `None`: the stream broke.
        to: Option<Departure>,
    },
    /// It is back, after so long.
    Returned { after_ms: u64 },
    /// A step failed; `step` is "responder", "transcriber" or "voice", and a voice fails here only if none stands behind it.
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
    /// It was no barge-in: the agent goes on.
    Resume,
    /// Nobody has spoken for too long.
    NoInput,
    /// A responder or a voice has not answered in time, or a voice has fallen silent.
    PluginDeadline,
    /// The last mark has not come back in time.
    MarkOverdue,
    /// A stream that broke has not come back in time.
    Return,
    /// The call has lasted as long as it may.
    MaxCall,
}
