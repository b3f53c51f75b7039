//! Why there is no sound, or no more of it: the service's answers and the network's errors, read into a name of the
//! contract, a sentence for the log, and whether a second try makes sense. Pure.
//!
//! The service writes its errors in three shapes, `{"detail": {"code", "status", "message"}}` with or without `code`,
//! and `{"detail": [{"loc", "msg"}]}`; whatever else comes is quoted. The code counts for more than the status: an
//! exhausted quota is a 401, and an unknown voice was a 400 before it was a 404.

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use voice_plugin::prelude::*;
use voice_plugin_http::distrust;

/// Longest piece of the service's own words in a sentence, which has room for 400 bytes in all.
const QUOTE_CHARACTERS: usize = 160;

/// Longest wait the service may ask for; beyond every patience of ours, and short enough to count with.
const WAIT_MOST_SECS: u64 = 3600;

/// A failure of one try.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    name: &'static str,
    sentence: String,
    again: Again,
}

/// Whether the same request may go well soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// It is in vain, or not safe.
    Never,
    /// After a moment of our choice.
    Soon,
    /// After this long, the service says.
    After(Duration),
}

impl Refusal {
    pub(crate) fn new(name: &'static str, sentence: impl Into<String>, again: Again) -> Refusal {
        Refusal {
            name,
            sentence: sentence.into(),
            again,
        }
    }

    pub(crate) fn again(&self) -> Again {
        self.again
    }

    /// Of an answer that is no success. `request` is the service's own number for it, if it gave one.
    pub(crate) fn of_answer(
        status: u16,
        body: &[u8],
        request: Option<&str>,
        retry_after: Option<&str>,
    ) -> Refusal {
        let said = Said::read(body);
        let (name, meaning, again) = meaning(status, &said.code);
        let again = match (again, retry_after.and_then(|secs| secs.trim().parse().ok())) {
            (Again::Soon, Some(secs)) => {
                Again::After(Duration::from_secs(u64::min(secs, WAIT_MOST_SECS)))
            }
            (again, _) => again,
        };
        let mut sentence = format!("{meaning} (HTTP {status}");
        for part in [Some(said.code.as_str()), request].into_iter().flatten() {
            if !part.is_empty() {
                sentence.push_str(", ");
                sentence.push_str(&quoted(part));
            }
        }
        sentence.push(')');
        if !said.message.is_empty() {
            sentence.push_str(": ");
            sentence.push_str(&quoted(&said.message));
        }
        Refusal::new(name, sentence, again)
    }

    /// Of an error of the network before any sound.
    pub(crate) fn of_error(error: reqwest::Error) -> Refusal {
        let again = Again::Soon;
        if let Some(why) = distrust(&error) {
            let sentence = format!("no connection to ElevenLabs: {why}");
            Refusal::new(failure::UNREACHABLE, sentence, Again::Never)
        } else if error.is_connect() {
            let sentence = format!("no connection to ElevenLabs: {}", causes(error));
            Refusal::new(failure::UNREACHABLE, sentence, again)
        } else if error.is_builder() {
            Refusal::new(failure::BAD_REQUEST, causes(error), Again::Never)
        } else {
            let sentence = format!(
                "ElevenLabs closed the connection without an answer: {}",
                causes(error)
            );
            Refusal::new(failure::UNREACHABLE, sentence, again)
        }
    }

    /// Of an error of the network after `millis` of sound.
    pub(crate) fn of_cut(error: reqwest::Error, millis: u64) -> Refusal {
        let sentence = format!("the sound broke off after {millis} ms: {}", causes(error));
        Refusal::new(failure::CUT, sentence, Again::Never)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.sentence)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        Error::named(refusal.name, refusal.sentence)
    }
}

/// What to make of it: the code decides where it is known, else the status.
fn meaning(status: u16, code: &str) -> (&'static str, &'static str, Again) {
    match code {
        "invalid_api_key" | "needs_authorization" => (
            failure::AUTH,
            "ElevenLabs does not accept the API key: correct `api_key`",
            Again::Never,
        ),
        "missing_permissions" => (
            failure::AUTH,
            "the API key lacks a permission: give it Text to Speech at ElevenLabs",
            Again::Never,
        ),
        "detected_unusual_activity" => (
            failure::AUTH,
            "ElevenLabs has locked the account for unusual activity: look there",
            Again::Never,
        ),
        "quota_exceeded" => (
            failure::QUOTA,
            "the account's characters are used up: buy more or wait for the next month",
            Again::Never,
        ),
        "voice_not_found" => (
            failure::NOT_FOUND,
            "the account has no such voice: see `voice-streamer voices`",
            Again::Never,
        ),
        "model_not_found" => (
            failure::NOT_FOUND,
            "the account has no such model: see `voice-streamer voices`",
            Again::Never,
        ),
        "max_character_limit_exceeded" => (
            failure::BAD_REQUEST,
            "the text is longer than the model takes",
            Again::Never,
        ),
        "too_many_concurrent_requests" | "concurrent_limit_exceeded" => (
            failure::BUSY,
            "the plan allows no more utterances at once",
            Again::Soon,
        ),
        "system_busy" | "rate_limit_exceeded" => {
            (failure::BUSY, "ElevenLabs asks to go slower", Again::Soon)
        }
        _ => match status {
            401 => (
                failure::AUTH,
                "ElevenLabs does not let the account in",
                Again::Never,
            ),
            402 => (
                failure::QUOTA,
                "ElevenLabs wants to be paid first",
                Again::Never,
            ),
            403 => (
                failure::NOT_FOUND,
                "the account may not use this voice or model",
                Again::Never,
            ),
            404 => (
                failure::NOT_FOUND,
                "ElevenLabs has no such thing",
                Again::Never,
            ),
            429 => (failure::BUSY, "ElevenLabs asks to go slower", Again::Soon),
            409 | 425 => (
                failure::SERVER,
                "ElevenLabs is not ready for it",
                Again::Soon,
            ),
            500..=599 => (
                failure::SERVER,
                "ElevenLabs has a fault of its own",
                Again::Soon,
            ),
            400..=499 => (
                failure::BAD_REQUEST,
                "ElevenLabs refuses the request",
                Again::Never,
            ),
            _ => (
                failure::SERVER,
                "ElevenLabs answers what nobody understands",
                Again::Never,
            ),
        },
    }
}

/// The service's own words.
#[derive(Default)]
struct Said {
    code: String,
    message: String,
}

impl Said {
    fn read(body: &[u8]) -> Said {
        let Ok(json) = serde_json::from_slice::<Value>(body) else {
            return Said {
                code: String::new(),
                message: String::from_utf8_lossy(body).into_owned(),
            };
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let detail = json.get("detail").unwrap_or(&json);
        match detail {
            Value::Object(_) => {
                let code = detail["code"].as_str().or(detail["status"].as_str());
                Said {
                    code: code.unwrap_or_default().to_owned(),
                    message: text(&detail["message"]),
                }
            }
            Value::Array(list) => Said {
                code: String::new(),
                message: list.iter().map(unfit).collect::<Vec<_>>().join("; "),
            },
            other => Said {
                code: String::new(),
                message: other
                    .as_str()
                    .map_or_else(|| other.to_string(), str::to_owned),
            },
        }
    }
}

/// `body.text: Field required`
fn unfit(one: &Value) -> String {
    let steps = one["loc"].as_array().into_iter().flatten();
    let steps: Vec<String> = steps
        .map(|step| {
            step.as_str()
                .map_or_else(|| step.to_string(), str::to_owned)
        })
        .collect();
    format!(
        "{}: {}",
        steps.join("."),
        one["msg"].as_str().unwrap_or_default()
    )
}

/// Foreign text for a log line: cut, and without what would break the line.
fn quoted(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = clean.take(QUOTE_CHARACTERS).collect();
    if text.chars().nth(QUOTE_CHARACTERS).is_some() {
        short.push('…');
    }
    short
}

/// An error with its causes, and without the address, which everybody knows.
fn causes(error: reqwest::Error) -> String {
    Error::from(error.without_url()).text().to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sentences_name_the_cause_the_request_and_the_services_words() {
        let body =
            json!({"detail": {"status": "quota_exceeded", "message": "3 credits remaining."}});
        let refusal = Refusal::of_answer(401, body.to_string().as_bytes(), Some("req_1"), None);
        assert_eq!(
            refusal.to_string(),
            "quota: the account's characters are used up: buy more or wait for the next month \
             (HTTP 401, quota_exceeded, req_1): 3 credits remaining."
        );
        let body = json!({"detail": [{"loc": ["body", "text"], "msg": "Field required"}, {"loc": ["query", 0], "msg": "No"}]});
        let refusal = Refusal::of_answer(422, body.to_string().as_bytes(), None, None);
        assert_eq!(
            refusal.to_string(),
            "bad_request: ElevenLabs refuses the request (HTTP 422): body.text: Field required; query.0: No"
        );
    }

    #[test]
    fn whatever_comes_is_quoted_cut_and_harmless() {
        for body in [
            "",
            "<html>\n\u{7}Bad gateway",
            "[]",
            "null",
            "{\"detail\":7}",
            "{\"detail\":{\"code\":3}}",
            "\u{fffd}",
        ] {
            let said = Refusal::of_answer(502, body.as_bytes(), None, None).to_string();
            assert!(said.starts_with("server: "), "{said}");
            assert!(!said.contains(char::is_control), "{said:?}");
        }
        let endless = format!(
            "{{\"detail\":{{\"code\":\"{0}\",\"message\":\"{0}\"}}}}",
            "ä".repeat(5000)
        );
        let said = Refusal::of_answer(500, endless.as_bytes(), None, None).to_string();
        assert!(said.chars().count() < 400, "{}", said.len());
    }

    #[test]
    fn the_service_may_say_how_long_to_wait() {
        let again = |status, after| Refusal::of_answer(status, b"", None, Some(after)).again();
        assert_eq!(again(429, "2"), Again::After(Duration::from_secs(2)));
        let for_ever = u64::MAX.to_string();
        assert_eq!(
            again(429, &for_ever),
            Again::After(Duration::from_secs(WAIT_MOST_SECS))
        );
        assert_eq!(again(503, "Wed, 21 Oct 2026 07:28:00 GMT"), Again::Soon);
        assert_eq!(again(401, "2"), Again::Never);
    }
}
