//! What is told of a simulated call: as it happens, and in the end.

use std::fmt;
use std::time::Instant;

/// Something that happened in a call, for a timeline.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// TwiML for this call came, after so long.
    WebhookAnswered {
        call_sid: String,
        ms: f64,
    },
    /// `start` was sent; again for each further stream of the call.
    Started,
    AgentSpeaks,
    AgentSilent,
    CallerSpeaks,
    CallerSilent,
    Pressed(char),
    /// The daemon threw away what the carrier held.
    Cleared {
        unplayed_ms: u64,
    },
    MarkReturned(String),
    /// The daemon sent something the carrier would have complained about.
    Violation(&'static str),
    CallerHungUp,
    /// The connection of the stream broke, as the script wanted.
    StreamBroke,
    /// A further stream of the call was refused.
    StreamRefused(String),
    /// The daemon closed the stream, with this code if it said one.
    DaemonClosed(Option<u16>),
    /// The carrier followed the document, or asked for another.
    Followed(String),
}

/// What came of a call.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub call_sid: String,
    /// Of the latest stream.
    pub stream_sid: String,
    /// How many there were.
    pub streams: u32,
    /// What the caller's ear got from `start` to the end, µ-law in real time; of several streams one after the other.
    pub heard: Vec<u8>,
    /// What the caller's mouth gave, the same way.
    pub said: Vec<u8>,
    /// When each 20 ms of that were handed to the socket.
    pub said_at: Vec<Instant>,
    /// With milliseconds since the first `start`.
    pub happenings: Vec<(u64, Happening)>,
    pub webhook_ms: f64,
    /// When each media message was read off the socket.
    pub media_at: Vec<Instant>,
    /// From `start` sent to the first media message.
    pub first_audio_ms: Option<f64>,
    /// From the end of what the caller said to the agent being heard.
    pub response_ms: Vec<u64>,
    pub clears: u32,
    /// When each of them was read off the socket.
    pub cleared_at: Vec<Instant>,
    pub marks: u32,
    pub violations: u32,
    /// Times the carrier had nothing to play although the agent had not marked the end of what he said.
    pub underruns: u32,
    /// The longest of them, in milliseconds.
    pub longest_underrun_ms: u64,
    /// The daemon's close code, when it closed first.
    pub close_code: Option<u16>,
    /// What the carrier did after a stream, as the documents told it: `redirect`, `hang up`, `say Sorry …`, `press 12`,
    /// `dial +15550199`.
    pub then: Vec<String>,
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Happening::WebhookAnswered { call_sid, ms } => {
                write!(f, "call {call_sid}, the webhook answered after {ms:.1} ms")
            }
            Happening::Started => f.write_str("stream started"),
            Happening::AgentSpeaks => f.write_str("agent speaks"),
            Happening::AgentSilent => f.write_str("agent is silent"),
            Happening::CallerSpeaks => f.write_str("caller speaks"),
            Happening::CallerSilent => f.write_str("caller is silent"),
            Happening::Pressed(digit) => write!(f, "caller presses {digit}"),
            Happening::Cleared { unplayed_ms } => {
                write!(f, "daemon clears {unplayed_ms} ms not yet played")
            }
            Happening::MarkReturned(name) => write!(f, "mark {name} returned"),
            Happening::Violation(reason) => write!(f, "the carrier would complain: {reason}"),
            Happening::CallerHungUp => f.write_str("caller hangs up"),
            Happening::DaemonClosed(Some(code)) => write!(f, "daemon closes the stream ({code})"),
            Happening::DaemonClosed(None) => f.write_str("the stream is gone"),
            Happening::StreamBroke => f.write_str("the stream breaks"),
            Happening::StreamRefused(why) => write!(f, "the stream is refused: {why}"),
            Happening::Followed(what) => write!(f, "carrier: {what}"),
        }
    }
}
