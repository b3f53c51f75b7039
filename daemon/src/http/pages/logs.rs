//! `/audio/logs/`: what happened in the calls, newest first.

use super::super::answer::Answer;
use super::super::api;
use super::super::desk::Desk;
use super::{At, Page, Reader, allowed, page, sentence};
use crate::store::EventQuery;
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use maud::html;
use std::net::SocketAddr;
use std::sync::Arc;

/// Rows of one page.
const PAGE_ROWS: usize = 100;

/// `GET /audio/logs/`
pub(in crate::http) async fn logs(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: &Request<Incoming>,
) -> Answer {
    let reader = Reader::of(request);
    let words = reader.words();
    if !allowed(desk, peer, request) {
        let frame = &words.frame;
        return sentence(
            StatusCode::FORBIDDEN,
            &reader,
            frame.not_here_title,
            frame.not_here,
        );
    }
    let store = desk.house.store.clone();
    let query = EventQuery {
        limit: PAGE_ROWS,
        ..EventQuery::default()
    };
    let found = match api::read(move || store.events(query)).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let words = &words.logs;
    let body = html! {
        h1 { (words.title) }
        table.rows {
            thead {
                tr {
                    @for name in [words.date, words.event, words.text, words.duration, words.sid, words.ip] {
                        th scope="col" { (name) }
                    }
                }
            }
            tbody {
                @for event in &found.rows {
                    tr {
                        td.time data-label=(words.date) { (api::timestamp(event.at_ms)) }
                        td data-label=(words.event) { span.badge { (event.event) } }
                        td.words data-label=(words.text) { (event.text) }
                        td.number data-label=(words.duration) { (event.audio_ms as f64 / 1000.0) }
                        td.name data-label=(words.sid) { (event.call_sid) }
                        td.name data-label=(words.ip) { (event.ip) }
                    }
                }
            }
        }
    };
    page(
        &reader,
        Page {
            title: words.title,
            at: At::Logs,
            scripts: &["logs.js"],
            body,
        },
    )
}
