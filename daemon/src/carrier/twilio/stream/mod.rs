//! Our side of Twilio's media websocket: one text message in, one [`Message`] out, and the three messages we send.
//!
//! It knows single messages only. Their order, the token, unknown marks and gaps in the numbers are the leg's business.
//!
//! A call brings 50 `media` messages a second and hardly anything else, so these have a short way through [`read()`].
//! Nothing here allocates for a `media` message in Twilio's own layout, nor for writing into a buffer that has room.

#[cfg(test)]
mod damage;
mod read;
mod write;

pub use read::{decode_payload, read};
pub use write::{media_text_len, write_clear, write_mark, write_media};

use std::borrow::Cow;

/// Longest message read. Twilio's `media` has about 400 bytes; 64 KiB would be six seconds of audio in one message.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;

/// Most audio one message can carry, after base64; a buffer of this size takes every payload that [`read()`] lets through.
pub const MAX_PAYLOAD_BYTES: usize = MAX_TEXT_BYTES / 4 * 3;

/// Longest name of a mark read or worth writing. Marks come back with our own names, which are short.
pub const MAX_MARK_NAME_BYTES: usize = 256;

/// Most `<Parameter>`s taken from a `start`. We send a handful.
pub const MAX_PARAMETERS: usize = 64;

/// Why a message was not understood. Each reason is a counter; none of them says more about the message, which may
/// hold anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Bad {
    #[error("the message is not JSON")]
    NotJson,
    #[error("the message is JSON but no object")]
    NotObject,
    #[error("the message is nested too deep")]
    TooDeep,
    #[error("the message, or something in it, is too long")]
    TooLong,
    #[error("the event is not known")]
    UnknownEvent,
    #[error("a field is missing or empty")]
    MissingField,
    #[error("a field stands twice")]
    RepeatedField,
    #[error("a field has the wrong type, or a number is not written in digits")]
    WrongType,
    #[error("there is a field that the carrier does not take")]
    ExtraField,
    #[error("the track is not one that a call like this has")]
    WrongTrack,
    #[error("the audio is not 8-bit mono mu-law at 8000 Hz")]
    WrongFormat,
    #[error("the message belongs to another stream")]
    WrongStream,
    #[error("an identifier contains what no identifier may")]
    BadSid,
    #[error("the digit is not one of 0-9, *, #, A-D")]
    BadDigit,
    #[error("the audio is not base64")]
    BadBase64,
}

impl Bad {
    /// Every reason, for whoever registers the counters.
    pub const ALL: [Bad; 15] = [
        Bad::NotJson,
        Bad::NotObject,
        Bad::TooDeep,
        Bad::TooLong,
        Bad::UnknownEvent,
        Bad::MissingField,
        Bad::RepeatedField,
        Bad::WrongType,
        Bad::ExtraField,
        Bad::WrongTrack,
        Bad::WrongFormat,
        Bad::WrongStream,
        Bad::BadSid,
        Bad::BadDigit,
        Bad::BadBase64,
    ];

    /// The reason as a label for a counter.
    pub fn as_str(self) -> &'static str {
        match self {
            Bad::NotJson => "not_json",
            Bad::NotObject => "not_object",
            Bad::TooDeep => "too_deep",
            Bad::TooLong => "too_long",
            Bad::UnknownEvent => "unknown_event",
            Bad::MissingField => "missing_field",
            Bad::RepeatedField => "repeated_field",
            Bad::WrongType => "wrong_type",
            Bad::ExtraField => "extra_field",
            Bad::WrongTrack => "wrong_track",
            Bad::WrongFormat => "wrong_format",
            Bad::WrongStream => "wrong_stream",
            Bad::BadSid => "bad_sid",
            Bad::BadDigit => "bad_digit",
            Bad::BadBase64 => "bad_base64",
        }
    }
}

/// One message from Twilio. Fields that are not known are ignored, as Twilio adds some without notice.
///
/// `sequence` counts the messages of a stream from 1 (`start`), over all events but `connected`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    Connected {
        protocol: Cow<'a, str>,
        version: Cow<'a, str>,
    },
    /// Boxed: once per call, and much larger than the rest.
    Start(Box<Start>),
    Media {
        stream_sid: Cow<'a, str>,
        sequence: u64,
        /// Counts the media messages of this track from 1.
        chunk: u64,
        /// Milliseconds since the stream began.
        timestamp_ms: u64,
        /// The caller's voice; false is the other track, which a bidirectional stream never has.
        track_inbound: bool,
        /// Still base64, not checked; [`decode_payload`] does both. May be empty. Owned only if JSON escapes were in it.
        payload: Cow<'a, [u8]>,
    },
    /// The caller pressed a key: `0`-`9`, `*`, `#`, `A`-`D`.
    Dtmf {
        stream_sid: Cow<'a, str>,
        sequence: u64,
        digit: char,
    },
    /// All audio sent before the mark of this name was played, or thrown away by a clear.
    Mark {
        stream_sid: Cow<'a, str>,
        sequence: u64,
        name: Cow<'a, str>,
    },
    Stop {
        stream_sid: Cow<'a, str>,
        sequence: u64,
    },
}

/// A stream begins. All sids satisfy [`is_sid`](super::is_sid); the audio is known to be 8-bit mono µ-law at 8000 Hz.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    pub stream_sid: String,
    pub call_sid: String,
    pub account_sid: String,
    pub sequence: u64,
    /// What we put into the `<Parameter>`s of the stream, order not kept.
    pub parameters: Vec<(String, String)>,
}

impl Start {
    /// The value of a `<Parameter>`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Message<'_> {
    /// The stream the message belongs to; only `Connected` has none.
    pub fn stream_sid(&self) -> Option<&str> {
        match self {
            Message::Connected { .. } => None,
            Message::Start(start) => Some(&start.stream_sid),
            Message::Media { stream_sid, .. }
            | Message::Dtmf { stream_sid, .. }
            | Message::Mark { stream_sid, .. }
            | Message::Stop { stream_sid, .. } => Some(stream_sid),
        }
    }

    /// The number of the message within its stream; only `Connected` has none.
    pub fn sequence(&self) -> Option<u64> {
        match self {
            Message::Connected { .. } => None,
            Message::Start(start) => Some(start.sequence),
            Message::Media { sequence, .. }
            | Message::Dtmf { sequence, .. }
            | Message::Mark { sequence, .. }
            | Message::Stop { sequence, .. } => Some(*sequence),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use serde_json::Value;

    pub(in super::super) const SID: &str = "MZ00112233445566778899aabbccddeeff";

    /// One direction of the protocol's schema, with all of its examples.
    pub(in super::super) fn schema(direction: &str) -> (jsonschema::Validator, Vec<Value>) {
        let mut schema: Value = serde_json::from_str(include_str!(
            "../../../../tests/data/twilio/media_streams.schema.json"
        ))
        .unwrap();
        let examples = schema.as_object_mut().unwrap().remove("examples").unwrap();
        let examples = examples.as_array().unwrap().clone();
        assert_eq!(examples.len(), 19);
        schema["$ref"] = format!("#/$defs/{direction}").into();
        let examples = examples
            .into_iter()
            .filter(|e| e["direction"] == direction)
            .collect();
        (jsonschema::validator_for(&schema).unwrap(), examples)
    }

    /// What Twilio writes: keys in its own order, no spaces.
    pub(super) fn media_text(
        sequence: &str,
        chunk: &str,
        timestamp: &str,
        payload: &str,
        sid: &str,
    ) -> String {
        format!(
            r#"{{"event":"media","sequenceNumber":"{sequence}","media":{{"track":"inbound","chunk":"{chunk}","timestamp":"{timestamp}","payload":"{payload}"}},"streamSid":"{sid}"}}"#
        )
    }

    #[test]
    fn every_reason_has_a_label_of_its_own() {
        let mut labels: Vec<_> = Bad::ALL.iter().map(|bad| bad.as_str()).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), Bad::ALL.len());
        assert!(labels.iter().all(|l| {
            l.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        }));
    }
}
