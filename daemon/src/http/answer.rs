//! Answers as the daemon gives them: JSON, text, TwiML, and problem details (RFC 9457) for everything that is wrong.

use super::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::json;

/// What a route gives back.
pub(super) type Answer = Response<Body>;

pub(super) fn with_type(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Answer {
    let mut answer = Response::new(Full::new(body.into()).boxed());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// No body at all.
pub(super) fn empty() -> Body {
    Full::new(Bytes::new()).boxed()
}

pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    with_type(status, "text/plain; charset=utf-8", body)
}

pub(super) fn twiml(document: String) -> Answer {
    with_type(StatusCode::OK, "text/xml; charset=utf-8", document)
}

pub(super) fn json(value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(bytes) => with_type(StatusCode::OK, "application/json", bytes),
        Err(error) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("the answer could not be written: {error}"),
        ),
    }
}

/// What is wrong, for people and programs.
pub(super) fn problem(status: StatusCode, detail: &str) -> Answer {
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": detail,
    });
    with_type(status, "application/problem+json", body.to_string())
}
