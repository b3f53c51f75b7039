//! Twilio, protocol `Call` 1.0.0 of Media Streams, and TwiML; carriers that copy both are read as far as they agree.
//!
//! [`form`], [`signature`] and [`webhook`] read what Twilio asks over HTTP, [`twiml`] writes the answer, [`stream`] is
//! our side of the media websocket. [`far_end`] is the other side of that websocket and [`verbs`] what the carrier does
//! with a document, both for the simulated phone: they may use everything here, and nothing here uses them. [`rest`] is the one that dials out: numbers and calls over Twilio's API.

pub mod far_end;
pub mod form;
mod json;
pub mod rest;
pub mod signature;
pub mod stream;
pub mod twiml;
mod url;
pub mod verbs;
pub mod webhook;
mod xml;

/// Longest identifier taken. Twilio's have 34 characters; the rest is room for carriers that speak its protocol.
pub const MAX_SID_BYTES: usize = 64;

/// Whether a text can be the identifier of a call, a stream or an account.
///
/// Twilio's are two capitals and 32 hex digits. Carriers that speak its protocol put UUIDs there, so letters, digits,
/// `-` and `_` are taken up to [`MAX_SID_BYTES`]. Nothing in that alphabet needs escaping in JSON, XML, a URL or a
/// file name, which the writers of this room rely on.
///
/// ```
/// use voice_streamer::carrier::twilio::is_sid;
/// assert!(is_sid("CA0123456789abcdef0123456789abcdef"));
/// assert!(!is_sid("CA01/../../etc"));
/// assert!(!is_sid(""));
/// ```
pub fn is_sid(text: &str) -> bool {
    (1..=MAX_SID_BYTES).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Cuts a text to at most `max` characters, never inside one.
fn cut(text: &str, max: usize) -> &str {
    match text.char_indices().nth(max) {
        Some((at, _)) => &text[..at],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sid_may_be_one_to_sixty_four_plain_characters() {
        let longest = "a".repeat(MAX_SID_BYTES);
        let too_long = "a".repeat(MAX_SID_BYTES + 1);
        for (text, taken) in [
            ("MZ00112233445566778899aabbccddeeff", true),
            ("ACtest-not-a-real-account-sid-0001", true),
            ("0f9619ff-8b86-d011-b42d-00cf4fc964ff", true),
            (longest.as_str(), true),
            (too_long.as_str(), false),
            ("", false),
            ("CA\"", false),
            ("CA ", false),
            ("CA\n", false),
            ("CAé", false),
            ("../x", false),
        ] {
            assert_eq!(is_sid(text), taken, "{text:?}");
        }
    }

    #[test]
    fn cut_keeps_characters_whole() {
        assert_eq!(cut("東京", 1), "東");
        assert_eq!(cut("東京", 2), "東京");
        assert_eq!(cut("", 0), "");
    }
}
