//! Asking a plugin what it makes of a configuration before it is opened: the contract's extension `check/1`. It may say
//! more than an error of `open` has room for, and draw what would come of it.
//!
//! A plugin that fails at being asked has not said that its keys are right, so it is a mistake like any other, and named.
//! Whether a plugin is opened is not decided here.

use super::deadline::{self, NoResult};
use super::error::{CheckError, CheckProblem};
use super::generation::{OPEN_DEADLINE, thread_name, wipe};
use super::library::{Collected, Library, collect};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use voice_plugin::abi::VpBytes;

/// What a plugin says of a configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Checkup {
    /// What is wrong with it.
    pub problems: Vec<Found>,
    /// What would come of it, for people; lines.
    pub drawing: String,
    /// Those of `[voices.NAME]` that it may choose.
    pub voices: Vec<String>,
}

/// One thing that is wrong.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "a problem is a sentence, or an object with `key`, `line` and `text`"
)]
pub enum Found {
    /// A sentence.
    Sentence(String),
    /// A sentence about a line, from 1, of a key's text.
    InText {
        /// The key of `[plugins.NAME]`.
        key: String,
        /// The line.
        line: usize,
        /// The sentence.
        text: String,
    },
}

/// What the plugin configured under `config_name` says of its keys; nothing if it has no such extension. Blocks up to
/// [`OPEN_DEADLINE`].
///
/// # Errors
/// It did not come to an answer; a sentence with its name.
pub fn checkup(
    library: &Arc<Library>,
    config_name: &str,
    config_json: &str,
) -> Result<Checkup, CheckError> {
    checkup_within(OPEN_DEADLINE, library, config_name, config_json)
}

fn checkup_within(
    limit: Duration,
    library: &Arc<Library>,
    config_name: &str,
    config_json: &str,
) -> Result<Checkup, CheckError> {
    let Some(check) = library.table().check else {
        return Ok(Checkup::default());
    };
    let name = config_name.to_owned();
    let mut config = config_json.as_bytes().to_vec();
    let held = Arc::clone(library);
    let work = move || {
        // SAFETY: the plugin's function with a configuration that is lent for the call; the rest comes with `collect`.
        let said = collect(|put, to| unsafe { check(VpBytes::lend(&config), put, to) });
        wipe(&mut config);
        drop(held);
        said
    };
    let why = match deadline::call(&thread_name("check", &name), limit, work, drop) {
        Ok(Collected::Json(json)) if json.is_empty() => return Ok(Checkup::default()),
        Ok(Collected::Json(json)) => match serde_json::from_slice(&json) {
            Ok(checkup) => return Ok(checkup),
            Err(no) => {
                CheckProblem::Failed(format!("what it put is not what the contract says: {no}"))
            }
        },
        Ok(Collected::Panicked) => CheckProblem::Failed("it panicked".to_owned()),
        Ok(Collected::Refused(code)) => CheckProblem::Failed(format!("`check` answered {code}")),
        Ok(Collected::Misused(how)) => CheckProblem::Failed(how),
        Err(NoResult::Overrun) => CheckProblem::Overrun {
            secs: limit.as_secs(),
        },
        Err(NoResult::Thread(cause)) => CheckProblem::Thread(cause),
    };
    Err(CheckError { name, why })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::plugin::fixtures::Bench;

    #[test]
    fn whatever_a_plugin_does_when_asked_comes_back_as_a_sentence_with_its_name() {
        let bench = Bench::new();
        let library = bench.load(&bench.build("checks", &[], "checks")).unwrap();
        let asked = |does: &str| {
            let checkup = checkup(&library, "desk", &format!("{{\"does\":\"{does}\"}}"));
            checkup.map_err(|no| no.to_string())
        };
        assert_eq!(asked("fine").unwrap().drawing, "main\n  1 -> sales");
        assert_eq!(
            asked("finds").unwrap().problems,
            [
                Found::Sentence("no".into()),
                Found::InText {
                    key: "gate".into(),
                    line: 4,
                    text: "no".into()
                }
            ]
        );
        assert!(asked("puts nothing").unwrap().problems.is_empty());
        for (does, said) in [
            ("panics", "it panicked"),
            ("fails", "`check` answered -1"),
            (
                "puts garbage",
                "what it put is not what the contract says: expected value",
            ),
            (
                "puts numbers",
                "what it put is not what the contract says: a problem is a sentence",
            ),
            ("puts bytes", "what it put is not what the contract says: "),
            ("puts twice", "it was put 2 times, once is allowed"),
            ("puts much", "it is longer than 1048576 bytes"),
        ] {
            let no = asked(does).unwrap_err();
            let head = format!("plugin desk could not check its keys: {said}");
            assert!(no.starts_with(&head), "{does}: {no}");
        }
    }

    #[test]
    fn a_plugin_that_does_not_return_is_left_behind() {
        let bench = Bench::new();
        let library = bench.load(&bench.build("checks", &[], "checks")).unwrap();
        let never = "{\"does\":\"waits\",\"gate\":\"/nowhere/at/all\"}";
        let no = checkup_within(Duration::ZERO, &library, "desk", never).unwrap_err();
        let said = "plugin desk did not check its keys within 0 s and is left behind";
        assert!(no.to_string().starts_with(said), "{no}");
        assert!(checkup(&library, "desk", "{\"does\":\"fine\"}").is_ok());
    }
}
