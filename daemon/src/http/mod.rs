//! The daemon's doors: accept, bounds, routes. What each route means is in the files beside this one.
//!
//! ```text
//!  TcpListener → caps (all, per address) → hyper http1 (header time-out, body and header bounds) → route
//!     /twilio/…            webhook.rs   the carrier asks what to do, or tells how a call went
//!     /twilio/resume/      resume.rs    it asks how to go on after a stream
//!     /ws/audio/stream/    upgrade.rs   the handshake; then the bare TcpStream goes to a media thread
//!     /audio/api/call/      web_call.rs  a browser wants to talk, or to go on
//!     /audio/api/logs/stream pages/stream.rs  the log as it grows
//!     /audio/api/ /api/    api.rs       logs and calls as JSON
//!     /audio/logs/ /assets/ pages/      what people see in a browser
//!     /api/configuration/  configuration.rs   how the configuration stands, and a reload
//!     /healthz /readyz /metrics  probes.rs
//!   who may see and do what: access.rs
//! ```
//!
//! Not here: audio, turns, a carrier's message formats.

mod access;
mod admin;
mod answer;
mod api;
mod configuration;
mod cookie;
mod desk;
mod pages;
mod probes;
mod resume;
mod update;
mod upgrade;
mod web_call;
mod webhook;

pub(crate) use api::{call_json as call_row, log as event_row};
pub use configuration::{
    Asking, Cause, Configuration, LastReload, Outcome, PluginInForce, Standing,
};
pub use desk::{Desk, DeskKeys, rest_of};

use answer::{Answer, problem};
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tracing::{debug, warn};

/// Head of a request, all headers together; carriers' are about 2 KiB.
const HEAD_BYTES: usize = 16 << 10;

/// Headers of one request.
const HEADERS: usize = 64;

/// Body of a request. A webhook's form is 1–2 KiB.
const BODY_BYTES: usize = 64 << 10;

/// How long a body may take to arrive once its head is there.
const BODY_SECS: u64 = 10;

/// Pause after the system refused a connection (out of descriptors, mostly), so that accepting does not spin.
const REFUSED_PAUSE_MS: u64 = 100;

/// Bounds of the listener; from `[http]`.
#[derive(Clone, Copy, Debug)]
pub struct Doors {
    /// Open connections that have not become media streams.
    pub connections: usize,
    /// The same from one address.
    pub connections_per_ip: usize,
    /// Time for a request's head.
    pub header: Duration,
}

/// Serves until `stop` turns true; then no new connections, and those in work are finished.
pub async fn serve(
    listener: TcpListener,
    doors: Doors,
    desk: Arc<Desk>,
    mut stop: watch::Receiver<bool>,
) {
    let guests = Arc::new(Guests {
        bounds: doors,
        open: Mutex::default(),
    });
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(guest) = Guests::enter(&guests, peer.ip()) else {
                    debug!(%peer, "a connection was refused: too many are open");
                    desk.house
                        .metrics
                        .calls_shed
                        .get_or_create(&[("reason", "connections")])
                        .inc();
                    continue;
                };
                tokio::spawn(connection(
                    stream,
                    peer,
                    doors,
                    Arc::clone(&desk),
                    stop.clone(),
                    guest,
                ));
            }
            Err(error) => {
                warn!(
                    "a connection could not be accepted ({error}); trying again in {REFUSED_PAUSE_MS} ms"
                );
                tokio::time::sleep(Duration::from_millis(REFUSED_PAUSE_MS)).await;
            }
        }
    }
}

/// Ready once the daemon stops, also when whoever would have said so is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        debug!("the daemon is gone without a word; its connections end");
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    doors: Doors,
    desk: Arc<Desk>,
    mut stop: watch::Receiver<bool>,
    guest: Guest,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%peer, "no TCP_NODELAY: {error}");
    }
    desk.house.metrics.http_in_flight.inc();
    let service = service_fn(|request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(timed(&desk, peer, request).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(doors.header)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => Some(ended),
        () = stopped(&mut stop) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    desk.house.metrics.http_in_flight.dec();
    drop(guest);
    if let Err(error) = ended {
        debug!(%peer, "a connection ended early: {error}");
    }
}

async fn timed(desk: &Arc<Desk>, peer: SocketAddr, request: Request<Incoming>) -> Answer {
    let began = Instant::now();
    let method = request.method().to_string();
    let (route, answer) = route(desk, peer, request).await;
    let metrics = &desk.house.metrics;
    metrics
        .http_request_duration
        .observe(began.elapsed().as_secs_f64());
    let code = answer.status().as_u16().to_string();
    let labels = [
        ("route", route.to_owned()),
        ("method", known_method(&method)),
        ("code", code),
    ];
    metrics.http_requests.get_or_create(&labels).inc();
    answer
}

/// Methods as a label: a small vocabulary, whatever clients invent.
fn known_method(method: &str) -> String {
    match method {
        "GET" | "POST" | "PUT" | "HEAD" | "DELETE" | "OPTIONS" => method.into(),
        _ => "other".into(),
    }
}

async fn route(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> (&'static str, Answer) {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let method = request.method().clone();
    let get = method == Method::GET || method == Method::HEAD;
    match segments.as_slice() {
        ["twilio", "stream"] if method == Method::POST || method == Method::GET => {
            ("/twilio/stream/", webhook::voice(desk, peer, request).await)
        }
        ["twilio", "status"] if method == Method::POST || method == Method::GET => (
            "/twilio/status/",
            webhook::status(desk, peer, request).await,
        ),
        ["twilio", "stream-status"] if method == Method::POST || method == Method::GET => (
            "/twilio/stream-status/",
            webhook::stream_status(desk, peer, request).await,
        ),
        ["twilio", "resume", stream] if method == Method::POST || method == Method::GET => (
            "/twilio/resume/",
            resume::resume(desk, peer, request, stream).await,
        ),
        ["ws", "audio", "stream"] if get => (
            "/ws/audio/stream/",
            upgrade::stream(desk, peer, request, None),
        ),
        ["ws", "audio", "stream", place] if get => (
            "/ws/audio/stream/",
            upgrade::stream(desk, peer, request, place.parse().ok()),
        ),
        ["audio", "api", "logs"] if get => {
            ("/audio/api/logs/", api::logs(desk, peer, &request).await)
        }
        ["audio", "api", "logs", "stream"] if get => (
            "/audio/api/logs/stream",
            pages::stream(desk, peer, &request),
        ),
        ["audio", "api", "call"] if method == Method::POST => (
            "/audio/api/call/",
            web_call::admit_call(desk, peer, &request).await,
        ),
        ["audio", "api", "call", sid, "resume", stream] if method == Method::POST => (
            "/audio/api/call/{sid}/resume/",
            web_call::resume(desk, peer, &request, sid, stream).await,
        ),
        ["api", "calls"] if get => ("/api/calls/", api::calls(desk, peer, &request).await),
        ["api", "calls", sid] if method == Method::PUT => (
            "/api/calls/{sid}/",
            update::put(desk, peer, request, sid).await,
        ),
        ["api", "calls", sid] if get => (
            "/api/calls/{sid}/",
            api::call(desk, peer, &request, sid).await,
        ),
        ["audio", "logs"] if get => ("/audio/logs/", pages::logs(desk, peer, &request).await),
        ["assets", folder, name] if get => ("/assets/", pages::asset(&request, folder, name)),
        [""] if get => ("/", pages::front_door()),
        ["api", "configuration"] if get => (
            "/api/configuration/",
            configuration::shown(desk, peer, &request),
        ),
        ["api", "configuration", "reload"] if method == Method::POST => (
            "/api/configuration/reload/",
            configuration::reload(desk, peer, &request).await,
        ),
        ["admin", rest @ ..] => admin::route(desk, peer, request, rest).await,
        ["healthz"] if get => ("/healthz", probes::health()),
        ["readyz"] if get => ("/readyz", probes::ready(desk, peer, &request)),
        ["metrics"] if get => ("/metrics", probes::metrics(desk, peer, &request)),
        ["twilio", "stream" | "status" | "stream-status"]
        | ["twilio", "resume", _]
        | ["ws", "audio", "stream"]
        | ["ws", "audio", "stream", _]
        | ["audio", "api", "logs"]
        | ["audio", "logs"]
        | ["audio", "api", "call"]
        | ["audio", "api", "call", _, "resume", _]
        | ["audio", "api", "logs", "stream"]
        | ["assets", _, _]
        | [""]
        | ["api", "calls"]
        | ["api", "calls", _]
        | ["api", "configuration"]
        | ["api", "configuration", "reload"]
        | ["healthz" | "readyz" | "metrics"] => {
            let detail = format!("{method} is not offered at {path}");
            (
                "wrong method",
                problem(StatusCode::METHOD_NOT_ALLOWED, &detail),
            )
        }
        _ => ("unknown", pages::nowhere(&request)),
    }
}

/// The whole body, within [`BODY_BYTES`] and [`BODY_SECS`]; the answer to give when it is not.
async fn body(request: Request<Incoming>) -> Result<Bytes, Answer> {
    let limited = Limited::new(request.into_body(), BODY_BYTES);
    match tokio::time::timeout(Duration::from_secs(BODY_SECS), limited.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(problem(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!("the body is larger than {BODY_BYTES} bytes"),
        )),
        Ok(Err(error)) => Err(problem(
            StatusCode::BAD_REQUEST,
            &format!("the body did not arrive whole: {error}"),
        )),
        Err(_) => Err(problem(
            StatusCode::REQUEST_TIMEOUT,
            &format!("the body took longer than {BODY_SECS} s"),
        )),
    }
}

/// Connections at the doors, counted by address.
struct Guests {
    bounds: Doors,
    open: Mutex<(usize, HashMap<IpAddr, usize>)>,
}

/// One open connection; counts down when dropped.
struct Guest {
    guests: Arc<Guests>,
    ip: IpAddr,
}

impl Guests {
    fn enter(guests: &Arc<Guests>, ip: IpAddr) -> Option<Guest> {
        let mut open = guests.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, by_ip) = &mut *open;
        let here = by_ip.get(&ip).copied().unwrap_or(0);
        // A tunnel or a reverse proxy on this machine brings everybody from one address.
        let bounded = !ip.is_loopback();
        if *all >= guests.bounds.connections
            || (bounded && here >= guests.bounds.connections_per_ip)
        {
            return None;
        }
        *all += 1;
        by_ip.insert(ip, here + 1);
        Some(Guest {
            guests: Arc::clone(guests),
            ip,
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut open = self
            .guests
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (all, by_ip) = &mut *open;
        *all = all.saturating_sub(1);
        if let Some(here) = by_ip.get_mut(&self.ip) {
            *here -= 1;
            if *here == 0 {
                by_ip.remove(&self.ip);
            }
        }
    }
}

/// A whole body, or one that goes on.
type Body = BoxBody<Bytes, Infallible>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doors_close_at_their_bounds_and_open_again() {
        let bounds = Doors {
            connections: 3,
            connections_per_ip: 2,
            header: Duration::from_secs(1),
        };
        let guests = Arc::new(Guests {
            bounds,
            open: Mutex::default(),
        });
        let (one, two) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let first = Guests::enter(&guests, one);
        let second = Guests::enter(&guests, one);
        assert!(first.is_some() && second.is_some());
        assert!(
            Guests::enter(&guests, one).is_none(),
            "a third from one address"
        );
        let third = Guests::enter(&guests, two);
        assert!(third.is_some());
        assert!(
            Guests::enter(&guests, IpAddr::from([192, 0, 2, 3])).is_none(),
            "a fourth in all"
        );
        drop(first);
        assert!(Guests::enter(&guests, one).is_some());
    }
}
