//! Why a database did not do what it was asked, sorted by what has to happen: set it aside, leave it alone, or try again. And the
//! shield that makes one of these of a panic.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why the database did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Fault {
    /// What is in the file cannot be trusted.
    Damaged(String),
    Newer {
        found: u64,
        known: u64,
    },
    Foreign,
    /// The disk, or its lock. Boxed: redb's error is large, and `Ok` is the common case.
    Refused(Box<redb::Error>),
    /// There is no open database just now.
    NotOpen,
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(error: E) -> Fault {
        use std::io::ErrorKind::{InvalidData, UnexpectedEof};
        match error.into() {
            redb::Error::Corrupted(reason) => Fault::Damaged(reason),
            // redb's words for "no magic number" and for a file that ends too early.
            redb::Error::Io(io) if matches!(io.kind(), InvalidData | UnexpectedEof) => {
                Fault::Damaged(io.to_string())
            }
            // Formats 1 and 2 are redb's before 3.0, which this program never used; any other number is a flipped bit.
            redb::Error::UpgradeRequired(format) if !(1..=2).contains(&format) => {
                Fault::Damaged(format!("file format {format} does not exist"))
            }
            redb::Error::UpgradeRequired(_) => Fault::Foreign,
            other => Fault::Refused(Box::new(other)),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Damaged(reason) => write!(f, "the database is damaged: {reason}"),
            Fault::Newer { found, known } => write!(
                f,
                "the database has schema {found}, this build knows {known}"
            ),
            Fault::Foreign => f.write_str("the database is not ours"),
            Fault::Refused(error) => write!(f, "{error}"),
            Fault::NotOpen => f.write_str("the database is not open"),
        }
    }
}

/// Runs work on a database. redb trusts the pages of a file that was closed cleanly and may panic on a damaged one; that is then
/// a damaged file, not the end of a thread.
pub(crate) fn shielded<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(Fault::Damaged(panic_text(&*panic))))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    format!("redb gave up on it: {}", text.unwrap_or("no reason given"))
}
