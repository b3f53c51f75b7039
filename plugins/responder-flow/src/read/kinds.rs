//! The kinds of node that have much to say, but for menus: numbers, messages, webhooks, transfers and choices.

use toml::de::DeValue;

use super::leaves::{template, terminator, variable};
use super::{DIGITS_MOST, Reader};
use crate::check;
use crate::flow::{Choose, Collect, Prompt, Template, Transfer, Voicemail, Webhook, is_name};
use crate::page::Keys;
use crate::words;

impl<'p> Reader<'p> {
    pub(super) fn collect(&mut self, keys: &mut Keys<'p>) -> Collect {
        let into = variable(keys, "into", "the variable that the number goes into");
        let min = keys.number("min", 1..=DIGITS_MOST, 1);
        let max = keys.number("max", 1..=DIGITS_MOST, DIGITS_MOST);
        if min > max {
            keys.wrong(
                keys.line,
                format!("can never be done: `min` {min} is more than `max` {max}"),
            );
        }
        let confirm = match keys.value("confirm") {
            None => None,
            Some(value) => match value.get_ref() {
                DeValue::Boolean(false) => None,
                DeValue::Boolean(true) => Some(self.usual_confirm(keys, &into)),
                _ => {
                    let texts = self.texts("confirm", value, keys);
                    texts.map(asked)
                }
            },
        };
        Collect {
            into,
            min: usize::try_from(min).unwrap_or(usize::MAX),
            max: usize::try_from(max).unwrap_or(usize::MAX),
            terminator: terminator(keys),
            digit_ms: keys.number("digit_ms", 500..=30_000, 4000),
            confirm,
            next: self.way(keys, "next", None),
            patience: self.patience(keys),
        }
    }

    /// `confirm = true`.
    fn usual_confirm(&self, keys: &Keys<'_>, into: &str) -> Prompt {
        let text = |language: &String| match words::primary(language) {
            "en" => format!(
                "You said {{{into}:digits}}. Is that right? Say yes or no, or press 1 for yes, 2 for no."
            ),
            "es" => format!(
                "Ha dicho {{{into}:digits}}. ¿Es correcto? Diga sí o no, o marque 1 para sí, 2 para no."
            ),
            _ => {
                keys.wrong(
                    keys.line,
                    format!(
                        "needs the words of `confirm` in {language}: `true` is known in en and es"
                    ),
                );
                String::new()
            }
        };
        // Made of a name that has been checked.
        let read = |text: String| Template::read(&text).unwrap_or_default();
        asked(self.languages.iter().map(text).map(read).collect())
    }

    pub(super) fn voicemail(&mut self, keys: &mut Keys<'p>) -> Voicemail {
        let next = self.way(keys, "next", None);
        Voicemail {
            into: variable(keys, "into", "the variable that the file's name goes into"),
            beep: keys.flag("beep", true),
            max_secs: keys.number("max_secs", 1..=600, 120),
            silence_ms: keys.number("silence_ms", 500..=30_000, 4000),
            terminator: terminator(keys),
            next,
            empty: self.way(keys, "empty", Some(next)),
        }
    }

    pub(super) fn webhook(&mut self, keys: &mut Keys<'p>) -> Webhook {
        let url = keys.required("url", "where to send the call's facts");
        let url = url.map_or(String::new(), |url| {
            if let Err(why) = check::url(&url.text) {
                keys.wrong(url.line, format!("has a `url` that {why}"));
            }
            url.text
        });
        let sets = keys.texts("sets");
        for name in &sets {
            if !is_name(&name.text) {
                keys.wrong(
                    name.line,
                    format!("sets {:?}, which is no name of a variable", name.text),
                );
            }
        }
        let may_go = keys.texts("may_go");
        Webhook {
            url,
            timeout_ms: keys.number("timeout_ms", 100..=20_000, 5000),
            sets: sets.into_iter().map(|name| name.text).collect(),
            may_go: may_go
                .iter()
                .map(|label| self.find(label, &format!("{}.may_go", keys.name)))
                .collect(),
            next: self.way(keys, "next", None),
            error: self.way(keys, "error", None),
        }
    }

    pub(super) fn transfer(&mut self, keys: &mut Keys<'p>) -> Transfer {
        let to = template(keys, "to", "the number to connect to");
        let otherwise = self.way_if_any(keys, "otherwise");
        // They have talked: where that leads is another question than where those go whom nobody answered.
        let completed = self.way(keys, "completed", None);
        let mut way = |key| self.way(keys, key, otherwise);
        Transfer {
            to,
            completed,
            busy: way("busy"),
            no_answer: way("no_answer"),
            failed: way("failed"),
        }
    }

    pub(super) fn choose(&mut self, keys: &mut Keys<'p>) -> Choose {
        let variable = variable(keys, "variable", "the variable that decides");
        let mut cases = Vec::new();
        if let Some(mut table) = keys.table("cases") {
            for (value, label) in table.entries() {
                if let Some(label) = table.as_text(&value.text, label) {
                    let what = format!("{}.{}", table.name, value.text);
                    cases.push((value.text, self.find(&label, &what)));
                }
            }
        }
        if cases.is_empty() {
            keys.wrong(
                keys.line,
                "has no `cases`: cases = { \"value\" = \"label\" }",
            );
        }
        Choose {
            variable,
            cases,
            otherwise: self.way(keys, "otherwise", None),
        }
    }
}

/// A question of the flow's own.
fn asked(texts: Vec<Template>) -> Prompt {
    Prompt {
        texts,
        firm: false,
        each_language: false,
    }
}
