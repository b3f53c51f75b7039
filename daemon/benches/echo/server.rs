//! A server under test as a process of its own, pinned to one core, and what the kernel knows about it.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Where the servers run. The generator has [`GENERATOR_CORE`] to itself.
const SERVER_CORE: &str = "0";

/// Where the load generator runs.
const GENERATOR_CORE: &str = "1";

/// How long a server may take to listen.
const START_SECS: u64 = 20;

/// Linux reports processor time in hundredths of a second to everybody, whatever it counts in itself.
const TICKS_PER_SEC: f64 = 100.0;

/// What the daemon believes to be its address, so that signatures are over something.
pub(crate) const PUBLIC_URL: &str = "https://bench.example.com";

/// What the daemon and the generator sign with.
pub(crate) const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// The daemon that was asked for instead of the one built with the bench.
static ASKED_FOR: OnceLock<PathBuf> = OnceLock::new();

/// From here on this daemon is measured. The first word counts.
pub(crate) fn measure_instead(daemon: PathBuf) {
    ASKED_FOR.get_or_init(|| daemon);
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// [`super::bare`], in a process of its own.
    Bare,
    /// The daemon whose default agent is the live echo.
    Live,
    /// The same with the neural detector, as if it mattered to the echo who speaks.
    Hearing,
    /// The daemon as it is shipped: greeting, neural detector, parrot.
    Shipped,
}

/// Killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    folder: tempfile::TempDir,
}

/// Memory of a process in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Resident; a page that is mapped twice counts twice, as those of the plugins' rings are.
    pub(crate) rss: u64,
    /// Each page once, and shared ones by their share.
    pub(crate) pss: u64,
}

/// Pins this process to the generator's core, and lets it and its children open as many files as the system allows.
/// The answer is a sentence if that did not work: figures are then not worth much.
pub(crate) fn pin_generator() -> Option<String> {
    let pid = std::process::id().to_string();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    if let Some(hard) = files.and_then(|line| line.split_whitespace().nth(1)) {
        let nofile = format!("--nofile={hard}:{hard}");
        run("prlimit", &["--pid", &pid, &nofile]).err()
    } else {
        None
    }
    .or_else(|| run("taskset", &["-a", "-p", "-c", GENERATOR_CORE, &pid]).err())
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!(
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))
    }
}

impl Server {
    /// Starts one and waits until it listens.
    pub(crate) async fn start(who: Who, calls: usize) -> io::Result<Server> {
        let folder = tempfile::tempdir()?;
        let address = free_address()?;
        let mut command = Command::new("taskset");
        command.args(["-c", SERVER_CORE]);
        match who {
            Who::Bare => {
                command
                    .arg(std::env::current_exe()?)
                    .args(["--serve", &address.to_string()]);
            }
            Who::Live | Who::Hearing | Who::Shipped => {
                let config = folder.path().join("config.toml");
                fs::write(&config, configuration(who, calls))?;
                let state = folder.path().join("state");
                command
                    .arg(daemon()?)
                    .args(["run", "--listen", &address.to_string()]);
                command
                    .arg("--config")
                    .arg(config)
                    .arg("--state")
                    .arg(state);
            }
        }
        let log = File::create(folder.path().join("log"))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let mut server = Server {
            child,
            address,
            folder,
        };
        let began = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            if server.child.try_wait()?.is_some()
                || began.elapsed() > Duration::from_secs(START_SECS)
            {
                return Err(io::Error::other(format!(
                    "the server did not start: {}",
                    server.last_words()
                )));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(server)
    }

    /// The process; `taskset` has become the server by then.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }

    /// What it occupies now.
    pub(crate) fn memory(&self) -> Memory {
        let rollup =
            fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid())).unwrap_or_default();
        let bytes = |name: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name));
            let kb = line
                .and_then(|line| line.split_whitespace().next())
                .and_then(|kb| kb.parse::<u64>().ok());
            kb.unwrap_or(0) * 1024
        };
        Memory {
            rss: bytes("Rss:"),
            pss: bytes("Pss:"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to save in either case.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Processor time a process has had so far, in seconds, all threads.
pub(crate) fn cpu_secs(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field is the name in brackets, which may hold anything.
    let fields = stat
        .rsplit_once(')')
        .map_or("", |(_, fields)| fields)
        .split_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    ticks as f64 / TICKS_PER_SEC
}

/// The daemon's binary, and the plugins beside it.
fn daemon() -> io::Result<PathBuf> {
    let built = PathBuf::from(env!("CARGO_BIN_EXE_voice-streamer"));
    let daemon = ASKED_FOR.get().unwrap_or(&built).clone();
    let beside = daemon.parent().unwrap_or(Path::new("."));
    for library in ["libresponder_echo.so", "libtts_pico.so"] {
        if !beside.join(library).exists() {
            let missing = format!(
                "{} has no {library}; build it first: cargo build --release --workspace",
                beside.display()
            );
            return Err(io::Error::new(io::ErrorKind::NotFound, missing));
        }
    }
    Ok(daemon)
}

/// A port nobody has at the moment.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn configuration(who: Who, calls: usize) -> String {
    let agent = match who {
        Who::Bare | Who::Live => {
            "responder = \"live\"\nvoice = \"english\"\nturn = { detector = \"off\" }"
        }
        Who::Hearing => "responder = \"live\"\nvoice = \"english\"",
        Who::Shipped => {
            "responder = \"echo\"\nvoice = \"english\"\ngreeting = \"Hello! I am an echo with good manners. Say something.\""
        }
    };
    format!(
        r#"
[http]
public_url = "{PUBLIC_URL}"
max_connections = {connections}
[twilio]
auth_token = "{AUTH_TOKEN}"
[limits]
calls = {calls}
[media]
threads = 1
[plugins.live]
library = "responder_echo"
mode = "live"
[plugins.echo]
library = "responder_echo"
[plugins.pico]
library = "tts_pico"
[voices.english]
plugin = "pico"
voice = "en-US"
[agents.default]
{agent}
"#,
        connections = calls * 3 + 100,
    )
}
