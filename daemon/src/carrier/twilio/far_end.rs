//! Twilio's side of the media websocket, for the simulated phone: it writes what Twilio writes, to the letter and in
//! Twilio's order of keys, and is as strict as Twilio about what it is sent.
//!
//! The daemon proper never uses this file. It keeps no numbers either: who counts messages and chunks is the caller.

use super::is_sid;
use super::json::{self, Object, Scan, write_decimal, write_text};
use super::stream::{Bad, MAX_MARK_NAME_BYTES, MAX_TEXT_BYTES};
use base64_simd::STANDARD;
use std::borrow::Cow;

/// What a stream begins with.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    pub stream_sid: &'a str,
    pub call_sid: &'a str,
    pub account_sid: &'a str,
    /// The `<Parameter>`s of the TwiML; names must differ.
    pub parameters: &'a [(String, String)],
}

/// Appends the first message of a websocket, which is not counted.
pub fn write_connected(out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#);
}

/// Appends the second, which has number 1.
pub fn write_start(out: &mut Vec<u8>, start: &Start<'_>) {
    out.extend_from_slice(br#"{"event":"start","sequenceNumber":"1","start":{"accountSid":"#);
    write_text(out, start.account_sid);
    out.extend_from_slice(br#","streamSid":"#);
    write_text(out, start.stream_sid);
    out.extend_from_slice(br#","callSid":"#);
    write_text(out, start.call_sid);
    out.extend_from_slice(
        br#","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{"#,
    );
    for (at, (name, value)) in start.parameters.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_text(out, name);
        out.push(b':');
        write_text(out, value);
    }
    out.extend_from_slice(br#"}},"streamSid":"#);
    write_text(out, start.stream_sid);
    out.push(b'}');
}

/// Appends audio of the caller: headerless µ-law at 8000 Hz, usually 160 bytes. Allocates only if `out` has no room.
pub fn write_media(
    out: &mut Vec<u8>,
    stream_sid: &str,
    sequence: u64,
    chunk: u64,
    timestamp_ms: u64,
    mulaw: &[u8],
) {
    debug_assert!(is_sid(stream_sid), "{stream_sid:?}");
    out.extend_from_slice(br#"{"event":"media","sequenceNumber":""#);
    write_decimal(out, sequence);
    out.extend_from_slice(br#"","media":{"track":"inbound","chunk":""#);
    write_decimal(out, chunk);
    out.extend_from_slice(br#"","timestamp":""#);
    write_decimal(out, timestamp_ms);
    out.extend_from_slice(br#"","payload":""#);
    // A plain reserve, so that a buffer which has to grow does so by doubling.
    out.reserve(mulaw.len().div_ceil(3) * 4);
    STANDARD.encode_append(mulaw, out);
    out.extend_from_slice(br#""},"streamSid":""#);
    out.extend_from_slice(stream_sid.as_bytes());
    out.extend_from_slice(br#""}"#);
}

/// Appends a key the caller pressed.
pub fn write_dtmf(out: &mut Vec<u8>, stream_sid: &str, sequence: u64, digit: char) {
    out.extend_from_slice(br#"{"event":"dtmf","streamSid":"#);
    write_text(out, stream_sid);
    out.extend_from_slice(br#","sequenceNumber":""#);
    write_decimal(out, sequence);
    out.extend_from_slice(br#"","dtmf":{"track":"inbound_track","digit":"#);
    write_text(out, digit.encode_utf8(&mut [0; 4]));
    out.extend_from_slice(b"}}");
}

/// Sends a mark back: all audio before it was played or cleared.
pub fn write_mark(out: &mut Vec<u8>, stream_sid: &str, sequence: u64, name: &str) {
    out.extend_from_slice(br#"{"event":"mark","sequenceNumber":""#);
    write_decimal(out, sequence);
    out.extend_from_slice(br#"","streamSid":"#);
    write_text(out, stream_sid);
    out.extend_from_slice(br#","mark":{"name":"#);
    write_text(out, name);
    out.extend_from_slice(b"}}");
}

/// Appends the last message of a stream; Twilio closes the websocket after it.
pub fn write_stop(
    out: &mut Vec<u8>,
    stream_sid: &str,
    sequence: u64,
    account_sid: &str,
    call_sid: &str,
) {
    out.extend_from_slice(br#"{"event":"stop","sequenceNumber":""#);
    write_decimal(out, sequence);
    out.extend_from_slice(br#"","stop":{"accountSid":"#);
    write_text(out, account_sid);
    out.extend_from_slice(br#","callSid":"#);
    write_text(out, call_sid);
    out.extend_from_slice(br#"},"streamSid":"#);
    write_text(out, stream_sid);
    out.push(b'}');
}

/// One message from the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromDaemon<'a> {
    /// Audio to play after what is already buffered. The payload is whole base64 of at least one byte, still encoded;
    /// [`super::stream::decode_payload`] decodes it.
    Media { payload: Cow<'a, [u8]> },
    /// Send the name back when everything before it was played.
    Mark { name: Cow<'a, str> },
    /// Throw away what is buffered and send all open marks back.
    Clear,
}

/// Reads one text message as Twilio does, where a message that is not exactly as documented is warning 31951 and lost.
///
/// # Errors
/// Any error is a fault of the daemon: an unknown event, a field missing, extra, twice or of another type
/// ([`Bad::ExtraField`], …), another stream's sid ([`Bad::WrongStream`]), a payload that is empty or not base64.
pub fn read<'a>(text: &'a [u8], stream_sid: &str) -> Result<FromDaemon<'a>, Bad> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(Bad::TooLong);
    }
    let message = match scan(text, stream_sid) {
        Some(message) => message,
        None => read_json(text, stream_sid)?,
    };
    if let FromDaemon::Media { payload } = &message {
        if payload.is_empty() {
            return Err(Bad::MissingField);
        }
        STANDARD.check(payload).map_err(|_| Bad::BadBase64)?;
    }
    Ok(message)
}

/// A `media` message in the layout our daemon writes: most of what a phone under load is sent.
fn scan<'a>(text: &'a [u8], stream_sid: &str) -> Option<FromDaemon<'a>> {
    let mut scan = Scan(text);
    scan.literal(br#"{"event":"media","streamSid":""#)?;
    if scan.plain()? != stream_sid.as_bytes() {
        return None;
    }
    scan.literal(br#"","media":{"payload":""#)?;
    let payload = Cow::Borrowed(scan.plain()?);
    (scan.0 == br#""}}"#).then_some(FromDaemon::Media { payload })
}

fn read_json<'a>(text: &'a [u8], stream_sid: &str) -> Result<FromDaemon<'a>, Bad> {
    let mut message = json::read(text)?;
    let event = message.text("event")?;
    let read = match &*event {
        "media" => {
            let mut media = message.object("media")?;
            let payload = match media.text("payload")? {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            };
            no_more(media)?;
            FromDaemon::Media { payload }
        }
        "mark" => {
            let mut mark = message.object("mark")?;
            let name = mark.text("name")?;
            no_more(mark)?;
            match name.len() {
                0 => return Err(Bad::MissingField),
                1..=MAX_MARK_NAME_BYTES => FromDaemon::Mark { name },
                _ => return Err(Bad::TooLong),
            }
        }
        "clear" => FromDaemon::Clear,
        _ => return Err(Bad::UnknownEvent),
    };
    if message.text("streamSid")? != stream_sid {
        return Err(Bad::WrongStream);
    }
    no_more(message)?;
    Ok(read)
}

fn no_more(object: Object<'_>) -> Result<(), Bad> {
    if object.into_rest().is_empty() {
        Ok(())
    } else {
        Err(Bad::ExtraField)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::stream::tests::{SID, schema};
    use super::super::stream::{self, Message};
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    const ACCOUNT: &str = "ACtest-not-a-real-account-sid-0001";
    const CALL: &str = "CA0123456789abcdef0123456789abcdef";

    fn start(parameters: &[(String, String)]) -> Start<'_> {
        Start {
            stream_sid: SID,
            call_sid: CALL,
            account_sid: ACCOUNT,
            parameters,
        }
    }

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn phone_writes_what_twilio_writes_to_the_letter() {
        for (text, expected) in [
            (
                written(write_connected),
                r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#,
            ),
            (
                written(|out| write_media(out, SID, 3, 1, 5, &[0xff])),
                r#"{"event":"media","sequenceNumber":"3","media":{"track":"inbound","chunk":"1","timestamp":"5","payload":"/w=="},"streamSid":"MZ00112233445566778899aabbccddeeff"}"#,
            ),
            (
                written(|out| write_dtmf(out, SID, 5, '1')),
                r#"{"event":"dtmf","streamSid":"MZ00112233445566778899aabbccddeeff","sequenceNumber":"5","dtmf":{"track":"inbound_track","digit":"1"}}"#,
            ),
            (
                written(|out| write_mark(out, SID, 4, "utt-1")),
                r#"{"event":"mark","sequenceNumber":"4","streamSid":"MZ00112233445566778899aabbccddeeff","mark":{"name":"utt-1"}}"#,
            ),
            (
                written(|out| write_stop(out, SID, 5, ACCOUNT, CALL)),
                r#"{"event":"stop","sequenceNumber":"5","stop":{"accountSid":"ACtest-not-a-real-account-sid-0001","callSid":"CA0123456789abcdef0123456789abcdef"},"streamSid":"MZ00112233445566778899aabbccddeeff"}"#,
            ),
            (
                written(|out| write_start(out, &start(&[]))),
                r#"{"event":"start","sequenceNumber":"1","start":{"accountSid":"ACtest-not-a-real-account-sid-0001","streamSid":"MZ00112233445566778899aabbccddeeff","callSid":"CA0123456789abcdef0123456789abcdef","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{}},"streamSid":"MZ00112233445566778899aabbccddeeff"}"#,
            ),
        ] {
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn every_valid_example_is_read_and_every_invalid_one_refused() {
        let (schema, examples) = schema("outbound");
        assert_eq!(examples.len(), 8);
        for example in examples {
            let valid = example["valid"] == true;
            assert_eq!(
                schema.is_valid(&example["message"]),
                valid,
                "{}",
                example["about"]
            );
            let text = example["message"].to_string();
            let result = read(text.as_bytes(), SID);
            assert_eq!(result.is_ok(), valid, "{}: {result:?}", example["about"]);
        }
    }

    #[test]
    fn phone_is_as_strict_as_twilio() {
        let media =
            |inner: &str| format!(r#"{{"event":"media","streamSid":"{SID}","media":{inner}}}"#);
        for (text, bad) in [
            ("hello".to_owned(), Bad::NotJson),
            (
                r#"{"event":"clear","streamSid":"MZother"}"#.to_owned(),
                Bad::WrongStream,
            ),
            (r#"{"event":"clear"}"#.to_owned(), Bad::MissingField),
            (
                format!(r#"{{"event":"clear","streamSid":"{SID}","x":1}}"#),
                Bad::ExtraField,
            ),
            (
                format!(r#"{{"event":"mark","streamSid":"{SID}","mark":{{"name":""}}}}"#),
                Bad::MissingField,
            ),
            (
                format!(r#"{{"event":"mark","streamSid":"{SID}","mark":{{"name":1}}}}"#),
                Bad::WrongType,
            ),
            (
                format!(r#"{{"event":"dtmf","streamSid":"{SID}"}}"#),
                Bad::UnknownEvent,
            ),
            (media(r#"{"payload":""}"#), Bad::MissingField),
            (media(r#"{"payload":"/w="}"#), Bad::BadBase64),
            (
                media(r#"{"payload":"/w==","track":"outbound"}"#),
                Bad::ExtraField,
            ),
            (
                media(r#"{"payload":"/w==","payload":"/w=="}"#),
                Bad::RepeatedField,
            ),
            (media("[]"), Bad::WrongType),
            (
                media(r#"{"payload":"/w=="}"#).replace(SID, "MZother"),
                Bad::WrongStream,
            ),
            ("x".repeat(MAX_TEXT_BYTES + 1), Bad::TooLong),
        ] {
            assert_eq!(read(text.as_bytes(), SID), Err(bad), "{:.80}", text);
        }
    }

    #[test]
    fn both_ends_understand_each_other() {
        let text = written(|out| stream::write_media(out, SID, &[1, 2, 3, 4]));
        assert_eq!(
            read(text.as_bytes(), SID),
            Ok(FromDaemon::Media {
                payload: b"AQIDBA==".into()
            })
        );
        assert!(
            scan(text.as_bytes(), SID).is_some(),
            "our own layout takes the short way"
        );
        let text = written(|out| stream::write_mark(out, SID, "a\"b"));
        assert_eq!(
            read(text.as_bytes(), SID),
            Ok(FromDaemon::Mark {
                name: "a\"b".into()
            })
        );
        let text = written(|out| stream::write_clear(out, SID));
        assert_eq!(read(text.as_bytes(), SID), Ok(FromDaemon::Clear));

        let text = written(|out| write_dtmf(out, SID, 9, '#'));
        let dtmf = Message::Dtmf {
            stream_sid: SID.into(),
            sequence: 9,
            digit: '#',
        };
        assert_eq!(stream::read(text.as_bytes()), Ok(dtmf));
        let text = written(|out| write_stop(out, SID, 9, ACCOUNT, CALL));
        assert_eq!(
            stream::read(text.as_bytes()),
            Ok(Message::Stop {
                stream_sid: SID.into(),
                sequence: 9
            })
        );
        let text = written(write_connected);
        assert!(matches!(
            stream::read(text.as_bytes()),
            Ok(Message::Connected { .. })
        ));
    }

    proptest! {
        #[test]
        fn what_the_phone_sends_is_what_the_schema_allows_and_the_daemon_reads(
            parameters in prop::collection::btree_map(".{0,20}", ".{0,40}", 0..5),
            mulaw in prop::collection::vec(any::<u8>(), 0..400),
            name in ".{0,60}",
            digit in "[0-9*#A-D]",
            numbers in any::<[u64; 3]>(),
        ) {
            thread_local!(static SCHEMA: jsonschema::Validator = schema("inbound").0);
            let parameters: Vec<_> = parameters.into_iter().collect();
            let [sequence, chunk, timestamp_ms] = numbers;
            let digit = digit.chars().next().unwrap();
            let texts = [
                written(write_connected),
                written(|out| write_start(out, &start(&parameters))),
                written(|out| write_media(out, SID, sequence, chunk, timestamp_ms, &mulaw)),
                written(|out| write_dtmf(out, SID, sequence, digit)),
                written(|out| write_mark(out, SID, sequence, &name)),
                written(|out| write_stop(out, SID, sequence, ACCOUNT, CALL)),
            ];
            for text in &texts {
                let message: Value = serde_json::from_str(text).unwrap();
                SCHEMA.with(|schema| assert!(schema.is_valid(&message), "{message}"));
                prop_assert!(stream::read(text.as_bytes()).is_ok(), "{}", text);
            }
            let Ok(Message::Start(read)) = stream::read(texts[1].as_bytes()) else { panic!("{}", texts[1]) };
            for (name, value) in &parameters {
                prop_assert_eq!(read.parameter(name), Some(value.as_str()));
            }
            let Ok(Message::Media { sequence: s, chunk: c, timestamp_ms: t, payload, .. }) =
                stream::read(texts[2].as_bytes()) else { panic!("{}", texts[2]) };
            prop_assert_eq!((s, c, t), (sequence, chunk, timestamp_ms));
            let mut decoded = vec![0; mulaw.len()];
            prop_assert_eq!(stream::decode_payload(&payload, &mut decoded), Ok(mulaw.len()));
            prop_assert_eq!(decoded, mulaw);
        }

        #[test]
        fn short_and_long_way_agree_on_every_damaged_message(
            mulaw in prop::collection::vec(any::<u8>(), 0..20),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut text = Vec::new();
            stream::write_media(&mut text, SID, &mulaw);
            if !text.is_empty() {
                let at = at.index(text.len());
                text[at] = byte;
            }
            if let Some(message) = scan(&text, SID) {
                prop_assert_eq!(read_json(&text, SID), Ok(message));
            }
        }
    }
}
