//! Who may see and do what, decided in one place: the API, the pages, the event streams and the metrics all ask here.
//!
//! Not here: the carrier's own doors (webhooks, media streams), which are guarded by signatures and one-time tokens.

use super::answer::{Answer, problem};
use super::desk::Desk;
use hyper::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::{Request, StatusCode};
use std::net::SocketAddr;

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// To see calls and events: the API, the log page and its stream, the browser call.
    Look,
    /// The numbers of the daemon itself.
    Measure,
    /// To change something: hang up, correct a record, reload.
    Act,
}

/// Who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Visitor {
    /// Somebody on this machine, without an account.
    ThisMachine,
}

impl Visitor {
    /// How the event log calls the visitor.
    pub(super) fn name(&self) -> &str {
        match self {
            Visitor::ThisMachine => "this machine",
        }
    }
}

/// Lets the visitor in; the error is the answer to give.
pub(super) fn admit<B>(
    desk: &Desk,
    peer: SocketAddr,
    request: &Request<B>,
    wish: Wish,
) -> Result<Visitor, Box<Answer>> {
    if wish == Wish::Act && !same_site(desk, request.headers()) {
        let detail = "the request comes from a page of another site";
        return Err(Box::new(problem(StatusCode::FORBIDDEN, detail)));
    }
    if desk.is_local(peer, request) {
        return Ok(Visitor::ThisMachine);
    }
    let detail = match wish {
        Wish::Look | Wish::Act => "this answers on this machine only (http://localhost)",
        Wish::Measure => "the metrics are for this machine only",
    };
    Err(Box::new(problem(StatusCode::FORBIDDEN, detail)))
}

/// Whether no browser says that a page of another site asks. Programs say nothing.
pub(super) fn same_site(desk: &Desk, headers: &HeaderMap) -> bool {
    let site = text(headers, &HeaderName::from_static("sec-fetch-site"));
    let foreign = site.is_some_and(|site| !matches!(site, "same-origin" | "none"));
    !foreign && origin_is_ours(headers, desk.keys().public_url.as_deref())
}

/// Browsers say which page opens a websocket or sends a form; carriers and programs say nothing.
pub(super) fn origin_is_ours(headers: &HeaderMap, public_url: Option<&str>) -> bool {
    let Some(origin) = text(headers, &ORIGIN) else {
        return !headers.contains_key(ORIGIN);
    };
    let host = text(headers, &HOST).unwrap_or("");
    let name = origin.split_once("://").map_or(origin, |(_, name)| name);
    (!host.is_empty() && name == host) || public_url.is_some_and(|url| origin == url)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn pages_of_other_sites_are_not_ours() {
        let public = Some("https://voice.example.com");
        assert!(
            origin_is_ours(&headers(&[("host", "127.0.0.1:8080")]), public),
            "carriers send no origin"
        );
        for (origin, host, ours) in [
            ("https://voice.example.com", "10.0.0.1", true),
            ("http://localhost:8080", "localhost:8080", true),
            ("https://evil.example", "localhost:8080", false),
            ("null", "localhost:8080", false),
        ] {
            assert_eq!(
                origin_is_ours(&headers(&[("origin", origin), ("host", host)]), public),
                ours,
                "{origin}"
            );
        }
    }
}
