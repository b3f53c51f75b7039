//! The door: sign-in, sign-out, the first account behind its one-time link, and a new password.
//!
//! A wrong name, a wrong password and an account that does not exist get the same answer after the same time. Every
//! sign-in gives a new session; one that the browser had before is over.

use super::{Place, asked, door, form_token, not_in_clear, page as desk_page, posted, see};
use crate::accounts::{ChangeError, PASSWORD_CHARS_LEAST, SignInError};
use crate::carrier::twilio::form;
use crate::http::answer::Answer;
use crate::http::cookie::Transport;
use crate::http::desk::Desk;
use crate::http::pages::{At, Page, Reader, page_with, sentence};
use hyper::body::Incoming;
use hyper::header::{HeaderValue, RETRY_AFTER, SET_COOKIE};
use hyper::{Request, StatusCode};
use maud::{Markup, html};
use std::net::SocketAddr;
use std::sync::Arc;

/// `GET /admin/sign-in/?next=`
pub(super) fn page(desk: &Desk, peer: SocketAddr, request: &Request<Incoming>) -> Answer {
    let reader = Reader::of(request);
    if let Err(answer) = not_in_clear(desk, peer, request, &reader) {
        return *answer;
    }
    let query = request.uri().query().unwrap_or("");
    let params = form::parse(query.as_bytes()).unwrap_or_default();
    let next = inside(params.get("next"));
    if desk.accounts.list().is_empty() {
        let words = &reader.words().admin;
        return sentence(StatusCode::OK, &reader, words.nobody_title, words.nobody);
    }
    sign_in_page(StatusCode::OK, &reader, next, "", None)
}

/// `POST /admin/sign-in/`
pub(super) async fn enter(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Answer {
    let reader = Reader::of(&request);
    let transport = match not_in_clear(desk, peer, &request, &reader) {
        Ok(transport) => transport,
        Err(answer) => return *answer,
    };
    let ip = desk.client_ip(peer, &request);
    let before = transport.session_id(request.headers()).map(str::to_owned);
    let params = match posted(desk, request).await {
        Ok(params) => params,
        Err(answer) => return *answer,
    };
    let name = params.get("name").unwrap_or("");
    let password = params.get("password").unwrap_or("");
    let next = inside(params.get("next"));
    match desk.accounts.sign_in(name, password, ip).await {
        Ok(id) => {
            if let Some(before) = before {
                desk.accounts.sign_out(&before);
            }
            with_session(transport, &id, see(next))
        }
        Err(error) => refused(&reader, &error, |status, text| {
            sign_in_page(status, &reader, next, name, Some(text))
        }),
    }
}

/// `POST /admin/sign-out/`
pub(super) async fn leave(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Answer {
    let transport = Transport::of(desk, peer, &request);
    let id = transport.session_id(request.headers()).map(str::to_owned);
    if let Err(answer) = asked(desk, peer, request).await {
        return *answer;
    }
    if let Some(id) = id {
        desk.accounts.sign_out(&id);
    }
    let mut answer = see("/admin/sign-in/");
    if let Some(gone) = transport.take() {
        answer.headers_mut().append(SET_COOKIE, gone);
    }
    answer
}

/// `GET /admin/setup/?token=`
pub(super) fn first_page(desk: &Desk, peer: SocketAddr, request: &Request<Incoming>) -> Answer {
    let reader = Reader::of(request);
    if let Err(answer) = not_in_clear(desk, peer, request, &reader) {
        return *answer;
    }
    let query = request.uri().query().unwrap_or("");
    let params = form::parse(query.as_bytes()).unwrap_or_default();
    let token = params.get("token").unwrap_or("");
    if !desk.accounts.may_set_up(token) {
        return bad_link(&reader);
    }
    first_account_page(StatusCode::OK, &reader, token, "", None)
}

/// `POST /admin/setup/`
pub(super) async fn first(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Answer {
    let reader = Reader::of(&request);
    let transport = match not_in_clear(desk, peer, &request, &reader) {
        Ok(transport) => transport,
        Err(answer) => return *answer,
    };
    let ip = desk.client_ip(peer, &request);
    let params = match posted(desk, request).await {
        Ok(params) => params,
        Err(answer) => return *answer,
    };
    let token = params.get("token").unwrap_or("");
    let name = params.get("name").unwrap_or("");
    let password = params.get("password").unwrap_or("");
    match desk.accounts.set_up(token, name, password, ip).await {
        Ok(()) => match desk.accounts.sign_in(name, password, ip).await {
            Ok(id) => with_session(transport, &id, see("/admin/")),
            // The account is there; only signing in did not work this time.
            Err(_) => see("/admin/sign-in/"),
        },
        Err(ChangeError::BadLink) => bad_link(&reader),
        Err(error) => {
            let (status, text) = changed_not(&reader, &error);
            first_account_page(status, &reader, token, name, Some(&text))
        }
    }
}

/// `GET /admin/password/`
pub(super) fn password_page(desk: &Desk, peer: SocketAddr, request: &Request<Incoming>) -> Answer {
    let reader = Reader::of(request);
    let signed_in = match door(desk, peer, request) {
        Ok(signed_in) => signed_in,
        Err(answer) => return *answer,
    };
    let words = &reader.words().admin;
    let body = html! {
        (password_form(&reader, html! { (form_token(&signed_in)) }, None))
    };
    desk_page(&reader, &signed_in, Place::Password, words.password, body)
}

/// `POST /admin/password/`
pub(super) async fn password(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Answer {
    let asked = match asked(desk, peer, request).await {
        Ok(asked) => asked,
        Err(answer) => return *answer,
    };
    let (reader, signed_in) = (&asked.reader, &asked.signed_in);
    let words = &reader.words().admin;
    let old = asked.params.get("old").unwrap_or("");
    let new = asked.params.get("password").unwrap_or("");
    let again = |status, text: &str| {
        let form = password_form(reader, form_token(signed_in), Some(text));
        let mut answer = desk_page(reader, signed_in, Place::Password, words.password, form);
        *answer.status_mut() = status;
        answer
    };
    let accounts = &desk.accounts;
    match accounts
        .change_password(&signed_in.account, old, new, asked.ip)
        .await
    {
        // Every session is over, this one too.
        Ok(Ok(())) => see("/admin/sign-in/"),
        Ok(Err(error)) => {
            let (status, text) = changed_not(reader, &error);
            again(status, &text)
        }
        Err(error) => refused(reader, &error, again),
    }
}

fn with_session(transport: Transport, id: &str, mut answer: Answer) -> Answer {
    if let Some(cookie) = transport.give(id) {
        answer.headers_mut().append(SET_COOKIE, cookie);
    }
    answer
}

/// The answer to somebody who was not let in, on whichever page he tried.
fn refused(
    reader: &Reader,
    error: &SignInError,
    page: impl FnOnce(StatusCode, &str) -> Answer,
) -> Answer {
    let words = &reader.words().admin;
    match error {
        SignInError::Wrong => page(StatusCode::FORBIDDEN, words.wrong),
        SignInError::Wait { secs } => {
            let text = words.wait.replace("{secs}", &secs.to_string());
            let mut answer = page(StatusCode::TOO_MANY_REQUESTS, &text);
            answer
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(*secs));
            answer
        }
        SignInError::Hash(_) | SignInError::NoRandomness => {
            page(StatusCode::SERVICE_UNAVAILABLE, words.busy)
        }
    }
}

/// Why an account or a password was not taken, in the reader's words where he can do something about it.
fn changed_not(reader: &Reader, error: &ChangeError) -> (StatusCode, String) {
    let words = &reader.words().admin;
    let least = PASSWORD_CHARS_LEAST.to_string();
    match error {
        ChangeError::Refused(_) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            words.bad_account.replace("{least}", &least),
        ),
        ChangeError::Exists(_) | ChangeError::Unknown(_) | ChangeError::BadLink => {
            (StatusCode::CONFLICT, error.to_string())
        }
        ChangeError::Hash(_) | ChangeError::Store(_) | ChangeError::NoRandomness => {
            (StatusCode::SERVICE_UNAVAILABLE, words.busy.to_owned())
        }
    }
}

fn bad_link(reader: &Reader) -> Answer {
    let words = &reader.words().admin;
    sentence(
        StatusCode::FORBIDDEN,
        reader,
        words.bad_link_title,
        words.bad_link,
    )
}

/// Where to go after signing in: a page of ours, whatever was asked for.
fn inside(next: Option<&str>) -> &str {
    let ours = |path: &&str| {
        (path.starts_with("/admin/") || path.starts_with("/audio/"))
            && path
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    next.filter(ours).unwrap_or("/admin/")
}

fn alert(text: Option<&str>) -> Markup {
    html! {
        @if let Some(text) = text {
            p.alert role="alert" { (text) }
        }
    }
}

fn sign_in_page(
    status: StatusCode,
    reader: &Reader,
    next: &str,
    name: &str,
    text: Option<&str>,
) -> Answer {
    let words = &reader.words().admin;
    let body = html! {
        section.card.door {
            h1 { (words.sign_in) }
            (alert(text))
            form method="post" action="/admin/sign-in/" {
                input type="hidden" name="next" value=(next);
                (name_field(words.name, name))
                (password_field("password", words.password, "current-password"))
                div.actions { button.main type="submit" { (words.sign_in) } }
            }
        }
    };
    outside(status, reader, words.sign_in, body)
}

fn first_account_page(
    status: StatusCode,
    reader: &Reader,
    token: &str,
    name: &str,
    text: Option<&str>,
) -> Answer {
    let words = &reader.words().admin;
    let body = html! {
        section.card.door {
            h1 { (words.first_title) }
            p.soft { (words.first) }
            (alert(text))
            form method="post" action="/admin/setup/" {
                input type="hidden" name="token" value=(token);
                (name_field(words.name, name))
                (password_field("password", words.password, "new-password"))
                p.soft.small { (words.password_hint.replace("{least}", &PASSWORD_CHARS_LEAST.to_string())) }
                div.actions { button.main type="submit" { (words.make_account) } }
            }
        }
    };
    outside(status, reader, words.first_title, body)
}

fn password_form(reader: &Reader, hidden: Markup, text: Option<&str>) -> Markup {
    let words = &reader.words().admin;
    html! {
        section.card.door {
            h1 { (words.password) }
            p.soft { (words.password_ends) }
            (alert(text))
            form method="post" action="/admin/password/" {
                (hidden)
                (password_field("old", words.old_password, "current-password"))
                (password_field("password", words.new_password, "new-password"))
                p.soft.small { (words.password_hint.replace("{least}", &PASSWORD_CHARS_LEAST.to_string())) }
                div.actions { button.main type="submit" { (words.change) } }
            }
        }
    }
}

fn name_field(label: &str, value: &str) -> Markup {
    html! {
        div.field {
            label for="name" { (label) }
            input #name name="name" value=(value) required autofocus autocomplete="username"
                autocapitalize="none" spellcheck="false" maxlength="64";
        }
    }
}

fn password_field(name: &str, label: &str, kind: &str) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            input id=(name) name=(name) type="password" required autocomplete=(kind);
        }
    }
}

fn outside(status: StatusCode, reader: &Reader, title: &str, body: Markup) -> Answer {
    let page = Page {
        title,
        at: At::Admin,
        scripts: &[],
        body,
    };
    page_with(status, reader, page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_signing_in_nobody_is_sent_elsewhere() {
        for ours in [
            "/admin/",
            "/admin/calls/?status=completed&search=%2B1",
            "/audio/logs/",
        ] {
            assert_eq!(inside(Some(ours)), ours);
        }
        for foreign in [
            "",
            "//evil.example/",
            "https://evil.example/admin/",
            "/\\evil.example",
            "/admin/\\evil.example",
            "/admin/\r\nSet-Cookie: a=b",
            "/healthz",
            "javascript:alert(1)",
        ] {
            assert_eq!(inside(Some(foreign)), "/admin/", "{foreign}");
        }
        assert_eq!(inside(None), "/admin/");
    }
}
