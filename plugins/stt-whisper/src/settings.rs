//! The keys of the plugin, with their defaults and limits, and what a call's language means. A transcriber has none but the
//! host's own.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// Most threads: beyond that a machine needs more memory bandwidth than it has.
const THREADS_MAX: u16 = 64;

/// Keys of `[plugins.NAME]`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Folder with `model.bin` and `vocabulary.txt`, or the path of the `model.bin`.
    model: String,
    /// Threads that listen, each to one turn at a time. All use the same weights.
    #[serde(default)]
    threads: Threads,
}

impl Config {
    /// A relative path starts where the daemon was started, and is shown as what it comes to.
    pub(crate) fn model(&self) -> PathBuf {
        std::path::absolute(&self.model).unwrap_or_else(|_| Path::new(&self.model).to_owned())
    }

    pub(crate) fn threads(&self) -> usize {
        usize::from(self.threads.0)
    }
}

/// What `language` says where it is to be found out at each turn.
pub(crate) const AUTO: &str = "auto";

/// What to expect in a call of this language, which is the transcriber's or the agent's; `None` to find out.
pub(crate) fn expected(language: &str) -> Option<&str> {
    (!language.is_empty() && language != AUTO).then_some(language)
}

/// A number of threads, 1 by default.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "i64")]
struct Threads(u16);

impl Default for Threads {
    fn default() -> Threads {
        Threads(1)
    }
}

impl TryFrom<i64> for Threads {
    type Error = String;

    fn try_from(number: i64) -> Result<Threads, String> {
        match u16::try_from(number) {
            Ok(n) if (1..=THREADS_MAX).contains(&n) => Ok(Threads(n)),
            _ => Err(format!("{number} is not between 1 and {THREADS_MAX}")),
        }
    }
}

impl JsonSchema for Threads {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "threads".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": THREADS_MAX, "default": 1 })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn keys_have_defaults_and_limits() {
        let config: Config = from_value(json!({ "model": "/m/tiny.en" })).unwrap();
        assert_eq!((config.model(), config.threads()), ("/m/tiny.en".into(), 1));
        let config: Config = from_value(json!({ "model": "m", "threads": 64 })).unwrap();
        assert_eq!(config.threads(), 64);
        assert!(config.model().is_absolute());
        for threads in [0, 65, -1] {
            let refused =
                from_value::<Config>(json!({ "model": "m", "threads": threads })).unwrap_err();
            assert_eq!(
                refused.to_string(),
                format!("{threads} is not between 1 and 64")
            );
        }
    }

    #[test]
    fn a_language_is_expected_unless_it_is_to_be_found_out() {
        for (language, expects) in [("", None), ("auto", None), ("es-MX", Some("es-MX"))] {
            assert_eq!(expected(language), expects);
        }
    }
}
