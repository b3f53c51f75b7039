//! `/audio/api/logs/stream`: the log as it grows, as server-sent events, and what became of the configuration.
//!
//! ```text
//!  store's bell ──→ read what is newer than the last id told ──→ `id`, `event: row`, JSON
//!  configuration ─→ `event: configuration`, JSON with the error or null
//!  15 s of silence → a comment
//! ```
//!
//! A reader names the last id it has, by `Last-Event-ID` or `?after=`, and gets everything after it once and in order:
//! the bell only says that there is something, what is told comes from the store. Bounded: streams at once, how long a
//! slow reader is waited for, and how long one stream lasts. After that the browser comes back with its last id, and
//! whether it may look is asked anew.

use super::super::access::{Wish, admit};
use super::super::answer::{Answer, problem, with_type};
use super::super::api;
use super::super::configuration::{Outcome, Standing};
use super::super::desk::Desk;
use crate::carrier::twilio::form;
use crate::store::EventQuery;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use hyper::header::{HeaderValue, RETRY_AFTER};
use hyper::{Request, StatusCode};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, MissedTickBehavior};

/// Streams at once. Each is a task and a connection; a person has two or three.
const STREAMS: usize = 256;

/// Rows told in one piece.
const PIECE_ROWS: usize = 200;

/// Pieces that may wait for a reader; one that lets them wait for [`SLOW_SECS`] is dropped.
const PIECES: usize = 4;
const SLOW_SECS: u64 = 10;

/// Pause after telling, so that a busy log is read in pieces and not row by row.
const SETTLE_MS: u64 = 50;

/// Silence after which a comment is sent, for proxies that close quiet connections.
const HEARTBEAT_SECS: u64 = 15;

/// How long one stream lasts.
const STREAM_SECS: u64 = 900;

/// How soon a browser whose stream ended comes back.
const RETRY_MS: u64 = 1000;

static ROOM: Semaphore = Semaphore::const_new(STREAMS);

/// `GET /audio/api/logs/stream?after=` and the filters of the log.
pub(in crate::http) fn stream<B>(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: &Request<B>,
) -> Answer {
    if let Err(answer) = admit(desk, peer, request, Wish::Look) {
        return *answer;
    }
    let query = request.uri().query().unwrap_or("");
    let params = match form::parse(query.as_bytes()) {
        Ok(params) => params,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let mut query = match api::event_query(params) {
        Ok(query) => query,
        Err(answer) => return *answer,
    };
    let known = request.headers().get("last-event-id");
    let known = known.and_then(|id| id.to_str().ok()?.parse().ok());
    let newest = *desk.house.store.newest_event().borrow();
    // Who names nothing wants what comes from now on.
    query.after = known.or(query.after).or(Some(newest));
    query.before = None;
    query.limit = PIECE_ROWS;
    let Ok(permit) = ROOM.try_acquire() else {
        let mut answer = problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many readers follow the log; try again",
        );
        let headers = answer.headers_mut();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("10"));
        return answer;
    };
    let (sender, body) = Channel::<Bytes, Infallible>::new(PIECES);
    tokio::spawn(tell(Arc::clone(desk), query, Reader(sender), permit));
    let mut answer = with_type(StatusCode::OK, "text/event-stream; charset=utf-8", "");
    *answer.body_mut() = body.boxed();
    answer
        .headers_mut()
        .insert("x-accel-buffering", HeaderValue::from_static("no"));
    answer
}

/// The far end of a stream.
struct Reader(Sender<Bytes, Infallible>);

/// The reader is gone, or too slow.
struct Gone;

impl Reader {
    async fn send(&mut self, text: String) -> Result<(), Gone> {
        let sent = self.0.send_data(text.into());
        match tokio::time::timeout(Duration::from_secs(SLOW_SECS), sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }
}

/// Tells until the reader is gone or the time is over.
async fn tell(
    desk: Arc<Desk>,
    query: EventQuery,
    mut reader: Reader,
    _permit: SemaphorePermit<'static>,
) {
    let until = Instant::now() + Duration::from_secs(STREAM_SECS);
    // Nobody to tell how it ended: a reader that is gone is the usual end.
    tokio::time::timeout_at(until, follow(&desk, query, &mut reader))
        .await
        .ok();
}

async fn follow(desk: &Desk, mut query: EventQuery, reader: &mut Reader) -> Result<(), Gone> {
    let mut newest = desk.house.store.newest_event();
    let mut standings = desk.configuration.standings();
    let mut heartbeat = tokio::time::interval(Duration::from_secs(HEARTBEAT_SECS));
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let standing = Arc::clone(&standings.borrow_and_update());
    let hello = format!(
        "retry: {RETRY_MS}\n\n{}",
        event("configuration", &state(&standing))
    );
    reader.send(hello).await?;
    heartbeat.reset();
    loop {
        // Noted before reading: what comes meanwhile rings again.
        let rung = *newest.borrow_and_update();
        loop {
            let (store, asked) = (desk.house.store.clone(), query.clone());
            let Ok(page) = api::read(move || store.events(asked)).await else {
                // Being reopened after a failed write: the next ring, or the next heartbeat, tries again.
                break;
            };
            let mut piece = String::new();
            for row in page.rows.iter().rev() {
                // Writing into a string does not fail.
                writeln!(piece, "id: {}", row.id).ok();
                piece.push_str(&event("row", &api::log(row)));
            }
            let last = page.next.or(page.rows.first().map(|row| row.id));
            query.after = last.or(query.after);
            if !piece.is_empty() {
                reader.send(piece).await?;
                heartbeat.reset();
            }
            if page.next.is_none() {
                query.after = query.after.max(Some(rung));
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(SETTLE_MS)).await;
        tokio::select! {
            changed = newest.changed() => changed.map_err(|_| Gone)?,
            changed = standings.changed() => {
                changed.map_err(|_| Gone)?;
                let standing = Arc::clone(&standings.borrow_and_update());
                reader.send(event("configuration", &state(&standing))).await?;
                heartbeat.reset();
            }
            _ = heartbeat.tick() => reader.send(": still here\n\n".into()).await?,
        }
    }
}

/// What a page says about the configuration: why the last edit was refused, if it was.
pub(super) fn state(standing: &Standing) -> Value {
    let error = match &standing.last.outcome {
        Outcome::Refused { error } => Some(error),
        Outcome::Applied | Outcome::Unchanged => None,
    };
    json!({"error": error, "at": api::timestamp(standing.last.at_ms)})
}

/// One event. JSON of serde_json has no line breaks of its own, so it is one line of data.
fn event(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_of_data_whatever_is_in_it() {
        let text = event("row", &json!({"text": "a\nb\r\n\ndata: c\u{2028}"}));
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.ends_with("}\n\n"));
        assert_eq!(text.matches("\ndata:").count(), 1);
    }
}
