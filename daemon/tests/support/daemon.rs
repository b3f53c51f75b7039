//! The real daemon as a process on a free port, with the configuration most tests are about.

use super::{DEADLINE, Reply, request, send, shipped_config, until};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread::JoinHandle;
use tempfile::TempDir;
use voice_streamer::phone::Line;

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
    pub fn ends(self) -> (Option<i32>, String) {
        let (status, log) = self.dies();
        (status.code(), log)
    }

    /// The same, for one that may end by a signal.
    #[track_caller]
    pub fn dies(mut self) -> (ExitStatus, String) {
        let status = until("the daemon ends", || self.child.try_wait().unwrap());
        self.reading.take().map(JoinHandle::join);
        (status, self.log())
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
