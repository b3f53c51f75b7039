//! Logs and calls as JSON, newest first, paged by cursor. Changing a call is in `update.rs`.
//!
//! `audio_length` is in true seconds, times are UTC in RFC 3339. A cursor is the id of the last row of a page: rows
//! that come meanwhile neither repeat nor hide others.

use super::access::{Wish, admit};
use super::answer::{Answer, json, problem};
use super::desk::Desk;
use crate::carrier::twilio::form::{self, Params};
use crate::store::{
    CallQuery, CallRecord, DAMAGED_EVENT, Event, EventQuery, RESTARTED_EVENT, ReadError,
};
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

/// Rows in a page when the client does not say.
const PAGE_ROWS: usize = 100;

/// Rows in a page at most.
const PAGE_ROWS_MOST: usize = 1000;

/// Events that tell of something gone wrong, for `errors=1`.
const ERRORS: [&str; 3] = ["failed", DAMAGED_EVENT, RESTARTED_EVENT];

/// What a list of events can be asked for.
const EVENT_KEYS: [&str; 9] = [
    "limit", "before", "after", "event", "call", "text", "errors", "from", "until",
];

/// `GET /audio/api/logs/?limit=&before=&after=&event=&call=&text=&errors=&from=&until=`
pub(super) async fn logs(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: &Request<Incoming>,
) -> Answer {
    let asked = asked(desk, peer, request, &EVENT_KEYS);
    let query = match asked.and_then(|asked| event_query(asked.0)) {
        Ok(query) => query,
        Err(answer) => return *answer,
    };
    let store = desk.house.store.clone();
    match read(move || store.events(query)).await {
        Ok(page) => {
            let logs: Vec<Value> = page.rows.iter().map(log).collect();
            json(&json!({"logs": logs, "next": page.next}))
        }
        Err(answer) => answer,
    }
}

/// Which events these parameters ask for; others are not looked at. The error is the answer to give.
pub(super) fn event_query(params: Params) -> Result<EventQuery, Box<Answer>> {
    let asked = Asked(params);
    let errors = asked.word("errors").is_some_and(|word| word != "0");
    Ok(EventQuery {
        event: asked.word("event"),
        among: if errors {
            ERRORS.map(str::to_owned).to_vec()
        } else {
            Vec::new()
        },
        call_sid: asked.word("call"),
        text: asked.word("text"),
        from_ms: asked.time("from", Edge::Start)?,
        until_ms: asked.time("until", Edge::End)?,
        before: asked.number("before")?,
        after: asked.number("after")?,
        limit: asked.limit()?,
    })
}

/// `GET /api/calls/?status=&search=&created_from=&created_until=&limit=&before=`
pub(super) async fn calls(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: &Request<Incoming>,
) -> Answer {
    let known = [
        "limit",
        "before",
        "status",
        "search",
        "created_from",
        "created_until",
    ];
    let query = asked(desk, peer, request, &known).and_then(|asked| {
        Ok(CallQuery {
            status: asked.word("status"),
            search: asked.word("search"),
            from_ms: asked.time("created_from", Edge::Start)?,
            until_ms: asked.time("created_until", Edge::End)?,
            before: asked.number("before")?,
            limit: asked.limit()?,
        })
    });
    let query = match query {
        Ok(query) => query,
        Err(answer) => return *answer,
    };
    let store = desk.house.store.clone();
    match read(move || store.calls(query)).await {
        Ok(page) => {
            let calls: Vec<Value> = page.rows.iter().map(call_json).collect();
            json(&json!({"calls": calls, "next": page.next}))
        }
        Err(answer) => answer,
    }
}

/// `GET /api/calls/{sid}/`
pub(super) async fn call(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: &Request<Incoming>,
    sid: &str,
) -> Answer {
    if let Err(answer) = asked(desk, peer, request, &[]) {
        return *answer;
    }
    let store = desk.house.store.clone();
    let wanted = sid.to_owned();
    match read(move || store.call(&wanted)).await {
        Ok(Some(record)) => json(&whole_call(&record)),
        Ok(None) => problem(StatusCode::NOT_FOUND, &format!("there is no call {sid}")),
        Err(answer) => answer,
    }
}

/// An event as the API shows it.
pub(crate) fn log(event: &Event) -> Value {
    json!({
        "id": event.id,
        "timestamp": timestamp(event.at_ms),
        "event": event.event,
        "response_text": event.text,
        "audio_length": event.audio_ms as f64 / 1000.0,
        "twilio_sid": event.call_sid,
        "ip_address": event.ip,
        "detail": event.detail,
    })
}

/// A call as the API shows it.
pub(crate) fn call_json(call: &CallRecord) -> Value {
    json!({
        "id": call.id,
        "call_sid": call.call_sid,
        "from_number": call.from_number,
        "to_number": call.to_number,
        "status": call.status,
        "duration": call.duration_ms as f64 / 1000.0,
        "created_at": timestamp(call.created_at_ms),
        "updated_at": timestamp(call.updated_at_ms),
        "direction": call.direction,
        "agent": call.agent,
        "ended_reason": call.ended_reason,
    })
}

/// The same with what is too much for a list: the variables.
pub(super) fn whole_call(call: &CallRecord) -> Value {
    let mut json = call_json(call);
    json["variables"] = json!(call.variables);
    json
}

pub(super) fn timestamp(unix_ms: u64) -> String {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(ms)
        .map_or_else(|_| unix_ms.to_string(), |time| format!("{time:.3}"))
}

/// Reads on a thread that may block.
pub(super) async fn read<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, Answer> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(problem(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())),
        Err(_) => Err(problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "reading the store failed; see the log",
        )),
    }
}

/// The query of a request that may be answered at all.
#[derive(Debug)]
struct Asked(Params);

fn asked(
    desk: &Desk,
    peer: SocketAddr,
    request: &Request<Incoming>,
    known: &[&str],
) -> Result<Asked, Box<Answer>> {
    admit(desk, peer, request, Wish::Look)?;
    let query = request.uri().query().unwrap_or("");
    let bad = |detail: &str| Box::new(problem(StatusCode::BAD_REQUEST, detail));
    let params = form::parse(query.as_bytes()).map_err(|error| bad(&error.to_string()))?;
    if let Some((name, _)) = params.pairs().find(|(name, _)| !known.contains(name)) {
        return Err(bad(&format!(
            "\"{name}\" is not known here; known are: {}",
            known.join(", ")
        )));
    }
    Ok(Asked(params))
}

impl Asked {
    fn word(&self, name: &str) -> Option<String> {
        self.0
            .get(name)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Box<Answer>> {
        let Some(value) = self.word(name) else {
            return Ok(None);
        };
        match value.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Box::new(problem(
                StatusCode::BAD_REQUEST,
                &format!("\"{name}\" is a whole number, not \"{value}\""),
            ))),
        }
    }

    fn time(&self, name: &str, edge: Edge) -> Result<Option<u64>, Box<Answer>> {
        let Some(value) = self.word(name) else {
            return Ok(None);
        };
        moment(&value, edge).map(Some).ok_or_else(|| {
            let detail = format!(
                "\"{name}\" is a day (2026-11-23) or a time (2026-11-23T09:30:00Z), not \"{value}\""
            );
            Box::new(problem(StatusCode::BAD_REQUEST, &detail))
        })
    }

    fn limit(&self) -> Result<usize, Box<Answer>> {
        match self.number("limit")? {
            None => Ok(PAGE_ROWS),
            Some(rows) => Ok(usize::try_from(rows)
                .unwrap_or(PAGE_ROWS_MOST)
                .clamp(1, PAGE_ROWS_MOST)),
        }
    }
}

/// Which end of a day is meant when only the day is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    Start,
    End,
}

/// Unix ms of a time in RFC 3339, or of the start or end of a day in UTC.
pub(super) fn moment(text: &str, edge: Edge) -> Option<u64> {
    let time = match text.parse::<jiff::civil::Date>() {
        Ok(day) if text.len() == "2026-11-23".len() => {
            let day = match edge {
                Edge::Start => day,
                Edge::End => day.tomorrow().ok()?,
            };
            day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp()
        }
        _ => text.parse::<jiff::Timestamp>().ok()?,
    };
    u64::try_from(time.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_with_milliseconds() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(timestamp(1_763_865_600_123), "2025-11-23T02:40:00.123Z");
    }

    #[test]
    fn a_day_is_whole_and_a_time_is_exact() {
        let day = 86_400_000;
        for (text, edge, is) in [
            ("1970-01-02", Edge::Start, Some(day)),
            ("1970-01-02", Edge::End, Some(2 * day)),
            ("1970-01-02T00:00:01.5Z", Edge::End, Some(day + 1500)),
            ("1970-01-02T01:00:00+01:00", Edge::Start, Some(day)),
            ("1969-12-31", Edge::Start, None),
            ("yesterday", Edge::Start, None),
            ("1970-01-02T00:00", Edge::Start, None),
            ("9999-12-31", Edge::End, None),
        ] {
            assert_eq!(moment(text, edge), is, "{text}");
        }
    }

    #[test]
    fn a_log_row_has_the_old_applications_names_and_true_seconds() {
        let event = Event {
            id: 7,
            at_ms: 0,
            call_sid: "CA1".into(),
            event: "said".into(),
            text: "<b>Hi</b>".into(),
            audio_ms: 1234,
            ip: "127.0.0.1".into(),
            detail: Value::Null,
        };
        let row = log(&event);
        assert_eq!(row["audio_length"], 1.234);
        assert_eq!(row["response_text"], "<b>Hi</b>");
        assert_eq!(row["twilio_sid"], "CA1");
        for name in ["timestamp", "event", "ip_address"] {
            assert!(row.get(name).is_some(), "{name}");
        }
    }
}
