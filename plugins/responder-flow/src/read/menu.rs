//! A menu: its branches, each with keys and words that no other has taken, and what a miss leads to, which numbers have
//! as well.

use toml::de::DeValue;

use super::Reader;
use super::leaves::one_key;
use crate::flow::{Branch, Menu, Miss, Patience};
use crate::page::{Keys, Text};
use crate::words;

impl<'p> Reader<'p> {
    pub(super) fn menu(&mut self, keys: &mut Keys<'p>) -> Menu {
        let tables = keys.tables("branch");
        if tables.is_empty() {
            keys.wrong(
                keys.line,
                format!("has no branches: add [[{}.branch]]", keys.name),
            );
        }
        let mut branches: Vec<Branch> = Vec::new();
        for table in tables {
            let branch = self.branch(table, &branches);
            branches.push(branch);
        }
        let patience = self.patience(keys);
        Menu { branches, patience }
    }

    fn branch(&mut self, mut keys: Keys<'p>, before: &[Branch]) -> Branch {
        let mistakes = keys.page.mistakes();
        let mut digits = Vec::new();
        for text in keys.texts("digit") {
            let Some(digit) = one_key(&text.text) else {
                keys.wrong(
                    text.line,
                    format!("has {:?} as a digit: one of 0 to 9, `*`, `#`", text.text),
                );
                continue;
            };
            let taken = before
                .iter()
                .flat_map(|branch| &branch.digits)
                .chain(&digits);
            if taken.into_iter().any(|taken| *taken == digit) {
                keys.wrong(text.line, format!("takes the digit {digit} a second time"));
            }
            digits.push(digit);
        }
        let mut phrases = vec![Vec::new(); self.languages.len()];
        let mut written = vec![Vec::new(); self.languages.len()];
        let mut given = vec![false; self.languages.len()];
        let mut lines = keys.line;
        if let Some(value) = keys.value("words") {
            let lists = match value.get_ref() {
                DeValue::Table(_) => match keys.as_table("words", value) {
                    Some(mut by_language) => {
                        lines = by_language.line;
                        let lists = by_language.entries().into_iter();
                        let list = |(language, value): (Text, _)| {
                            (
                                vec![self.language(&language)],
                                by_language.as_texts(&language.text, value),
                            )
                        };
                        lists.map(list).collect()
                    }
                    None => Vec::new(),
                },
                // The same words in every language.
                _ => vec![(
                    (0..self.languages.len()).collect(),
                    keys.as_texts("words", value),
                )],
            };
            for (languages, texts) in lists {
                for at in languages {
                    given[at] = true;
                    for text in &texts {
                        let phrase = words::normalised(&text.text);
                        if phrase.is_empty() {
                            keys.wrong(
                                text.line,
                                format!("has a phrase without a word: {:?}", text.text),
                            );
                        }
                        let taken = before
                            .iter()
                            .flat_map(|branch: &Branch| &branch.phrases[at]);
                        if taken.chain(&phrases[at]).any(|taken| *taken == phrase) {
                            let language = &self.languages[at];
                            keys.wrong(
                                text.line,
                                format!("takes “{}” ({language}) a second time", text.text),
                            );
                        }
                        phrases[at].push(phrase);
                        written[at].push(text.text.clone());
                    }
                }
            }
            for (language, given) in self.languages.iter().zip(&given) {
                if !given {
                    keys.wrong(lines, format!("has no `words` in {language}"));
                }
            }
        }
        // Who wrote `digit = 1` has been told that it needs quotes.
        let is_empty = digits.is_empty() && phrases.iter().all(Vec::is_empty);
        if is_empty && keys.page.mistakes() == mistakes {
            keys.wrong(
                keys.line,
                "can never be taken: it has neither `digit` nor `words`",
            );
        }
        let to = self.way(&mut keys, "to", None);
        keys.finish();
        Branch {
            digits,
            phrases,
            written,
            to,
        }
    }

    /// `otherwise`, `silence`, `unclear` and `silence_ms`.
    pub(super) fn patience(&mut self, keys: &mut Keys<'p>) -> Patience {
        let otherwise = self.way_if_any(keys, "otherwise");
        let silence_ms = keys.number("silence_ms", 500..=60_000, 0);
        let mut miss = |key| {
            let Some(mut table) = keys.table(key) else {
                return Miss {
                    limit: 3,
                    prompt: None,
                    repeat: true,
                    to: otherwise.unwrap_or_else(|| {
                        self.lost = true;
                        keys.wrong(
                            keys.line,
                            format!("leads nowhere on `{key}`: give it `otherwise`, where a caller goes who cannot go on"),
                        );
                        0
                    }),
                };
            };
            let prompt = self.prompt(&mut table);
            let repeat = table.flag("repeat", true);
            if !repeat && prompt.is_none() {
                table.wrong(
                    table.line,
                    "says nothing: `repeat = false` needs a `prompt`",
                );
            }
            let limit = table.number("limit", 1..=10, 3);
            let to = self.way(&mut table, "to", otherwise);
            table.finish();
            Miss {
                limit: u32::try_from(limit).unwrap_or(u32::MAX),
                prompt,
                repeat,
                to,
            }
        };
        let silence = miss("silence");
        let unclear = miss("unclear");
        Patience {
            silence,
            unclear,
            silence_ms,
        }
    }
}
