//! The cookie that carries a session's id, and over which transport a browser may have one at all.
//!
//! Over TLS it is `__Host-…`: only this host, only over TLS, whole path, so no other host and no clear connection can
//! plant one. On this machine there is no TLS; there it has a plain name. Over anything else nobody signs in: the
//! password would cross the network in clear.

use super::desk::Desk;
use hyper::Request;
use hyper::header::{COOKIE, HOST, HeaderMap, HeaderValue};
use std::net::SocketAddr;

/// How a request travelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    /// Through a proxy or tunnel that speaks TLS with the browser.
    Tls,
    /// From this machine to itself.
    ThisMachine,
    /// In clear over a network.
    Clear,
}

impl Transport {
    /// The daemon speaks no TLS itself: it is told by a proxy it trusts, or by the host that was asked for, when that is
    /// the one in `http.public_url`.
    pub(super) fn of<B>(desk: &Desk, peer: SocketAddr, request: &Request<B>) -> Transport {
        let keys = desk.keys();
        let headers = request.headers();
        let last = |name: &str| {
            let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
            value.rsplit(',').next().map(str::trim)
        };
        let trusted = keys
            .trusted_proxies
            .iter()
            .any(|network| network.contains(peer.ip()));
        if trusted
            && last("x-forwarded-proto").is_some_and(|proto| proto.eq_ignore_ascii_case("https"))
        {
            return Transport::Tls;
        }
        let public = keys.public_url.as_deref();
        let public_host = public.and_then(|url| url.strip_prefix("https://"));
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        if public_host.is_some() && public_host == host {
            return Transport::Tls;
        }
        if desk.is_local(peer, request) {
            Transport::ThisMachine
        } else {
            Transport::Clear
        }
    }

    fn name(self) -> Option<&'static str> {
        match self {
            Transport::Tls => Some("__Host-voice_session"),
            Transport::ThisMachine => Some("voice_session"),
            Transport::Clear => None,
        }
    }

    /// The session's id that the browser brought, if it brought exactly one.
    pub(super) fn session_id(self, headers: &HeaderMap) -> Option<&str> {
        let name = self.name()?;
        let cookies = headers.get_all(COOKIE).into_iter();
        let mut found = cookies
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(found, _)| *found == name)
            .map(|(_, id)| id);
        let id = found.next()?;
        found.next().is_none().then_some(id)
    }

    /// The header that gives the browser a session's id, until it is closed; `None` over [`Transport::Clear`].
    pub(super) fn give(self, id: &str) -> Option<HeaderValue> {
        self.set(id, "")
    }

    /// The header that takes it away.
    pub(super) fn take(self) -> Option<HeaderValue> {
        self.set("", "; Max-Age=0")
    }

    fn set(self, id: &str, more: &str) -> Option<HeaderValue> {
        let secure = if self == Transport::Tls {
            "; Secure"
        } else {
            ""
        };
        let name = self.name()?;
        HeaderValue::from_str(&format!(
            "{name}={id}; Path=/; HttpOnly; SameSite=Lax{secure}{more}"
        ))
        .ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn cookies(values: &[&'static str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (COOKIE, HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn over_tls_only_the_cookie_nobody_else_can_plant_counts() {
        let both = cookies(&["lang=es; voice_session=plain; __Host-voice_session=host"]);
        assert_eq!(Transport::Tls.session_id(&both), Some("host"));
        assert_eq!(Transport::ThisMachine.session_id(&both), Some("plain"));
        assert_eq!(Transport::Clear.session_id(&both), None);
        let planted = cookies(&["voice_session=plain"]);
        assert_eq!(Transport::Tls.session_id(&planted), None);
    }

    #[test]
    fn of_two_cookies_of_one_name_neither_counts() {
        for values in [
            &["voice_session=a; voice_session=b"][..],
            &["voice_session=a", "voice_session=b"],
        ] {
            assert_eq!(Transport::ThisMachine.session_id(&cookies(values)), None);
        }
    }

    #[test]
    fn attributes_are_as_strict_as_the_transport_allows() {
        assert_eq!(
            Transport::Tls.give("id").unwrap(),
            "__Host-voice_session=id; Path=/; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(
            Transport::ThisMachine.give("id").unwrap(),
            "voice_session=id; Path=/; HttpOnly; SameSite=Lax"
        );
        assert_eq!(Transport::Clear.give("id"), None);
        assert_eq!(
            Transport::Tls.take().unwrap(),
            "__Host-voice_session=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"
        );
    }
}
