//! What people see in a browser: the frame every page stands in, its headers, and who may look.
//!
//! A page is three lines: [`Reader::of`] says which language and theme the request asks for, `html!` makes the body,
//! [`page`] puts the frame around it.
//!
//! ```text
//! let reader = Reader::of(&request);
//! let body = html! { h1 { (reader.words().logs.title) } p { (text_of_a_stranger) } };
//! page(&reader, Page { title: reader.words().logs.title, at: At::Logs, scripts: &["logs.js"], body })
//! ```
//!
//! Markup is made by maud: what stands in parentheses is escaped, and the only way around it is a word that
//! `tests/tidy.rs` forbids in this room. It costs no file at run time and a page that does not nest does not compile.
//!
//! A script is a native module in `assets/`, named in `scripts`; nothing is written inline, because [`POLICY`] allows
//! none. It gets its words and values from `data-` attributes, and shows text as text: the policy makes the browser
//! refuse a string where HTML is expected. Everything works without scripts as far as it can.

mod assets;
pub(in crate::http) mod happened;
mod locales;
mod logs;
mod reader;
mod stream;

pub(super) use assets::{asset, url};
pub(super) use logs::logs;
pub(super) use reader::Reader;
pub(super) use stream::stream;

use super::access::{Wish, admit};
use super::answer::{Answer, problem, with_type};
use super::desk::Desk;
use crate::carrier::twilio::form;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, LOCATION,
    REFERRER_POLICY, SET_COOKIE, X_FRAME_OPTIONS,
};
use hyper::{Request, StatusCode};
use locales::Words;
use maud::{DOCTYPE, Markup, html};
use reader::{Language, Theme};
use std::net::SocketAddr;

/// What a page may load and do. No inline script or style, nothing from elsewhere, no string where the browser
/// expects markup.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     media-src 'self' blob:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'";

/// The headers of every HTML answer beside the policy. The referrer stays, but at home: without one a form's origin
/// would be unknown.
const HEADERS: [(&str, &str); 4] = [
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "microphone=(self), camera=(), geolocation=(), payment=(), usb=()",
    ),
    ("vary", "accept-language, cookie"),
];

/// Seconds a choice of language or theme is remembered: a year.
const CHOICE_SECS: u32 = 31_536_000;

/// Which entry of the navigation a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Logs,
    Admin,
    /// None of them: sign-in, errors.
    Elsewhere,
}

/// A page, without its frame.
pub(super) struct Page<'a> {
    /// Shown in the browser's title bar.
    pub(super) title: &'a str,
    pub(super) at: At,
    /// Modules of `assets/`, by name, loaded in this order after the page is there.
    pub(super) scripts: &'a [&'a str],
    pub(super) body: Markup,
}

/// Lets in whoever may see what happens in calls. The error is the answer to give: where signing in would help, a
/// browser is led to the door, and back here afterwards; a program gets what the API would answer.
pub(super) fn let_in<B>(
    desk: &Desk,
    peer: SocketAddr,
    request: &Request<B>,
    reader: &Reader,
) -> Result<(), Box<Answer>> {
    let Err(refusal) = admit(desk, peer, request, Wish::Look) else {
        return Ok(());
    };
    let headers = request.headers();
    Err(match refusal.status() {
        _ if headers.contains_key(AUTHORIZATION) => refusal,
        StatusCode::UNAUTHORIZED if reads_html(request) => Box::new(sign_in_first(request)),
        StatusCode::UNAUTHORIZED => refusal,
        status => {
            let frame = &reader.words().frame;
            Box::new(sentence(
                status,
                reader,
                frame.not_here_title,
                frame.not_here,
            ))
        }
    })
}

/// To the sign-in page, and back afterwards to what was asked for; whether that is a page of ours is found out there.
pub(super) fn sign_in_first<B>(request: &Request<B>) -> Answer {
    let here = request.uri().path_and_query();
    let here = here.map_or("/admin/", |at| at.as_str());
    let next = form::encode(&[("next", here)]);
    see(&format!("/admin/sign-in/?{next}"))
}

/// Go there and look; never a repetition of what was sent.
pub(super) fn see(path: &str) -> Answer {
    let mut answer = with_type(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", "");
    let path = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/admin/"));
    answer.headers_mut().insert(LOCATION, path);
    answer
}

/// A whole HTML answer: the body in the frame, with every header a page needs.
pub(super) fn page(reader: &Reader, page: Page<'_>) -> Answer {
    page_with(StatusCode::OK, reader, page)
}

/// The same with another status.
pub(super) fn page_with(status: StatusCode, reader: &Reader, page: Page<'_>) -> Answer {
    let document = frame(reader, page).into_string();
    let mut answer = with_type(status, "text/html; charset=utf-8", document);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    for (name, value) in HEADERS {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    for (name, value) in reader.chosen() {
        let cookie = format!("{name}={value}; Path=/; Max-Age={CHOICE_SECS}; SameSite=Lax");
        // Both words are ours, so the header is always well formed.
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            headers.append(SET_COOKIE, cookie);
        }
    }
    answer
}

/// A page that says in one sentence why there is no other.
pub(super) fn sentence(status: StatusCode, reader: &Reader, title: &str, text: &str) -> Answer {
    let body = html! {
        section.card.notice {
            h1 { (title) }
            p { (text) }
        }
    };
    let page = Page {
        title,
        at: At::Elsewhere,
        scripts: &[],
        body,
    };
    page_with(status, reader, page)
}

/// There is nothing at this address: a page for a browser, and for a program what the API would answer.
pub(super) fn nowhere<B>(request: &Request<B>) -> Answer {
    if reads_html(request) {
        let reader = Reader::of(request);
        let frame = &reader.words().frame;
        return sentence(
            StatusCode::NOT_FOUND,
            &reader,
            frame.nowhere_title,
            frame.nowhere,
        );
    }
    let detail = format!("there is nothing at {}", request.uri().path());
    problem(StatusCode::NOT_FOUND, &detail)
}

/// Whether somebody sits in front of it.
fn reads_html<B>(request: &Request<B>) -> bool {
    let accepted = request.headers().get(ACCEPT);
    let accepted = accepted.and_then(|value| value.to_str().ok());
    accepted.is_some_and(|kinds| kinds.contains("text/html"))
}

/// `GET /`: whoever opens the bare address wants the page.
pub(super) fn front_door() -> Answer {
    see("/audio/logs/")
}

fn frame(reader: &Reader, page: Page<'_>) -> Markup {
    let words: &Words = reader.words();
    let frame = &words.frame;
    html! {
        (DOCTYPE)
        html lang=(words.lang) data-theme=(reader.theme.as_str()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) " · voice-streamer" }
                link rel="icon" type="image/svg+xml" href=(url("mark.svg"));
                link rel="stylesheet" href=(url("style.css"));
                @for script in page.scripts {
                    script type="module" src=(url(script)) {}
                }
            }
            body {
                a.skip href="#main" { (frame.skip) }
                header.top {
                    a.brand href="/audio/logs/" {
                        img src=(url("mark.svg")) alt="" width="28" height="28";
                        span { "voice-streamer" }
                    }
                    nav.places aria-label=(frame.navigation) {
                        a href="/audio/logs/" aria-current=[(page.at == At::Logs).then_some("page")] { (frame.logs) }
                        a href="/admin/" aria-current=[(page.at == At::Admin).then_some("page")] { (frame.admin) }
                    }
                    div.choices {
                        nav.choice aria-label=(frame.language) {
                            @for language in Language::ALL {
                                a href=(reader.with("lang", language.as_str())) lang=(language.as_str())
                                    hreflang=(language.as_str()) title=(language.name())
                                    aria-current=[(language == reader.language).then_some("true")] {
                                    (language.as_str().to_uppercase())
                                }
                            }
                        }
                        nav.choice aria-label=(frame.theme) {
                            @for (theme, name) in [
                                (Theme::Auto, frame.auto), (Theme::Light, frame.light), (Theme::Dark, frame.dark),
                            ] {
                                a href=(reader.with("theme", theme.as_str()))
                                    aria-current=[(theme == reader.theme).then_some("true")] { (name) }
                            }
                        }
                    }
                }
                main #main tabindex="-1" { (page.body) }
                footer.bottom {
                    span { "voice-streamer " (env!("CARGO_PKG_VERSION")) }
                }
            }
        }
    }
}

/// The head of a table: the names of its columns. Those in `numbers` stand over numbers, on their right.
pub(super) fn head(names: &[&str], numbers: &[&str]) -> Markup {
    html! {
        thead {
            tr {
                @for name in names {
                    th scope="col" class=[numbers.contains(name).then_some("number")] { (name) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn request(target: &str, headers: &[(&'static str, &'static str)]) -> Request<()> {
        let mut request = Request::new(());
        *request.uri_mut() = target.parse().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        request
    }

    fn shown(reader: &Reader, body: Markup) -> (Answer, String) {
        let answer = page(
            reader,
            Page {
                title: "<script>title</script>",
                at: At::Logs,
                scripts: &["logs.js"],
                body,
            },
        );
        let (parts, body) = answer.into_parts();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let text = runtime.block_on(body.collect()).unwrap().to_bytes();
        let text = String::from_utf8(text.to_vec()).unwrap();
        (
            Answer::from_parts(parts, super::super::answer::empty()),
            text,
        )
    }

    #[test]
    fn every_page_carries_the_policy_and_no_inline_script_or_style() {
        let reader = Reader::of(&request("/audio/logs/", &[]));
        let (answer, text) = shown(&reader, html! { p { "<img src=x onerror=alert(1)>" } });
        let headers = answer.headers();
        assert_eq!(headers[CONTENT_SECURITY_POLICY], POLICY);
        assert!(POLICY.contains("require-trusted-types-for 'script'"));
        assert!(!POLICY.contains("unsafe"));
        for (name, value) in HEADERS {
            assert_eq!(headers[name], value);
        }
        for name in [
            "x-content-type-options",
            "x-frame-options",
            "referrer-policy",
        ] {
            assert!(headers.contains_key(name), "{name}");
        }
        assert_eq!(headers["cache-control"], "no-store");
        assert!(!text.contains("<script>"), "{text}");
        assert!(!text.contains("<img src=x"), "{text}");
        assert!(
            !text.contains("style=\"") && !text.contains("<style"),
            "{text}"
        );
        assert!(text.contains("&lt;img src=x onerror=alert(1)&gt;"));
    }

    #[test]
    fn a_page_is_in_its_readers_language_and_theme_and_remembers_a_choice() {
        let spanish = request("/audio/logs/", &[("accept-language", "es-MX,en;q=0.5")]);
        let reader = Reader::of(&spanish);
        let (answer, text) = shown(&reader, html! {});
        assert!(
            text.contains("<html lang=\"es\" data-theme=\"auto\">"),
            "{text}"
        );
        assert!(answer.headers().get(SET_COOKIE).is_none());
        let chosen = request("/audio/logs/?event=said&lang=en&theme=dark", &[]);
        let (answer, text) = shown(&Reader::of(&chosen), html! {});
        assert!(
            text.contains("<html lang=\"en\" data-theme=\"dark\">"),
            "{text}"
        );
        let cookies: Vec<_> = answer.headers().get_all(SET_COOKIE).iter().collect();
        assert_eq!(cookies.len(), 2, "{cookies:?}");
        assert!(
            text.contains("href=\"/audio/logs/?event=said&amp;lang=es\""),
            "the other language keeps the filter: {text}"
        );
    }
}
