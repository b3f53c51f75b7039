//! One reading of one file: where references are looked up, and where everything that is wrong is gathered.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;

use super::env::Env;
use super::expand::expand;
use super::problem::{PROBLEMS, Problem, Problems, Source};

/// One reading of one file: where problems are gathered and references are looked up.
pub(super) struct Page<'a> {
    pub(super) source: Source,
    pub(super) folder: PathBuf,
    env: &'a Env,
    problems: RefCell<Vec<Problem>>,
    left_out: Cell<usize>,
    /// Paths of the keys whose values came out of references.
    pub(super) secrets: RefCell<BTreeSet<String>>,
    /// Files that references were read from.
    pub(super) files: RefCell<BTreeSet<PathBuf>>,
    /// Every key that was asked for: the proof that the shipped file shows them all.
    #[cfg(test)]
    pub(super) asked: RefCell<BTreeSet<String>>,
}

impl<'a> Page<'a> {
    pub(super) fn new(source: Source, folder: PathBuf, env: &'a Env) -> Page<'a> {
        Page {
            source,
            folder,
            env,
            problems: RefCell::default(),
            left_out: Cell::default(),
            secrets: RefCell::default(),
            files: RefCell::default(),
            #[cfg(test)]
            asked: RefCell::default(),
        }
    }

    /// Notes a problem at these bytes of the file.
    pub(super) fn problem(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.note(|| self.source.problem(span, false, message, hint));
    }

    /// Notes an unknown key; `secret` hides its value.
    pub(super) fn unknown(&self, key: Range<usize>, secret: bool, message: String, hint: String) {
        self.note(|| {
            let problem = self.source.problem(key, false, message, Some(hint));
            if secret {
                problem.without_value()
            } else {
                problem
            }
        });
    }

    /// Notes a problem of the file as a whole.
    pub(super) fn whole(&self, message: impl Into<String>, hint: Option<String>) {
        self.note(|| Problem::whole(&self.source.file, message, hint));
    }

    fn note(&self, problem: impl FnOnce() -> Problem) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < PROBLEMS {
            problems.push(problem());
        } else {
            self.left_out.set(self.left_out.get() + 1);
        }
    }

    /// What was found wrong so far, if anything.
    pub(super) fn finish(self) -> Result<(), Problems> {
        let problems = self.problems.into_inner();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Problems::sorted(problems, self.left_out.get()))
        }
    }

    /// The string with its references replaced; `None`, and a problem noted, if one cannot be.
    pub(super) fn expand(&self, raw: &str, span: &Range<usize>, path: &str) -> Option<Text> {
        match expand(raw, self.env, &self.folder) {
            Ok(expanded) => {
                if expanded.secret {
                    self.secrets.borrow_mut().insert(path.to_owned());
                }
                self.files.borrow_mut().extend(expanded.files);
                Some(Text {
                    text: expanded.text,
                    secret: expanded.secret,
                    span: span.clone(),
                })
            }
            Err(fault) => {
                // The reference stands in the source as it is, unless somebody wrote it with escapes.
                let within = self.source.text.get(span.clone()).unwrap_or_default();
                let place = within.find(&fault.reference).map_or(span.clone(), |at| {
                    span.start + at..span.start + at + fault.reference.len()
                });
                self.problem(place, format!("{path}: {}", fault.message), fault.hint);
                None
            }
        }
    }
}

/// A string of the file, references replaced.
pub(super) struct Text {
    pub(super) text: String,
    pub(super) span: Range<usize>,
    /// Whether a reference was replaced: then nobody may see the text.
    pub(super) secret: bool,
}

/// Longer values are not repeated in messages.
const SHOWN_CHARS: usize = 60;

impl Text {
    /// The value for a message. What came out of a reference is not shown.
    pub(super) fn shown(&self) -> String {
        if self.secret {
            "what the reference holds".to_owned()
        } else if self.text.chars().count() > SHOWN_CHARS {
            "this".to_owned()
        } else {
            format!(
                "`{}`",
                self.text.escape_debug().to_string().replace("\\\"", "\"")
            )
        }
    }
}
