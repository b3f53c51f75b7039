//! Every word of the pages, once per language, as constants of one type: a language that lacks a word does not
//! compile. What a test adds: none is empty, none was forgotten in the other language, placeholders agree.
//!
//! A word for a script is handed to it with the page, in a `data-words` attribute, as JSON.

mod en;
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
}

/// Around every page.
#[derive(Debug, Serialize)]
pub(in crate::http) struct FrameWords {
    pub(in crate::http) skip: &'static str,
    pub(in crate::http) navigation: &'static str,
    pub(in crate::http) logs: &'static str,
    pub(in crate::http) language: &'static str,
    pub(in crate::http) theme: &'static str,
    pub(in crate::http) auto: &'static str,
    pub(in crate::http) light: &'static str,
    pub(in crate::http) dark: &'static str,
    pub(in crate::http) not_here_title: &'static str,
    pub(in crate::http) not_here: &'static str,
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Words that are the same in both languages, and rightly so.
    const SHARED: &[&str] = &["/frame/auto", "/logs/ip", "/logs/sid"];

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
