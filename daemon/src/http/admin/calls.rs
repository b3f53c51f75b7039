//! The calls: newest first, searched and filtered by the address, and one call with everything that happened in it.

use super::{Place, asked, door, form_token, page, see, time};
use crate::accounts::SignedIn;
use crate::carrier::twilio::form;
use crate::http::answer::Answer;
use crate::http::api::{Edge, moment, read};
use crate::http::desk::Desk;
use crate::http::pages::{Reader, happened, head, sentence};
use crate::http::update;
use crate::store::{CallQuery, CallRecord, Event, EventQuery, Page as Rows, is_final};
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use maud::{Markup, html};
use std::net::SocketAddr;
use std::sync::Arc;

/// Calls on one page.
const PAGE_ROWS: usize = 50;

/// Events of one call on one page.
const EVENT_ROWS: usize = 200;

/// What the filter by status offers.
const STATUSES: [&str; 8] = [
    "queued",
    "ringing",
    "in-progress",
    "completed",
    "busy",
    "failed",
    "no-answer",
    "canceled",
];

/// `GET /admin/calls/?search=&status=&from=&until=&before=`
pub(super) async fn list(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: &Request<Incoming>,
) -> Answer {
    let reader = Reader::of(request);
    let signed_in = match door(desk, peer, request) {
        Ok(signed_in) => signed_in,
        Err(answer) => return *answer,
    };
    let query = request.uri().query().unwrap_or("");
    let params = form::parse(query.as_bytes()).unwrap_or_default();
    let word = |name| {
        params
            .get(name)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    // A day that is none filters nothing; the field shows it empty.
    let asked = CallQuery {
        status: word("status").map(str::to_owned),
        search: word("search").map(str::to_owned),
        from_ms: word("from").and_then(|day| moment(day, Edge::Start)),
        until_ms: word("until").and_then(|day| moment(day, Edge::End)),
        before: word("before").and_then(|id| id.parse().ok()),
        limit: PAGE_ROWS,
    };
    let (store, wanted) = (desk.house.store.clone(), asked.clone());
    let rows = match read(move || store.calls(wanted)).await {
        Ok(rows) => rows,
        Err(answer) => return answer,
    };
    let words = &reader.words().admin;
    let days = [word("from"), word("until")].map(|day| day.unwrap_or(""));
    let body = html! {
        h1 { (words.calls) }
        (filter(&reader, &asked, days))
        section.card {
            @if rows.rows.is_empty() {
                p.empty { (words.no_calls) }
            } @else {
                (table(&reader, &signed_in, &rows.rows))
            }
        }
        (turn(&reader, asked.before.is_some(), rows.next))
    };
    page(&reader, &signed_in, Place::Calls, words.calls, body)
}

/// `GET /admin/calls/{sid}/?before=`
pub(super) async fn one(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: &Request<Incoming>,
    sid: &str,
) -> Answer {
    let reader = Reader::of(request);
    let signed_in = match door(desk, peer, request) {
        Ok(signed_in) => signed_in,
        Err(answer) => return *answer,
    };
    let words = &reader.words().admin;
    let call = match update::find(desk, sid).await {
        Ok(call) => call,
        Err(answer) if answer.status() == StatusCode::NOT_FOUND => {
            let status = StatusCode::NOT_FOUND;
            return sentence(status, &reader, words.no_call_title, words.no_call);
        }
        Err(answer) => return *answer,
    };
    let query = request.uri().query().unwrap_or("");
    let params = form::parse(query.as_bytes()).unwrap_or_default();
    let before = params.get("before").and_then(|id| id.parse().ok());
    let wanted = EventQuery {
        call_sid: Some(call.call_sid.clone()),
        before,
        limit: EVENT_ROWS,
        ..EventQuery::default()
    };
    let store = desk.house.store.clone();
    let events = match read(move || store.events(wanted)).await {
        Ok(events) => events,
        Err(answer) => return answer,
    };
    let body = html! {
        div.title {
            h1 { (words.call) " " span.code { (call.call_sid) } }
            @if !is_final(&call.status) { (hang_up_form(&reader, &signed_in, &call.call_sid)) }
        }
        section.card { (facts(&reader, &call)) }
        section.card {
            h2 { (words.events) }
            (happened(&reader, &events))
        }
        (turn(&reader, before.is_some(), events.next))
    };
    page(&reader, &signed_in, Place::Calls, words.call, body)
}

/// `POST /admin/calls/{sid}/hang-up/`
pub(super) async fn hang_up(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: Request<Incoming>,
    sid: &str,
) -> Answer {
    let asked = match asked(desk, peer, request).await {
        Ok(asked) => asked,
        Err(answer) => return *answer,
    };
    let call = match update::find(desk, sid).await {
        Ok(call) => call,
        Err(answer) => return *answer,
    };
    if !is_final(&call.status)
        && let Err(answer) = update::hang_up(desk, &call, &asked.actor()).await
    {
        return *answer;
    }
    see(&format!("/admin/calls/{}/", call.call_sid))
}

fn filter(reader: &Reader, asked: &CallQuery, [from, until]: [&str; 2]) -> Markup {
    let words = &reader.words().admin;
    html! {
        form.filter.card method="get" action="/admin/calls/" role="search" {
            div.field {
                label for="search" { (words.search) }
                input #search name="search" type="search" value=(asked.search.as_deref().unwrap_or(""));
            }
            div.field {
                label for="status" { (words.status) }
                select #status name="status" {
                    option value="" { (words.any) }
                    @for status in STATUSES {
                        option value=(status) selected[asked.status.as_deref() == Some(status)] { (status) }
                    }
                }
            }
            div.field {
                label for="from" { (words.from_day) }
                input #from name="from" type="date" value=(from);
            }
            div.field {
                label for="until" { (words.until_day) }
                input #until name="until" type="date" value=(until);
            }
            div.actions {
                button.main type="submit" { (words.filter) }
                a.button href="/admin/calls/" { (words.clear) }
            }
        }
    }
}

fn table(reader: &Reader, signed_in: &SignedIn, calls: &[CallRecord]) -> Markup {
    let words = &reader.words().admin;
    html! {
        div.scroll {
            table.rows {
                (head(
                    &[words.call, words.from, words.to, words.status, words.duration, words.created, ""],
                    &[words.duration],
                ))
                tbody {
                    @for call in calls {
                        tr {
                            td.name data-label=(words.call) {
                                a href=(format!("/admin/calls/{}/", call.call_sid)) { (call.call_sid) }
                            }
                            td.name data-label=(words.from) { (call.from_number) }
                            td.name data-label=(words.to) { (call.to_number) }
                            td data-label=(words.status) { (status(&call.status)) }
                            td.number data-label=(words.duration) { (length(call.duration_ms)) }
                            td.time data-label=(words.created) { (time(call.created_at_ms)) }
                            td.hollow-if-ended data-label="" {
                                @if !is_final(&call.status) {
                                    (hang_up_form(reader, signed_in, &call.call_sid))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn facts(reader: &Reader, call: &CallRecord) -> Markup {
    let words = &reader.words().admin;
    html! {
        dl.about {
            dt { (words.from) } dd.code { (call.from_number) }
            dt { (words.to) } dd.code { (call.to_number) }
            dt { (words.status) } dd { (status(&call.status)) }
            dt { (words.ended_reason) } dd { (or_dash(&call.ended_reason)) }
            dt { (words.duration) } dd { (length(call.duration_ms)) }
            dt { (words.agent) } dd { (or_dash(&call.agent)) }
            dt { (words.direction) } dd { (or_dash(&call.direction)) }
            dt { (words.created) } dd { (time(call.created_at_ms)) }
            dt { (words.updated) } dd { (time(call.updated_at_ms)) }
            @for (name, value) in &call.variables {
                dt.code { (name) } dd { (value) }
            }
        }
    }
}

fn happened(reader: &Reader, events: &Rows<Event>) -> Markup {
    let words = &reader.words().admin;
    let logs = &reader.words().logs;
    html! {
        div.scroll {
            table.rows {
                (head(
                    &[logs.date, logs.event, logs.text, logs.duration, words.detail],
                    &[logs.duration],
                ))
                tbody {
                    @for event in &events.rows {
                        tr {
                            td.time data-label=(logs.date) { (time(event.at_ms)) }
                            td data-label=(logs.event) { span.badge { (event.event) } }
                            td.words data-label=(logs.text) { (happened::words(event, logs)) }
                            td.number data-label=(logs.duration) {
                                @if event.audio_ms > 0 { (length(event.audio_ms)) }
                            }
                            td.particulars data-label=(words.detail) { (happened::particulars(event)) }
                        }
                    }
                }
            }
        }
    }
}

/// To the older rows, and back to the newest.
fn turn(reader: &Reader, is_older: bool, next: Option<u64>) -> Markup {
    let words = &reader.words().admin;
    html! {
        nav.actions.turn aria-label=(words.turn) {
            @if is_older { a.button rel="first" href=(reader.with("before", "")) { (words.newest) } }
            @if let Some(next) = next {
                a.button rel="next" href=(reader.with("before", &next.to_string())) { (words.older) }
            }
        }
    }
}

fn hang_up_form(reader: &Reader, signed_in: &SignedIn, sid: &str) -> Markup {
    html! {
        form method="post" action=(format!("/admin/calls/{sid}/hang-up/")) {
            (form_token(signed_in))
            button.danger type="submit" { (reader.words().admin.hang_up) }
        }
    }
}

fn status(status: &str) -> Markup {
    let class = match status {
        "in-progress" => "badge good",
        "queued" | "ringing" => "badge blue",
        "failed" => "badge bad",
        "busy" | "no-answer" | "canceled" => "badge warm",
        _ => "badge",
    };
    html! { span class=(class) { (status) } }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "–" } else { text }
}

/// Minutes and seconds, to a tenth.
fn length(ms: u64) -> String {
    if ms == 0 {
        return "–".into();
    }
    let tenths = (ms + 50) / 100;
    let (minutes, rest) = (tenths / 600, tenths % 600);
    format!("{minutes}:{:02}.{}", rest / 10, rest % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_minutes_and_seconds() {
        for (ms, shown) in [
            (0, "–"),
            (49, "0:00.0"),
            (1234, "0:01.2"),
            (59_960, "1:00.0"),
            (3_600_000, "60:00.0"),
        ] {
            assert_eq!(length(ms), shown);
        }
    }
}
