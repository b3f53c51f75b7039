//! What a responder asks for beside words and sound: the JSON of an ACTION, read and held to its bounds. What becomes of
//! it is not known here.

use crate::call::{Departure, MAX_TEXT_BYTES};
use serde_json::Value;
use voice_plugin::abi::limit;
use voice_plugin::dial::{DIALABLE, is_dialable};

/// Keys pressed at once. A call's number, a pin and some pauses are fewer.
const MAX_DIGITS: usize = 64;

/// Longest name of a voice or a variable, and longest language tag.
pub(super) const MAX_NAME_BYTES: usize = limit::NAME_BYTES;

/// Longest value of a variable: a sentence or two.
pub(super) const MAX_VALUE_BYTES: usize = limit::VALUE_BYTES;

/// Longest note: a page.
pub(super) const MAX_NOTE_BYTES: usize = limit::NOTE_BYTES;

// The core knows no contract, so here is where the two are held together.
const _: () = assert!(MAX_TEXT_BYTES == limit::TEXT_BYTES);

/// Longest silence that may be asked for: an hour, as `no_input_ms` allows ten minutes.
const MAX_SILENCE_MS: u64 = 3_600_000;

/// Something to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    HangUp,
    OwnTurns,
    /// Which turns beside the caller's words it takes, and whether his sound; what is not said stays.
    Take {
        first: Option<bool>,
        digits: Option<bool>,
        silence: Option<bool>,
        audio: Option<bool>,
    },
    Depart(Departure),
    Voice(String),
    Language(String),
    Silence {
        after_ms: u64,
    },
    Set {
        name: String,
        value: String,
    },
    Note(String),
}

/// Why something is not done.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// A sentence that begins with a name.
    pub(super) text: String,
    /// What the action was, if that could be read.
    pub(super) what: String,
    /// The caller was to be taken elsewhere, and whoever did so waits until he is back: from what.
    pub(super) departs: Option<&'static str>,
}

/// Reads one.
pub(super) fn read(json: &[u8]) -> Result<Action, Refused> {
    let action: Value = serde_json::from_slice(json)
        .map_err(|error| refused(format!("an action that is no JSON: {error}")))?;
    let what = action["do"].as_str().unwrap_or_default();
    taken(&action, what).map_err(|refused| Refused {
        what: shown(what),
        ..refused
    })
}

fn taken(action: &Value, what: &str) -> Result<Action, Refused> {
    let text = |key: &str| {
        let text = action[key].as_str();
        text.ok_or_else(|| {
            let what = shown(what);
            refused(format!("the action \"{what}\" without \"{key}\", a text"))
        })
    };
    let bounded = |key: &str, most: usize| {
        let text = text(key)?;
        if (1..=most).contains(&text.len()) {
            return Ok(text.to_owned());
        }
        let length = text.len();
        Err(refused(format!(
            "\"{key}\" of the action \"{what}\" must have 1 to {most} bytes, not {length}"
        )))
    };
    Ok(match what {
        "hang_up" => Action::HangUp,
        "own_turns" => Action::OwnTurns,
        "take" => Action::Take {
            first: action["first"].as_bool(),
            digits: action["digits"].as_bool(),
            silence: action["silence"].as_bool(),
            audio: action["audio"].as_bool(),
        },
        "transfer" => {
            let departs = |refused: Refused| refused.departs("transfer");
            Action::Depart(transfer(text("to")).map_err(departs)?)
        }
        "send_digits" => {
            let departs = |refused: Refused| refused.departs("digits");
            Action::Depart(digits(text("digits")).map_err(departs)?)
        }
        "voice" => Action::Voice(bounded("voice", MAX_NAME_BYTES)?),
        "language" => {
            let language = bounded("language", MAX_NAME_BYTES)?;
            let tag = |c: char| c.is_ascii_alphanumeric() || c == '-';
            if !language.chars().all(tag) {
                let language = shown(&language);
                return Err(refused(format!(
                    "\"{language}\" is no language such as es or es-ES"
                )));
            }
            Action::Language(language)
        }
        "silence" => {
            let after_ms = action["after_ms"].as_u64().ok_or_else(|| {
                refused("the action \"silence\" without \"after_ms\", a number".to_owned())
            })?;
            Action::Silence {
                after_ms: after_ms.min(MAX_SILENCE_MS),
            }
        }
        "set" => {
            let value = text("value")?;
            if value.len() > MAX_VALUE_BYTES {
                let length = value.len();
                return Err(refused(format!(
                    "a variable of {length} bytes is not kept; at most {MAX_VALUE_BYTES} are"
                )));
            }
            Action::Set {
                name: bounded("name", MAX_NAME_BYTES)?,
                value: value.to_owned(),
            }
        }
        "note" => Action::Note(bounded("text", MAX_NOTE_BYTES)?),
        unknown => {
            let unknown = shown(unknown);
            return Err(refused(format!(
                "an action that this version does not know, \"{unknown}\""
            )));
        }
    })
}

fn transfer(to: Result<&str, Refused>) -> Result<Departure, Refused> {
    let to = to?;
    if is_dialable(to) {
        return Ok(Departure::Transfer(to.to_owned()));
    }
    let to = shown(to);
    Err(refused(format!(
        "it wants to transfer to \"{to}\", which is not {DIALABLE}"
    )))
}

fn digits(digits: Result<&str, Refused>) -> Result<Departure, Refused> {
    let digits = digits?;
    if are_digits(digits) {
        return Ok(Departure::Digits(digits.to_owned()));
    }
    let digits = shown(digits);
    Err(refused(format!(
        "it wants to press \"{digits}\", which is not 1 to {MAX_DIGITS} of 0-9 * # A-D and w"
    )))
}

fn refused(what: String) -> Refused {
    Refused {
        text: format!("bad_action: {what}"),
        what: String::new(),
        departs: None,
    }
}

impl Refused {
    fn departs(self, from: &'static str) -> Refused {
        Refused {
            departs: Some(from),
            ..self
        }
    }
}

fn are_digits(digits: &str) -> bool {
    let key = |b: u8| b.is_ascii_digit() || matches!(b, b'*' | b'#' | b'A'..=b'D' | b'w' | b'W');
    (1..=MAX_DIGITS).contains(&digits.len()) && digits.bytes().all(key)
}

/// As much of a plugin's text as a sentence for the log can bear.
fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(action: &Value) -> Result<Action, Refused> {
        read(action.to_string().as_bytes())
    }

    #[test]
    fn every_action_of_the_contract_is_read() {
        let name = |name: &str| name.to_owned();
        for (action, meant) in [
            (json!({"do": "hang_up"}), Action::HangUp),
            (json!({"do": "own_turns", "later": 1}), Action::OwnTurns),
            (
                json!({"do": "take", "digits": true, "silence": false}),
                Action::Take {
                    first: None,
                    digits: Some(true),
                    silence: Some(false),
                    audio: None,
                },
            ),
            (
                json!({"do": "take", "audio": true}),
                Action::Take {
                    first: None,
                    digits: None,
                    silence: None,
                    audio: Some(true),
                },
            ),
            (
                json!({"do": "transfer", "to": "+15550100"}),
                Action::Depart(Departure::Transfer(name("+15550100"))),
            ),
            (
                json!({"do": "transfer", "to": "sip:desk@example.com;transport=tls"}),
                Action::Depart(Departure::Transfer(name(
                    "sip:desk@example.com;transport=tls",
                ))),
            ),
            (
                json!({"do": "send_digits", "digits": "1w23#*AD"}),
                Action::Depart(Departure::Digits(name("1w23#*AD"))),
            ),
            (
                json!({"do": "voice", "voice": "spanish"}),
                Action::Voice(name("spanish")),
            ),
            (
                json!({"do": "language", "language": "es-ES"}),
                Action::Language(name("es-ES")),
            ),
            (
                json!({"do": "silence", "after_ms": 5000}),
                Action::Silence { after_ms: 5000 },
            ),
            (
                json!({"do": "silence", "after_ms": u64::MAX}),
                Action::Silence {
                    after_ms: MAX_SILENCE_MS,
                },
            ),
            (
                json!({"do": "set", "name": "order", "value": ""}),
                Action::Set {
                    name: name("order"),
                    value: String::new(),
                },
            ),
            (
                json!({"do": "note", "text": "wants a callback"}),
                Action::Note(name("wants a callback")),
            ),
        ] {
            assert_eq!(said(&action), Ok(meant), "{action}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_refused_in_words() {
        for (action, words) in [
            (json!({"do": "transfer"}), "without \"to\""),
            (
                json!({"do": "transfer", "to": "15550100"}),
                "15550100\", which is not + and 3 to 15 digits",
            ),
            (
                json!({"do": "send_digits", "digits": ""}),
                "it wants to press",
            ),
            (
                json!({"do": "send_digits", "digits": "1 2"}),
                "it wants to press",
            ),
            (
                json!({"do": "send_digits", "digits": "1".repeat(MAX_DIGITS + 1)}),
                "it wants to press",
            ),
            (json!({"do": "voice", "voice": ""}), "1 to 64 bytes, not 0"),
            (
                json!({"do": "language", "language": "es_ES"}),
                "no language",
            ),
            (json!({"do": "silence", "after_ms": -1}), "after_ms"),
            (json!({"do": "set", "name": "n"}), "without \"value\""),
            (
                json!({"do": "set", "name": "n", "value": "v".repeat(MAX_VALUE_BYTES + 1)}),
                "1001 bytes",
            ),
            (
                json!({"do": "note", "text": "t".repeat(MAX_NOTE_BYTES + 1)}),
                "1 to 4000 bytes, not 4001",
            ),
            (json!({"do": "levitate"}), "does not know, \"levitate\""),
            (json!({}), "does not know, \"\""),
            (json!(7), "does not know"),
        ] {
            let Refused {
                text,
                what,
                departs,
            } = said(&action).unwrap_err();
            assert!(
                text.starts_with("bad_action: ") && text.contains(words),
                "{action}: {text}"
            );
            let named = action["do"].as_str().unwrap_or_default();
            assert_eq!(what, named, "{action}");
            let from = match named {
                "transfer" => Some("transfer"),
                "send_digits" => Some("digits"),
                _ => None,
            };
            assert_eq!(departs, from, "{action}");
        }
        assert!(read(b"{").unwrap_err().text.contains("no JSON"));
        let long = said(&json!({"do": "x".repeat(9000)})).unwrap_err().text;
        assert!(long.len() < 200, "{long}");
    }
}
