//! The conversation. `Call` is told what happened and when, and answers what to do; it touches nothing.
//!
//! Absent on purpose: clocks (time is an argument), sockets, threads, async, files, samples, JSON, carriers. What is
//! left can be drawn as a strip chart, simulated by seed and replayed from a recording of its inputs.
//!
//! One input, then drain the outputs until there are none, then wait for the next input or for `poll_timeout`:
//!
//! ```text
//! handle_input(now, input) ──┐                             ┌── Respond, Speak, Play, Mark, Clear, Cancel,
//!                            ├─→  ear · turns · playout  ──→    Note, HangUp, Done      (poll_output)
//! handle_timeout(now) ───────┘                             └── the next deadline and why (poll_timeout)
//!
//! ear     Quiet → Starting → Speaking → Stopping → Quiet
//! floor   Greeting → Listening → Thinking → Speaking → Listening;   barge-in: Speaking → Listening, after a stop
//!                                                            that may turn out to be none;   Ended from anywhere
//! ```
//!
//! The caller's side is `ear` (is he speaking?), `transcript` (what does he say?), `endpoint` (has he finished, by his
//! words and their `sentence`?), `turns` (whose floor is it?), `silence` (how long may nobody speak?), `early` (what is
//! asked before a turn is certain) and `barge_in` (what becomes of it if he speaks over the agent). The agent's side is
//! `responders` (who answers, and with what), `in_line` (who of several is asked), `speaker` (by whom he has it said),
//! `splitter` (utterances cut from an answer as it is written), `saying` (utterances from words to the caller's ear),
//! `speaking` (who makes their sound and when it is sent), `hold` (what was sent and is taken back), `strays` (sound that
//! belongs to none), `playout` (what the caller has heard by now) and `heard` (which words that was). `away` is what
//! becomes of both when the call leaves its stream, and `leaving` how it ends. `machine` holds them together, and
//! `deadlines` says what the clock brings.
//!
//! What the core expects of the one who drives it:
//!
//! - Samples stand ready in one queue, in the order in which they were told. `Play` takes from its front, `Clear` and
//!   `Forget` empty it. Sound of an utterance up to the last `Cancel` or after its own end, or of a turn up to the last
//!   `CancelReply`, that still arrives is dropped there and need not be told.
//! - `Hold` puts what was sent last and not heard in front again; how much that is comes back with `TakenBack`.
//! - `Speak` names a voice by its place in the line; `Begun` says first who was asked and how many stand behind.
//! - From `Speak` to the end of that utterance the responder's own sound is held back, or the two would mix.
//! - Outputs are drained before the next entry; time never runs backwards (if it does, it is taken to stand still).

// In tests `_` asks "anything else?" of one variant; in the machine it would swallow the next one.
#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]
#![forbid(unsafe_code)]

mod away;
mod barge_in;
mod deadlines;
mod ear;
mod early;
mod endpoint;
mod faults;
mod heard;
mod hold;
mod in_line;
mod input;
mod leaving;
mod machine;
mod output;
mod playout;
mod responders;
mod saying;
mod sentence;
mod settings;
mod silence;
mod speaker;
mod speaking;
mod splitter;
mod strays;
mod time;
mod transcript;
mod turns;

#[cfg(test)]
mod tests;

pub use heard::MAX_HEARD_BYTES;
pub use input::{
    Departure, Input, Mark, Reply, Return, Speech, Stretch, Turn, Utterance, Why, Wording, Words,
};
pub use machine::{Call, Floor};
pub use output::{Note, Output, Prompt, Sounded, Timer};
pub use saying::{MAX_QUEUED_UTTERANCES, MAX_TEXT_BYTES};
pub use settings::Settings;
pub use time::{CallTime, SAMPLES_PER_SEC};
pub use transcript::{MAX_STRETCH_BYTES, MAX_TURN_BYTES};
