//! `/admin/`: what an operator sees and may do after signing in. Pages made on the server, usable without scripts; every
//! change is a form that carries its session's token.
//!
//! ```text
//!   sign_in.rs        sign-in, sign-out, first account, new password
//!   calls.rs          the calls, one call, hang-up
//!   house.rs          agents, voices and plugins in use
//!   settings.rs       the configuration in force, its last reload, reload
//!   control.rs        the command line's way in
//! ```

mod calls;
mod control;
mod house;
mod settings;
mod sign_in;

use super::access::{self, Visitor};
use super::answer::{Answer, problem};
use super::body;
use super::cookie::Transport;
use super::desk::Desk;
use super::pages::{self, At, Page, Reader, page_with, see, sentence, sign_in_first};
use super::update::Actor;
use crate::accounts::SignedIn;
use crate::carrier::twilio::form::{self, Params};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, StatusCode};
use maud::{Markup, html};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The hidden field of every form.
const FORM_TOKEN: &str = "form_token";

/// Everything under `/admin/`: the route's name for the metrics, and the answer.
pub(super) async fn route(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: Request<Incoming>,
    rest: &[&str],
) -> (&'static str, Answer) {
    let method = request.method().clone();
    let get = method == Method::GET || method == Method::HEAD;
    let post = method == Method::POST;
    match rest {
        [] if get => ("/admin/", see("/admin/calls/")),
        ["sign-in"] if get => ("/admin/sign-in/", sign_in::page(desk, peer, &request)),
        ["sign-in"] if post => ("/admin/sign-in/", sign_in::enter(desk, peer, request).await),
        ["sign-out"] if post => (
            "/admin/sign-out/",
            sign_in::leave(desk, peer, request).await,
        ),
        ["setup"] if get => ("/admin/setup/", sign_in::first_page(desk, peer, &request)),
        ["setup"] if post => ("/admin/setup/", sign_in::first(desk, peer, request).await),
        ["password"] if get => (
            "/admin/password/",
            sign_in::password_page(desk, peer, &request),
        ),
        ["password"] if post => (
            "/admin/password/",
            sign_in::password(desk, peer, request).await,
        ),
        ["calls"] if get => ("/admin/calls/", calls::list(desk, peer, &request).await),
        ["calls", sid] if get => (
            "/admin/calls/{sid}/",
            calls::one(desk, peer, &request, sid).await,
        ),
        ["calls", sid, "hang-up"] if post => (
            "/admin/calls/{sid}/hang-up/",
            calls::hang_up(desk, peer, request, sid).await,
        ),
        ["voices"] if get => ("/admin/voices/", house::page(desk, peer, &request)),
        ["settings"] if get => ("/admin/settings/", settings::page(desk, peer, &request)),
        ["reload"] if post => (
            "/admin/reload/",
            settings::reload(desk, peer, request).await,
        ),
        ["control"] if post => ("/admin/control/", control::obey(desk, peer, request).await),
        []
        | [
            "sign-in" | "sign-out" | "setup" | "password" | "calls" | "voices" | "settings"
            | "reload" | "control",
        ]
        | ["calls", _]
        | ["calls", _, "hang-up"] => {
            let detail = format!("{method} is not offered here");
            (
                "wrong method",
                problem(StatusCode::METHOD_NOT_ALLOWED, &detail),
            )
        }
        _ => ("unknown", pages::nowhere(&request)),
    }
}

/// Which page of these it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Calls,
    Voices,
    Settings,
    Password,
}

/// Who is signed in; the error sends a browser to the sign-in page, and back afterwards.
fn door<B>(desk: &Desk, peer: SocketAddr, request: &Request<B>) -> Result<SignedIn, Box<Answer>> {
    access::signed_in(desk, peer, request).ok_or_else(|| Box::new(sign_in_first(request)))
}

/// A form of somebody who is signed in.
struct Asked {
    reader: Reader,
    params: Params,
    signed_in: SignedIn,
    ip: IpAddr,
}

impl Asked {
    fn actor(&self) -> Actor {
        Actor {
            visitor: Visitor::SignedIn(self.signed_in.clone()),
            ip: self.ip,
        }
    }
}

/// Reads a form and checks that it is one of ours, of this session. The error is the answer to give.
async fn asked(
    desk: &Desk,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Asked, Box<Answer>> {
    let reader = Reader::of(&request);
    let ip = desk.client_ip(peer, &request);
    let signed_in = door(desk, peer, &request)?;
    let params = posted(desk, request).await?;
    let token = params.get(FORM_TOKEN).unwrap_or("");
    if !signed_in.made(token) {
        let words = &reader.words().admin;
        return Err(Box::new(sentence(
            StatusCode::FORBIDDEN,
            &reader,
            words.stale_title,
            words.stale,
        )));
    }
    Ok(Asked {
        reader,
        params,
        signed_in,
        ip,
    })
}

/// The fields of a form that no page of another site has sent. The error is the answer to give.
async fn posted(desk: &Desk, request: Request<Incoming>) -> Result<Params, Box<Answer>> {
    if !access::same_site(desk, request.headers()) {
        let detail = "the form comes from a page of another site";
        return Err(Box::new(problem(StatusCode::FORBIDDEN, detail)));
    }
    let kind = request.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("");
    if !kind.starts_with("application/x-www-form-urlencoded") {
        let detail = "send a form: application/x-www-form-urlencoded";
        return Err(Box::new(problem(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            detail,
        )));
    }
    let body = body(request).await.map_err(Box::new)?;
    form::parse(&body)
        .map_err(|error| Box::new(problem(StatusCode::BAD_REQUEST, &error.to_string())))
}

/// A page of somebody who is signed in.
fn page(reader: &Reader, signed_in: &SignedIn, place: Place, title: &str, body: Markup) -> Answer {
    let words = &reader.words().admin;
    let tab = |at: Place, href: &str, name: &str| {
        html! { a href=(href) aria-current=[(at == place).then_some("page")] { (name) } }
    };
    let body = html! {
        div.rooms {
            nav.places aria-label=(words.pages) {
                (tab(Place::Calls, "/admin/calls/", words.calls))
                (tab(Place::Voices, "/admin/voices/", words.voices))
                (tab(Place::Settings, "/admin/settings/", words.settings))
                (tab(Place::Password, "/admin/password/", words.password))
            }
            form.who method="post" action="/admin/sign-out/" {
                span.soft { (signed_in.account) }
                (form_token(signed_in))
                button type="submit" { (words.sign_out) }
            }
        }
        (body)
    };
    let page = Page {
        title,
        at: At::Admin,
        scripts: &[],
        body,
    };
    page_with(StatusCode::OK, reader, page)
}

/// What makes a form this session's own.
fn form_token(signed_in: &SignedIn) -> Markup {
    html! { input type="hidden" name=(FORM_TOKEN) value=(signed_in.form_token()); }
}

/// A time for people, UTC, to the second.
fn time(unix_ms: u64) -> Markup {
    let exact = super::api::timestamp(unix_ms);
    let shown = exact.get(..19).unwrap_or(&exact).replace('T', " ");
    html! { time datetime=(exact) title=(exact) { (shown) } }
}

/// Refuses to take a password over a network in clear.
fn not_in_clear(
    desk: &Desk,
    peer: SocketAddr,
    request: &Request<Incoming>,
    reader: &Reader,
) -> Result<Transport, Box<Answer>> {
    match Transport::of(desk, peer, request) {
        Transport::Clear => {
            let words = &reader.words().admin;
            Err(Box::new(sentence(
                StatusCode::FORBIDDEN,
                reader,
                words.in_clear_title,
                words.in_clear,
            )))
        }
        transport => Ok(transport),
    }
}
