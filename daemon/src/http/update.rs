//! `PUT /api/calls/{sid}/`: what a person may change about a call. A running one can be ended; an ended one can be
//! corrected, with what stood there before kept in the event log. Anything else is refused with a reason.
//!
//! A whole record may be sent back, as it was got: what is the same changes nothing, and an `updated_at` that is no
//! longer the record's own says that somebody else was faster.

use super::access::{Visitor, Wish, admit};
use super::answer::{Answer, json, problem};
use super::api::{read, whole_call};
use super::body;
use super::desk::Desk;
use crate::call::Why;
use crate::carrier::twilio::rest::Ended;
use crate::leg::unix_ms;
use crate::store::{CallChange, CallRecord, MAX_NAME_BYTES, NewEvent, is_final};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, StatusCode};
use serde_json::{Map, Value, json};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::warn;

/// The longest call there can be: 24 hours is the carrier's own limit.
const LONGEST_SECS: f64 = 86_400.0;

/// How the carrier's names of calls begin; those of a browser's begin otherwise.
const CARRIER_SID: &str = "CA";

/// How long a hang-up is waited for. It takes a few milliseconds; only a disk that is away takes longer.
const HANG_UP_MS: u64 = 2000;

/// How often it is looked whether the record says so.
const HANG_UP_LOOK_MS: u64 = 20;

/// Fields that are what they are.
const FIXED: [&str; 8] = [
    "id",
    "call_sid",
    "created_at",
    "updated_at",
    "direction",
    "agent",
    "ended_reason",
    "variables",
];

/// Statuses an ended call may be corrected to.
const ENDED: [&str; 5] = ["completed", "busy", "failed", "no-answer", "canceled"];

/// `PUT /api/calls/{sid}/`
pub(super) async fn put(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: Request<Incoming>,
    sid: &str,
) -> Answer {
    let visitor = match admit(desk, peer, &request, Wish::Act) {
        Ok(visitor) => visitor,
        Err(answer) => return *answer,
    };
    let ip = desk.client_ip(peer, &request);
    let wanted = match asked(request).await {
        Ok(wanted) => wanted,
        Err(answer) => return *answer,
    };
    let record = match find(desk, sid).await {
        Ok(record) => record,
        Err(answer) => return *answer,
    };
    let actor = Actor { visitor, ip };
    match plan(&record, &wanted) {
        Ok(Plan::Nothing) => json(&whole_call(&record)),
        Ok(Plan::HangUp) => match hang_up(desk, &record, &actor).await {
            Ok(record) if is_final(&record.status) => json(&whole_call(&record)),
            Ok(record) => {
                let mut answer = json(&whole_call(&record));
                *answer.status_mut() = StatusCode::ACCEPTED;
                answer
            }
            Err(answer) => *answer,
        },
        Ok(Plan::Correct(change, before)) => {
            match correct(desk, &record, change, before, &actor).await {
                Ok(record) => json(&whole_call(&record)),
                Err(answer) => *answer,
            }
        }
        Err(refused) => problem(refused.status(), &refused.to_string()),
    }
}

/// Who does it, for the event log.
#[derive(Debug)]
pub(super) struct Actor {
    pub(super) visitor: Visitor,
    pub(super) ip: IpAddr,
}

impl Actor {
    /// A row in the event log about what this person did.
    pub(super) fn note(&self, desk: &Desk, event: &str, call_sid: &str, mut detail: Value) {
        detail["by"] = json!(self.visitor.name());
        desk.house.store.note(NewEvent {
            at_ms: unix_ms(),
            call_sid: call_sid.to_owned(),
            event: event.to_owned(),
            ip: self.ip.to_string(),
            detail,
            ..NewEvent::default()
        });
    }
}

/// The record, or the answer that there is none.
pub(super) async fn find(desk: &Desk, sid: &str) -> Result<CallRecord, Box<Answer>> {
    let (store, wanted) = (desk.house.store.clone(), sid.to_owned());
    match read(move || store.call(&wanted)).await {
        Ok(Some(record)) => Ok(record),
        Ok(None) => {
            let detail = format!("there is no call {sid}");
            Err(Box::new(problem(StatusCode::NOT_FOUND, &detail)))
        }
        Err(answer) => Err(Box::new(answer)),
    }
}

/// Ends a running call and returns its record, which still says that it runs if the disk is slow. The error is the
/// answer to give.
pub(super) async fn hang_up(
    desk: &Arc<Desk>,
    record: &CallRecord,
    actor: &Actor,
) -> Result<CallRecord, Box<Answer>> {
    let sid = &record.call_sid;
    actor.note(desk, "call_hung_up_by", sid, json!({}));
    let house = &desk.house;
    let invited = house.admission.withdraw(sid, Instant::now());
    if !invited {
        desk.media.end(Some(sid), Why::Operator).await;
    }
    end_at_carrier(desk, sid);
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(HANG_UP_MS) {
        // A call that has no stream, or has lost it, has nobody else to close its record.
        if invited || !house.admission.is_present(sid) {
            let ended = CallChange {
                status: Some("completed".into()),
                ended_reason: Some("operator".into()),
                at_ms: unix_ms(),
                ..CallChange::default()
            };
            let now = find(desk, sid).await?;
            if is_final(&now.status) {
                return Ok(now);
            }
            if let Ok(Some(record)) = house.store.update_call(sid, ended).await {
                return Ok(record);
            }
        }
        tokio::time::sleep(Duration::from_millis(HANG_UP_LOOK_MS)).await;
    }
    find(desk, sid).await
}

/// Ends a carrier's call at the carrier too, in the background: with its stream closed, or never opened, it would go on
/// there with whatever the document says next. How that went is in the event log.
fn end_at_carrier(desk: &Arc<Desk>, sid: &str) {
    let Some(rest) = desk
        .keys()
        .rest
        .clone()
        .filter(|_| sid.starts_with(CARRIER_SID))
    else {
        return;
    };
    let (desk, sid) = (Arc::clone(desk), sid.to_owned());
    tokio::spawn(async move {
        let detail = match rest.end_call(&sid).await {
            Ok(ended) => json!({"already_over": ended == Ended::Already}),
            Err(error) => {
                warn!(call = %sid, "its stream is closed, but the carrier did not end the call: {error}");
                json!({"error": error.to_string()})
            }
        };
        desk.house.store.note(NewEvent {
            at_ms: unix_ms(),
            call_sid: sid,
            event: "ended_at_carrier".into(),
            detail,
            ..NewEvent::default()
        });
    });
}

async fn correct(
    desk: &Desk,
    record: &CallRecord,
    change: CallChange,
    before: Value,
    actor: &Actor,
) -> Result<CallRecord, Box<Answer>> {
    let sid = &record.call_sid;
    actor.note(desk, "call_changed_by", sid, json!({"before": before}));
    match desk.house.store.update_call(sid, change).await {
        Ok(Some(record)) => Ok(record),
        Ok(None) => find(desk, sid).await,
        Err(error) => {
            let detail = error.to_string();
            Err(Box::new(problem(StatusCode::SERVICE_UNAVAILABLE, &detail)))
        }
    }
}

/// The JSON object that was sent.
async fn asked(request: Request<Incoming>) -> Result<Map<String, Value>, Box<Answer>> {
    let kind = request.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let essence = kind.split(';').next().unwrap_or("").trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let detail = "send a JSON object with Content-Type: application/json";
        return Err(Box::new(problem(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            detail,
        )));
    }
    let body = body(request).await.map_err(Box::new)?;
    let bad = |detail: String| Box::new(problem(StatusCode::BAD_REQUEST, &detail));
    match serde_json::from_slice(&body) {
        Ok(Value::Object(wanted)) => Ok(wanted),
        Ok(_) => Err(bad("the body must be a JSON object".into())),
        Err(error) => Err(bad(format!("the body is not JSON: {error}"))),
    }
}

/// What an update comes to.
#[derive(Debug, PartialEq)]
enum Plan {
    /// It is so already.
    Nothing,
    /// The call runs and shall not.
    HangUp,
    /// The change, and what stood there before.
    Correct(CallChange, Value),
}

/// Why an update is refused.
#[derive(Debug, PartialEq, thiserror::Error)]
enum Refused {
    #[error("\"{0}\" is not a field of a call")]
    Unknown(String),
    #[error("\"{field}\" must be {must}")]
    Bad {
        field: &'static str,
        must: &'static str,
    },
    #[error("\"{0}\" cannot be changed")]
    Fixed(&'static str),
    #[error("the call has changed meanwhile; get it again and decide again")]
    Stale,
    #[error("a call that is {from} cannot become {to}")]
    Impossible { from: String, to: String },
    #[error(
        "the call still runs; \"{0}\" can be corrected when it has ended. A running call can be ended: {{\"status\": \"completed\"}}"
    )]
    Running(&'static str),
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Refused::Unknown(_) | Refused::Bad { .. } => StatusCode::BAD_REQUEST,
            Refused::Fixed(_)
            | Refused::Stale
            | Refused::Impossible { .. }
            | Refused::Running(_) => StatusCode::CONFLICT,
        }
    }
}

/// Compares what is wanted with what is there. Pure.
fn plan(record: &CallRecord, wanted: &Map<String, Value>) -> Result<Plan, Refused> {
    let is = whole_call(record);
    if let Some(unknown) = wanted.keys().find(|name| is.get(name.as_str()).is_none()) {
        return Err(Refused::Unknown(unknown.clone()));
    }
    for field in FIXED {
        if wanted.get(field).is_some_and(|value| *value != is[field]) {
            return Err(match field {
                "updated_at" => Refused::Stale,
                field => Refused::Fixed(field),
            });
        }
    }
    let runs = !is_final(&record.status);
    let mut change = CallChange {
        from_number: number(wanted, "from_number")?,
        to_number: number(wanted, "to_number")?,
        duration_ms: duration(wanted)?,
        at_ms: unix_ms(),
        ..CallChange::default()
    };
    let mut hangs_up = false;
    if let Some(status) = wanted.get("status") {
        let must = "a word: completed, busy, failed, no-answer or canceled";
        let field = "status";
        let status = status.as_str().ok_or(Refused::Bad { field, must })?;
        if status != record.status {
            let known = ENDED.contains(&status) || is_running(status);
            if !known {
                return Err(Refused::Bad { field, must });
            }
            match (runs, status) {
                (true, "completed") => hangs_up = true,
                (false, status) if ENDED.contains(&status) => change.status = Some(status.into()),
                _ => {
                    return Err(Refused::Impossible {
                        from: record.status.clone(),
                        to: status.to_owned(),
                    });
                }
            }
        }
    }
    let same = [
        (
            "from_number",
            change.from_number.as_ref() == Some(&record.from_number),
        ),
        (
            "to_number",
            change.to_number.as_ref() == Some(&record.to_number),
        ),
        ("duration", change.duration_ms == Some(record.duration_ms)),
    ];
    let mut before = json!({});
    for (field, same) in same {
        if wanted.contains_key(field) && !same {
            if runs {
                return Err(Refused::Running(field));
            }
            before[field] = is[field].clone();
        }
    }
    if change.status.is_some() {
        before["status"] = is["status"].clone();
    }
    if hangs_up {
        return Ok(Plan::HangUp);
    }
    let nothing = before.as_object().is_none_or(Map::is_empty);
    Ok(if nothing {
        Plan::Nothing
    } else {
        Plan::Correct(change, before)
    })
}

fn is_running(status: &str) -> bool {
    matches!(status, "queued" | "ringing" | "in-progress")
}

/// A number or an address as the carrier writes it.
fn number(wanted: &Map<String, Value>, field: &'static str) -> Result<Option<String>, Refused> {
    let must = "a text of 1 to 256 bytes without control characters";
    let Some(value) = wanted.get(field) else {
        return Ok(None);
    };
    let text = value.as_str().ok_or(Refused::Bad { field, must })?;
    let good = text.len() <= MAX_NAME_BYTES && !text.chars().any(char::is_control);
    if good {
        Ok(Some(text.to_owned()))
    } else {
        Err(Refused::Bad { field, must })
    }
}

/// Seconds, as milliseconds.
fn duration(wanted: &Map<String, Value>) -> Result<Option<u64>, Refused> {
    let bad = Refused::Bad {
        field: "duration",
        must: "a number of seconds from 0 to 86400",
    };
    match wanted.get("duration").map(Value::as_f64) {
        None => Ok(None),
        // Within the bounds a double holds every millisecond.
        Some(Some(secs)) if (0.0..=LONGEST_SECS).contains(&secs) => {
            Ok(Some((secs * 1000.0).round() as u64))
        }
        Some(_) => Err(bad),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn record(status: &str) -> CallRecord {
        CallRecord {
            id: 7,
            call_sid: "CA7".into(),
            from_number: "+15550123".into(),
            to_number: "+15550100".into(),
            status: status.into(),
            duration_ms: 1234,
            ..CallRecord::default()
        }
    }

    fn planned(status: &str, wanted: Value) -> Result<Plan, Refused> {
        plan(&record(status), wanted.as_object().unwrap())
    }

    #[test]
    fn what_may_become_of_a_call() {
        let running = ["queued", "ringing", "in-progress"];
        for from in running {
            assert_eq!(
                planned(from, json!({"status": "completed"})),
                Ok(Plan::HangUp)
            );
            for to in ["busy", "failed", "no-answer", "canceled"]
                .iter()
                .chain(&running)
            {
                let is = planned(from, json!({"status": to}));
                match from == *to {
                    true => assert_eq!(is, Ok(Plan::Nothing)),
                    false => assert!(matches!(is, Err(Refused::Impossible { .. })), "{from} {to}"),
                }
            }
        }
        for from in ENDED {
            for to in running {
                let is = planned(from, json!({"status": to}));
                assert_eq!(is.unwrap_err().status(), StatusCode::CONFLICT);
            }
            for to in ENDED.into_iter().filter(|to| *to != from) {
                let Ok(Plan::Correct(change, before)) = planned(from, json!({"status": to})) else {
                    panic!("{from} {to}")
                };
                assert_eq!(change.status.as_deref(), Some(to));
                assert_eq!(before, json!({"status": from}));
            }
        }
    }

    #[test]
    fn a_record_sent_back_as_it_was_changes_nothing() {
        for status in ["in-progress", "completed"] {
            let whole = whole_call(&record(status));
            assert_eq!(planned(status, whole), Ok(Plan::Nothing));
        }
        assert_eq!(planned("completed", json!({})), Ok(Plan::Nothing));
    }

    #[test]
    fn numbers_and_length_of_an_ended_call_can_be_corrected() {
        let wanted =
            json!({"from_number": "+34910000000", "to_number": "+15550100", "duration": 2.5});
        let Ok(Plan::Correct(change, before)) = planned("completed", wanted.clone()) else {
            panic!()
        };
        assert_eq!(change.from_number.as_deref(), Some("+34910000000"));
        assert_eq!(change.duration_ms, Some(2500));
        assert_eq!(
            before,
            json!({"from_number": "+15550123", "duration": 1.234})
        );
        assert_eq!(
            planned("in-progress", wanted),
            Err(Refused::Running("from_number"))
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_right_code() {
        for (wanted, status) in [
            (json!({"statsu": "completed"}), 400),
            (json!({"status": "levitating"}), 400),
            (json!({"status": 7}), 400),
            (json!({"status": null}), 400),
            (json!({"duration": -1}), 400),
            (json!({"duration": "long"}), 400),
            (json!({"duration": 1e9}), 400),
            (json!({"from_number": "a\nb"}), 400),
            (json!({"from_number": "x".repeat(257)}), 400),
            (json!({"id": 8}), 409),
            (json!({"call_sid": "CA8"}), 409),
            (json!({"updated_at": "2026-01-01T00:00:00Z"}), 409),
            (json!({"ended_reason": "boredom"}), 409),
        ] {
            let refused = planned("completed", wanted.clone()).unwrap_err();
            assert_eq!(refused.status().as_u16(), status, "{wanted}: {refused}");
        }
    }
}
