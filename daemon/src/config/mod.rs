//! What the operator wants, from `config.toml`: read, checked whole, and handed down as one value.
//!
//! ```text
//! config.toml ──parse──→ table.rs ──→ keys.rs ──→ rules.rs ──→ Config         or Problems, all of them at once,
//!      .env ───┐         getters,     every key,   what spans     │            each with line, column and caret
//! environment ─┴─expand─→ places      its bounds   several keys   └─ schema.rs, when a plugin has said what it expects
//! ```
//!
//! Absent on purpose: applying anything. Whoever holds a [`Config`] may compare it with the next one and act on the
//! difference; a file that does not pass changes nothing, because there is then no `Config` at all.

mod diff;
mod env;
mod expand;
mod file;
mod keys;
mod lent;
mod library;
mod meaning;
mod nearest;
mod page;
mod problem;
mod rules;
mod schema;
mod secret;
mod sentences;
mod sheet;
mod table;
mod told;
mod tree;
mod watch;
mod wording;

use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

pub use diff::{Change, Diff, Takes};
pub use env::{DOTENV_BYTES, Env, exposed};
pub use expand::SECRET_FILE_BYTES;
pub use keys::MEDIA_THREADS_AUTO;
pub use lent::{LENT_URL_FILE, lent_url, public_url};
pub use meaning::{NAME_CHARS, PHRASE_CHARS};
pub use problem::{PROBLEMS, Problem, Problems};
pub use rules::FALLBACKS;
pub use secret::{DOTS, Secret};
pub use sheet::{Row, Sheet};
pub use tree::{
    Agent, Config, Detector, Http, Limits, Log, LogFormat, Media, Network, Number, Plugin, Setup,
    StoreKeys, Turn, Twilio,
};

pub use watch::{POLL, SETTLE, Watch};

use page::Page;
use problem::Source;
use table::Table;

/// A longer file is refused: ten thousand numbers fit in less.
pub const CONFIG_BYTES: u64 = 1024 * 1024;

/// Reads and checks a configuration file, with the `.env` beside it and the environment of this process.
///
/// # Errors
/// The file or the `.env` cannot be read, or everything that is wrong with them.
pub fn open(path: &Path) -> Result<Config, Problems> {
    let dotenv = dotenv_beside(path);
    let env = Env::read(dotenv.exists().then_some(dotenv.as_path()))?;
    load(path, &env)
}

/// Where the `.env` of a configuration file would be.
pub fn dotenv_beside(path: &Path) -> PathBuf {
    folder_of(path).join(".env")
}

/// Reads and checks a configuration file.
///
/// # Errors
/// The file cannot be read, or everything that is wrong with it.
pub fn load(path: &Path, env: &Env) -> Result<Config, Problems> {
    let bytes = file::read_whole(path, CONFIG_BYTES).map_err(|error| {
        let hint = (error.kind() == ErrorKind::NotFound).then(|| {
            "copy the config.toml that came with the daemon there, or name another file".to_owned()
        });
        Problem::whole(path, format!("cannot be read: {error}"), hint)
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes()).as_ref().into();
        let source = Source {
            file: path.to_owned(),
            text,
        };
        source.problem(
            good..good + 1,
            false,
            "this is not UTF-8 text",
            Some("save the file as UTF-8".to_owned()),
        )
    })?;
    parse(&text, path, env)
}

/// As [`load`], for a text that is already here. `file` names it in messages, and relative paths start at its folder.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(text: &str, file: &Path, env: &Env) -> Result<Config, Problems> {
    let source = Source {
        file: file.to_owned(),
        text: text.into(),
    };
    let page = Page::new(source, folder_of(file).to_owned(), env);
    read(&page, text).and_then(|config| page.finish().map(|()| config))
}

/// Reads a text onto a page; what is wrong with its values is noted there.
fn read(page: &Page<'_>, text: &str) -> Result<Config, Problems> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // Values found beside broken syntax may not be what was meant: to check them as well would only confuse.
        let problems = errors
            .iter()
            .take(PROBLEMS)
            .map(|error| syntax(page, error))
            .collect();
        let mut problems = Problems::sorted(problems, 0);
        // What follows on the same line is mostly an echo of the first.
        problems.0.dedup_by_key(|problem| problem.line);
        return Err(problems);
    }
    Ok(keys::read(Table::root(page, document.get_ref())))
}

fn syntax(page: &Page<'_>, error: &toml::de::Error) -> Problem {
    let text = &*page.source.text;
    let span = error.span().unwrap_or(text.len()..text.len());
    let before = text
        .get(..span.start)
        .unwrap_or_default()
        .trim_end_matches([' ', '\t']);
    let here = text.get(span.start..).unwrap_or_default();
    // By far the most common slips, for which the parser has only "invalid float, expected `inf`" and the like.
    let (message, hint) = match here.chars().next() {
        Some(c) if before.ends_with('=') && c.is_alphabetic() => {
            ("this is no value", Some("put text in quotes".to_owned()))
        }
        None | Some('\n' | '\r') if before.ends_with('=') => ("the value is missing", None),
        _ if error.message() == "duplicate key" => {
            let hint = first_of_two(text, &span).map(|line| format!("the first is in line {line}"));
            ("this stands here a second time", hint)
        }
        _ if unquoted_number(text, span.start).is_some() => (
            "a number must be in quotes",
            unquoted_number(text, span.start).map(|number| format!("write [numbers.\"{number}\"]")),
        ),
        _ => (
            error
                .message()
                .trim_end_matches(", expected literal string"),
            None,
        ),
    };
    page.source.problem(span, false, message, hint)
}

/// The line of the key or table that stands at `again` a second time.
fn first_of_two(text: &str, again: &Range<usize>) -> Option<usize> {
    let key = text.get(again.clone())?.trim();
    let before = text.get(..again.start)?;
    let own = before.matches('\n').count();
    let lines: Vec<&str> = text.lines().take(own + 1).map(str::trim).collect();
    let header = |line: &str| line.split('#').next().unwrap_or("").trim().to_owned();
    let earlier = lines.get(..own)?.iter().enumerate();
    let found = if lines.get(own)?.starts_with('[') {
        let wanted = header(lines[own]);
        earlier.rev().find(|(_, line)| header(line) == wanted)
    } else {
        // Only in the same table.
        let mut same = earlier.rev().take_while(|(_, line)| !line.starts_with('['));
        same.find(|(_, line)| {
            let after = line.strip_prefix(key).map(str::trim_start);
            after.is_some_and(|after| after.starts_with(['=', '.']))
        })
    };
    found.map(|(line, _)| line + 1)
}

/// The number in `[numbers.+15550100]`, where TOML takes no `+` without quotes.
fn unquoted_number(text: &str, at: usize) -> Option<&str> {
    let from = text.get(..at)?.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(from..)?.lines().next()?.trim();
    let number = line.strip_prefix("[numbers.")?.split(']').next()?;
    number.starts_with('+').then_some(number)
}

/// The folder a file lies in; `.` for a bare name.
fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests;
