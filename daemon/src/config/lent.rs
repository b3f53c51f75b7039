//! The public address that a tunnel lends the daemon for as long as it is open, in a file of the state folder.
//!
//! Whoever may write there is the daemon already (it holds its database and its plugins), so the file needs no other
//! proof. It is believed only while the configuration names no `http.public_url`, and says nothing about who may call:
//! requests must be signed as before.

use std::io::ErrorKind;
use std::path::Path;

use super::file::read_text;
use super::meaning;
use super::page::Text;

/// Name of the file in the state folder: one line, the address.
pub const LENT_URL_FILE: &str = "tunnel.url";

/// A longer file holds no address.
const LENT_URL_BYTES: u64 = 512;

/// The address that is lent at the moment, if one is.
///
/// # Errors
/// A sentence: the file is there, but cannot be read or holds no address.
pub fn lent_url(state: &Path) -> Result<Option<String>, String> {
    let path = state.join(LENT_URL_FILE);
    match read_text(&path, LENT_URL_BYTES) {
        Ok(text) => match public_url(text.trim_end()) {
            Ok(url) => Ok(Some(url)),
            Err(why) => Err(format!("{}: the address {why}", path.display())),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
    }
}

/// An address as `http.public_url` may be: `https://host[:port]`, or `http://` for this machine; without a slash at the
/// end.
///
/// # Errors
/// What is wrong, in words that follow "the address".
pub fn public_url(text: &str) -> Result<String, String> {
    let text = Text {
        text: text.to_owned(),
        span: 0..0,
        secret: false,
    };
    meaning::public_url(&text).map_err(|(words, hint)| match hint {
        Some(hint) => format!("{words} ({hint})"),
        None => words,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_lent_only_if_it_is_one() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(lent_url(state.path()), Ok(None));
        let path = state.path().join(LENT_URL_FILE);
        for (text, url) in [
            ("https://a.example\n", "https://a.example"),
            ("https://a.example", "https://a.example"),
            ("http://127.0.0.1:8080\n", "http://127.0.0.1:8080"),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(lent_url(state.path()), Ok(Some(url.to_owned())));
        }
        let long = format!("https://{}", "a".repeat(LENT_URL_BYTES as usize));
        for text in [
            "",
            "a.example",
            "http://a.example",
            "https://a.example\nx",
            &long,
        ] {
            std::fs::write(&path, text).unwrap();
            let said = lent_url(state.path()).unwrap_err();
            assert!(said.contains(LENT_URL_FILE), "{said}");
        }
    }
}
