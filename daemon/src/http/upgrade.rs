//! The websocket handshake of a media stream, and handing the bare connection to a media thread.
//!
//! The carrier signs this request too, over the `wss://` address of the TwiML. fastwebsockets' own upgrade would keep
//! hyper's dynamic dispatch and a mutex around every read and write; we take the TcpStream out instead.

use super::access::origin_is_ours;
use super::answer::{Answer, empty, problem};
use super::desk::{Desk, websocket_url};
use super::web_call;
use crate::carrier::twilio::signature;
use crate::leg::Accepted;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use hyper::header::{
    SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpStream;
use tracing::{debug, warn};

/// RFC 6455 §1.3: what the key is hashed with.
const WEBSOCKET_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Offered by the carrier in some handshakes; echoed when offered, never demanded.
const SUBPROTOCOL: &str = "audio.twilio.com";

/// `GET /ws/audio/stream/`, or `…/stream/3/` for a stream that goes on with a call on media thread 3. Whether it may is
/// decided by its token; a place that there is not is any place.
pub(super) fn stream(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    mut request: Request<Incoming>,
    place: Option<usize>,
) -> Answer {
    let headers = request.headers();
    let keys = desk.keys();
    let Some(key) = handshake_key(headers) else {
        let mut answer = problem(
            StatusCode::UPGRADE_REQUIRED,
            "this path speaks websocket, version 13",
        );
        answer
            .headers_mut()
            .insert(UPGRADE, HeaderValue::from_static("websocket"));
        return answer;
    };
    if !origin_is_ours(headers, keys.public_url.as_deref()) {
        return refuse(
            desk,
            peer,
            "foreign_origin",
            "media streams are not opened from other sites' pages",
        );
    }
    // A page of ours brings the token of its own call in place of the carrier's signature.
    let of_a_page = web_call::announces(desk, &request);
    if let (Some(token), Some(public_url), false) = (&keys.auth_token, &keys.public_url, of_a_page)
    {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        let url = format!("{}{path}", websocket_url(public_url));
        let signature = text(headers, "x-twilio-signature");
        if let Err(refused) = signature::verify_upgrade(&url, signature, token) {
            return refuse(desk, peer, refused.as_str(), &refused.to_string());
        }
    }
    if desk.media.lines() >= keys.streams {
        desk.house
            .metrics
            .calls_shed
            .get_or_create(&[("reason", "streams")])
            .inc();
        return problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many media streams are open",
        );
    }
    let ip = desk.client_ip(peer, &request);
    let answer = switching(&key, request.headers());
    let upgraded = hyper::upgrade::on(&mut request);
    let desk = Arc::clone(desk);
    tokio::spawn(async move {
        let taken = match upgraded.await {
            Ok(upgraded) => take(upgraded, ip, place),
            Err(error) => Err(io::Error::other(error)),
        };
        match taken {
            Ok(accepted) => {
                if !desk.media.serve(accepted).await {
                    warn!(%peer, "a media stream came while the media threads were ending");
                }
            }
            Err(error) => debug!(%peer, "a media stream was lost in its handshake: {error}"),
        }
    });
    answer
}

/// The connection below hyper, taken off this runtime.
fn take(upgraded: Upgraded, peer: IpAddr, place: Option<usize>) -> io::Result<Accepted> {
    let parts = upgraded
        .downcast::<TokioIo<TcpStream>>()
        .map_err(|_| io::Error::other("the upgraded connection is not the accepted one"))?;
    Ok(Accepted {
        stream: parts.io.into_inner().into_std()?,
        read_ahead: parts.read_buf,
        peer,
        place,
    })
}

fn refuse(desk: &Desk, peer: SocketAddr, reason: &'static str, detail: &str) -> Answer {
    warn!(%peer, "a media stream was refused before its handshake: {detail}");
    desk.house
        .metrics
        .webhook_rejected
        .get_or_create(&[("reason", reason)])
        .inc();
    problem(StatusCode::FORBIDDEN, detail)
}

/// The client's key, if the headers ask for a websocket as RFC 6455 §4.2.1 wants it.
fn handshake_key(headers: &HeaderMap) -> Option<String> {
    let lists = |name: HeaderName, word: &str| {
        let values = headers.get_all(name);
        values
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|one| one.trim().eq_ignore_ascii_case(word))
    };
    let asked = lists(UPGRADE, "websocket")
        && lists(CONNECTION, "upgrade")
        && lists(SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    // 16 bytes in base64.
    (asked && key.len() == 24).then(|| key.to_owned())
}

fn switching(key: &str, offered: &HeaderMap) -> Answer {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(WEBSOCKET_GUID);
    let accept = base64_simd::STANDARD.encode_to_string(hash.finalize());
    let mut answer = Response::new(empty());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    let offered = text(offered, SEC_WEBSOCKET_PROTOCOL.as_str()).unwrap_or("");
    if offered.split(',').any(|one| one.trim() == SUBPROTOCOL) {
        headers.insert(
            SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static(SUBPROTOCOL),
        );
    }
    answer
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn the_handshake_of_the_specification_is_answered() {
        let asked = headers(&[
            ("upgrade", "websocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", "other, audio.twilio.com"),
        ]);
        let key = handshake_key(&asked).unwrap();
        let answer = switching(&key, &asked);
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(
            answer.headers()[SEC_WEBSOCKET_ACCEPT],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        assert_eq!(answer.headers()[SEC_WEBSOCKET_PROTOCOL], SUBPROTOCOL);
    }

    #[test]
    fn anything_else_is_no_handshake() {
        let whole = [
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        assert!(handshake_key(&headers(&whole)).is_some());
        for missing in 0..whole.len() {
            let mut lines = whole.to_vec();
            lines.remove(missing);
            assert!(
                handshake_key(&headers(&lines)).is_none(),
                "without {:?}",
                whole[missing]
            );
        }
    }
}
