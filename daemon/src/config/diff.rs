//! What an edit changes, as a value that can be printed and tested before anything is touched: each key, what it said
//! and what it says, and from when on that holds.
//!
//! Pure: two sheets in, a list out. Whoever applies the new configuration does not read this; it is for people.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::sheet::{Row, Sheet};

/// Digits of a library's hash that are shown.
const BUILD_DIGITS: usize = 12;

/// From when on a changed key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Takes {
    /// For everything that happens from now on.
    AtOnce,
    /// In running calls too, as soon as somebody says something new: their agent, or the caller to a transcriber.
    NextUtterance,
    /// In calls that begin from now on; running ones keep what they have.
    NextCall,
    /// A plugin that speaks or hears, and answers: the former at the next utterance, the responder at the next call.
    NextUse,
    /// Not before the daemon is started again.
    Restart,
}

impl Takes {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Takes::AtOnce => "at once",
            Takes::NextUtterance => "at the next utterance",
            Takes::NextCall => "at the next call",
            Takes::NextUse => {
                "its voices and transcribers at the next utterance, its answers at the next call"
            }
            Takes::Restart => "only after a restart",
        }
    }
}

/// One changed key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The key's whole path; `plugins.NAME` alone for a library whose content changed.
    pub key: String,
    /// What it said; none if it was not there. Secrets are dots.
    pub before: Option<String>,
    /// What it says now; none if it is gone. Secrets are dots.
    pub after: Option<String>,
    /// From when on.
    pub takes: Takes,
}

/// Everything an edit changes, in the order of the keys. `Display` draws a line for each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Diff(pub Vec<Change>);

impl Diff {
    /// What has to change in `before` to make it `after`. Builds are compared where both sheets know them.
    pub fn between(before: &Sheet, after: &Sheet) -> Diff {
        let keys: BTreeSet<&String> = before.rows.keys().chain(after.rows.keys()).collect();
        let mut changes: Vec<Change> = keys
            .into_iter()
            .filter_map(|key| {
                let (old, new) = (before.rows.get(key), after.rows.get(key));
                let mark = |row: Option<&Row>| row.map(|row| row.mark.clone());
                let shown = |row: Option<&Row>| row.map(|row| row.shown.clone());
                (mark(old) != mark(new)).then(|| Change {
                    key: key.clone(),
                    before: shown(old),
                    after: shown(new),
                    takes: takes(key, before, after),
                })
            })
            .collect();
        for (name, new) in &after.builds {
            if let Some(old) = before.builds.get(name).filter(|old| *old != new) {
                let shown = |hash: &String| {
                    let digits = hash.get(..BUILD_DIGITS).unwrap_or(hash);
                    Some(format!("build {digits}"))
                };
                let key = format!("plugins.{name}");
                changes.push(Change {
                    before: shown(old),
                    after: shown(new),
                    takes: takes(&key, before, after),
                    key,
                });
            }
        }
        changes.sort_by(|a, b| a.key.cmp(&b.key));
        Diff(changes)
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that have to wait for a restart.
    #[must_use]
    pub fn waiting(&self) -> Diff {
        let waits = |change: &&Change| change.takes == Takes::Restart;
        Diff(self.0.iter().filter(waits).cloned().collect())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "~ {key}: {before} → {after}")?,
            (None, Some(after)) => write!(f, "+ {key} = {after}")?,
            (Some(before), None) => write!(f, "- {key} = {before}")?,
            (None, None) => write!(f, "  {key}")?,
        }
        write!(f, "  ({})", self.takes.as_str())
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, change) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            change.fmt(f)?;
        }
        Ok(())
    }
}

/// From when on a key holds, by its path; for a plugin, by what it is used for.
fn takes(key: &str, before: &Sheet, after: &Sheet) -> Takes {
    let (family, rest) = key.split_once('.').unwrap_or((key, ""));
    match (family, rest) {
        (
            "http",
            "listen" | "max_connections" | "max_connections_per_ip" | "header_timeout_secs",
        )
        | ("store", _)
        | ("media", "threads")
        | ("log", "file" | "format") => Takes::Restart,
        ("limits", "call_secs") | ("media", _) => Takes::NextCall,
        ("http" | "twilio" | "limits" | "log", _) => Takes::AtOnce,
        ("voices" | "transcribers", _) => Takes::NextUtterance,
        // The voice of an agent, not that of its turns: `agents.NAME.voice`.
        ("agents", rest) if rest.ends_with(".voice") => Takes::NextUtterance,
        // Whether a call waits for words at all is settled when it begins; whose words, with each stretch of speech.
        ("agents", rest) if rest.ends_with(".transcriber") || rest.ends_with(".endpointer") => {
            if before.rows.contains_key(key) && after.rows.contains_key(key) {
                Takes::NextUtterance
            } else {
                Takes::NextCall
            }
        }
        ("plugins", rest) => {
            let name = rest.split('.').next().unwrap_or(rest);
            let used = |family: &str, key: &str| {
                let named = format!("\"{name}\"");
                let rows = before.rows.iter().chain(&after.rows);
                rows.filter(|(path, _)| path.starts_with(family) && path.ends_with(key))
                    .any(|(_, row)| row.shown == named)
            };
            let speaks = used("voices.", ".plugin") || used("transcribers.", ".plugin");
            let answers = ["responder", "fallback_responder"]
                .iter()
                .any(|key| used("agents.", &format!(".{key}")));
            match (speaks, answers) {
                (true, true) => Takes::NextUse,
                (true, false) => Takes::NextUtterance,
                (false, _) => Takes::NextCall,
            }
        }
        _ => Takes::NextCall,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sheet of these rows, and of these builds.
    fn sheet(rows: &[(&str, &str)], builds: &[(&str, &str)]) -> Sheet {
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let row = |row: &(&str, &str)| {
            let (key, value) = text(row);
            let shown = if key.ends_with("auth_token") {
                "••••".into()
            } else {
                value.clone()
            };
            (key, Row { shown, mark: value })
        };
        Sheet {
            salt: String::new(),
            rows: rows.iter().map(row).collect(),
            builds: builds.iter().map(text).collect(),
        }
    }

    #[test]
    fn each_key_says_from_when_on_it_holds() {
        for (key, when) in [
            ("http.listen", Takes::Restart),
            ("http.max_connections", Takes::Restart),
            ("http.max_connections_per_ip", Takes::Restart),
            ("http.header_timeout_secs", Takes::Restart),
            ("http.public_url", Takes::AtOnce),
            ("http.trusted_proxies", Takes::AtOnce),
            ("twilio.auth_token", Takes::AtOnce),
            ("store.path", Takes::Restart),
            ("limits.calls", Takes::AtOnce),
            ("limits.call_secs", Takes::NextCall),
            ("media.threads", Takes::Restart),
            ("media.lead_ms", Takes::NextCall),
            ("log.level", Takes::AtOnce),
            ("log.format", Takes::Restart),
            ("log.file", Takes::Restart),
            ("voices.english.voice", Takes::NextUtterance),
            ("transcribers.words.model", Takes::NextUtterance),
            ("agents.default.voice", Takes::NextUtterance),
            ("agents.default.greeting", Takes::NextCall),
            ("agents.default.turn.end_of_turn_ms", Takes::NextCall),
            ("agents.default.responder", Takes::NextCall),
            ("numbers.+15550100.agent", Takes::NextCall),
            ("default_agent", Takes::NextCall),
        ] {
            let (before, after) = (sheet(&[(key, "1")], &[]), sheet(&[(key, "2")], &[]));
            let Diff(changes) = Diff::between(&before, &after);
            let found: Vec<_> = changes
                .iter()
                .map(|one| (one.key.as_str(), one.takes))
                .collect();
            assert_eq!(found, [(key, when)]);
            assert_eq!(
                Diff(changes).waiting().is_empty(),
                when != Takes::Restart,
                "{key}"
            );
        }
    }

    #[test]
    fn a_transcriber_that_comes_or_goes_waits_for_the_next_call_and_another_does_not() {
        for key in ["agents.default.transcriber", "agents.default.endpointer"] {
            let (none, one) = (sheet(&[], &[]), sheet(&[(key, "a")], &[]));
            let other = sheet(&[(key, "b")], &[]);
            for (before, after, when) in [
                (&none, &one, Takes::NextCall),
                (&one, &none, Takes::NextCall),
                (&one, &other, Takes::NextUtterance),
            ] {
                assert_eq!(Diff::between(before, after).0[0].takes, when, "{key}");
            }
        }
    }

    #[test]
    fn a_plugin_holds_as_soon_as_what_it_is_used_for_does() {
        let uses = [
            ("voices.english.plugin", Takes::NextUtterance),
            ("transcribers.words.plugin", Takes::NextUtterance),
            ("agents.default.responder", Takes::NextCall),
            ("agents.default.fallback_responder", Takes::NextCall),
        ];
        let changed = |rows: &[(&str, &str)]| {
            let (before, after) = (sheet(rows, &[("it", "1")]), sheet(rows, &[("it", "2")]));
            let diff = Diff::between(&before, &after);
            assert_eq!(diff.0[0].key, "plugins.it");
            diff.0[0].takes
        };
        for (key, when) in uses {
            assert_eq!(changed(&[(key, "\"it\"")]), when, "{key}");
            assert_eq!(
                changed(&[(key, "\"item\"")]),
                Takes::NextCall,
                "{key} of another"
            );
        }
        let both = [(uses[0].0, "\"it\""), (uses[2].0, "\"it\"")];
        assert_eq!(changed(&both), Takes::NextUse);
        // Who speaks from now on counts as much as who did.
        let before = sheet(&[("plugins.it.speed", "1")], &[]);
        let after = sheet(&[("plugins.it.speed", "2"), (uses[0].0, "\"it\"")], &[]);
        let Diff(changes) = Diff::between(&before, &after);
        assert_eq!(changes[0].takes, Takes::NextUtterance);
    }

    #[test]
    fn what_changed_is_drawn_in_the_order_of_the_keys() {
        let before = sheet(
            &[
                ("http.listen", "\"127.0.0.1:1\""),
                ("limits.calls", "7"),
                ("log.level", "\"info\""),
                ("twilio.auth_token", "one"),
            ],
            &[("gone", "f00"), ("pico", "0123456789abcdef")],
        );
        let after = sheet(
            &[
                ("http.listen", "\"127.0.0.1:2\""),
                ("log.level", "\"info\""),
                ("twilio.auth_token", "two"),
                ("voices.new.plugin", "\"pico\""),
            ],
            &[("come", "f00"), ("pico", "fedcba9876543210")],
        );
        let diff = Diff::between(&before, &after);
        assert_eq!(
            diff.to_string(),
            "~ http.listen: \"127.0.0.1:1\" → \"127.0.0.1:2\"  (only after a restart)\n\
             - limits.calls = 7  (at once)\n\
             ~ plugins.pico: build 0123456789ab → build fedcba987654  (at the next utterance)\n\
             ~ twilio.auth_token: •••• → ••••  (at once)\n\
             + voices.new.plugin = \"pico\"  (at the next utterance)"
        );
        assert_eq!(diff.waiting().0.len(), 1);
        assert!(Diff::between(&before, &before).is_empty());
    }
}
