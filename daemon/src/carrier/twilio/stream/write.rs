//! Writing: complete JSON texts appended to the caller's buffer, with exactly the fields that Twilio takes.

use super::super::is_sid;
use super::super::json;
use super::MAX_MARK_NAME_BYTES;
use base64_simd::STANDARD;

const MEDIA: [&[u8]; 3] = [
    br#"{"event":"media","streamSid":""#,
    br#"","media":{"payload":""#,
    br#""}}"#,
];

/// Length in bytes of what [`write_media`] appends for so many µ-law bytes, so that a frame's head can go before it.
pub const fn media_text_len(stream_sid: &str, mulaw_bytes: usize) -> usize {
    if mulaw_bytes == 0 {
        return 0;
    }
    MEDIA[0].len()
        + stream_sid.len()
        + MEDIA[1].len()
        + mulaw_bytes.div_ceil(3) * 4
        + MEDIA[2].len()
}

/// Appends a `media` message with headerless µ-law at 8000 Hz, or nothing if there is no audio, which Twilio refuses.
///
/// The sid must satisfy [`is_sid`], as that of every [`Start`](super::Start) does: it is written without escapes.
pub fn write_media(out: &mut Vec<u8>, stream_sid: &str, mulaw: &[u8]) {
    debug_assert!(is_sid(stream_sid), "{stream_sid:?}");
    if mulaw.is_empty() {
        return;
    }
    out.reserve(media_text_len(stream_sid, mulaw.len()));
    out.extend_from_slice(MEDIA[0]);
    out.extend_from_slice(stream_sid.as_bytes());
    out.extend_from_slice(MEDIA[1]);
    STANDARD.encode_append(mulaw, out);
    out.extend_from_slice(MEDIA[2]);
}

/// Appends a `mark` message: "send this name back when all audio before it was heard". The name must not be empty.
pub fn write_mark(out: &mut Vec<u8>, stream_sid: &str, name: &str) {
    debug_assert!(is_sid(stream_sid), "{stream_sid:?}");
    debug_assert!((1..=MAX_MARK_NAME_BYTES).contains(&name.len()), "{name:?}");
    out.extend_from_slice(br#"{"event":"mark","streamSid":""#);
    out.extend_from_slice(stream_sid.as_bytes());
    out.extend_from_slice(br#"","mark":{"name":"#);
    json::write_text(out, name);
    out.extend_from_slice(b"}}");
}

/// Appends a `clear` message: "throw away what is not yet heard, and send all open marks back".
pub fn write_clear(out: &mut Vec<u8>, stream_sid: &str) {
    debug_assert!(is_sid(stream_sid), "{stream_sid:?}");
    out.extend_from_slice(br#"{"event":"clear","streamSid":""#);
    out.extend_from_slice(stream_sid.as_bytes());
    out.extend_from_slice(br#""}"#);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::decode_payload;
    use super::super::tests::{SID, schema};
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn what_we_send_is_this_to_the_letter() {
        let mut out = Vec::new();
        write_media(&mut out, SID, &[0xff, 0x7f]);
        assert_eq!(out, br#"{"event":"media","streamSid":"MZ00112233445566778899aabbccddeeff","media":{"payload":"/38="}}"#);
        out.clear();
        write_mark(&mut out, SID, "utt-1");
        assert_eq!(out, br#"{"event":"mark","streamSid":"MZ00112233445566778899aabbccddeeff","mark":{"name":"utt-1"}}"#);
        out.clear();
        write_clear(&mut out, SID);
        assert_eq!(
            out,
            br#"{"event":"clear","streamSid":"MZ00112233445566778899aabbccddeeff"}"#
        );
        out.clear();
        write_media(&mut out, SID, &[]);
        assert_eq!(out, b"", "no audio, no message");
    }

    #[test]
    fn writing_into_a_buffer_with_room_does_not_move_it() {
        let mulaw = [0x55; 160];
        let mut out = Vec::with_capacity(media_text_len(SID, mulaw.len()));
        let (place, capacity) = (out.as_ptr(), out.capacity());
        for _ in 0..3 {
            out.clear();
            write_media(&mut out, SID, &mulaw);
            assert_eq!((out.as_ptr(), out.capacity()), (place, capacity));
        }
    }

    proptest! {
        #[test]
        fn what_we_send_is_what_the_schema_allows(mulaw in prop::collection::vec(any::<u8>(), 1..400), name in ".{1,60}") {
            thread_local!(static SCHEMA: jsonschema::Validator = schema("outbound").0);
            let mut out = Vec::new();
            let check = |out: &mut Vec<u8>| {
                let message: Value = serde_json::from_slice(out).unwrap();
                SCHEMA.with(|schema| assert!(schema.is_valid(&message), "{message}"));
                out.clear();
                message
            };
            write_media(&mut out, SID, &mulaw);
            prop_assert_eq!(out.len(), media_text_len(SID, mulaw.len()));
            let media = check(&mut out);
            let mut decoded = vec![0; mulaw.len()];
            let payload = media["media"]["payload"].as_str().unwrap();
            prop_assert_eq!(decode_payload(payload.as_bytes(), &mut decoded), Ok(mulaw.len()));
            prop_assert_eq!(decoded, mulaw);
            write_mark(&mut out, SID, &name);
            let mark = check(&mut out);
            prop_assert_eq!(mark["mark"]["name"].as_str(), Some(name.as_str()));
            write_clear(&mut out, SID);
            let clear = check(&mut out);
            prop_assert_eq!(clear["event"].as_str(), Some("clear"));
        }
    }
}
