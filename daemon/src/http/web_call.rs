//! Calls from a browser: a page of ours asks for one, gets a name and a one-time token, and opens the media stream as a
//! carrier would, in the carrier's own protocol.
//!
//! Such a call is a call like any other: the same limits, the same record, with direction `web`. In place of the
//! carrier's signature it has to come from a page of this origin, which only whoever may look can open, and to bring a
//! token that is waiting. After each stream the page asks how to go on, as a carrier does; so a call whose connection
//! broke goes on with the next one. Nobody can be dialled from there, and no keys be pressed on a line.

use super::access::{Wish, admit, same_site};
use super::answer::{Answer, json, problem, with_type};
use super::desk::Desk;
use super::resume::give_up;
use super::webhook::{TOKEN, row};
use crate::carrier::twilio::form;
use crate::leg::{Admit, Agent, Connect, Guest, Next, Step, unix_ms};
use crate::store::NewCall;
use hyper::body::Incoming;
use hyper::header::{ORIGIN, RETRY_AFTER};
use hyper::{Request, StatusCode};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tracing::{info, warn};

/// How the names of web calls begin; a carrier's begin otherwise (`CA`), so no token of its calls opens this door.
const NAME: &str = "WEB";

/// Random bytes of a name, written in hexadecimal like a carrier's.
const NAME_BYTES: usize = 16;

/// Seconds after which a page that was turned away may try again.
const AGAIN_SECS: &str = "10";

/// `POST /audio/api/call/`: a page wants to talk to the agent who answers `web`, the default one unless
/// `[numbers.web]` names another.
pub(super) async fn admit_call(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: &Request<Incoming>,
) -> Answer {
    if let Err(answer) = admit(desk, peer, request, Wish::Talk) {
        return *answer;
    }
    if !same_site(desk, request.headers()) {
        let detail = "calls are not started from other sites' pages";
        return problem(StatusCode::FORBIDDEN, detail);
    }
    let roster = desk.house.roster.now();
    let whole = |agent: &&Arc<Agent>| roster.is_answered(agent);
    let Some(agent) = roster.agent_for("web").filter(whole) else {
        return busy(desk, "no_responder");
    };
    let mut random = [0; NAME_BYTES];
    if getrandom::fill(&mut random).is_err() {
        return busy(desk, "no_randomness");
    }
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let call_sid = format!("{NAME}{hex}");
    let ip = desk.client_ip(peer, request);
    // One address is one caller, so `calls_per_caller` bounds it.
    let from = format!("web:{ip}");
    let guest = Guest {
        call_sid: call_sid.clone(),
        from: from.clone(),
        to: "web".into(),
        parameters: BTreeMap::new(),
        agent: Arc::clone(agent),
        ip,
        first_stream: 1,
    };
    let admission = &desk.house.admission;
    let admitted = admission.admit(guest, Instant::now(), |token| {
        let first = Connect {
            token,
            stream: 1,
            place: None,
            keys: "",
        };
        ticket(&call_sid, agent, first)
    });
    let ticket = match admitted {
        Admit::Fresh(ticket) | Admit::Repeat(ticket) => ticket,
        Admit::Busy(reason) => return busy(desk, reason),
        Admit::Past => return busy(desk, "calls"), // a name that chance made twice
    };
    let record = NewCall {
        call_sid: call_sid.clone(),
        from_number: from.clone(),
        to_number: "web".into(),
        status: "ringing".into(),
        direction: "web".into(),
        agent: agent.name.clone(),
        at_ms: unix_ms(),
    };
    if let Err(error) = desk.house.store.open_call(record).await {
        warn!(call = %call_sid, "{error}");
    }
    let detail = json!({"from": from, "to": "web", "agent": agent.name});
    row(desk, &call_sid, "call_opened", ip, detail);
    info!(call = %call_sid, agent = %agent.name, "a call from a browser was let in");
    with_type(StatusCode::OK, "application/json", ticket)
}

/// What a page opens the next stream with, as JSON.
fn ticket(call_sid: &str, agent: &Agent, connect: Connect<'_>) -> String {
    let Connect { token, stream, .. } = connect;
    let place = connect
        .place
        .map_or(String::new(), |place| format!("{place}/"));
    let ticket = json!({
        "call_sid": call_sid,
        "path": format!("/ws/audio/stream/{place}?{TOKEN}={token}"),
        TOKEN: token,
        "stream": stream,
        "return_ms": agent.settings.return_ms,
        "agent": agent.name,
    });
    ticket.to_string()
}

/// `POST /audio/api/call/{sid}/resume/{stream}/?token=…`: a page asks how to go on after a stream of its call. It shows
/// that the call is its own by any token it was given for it. The answer is a ticket for the next stream, or
/// `{"then":"over"}` when the call has ended as it should, and `{"then":"fault"}` when it has not.
pub(super) async fn resume(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: &Request<Incoming>,
    call_sid: &str,
    stream: &str,
) -> Answer {
    if let Err(answer) = admit(desk, peer, request, Wish::Talk) {
        return *answer;
    }
    if !same_site(desk, request.headers()) {
        let detail = "calls are not taken up by other sites' pages";
        return problem(StatusCode::FORBIDDEN, detail);
    }
    let admission = &desk.house.admission;
    let params = form::parse(request.uri().query().unwrap_or("").as_bytes());
    let token = params.as_ref().ok().and_then(|params| params.get(TOKEN));
    let own = token
        .and_then(|token| admission.guest_of(token))
        .filter(|own| own.call_sid == call_sid && call_sid.starts_with(NAME));
    let (Some(own), Ok(stream)) = (own, stream.parse::<u32>()) else {
        let detail = "there is no call from a browser with this name, token and stream";
        return problem(StatusCode::NOT_FOUND, detail);
    };
    let (now, dials) = (Instant::now(), false);
    let next = admission.resume(call_sid, stream, None, dials, now, |step| match step {
        Step::Connect(connect) => ticket(call_sid, &own.agent, connect),
        // Not asked for, because nobody can be dialled.
        Step::Dial { .. } => String::new(),
    });
    let ip = desk.client_ip(peer, request);
    let note = |then: &str| {
        let detail = json!({"stream": stream, "then": then});
        row(desk, call_sid, "stream_over", ip, detail);
    };
    let fault = || json(&json!({"then": "fault"}));
    match next {
        Next::Document(ticket) => {
            note("goes on");
            with_type(StatusCode::OK, "application/json", ticket)
        }
        Next::Over | Next::Unknown => json(&json!({"then": "over"})),
        Next::Fault => fault(),
        Next::GiveUp { guest, has_leg } => {
            note("given up");
            give_up(desk, &guest, has_leg).await;
            fault()
        }
    }
}

/// Whether this upgrade is the stream of a web call: from a browser, whose origin has been found ours, and with the
/// token of a web call that waits. The token is spent later, by `start`.
pub(super) fn announces<B>(desk: &Desk, request: &Request<B>) -> bool {
    let query = request.uri().query().unwrap_or("");
    let Ok(params) = form::parse(query.as_bytes()) else {
        return false;
    };
    let waiting = params
        .get(TOKEN)
        .and_then(|token| desk.house.admission.waiting_for(token));
    request.headers().contains_key(ORIGIN) && waiting.is_some_and(|sid| sid.starts_with(NAME))
}

fn busy(desk: &Desk, reason: &'static str) -> Answer {
    warn!(reason, "a call from a browser was turned away");
    desk.house
        .metrics
        .calls_shed
        .get_or_create(&[("reason", reason)])
        .inc();
    let detail = match reason {
        "draining" => "the daemon is shutting down and takes no new calls",
        "calls" => "all lines are busy (limits.calls)",
        "overload" => "there are more calls than the daemon comes round to (limits.lateness_ms)",
        "calls_per_caller" => "too many calls from this address (limits.calls_per_caller)",
        "no_responder" => "the responder of the agent is not loaded; see the log",
        _ => "no call can be taken now; see the log",
    };
    let mut answer = problem(StatusCode::SERVICE_UNAVAILABLE, detail);
    let headers = answer.headers_mut();
    headers.insert(
        RETRY_AFTER,
        hyper::header::HeaderValue::from_static(AGAIN_SECS),
    );
    answer
}
