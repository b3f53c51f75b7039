//! What tests of whole calls stand on: the real daemon as a process on a free port, HTTP asked plainly, and a
//! websocket whose every byte a test decides.
//!
//! Nothing here sleeps: waiting is looking again until a deadline, with a short wait on a channel nobody writes to.

#![allow(dead_code, unreachable_pub, clippy::print_stdout, clippy::unwrap_used)]

pub mod callers;
pub mod edited;
pub mod operator;
pub mod people;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use voice_plugin::abi::{kind, role};
use voice_streamer::media::wav::{self, Wav};
use voice_streamer::phone::Line;
use voice_streamer::plugin::{Generation, Library};

/// Longest anything may take here; only a failing test ever waits so long.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Asks again until there is an answer.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let (_never, wait) = mpsc::channel::<()>();
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            began.elapsed() < DEADLINE,
            "waited {DEADLINE:?} in vain: {what}"
        );
        let timed_out = wait.recv_timeout(Duration::from_millis(10));
        assert_eq!(timed_out, Err(mpsc::RecvTimeoutError::Timeout));
    }
}

/// Where the daemon's binary is, and the plugins beside it.
///
/// `cargo test` builds the binary, but leaves libraries for other languages in `deps`, if it builds them at all: only
/// `cargo build` puts them beside the binary. So it is asked to, once for each file of tests; the lock on the target
/// directory is free by the time tests run, and a second time there is nothing to do.
pub fn binary() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_voice-streamer"));
        let profile = binary.parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([
            "build",
            "--quiet",
            "--locked",
            "-p",
            "responder-echo",
            "-p",
            "responder-flow",
            "-p",
            "responder-webhook",
            "-p",
            "tts-pico",
            "-p",
            "tts-elevenlabs",
            "--target-dir",
        ]);
        cargo.arg(profile.parent().unwrap());
        if profile.file_name().is_some_and(|name| name == "release") {
            cargo.arg("--release");
        }
        cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap());
        assert!(
            cargo.status().unwrap().success(),
            "the plugins do not build"
        );
        binary
    })
}

/// A configuration: the shipped plugins, a parrot that answers 555 0100, a live echo that answers 555 0101.
pub const CONFIG: &str = r#"
[http]
listen = "127.0.0.1:0"
[log]
format = "json"
[plugins.echo]
library = "responder_echo"
[plugins.live]
library = "responder_echo"
mode = "live"
[plugins.pico]
library = "tts_pico"
[voices.english]
plugin = "pico"
voice = "en-US"
[agents.default]
responder = "echo"
voice = "english"
greeting = "Hello, this is the echo."
[agents.default.turn]
end_of_turn_ms = 700
barge_in = false
[agents.live]
responder = "live"
voice = "english"
[agents.live.turn]
detector = "off"
[numbers."+15550101"]
agent = "live"
"#;

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Child,
    pub address: SocketAddr,
    folder: Arc<TempDir>,
    log: Arc<Mutex<String>>,
    /// Reads its stderr to the end.
    reading: Option<JoinHandle<()>>,
}

impl Daemon {
    /// With [`CONFIG`] and further tables behind it.
    pub fn start(more: &str) -> Daemon {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        std::fs::write(
            folder.path().join("config.toml"),
            format!("{CONFIG}\n{more}"),
        )
        .unwrap();
        Daemon::again(&folder)
    }

    /// Whatever the configuration in this folder says, on the state that is there.
    pub fn again(folder: &Arc<TempDir>) -> Daemon {
        Daemon::prepared(folder, |_| ())
    }

    /// The same, with its arguments and environment changed before.
    pub fn prepared(folder: &Arc<TempDir>, prepare: impl FnOnce(&mut Command)) -> Daemon {
        let mut run = Command::new(binary());
        run.args(["run", "--config"])
            .arg(folder.path().join("config.toml"));
        run.env_remove("RUST_LOG");
        prepare(&mut run);
        Daemon::running(run, folder)
    }

    /// As it is shipped, but on a free port and with its state in this folder.
    pub fn as_shipped(folder: &Arc<TempDir>) -> Daemon {
        let mut run = Command::new(binary());
        run.env_remove("RUST_LOG")
            .arg("--config")
            .arg(shipped_config())
            .args(["--listen", "127.0.0.1:0", "--state"])
            .arg(folder.path());
        Daemon::running(run, folder)
    }

    fn running(mut run: Command, folder: &Arc<TempDir>) -> Daemon {
        let mut child = run
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (told, address) = mpsc::channel();
        let (lines, kept) = (
            BufReader::new(child.stderr.take().unwrap()).lines(),
            Arc::clone(&log),
        );
        let reading = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let json: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                if let Some(webhook) = json["fields"]["webhook"].as_str() {
                    let host = webhook
                        .trim_start_matches("http://")
                        .split('/')
                        .next()
                        .unwrap()
                        .to_owned();
                    told.send(host).ok();
                }
                writeln!(kept.lock().unwrap(), "{line}").unwrap();
            }
        });
        match address.recv_timeout(DEADLINE) {
            Ok(host) => Daemon {
                child,
                address: host.parse().unwrap(),
                folder: Arc::clone(folder),
                log,
                reading: Some(reading),
            },
            Err(error) => {
                child.kill().ok();
                panic!(
                    "the daemon did not start ({error}):\n{}",
                    log.lock().unwrap()
                );
            }
        }
    }

    /// Where its configuration and state are.
    pub fn folder(&self) -> &Arc<TempDir> {
        &self.folder
    }

    /// A telephone line to the agent who repeats turns.
    pub fn parrot(&self) -> Line {
        Line::to(format!("http://{}", self.address))
    }

    /// A telephone line to the live echo.
    pub fn live(&self) -> Line {
        Line {
            to: "+15550101".into(),
            ..self.parrot()
        }
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends it a signal: `TERM`, `HUP` …
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(sent.success(), "{kill}");
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal and waits for its end.
    #[track_caller]
    pub fn ends_after(self, signal: &str) -> (Option<i32>, String) {
        self.signal(signal);
        self.ends()
    }

    /// Waits for its end: the exit code, and everything it logged.
    #[track_caller]
    pub fn ends(mut self) -> (Option<i32>, String) {
        let status = until("the daemon ends", || self.child.try_wait().unwrap());
        self.reading.take().map(JoinHandle::join);
        (status.code(), self.log())
    }

    /// Everything it logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Status and body.
    pub fn get(&self, path: &str) -> (u16, String) {
        request(
            self.address,
            &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        )
    }

    /// A request with a body and any further header lines; everything that comes back.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        send(self.address, method, path, headers, body)
    }

    /// A JSON answer.
    #[track_caller]
    pub fn json(&self, path: &str) -> serde_json::Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// One sample of the metrics; 0 while it has never been counted.
    pub fn metric(&self, name: &str) -> u64 {
        let (_, text) = self.get("/metrics");
        let name = format!("voice_streamer_{name} ");
        text.lines()
            .find_map(|line| line.strip_prefix(&name)?.parse().ok())
            .unwrap_or(0)
    }

    /// Every sample of a counter with one label, by the label's value; those that are zero are left out.
    pub fn counts(&self, name: &str) -> BTreeMap<String, u64> {
        let (_, text) = self.get("/metrics");
        let head = format!("voice_streamer_{name}_total{{");
        let samples = text.lines().filter_map(|line| {
            let (_, value) = line.strip_prefix(&head)?.split_once("=\"")?;
            let (value, count) = value.split_once("\"} ")?;
            Some((value.to_owned(), count.parse().ok()?))
        });
        samples.filter(|(_, count)| *count > 0).collect()
    }

    /// The webhook of a call as the carrier posts it, unsigned: status and body.
    pub fn webhook(&self, path: &str, call_sid: &str, to: &str) -> (u16, String) {
        let body = format!(
            "AccountSid=AC1&CallSid={call_sid}&CallStatus=ringing&From=%2B15550123&To={}",
            to.replace('+', "%2B")
        );
        request(
            self.address,
            &format!(
                "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: \
                 application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
                self.address,
                body.len()
            ),
        )
    }

    /// A new call's token for the live echo.
    pub fn token(&self, call_sid: &str) -> String {
        let (status, twiml) = self.webhook("/twilio/stream/", call_sid, "+15550101");
        assert_eq!(status, 200, "{twiml}");
        token_in(&twiml)
    }

    /// Nothing panicked in it.
    #[track_caller]
    pub fn is_whole(&self) {
        assert_eq!(self.get("/healthz").0, 200);
        let log = self.log();
        assert!(!log.contains("panicked"), "{log}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("--- the daemon's log\n{}", self.log());
        }
    }
}

/// The one-time token in a document.
#[track_caller]
pub fn token_in(twiml: &str) -> String {
    let (_, rest) = twiml
        .split_once("name=\"token\" value=\"")
        .unwrap_or_else(|| panic!("no token in {twiml}"));
    rest.split('"').next().unwrap().to_owned()
}

/// A request with a body and any further header lines; everything that comes back.
pub fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let mut text = format!(
        "{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    if !headers.iter().any(|(name, _)| *name == "Host") {
        text += "Host: localhost\r\n";
    }
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n").unwrap();
    }
    Reply::read(&exchange(address, &format!("{text}\r\n{body}")))
}

/// What an HTTP request came to.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Reply {
    fn read(answer: &str) -> Reply {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
        let status = head.split(' ').nth(1);
        Reply {
            status: status.and_then(|status| status.parse().ok()).unwrap_or(0),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Problem details of this status, as RFC 9457 wants them; the detail.
    #[track_caller]
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        let kind = self.header("content-type");
        assert_eq!(kind, Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(problem["title"].is_string() && problem["type"].is_string());
        problem["detail"].as_str().unwrap().to_owned()
    }
}

/// Sends the text as it is; status and body of what comes, 0 when nothing does.
pub fn request(address: SocketAddr, text: &str) -> (u16, String) {
    let reply = Reply::read(&exchange(address, text));
    (reply.status, reply.body)
}

fn exchange(address: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(text.as_bytes()).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    String::from_utf8_lossy(&answer).into_owned()
}

/// A websocket that sends whatever a test wants.
pub struct Raw {
    stream: TcpStream,
    pub stream_sid: String,
}

impl Raw {
    /// After the handshake.
    pub fn open(daemon: &Daemon) -> Raw {
        Raw::open_at(daemon, "/ws/audio/stream/")
    }

    /// The same at another path.
    pub fn open_at(daemon: &Daemon, path: &str) -> Raw {
        Raw::over(TcpStream::connect(daemon.address).unwrap(), path)
    }

    /// After the handshake on a connection whose kernel keeps as little as it can for us: soon full if nobody reads.
    pub fn narrow(daemon: &Daemon) -> Raw {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        // The kernel raises it to its own least, about 2 KB.
        socket.set_recv_buffer_size(1).unwrap();
        socket.connect(&daemon.address.into()).unwrap();
        Raw::over(socket.into(), "/ws/audio/stream/")
    }

    fn over(mut stream: TcpStream, path: &str) -> Raw {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let head = Raw::handshake("").replacen("/ws/audio/stream/", path, 1);
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        assert!(
            answer.starts_with(b"HTTP/1.1 101"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        Raw {
            stream,
            stream_sid: "MZ00112233445566778899aabbccddeeff".into(),
        }
    }

    /// The head of an upgrade request, with further lines.
    pub fn handshake(more: &str) -> String {
        format!(
            "GET /ws/audio/stream/ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
        )
    }

    /// A call with the live echo, up to its `start`.
    pub fn call(daemon: &Daemon, call_sid: &str) -> Raw {
        let token = daemon.token(call_sid);
        let mut raw = Raw::open(daemon);
        raw.text(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#);
        raw.start(call_sid, &token);
        raw
    }

    pub fn start(&mut self, call_sid: &str, token: &str) {
        let text = self.start_text(call_sid, token);
        self.text(&text);
    }

    pub fn start_text(&self, call_sid: &str, token: &str) -> String {
        let sid = &self.stream_sid;
        format!(
            r#"{{"event":"start","sequenceNumber":"1","start":{{"accountSid":"AC1","streamSid":"{sid}","callSid":"{call_sid}","tracks":["inbound"],"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}},"customParameters":{{"token":"{token}"}}}},"streamSid":"{sid}"}}"#
        )
    }

    /// The caller hangs up, as the carrier says it.
    pub fn stop(&mut self) {
        let text = self.stop_text();
        self.text(&text);
    }

    pub fn stop_text(&self) -> String {
        format!(
            r#"{{"event":"stop","sequenceNumber":"9","stop":{{"accountSid":"AC1","callSid":"CA1"}},"streamSid":"{}"}}"#,
            self.stream_sid
        )
    }

    pub fn mark_text(&self, name: &str) -> String {
        format!(
            r#"{{"event":"mark","sequenceNumber":"4","streamSid":"{}","mark":{{"name":"{name}"}}}}"#,
            self.stream_sid
        )
    }

    pub fn dtmf_text(&self, digit: &str) -> String {
        format!(
            r#"{{"event":"dtmf","streamSid":"{}","sequenceNumber":"5","dtmf":{{"track":"inbound_track","digit":"{digit}"}}}}"#,
            self.stream_sid
        )
    }

    /// A media message with this payload, base64 or not.
    pub fn media(&mut self, number: u32, payload: &str) {
        let text = self.media_text(number, payload);
        self.text(&text);
    }

    pub fn media_text(&self, number: u32, payload: &str) -> String {
        format!(
            r#"{{"event":"media","sequenceNumber":"{}","media":{{"track":"inbound","chunk":"{number}","timestamp":"{}","payload":"{payload}"}},"streamSid":"{}"}}"#,
            number + 1,
            number * 20,
            self.stream_sid
        )
    }

    pub fn text(&mut self, text: &str) {
        self.frame(0x81, text.as_bytes());
    }

    /// A masked frame with this first byte. A daemon that has closed already is no error here.
    pub fn frame(&mut self, first: u8, payload: &[u8]) {
        self.bytes(&framed(first, payload));
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).ok();
    }

    /// The next frame: opcode and payload; `None` at the end of the stream.
    pub fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).ok()?;
        let length = match head[1] {
            126 => {
                let mut length = [0; 2];
                self.stream.read_exact(&mut length).ok()?;
                usize::from(u16::from_be_bytes(length))
            }
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).ok()?;
        Some((head[0] & 0x0F, payload))
    }

    /// Reads until media with exactly this payload comes back: the stream lives and echoes.
    #[track_caller]
    pub fn echoes(&mut self, number: u32, payload: &str) {
        self.media(number, payload);
        loop {
            let (opcode, bytes) = self.next().expect("the stream ended before the echo came");
            assert_ne!(opcode, 8, "closed instead of echoing: {bytes:?}");
            if String::from_utf8_lossy(&bytes).contains(payload) {
                return;
            }
        }
    }

    /// Returns when everything sent so far has been looked at and the stream still stands: a ping is answered in order.
    #[track_caller]
    pub fn settles(&mut self) {
        self.frame(0x89, b"settled?");
        loop {
            let (opcode, bytes) = self.next().expect("the stream ended before the pong came");
            assert_ne!(opcode, 8, "closed: {}", String::from_utf8_lossy(&bytes));
            if opcode == 0xA && bytes == b"settled?" {
                return;
            }
        }
    }

    /// Nothing more will be sent.
    pub fn end(&self) {
        self.stream.shutdown(Shutdown::Write).ok();
    }

    /// Reads to the end; the close code, if one was said.
    pub fn close_code(&mut self) -> Option<u16> {
        let mut code = None;
        while let Some((opcode, payload)) = self.next() {
            if opcode == 8 && payload.len() >= 2 {
                code = Some(u16::from_be_bytes([payload[0], payload[1]]));
                self.frame(0x88, &payload);
            }
        }
        code
    }
}

/// A call that nothing may happen to: echoes frame after frame on a thread of its own, each compared.
pub struct Bystander {
    enough: Arc<AtomicBool>,
    talking: JoinHandle<u32>,
}

impl Bystander {
    pub fn call(daemon: &Daemon) -> Bystander {
        let mut raw = Raw::call(daemon, "CAbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
        raw.echoes(0, &frame_payload(0));
        let enough = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&enough);
        let talking = std::thread::spawn(move || {
            for number in 1.. {
                if told.load(Ordering::Relaxed) {
                    return number;
                }
                let payload = frame_payload(number);
                raw.media(number, &payload);
                // One frame is under way at a time, so the next sound must be that one, whole and alone.
                let (_, sound) = std::iter::from_fn(|| raw.next())
                    .find(|(opcode, _)| *opcode == 1 || *opcode == 8)
                    .expect("the bystander's stream ended");
                let sound = String::from_utf8(sound).unwrap();
                let whole = format!("\"payload\":\"{payload}\"");
                assert!(
                    sound.contains(&whole),
                    "frame {number} came back as {sound}"
                );
            }
            unreachable!("four thousand million frames are two years")
        });
        Bystander { enough, talking }
    }

    /// Ends it; every frame came back, and there were some.
    #[track_caller]
    pub fn was_untouched(self) {
        self.enough.store(true, Ordering::Relaxed);
        let frames = self.talking.join().expect("the bystander's call suffered");
        println!("the bystander's {frames} frames came back");
        assert!(frames > 1);
    }
}

/// A masked client frame.
pub fn framed(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short if short < 126 => bytes.push(0x80 | short as u8),
        middle if middle < 65536 => {
            bytes.push(0x80 | 126);
            bytes.extend((middle as u16).to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    bytes.extend(mask);
    bytes.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    bytes
}

/// 160 samples, base64, told apart by a number.
pub fn frame_payload(number: u32) -> String {
    let samples: Vec<u8> = (0..160_u32)
        .map(|place| 0x80 | ((number + place) % 100) as u8)
        .collect();
    base64_simd::STANDARD.encode_to_string(samples)
}

/// A runtime for the simulated phone.
pub fn phone<T>(call: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(call)
}

/// Compiles `tests/plugins/NAME.c` into this folder, as a stranger would compile his plugin; where the library is.
pub fn compile_plugin(name: &str, folder: &Path) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = folder.join(format!("lib{name}.so"));
    let compiled = Command::new("cc")
        .args([
            "-Wall",
            "-Wextra",
            "-Werror",
            "-std=gnu99",
            "-shared",
            "-fPIC",
            "-I",
        ])
        .arg(here.join("../plugin-api/include"))
        .arg("-o")
        .arg(&library)
        .arg(here.join(format!("tests/plugins/{name}.c")))
        .status()
        .unwrap();
    assert!(compiled.success());
    std::fs::set_permissions(&library, PermissionsExt::from_mode(0o755)).unwrap();
    library
}

/// A plugin that is built with optimisations whatever the daemon is: models are too slow without them.
pub fn release_library(package: &str) -> PathBuf {
    let target = binary().parent().unwrap().parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--release", "-p", package]);
    cargo.arg("--target-dir").arg(target);
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap());
    assert!(
        cargo.status().unwrap().success(),
        "{package} does not build"
    );
    let library = format!("lib{}.so", package.replace('-', "_"));
    target.join("release").join(library)
}

/// The configuration in the repository.
pub fn shipped_config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config.toml")
}

/// The recording of a caller: a human being, if Debian's prompts are installed, else the clip in the repository.
pub fn speech_file() -> PathBuf {
    let human = Path::new("/usr/share/asterisk/sounds/en_US_f_Allison/conf-getpin.wav");
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech/good_morning.wav");
    let path = if human.exists() { human.into() } else { clip };
    println!("the caller is {}", path.display());
    path
}

/// The same as the line carries it.
pub fn speech() -> Arc<[u8]> {
    wav::to_line(&wav::read(&read(&speech_file()).unwrap()).unwrap()).into()
}

/// What the built-in English voice makes of a text, as the line carries it; asked here and not through a daemon.
pub fn spoken(text: &str) -> Vec<u8> {
    spoken_as(text, "en-US")
}

/// The same with another of the built-in voices.
pub fn spoken_as(text: &str, name: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let library = binary().with_file_name("libtts_pico.so");
    let library = Library::load("pico", &library, folder.path(), None).unwrap();
    let generation = Generation::open(library, "pico", "{}").unwrap();
    let info = format!(
        r#"{{"call":{{"sid":"","from":"","to":""}},"format":{{"encoding":"s16le","rate":16000}},
        "language":"en-US","settings":{{"voice":"{name}"}}}}"#
    );
    let mut voice = generation.start(role::TTS, &info).unwrap();
    voice.send(kind::SPEAK, 0, 1, 0, text.as_bytes()).unwrap();
    let mut samples = Vec::new();
    until("the voice has said it", || {
        while let Some(record) = voice.next() {
            match record.kind {
                kind::AUDIO => samples.extend(
                    record
                        .data
                        .chunks_exact(2)
                        .map(|pair| i16::from_le_bytes([pair[0], pair[1]])),
                ),
                kind::FAILED => panic!("{}", String::from_utf8_lossy(record.data)),
                _ => {}
            }
            let done = record.kind == kind::DONE;
            voice.take();
            if done {
                return Some(());
            }
        }
        None
    });
    wav::to_line(&Wav {
        rate: 16_000,
        samples,
    })
}

/// Chance from a seed: xorshift64. `VS_SEED` sets another one; which it was is printed.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        let asked = std::env::var("VS_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let seed = asked.unwrap_or(seed);
        println!("VS_SEED={seed}");
        Dice(seed | 1)
    }

    /// A number below this one.
    pub fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }

    /// One to three small damages: a byte replaced, put in or taken out, the end cut off, a piece repeated elsewhere.
    pub fn damage(&mut self, text: &str) -> Vec<u8> {
        const MEANINGFUL: &[u8] = b"\"\\{}[]:,0179/+= \n\xffnu";
        let mut text = text.as_bytes().to_vec();
        for _ in 0..=self.roll(3) {
            let at = self.roll(text.len() + 1);
            let byte = match self.roll(2) {
                0 => MEANINGFUL[self.roll(MEANINGFUL.len())],
                _ => b' ' + self.roll(95) as u8,
            };
            match self.roll(5) {
                0 if at < text.len() => text[at] = byte,
                1 if at < text.len() => drop(text.remove(at)),
                2 if at > 0 => text.truncate(at),
                3 => {
                    let piece = text[self.roll(at + 1)..at].to_vec();
                    let to = self.roll(text.len() + 1);
                    text.splice(to..to, piece);
                }
                _ => text.insert(at, byte),
            }
        }
        text
    }
}

/// A file that cannot be read is told by name.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
}
