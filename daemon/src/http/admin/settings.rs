//! The configuration in force, key by key with secrets as dots; how its last reload went; and the wish for another.

use super::{Place, asked, door, form_token, page as desk_page, see, time};
use crate::config::Diff;
use crate::http::answer::{Answer, problem};
use crate::http::configuration::{Cause, Outcome, Standing, reload_for};
use crate::http::desk::Desk;
use crate::http::pages::Reader;
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use maud::{Markup, html};
use std::net::SocketAddr;
use std::sync::Arc;

/// `GET /admin/settings/`
pub(super) fn page(desk: &Arc<Desk>, peer: SocketAddr, request: &Request<Incoming>) -> Answer {
    let reader = Reader::of(request);
    let signed_in = match door(desk, peer, request) {
        Ok(signed_in) => signed_in,
        Err(answer) => return *answer,
    };
    let words = &reader.words().admin;
    let standing = desk.configuration.standing();
    let body = html! {
        div.title {
            h1 { (words.settings) }
            form method="post" action="/admin/reload/" {
                (form_token(&signed_in))
                button.main type="submit" { (words.reload) }
            }
        }
        (last(&reader, &standing))
        @if !standing.waiting.is_empty() {
            section.card {
                h2 { (words.waiting) }
                (changes(&reader, &standing.waiting))
            }
        }
        section.card {
            h2 { (words.in_force) }
            p.soft.small { span.code { (standing.file) } " · " (words.secrets_hidden) }
            (sheet(&reader, &standing))
        }
    };
    desk_page(&reader, &signed_in, Place::Settings, words.settings, body)
}

/// `POST /admin/reload/`
pub(super) async fn reload(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Answer {
    let asked = match asked(desk, peer, request).await {
        Ok(asked) => asked,
        Err(answer) => return *answer,
    };
    match reload_for(desk, &asked.actor()).await {
        Some(_) => see("/admin/settings/"),
        None => problem(
            StatusCode::SERVICE_UNAVAILABLE,
            asked.reader.words().admin.ending,
        ),
    }
}

/// How the last attempt went.
fn last(reader: &Reader, standing: &Standing) -> Markup {
    let words = &reader.words().admin;
    let last = &standing.last;
    let cause = match last.cause {
        Cause::Start => words.cause_start,
        Cause::File => words.cause_file,
        Cause::Signal => words.cause_signal,
        Cause::Asked => words.cause_asked,
    };
    let outcome = match &last.outcome {
        Outcome::Applied => html! { span.badge.good { (words.applied) } },
        Outcome::Unchanged => html! { span.badge { (words.unchanged) } },
        Outcome::Refused { .. } => html! { span.badge.bad { (words.refused) } },
    };
    html! {
        @if let Outcome::Refused { error } = &last.outcome {
            section.banner role="alert" {
                h2 { (words.refused_title) }
                p { (words.refused_text) }
                pre { (error) }
            }
        }
        section.card {
            h2 { (words.last_reload) }
            dl.about {
                dt { (words.outcome) } dd { (outcome) }
                dt { (words.when) } dd { (time(last.at_ms)) " UTC" }
                dt { (words.cause) } dd { (cause) }
                dt { (words.took) } dd { (last.took_ms) " ms" }
                dt { (words.in_force_since) } dd { (time(standing.in_force_since_ms)) " UTC" }
            }
            @if !last.diff.is_empty() { (changes(reader, &last.diff)) }
        }
    }
}

fn changes(reader: &Reader, diff: &Diff) -> Markup {
    let words = &reader.words().admin;
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "–".into());
    html! {
        div.scroll {
            table.rows {
                thead {
                    tr {
                        @for name in [words.key, words.before, words.after, words.takes] {
                            th scope="col" { (name) }
                        }
                    }
                }
                tbody {
                    @for change in &diff.0 {
                        tr {
                            td.name data-label=(words.key) { (change.key) }
                            td.name data-label=(words.before) { (shown(&change.before)) }
                            td.name data-label=(words.after) { (shown(&change.after)) }
                            td data-label=(words.takes) { (change.takes.as_str()) }
                        }
                    }
                }
            }
        }
    }
}

fn sheet(reader: &Reader, standing: &Standing) -> Markup {
    let words = &reader.words().admin;
    html! {
        div.scroll {
            table.rows {
                thead { tr { th scope="col" { (words.key) } th scope="col" { (words.value) } } }
                tbody {
                    @for (key, row) in &standing.sheet.rows {
                        tr {
                            td.name data-label=(words.key) { (key) }
                            td.name data-label=(words.value) { (row.shown) }
                        }
                    }
                }
            }
        }
    }
}
