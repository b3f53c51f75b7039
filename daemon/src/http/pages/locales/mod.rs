//! Every word of the pages, once per language, as constants of one type: a language that lacks a word does not
//! compile. What a test adds: none is empty, none was forgotten in the other language, placeholders agree.
//!
//! A word for a script is handed to it with the page, in a `data-words` attribute, as JSON.

mod admin;
pub(super) mod en;
mod es;

pub(in crate::http) use en::EN;
pub(in crate::http) use es::ES;

use serde::Serialize;

/// One language.
#[derive(Debug, Serialize)]
pub(in crate::http) struct Words {
    /// Its tag, for `lang`.
    pub(in crate::http) lang: &'static str,
    pub(in crate::http) frame: FrameWords,
    pub(in crate::http) logs: LogsWords,
    pub(in crate::http) call: CallWords,
    pub(in crate::http) admin: admin::AdminWords,
}

/// Around every page.
#[derive(Debug, Serialize)]
pub(in crate::http) struct FrameWords {
    pub(in crate::http) skip: &'static str,
    pub(in crate::http) navigation: &'static str,
    pub(in crate::http) logs: &'static str,
    pub(in crate::http) admin: &'static str,
    pub(in crate::http) language: &'static str,
    pub(in crate::http) theme: &'static str,
    pub(in crate::http) auto: &'static str,
    pub(in crate::http) light: &'static str,
    pub(in crate::http) dark: &'static str,
    pub(in crate::http) not_here_title: &'static str,
    pub(in crate::http) not_here: &'static str,
    pub(in crate::http) nowhere_title: &'static str,
    pub(in crate::http) nowhere: &'static str,
}

/// The page of logs.
#[derive(Debug, Serialize)]
pub(in crate::http) struct LogsWords {
    pub(in crate::http) title: &'static str,
    pub(in crate::http) date: &'static str,
    pub(in crate::http) event: &'static str,
    pub(in crate::http) text: &'static str,
    pub(in crate::http) duration: &'static str,
    pub(in crate::http) sid: &'static str,
    pub(in crate::http) ip: &'static str,
    pub(in crate::http) none: &'static str,
    pub(in crate::http) sound: &'static str,
    pub(in crate::http) unheard: &'static str,
    pub(in crate::http) bad_filter: &'static str,
    pub(in crate::http) any: &'static str,
    pub(in crate::http) search: &'static str,
    pub(in crate::http) from: &'static str,
    pub(in crate::http) until: &'static str,
    pub(in crate::http) errors: &'static str,
    pub(in crate::http) show: &'static str,
    pub(in crate::http) all: &'static str,
    pub(in crate::http) older: &'static str,
    pub(in crate::http) newest: &'static str,
    pub(in crate::http) pause: &'static str,
    pub(in crate::http) resume: &'static str,
    pub(in crate::http) live: &'static str,
    pub(in crate::http) paused: &'static str,
    pub(in crate::http) reconnecting: &'static str,
    pub(in crate::http) refused: &'static str,
    pub(in crate::http) detail: &'static str,
    pub(in crate::http) close: &'static str,
    pub(in crate::http) copy: &'static str,
    pub(in crate::http) copied: &'static str,
    pub(in crate::http) this_call: &'static str,
    pub(in crate::http) open: &'static str,
    pub(in crate::http) seconds: &'static str,
    pub(in crate::http) configuration: &'static str,
    pub(in crate::http) configuration_text: &'static str,
}

/// The call from the browser.
#[derive(Debug, Serialize)]
pub(in crate::http) struct CallWords {
    pub(in crate::http) title: &'static str,
    pub(in crate::http) lead: &'static str,
    pub(in crate::http) no_script: &'static str,
    pub(in crate::http) start: &'static str,
    pub(in crate::http) stop: &'static str,
    pub(in crate::http) idle: &'static str,
    pub(in crate::http) starting: &'static str,
    pub(in crate::http) talking: &'static str,
    pub(in crate::http) agent_speaks: &'static str,
    pub(in crate::http) ended: &'static str,
    pub(in crate::http) reconnecting: &'static str,
    pub(in crate::http) lost: &'static str,
    pub(in crate::http) not_opened: &'static str,
    pub(in crate::http) full: &'static str,
    pub(in crate::http) failed: &'static str,
    pub(in crate::http) no_network: &'static str,
    pub(in crate::http) denied: &'static str,
    pub(in crate::http) no_microphone: &'static str,
    pub(in crate::http) insecure: &'static str,
    pub(in crate::http) no_audio: &'static str,
    pub(in crate::http) you: &'static str,
    pub(in crate::http) agent: &'static str,
    pub(in crate::http) last: &'static str,
    pub(in crate::http) median: &'static str,
    pub(in crate::http) lasted: &'static str,
    pub(in crate::http) captions: &'static str,
    pub(in crate::http) sound: &'static str,
    pub(in crate::http) digits: &'static str,
    pub(in crate::http) sample: &'static str,
    pub(in crate::http) console: &'static str,
    pub(in crate::http) ms: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Words that are the same in both languages, and rightly so.
    const SHARED: &[&str] = &[
        "/call/ms",
        "/frame/auto",
        "/logs/ip",
        "/logs/seconds",
        "/logs/sid",
    ];

    /// Every word with its path.
    fn leaves(value: &Value, path: &str, found: &mut Vec<(String, String)>) {
        match value {
            Value::String(text) => found.push((path.to_owned(), text.clone())),
            Value::Object(fields) => {
                for (name, value) in fields {
                    leaves(value, &format!("{path}/{name}"), found);
                }
            }
            other => panic!("{path} is {other}"),
        }
    }

    fn words(of: &Words) -> Vec<(String, String)> {
        let mut found = Vec::new();
        leaves(&serde_json::to_value(of).unwrap(), "", &mut found);
        found
    }

    /// `{n}` and its like, in order.
    fn placeholders(text: &str) -> Vec<&str> {
        let mut found: Vec<&str> = text
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split('}').next())
            .collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn both_languages_have_every_word_of_their_own() {
        let (en, es) = (words(&EN), words(&ES));
        assert_eq!(en.len(), es.len());
        for ((path, english), (other, spanish)) in en.iter().zip(&es) {
            assert_eq!(path, other);
            assert!(
                !english.trim().is_empty() && !spanish.trim().is_empty(),
                "{path} is empty"
            );
            assert_eq!(placeholders(english), placeholders(spanish), "{path}");
            let same = english == spanish;
            assert!(
                !same || SHARED.contains(&path.as_str()),
                "{path} is not translated: {english}"
            );
        }
    }
}
