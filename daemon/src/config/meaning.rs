//! What a string has to look like to be an address, a language, a number: one small function each.
//!
//! A refusal says what would be right, in words that follow the key's path.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use super::page::Text;
use super::table::Refusal;
use super::tree::Network;

/// Twilio's `<Say>` takes 4,096 characters; what somebody listens to before he may speak should be far less.
pub const PHRASE_CHARS: usize = 2000;

/// Longest name of a plugin, voice, agent: it becomes part of file names and log lines.
pub const NAME_CHARS: usize = 64;

/// Words in one list, and letters in one of them: each is compared with what a caller says, at every stretch of it.
pub(super) const WORDS: usize = 100;
const WORD_CHARS: usize = 40;

/// Longest language tag; RFC 5646 wants at least 35.
const LANGUAGE_CHARS: usize = 35;

/// Digits of a number with its country, by E.164 and in practice.
const FULL_NUMBER: RangeInclusive<usize> = 7..=15;

/// Digits of a short code.
const SHORT_CODE: RangeInclusive<usize> = 3..=6;

/// DNS allows no longer name.
const HOST_CHARS: usize = 253;

fn refuse<T>(words: impl Into<String>, hint: impl Into<String>) -> Result<T, Refusal> {
    let hint = hint.into();
    Err((words.into(), (!hint.is_empty()).then_some(hint)))
}

pub(super) fn listen(text: &Text) -> Result<SocketAddr, Refusal> {
    if let Ok(address) = text.text.parse() {
        return Ok(address);
    }
    let hint = match text.text.rsplit_once(':') {
        Some((_, port)) if port_of(port).is_none() => "a port is a number up to 65535".to_owned(),
        Some(("", port)) => {
            format!("write \"127.0.0.1:{port}\", or \"0.0.0.0:{port}\" for every address")
        }
        Some(("localhost", port)) => format!("write \"127.0.0.1:{port}\""),
        None if text.text.parse::<IpAddr>().is_ok() => "add a port after `:`".to_owned(),
        _ => "names are not looked up here: write the address in numbers".to_owned(),
    };
    refuse(
        format!(
            "must be an address and a port such as \"127.0.0.1:8080\", not {}",
            text.shown()
        ),
        hint,
    )
}

pub(super) fn network(text: &Text) -> Result<Network, Refusal> {
    match Network::read(&text.text) {
        Some(network) => Ok(network),
        None => refuse(
            format!(
                "must hold addresses such as \"10.0.0.7\" or \"10.0.0.0/8\", not {}",
                text.shown()
            ),
            "",
        ),
    }
}

/// `https://host[:port]`, and `http://` for this machine only, since signatures and tokens travel on it.
pub(super) fn public_url(text: &Text) -> Result<String, Refusal> {
    let example = "write it like \"https://voice.example.com\"";
    let shown = text.shown();
    let url = text.text.as_str();
    let (secure, rest) = match url.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
        Some(("wss" | "ws", _)) => {
            return refuse(
                format!("must start with https://, unlike {shown}"),
                "the address of the media websocket is made from it",
            );
        }
        _ => return refuse(format!("must start with https://, unlike {shown}"), example),
    };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, after) = rest.split_at(end);
    if !matches!(after, "" | "/") {
        return refuse(
            format!("must end after host and port, unlike {shown}"),
            "the daemon knows its own paths; a proxy that adds a prefix must take it off again",
        );
    }
    let Some((loopback, port)) = host_and_port(authority) else {
        return refuse(
            format!("must name a host, and a port if not the usual one, unlike {shown}"),
            example,
        );
    };
    if port == Some(0) {
        return refuse(format!("cannot have port 0, unlike {shown}"), example);
    }
    if !secure && !loopback {
        return refuse(
            format!("must start with https:// for any host but this one, unlike {shown}"),
            "calls, tokens and signatures must not cross a network in clear",
        );
    }
    let scheme = if secure { "https" } else { "http" };
    Ok(format!("{scheme}://{authority}"))
}

/// Whether the host is this machine, and the port; `None` if it is no host.
fn host_and_port(authority: &str) -> Option<(bool, Option<u16>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        let loopback = address.parse::<Ipv6Addr>().ok()?.is_loopback();
        return match rest.strip_prefix(':') {
            Some(port) => Some((loopback, Some(port_of(port)?))),
            None => rest.is_empty().then_some((loopback, None)),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port_of(port)?)),
        None => (authority, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    if host.len() > HOST_CHARS || !host.split('.').all(label) {
        return None;
    }
    let local = host.eq_ignore_ascii_case("localhost");
    let loopback = local
        || host
            .parse::<Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback());
    Some((loopback, port))
}

fn port_of(digits: &str) -> Option<u16> {
    // `parse` would take "+80".
    digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

pub(super) fn account_sid(text: &Text) -> Result<String, Refusal> {
    let digits = text.text.strip_prefix("AC").unwrap_or_default();
    if digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(text.text.clone());
    }
    refuse(
        format!(
            "must be \"AC\" and 32 hexadecimal digits, not {}",
            text.shown()
        ),
        "copy it from the front page of the Twilio console",
    )
}

/// A number of the account, as the one that is called sees it in a transfer.
pub(super) fn caller_id(text: &Text) -> Result<String, Refusal> {
    let digits = text.text.strip_prefix('+').unwrap_or_default();
    if (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(text.text.clone());
    }
    refuse(
        format!("must be \"+\" and 7 to 15 digits, not {}", text.shown()),
        "a number of your account, with its country: \"+15550100\"",
    )
}

pub(super) fn sha256(text: &Text) -> Result<String, Refusal> {
    if text.text.len() == 64 && text.text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(text.text.to_ascii_lowercase());
    }
    refuse(
        format!("must be 64 hexadecimal digits, not {}", text.shown()),
        "`sha256sum` prints it for a file",
    )
}

/// What `tracing` filters understand, without its rarer forms: `info`, or `info,voice_streamer::leg=debug`.
pub(super) fn log_level(text: &Text) -> Result<String, Refusal> {
    let is_level = |word: &str| {
        let levels = ["off", "error", "warn", "info", "debug", "trace"];
        levels.iter().any(|level| level.eq_ignore_ascii_case(word))
    };
    let is_target = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-'))
    };
    let good =
        text.text
            .split(',')
            .map(str::trim)
            .all(|directive| match directive.split_once('=') {
                Some((target, level)) => is_target(target) && is_level(level),
                None => is_level(directive),
            });
    if good {
        return Ok(text.text.clone());
    }
    refuse(
        format!(
            "must be off, error, warn, info, debug or trace, not {}",
            text.shown()
        ),
        "single parts can have their own: \"info,voice_streamer::leg=debug\"",
    )
}

pub(super) fn phrase(text: &Text) -> Result<String, Refusal> {
    let length = text.text.chars().count();
    if length > PHRASE_CHARS {
        return refuse(
            format!("must be at most {PHRASE_CHARS} characters, not {length}"),
            "",
        );
    }
    if text
        .text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    {
        return refuse("holds a control character, which cannot be spoken", "");
    }
    Ok(text.text.clone())
}

/// A word, or a few, to be compared with what somebody says.
pub(super) fn word(text: &Text) -> Result<String, Refusal> {
    let word = text.text.trim().to_lowercase();
    if (1..=WORD_CHARS).contains(&word.chars().count()) && !word.chars().any(char::is_control) {
        return Ok(word);
    }
    refuse(
        format!(
            "must hold words of 1 to {WORD_CHARS} letters, not {}",
            text.shown()
        ),
        "",
    )
}

pub(super) fn language(text: &Text) -> Result<String, Refusal> {
    let mut subtags = text.text.split('-');
    let primary = subtags.next().unwrap_or_default();
    let good = (2..=8).contains(&primary.len())
        && primary.bytes().all(|b| b.is_ascii_alphabetic())
        && subtags.all(|tag| {
            (1..=8).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric())
        });
    if good && text.text.len() <= LANGUAGE_CHARS {
        return Ok(text.text.clone());
    }
    let underscore = text.text.contains('_');
    let hint = if underscore { "write `-`, not `_`" } else { "" };
    refuse(
        format!(
            "must be a language such as \"en\" or \"es-ES\", not {}",
            text.shown()
        ),
        hint,
    )
}

/// What is wrong with the NAME in `[plugins.NAME]` and its like.
pub(super) fn name_refused(name: &str) -> Option<Refusal> {
    let good = (1..=NAME_CHARS).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    let words = format!("a name is 1 to {NAME_CHARS} letters, digits, `_` and `-`");
    (!good).then_some((words, None))
}

/// What is wrong with the number in `[numbers."…"]`: it must look as the carrier writes it, or it would never match.
pub(super) fn number_refused(number: &str) -> Option<Refusal> {
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    // Short codes have no country; anything longer comes with it, and a key without would never match.
    let plain = match number.strip_prefix('+') {
        Some(digits) => (3..=15).contains(&digits.len()) && all_digits(digits),
        None => SHORT_CODE.contains(&number.len()) && all_digits(number),
    };
    let named = ["client:", "sip:"].iter().any(|scheme| {
        number.strip_prefix(scheme).is_some_and(|rest| {
            !rest.is_empty()
                && rest.len() <= HOST_CHARS
                && rest.bytes().all(|b| b.is_ascii_graphic())
        })
    });
    if plain || named {
        return None;
    }
    Some((
        "a number is `+`, country and number, in digits only; a short code is 3 to 6 digits"
            .to_owned(),
        number_hint(number),
    ))
}

/// How a number would be written, if it can be told.
fn number_hint(number: &str) -> Option<String> {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let is_named = number.chars().any(char::is_alphabetic);
    let abroad = match digits.strip_prefix("00") {
        Some(abroad) if !number.trim_start().starts_with('+') => abroad,
        _ => &digits,
    };
    if is_named || !FULL_NUMBER.contains(&abroad.len()) {
        return None;
    }
    Some(if abroad.starts_with('0') {
        "write it with its country and without the first 0, like \"+15550100\"".to_owned()
    } else {
        format!("write [numbers.\"+{abroad}\"]")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_would_never_match_is_refused_with_one_that_would() {
        for (number, hint) in [
            ("15550100", Some("write [numbers.\"+15550100\"]")),
            ("0043 1 555 77", Some("write [numbers.\"+43155577\"]")),
            ("+43 (1) 555-77", Some("write [numbers.\"+43155577\"]")),
            (
                "0664 555 777",
                Some("write it with its country and without the first 0, like \"+15550100\""),
            ),
            ("12", None),
            ("sip:", None),
            ("jane", None),
        ] {
            let refused = number_refused(number).map(|(_, hint)| hint);
            assert_eq!(refused, Some(hint.map(str::to_owned)), "{number}");
        }
        for number in [
            "+15550100",
            "+1555",
            "112",
            "555123",
            "client:jane",
            "sip:desk@example.com",
        ] {
            assert_eq!(number_refused(number), None, "{number}");
        }
    }
}
