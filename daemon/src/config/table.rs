//! Reading one table key by key. Every getter names its key once, with its bounds and its default, and that is all a new
//! key needs: what was never asked for is an unknown key.
//!
//! A getter never fails: it notes what is wrong, with its place, and returns the default, so that one reading finds
//! everything that is wrong with a file. Nothing read from a file with problems is ever used.

use std::ops::{Range, RangeInclusive};

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::nearest::nearest;
use super::page::{Page, Text};
use super::secret::names_a_secret;

/// What is wrong with a value, in words that follow its path, and what to do.
pub(super) type Refusal = (String, Option<String>);

pub(super) struct Table<'a> {
    pub(super) page: &'a Page<'a>,
    /// How messages call this table, `agents.default.turn`; empty for the file itself.
    pub(super) path: String,
    /// The name in the table's header, for what is missing in it.
    pub(super) place: Range<usize>,
    entries: Option<&'a DeTable<'a>>,
    asked: Vec<&'static str>,
    /// Keys of the tables inside this one, for "that belongs under …".
    below: Vec<(String, Vec<&'static str>)>,
}

type Entry<'a> = (Range<usize>, &'a Spanned<DeValue<'a>>);

impl<'a> Table<'a> {
    pub(super) fn root(page: &'a Page<'a>, entries: &'a DeTable<'a>) -> Table<'a> {
        Table {
            page,
            path: String::new(),
            place: 0..0,
            entries: Some(entries),
            asked: Vec::new(),
            below: Vec::new(),
        }
    }

    /// The path of a key in this table, as messages write it.
    pub(super) fn path_of(&self, key: &str) -> String {
        let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let key = if !key.is_empty() && key.chars().all(bare) {
            key.to_owned()
        } else {
            format!("\"{}\"", key.escape_debug())
        };
        if self.path.is_empty() {
            key
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn entry(&mut self, key: &'static str) -> Option<Entry<'a>> {
        self.asked.push(key);
        #[cfg(test)]
        self.page.asked.borrow_mut().insert(self.path_of(key));
        let (key, value) = self.entries?.get_key_value(key)?;
        Some((key.span(), value))
    }

    fn wrong_kind(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        wanted: &str,
        hint: Option<String>,
    ) {
        let message = format!(
            "{} must be {wanted}, not {}",
            self.path_of(key),
            kind(value.get_ref())
        );
        self.page.problem(value.span(), message, hint);
    }

    fn refuse(&self, key: &str, span: Range<usize>, (words, hint): Refusal) {
        self.page
            .problem(span, format!("{} {words}", self.path_of(key)), hint);
    }

    /// Whether the key is there, whatever its value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries
            .is_some_and(|entries| entries.contains_key(key))
    }

    /// Where the value of a key stands; the table's own name if the key is not there.
    pub(super) fn place_of(&self, key: &str) -> Range<usize> {
        let value = self.entries.and_then(|entries| entries.get(key));
        value.map_or_else(|| self.place.clone(), Spanned::span)
    }

    /// A string, or nothing. References are replaced; an empty string is refused.
    pub(super) fn text(&mut self, key: &'static str) -> Option<Text> {
        let (_, value) = self.entry(key)?;
        let DeValue::String(raw) = value.get_ref() else {
            let hint = match value.get_ref() {
                DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => {
                    Some("put quotes around it".to_owned())
                }
                _ => None,
            };
            self.wrong_kind(key, value, "a string", hint);
            return None;
        };
        let text = self.page.expand(raw, &value.span(), &self.path_of(key))?;
        if text.text.trim().is_empty() {
            let hint = if text.secret {
                "what the reference names is empty"
            } else {
                "leave the key out to have none"
            };
            let words = "must not be empty".to_owned();
            self.refuse(key, value.span(), (words, Some(hint.to_owned())));
            return None;
        }
        Some(text)
    }

    /// A string that must be there.
    pub(super) fn required(&mut self, key: &'static str, example: &str) -> Option<Text> {
        let text = self.text(key);
        // What is no table at all has been reported as that.
        if self.entries.is_some() && !self.has(key) {
            let message = format!("{} is missing", self.path_of(key));
            let hint = format!("add `{key} = \"{example}\"` under [{}]", self.path);
            self.page.problem(self.place.clone(), message, Some(hint));
        }
        text
    }

    /// A string that means something else.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        meaning: impl FnOnce(&Text) -> Result<T, Refusal>,
    ) -> Option<T> {
        let text = self.text(key)?;
        match meaning(&text) {
            Ok(value) => Some(value),
            Err(refusal) => {
                self.refuse(key, text.span, refusal);
                None
            }
        }
    }

    /// A list of strings that mean something else.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        meaning: impl Fn(&Text) -> Result<T, Refusal>,
    ) -> Vec<T> {
        let Some((_, value)) = self.entry(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_kind(
                key,
                value,
                "a list of strings",
                Some("put [ ] around it".to_owned()),
            );
            return Vec::new();
        };
        let mut list = Vec::new();
        for item in items.iter() {
            let DeValue::String(raw) = item.get_ref() else {
                self.wrong_kind(key, item, "a list of strings", None);
                continue;
            };
            let Some(text) = self.page.expand(raw, &item.span(), &self.path_of(key)) else {
                continue;
            };
            match meaning(&text) {
                Ok(value) => list.push(value),
                Err(refusal) => self.refuse(key, text.span, refusal),
            }
        }
        list
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&'static str, T)],
        default: T,
    ) -> T {
        let meaning = |text: &Text| {
            let found = words.iter().find(|(word, _)| *word == text.text);
            found.map(|&(_, value)| value).ok_or_else(|| {
                let list = one_of(words.iter().map(|&(word, _)| word));
                let near = nearest(&text.text, words.iter().map(|&(word, _)| word));
                (
                    format!("must be {list}, not {}", text.shown()),
                    near.map(did_you_mean),
                )
            })
        };
        self.read(key, meaning).unwrap_or(default)
    }

    /// `true` or `false`, or nothing.
    pub(super) fn switch(&mut self, key: &'static str) -> Option<bool> {
        self.switch_at(key).map(|(on, _)| on)
    }

    /// As [`Table::switch`], and where it stands.
    pub(super) fn switch_at(&mut self, key: &'static str) -> Option<(bool, Range<usize>)> {
        let (_, value) = self.entry(key)?;
        let DeValue::Boolean(on) = value.get_ref() else {
            let quoted = value
                .get_ref()
                .as_str()
                .filter(|text| matches!(*text, "true" | "false"));
            let hint = quoted.map(|text| format!("write {text} without quotes"));
            self.wrong_kind(key, value, "true or false", hint);
            return None;
        };
        Some((*on, value.span()))
    }

    /// A whole number of `unit`s within bounds.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        bounds: RangeInclusive<u64>,
        default: u64,
        unit: &str,
    ) -> u64 {
        let Some((_, value)) = self.entry(key) else {
            return default;
        };
        let DeValue::Integer(written) = value.get_ref() else {
            let digits = value.get_ref().as_str().map(|text| {
                text.chars()
                    .take_while(char::is_ascii_digit)
                    .collect::<String>()
            });
            let hint = digits
                .filter(|digits| !digits.is_empty())
                .map(|digits| format!("write {digits} without quotes; the unit is {unit}"));
            self.wrong_kind(key, value, &format!("a whole number of {unit}"), hint);
            return default;
        };
        match integer(written).and_then(|number| u64::try_from(number).ok()) {
            Some(number) if bounds.contains(&number) => number,
            _ => {
                let (least, most) = (bounds.start(), bounds.end());
                let message = format!("must be {least}..={most} {unit}, not {written}");
                self.refuse(key, value.span(), (message, None));
                default
            }
        }
    }

    /// As [`Table::number`], for what is counted in memory.
    pub(super) fn count(
        &mut self,
        key: &'static str,
        bounds: RangeInclusive<u64>,
        default: u64,
        unit: &str,
    ) -> usize {
        usize::try_from(self.number(key, bounds, default, unit)).unwrap_or(usize::MAX)
    }

    /// The table under this key; an empty one if it is not there.
    pub(super) fn table(&mut self, key: &'static str) -> Table<'a> {
        let entry = self.entry(key);
        let path = self.path_of(key);
        self.inside(path, entry)
    }

    /// The tables under `[key.NAME]`, by name. `refused` says what is wrong with a name.
    pub(super) fn named(
        &mut self,
        key: &'static str,
        refused: impl Fn(&str) -> Option<Refusal>,
    ) -> Vec<(String, Table<'a>)> {
        let family = self.table(key);
        let mut tables = Vec::new();
        for (name, value) in family.entries.into_iter().flat_map(DeTable::iter) {
            let path = family.path_of(name.get_ref());
            if let Some((words, hint)) = refused(name.get_ref()) {
                self.page
                    .problem(name.span(), format!("{path}: {words}"), hint);
            }
            let table = self.inside(path, Some((name.span(), value)));
            tables.push((name.get_ref().clone().into_owned(), table));
        }
        tables
    }

    fn inside(&self, path: String, entry: Option<Entry<'a>>) -> Table<'a> {
        let mut table = Table {
            path,
            place: 0..0,
            entries: None,
            asked: Vec::new(),
            below: Vec::new(),
            ..*self
        };
        if let Some((place, value)) = entry {
            table.place = place;
            match value.get_ref() {
                DeValue::Table(entries) => table.entries = Some(entries),
                other => {
                    let message = format!("{} must be a table, not {}", table.path, kind(other));
                    let hint = format!("write [{}] on a line of its own", table.path);
                    self.page.problem(value.span(), message, Some(hint));
                }
            }
        }
        table
    }

    /// Everything not asked for, as JSON: the keys a plugin understands and the host does not. Also the JSON pointers to
    /// what came out of references.
    pub(super) fn rest(self) -> (Value, Vec<String>) {
        let mut keys = Map::new();
        let mut secret_paths = Vec::new();
        for (key, value) in self.entries.into_iter().flat_map(DeTable::iter) {
            let name = key.get_ref().as_ref();
            if !self.asked.contains(&name) {
                let pointer = format!("/{}", escape_pointer(name));
                let path = self.path_of(name);
                if let Some(value) = self.json(value, &path, pointer, &mut secret_paths) {
                    keys.insert(name.to_owned(), value);
                }
            }
        }
        (Value::Object(keys), secret_paths)
    }

    /// Depth is bounded by the TOML parser.
    fn json(
        &self,
        value: &Spanned<DeValue<'_>>,
        path: &str,
        pointer: String,
        secret_paths: &mut Vec<String>,
    ) -> Option<Value> {
        let cannot = |what: &str| {
            self.page
                .problem(value.span(), format!("{path}: {what}"), None);
            None
        };
        match value.get_ref() {
            DeValue::Boolean(on) => Some(Value::Bool(*on)),
            DeValue::Datetime(time) => Some(Value::String(time.to_string())),
            DeValue::String(raw) => {
                let text = self.page.expand(raw, &value.span(), path)?;
                if text.secret {
                    secret_paths.push(pointer);
                }
                Some(Value::String(text.text))
            }
            DeValue::Integer(written) => match integer(written) {
                Some(number) => Some(Value::from(number)),
                None => cannot("this number is too large"),
            },
            DeValue::Float(written) => {
                // TOML's `inf` and `nan` have no place in JSON, which is what plugins are given.
                match written.as_str().parse().ok().and_then(Number::from_f64) {
                    Some(number) => Some(Value::Number(number)),
                    None => cannot("must be a finite number"),
                }
            }
            DeValue::Array(items) => {
                let items = items.iter().enumerate().filter_map(|(n, item)| {
                    self.json(item, path, format!("{pointer}/{n}"), secret_paths)
                });
                Some(Value::Array(items.collect()))
            }
            DeValue::Table(entries) => {
                let entries = entries.iter().filter_map(|(key, value)| {
                    let key = key.get_ref().as_ref();
                    let pointer = format!("{pointer}/{}", escape_pointer(key));
                    let value =
                        self.json(value, &format!("{path}.{key}"), pointer, secret_paths)?;
                    Some((key.to_owned(), value))
                });
                Some(Value::Object(entries.collect()))
            }
        }
    }

    /// Ends a table that lies inside `outer`: its unknown keys are problems, and its keys are known to `outer`.
    pub(super) fn finish_in(self, outer: &mut Table<'_>) {
        outer.below.push((self.path.clone(), self.asked.clone()));
        self.finish();
    }

    /// Ends the table: every key that was not asked for is a problem.
    pub(super) fn finish(self) {
        for (key, value) in self.entries.into_iter().flat_map(DeTable::iter) {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let near = nearest(name, self.asked.iter().copied());
            let moved = self.below.iter().find(|(_, keys)| keys.contains(&name));
            let hint = if let Some((table, _)) = moved {
                format!("it belongs under [{table}]")
            } else if let Some(near) = near {
                did_you_mean(near)
            } else {
                format!("known here: {}", self.asked.join(", "))
            };
            let what = if value.get_ref().is_table() {
                "table"
            } else {
                "key"
            };
            let message = format!("unknown {what} {}", self.path_of(name));
            // The value was meant for the key that is near.
            let secret = near.is_some_and(names_a_secret);
            self.page.unknown(key.span(), secret, message, hint);
        }
    }
}

pub(super) fn did_you_mean(word: &str) -> String {
    format!("did you mean `{word}`?")
}

/// `"a", "b" or "c"`.
pub(super) fn one_of<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let mut words: Vec<String> = words
        .into_iter()
        .map(|word| format!("\"{word}\""))
        .collect();
    match words.pop() {
        Some(last) if !words.is_empty() => format!("{} or {last}", words.join(", ")),
        Some(only) => only,
        None => "nothing".to_owned(),
    }
}

/// A key as a segment of a JSON pointer (RFC 6901).
fn escape_pointer(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn integer(written: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(written.as_str(), written.radix()).ok()
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
