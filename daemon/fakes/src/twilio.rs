//! Twilio's REST API for numbers and calls, in memory: what the tunnel borrows and puts back, what ends a call.
//!
//! Every request is judged by Twilio's own OpenAPI document, every answer too; credentials, paging and errors are in
//! Twilio's shape. It misbehaves on demand, at a chosen request: see [`Fault`]. It runs on a thread of its own, so that
//! tests without a runtime can use it, and ends when dropped.
//!
//! Where it knows better than the document: an empty value clears a setting, whatever the pattern of a set one, and a
//! sid that is not set may be answered as `""`, as in the document's own examples.

use crate::openapi::{Asked, OpenApi, Request as Sent, Unknown};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::AUTHORIZATION;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Twilio's document, trimmed to what is stood in for.
const SPEC: &str = include_str!("../specs/twilio_api_v2010.calls.json");

/// The account there is.
pub const ACCOUNT: &str = "AC00000000000000000000000000000001";

/// Its auth token, told apart from everything else when outputs are searched for it.
pub const TOKEN: &str = "canary0123456789abcdef4711twilio";

const NUMBERS: &str = "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers.json";
const NUMBER: &str = "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers/{Sid}.json";
const CALLS: &str = "/2010-04-01/Accounts/{AccountSid}/Calls.json";
const CALL: &str = "/2010-04-01/Accounts/{AccountSid}/Calls/{Sid}.json";

/// Body of a request at most.
const BODY_BYTES: usize = 64 << 10;

/// What goes wrong with a request. "After" is after it took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This status and nothing done.
    Answer(u16),
    /// Done, and this status all the same.
    AnswerAfter(u16),
    /// Nothing done, the connection closed without an answer.
    Cut,
    /// Done, and the connection closed without an answer.
    CutAfter,
    /// Nothing done and no answer, for as long as somebody waits; [`Twilio::held`] tells when it has come to that.
    Hold,
    /// Done, and no answer; likewise.
    HoldAfter,
}

/// The stand-in, running.
pub struct Twilio {
    address: SocketAddr,
    desk: Arc<Mutex<Desk>>,
    held: Mutex<mpsc::Receiver<()>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What it knows.
struct Desk {
    spec: OpenApi,
    document: Value,
    numbers: BTreeMap<String, Value>,
    calls: BTreeMap<String, Value>,
    page_rows: usize,
    /// Requests by method and path, in their order.
    asked: Vec<String>,
    faults: BTreeMap<usize, Fault>,
    violations: Vec<String>,
    tell_held: mpsc::Sender<()>,
}

/// What is done about one request.
enum Does {
    Answers(u16, Value),
    Cuts,
    Holds,
}

impl Twilio {
    /// At a port of this machine; 0 is any free one.
    ///
    /// # Errors
    /// The port is taken.
    pub fn start(port: u16) -> io::Result<Twilio> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (tell_held, held) = mpsc::channel();
        let desk = Arc::new(Mutex::new(Desk::new(tell_held).map_err(io::Error::other)?));
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
        Ok(Twilio {
            address,
            desk,
            held: Mutex::new(held),
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// What stands for `https://api.twilio.com`.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        lock(&self.desk)
    }

    /// Gives the account a number; its sid.
    pub fn add_number(&self, phone_number: &str) -> String {
        self.desk().add_number(phone_number)
    }

    /// A number as the API would show it; null if there is none.
    pub fn number(&self, sid: &str) -> Value {
        self.desk().numbers.get(sid).cloned().unwrap_or_default()
    }

    /// What somebody else does at the console: sets one setting of a number.
    pub fn set(&self, sid: &str, setting: &str, value: Value) {
        if let Some(number) = self.desk().numbers.get_mut(sid) {
            number[setting] = value;
        }
    }

    /// Somebody else gives the number back.
    pub fn remove_number(&self, sid: &str) {
        self.desk().numbers.remove(sid);
    }

    /// Begins a call in this status; its sid.
    pub fn add_call(&self, status: &str) -> String {
        self.desk().add_call(status)
    }

    /// The caller hangs up.
    pub fn end_call(&self, sid: &str) {
        if let Some(call) = self.desk().calls.get_mut(sid) {
            call["status"] = "completed".into();
        }
    }

    /// A call as the API would show it; null if there is none.
    pub fn call(&self, sid: &str) -> Value {
        self.desk().calls.get(sid).cloned().unwrap_or_default()
    }

    /// No more than so many rows in a page, whatever is asked for.
    pub fn page_rows(&self, rows: usize) {
        self.desk().page_rows = rows;
    }

    /// Something goes wrong with the `nth` request from now; 1 is the next one.
    pub fn fault(&self, nth: usize, fault: Fault) {
        let mut desk = self.desk();
        let at = desk.asked.len() + nth;
        desk.faults.insert(at, fault);
    }

    /// Takes back what was to go wrong.
    pub fn no_faults(&self) {
        self.desk().faults.clear();
    }

    /// One message for each request that is being held.
    pub fn held(&self) -> MutexGuard<'_, mpsc::Receiver<()>> {
        lock(&self.held)
    }

    /// The requests so far, `POST /2010-04-01/…`.
    pub fn asked(&self) -> Vec<String> {
        self.desk().asked.clone()
    }

    /// Whatever was asked or answered against the document. Tests end by finding it empty.
    pub fn violations(&self) -> Vec<String> {
        self.desk().violations.clone()
    }
}

impl Drop for Twilio {
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

async fn serve(listener: std::net::TcpListener, desk: Arc<Mutex<Desk>>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let desk = Arc::clone(&desk);
        let service = service_fn(move |request| answer(Arc::clone(&desk), request));
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        // A connection that ends in an error is what was asked for, or a client that died: both are the tests' doing.
        tokio::spawn(async move { connection.await.ok() });
    }
}

async fn answer(
    desk: Arc<Mutex<Desk>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, io::Error> {
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
    let does = lock(&desk).decide(&sent);
    match does {
        Does::Answers(status, json) => {
            let mut answer = Response::new(Full::new(Bytes::from(json.to_string())));
            *answer.status_mut() =
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let json = hyper::header::HeaderValue::from_static("application/json");
            answer.headers_mut().insert("content-type", json);
            Ok(answer)
        }
        Does::Cuts => Err(io::Error::other("cut on demand")),
        Does::Holds => std::future::pending().await,
    }
}

impl Desk {
    fn new(tell_held: mpsc::Sender<()>) -> Result<Desk, String> {
        let document: Value = serde_json::from_str(SPEC).map_err(|error| error.to_string())?;
        Ok(Desk {
            spec: OpenApi::new(document.clone())?,
            document,
            numbers: BTreeMap::new(),
            calls: BTreeMap::new(),
            page_rows: 1000,
            asked: Vec::new(),
            faults: BTreeMap::new(),
            violations: Vec::new(),
            tell_held,
        })
    }

    /// The document's own example of an answer.
    fn example(&self, template: &str) -> Value {
        let answer = &self.document["paths"][template]["get"]["responses"]["200"];
        let examples = &answer["content"]["application/json"]["examples"];
        examples["fetch"]["value"].clone()
    }

    fn add_number(&mut self, phone_number: &str) -> String {
        let sid = format!("PN{:032x}", self.numbers.len() + 1);
        let mut number = self.example(NUMBER);
        number["sid"] = json!(sid);
        number["account_sid"] = json!(ACCOUNT);
        number["phone_number"] = json!(phone_number);
        number["uri"] = json!(
            NUMBER
                .replace("{AccountSid}", ACCOUNT)
                .replace("{Sid}", &sid)
        );
        self.numbers.insert(sid.clone(), number);
        sid
    }

    fn add_call(&mut self, status: &str) -> String {
        let sid = format!("CA{:032x}", self.calls.len() + 1);
        let mut call = self.example(CALL);
        call["sid"] = json!(sid);
        call["account_sid"] = json!(ACCOUNT);
        call["status"] = json!(status);
        call["uri"] = json!(CALL.replace("{AccountSid}", ACCOUNT).replace("{Sid}", &sid));
        self.calls.insert(sid.clone(), call);
        sid
    }

    fn decide(&mut self, sent: &Sent<'_>) -> Does {
        self.asked.push(format!("{} {}", sent.method, sent.path));
        let fault = self.faults.remove(&self.asked.len());
        match fault {
            Some(Fault::Answer(status)) => return fail(status),
            Some(Fault::Cut) => return Does::Cuts,
            Some(Fault::Hold) => {
                self.tell_held.send(()).ok();
                return Does::Holds;
            }
            _ => {}
        }
        let does = self.act(sent);
        match fault {
            Some(Fault::AnswerAfter(status)) => fail(status),
            Some(Fault::CutAfter) => Does::Cuts,
            Some(Fault::HoldAfter) => {
                self.tell_held.send(()).ok();
                Does::Holds
            }
            _ => does,
        }
    }

    fn act(&mut self, sent: &Sent<'_>) -> Does {
        let basic = base64_simd::STANDARD.encode_to_string(format!("{ACCOUNT}:{TOKEN}"));
        if sent.header(AUTHORIZATION.as_str()) != Some(&format!("Basic {basic}")) {
            return error(401, 20003, "Authenticate");
        }
        let mut asked = match self.spec.check(sent) {
            Ok(asked) => asked,
            Err(unknown) => {
                self.violations
                    .push(format!("{} {}: {unknown}", sent.method, sent.path));
                return match unknown {
                    Unknown::Path => not_found(sent.path),
                    Unknown::Method { .. } => error(405, 20004, "Method not allowed"),
                };
            }
        };
        clearing_is_allowed(&mut asked);
        if !asked.violations.is_empty() {
            let said: Vec<_> = asked.violations.iter().map(ToString::to_string).collect();
            let said = said.join("; ");
            self.violations
                .push(format!("{} {}: {said}", sent.method, sent.path));
            return error(400, 20001, &said);
        }
        if asked.path.get("AccountSid").map(String::as_str) != Some(ACCOUNT) {
            return not_found(sent.path);
        }
        let sid = asked.path.get("Sid").cloned().unwrap_or_default();
        let does = match (sent.method, asked.template.as_str()) {
            ("GET", NUMBERS) => self.list_numbers(&asked, sent),
            ("GET", CALLS) => self.list_calls(&asked, sent),
            ("GET", NUMBER) => shown(self.numbers.get(&sid), sent.path),
            ("GET", CALL) => shown(self.calls.get(&sid), sent.path),
            ("POST", NUMBER) => match self.numbers.get_mut(&sid) {
                Some(number) => change_number(number, &asked.form),
                None => not_found(sent.path),
            },
            ("POST", CALL) => match self.calls.get_mut(&sid) {
                Some(call) => change_call(call, &asked),
                None => not_found(sent.path),
            },
            _ => return error(501, 20001, "this stand-in does not know that operation"),
        };
        if let Does::Answers(status @ 200, json) = &does {
            let judged = without_empty_sids(json.clone());
            let wrong = self
                .spec
                .check_answer(sent.method, &asked.template, *status, &judged);
            let wrong = wrong.map(|wrong| wrong.iter().map(ToString::to_string).collect());
            self.violations
                .extend(wrong.unwrap_or_else(|error| vec![error]));
        }
        does
    }

    fn list_numbers(&self, asked: &Asked, sent: &Sent<'_>) -> Does {
        let like = asked.query("PhoneNumber").unwrap_or_default().to_owned();
        let named = asked.query("FriendlyName").map(str::to_owned);
        let rows = self.numbers.values().filter(|number| {
            number["phone_number"]
                .as_str()
                .is_some_and(|it| it.contains(&like))
                && named
                    .as_ref()
                    .is_none_or(|name| number["friendly_name"] == json!(name))
        });
        self.page(
            "incoming_phone_numbers",
            rows.cloned().collect(),
            asked,
            sent,
        )
    }

    fn list_calls(&self, asked: &Asked, sent: &Sent<'_>) -> Does {
        let is = |call: &Value, key: &str, name: &str| {
            asked
                .query(name)
                .is_none_or(|wanted| call[key] == json!(wanted))
        };
        let rows = self.calls.values().filter(|call| {
            is(call, "status", "Status") && is(call, "from", "From") && is(call, "to", "To")
        });
        self.page("calls", rows.cloned().collect(), asked, sent)
    }

    fn page(&self, name: &str, rows: Vec<Value>, asked: &Asked, sent: &Sent<'_>) -> Does {
        let number = |name: &str| {
            asked
                .query(name)
                .and_then(|text| text.parse::<usize>().ok())
        };
        let size = number("PageSize").unwrap_or(50).min(self.page_rows);
        let page = number("Page").unwrap_or(0);
        let start = page * size;
        let end = (start + size).min(rows.len());
        let here = rows.get(start..end).unwrap_or_default();
        let others: Vec<String> = asked
            .query
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "Page" | "PageSize" | "PageToken"))
            .map(|(name, value)| format!("{name}={}&", encoded(value)))
            .collect();
        let uri = |page: usize| {
            let others = others.concat();
            let token = if page == 0 {
                String::new()
            } else {
                format!("&PageToken=PA{page}")
            };
            format!("{}?{others}PageSize={size}&Page={page}{token}", sent.path)
        };
        Does::Answers(
            200,
            json!({
                name: here,
                "page": page,
                "page_size": size,
                "start": start,
                "end": end.saturating_sub(1),
                "uri": uri(page),
                "first_page_uri": uri(0),
                "next_page_uri": (end < rows.len()).then(|| uri(page + 1)),
                "previous_page_uri": (page > 0).then(|| uri(page - 1)),
            }),
        )
    }
}

/// `VoiceApplicationSid=` means "none", which no pattern of a sid would let pass.
fn clearing_is_allowed(asked: &mut Asked) {
    let cleared: Vec<String> = asked
        .form
        .iter()
        .filter(|(_, value)| value.is_empty())
        .map(|(name, _)| name.clone())
        .collect();
    asked.violations.retain(|violation| {
        let [part, name, ..] = violation.at.as_slice() else {
            return true;
        };
        !(part == "form" && cleared.contains(name))
    });
}

/// Twilio's own examples say `""` of a sid that is not set, and its schema says null.
fn without_empty_sids(mut json: Value) -> Value {
    match &mut json {
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                *value = match value.take() {
                    Value::String(text) if text.is_empty() && name.ends_with("_sid") => Value::Null,
                    other => without_empty_sids(other),
                };
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = without_empty_sids(item.take());
            }
        }
        _ => {}
    }
    json
}

fn change_number(number: &mut Value, form: &[(String, String)]) -> Does {
    let mut changed = number.clone();
    for (name, value) in form {
        let key = snake(name);
        changed[&key] = match (value.as_str(), key.as_str()) {
            ("", "trunk_sid") => Value::Null,
            ("true" | "false", "voice_caller_id_lookup") => json!(value == "true"),
            _ => json!(value),
        };
        match (key.as_str(), value.is_empty()) {
            ("trunk_sid", false) => changed["voice_application_sid"] = json!(""),
            ("voice_application_sid", false) => changed["trunk_sid"] = Value::Null,
            _ => {}
        }
    }
    let empty = |key: &str| changed[key].as_str().unwrap_or_default().is_empty();
    if !empty("voice_fallback_url") && empty("voice_url") {
        return error(
            400,
            21405,
            "VoiceFallbackUrl cannot be set without VoiceUrl",
        );
    }
    *number = changed.clone();
    Does::Answers(200, changed)
}

fn change_call(call: &mut Value, asked: &Asked) -> Does {
    let status = call["status"].as_str().unwrap_or_default().to_owned();
    let waits = matches!(status.as_str(), "queued" | "ringing");
    let talks = status == "in-progress";
    let (to, allowed) = match asked.form("Status") {
        Some("completed") => ("completed", waits || talks),
        Some("canceled") => ("canceled", waits),
        _ => (status.as_str(), talks),
    };
    if !allowed {
        return error(400, 21220, "Call is not in-progress. Cannot redirect.");
    }
    call["status"] = json!(to);
    Does::Answers(200, call.clone())
}

/// `VoiceUrl` → `voice_url`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn shown(row: Option<&Value>, path: &str) -> Does {
    row.map_or_else(|| not_found(path), |row| Does::Answers(200, row.clone()))
}

fn not_found(path: &str) -> Does {
    error(
        404,
        20404,
        &format!("The requested resource {path} was not found"),
    )
}

/// A status without a reason of its own.
fn fail(status: u16) -> Does {
    match status {
        401 => error(401, 20003, "Authenticate"),
        429 => error(429, 20429, "Too Many Requests"),
        other => error(other, 20500, "An internal server error has occurred"),
    }
}

fn error(status: u16, code: u32, message: &str) -> Does {
    let more_info = format!("https://www.twilio.com/docs/errors/{code}");
    Does::Answers(
        status,
        json!({"code": code, "message": message, "more_info": more_info, "status": status}),
    )
}
