//! What tests of whole calls stand on: the real daemon as a process on a free port, HTTP asked plainly, and a
//! websocket whose every byte a test decides.
//!
//! Nothing here sleeps: waiting is looking again until a deadline, with a short wait on a channel nobody writes to.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use voice_streamer::phone::Line;

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
/// `cargo test` builds the binary but does not put the plugins beside it, so they are built here, once.
pub fn binary() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_voice-streamer"));
        let profile = binary.parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([
            "build",
            "--quiet",
            "-p",
            "responder-echo",
            "-p",
            "tts-pico",
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
        let mut child = Command::new(binary())
            .args(["run", "--config"])
            .arg(folder.path().join("config.toml"))
            .env_remove("RUST_LOG")
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
        std::thread::spawn(move || {
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
        let (_, rest) = twiml
            .split_once("name=\"token\" value=\"")
            .unwrap_or_else(|| panic!("no token in {twiml}"));
        rest.split('"').next().unwrap().to_owned()
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

/// Sends the text as it is; status and body of what comes, 0 when nothing does.
pub fn request(address: SocketAddr, text: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(text.as_bytes()).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    let answer = String::from_utf8_lossy(&answer);
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

/// A websocket that sends whatever a test wants.
pub struct Raw {
    stream: TcpStream,
    pub stream_sid: String,
}

impl Raw {
    /// After the handshake.
    pub fn open(daemon: &Daemon) -> Raw {
        let mut stream = TcpStream::connect(daemon.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let head = Raw::handshake("");
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
        let sid = self.stream_sid.clone();
        self.text(&format!(
            r#"{{"event":"start","sequenceNumber":"1","start":{{"accountSid":"AC1","streamSid":"{sid}","callSid":"{call_sid}","tracks":["inbound"],"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}},"customParameters":{{"token":"{token}"}}}},"streamSid":"{sid}"}}"#
        ));
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

/// A file that cannot be read is told by name.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
}
