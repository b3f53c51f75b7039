//! What is wrong with a file, and where: drawn so that a person at night finds the place without counting.
//!
//! ```text
//! config.toml:31:18: agents.default.turn.end_of_turn_ms must be 50..=10000 milliseconds, not -5
//!    |
//! 31 | end_of_turn_ms = -5
//!    |                  ^^
//!    = the sentence that says what to do
//! ```

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::secret::{veil, veil_value_of};

/// More problems than this are counted, not listed: nobody reads on, and a hostile file could make millions.
pub const PROBLEMS: usize = 100;

/// A longer line is not drawn; the place before the message still says where it is.
const LINE_CHARS: usize = 240;

/// One thing that is wrong, and its place. Lines and columns count from 1, columns and length in characters.
///
/// `line == 0` means the file as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File as it was named when it was opened.
    pub file: PathBuf,
    /// Line, or 0 for the file as a whole.
    pub line: usize,
    /// Column where the caret starts.
    pub column: usize,
    /// How many carets.
    pub length: usize,
    /// What is wrong. Never holds a secret.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The line, with secret-looking values dotted out.
    pub source_line: Option<String>,
}

impl Problem {
    /// A problem of the file as a whole.
    pub(super) fn whole(file: &Path, message: impl Into<String>, hint: Option<String>) -> Problem {
        Problem {
            file: file.to_owned(),
            line: 0,
            column: 0,
            length: 0,
            message: message.into(),
            hint,
            source_line: None,
        }
    }

    /// The same, with the value behind the key it points at dotted out: a misspelt key of a secret is no name that
    /// gives the secret away.
    pub(super) fn without_value(mut self) -> Problem {
        let from = self.column.saturating_sub(1);
        self.source_line = self.source_line.map(|line| veil_value_of(&line, from));
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.file.display(), self.message)?;
        } else {
            let Problem {
                line,
                column,
                message,
                ..
            } = self;
            write!(f, "{}:{line}:{column}: {message}", self.file.display())?;
        }
        let gutter = if self.line == 0 {
            0
        } else {
            self.line.to_string().len()
        };
        if let Some(source) = &self.source_line {
            // A tab stays a tab on both lines, so the caret stands right whatever width the terminal gives it.
            let pad: String = source
                .chars()
                .take(self.column.saturating_sub(1))
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            let carets = "^".repeat(self.length.max(1));
            let line = self.line;
            write!(
                f,
                "\n{:gutter$} |\n{line} | {source}\n{:gutter$} | {pad}{carets}",
                "", ""
            )?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n{:gutter$} = {hint}", "")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a file, in the order of its lines; never empty. `Display` draws all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Sorts by place. `left_out` more were found than are listed.
    pub(super) fn sorted(mut list: Vec<Problem>, left_out: usize) -> Problems {
        list.sort_by_key(|problem| (problem.line, problem.column));
        if let Some(file) = list.first().map(|problem| problem.file.clone())
            && left_out > 0
        {
            list.push(Problem::whole(
                &file,
                format!("and {left_out} more problems"),
                None,
            ));
        }
        Problems(list)
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Problems {
        Problems(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The text of a file, kept to point into it.
///
/// Two sources are always equal: where a key stands is no part of what the configuration means, and a comment more or
/// less must not look like a change.
#[derive(Clone, Default)]
pub(super) struct Source {
    pub(super) file: PathBuf,
    pub(super) text: Arc<str>,
}

impl PartialEq for Source {
    fn eq(&self, _: &Source) -> bool {
        true
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text may hold secrets written out.
        write!(f, "{} ({} bytes)", self.file.display(), self.text.len())
    }
}

impl Source {
    /// A problem at these bytes of the text. `secret` dots out the bytes themselves.
    pub(super) fn problem(
        &self,
        span: Range<usize>,
        secret: bool,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Problem {
        let place = self.place(&span);
        let shown = |line: &str| {
            let mut line: String = veil(line);
            if secret {
                let hidden = place.column - 1..place.column - 1 + place.length;
                let dot = |(n, c)| if hidden.contains(&n) { '•' } else { c };
                line = line.chars().enumerate().map(dot).collect();
            }
            // Control characters in a broken file must not steer the terminal.
            line.chars()
                .map(|c| {
                    if c.is_control() && c != '\t' {
                        '\u{fffd}'
                    } else {
                        c
                    }
                })
                .collect()
        };
        Problem {
            file: self.file.clone(),
            line: place.line,
            column: place.column,
            length: place.length,
            message: message.into(),
            hint,
            source_line: (place.text.chars().count() <= LINE_CHARS).then(|| shown(place.text)),
        }
    }

    fn place(&self, span: &Range<usize>) -> Place<'_> {
        let text = &*self.text;
        let start = boundary(text, span.start);
        let from = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let to = text[start..]
            .find('\n')
            .map_or(text.len(), |newline| start + newline);
        let end = boundary(text, span.end).clamp(start, to);
        Place {
            line: 1 + text[..from].matches('\n').count(),
            column: 1 + text[from..start].chars().count(),
            length: text[start..end].trim_end().chars().count().max(1),
            text: text[from..to].trim_end_matches('\r'),
        }
    }
}

/// The start of the character that the byte belongs to; the end of the text for anything past it.
fn boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at)
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}

struct Place<'s> {
    line: usize,
    column: usize,
    length: usize,
    text: &'s str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &str, span: Range<usize>) -> String {
        let source = Source {
            file: "f.toml".into(),
            text: text.into(),
        };
        source.problem(span, false, "no", None).to_string()
    }

    #[test]
    fn the_caret_stands_under_its_characters() {
        for (text, span, expected) in [
            ("a = 1", 4..5, "f.toml:1:5: no\n  |\n1 | a = 1\n  |     ^"),
            (
                "é = 12\r\n",
                5..7,
                "f.toml:1:5: no\n  |\n1 | é = 12\n  |     ^^",
            ),
            (
                "\n\ta = 1",
                6..7,
                "f.toml:2:6: no\n  |\n2 | \ta = 1\n  | \t    ^",
            ),
            // Past the end, over several lines, in the middle of a letter: still a place.
            ("a", 1..1, "f.toml:1:2: no\n  |\n1 | a\n  |  ^"),
            ("a\n", 70..90, "f.toml:2:1: no\n  |\n2 | \n  | ^"),
            (
                "a = [\n1]",
                4..8,
                "f.toml:1:5: no\n  |\n1 | a = [\n  |     ^",
            ),
            ("é", 1..2, "f.toml:1:1: no\n  |\n1 | é\n  | ^"),
            (
                "a\u{1b}[2J",
                0..1,
                "f.toml:1:1: no\n  |\n1 | a\u{fffd}[2J\n  | ^",
            ),
        ] {
            assert_eq!(drawn(text, span), expected, "{text:?}");
        }
        assert_eq!(
            drawn(&format!("{}x", "\n".repeat(99)), 99..100),
            "f.toml:100:1: no\n    |\n100 | x\n    | ^"
        );
        assert_eq!(drawn(&"x".repeat(LINE_CHARS + 1), 3..4), "f.toml:1:4: no");
    }

    #[test]
    fn a_problem_at_a_secret_shows_dots() {
        let source = Source {
            file: "f.toml".into(),
            text: "pin = 4711 # x".into(),
        };
        let problem = source
            .problem(6..10, true, "no", Some("do".into()))
            .to_string();
        assert_eq!(
            problem,
            "f.toml:1:7: no\n  |\n1 | pin = •••• # x\n  |       ^^^^\n  = do"
        );
        assert!(!format!("{source:?}").contains("4711"));
    }
}
