//! The one error of the safe side: a sentence, and before it a name of the contract where one fits. It is not an enum,
//! because the host does the same thing whatever it says: it puts the sentence into its log and onto the admin page, and
//! counts the name.

use std::fmt;

use crate::abi::failure;
use crate::panics::place;

/// What went wrong, as a sentence for the person who runs the daemon.
///
/// Made from text or from any [`std::error::Error`] by `?`; the error's sources are written behind it. It is not a
/// `std::error::Error` itself, which is what lets `?` take every other error.
pub struct Error {
    text: String,
    panicked: bool,
}

/// What fallible functions of plugins answer.
pub type Result<T> = core::result::Result<T, Error>;

impl Error {
    /// An error that says `text`.
    pub fn new(text: impl Into<String>) -> Error {
        Error {
            text: text.into(),
            panicked: false,
        }
    }

    /// An error with one of the names of [`failure`]: `auth`, `quota`, `busy` and so on. They are what an operator counts
    /// and what tells a wrong key from a busy maker without reading the sentence.
    pub fn named(name: &'static str, text: impl fmt::Display) -> Error {
        debug_assert!(
            failure::ALL.contains(&name),
            "{name} is no name of the contract"
        );
        Error::new(format!("{name}: {text}"))
    }

    /// The name it was given, if any.
    pub fn name(&self) -> Option<&'static str> {
        failure::name_of(&self.text)
    }

    /// What became of a panic on this thread: answered with the contract's own status.
    pub(crate) fn panicked(text: &str) -> Error {
        Error {
            text: format!("panicked: {text}{}", place()),
            panicked: true,
        }
    }

    pub(crate) fn is_panic(&self) -> bool {
        self.panicked
    }

    /// The sentence, with its name in front.
    pub fn text(&self) -> &str {
        &self.text
    }
}

// Text and errors in one impl: two would overlap in the compiler's eyes, because std may one day call `str` an error.
// What std turns into a boxed error is exactly what is wanted here.
impl<E> From<E> for Error
where
    Box<dyn std::error::Error + Send + Sync>: From<E>,
{
    fn from(error: E) -> Error {
        let error = Box::<dyn std::error::Error + Send + Sync>::from(error);
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            // Many errors repeat their cause in their own text; saying it twice helps nobody.
            if !text.contains(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            source = cause.source();
        }
        Error::new(text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?})", self.text)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn fails() -> Result<u8> {
        Ok("three".parse::<u8>()?)
    }

    #[test]
    fn question_mark_takes_text_and_errors() {
        assert_eq!(fails().unwrap_err().text(), "invalid digit found in string");
        assert_eq!(Error::from("no key").text(), "no key");
        assert_eq!(Error::from(format!("no key {}", 1)).to_string(), "no key 1");
    }

    #[test]
    fn a_name_stands_before_the_sentence_and_is_found_again() {
        let error = Error::named(failure::QUOTA, "the account has no characters left");
        assert_eq!(error.text(), "quota: the account has no characters left");
        assert_eq!(error.name(), Some("quota"));
        for sentence in ["quota", "quotas: x", "no quota: x", "cannot open: x", ""] {
            assert_eq!(Error::new(sentence).name(), None, "{sentence}");
        }
    }

    #[test]
    fn causes_are_written_behind_once() {
        #[derive(Debug)]
        struct Outer(&'static str, std::num::ParseIntError);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
        impl std::error::Error for Outer {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.1)
            }
        }
        let cause = || "x".parse::<u8>().unwrap_err();
        let plain = Error::from(Outer("cannot read the port", cause()));
        assert_eq!(
            plain.text(),
            "cannot read the port: invalid digit found in string"
        );
        let said = Error::from(Outer("port: invalid digit found in string", cause()));
        assert_eq!(said.text(), "port: invalid digit found in string");
    }
}
