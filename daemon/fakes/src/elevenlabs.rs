//! ElevenLabs' speech API in memory: voices, models, the account, and sound in the telephone's format.
//!
//! Every request is judged by ElevenLabs' own OpenAPI document, every JSON answer too. What it says is a tone for each
//! letter ([`sound_of`]), so a test knows to the byte what has to arrive. It misbehaves on demand: see [`Fault`], by
//! [`ElevenLabs::fault`] for the next synthesis or for good by a voice called `fault-NAME`. It runs on a thread of its
//! own and ends when dropped; what it saw is [`Seen`].
//!
//! Where it knows better than the document, which is of August 2025: `newer`.

mod account;
mod fault;
mod sound;

use crate::openapi::{OpenApi, Request as Sent, Unknown, Violation};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub use account::{MODEL, SHORT_MODEL, VOICE};
pub use fault::{Fault, Refusal};
pub use sound::{Ends, sound_of};

use account::Account;
use sound::Sound;

/// ElevenLabs' document, trimmed to what is stood in for.
const SPEC: &str = include_str!("../specs/elevenlabs_openapi.json");

/// The key that opens the account, told apart from everything else when outputs are searched for it.
pub const KEY: &str = "sk_canary0123456789elevenlabs";

const STREAM: &str = "/v1/text-to-speech/{voice_id}/stream";
const WHOLE: &str = "/v1/text-to-speech/{voice_id}";

/// Body of a request at most.
const BODY_BYTES: usize = 256 << 10;

/// How long [`ElevenLabs::wait`] waits: only a failing test ever waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a test may look at afterwards.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Connections taken so far.
    pub connections: usize,
    /// Requests in their order.
    pub requests: Vec<Heard>,
    /// Syntheses whose sound was sent to its end, however that looked.
    pub finished: usize,
    /// Syntheses that the client left before their end.
    pub abandoned: usize,
    /// Whatever was asked or answered against the document. Tests end by finding it empty.
    pub violations: Vec<String>,
}

impl Seen {
    /// The syntheses among the requests.
    pub fn syntheses(&self) -> Vec<&Heard> {
        let speech = |heard: &&Heard| heard.path.starts_with("/v1/text-to-speech/");
        self.requests.iter().filter(speech).collect()
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Heard {
    /// On which connection, counted from 1.
    pub connection: usize,
    /// `POST`.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Without its `?`.
    pub query: String,
    /// The body; null when there is none.
    pub json: Value,
    /// When the first byte of its sound was handed to the socket; none before, and for other requests.
    pub sounded: Option<Instant>,
}

/// The stand-in, running.
pub struct ElevenLabs {
    address: SocketAddr,
    desk: Arc<Desk>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What all connections share.
struct Desk {
    spec: OpenApi,
    account: Account,
    seen: Mutex<Seen>,
    changed: Condvar,
    /// One for each synthesis to come.
    faults: Mutex<VecDeque<Option<Fault>>>,
}

type Answer = Response<BoxBody<Bytes, io::Error>>;

impl ElevenLabs {
    /// At a port of this machine; 0 is any free one.
    ///
    /// # Errors
    /// The port is taken.
    pub fn start(port: u16) -> io::Result<ElevenLabs> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let desk = Arc::new(Desk {
            spec: document().map_err(io::Error::other)?,
            account: Account::new(),
            seen: Mutex::default(),
            changed: Condvar::new(),
            faults: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let served = Arc::clone(&desk);
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    ended = serve(listener, served) => drop(ended),
                    _ = stopped => {}
                }
            });
        });
        Ok(ElevenLabs {
            address,
            desk,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// What stands for `https://api.elevenlabs.io`.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Something goes wrong with the next synthesis for which nothing was said yet.
    pub fn fault(&self, fault: Fault) {
        lock(&self.desk.faults).push_back(Some(fault));
    }

    /// The next synthesis for which nothing was said yet goes well.
    pub fn well(&self) {
        lock(&self.desk.faults).push_back(None);
    }

    /// What it saw so far.
    pub fn seen(&self) -> Seen {
        lock(&self.desk.seen).clone()
    }

    /// Waits until it has seen this.
    ///
    /// # Panics
    /// If that does not happen within 20 seconds.
    #[track_caller]
    pub fn wait(&self, what: &str, has: impl Fn(&Seen) -> bool) -> Seen {
        let seen = lock(&self.desk.seen);
        let (seen, waited) = self
            .desk
            .changed
            .wait_timeout_while(seen, PATIENCE, |seen| !has(seen))
            .unwrap_or_else(PoisonError::into_inner);
        assert!(
            !waited.timed_out(),
            "waited in vain: {what}; seen: {:?}",
            *seen
        );
        seen.clone()
    }
}

impl Drop for ElevenLabs {
    fn drop(&mut self) {
        // Either may be gone already: that is what is wanted.
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The document with what the service took on since: formats, settings and members that its client of 2026 sends.
fn newer(document: &mut Value) {
    for path in [STREAM, WHOLE] {
        let operation = &mut document["paths"][path]["post"];
        for parameter in operation["parameters"].as_array_mut().into_iter().flatten() {
            if parameter["name"] == "output_format"
                && let Some(formats) = parameter["schema"]["enum"].as_array_mut()
            {
                formats.push(json!("pcm_32000"));
            }
        }
    }
    let schemas = &mut document["components"]["schemas"];
    schemas["VoiceSettingsResponseModel"]["properties"]["clone_strength"] =
        json!({"type": ["number", "null"]});
    for body in [
        "Body_Text_to_speech_streaming_v1_text_to_speech__voice_id__stream_post",
        "Body_Text_to_speech_v1_text_to_speech__voice_id__post",
    ] {
        if let Some(body) = schemas.get_mut(body) {
            body["properties"]["audio_effects"] = json!({"type": ["object", "null"]});
        }
    }
}

fn document() -> Result<OpenApi, String> {
    let mut document = serde_json::from_str(SPEC).map_err(|error| error.to_string())?;
    newer(&mut document);
    OpenApi::new(document)
}

async fn serve(listener: std::net::TcpListener, desk: Arc<Desk>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let connection = desk.note(|seen| {
            seen.connections += 1;
            seen.connections
        });
        let desk = Arc::clone(&desk);
        let service = service_fn(move |request| answer(Arc::clone(&desk), connection, request));
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        // A connection that ends in an error is what was asked for, or a client that left: both are the tests' doing.
        tokio::spawn(async move { connection.await.ok() });
    }
}

async fn answer(
    desk: Arc<Desk>,
    connection: usize,
    request: Request<Incoming>,
) -> Result<Answer, io::Error> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, BODY_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Err(io::Error::other(error)),
    };
    let headers: Vec<(&str, &str)> = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()))
        .collect();
    let sent = Sent {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        headers: &headers,
        body: &body,
    };
    let number = desk.note(|seen| {
        seen.requests.push(Heard {
            connection,
            method: sent.method.to_owned(),
            path: sent.path.to_owned(),
            query: sent.query.to_owned(),
            json: serde_json::from_slice(sent.body).unwrap_or_default(),
            sounded: None,
        });
        seen.requests.len()
    });
    match decide(&desk, &sent) {
        Does::Says(status, json) => Ok(in_json(number, status, &json)),
        Does::Speaks { text, ends } => {
            let cost = text.chars().count();
            if ends == Ends::BeforeItsHead {
                let _left = Left(desk);
                return std::future::pending().await;
            }
            if ends == Ends::WithoutAHead {
                desk.note(|seen| seen.finished += 1);
                return Err(io::Error::other("cut on demand"));
            }
            let mut answer = Response::new(Sound::new(&text, ends, number - 1, desk).boxed());
            let headers = [
                ("content-type", "application/octet-stream".to_owned()),
                ("request-id", format!("req_{number}")),
                ("character-cost", cost.to_string()),
                ("current-concurrent-requests", "1".to_owned()),
                ("maximum-concurrent-requests", "10".to_owned()),
            ];
            for (name, value) in headers {
                answer
                    .headers_mut()
                    .insert(name, value.parse().map_err(io::Error::other)?);
            }
            Ok(answer)
        }
    }
}

/// A synthesis whose head never goes out: dropped with its connection, when the client leaves.
struct Left(Arc<Desk>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.note(|seen| seen.abandoned += 1);
    }
}

fn in_json(number: usize, status: u16, json: &Value) -> Answer {
    let body = Full::new(Bytes::from(json.to_string()));
    let mut answer = Response::new(body.map_err(|never: Infallible| match never {}).boxed());
    *answer.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = [
        ("content-type", Some("application/json".to_owned())),
        ("request-id", Some(format!("req_{number}"))),
        // As gateways do it; the service's own documents do not say.
        (
            "retry-after",
            (json["detail"]["code"] == "rate_limit_exceeded").then(|| "2".to_owned()),
        ),
    ];
    for (name, value) in headers {
        if let Some(value) = value.and_then(|value| value.parse().ok()) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

/// What is done about one request.
enum Does {
    Says(u16, Value),
    Speaks { text: String, ends: Ends },
}

impl Does {
    fn refuses(refusal: Refusal) -> Does {
        let (status, json) = refusal.answer();
        Does::Says(status, json)
    }
}

fn decide(desk: &Desk, sent: &Sent<'_>) -> Does {
    match sent.header("xi-api-key") {
        Some(KEY) => {}
        Some(_) => return Does::refuses(Refusal::InvalidKey),
        None => return Does::refuses(Refusal::NoKey),
    }
    let asked = match desk.spec.check(sent) {
        Ok(asked) => asked,
        Err(unknown) => {
            desk.violated(format!("{} {}: {unknown}", sent.method, sent.path));
            return match unknown {
                Unknown::Path => Does::Says(404, json!({"detail": "Not Found"})),
                Unknown::Method { .. } => Does::Says(405, json!({"detail": "Method Not Allowed"})),
            };
        }
    };
    if !asked.violations.is_empty() {
        for violation in &asked.violations {
            desk.violated(format!("{} {}: {violation}", sent.method, sent.path));
        }
        return Does::Says(422, fault::unprocessable(&asked.violations));
    }
    if let STREAM | WHOLE = asked.template.as_str() {
        return speak(desk, &asked);
    }
    let Some(json) = desk.account.answer(&asked) else {
        desk.violated(format!("{} is not stood in for", asked.template));
        return Does::refuses(Refusal::Server);
    };
    match desk
        .spec
        .check_answer(sent.method, &asked.template, 200, &json)
    {
        Ok(wrong) => wrong
            .iter()
            .for_each(|wrong| desk.violated(format!("our answer to {}: {wrong}", sent.path))),
        Err(why) => desk.violated(why),
    }
    Does::Says(200, json)
}

fn speak(desk: &Desk, asked: &crate::openapi::Asked) -> Does {
    let voice = asked.path.get("voice_id").map_or("", String::as_str);
    let of_voice = Fault::of_voice(voice);
    let fault = lock(&desk.faults).pop_front().unwrap_or(of_voice);
    if let Some(Fault::Refuses(refusal)) = fault {
        return Does::refuses(refusal);
    }
    if of_voice.is_none() && !desk.account.has_voice(voice) {
        return Does::refuses(Refusal::VoiceNotFound);
    }
    if asked.query("output_format") != Some("ulaw_8000") {
        desk.violated("only ulaw_8000 is made here".to_owned());
        return Does::refuses(Refusal::Server);
    }
    let settings = &asked.json["voice_settings"];
    let within = |name: &str, least: f64, most: f64| {
        settings[name]
            .as_f64()
            .is_none_or(|n| (least..=most).contains(&n))
    };
    let unit = ["stability", "similarity_boost", "style"];
    let wrong = unit.iter().find(|name| !within(name, 0.0, 1.0)).copied();
    if let Some(name) = wrong.or_else(|| (!within("speed", 0.7, 1.2)).then_some("speed")) {
        let at = ["body", "voice_settings", name].map(str::to_owned).to_vec();
        let violation = Violation {
            at,
            what: "Input should be within its range".to_owned(),
        };
        desk.violated(violation.to_string());
        return Does::Says(422, fault::unprocessable(&[violation]));
    }
    let text = asked.json["text"].as_str().unwrap_or_default().to_owned();
    let model = asked.json["model_id"]
        .as_str()
        .unwrap_or("eleven_multilingual_v2");
    match desk.account.most_characters(model) {
        None => return Does::refuses(Refusal::ModelNotFound),
        Some(most) if text.chars().count() > most => return Does::refuses(Refusal::TooLong),
        Some(_) => {}
    }
    let ends = match fault {
        Some(Fault::Sounds(ends)) => ends,
        _ => Ends::Well,
    };
    Does::Speaks { text, ends }
}

impl Desk {
    fn note<T>(&self, note: impl FnOnce(&mut Seen) -> T) -> T {
        let noted = note(&mut lock(&self.seen));
        self.changed.notify_all();
        noted
    }

    fn violated(&self, what: String) {
        self.note(|seen| seen.violations.push(what));
    }
}

#[cfg(test)]
mod tests;
