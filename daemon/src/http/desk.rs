//! What the routes work with: the house, the media threads, and the keys of the configuration they need.

use super::configuration::Configuration;
use crate::accounts::Accounts;
use crate::carrier::twilio::rest::Rest;
use crate::config::Network;
use crate::leg::{House, MediaThreads};
use arc_swap::{ArcSwap, ArcSwapOption};
use hyper::Request;
use hyper::header::HOST;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tracing::warn;

/// Keys of the configuration that the routes need.
#[derive(Clone, Debug)]
pub struct DeskKeys {
    /// `https://host`, without a path; what the carrier was told.
    pub public_url: Option<String>,
    /// The carrier's auth token, when requests are checked against it.
    pub auth_token: Option<String>,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Said by the carrier when our stream cannot be had.
    pub fallback_text: String,
    /// Said by the carrier when we take no more calls.
    pub busy_text: String,
    /// Language of these two.
    pub fallback_language: String,
    /// What those see to whom a caller is transferred; without it his own number.
    pub caller_id: Option<String>,
    /// Media streams open at once, those not yet started included.
    pub streams: usize,
    /// The carrier's REST API, when the account is configured: a call is ended there too.
    pub rest: Option<Arc<Rest>>,
}

/// The REST API of this account. Without root certificates there is none, which is said here once and costs only that.
pub fn rest_of(api_url: &str, account_sid: &str, auth_token: &str) -> Option<Arc<Rest>> {
    match Rest::new(api_url, account_sid, auth_token) {
        Ok(rest) => Some(Arc::new(rest)),
        Err(error) => {
            warn!("calls are ended by closing their stream only, not at the carrier: {error}");
            None
        }
    }
}

/// Everything a route may touch.
pub struct Desk {
    pub house: Arc<House>,
    pub media: MediaThreads,
    /// Replaced as a whole when a configuration is applied.
    pub keys: ArcSwap<DeskKeys>,
    /// How the configuration stands, and the way to have it read again.
    pub configuration: Configuration,
    /// Our address on this machine, `http://127.0.0.1:8080`.
    pub own_url: String,
    /// The public address a tunnel lends us, for as long as it is open.
    pub borrowed_url: ArcSwapOption<String>,
    /// Who may sign in.
    pub accounts: Accounts,
    pub draining: AtomicBool,
}

impl Desk {
    /// What the configuration says now. Where it names no public address there is the one that a tunnel lends; without
    /// one, and with a token, our own: then only a caller of this machine who has the token can sign for it, and a
    /// request is never let through unchecked for want of an address.
    pub(super) fn keys(&self) -> Arc<DeskKeys> {
        let keys = self.keys.load_full();
        if keys.public_url.is_some() {
            return keys;
        }
        let url = match (self.borrowed_url.load_full(), &keys.auth_token) {
            (Some(lent), _) => Some(lent.as_ref().clone()),
            (None, Some(_)) => Some(self.own_url.clone()),
            (None, None) => return keys,
        };
        let mut keys = DeskKeys::clone(&keys);
        keys.public_url = url;
        Arc::new(keys)
    }

    /// The address a request came from, through the proxies we trust.
    pub(super) fn client_ip<B>(&self, peer: SocketAddr, request: &Request<B>) -> IpAddr {
        let forwarded = || {
            let value = request
                .headers()
                .get_all("x-forwarded-for")
                .iter()
                .next_back()?;
            value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
        };
        if self
            .keys()
            .trusted_proxies
            .iter()
            .any(|network| network.contains(peer.ip()))
        {
            forwarded().unwrap_or(peer.ip())
        } else {
            peer.ip()
        }
    }

    /// Whether somebody on this machine asks, and not the world through a tunnel or a page in a browser: a loopback
    /// peer, nothing forwarded, and a loopback name in `Host` (a foreign page can resolve its own name to us).
    pub(super) fn is_local<B>(&self, peer: SocketAddr, request: &Request<B>) -> bool {
        let headers = request.headers();
        let forwarded = headers.contains_key("x-forwarded-for")
            || headers.contains_key("x-forwarded-host")
            || headers.contains_key("forwarded");
        let host = headers
            .get(HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or("");
        peer.ip().is_loopback() && !forwarded && is_loopback_host(host)
    }

    /// The page that makes the first account, as a person opens it; `None` once there is an account.
    pub fn setup_link(&self) -> Option<String> {
        let token = self.accounts.offer_setup()?;
        let keys = self.keys();
        let base = keys.public_url.as_deref().unwrap_or(&self.own_url);
        Some(format!("{base}/admin/setup/?token={token}"))
    }

    /// The websocket address for the carrier, of a stream that wants to come to this media thread. Without a public URL
    /// the one the request came by, in clear: then we listen on loopback only, for the simulated phone.
    pub(super) fn stream_url(&self, host: &str, place: Option<usize>) -> String {
        let mut url = match &self.keys().public_url {
            Some(url) => format!("{}/ws/audio/stream/", websocket_url(url)),
            None => format!("ws://{host}/ws/audio/stream/"),
        };
        if let Some(place) = place {
            // In the path, because the carrier drops query strings.
            url += &format!("{place}/");
        }
        url
    }
}

/// `https://…` as `wss://…`, `http://…` as `ws://…`.
pub(super) fn websocket_url(url: &str) -> String {
    match url.strip_prefix("http") {
        Some(rest) => format!("ws{rest}"),
        None => url.to_owned(),
    }
}

fn is_loopback_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_this_machine() {
        for local in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:8080",
        ] {
            assert!(is_loopback_host(local), "{local}");
        }
        for foreign in [
            "",
            "example.com",
            "127.0.0.1.example.com",
            "192.0.2.1:80",
            "localhost.example.com",
            "[::2]",
        ] {
            assert!(!is_loopback_host(foreign), "{foreign}");
        }
    }

    #[test]
    fn the_stream_is_as_secret_as_the_webhook() {
        assert_eq!(
            websocket_url("https://voice.example.com"),
            "wss://voice.example.com"
        );
        assert_eq!(
            websocket_url("http://127.0.0.1:8080"),
            "ws://127.0.0.1:8080"
        );
    }
}
