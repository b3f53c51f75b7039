//! `/audio/logs/`: what happened in the calls, newest first, and the card to call from the browser.
//!
//! Without scripts it is a whole page: the filter is a form, older rows are a link, each row's call is a link. Scripts
//! add what moves: new rows as they come (`logs.js`), the call (`call.js`).

use super::super::answer::Answer;
use super::super::api;
use super::super::desk::Desk;
use super::locales::{LogsWords, Words};
use super::stream::state;
use super::{At, Page, Reader, happened, head, let_in, page, sentence, url};
use crate::carrier::twilio::form::{self, Params};
use crate::store::Event;
use hyper::Request;
use hyper::body::Incoming;
use maud::{Markup, html};
use std::net::SocketAddr;
use std::sync::Arc;

/// Events that can be chosen in the filter: those a call is made of.
const EVENTS: [&str; 18] = [
    "call_opened",
    "stream_started",
    "said",
    "caller_started",
    "heard",
    "wasted",
    "turn_ended",
    "answered",
    "barge_in",
    "resumed",
    "digit",
    "no_input",
    "note",
    "failed",
    "departed",
    "stream_over",
    "returned",
    "call_ended",
];

/// Keys of the digits pad, in the order of a telephone.
const KEYS: [&str; 12] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];

/// `GET /audio/logs/?event=&call=&text=&errors=&from=&until=&before=`
pub(in crate::http) async fn logs(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: &Request<Incoming>,
) -> Answer {
    let reader = Reader::of(request);
    let words = reader.words();
    if let Err(answer) = let_in(desk, peer, request, &reader) {
        return *answer;
    }
    let text = request.uri().query().unwrap_or("");
    let params = form::parse(text.as_bytes()).unwrap_or_default();
    let asked = match api::event_query(params.clone()) {
        Ok(asked) => asked,
        Err(answer) => {
            let words = &words.logs;
            return sentence(answer.status(), &reader, words.title, words.bad_filter);
        }
    };
    let live = asked.before.is_none() && asked.after.is_none() && asked.until_ms.is_none();
    // Before the rows are read: what comes between the two is told twice at worst, and the page knows it by its id.
    let newest = *desk.house.store.newest_event().borrow();
    let store = desk.house.store.clone();
    let found = match api::read(move || store.events(asked)).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let newest = found.rows.first().map_or(newest, |row| row.id.max(newest));
    let standing = state(&desk.configuration.standing());
    let error = standing["error"].as_str().unwrap_or("");
    let (all, words) = (words, &words.logs);
    let script_words = serde_json::to_string(words).unwrap_or_default();
    let body = html! {
        section.banner #configuration role="alert" hidden[error.is_empty()] {
            h2 { (words.configuration) }
            p { (words.configuration_text) }
            pre tabindex="0" aria-label=(words.configuration) { (error) }
        }
        div.desk {
            (call_card(all))
            section.log aria-labelledby="title" {
                div.head {
                    h1 #title { (words.title) }
                    div.actions {
                        span.live #live hidden { span.dot aria-hidden="true" {} span #live-text aria-live="polite" {} }
                        button.pill #resume type="button" hidden {}
                        button #pause type="button" aria-pressed="false" hidden { (words.pause) }
                    }
                }
                (filter(&params, words))
                div.card.sheet {
                    table.rows #rows data-newest=(newest) data-live[live] data-words=(script_words) {
                        caption.only-read { (words.title) }
                        (head(
                            &[words.date, words.event, words.text, words.duration, words.sid, words.ip],
                            &[words.duration],
                        ))
                        tbody { @for event in &found.rows { (row(event, words)) } }
                    }
                    p.empty #empty hidden[!found.rows.is_empty()] { (words.none) }
                }
                nav.actions.pages aria-label=(words.older) {
                    @if params.get("before").is_some() {
                        a.button href=(reader.with("before", "")) { (words.newest) }
                    }
                    @if let Some(next) = found.next {
                        a.button rel="next" href=(reader.with("before", &next.to_string())) { (words.older) }
                    }
                }
            }
        }
        dialog.drawer #drawer aria-labelledby="drawer-title" {
            div.head {
                h2 #drawer-title { (words.detail) }
                form method="dialog" { button type="submit" { (words.close) } }
            }
            dl #drawer-facts {}
            pre #drawer-json tabindex="0" aria-label="JSON" {}
            div.actions {
                button #drawer-copy type="button" { (words.copy) }
                a.button #drawer-call href="/audio/logs/" { (words.this_call) }
            }
        }
    };
    page(
        &reader,
        Page {
            title: words.title,
            at: At::Logs,
            scripts: &["logs.js", "call.js"],
            body,
        },
    )
}

fn filter(params: &Params, words: &LogsWords) -> Markup {
    let value = |name: &str| params.get(name).unwrap_or("").to_owned();
    let event = value("event");
    html! {
        form.card.filter #filter method="get" action="/audio/logs/" role="search" {
            div.field {
                label for="event" { (words.event) }
                select #event name="event" {
                    option value="" { (words.any) }
                    @for name in EVENTS { option value=(name) selected[name == event] { (name) } }
                    @if !event.is_empty() && !EVENTS.contains(&event.as_str()) {
                        option value=(event) selected { (event) }
                    }
                }
            }
            div.field.wide {
                label for="text" { (words.search) }
                input #text type="search" name="text" value=(value("text")) maxlength="200" autocomplete="off";
            }
            div.field.wide {
                label for="call" { (words.sid) }
                input #call type="search" name="call" value=(value("call")) maxlength="64" autocomplete="off" spellcheck="false";
            }
            div.field {
                label for="from" { (words.from) }
                input #from type="date" name="from" value=(value("from"));
            }
            div.field {
                label for="until" { (words.until) }
                input #until type="date" name="until" value=(value("until"));
            }
            div.field.check {
                input #errors type="checkbox" name="errors" value="1" checked[params.get("errors").is_some()];
                label for="errors" { (words.errors) }
            }
            div.actions {
                button.main type="submit" { (words.show) }
                a.button href="/audio/logs/" { (words.all) }
            }
        }
    }
}

/// A row as it is without scripts; `data-row` is what a script makes its own of.
fn row(event: &Event, words: &LogsWords) -> Markup {
    let time = api::timestamp(event.at_ms);
    let plain = time.replace('T', " ").replace('Z', "");
    html! {
        tr data-row=(api::log(event)) {
            td.time data-label=(words.date) { time datetime=(time) title=(time) { (plain) } }
            td data-label=(words.event) { span.badge { (event.event) } }
            td.words data-label=(words.text) { (happened::words(event, words)) }
            td.number data-label=(words.duration) {
                @if event.audio_ms > 0 { (format!("{:.2} s", event.audio_ms as f64 / 1000.0)) }
            }
            td.name data-label=(words.sid) {
                @if !event.call_sid.is_empty() {
                    a href=(format!("/audio/logs/?{}", form::encode(&[("call", &event.call_sid)]))) title=(event.call_sid) { (event.call_sid) }
                }
            }
            td.name data-label=(words.ip) { (event.ip) }
        }
    }
}

/// Everything about it is done by `call.js`, which shows it.
fn call_card(words: &Words) -> Markup {
    let words = &words.call;
    let script_words = serde_json::to_string(words).unwrap_or_default();
    html! {
        section.card.call #call-card aria-labelledby="call-title" data-words=(script_words) data-sample=(url("sample.wav")) {
            h2 #call-title { (words.title) }
            noscript { p.soft { (words.no_script) } }
            div.with-script #call-body hidden {
                p.soft.small { (words.lead) }
                div.actions.big {
                    button.main #call-start type="button" { (words.start) }
                    button.danger #call-stop type="button" disabled { (words.stop) }
                }
                div.actions.sample {
                    button #call-sample type="button" disabled { (words.sample) }
                }
                p.state #call-state role="status" { (words.idle) }
                div.help #call-help hidden {
                    p #call-help-text {}
                }
                div.meters {
                    label for="meter-in" { (words.you) }
                    meter #meter-in min="-60" max="0" low="-45" value="-60" {}
                    label for="meter-out" { (words.agent) }
                    meter #meter-out min="-60" max="0" low="-45" value="-60" {}
                }
                dl.facts {
                    div { dt { (words.last) } dd #latency-last { "–" } }
                    div { dt { (words.median) } dd #latency-median { "–" } }
                    div { dt { (words.lasted) } dd #call-lasted { "0:00" } }
                }
                h3.label #captions-title { (words.captions) }
                ol.captions #captions aria-live="polite" aria-labelledby="captions-title" tabindex="0" {}
                div.pad role="group" aria-label=(words.digits) {
                    @for key in KEYS { button type="button" data-digit=(key) disabled { (key) } }
                }
                h3.label #console-title { (words.console) }
                ol.console #console role="log" aria-labelledby="console-title" tabindex="0" {}
            }
        }
    }
}
