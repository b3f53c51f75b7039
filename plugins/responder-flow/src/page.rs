//! The text of a flow, key by key: every mistake is kept with its line, and reading goes on.
//!
//! What the keys mean is `read.rs`.

use std::cell::RefCell;
use std::fmt;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::near::did_you_mean;

/// Most problems that are told; a file with more is of another kind.
const PROBLEMS_MOST: usize = 50;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    pub(crate) line: usize,
    pub(crate) text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

/// The text and what is wrong with it so far.
pub(crate) struct Page<'t> {
    text: &'t str,
    problems: RefCell<Vec<Problem>>,
}

impl<'t> Page<'t> {
    pub(crate) fn new(text: &'t str) -> Page<'t> {
        Page {
            text,
            problems: RefCell::default(),
        }
    }

    pub(crate) fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().iter().take(at);
        before.filter(|byte| **byte == b'\n').count() + 1
    }

    pub(crate) fn wrong(&self, line: usize, text: impl Into<String>) {
        let text = text.into();
        self.problems.borrow_mut().push(Problem { line, text });
    }

    /// Mistakes so far.
    pub(crate) fn mistakes(&self) -> usize {
        self.problems.borrow().len()
    }

    /// What is wrong, in the order of the lines, each thing once.
    pub(crate) fn problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort();
        problems.dedup();
        if problems.len() > PROBLEMS_MOST {
            let more = problems.len() - PROBLEMS_MOST;
            problems.truncate(PROBLEMS_MOST);
            let line = problems.last().map_or(1, |problem| problem.line);
            let text = format!("… and {more} more");
            problems.push(Problem { line, text });
        }
        problems
    }
}

/// A string and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// One table of the file. Asking for a key is what makes it a known one.
pub(crate) struct Keys<'p> {
    pub(crate) page: &'p Page<'p>,
    table: &'p DeTable<'p>,
    /// As messages call it: `menu.main`.
    pub(crate) name: String,
    pub(crate) line: usize,
    known: Vec<&'static str>,
}

impl<'p> Keys<'p> {
    pub(crate) fn root(page: &'p Page<'p>, table: &'p DeTable<'p>) -> Keys<'p> {
        Keys {
            page,
            table,
            name: String::new(),
            line: 1,
            known: Vec::new(),
        }
    }

    pub(crate) fn wrong(&self, line: usize, text: impl fmt::Display) {
        let name = if self.name.is_empty() {
            "the flow"
        } else {
            &self.name
        };
        self.page.wrong(line, format!("{name} {text}"));
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.name)
        }
    }

    fn line_of(&self, span: Range<usize>) -> usize {
        self.page.line(span.start)
    }

    /// The value of a key, whatever it is.
    pub(crate) fn value(&mut self, key: &'static str) -> Option<&'p Spanned<DeValue<'p>>> {
        self.known.push(key);
        self.table.get(key)
    }

    /// Every key with its value, in the order of the file; all become known.
    pub(crate) fn entries(&mut self) -> Vec<(Text, &'p Spanned<DeValue<'p>>)> {
        let mut entries: Vec<_> = self.table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let entry = |(key, value): (&'p Spanned<_>, _)| {
            let key: &Spanned<std::borrow::Cow<'p, str>> = key;
            let line = self.line_of(key.span());
            let text = key.get_ref().to_string();
            (Text { text, line }, value)
        };
        entries.into_iter().map(entry).collect()
    }

    /// A value as text, if it is one.
    pub(crate) fn as_text(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<Text> {
        let line = self.line_of(value.span());
        if let DeValue::String(text) = value.get_ref() {
            let text = text.to_string();
            return Some(Text { text, line });
        }
        self.page.wrong(
            line,
            format!("{} must be a text, in quotes", self.path(key)),
        );
        None
    }

    pub(crate) fn text(&mut self, key: &'static str) -> Option<Text> {
        let value = self.value(key)?;
        self.as_text(key, value)
    }

    /// As [`text`](Keys::text), and its lack is a mistake; `why` says what it is for.
    pub(crate) fn required(&mut self, key: &'static str, why: &str) -> Option<Text> {
        if self.table.get(key).is_none() {
            self.known.push(key);
            self.wrong(self.line, format!("needs `{key}`: {why}"));
            return None;
        }
        self.text(key)
    }

    /// One text or a list of them.
    pub(crate) fn as_texts(&self, key: &str, value: &'p Spanned<DeValue<'p>>) -> Vec<Text> {
        match value.get_ref() {
            DeValue::Array(list) => {
                let texts = list.iter();
                texts.filter_map(|value| self.as_text(key, value)).collect()
            }
            _ => self.as_text(key, value).into_iter().collect(),
        }
    }

    pub(crate) fn texts(&mut self, key: &'static str) -> Vec<Text> {
        match self.value(key) {
            Some(value) => self.as_texts(key, value),
            None => Vec::new(),
        }
    }

    /// A whole number within bounds.
    pub(crate) fn number(
        &mut self,
        key: &'static str,
        bounds: RangeInclusive<u64>,
        default: u64,
    ) -> u64 {
        let Some(value) = self.value(key) else {
            return default;
        };
        let number = match value.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        if let Some(number) = number.filter(|number| bounds.contains(number)) {
            return number;
        }
        self.page.wrong(
            self.line_of(value.span()),
            format!(
                "{} must be a whole number from {} to {}",
                self.path(key),
                bounds.start(),
                bounds.end()
            ),
        );
        default
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub(crate) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        match self.value(key).map(|value| (value.get_ref(), value.span())) {
            None => default,
            Some((DeValue::Boolean(flag), _)) => *flag,
            Some((_, span)) => {
                let text = format!("{} must be true or false", self.path(key));
                self.page.wrong(self.line_of(span), text);
                default
            }
        }
    }

    pub(crate) fn as_table(&self, key: &str, value: &'p Spanned<DeValue<'p>>) -> Option<Keys<'p>> {
        let line = self.line_of(value.span());
        let DeValue::Table(table) = value.get_ref() else {
            self.page
                .wrong(line, format!("{} must be a table", self.path(key)));
            return None;
        };
        Some(Keys {
            page: self.page,
            table,
            name: self.path(key),
            line,
            known: Vec::new(),
        })
    }

    pub(crate) fn table(&mut self, key: &'static str) -> Option<Keys<'p>> {
        let value = self.value(key)?;
        self.as_table(key, value)
    }

    /// A list of tables.
    pub(crate) fn tables(&mut self, key: &'static str) -> Vec<Keys<'p>> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let DeValue::Array(list) = value.get_ref() else {
            let line = self.line_of(value.span());
            let text = format!("{} must be a list: [[{}]]", self.path(key), self.path(key));
            self.page.wrong(line, text);
            return Vec::new();
        };
        list.iter()
            .filter_map(|value| self.as_table(key, value))
            .collect()
    }

    /// What nobody has asked for is a mistake.
    pub(crate) fn finish(self) {
        for (key, _) in self.table.iter() {
            let name = key.get_ref().as_ref();
            if !self.known.contains(&name) {
                let hint = did_you_mean(name, self.known.iter().copied());
                let text = format!("unknown key {}{hint}", self.path(name));
                self.page.wrong(self.page.line(key.span().start), text);
            }
        }
    }
}
