//! What a plugin learns when a call starts: the `info_json` of `start`, read. Unknown members are ignored, so that the
//! host may say more one day.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::format::Format;

/// The call that a stream belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct CallInfo {
    /// The carrier's name for the call.
    pub sid: String,
    /// Who called, as the carrier wrote it; usually `+` and digits.
    pub from: String,
    /// Which number was called.
    pub to: String,
    /// What the webhook was given for this call, by name.
    pub parameters: BTreeMap<String, String>,
}

/// Everything said at the start of a stream.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct StartInfo {
    /// The call.
    pub call: CallInfo,
    /// A voice has to produce it, a transcriber gets it, a responder gets and gives it.
    pub format: Format,
    /// The agent's language, as in `en` or `de-AT`; empty when none is set.
    pub language: String,
    /// What was said in the call so far, oldest first; only for a responder, and empty unless it comes to a call that has
    /// begun: as a fallback, or again after it had fallen.
    #[serde(deserialize_with = "known")]
    pub history: Vec<Said>,
    /// The variables that responders have kept with the call.
    pub variables: BTreeMap<String, String>,
    /// The keys of `[voices.NAME]` or `[transcribers.NAME]` that are meant for the plugin.
    pub settings: Value,
}

/// A piece of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Said {
    /// What the caller said.
    Caller(String),
    /// A key he pressed, where keys are turns.
    Digit(char),
    /// What he heard of the agent.
    Agent {
        /// The words.
        text: String,
        /// There was more, but he heard no more of it.
        interrupted: bool,
    },
}

/// The pieces that this version knows.
fn known<'de, D: Deserializer<'de>>(from: D) -> core::result::Result<Vec<Said>, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Piece {
        caller: Option<String>,
        digit: Option<char>,
        agent: Option<String>,
        interrupted: bool,
    }
    let said = |piece: Piece| match piece {
        Piece {
            caller: Some(text), ..
        } => Some(Said::Caller(text)),
        Piece {
            digit: Some(digit), ..
        } => Some(Said::Digit(digit)),
        Piece {
            agent: Some(text),
            interrupted,
            ..
        } => Some(Said::Agent { text, interrupted }),
        Piece { .. } => None,
    };
    Ok(Vec::<Piece>::deserialize(from)?
        .into_iter()
        .filter_map(said)
        .collect())
}

/// A configuration without keys: any key is refused by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Reads `info_json`.
pub(crate) fn start_info(json: &[u8]) -> Result<StartInfo> {
    read(json).map_err(|e| {
        Error::new(format!(
            "cannot read what the host said about the call: {e}"
        ))
    })
}

/// Reads a configuration; no bytes at all count as no keys.
pub(crate) fn config<C: DeserializeOwned>(json: &[u8]) -> Result<C> {
    read(json).map_err(|e| Error::new(format!("the configuration of the plugin does not fit: {e}")))
}

/// Reads the settings of one voice or transcriber.
pub(crate) fn settings<S: DeserializeOwned>(what: &str, settings: Value) -> Result<S> {
    let settings = if settings.is_null() {
        Value::Object(Default::default())
    } else {
        settings
    };
    serde_json::from_value(settings).map_err(|e| {
        Error::new(format!(
            "the settings of the {what} do not fit: {}",
            place_cut(&e)
        ))
    })
}

fn read<T: DeserializeOwned>(json: &[u8]) -> core::result::Result<T, String> {
    let json = if json.is_empty() { b"{}" } else { json };
    serde_json::from_slice(json).map_err(|e| place_cut(&e))
}

/// The error without its line and column: they count in JSON that the host made, which nobody has seen.
fn place_cut(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    if let Some(place) = text.rfind(" at line ") {
        text.truncate(place);
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn start_info_reads_the_shape_of_the_contract() {
        let info = start_info(
            br#"{"call":{"sid":"CA1","from":"+1","to":"+2","parameters":{"k":"v"}},
                 "format":{"encoding":"s16le","rate":16000},"language":"en","settings":{"speed":2},"later":1}"#,
        )
        .unwrap();
        assert_eq!(info.call.sid, "CA1");
        assert_eq!(info.call.parameters["k"], "v");
        assert_eq!(info.format, Format::s16le(16000));
        assert_eq!(info.settings["speed"], 2);
    }

    #[test]
    fn a_conversation_so_far_is_read_and_what_is_not_known_is_passed_over() {
        let info = start_info(
            br#"{"history":[{"agent":"Hello","interrupted":true},{"caller":"hi"},{"later":1},{"digit":"5"}],
                 "variables":{"order":"17"}}"#,
        )
        .unwrap();
        let agent = Said::Agent {
            text: "Hello".into(),
            interrupted: true,
        };
        assert_eq!(
            info.history,
            [agent, Said::Caller("hi".into()), Said::Digit('5')]
        );
        assert_eq!(info.variables["order"], "17");
    }

    #[test]
    fn nothing_said_means_the_line_and_no_keys() {
        let info = start_info(b"").unwrap();
        assert_eq!(
            (info.format, info.call),
            (Format::MULAW_8K, CallInfo::default())
        );
        assert!(settings::<Nothing>("voice", info.settings).is_ok());
        assert!(config::<Nothing>(b"").is_ok());
    }

    #[test]
    fn refusals_name_the_key_and_no_line() {
        assert_eq!(
            config::<Nothing>(br#"{"vioce":1}"#).unwrap_err().text(),
            "the configuration of the plugin does not fit: unknown field `vioce`, there are no fields"
        );
        assert_eq!(
            settings::<Nothing>("voice", serde_json::json!({"x": 1}))
                .unwrap_err()
                .text(),
            "the settings of the voice do not fit: unknown field `x`, there are no fields"
        );
        assert!(start_info(b"[")
            .unwrap_err()
            .text()
            .starts_with("cannot read what the host said"));
    }
}
