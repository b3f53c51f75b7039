//! What the API answers: numbers, calls, or why not, in sentences that say what to do.

use super::number::{Number, Settings};
use serde::Deserialize;

/// Characters kept of a message that came from outside.
const MESSAGE_CHARS: usize = 300;

/// Twilio's code for "this call is not in progress".
const NOT_IN_PROGRESS: u64 = 21220;

/// A call as the API knows it; it may lag a moment behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub sid: String,
    /// `queued`, `ringing`, `in-progress`, or one of the ways to be over.
    pub status: String,
}

impl Call {
    /// Whether nothing can happen in it any more.
    pub fn is_over(&self) -> bool {
        matches!(
            self.status.as_str(),
            "completed" | "busy" | "failed" | "no-answer" | "canceled"
        )
    }
}

/// Why the API did not do what was asked. Each is a sentence; none holds the auth token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestError {
    /// This machine cannot speak TLS.
    #[error(
        "cannot speak to Twilio: {0}. Install this system's root certificates (ca-certificates)"
    )]
    Tls(String),
    /// The account or its token is wrong. Nothing was done.
    #[error(
        "cannot {what}: Twilio does not take the credentials (401, code 20003). Check twilio.account_sid, and that \
         twilio.auth_token is this account's primary auth token (TWILIO_AUTH_TOKEN in .env or the environment); a \
         token of another region does not count, see twilio.api_url"
    )]
    Credentials { what: String },
    /// There is no such number or call in this account. Nothing was done.
    #[error("cannot {what}: Twilio knows none by that name in this account (404)")]
    NotFound { what: String },
    /// Too many requests, also after waiting. Nothing was done.
    #[error(
        "cannot {what}: Twilio asks for fewer requests (429), still after {tries} tries; try again in a minute"
    )]
    Busy { what: String, tries: usize },
    /// It refused for a reason of its own. Nothing was done.
    #[error("cannot {what}: Twilio says \"{message}\" ({status}, code {code})")]
    Refused {
        what: String,
        status: u16,
        code: u64,
        message: String,
    },
    /// No connection came about. Nothing was done.
    #[error("cannot {what}: {base} cannot be reached ({why})")]
    Unreachable {
        what: String,
        base: String,
        why: String,
    },
    /// The request was sent, but no proper answer came. It may or may not have been done.
    #[error("cannot tell whether Twilio did {what}: {why}; try again")]
    Unanswered { what: String, why: String },
    /// A success that makes no sense.
    #[error("cannot {what}: the answer cannot be read ({why}). Is twilio.api_url right?")]
    Unreadable { what: String, why: String },
    /// Between our request and our look at what became of it, somebody else changed the number.
    #[error("cannot {what}: somebody else changed it at the same moment, so it was left alone")]
    Contested { what: String },
}

impl RestError {
    /// Whether the answer is that the call was over already.
    pub(super) fn says_over(&self) -> bool {
        matches!(
            self,
            RestError::NotFound { .. }
                | RestError::Refused {
                    code: NOT_IN_PROGRESS,
                    ..
                }
        )
    }
}

/// Twilio's own shape of an error, in either of its two fashions.
#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    code: u64,
    #[serde(default, alias = "detail", alias = "title")]
    message: String,
}

/// The body of a 2xx, or the error the answer is. 429 is the caller's to handle before.
pub(super) fn outcome(what: &str, status: u16, body: Vec<u8>) -> Result<Vec<u8>, RestError> {
    let what = what.to_owned();
    match status {
        200..=299 => return Ok(body),
        401 => return Err(RestError::Credentials { what }),
        404 => return Err(RestError::NotFound { what }),
        500..=599 => {
            let why = format!("Twilio answered {status}");
            return Err(RestError::Unanswered { what, why });
        }
        _ => {}
    }
    let fault: Option<Fault> = serde_json::from_slice(&body).ok();
    let (code, message) = fault.map_or((0, String::new()), |fault| (fault.code, fault.message));
    Err(RestError::Refused {
        what,
        status,
        code,
        message: tidied(&message),
    })
}

/// A text from outside as one short line.
fn tidied(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MESSAGE_CHARS)
        .collect()
}

#[derive(Deserialize)]
struct NumberAnswer {
    sid: String,
    phone_number: String,
    #[serde(flatten)]
    settings: Settings,
}

impl From<NumberAnswer> for Number {
    fn from(answer: NumberAnswer) -> Number {
        Number {
            sid: answer.sid,
            phone_number: answer.phone_number,
            settings: answer.settings,
        }
    }
}

/// A page of numbers, and where the next one is.
pub(super) fn numbers(what: &str, body: &[u8]) -> Result<(Vec<Number>, Option<String>), RestError> {
    #[derive(Deserialize)]
    struct Page {
        incoming_phone_numbers: Vec<NumberAnswer>,
        next_page_uri: Option<String>,
    }
    let page: Page = read(what, body)?;
    let next = page.next_page_uri.filter(|uri| !uri.is_empty());
    let numbers = page.incoming_phone_numbers.into_iter();
    Ok((numbers.map(Number::from).collect(), next))
}

pub(super) fn number(what: &str, body: &[u8]) -> Result<Number, RestError> {
    read::<NumberAnswer>(what, body).map(Number::from)
}

pub(super) fn call(what: &str, body: &[u8]) -> Result<Call, RestError> {
    #[derive(Deserialize)]
    struct CallAnswer {
        sid: String,
        status: String,
    }
    read(what, body).map(|CallAnswer { sid, status }| Call { sid, status })
}

fn read<'a, T: Deserialize<'a>>(what: &str, body: &'a [u8]) -> Result<T, RestError> {
    serde_json::from_slice(body).map_err(|error| RestError::Unreadable {
        what: what.to_owned(),
        why: error.to_string(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Twilio's published description, with an example of each answer.
    const SPEC: &str = include_str!("../../../../fakes/specs/twilio_api_v2010.calls.json");

    fn example(path: &str, method: &str, status: &str, name: &str) -> Vec<u8> {
        let spec: Value = serde_json::from_str(SPEC).unwrap();
        let answer = &spec["paths"][path][method]["responses"][status];
        let value = &answer["content"]["application/json"]["examples"][name]["value"];
        assert!(value.is_object(), "{path} has no example {name}");
        value.to_string().into_bytes()
    }

    #[test]
    fn twilios_own_examples_are_read() {
        let one = "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers/{Sid}.json";
        let read = number("", &example(one, "get", "200", "fetch")).unwrap();
        assert_eq!(read.phone_number, "+18089255327");
        assert_eq!(read.settings.voice_url, "");
        assert_eq!(read.settings.voice_method, "POST");

        let calls = "/2010-04-01/Accounts/{AccountSid}/Calls/{Sid}.json";
        let read = call("", &example(calls, "post", "200", "update")).unwrap();
        assert_eq!(read.status, "completed");
        assert!(read.is_over());
    }

    #[test]
    fn an_error_says_what_to_do() {
        let body =
            br#"{"code":20003,"message":"Authenticate","more_info":"https://x","status":401}"#;
        let error = outcome("list the account's numbers", 401, body.to_vec()).unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains("twilio.auth_token") && said.contains("twilio.account_sid"),
            "{said}"
        );

        let body = br#"{"code":21220,"message":"Call is not in-progress.\nCannot redirect.","status":400}"#;
        let error = outcome("end the call CA1", 400, body.to_vec()).unwrap_err();
        assert!(error.says_over());
        assert_eq!(
            error.to_string(),
            "cannot end the call CA1: Twilio says \"Call is not in-progress. Cannot redirect.\" (400, code 21220)"
        );
        let newer = br#"{"type":"x","title":"Bad","status":400,"code":20001}"#;
        let error = outcome("x", 400, newer.to_vec()).unwrap_err();
        assert!(
            matches!(error, RestError::Refused { code: 20001, ref message, .. } if message == "Bad")
        );
    }

    #[test]
    fn nonsense_is_an_error_and_never_a_panic() {
        for body in [
            &b""[..],
            b"<html>",
            b"[]",
            b"{}",
            b"{\"sid\":1}",
            b"null",
            b"\xff",
        ] {
            assert!(matches!(
                number("x", body),
                Err(RestError::Unreadable { .. })
            ));
            assert!(matches!(
                numbers("x", body),
                Err(RestError::Unreadable { .. })
            ));
            assert!(matches!(call("x", body), Err(RestError::Unreadable { .. })));
            assert!(matches!(
                outcome("x", 418, body.to_vec()),
                Err(RestError::Refused { code: 0, .. })
            ));
        }
    }
}
