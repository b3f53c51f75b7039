//! The spellings of a URL that a carrier may have signed.
//!
//! URLs are cut as text and never normalised: a signature covers letters, not meaning.

use std::borrow::Cow;

/// The URL without its fragment and user info, which are never signed.
pub(super) fn signed_part(url: &str) -> Cow<'_, str> {
    let url = url.split('#').next().unwrap_or_default();
    let parts = Parts::of(url);
    match parts.authority.rsplit_once('@') {
        Some((_, host)) => format!("{}{host}{}", parts.scheme, parts.rest).into(),
        None => url.into(),
    }
}

/// As given, and with the port toggled: dropped if there is one, else the scheme's own written out.
pub(super) fn port_forms(url: &str) -> Vec<String> {
    let url = signed_part(url);
    let Parts {
        scheme,
        authority,
        rest,
    } = Parts::of(&url);
    let standard = match scheme {
        "https://" | "wss://" => "443",
        "http://" | "ws://" => "80",
        _ => return vec![url.into_owned()],
    };
    // The last ':' is a port's unless it stands inside the brackets of an IPv6 address.
    let other = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => format!("{scheme}{host}{rest}"),
        _ => format!("{scheme}{authority}:{standard}{rest}"),
    };
    vec![url.into_owned(), other]
}

/// `https://` · `user:pass@host:port` · `/path?query`
struct Parts<'a> {
    scheme: &'a str,
    authority: &'a str,
    rest: &'a str,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Parts<'a> {
        let authority_at = url.find("://").map_or(0, |at| at + 3);
        let (scheme, tail) = url.split_at(authority_at);
        let (authority, rest) = tail.split_at(tail.find(['/', '?']).unwrap_or(tail.len()));
        Parts {
            scheme,
            authority,
            rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_tried_with_and_without_port_and_never_with_user_or_fragment() {
        for (url, forms) in [
            ("https://h/p", &["https://h/p", "https://h:443/p"][..]),
            ("https://h:443/p", &["https://h:443/p", "https://h/p"]),
            (
                "http://h:8080/p?q=a:1",
                &["http://h:8080/p?q=a:1", "http://h/p?q=a:1"],
            ),
            ("ws://h", &["ws://h", "ws://h:80"]),
            ("https://u:p@h/p", &["https://h/p", "https://h:443/p"]),
            ("https://u@h:1/p@x#f", &["https://h:1/p@x", "https://h/p@x"]),
            (
                "https://[::1]/p",
                &["https://[::1]/p", "https://[::1]:443/p"],
            ),
            (
                "https://[::1]:1/p",
                &["https://[::1]:1/p", "https://[::1]/p"],
            ),
            ("https://h?q=1", &["https://h?q=1", "https://h:443?q=1"]),
            ("no url", &["no url"]),
            ("", &[""]),
        ] {
            assert_eq!(port_forms(url), forms, "{url}");
        }
    }
}
