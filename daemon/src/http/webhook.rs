//! The carrier's webhooks: what to do with a call, how a call went, how its stream went.
//!
//! Every request is checked against the carrier's signature over the public URL before anything of it is believed.
//! What a webhook changes: the admission book and the store. What it answers: TwiML.

use super::answer::{Answer, problem, twiml, with_type};
use super::body;
use super::desk::{Desk, DeskKeys};
use crate::call::Why;
use crate::carrier::twilio::form::{self, Params};
use crate::carrier::twilio::signature;
use crate::carrier::twilio::twiml::{self as document, BadTwiml};
use crate::carrier::twilio::webhook::{
    BadRequest, StatusCallback, StreamEvent, StreamStatus, VoiceRequest, custom_parameters,
};
use crate::leg::{Admit, Agent, Connect, Guest, unix_ms};
use crate::store::{CallChange, NewCall, NewEvent};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap};
use hyper::{Method, Request, StatusCode};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use tracing::{info, warn};

/// Name of the `<Parameter>` that carries the one-time token.
pub(super) const TOKEN: &str = "token";

/// A verified request of the carrier.
pub(super) struct Verified {
    params: Params,
    /// Those behind the address; the same as `params` of a `GET`.
    query: Params,
    pub(super) ip: IpAddr,
    pub(super) host: String,
}

impl Verified {
    /// What whoever set up the webhook wants its calls to know.
    fn own_parameters(&self, call_sid: &str) -> BTreeMap<String, String> {
        let pairs = self.query.pairs().chain(self.params.pairs());
        let (own, left_out) = custom_parameters(pairs);
        if left_out > 0 {
            warn!(call = %call_sid, left_out,
                "parameters of the webhook are left out: there are too many, or they are too long");
        }
        own
    }
}

/// `POST /twilio/stream/`: a caller rings; what shall be done?
pub(super) async fn voice(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Answer {
    let (verified, call) = match asked(desk, peer, request, VoiceRequest::read).await {
        Ok(asked) => asked,
        Err(answer) => return *answer,
    };
    answer(desk, &verified, &call, 1).await
}

/// Lets a call in, whose first stream has this number, or says why not.
pub(super) async fn answer(
    desk: &Arc<Desk>,
    verified: &Verified,
    call: &VoiceRequest,
    first_stream: u32,
) -> Answer {
    let (keys, roster) = (desk.keys(), desk.house.roster.now());
    let whole = |agent: &&Arc<Agent>| roster.is_answered(agent);
    let Some(agent) = roster.agent_for(&call.to).filter(whole) else {
        warn!(call = %call.call_sid, to = %call.to, "a call was turned away: the responder of its agent is not loaded");
        desk.house
            .metrics
            .calls_shed
            .get_or_create(&[("reason", "no_responder")])
            .inc();
        return twiml(document::say_and_hang_up(
            &keys.fallback_text,
            &keys.fallback_language,
        ));
    };
    let mut made = Ok(());
    let guest = Guest {
        call_sid: call.call_sid.clone(),
        from: call.from.clone(),
        to: call.to.clone(),
        parameters: verified.own_parameters(&call.call_sid),
        agent: Arc::clone(agent),
        ip: verified.ip,
        first_stream,
    };
    let admitted = desk.house.admission.admit(guest, Instant::now(), |token| {
        let connect = Connect {
            token,
            stream: first_stream,
            place: None,
            keys: "",
        };
        connect_document(desk, &keys, &verified.host, connect).unwrap_or_else(|error| {
            made = Err(error);
            String::new()
        })
    });
    if let Err(error) = made {
        let admission = &desk.house.admission;
        admission.ended(&call.call_sid, Why::Failed, Instant::now());
        return not_written(&error);
    }
    match admitted {
        Admit::Fresh(document) => {
            open_record(desk, call, &agent.name, verified.ip).await;
            info!(call = %call.call_sid, agent = %agent.name, "a call was let in");
            twiml(document)
        }
        Admit::Repeat(document) => twiml(document),
        Admit::Past => twiml(document::hang_up()),
        Admit::Busy(reason) => {
            warn!(call = %call.call_sid, reason, "a call was turned away politely");
            desk.house
                .metrics
                .calls_shed
                .get_or_create(&[("reason", reason)])
                .inc();
            twiml(document::say_and_hang_up(
                &keys.busy_text,
                &keys.fallback_language,
            ))
        }
    }
}

/// Connects a call to a stream, after which the carrier asks [`super::resume`] how to go on.
pub(super) fn connect_document(
    desk: &Desk,
    keys: &DeskKeys,
    host: &str,
    connect: Connect<'_>,
) -> Result<String, BadTwiml> {
    let status_url = keys
        .public_url
        .as_ref()
        .map(|url| format!("{url}/twilio/stream-status/"));
    document::Answer {
        stream_url: &desk.stream_url(host, connect.place),
        status_callback: status_url.as_deref(),
        keys: connect.keys,
        parameters: &[(TOKEN, connect.token)],
        fallback: document::Fallback::Redirect(&resume_url(keys, connect.stream)),
    }
    .document()
}

/// Where the carrier asks what comes after this stream. Without a public URL it is relative to the request's own.
pub(super) fn resume_url(keys: &DeskKeys, stream: u32) -> String {
    let base = keys.public_url.as_deref().unwrap_or("");
    format!("{base}/twilio/resume/{stream}/")
}

/// The answer when no document could be written.
pub(super) fn not_written(error: &BadTwiml) -> Answer {
    problem(
        StatusCode::INTERNAL_SERVER_ERROR,
        &format!("the TwiML could not be written: {error}"),
    )
}

/// Opens the call's record. The call goes on when the disk does not: the record waits in the store's queue.
async fn open_record(desk: &Desk, call: &VoiceRequest, agent: &str, ip: IpAddr) {
    let at_ms = unix_ms();
    let new = NewCall {
        call_sid: call.call_sid.clone(),
        from_number: call.from.clone(),
        to_number: call.to.clone(),
        status: call.status.as_str().to_owned(),
        direction: call.direction.clone(),
        agent: agent.to_owned(),
        at_ms,
    };
    if let Err(error) = desk.house.store.open_call(new).await {
        warn!(call = %call.call_sid, "{error}");
    }
    let detail = json!({"from": call.from, "to": call.to, "agent": agent});
    row(desk, &call.call_sid, "call_opened", ip, detail);
}

/// `POST /twilio/status/`: how a call went, by the carrier's account.
pub(super) async fn status(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Answer {
    let (verified, callback) = match asked(desk, peer, request, StatusCallback::read).await {
        Ok(asked) => asked,
        Err(answer) => return *answer,
    };
    let status = callback.status.as_str();
    let detail = json!({"status": status, "sequence": callback.sequence, "duration_secs": callback.duration_secs});
    row(
        desk,
        &callback.call_sid,
        "status_callback",
        verified.ip,
        detail,
    );
    // A call that has a stream is closed by its leg, which knows why and after how many milliseconds.
    let without_stream = desk.house.admission.waits(&callback.call_sid);
    let change = CallChange {
        status: Some(status.to_owned()),
        ended_reason: (callback.status.is_final() && without_stream)
            .then(|| "carrier_reported".to_owned()),
        at_ms: unix_ms(),
        ..CallChange::default()
    };
    desk.house.store.change_call(&callback.call_sid, change);
    if callback.status.is_final() {
        hung_up(desk, &callback.call_sid).await;
    }
    with_type(StatusCode::NO_CONTENT, "text/plain", "")
}

/// The carrier says that a call is over. Its leg, talking or without a stream, ends and closes the record.
pub(super) async fn hung_up(desk: &Desk, call_sid: &str) {
    desk.media.end(Some(call_sid), Why::CallerHungUp).await;
    let admission = &desk.house.admission;
    admission.ended(call_sid, Why::CallerHungUp, Instant::now());
}

/// `POST /twilio/stream-status/`: the carrier started, stopped or lost the stream.
pub(super) async fn stream_status(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Answer {
    let (verified, callback) = match asked(desk, peer, request, StreamStatus::read).await {
        Ok(asked) => asked,
        Err(answer) => return *answer,
    };
    let (event, error) = match &callback.event {
        StreamEvent::Started => ("started", ""),
        StreamEvent::Stopped => ("stopped", ""),
        StreamEvent::Error(text) => {
            warn!(call = %callback.call_sid, "the carrier reports a stream error: {text}");
            ("error", text.as_str())
        }
    };
    let detail = json!({"stream_sid": callback.stream_sid, "stream": event, "error": error});
    row(
        desk,
        &callback.call_sid,
        "stream_callback",
        verified.ip,
        detail,
    );
    with_type(StatusCode::NO_CONTENT, "text/plain", "")
}

/// Keeps an event of a call that has no leg yet.
pub(super) fn row(desk: &Desk, call_sid: &str, event: &str, ip: IpAddr, detail: serde_json::Value) {
    desk.house.store.note(NewEvent {
        at_ms: unix_ms(),
        call_sid: call_sid.to_owned(),
        event: event.to_owned(),
        text: String::new(),
        audio_ms: 0,
        ip: ip.to_string(),
        detail,
    });
}

/// A verified request and what it says. The error is the answer to give.
pub(super) async fn asked<T>(
    desk: &Desk,
    peer: SocketAddr,
    request: Request<Incoming>,
    read: impl FnOnce(&Params) -> Result<T, BadRequest>,
) -> Result<(Verified, T), Box<Answer>> {
    let verified = verified(desk, peer, request).await?;
    match read(&verified.params) {
        Ok(said) => Ok((verified, said)),
        Err(error) => {
            let detail = error.to_string();
            Err(Box::new(refuse(
                desk,
                "bad_request",
                StatusCode::BAD_REQUEST,
                &detail,
            )))
        }
    }
}

/// Reads the request and checks its signature. The error is the answer to give.
async fn verified(
    desk: &Desk,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Verified, Answer> {
    let ip = desk.client_ip(peer, &request);
    let method = request.method().clone();
    let uri = request.uri().clone();
    let headers = request.headers().clone();
    let body = body(request).await?;
    let posted = method == Method::POST;
    let is_form = header(&headers, CONTENT_TYPE.as_str())
        .is_none_or(|kind| !kind.starts_with("application/json"));
    let query = uri.query().unwrap_or("").as_bytes();
    let source = if posted && is_form { &body[..] } else { query };
    let bad = |error: BadRequest| {
        let detail = error.to_string();
        refuse(desk, "bad_form", StatusCode::BAD_REQUEST, &detail)
    };
    let params = form::parse(source).map_err(bad)?;
    let query = form::parse(query).map_err(bad)?;
    let keys = desk.keys();
    if let (Some(token), Some(public_url)) = (&keys.auth_token, &keys.public_url) {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let url = format!("{public_url}{path}");
        let signed = signature::Request {
            url: &url,
            params: (posted && is_form).then_some(&params),
            raw_body: if posted && !is_form { &body } else { &[] },
            signature: header(&headers, "x-twilio-signature"),
            settings: header(&headers, "x-twilio-webhooks-signature-settings"),
        };
        if let Err(refused) = signature::verify(signed, token) {
            warn!(%peer, path = %uri.path(), "a webhook was refused: {refused}");
            return Err(refuse(
                desk,
                refused.as_str(),
                StatusCode::FORBIDDEN,
                &refused.to_string(),
            ));
        }
    }
    let host = header(&headers, HOST.as_str())
        .unwrap_or("localhost")
        .to_owned();
    Ok(Verified {
        params,
        query,
        ip,
        host,
    })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn refuse(desk: &Desk, reason: &'static str, status: StatusCode, detail: &str) -> Answer {
    desk.house
        .metrics
        .webhook_rejected
        .get_or_create(&[("reason", reason)])
        .inc();
    problem(status, detail)
}
