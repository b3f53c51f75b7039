//! Probes: is it alive, may it be given calls, and the numbers it keeps.

use super::access::{Wish, admit};
use super::answer::{Answer, text, with_type};
use super::desk::Desk;
use hyper::body::Incoming;
use hyper::{Request, StatusCode, header};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

/// The process answers.
pub(super) fn health() -> Answer {
    text(StatusCode::OK, "ok\n")
}

/// Whether new calls are taken, with every reason why not. With `?verbose`, and for those who may look, also how the
/// configuration stands: a bad edit does not make the daemon unready, since the one in force goes on answering calls.
pub(super) fn ready(desk: &Desk, peer: SocketAddr, request: &Request<Incoming>) -> Answer {
    let mut reasons = Vec::new();
    if desk.draining.load(Ordering::Relaxed) {
        reasons.push("shutting down".to_owned());
    }
    let store = desk.house.store.health();
    if !store.ok {
        reasons.push(format!("the store does not write: {}", store.last_error));
    }
    let roster = desk.house.roster.now();
    reasons.extend(
        roster
            .missing_plugins()
            .into_iter()
            .map(|name| format!("the plugin \"{name}\" is not loaded")),
    );
    let ready = reasons.is_empty();
    let mut body =
        json!({"ready": ready, "reasons": reasons, "calls": desk.house.admission.present()});
    let query = request.uri().query().unwrap_or("");
    let verbose = query
        .split('&')
        .any(|word| word == "verbose" || word.starts_with("verbose="));
    if verbose && admit(desk, peer, request, Wish::Look).is_ok() {
        body["configuration"] = desk.configuration.standing().in_short();
    }
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    with_type(status, "application/json", body.to_string())
}

/// The numbers, in the format that the scraper accepts.
pub(super) fn metrics(desk: &Desk, peer: SocketAddr, request: &Request<Incoming>) -> Answer {
    if let Err(answer) = admit(desk, peer, request, Wish::Measure) {
        return *answer;
    }
    let metrics = &desk.house.metrics;
    let store = desk.house.store.health();
    metrics.store_ok.set(i64::from(store.ok));
    metrics
        .store_queue
        .set(i64::try_from(store.queued).unwrap_or(i64::MAX));
    metrics
        .store_dropped
        .set(i64::try_from(store.dropped).unwrap_or(i64::MAX));
    metrics
        .store_commits
        .set(i64::try_from(store.commits).unwrap_or(i64::MAX));
    metrics
        .plugin_builds
        .set(i64::try_from(desk.house.roster.now().resident_builds()).unwrap_or(i64::MAX));
    for (to, calls) in desk.house.admission.away() {
        let calls = i64::try_from(calls).unwrap_or(i64::MAX);
        metrics.calls_away.get_or_create(&[("to", to)]).set(calls);
    }
    metrics
        .draining
        .set(i64::from(desk.draining.load(Ordering::Relaxed)));
    let accept = request.headers().get(header::ACCEPT);
    let (kind, text) = metrics.exposed(accept.and_then(|accept| accept.to_str().ok()));
    with_type(StatusCode::OK, kind, text)
}
