//! What Twilio tells over HTTP: a call that rings, a call that changed, a media stream that began or ended.
//!
//! Signatures are checked before, in [`super::signature`], over all fields; here the few fields that mean something to
//! us are picked out and bounded. What decides whether a call can be told from others (its sid) is strict. What only
//! describes it is lenient: a callback that ends a call must not be lost over an odd duration.

use super::form::Params;
use super::{cut, is_sid};
use std::collections::BTreeMap;

/// Longest `From` or `To` taken, in characters. E.164 needs 16; a Twilio client's name may have 121 behind `client:`,
/// and SIP addresses with parameters are longer than one expects.
pub const MAX_NUMBER_CHARS: usize = 256;

/// Longest text kept of a descriptive field (caller's name, stream error, timestamp), in characters; the rest is cut.
pub const MAX_NOTE_CHARS: usize = 256;

/// Why a request of the carrier cannot be used. Answer it with 400; no call is opened or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    #[error(
        "the form has {bytes} bytes, more than the {} taken; refused unread",
        super::form::MAX_FORM_BYTES
    )]
    TooLarge { bytes: usize },
    #[error(
        "the form has more than {} fields; refused unread",
        super::form::MAX_FORM_FIELDS
    )]
    TooManyFields,
    #[error(
        "the request has no field {name}; refused. Does the number's webhook in Twilio's console point here?"
    )]
    Missing { name: &'static str },
    #[error("the field {name} is no identifier (1 to 64 letters, digits, '-' or '_'); refused")]
    NotASid { name: &'static str },
    #[error(
        "the field {name} has more than {MAX_NUMBER_CHARS} characters or a control character; refused"
    )]
    NotANumber { name: &'static str },
    #[error("the stream event is none of stream-started, stream-stopped, stream-error; ignored")]
    UnknownStreamEvent,
}

/// Most parameters of a user's own that are taken, and the longest of their names and values, in bytes.
pub const MAX_CUSTOM: usize = 32;
const MAX_CUSTOM_NAME_BYTES: usize = 64;
const MAX_CUSTOM_VALUE_BYTES: usize = 500;

/// The parameters that a user put there himself, behind the address of the webhook (`?campaign=spring`) or into the
/// stream's `<Parameter>`s. Twilio's own names begin with a capital, so ours begin with a small letter; names hold
/// letters, digits, `_` and `-`. Of a name that is there twice the first counts, and what is beyond a bound is left out:
/// the count of these comes second.
pub fn custom_parameters<'p>(
    pairs: impl Iterator<Item = (&'p str, &'p str)>,
) -> (BTreeMap<String, String>, usize) {
    let (mut taken, mut left_out) = (BTreeMap::new(), 0);
    for (name, value) in pairs {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.bytes().all(plain) {
            continue;
        }
        let short = name.len() <= MAX_CUSTOM_NAME_BYTES && value.len() <= MAX_CUSTOM_VALUE_BYTES;
        if !short || (taken.len() == MAX_CUSTOM && !taken.contains_key(name)) {
            left_out += 1;
            continue;
        }
        taken
            .entry(name.to_owned())
            .or_insert_with(|| value.to_owned());
    }
    (taken, left_out)
}

/// Where a call is in its life, in Twilio's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallStatus {
    Queued,
    Initiated,
    Ringing,
    InProgress,
    Completed,
    Busy,
    Failed,
    NoAnswer,
    Canceled,
    /// A word we do not know, or none; never an end, so that a new word cannot close a living call.
    Unknown,
}

impl CallStatus {
    /// Reads Twilio's word; anything else is [`CallStatus::Unknown`].
    pub fn parse(word: &str) -> CallStatus {
        match word {
            "queued" => CallStatus::Queued,
            "initiated" => CallStatus::Initiated,
            "ringing" => CallStatus::Ringing,
            "in-progress" => CallStatus::InProgress,
            "completed" => CallStatus::Completed,
            "busy" => CallStatus::Busy,
            "failed" => CallStatus::Failed,
            "no-answer" => CallStatus::NoAnswer,
            "canceled" => CallStatus::Canceled,
            _ => CallStatus::Unknown,
        }
    }

    /// Twilio's word.
    pub fn as_str(self) -> &'static str {
        match self {
            CallStatus::Queued => "queued",
            CallStatus::Initiated => "initiated",
            CallStatus::Ringing => "ringing",
            CallStatus::InProgress => "in-progress",
            CallStatus::Completed => "completed",
            CallStatus::Busy => "busy",
            CallStatus::Failed => "failed",
            CallStatus::NoAnswer => "no-answer",
            CallStatus::Canceled => "canceled",
            CallStatus::Unknown => "unknown",
        }
    }

    /// Whether nothing comes after it: the call is over.
    pub fn is_final(self) -> bool {
        match self {
            CallStatus::Completed
            | CallStatus::Busy
            | CallStatus::Failed
            | CallStatus::NoAnswer
            | CallStatus::Canceled => true,
            CallStatus::Queued
            | CallStatus::Initiated
            | CallStatus::Ringing
            | CallStatus::InProgress
            | CallStatus::Unknown => false,
        }
    }
}

/// A call asks what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoiceRequest {
    pub call_sid: String,
    pub account_sid: String,
    /// Usually E.164; also `anonymous`, `unknown`, `client:name`, `sip:…`, or empty.
    pub from: String,
    pub to: String,
    pub status: CallStatus,
    /// `inbound`, `outbound-api`, `outbound-dial`, …; empty if it was not said.
    pub direction: String,
    pub forwarded_from: Option<String>,
    /// Only with Twilio's paid caller-id lookup.
    pub caller_name: Option<String>,
}

impl VoiceRequest {
    /// Picks the call out of a form whose signature has been checked.
    ///
    /// # Errors
    /// A missing or unusable sid or number: there is no call to open, answer 400.
    pub fn read(params: &Params) -> Result<VoiceRequest, BadRequest> {
        Ok(VoiceRequest {
            call_sid: sid(params, "CallSid")?,
            account_sid: sid(params, "AccountSid")?,
            from: number(params, "From")?,
            to: number(params, "To")?,
            status: CallStatus::parse(params.get("CallStatus").unwrap_or_default()),
            direction: note(params, "Direction").unwrap_or_default(),
            forwarded_from: note(params, "ForwardedFrom"),
            caller_name: note(params, "CallerName"),
        })
    }
}

/// A call asks how to go on: its stream is over, or it comes back from a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeRequest {
    pub call: VoiceRequest,
    /// `DialCallStatus`, how a transfer went: `completed`, `busy`, `no-answer`, `failed`, `canceled`.
    pub transfer: Option<String>,
}

impl ResumeRequest {
    /// Picks it out of a form whose signature has been checked.
    ///
    /// # Errors
    /// As [`VoiceRequest::read`].
    pub fn read(params: &Params) -> Result<ResumeRequest, BadRequest> {
        Ok(ResumeRequest {
            call: VoiceRequest::read(params)?,
            transfer: note(params, "DialCallStatus"),
        })
    }
}

/// A call has changed. Callbacks may arrive out of order: order them by `sequence` where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusCallback {
    pub call_sid: String,
    pub status: CallStatus,
    /// `CallDuration`, said when the call has ended.
    pub duration_secs: Option<u64>,
    /// `SequenceNumber` from 0; the callback configured on a number has none.
    pub sequence: Option<u64>,
    /// RFC 2822, as sent.
    pub timestamp: Option<String>,
    /// Final SIP answer: 404 not reachable, 487 nobody answered in time.
    pub sip_response: Option<u64>,
}

impl StatusCallback {
    /// Picks the change out of a form whose signature has been checked. Numbers that are not numbers are left out.
    ///
    /// # Errors
    /// No usable `CallSid`: nothing can be changed, answer 400.
    pub fn read(params: &Params) -> Result<StatusCallback, BadRequest> {
        Ok(StatusCallback {
            call_sid: sid(params, "CallSid")?,
            status: CallStatus::parse(params.get("CallStatus").unwrap_or_default()),
            duration_secs: count(params, "CallDuration"),
            sequence: count(params, "SequenceNumber"),
            timestamp: note(params, "Timestamp"),
            sip_response: count(params, "SipResponseCode"),
        })
    }
}

/// A media stream began, ended, or could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamStatus {
    pub call_sid: String,
    pub stream_sid: String,
    pub event: StreamEvent,
    /// ISO 8601, as sent.
    pub timestamp: Option<String>,
}

/// What happened to a media stream, as the carrier saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEvent {
    Started,
    Stopped,
    /// Twilio's sentence; often the only place where a failed handshake is explained.
    Error(String),
}

impl StreamStatus {
    /// Picks the event out of a form whose signature has been checked.
    ///
    /// # Errors
    /// No usable sid, or an event that is not known: answer 400, change nothing.
    pub fn read(params: &Params) -> Result<StreamStatus, BadRequest> {
        let event = match params.get("StreamEvent") {
            Some("stream-started") => StreamEvent::Started,
            Some("stream-stopped") => StreamEvent::Stopped,
            Some("stream-error") => {
                StreamEvent::Error(note(params, "StreamError").unwrap_or_default())
            }
            Some(_) => return Err(BadRequest::UnknownStreamEvent),
            None => {
                return Err(BadRequest::Missing {
                    name: "StreamEvent",
                });
            }
        };
        Ok(StreamStatus {
            call_sid: sid(params, "CallSid")?,
            stream_sid: sid(params, "StreamSid")?,
            event,
            timestamp: note(params, "Timestamp"),
        })
    }
}

fn sid(params: &Params, name: &'static str) -> Result<String, BadRequest> {
    match params.get(name) {
        Some(text) if is_sid(text) => Ok(text.to_owned()),
        Some(_) => Err(BadRequest::NotASid { name }),
        None => Err(BadRequest::Missing { name }),
    }
}

fn number(params: &Params, name: &'static str) -> Result<String, BadRequest> {
    let text = params.get(name).ok_or(BadRequest::Missing { name })?;
    let fits = cut(text, MAX_NUMBER_CHARS).len() == text.len();
    if fits && !text.contains(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(BadRequest::NotANumber { name })
    }
}

/// A text for people: control characters dropped, cut to length; empty means not said.
fn note(params: &Params, name: &str) -> Option<String> {
    let text: String = params
        .get(name)?
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_NOTE_CHARS)
        .collect();
    (!text.is_empty()).then_some(text)
}

fn count(params: &Params, name: &str) -> Option<u64> {
    super::json::decimal(params.get(name)?.as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::form;
    use super::*;

    const SID: &str = "CA0123456789abcdef0123456789abcdef";

    fn with(base: &[(&str, &str)], name: &str, value: Option<&str>) -> Params {
        base.iter()
            .copied()
            .filter(|(n, _)| *n != name)
            .chain(value.map(|value| (name, value)))
            .collect()
    }

    const RINGING: &[(&str, &str)] = &[
        ("CallSid", SID),
        ("AccountSid", "ACtest-not-a-real-account-sid-0001"),
        ("From", "+15558675310"),
        ("To", "+15017122661"),
        ("CallStatus", "ringing"),
        ("Direction", "inbound"),
        ("CalledZip", ""),
    ];

    #[test]
    fn a_users_own_parameters_are_told_from_twilios_and_bounded() {
        let taken = |pairs: &[(&str, &str)]| custom_parameters(pairs.iter().copied());
        let (own, left_out) = taken(&[
            ("CallSid", "CA1"),
            ("campaign", "spring"),
            ("campaign", "autumn"),
            ("bad name", "x"),
            ("_hidden", "x"),
            ("", "x"),
            ("long", &"v".repeat(MAX_CUSTOM_VALUE_BYTES + 1)),
            ("e-mail_2", ""),
        ]);
        let expected = [("campaign", "spring"), ("e-mail_2", "")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!((own, left_out), (BTreeMap::from(expected), 1));
        let many: Vec<String> = (0..MAX_CUSTOM + 3).map(|n| format!("p{n}")).collect();
        let pairs: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "v")).collect();
        let (own, left_out) = taken(&pairs);
        assert_eq!((own.len(), left_out), (MAX_CUSTOM, 3));
    }

    #[test]
    fn ringing_call_says_who_calls_whom() {
        let request = VoiceRequest::read(&RINGING.iter().copied().collect()).unwrap();
        assert_eq!(
            request,
            VoiceRequest {
                call_sid: SID.into(),
                account_sid: "ACtest-not-a-real-account-sid-0001".into(),
                from: "+15558675310".into(),
                to: "+15017122661".into(),
                status: CallStatus::Ringing,
                direction: "inbound".into(),
                forwarded_from: None,
                caller_name: None,
            }
        );
    }

    #[test]
    fn callers_without_a_number_are_taken() {
        for from in [
            "anonymous",
            "unknown",
            "",
            "client:zoë",
            "sip:a@b.example;transport=tls",
            "Restricted",
        ] {
            let request = VoiceRequest::read(&with(RINGING, "From", Some(from))).unwrap();
            assert_eq!(request.from, from);
        }
    }

    #[test]
    fn call_that_cannot_be_told_from_others_is_refused() {
        let long = "9".repeat(MAX_NUMBER_CHARS + 1);
        let long_sid = "C".repeat(65);
        for (name, value, error) in [
            ("CallSid", None, BadRequest::Missing { name: "CallSid" }),
            ("CallSid", Some(""), BadRequest::NotASid { name: "CallSid" }),
            (
                "CallSid",
                Some("CA\"x"),
                BadRequest::NotASid { name: "CallSid" },
            ),
            (
                "CallSid",
                Some(&long_sid),
                BadRequest::NotASid { name: "CallSid" },
            ),
            (
                "AccountSid",
                None,
                BadRequest::Missing { name: "AccountSid" },
            ),
            ("From", None, BadRequest::Missing { name: "From" }),
            ("To", None, BadRequest::Missing { name: "To" }),
            ("From", Some(&long), BadRequest::NotANumber { name: "From" }),
            ("To", Some("+1\r\nX"), BadRequest::NotANumber { name: "To" }),
        ] {
            assert_eq!(
                VoiceRequest::read(&with(RINGING, name, value)),
                Err(error),
                "{name} {value:?}"
            );
        }
        let longest = "9".repeat(MAX_NUMBER_CHARS);
        assert!(VoiceRequest::read(&with(RINGING, "From", Some(&longest))).is_ok());
    }

    #[test]
    fn describing_fields_are_cut_and_cleaned_but_refuse_no_call() {
        let name = format!("Zo\u{7}ë{}", "é".repeat(1000));
        let request = VoiceRequest::read(&with(RINGING, "CallerName", Some(&name))).unwrap();
        let kept = request.caller_name.unwrap();
        assert!(kept.starts_with("Zoë"));
        assert_eq!(kept.chars().count(), MAX_NOTE_CHARS);
        let request = VoiceRequest::read(&with(RINGING, "CallStatus", Some("levitating"))).unwrap();
        assert_eq!(request.status, CallStatus::Unknown);
    }

    #[test]
    fn every_status_is_read_as_it_is_written_and_five_end_the_call() {
        let words = [
            ("queued", false),
            ("initiated", false),
            ("ringing", false),
            ("in-progress", false),
            ("completed", true),
            ("busy", true),
            ("failed", true),
            ("no-answer", true),
            ("canceled", true),
        ];
        for (word, is_final) in words {
            let status = CallStatus::parse(word);
            assert_eq!((status.as_str(), status.is_final()), (word, is_final));
        }
        for word in ["", "Completed", "cancelled", "unknown"] {
            assert_eq!(CallStatus::parse(word), CallStatus::Unknown, "{word:?}");
        }
        assert!(!CallStatus::Unknown.is_final());
    }

    #[test]
    fn callback_of_an_ended_call_says_how_long_it_was() {
        let params = form::parse(
            b"CallSid=CA0123456789abcdef0123456789abcdef&CallStatus=completed&CallDuration=42&Duration=1\
              &SequenceNumber=3&Timestamp=Mon%2C+16+Aug+2026+03%3A45%3A01+%2B0000&SipResponseCode=200",
        )
        .unwrap();
        assert_eq!(
            StatusCallback::read(&params).unwrap(),
            StatusCallback {
                call_sid: SID.into(),
                status: CallStatus::Completed,
                duration_secs: Some(42),
                sequence: Some(3),
                timestamp: Some("Mon, 16 Aug 2026 03:45:01 +0000".into()),
                sip_response: Some(200),
            }
        );
    }

    #[test]
    fn odd_duration_does_not_lose_the_end_of_a_call() {
        for odd in ["", "-1", "1.5", "forty", "99999999999999999999999", " 4"] {
            let params = with(
                &[("CallSid", SID), ("CallStatus", "failed")],
                "CallDuration",
                Some(odd),
            );
            let callback = StatusCallback::read(&params).unwrap();
            assert!(callback.status.is_final());
            assert_eq!(callback.duration_secs, None, "{odd:?}");
        }
        assert_eq!(
            StatusCallback::read(&Params::default()),
            Err(BadRequest::Missing { name: "CallSid" })
        );
    }

    #[test]
    fn stream_callback_says_began_ended_or_why_not() {
        let base = [
            ("CallSid", SID),
            ("StreamSid", "MZ00112233445566778899aabbccddeeff"),
        ];
        let read = |event| StreamStatus::read(&with(&base, "StreamEvent", event)).map(|s| s.event);
        assert_eq!(read(Some("stream-started")), Ok(StreamEvent::Started));
        assert_eq!(read(Some("stream-stopped")), Ok(StreamEvent::Stopped));
        assert_eq!(
            read(Some("stream-error")),
            Ok(StreamEvent::Error(String::new()))
        );
        assert_eq!(
            read(Some("stream-paused")),
            Err(BadRequest::UnknownStreamEvent)
        );
        assert_eq!(
            read(None),
            Err(BadRequest::Missing {
                name: "StreamEvent"
            })
        );

        let error = [
            base[0],
            base[1],
            ("StreamError", "31920 - handshake error"),
            ("StreamEvent", "stream-error"),
        ];
        let status = StreamStatus::read(&error.into_iter().collect()).unwrap();
        assert_eq!(
            status.event,
            StreamEvent::Error("31920 - handshake error".into())
        );
        assert_eq!(status.stream_sid, "MZ00112233445566778899aabbccddeeff");
    }
}
