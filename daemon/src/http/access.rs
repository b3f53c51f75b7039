//! Who may see and do what, decided in one place: the API, the pages, the event streams and the metrics all ask here.
//!
//! ```text
//!                     measure   look   talk   act    reload   administer
//!  this machine       yes       yes    yes    yes    yes      —             nothing forwarded, a loopback name in Host
//!  signed in          yes       yes    yes    yes*   yes*     —             * with the form's token
//!  a program's token  metrics   read   calls  calls  admin    —             of this scope or a wider one
//!  the command line   yes       yes    yes    yes    yes      yes           the secret of STATE/control.json, on this machine
//!  everybody else     —         —      —      —      —        —
//! ```
//!
//! Whoever comes from a page of another site is nobody, however he is signed in, except to open a page by a link.
//!
//! Not here: the carrier's own doors (webhooks, media streams), which are guarded by signatures and one-time tokens.

use super::answer::{Answer, problem};
use super::cookie::Transport;
use super::desk::Desk;
use crate::accounts::{Bearer, Scope, SignedIn};
use hyper::header::{
    AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, StatusCode};
use std::net::SocketAddr;

/// What a script of our own pages sends along with a change, as forms do in a field.
pub(super) const FORM_TOKEN: &str = "x-form-token";

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// To see calls and events: the API, the log page and its stream.
    Look,
    /// The numbers of the daemon itself.
    Measure,
    /// To talk to an agent from a page.
    Talk,
    /// To change a call: hang up, correct its record.
    Act,
    /// To have the configuration read again.
    Reload,
    /// To rule over accounts and tokens, from a command line.
    Administer,
}

impl Wish {
    /// The least that a program's token has to be good for; none is good enough for some.
    fn scope(self) -> Option<Scope> {
        match self {
            Wish::Measure => Some(Scope::Metrics),
            Wish::Look => Some(Scope::Read),
            Wish::Talk | Wish::Act => Some(Scope::Calls),
            Wish::Reload => Some(Scope::Admin),
            Wish::Administer => None,
        }
    }
}

/// Who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Visitor {
    /// Somebody on this machine, without an account.
    ThisMachine,
    /// Somebody in a browser.
    SignedIn(SignedIn),
    /// A program, by the name of its token.
    Program(String),
    /// The command line of the daemon's own user.
    CommandLine,
}

impl Visitor {
    /// How the event log calls the visitor.
    pub(super) fn name(&self) -> &str {
        match self {
            Visitor::ThisMachine => "this machine",
            Visitor::SignedIn(signed_in) => &signed_in.account,
            Visitor::Program(name) => name,
            Visitor::CommandLine => "the command line",
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
    let headers = request.headers();
    let follows_a_link = matches!(wish, Wish::Look)
        && matches!(*request.method(), Method::GET | Method::HEAD)
        && text(headers, &HeaderName::from_static("sec-fetch-dest")) == Some("document");
    if !same_site(desk, headers) && !follows_a_link {
        return Err(refused(
            StatusCode::FORBIDDEN,
            "the request comes from a page of another site",
        ));
    }
    let local = desk.is_local(peer, request);
    if headers.contains_key(AUTHORIZATION) {
        return bearer(desk, headers, local, wish);
    }
    if let Some(signed_in) = signed_in(desk, peer, request) {
        let token = text(headers, &HeaderName::from_static(FORM_TOKEN));
        return match wish {
            Wish::Look | Wish::Measure | Wish::Talk => Ok(Visitor::SignedIn(signed_in)),
            Wish::Act | Wish::Reload if token.is_some_and(|token| signed_in.made(token)) => {
                Ok(Visitor::SignedIn(signed_in))
            }
            Wish::Act | Wish::Reload => Err(refused(
                StatusCode::FORBIDDEN,
                "the form's token is missing or not of this session; reload the page and try again",
            )),
            Wish::Administer => Err(refused(StatusCode::FORBIDDEN, COMMAND_LINE_ONLY)),
        };
    }
    match wish {
        Wish::Administer => Err(refused(StatusCode::FORBIDDEN, COMMAND_LINE_ONLY)),
        _ if local => Ok(Visitor::ThisMachine),
        _ if desk.accounts.is_empty() => Err(refused(StatusCode::FORBIDDEN, LOCAL_ONLY)),
        _ => Err(unknown()),
    }
}

const COMMAND_LINE_ONLY: &str = "this is for the command line: voice-streamer admin --help";
const LOCAL_ONLY: &str = "this answers on this machine only (http://localhost) until there is an account or a token: \
     voice-streamer admin --help";

fn bearer(
    desk: &Desk,
    headers: &HeaderMap,
    local: bool,
    wish: Wish,
) -> Result<Visitor, Box<Answer>> {
    let token = text(headers, &AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(token.trim())
    });
    match token.and_then(|token| desk.accounts.bearer(token)) {
        Some(Bearer::CommandLine) if local => Ok(Visitor::CommandLine),
        Some(Bearer::Program { name, scope }) => match wish.scope() {
            Some(needed) if scope >= needed => Ok(Visitor::Program(name)),
            Some(needed) => {
                let detail = format!(
                    "the token \"{name}\" is of scope {scope}, and this needs {needed}: \
                     voice-streamer admin token NAME --scope {needed}"
                );
                Err(refused(StatusCode::FORBIDDEN, &detail))
            }
            None => Err(refused(StatusCode::FORBIDDEN, COMMAND_LINE_ONLY)),
        },
        Some(Bearer::CommandLine) | None => Err(unknown()),
    }
}

/// Who is signed in at the browser that asks. Says nothing about what he may.
pub(super) fn signed_in<B>(
    desk: &Desk,
    peer: SocketAddr,
    request: &Request<B>,
) -> Option<SignedIn> {
    let id = Transport::of(desk, peer, request).session_id(request.headers())?;
    desk.accounts.session(id)
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

fn refused(status: StatusCode, detail: &str) -> Box<Answer> {
    Box::new(problem(status, detail))
}

fn unknown() -> Box<Answer> {
    let detail = "sign in at /admin/, or send a token: Authorization: Bearer vst_…";
    let mut answer = refused(StatusCode::UNAUTHORIZED, detail);
    let challenge = HeaderValue::from_static("Bearer realm=\"voice-streamer\"");
    answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    answer
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

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
