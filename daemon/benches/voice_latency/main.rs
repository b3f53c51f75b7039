//! What the daemon adds to a voice from the network: from the first byte of sound that a stand-in of ElevenLabs hands to
//! its socket to the first media message that the caller's carrier reads, with a hundred calls speaking.
//!
//! ```text
//!  core 1  this process: the stand-in, which notes when it hands over a first byte; a hundred phones, which note when
//!          they read a message; and a bare wire beside them, a socket pair with nothing in between, as the floor
//!  core 0  the daemon with tts-elevenlabs, and a responder (sayer.c) that says something new at every key
//! ```
//!
//! Both ends read one clock. `cargo build --release --workspace && cargo bench --bench voice_latency` prints the figures;
//! `-- --check` is a short run that fails at the bound, with room for what the bare wire of the same minute has lost.

#![allow(clippy::print_stdout)]

use clap::Parser;
use fakes::elevenlabs::{ElevenLabs, KEY, VOICE};
use hdrhistogram::Histogram;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::LocalSet;
use voice_streamer::phone::{self, Line, Report, Script, Step};

/// Where the daemon runs.
const DAEMON_CORE: &str = "0";

/// Where everything else runs.
const OUR_CORE: &str = "1";

/// From one key to the next: the utterance lasts half a second, and the next must not begin before it has been sent.
const BETWEEN_MS: u64 = 1200;

/// Keys of the first two seconds, which make connections, are not counted.
const WARM_UP: usize = 2;

/// The bare wire is tried this often.
const WIRE_MS: u64 = 5;

/// What was asked for.
const BOUND_MS: f64 = 3.0;

/// `--check`: so much of the bare wire's 99th percentile is forgiven: it is crossed twice, and both ends share a core.
const FORGIVEN: f64 = 4.0;

/// Longest time a histogram tells apart, in µs.
const LONGEST_US: u64 = 60_000_000;

#[derive(Debug, Parser)]
struct Arguments {
    /// Calls at once
    #[arg(long, default_value_t = 100)]
    calls: usize,

    /// Utterances of each
    #[arg(long, default_value_t = 20)]
    utterances: usize,

    /// A short run that fails at the bound
    #[arg(long)]
    check: bool,

    /// Measure this daemon, not the one built with the bench; its plugins lie beside it
    #[arg(long, value_name = "FILE")]
    daemon: Option<PathBuf>,

    /// What cargo says to a bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> io::Result<bool> {
    let own = std::process::id().to_string();
    if let Err(error) = run("taskset", &["-a", "-p", "-c", OUR_CORE, &own]) {
        println!("not pinned to a core, the figures are worth less: {error}");
    }
    let utterances = if arguments.check {
        8
    } else {
        arguments.utterances
    };
    let eleven = ElevenLabs::start(0)?;
    let daemon = Daemon::start(arguments.daemon.as_deref(), &eleven, arguments.calls)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let talk = talk(&daemon, arguments.calls, utterances + WARM_UP);
    let (reports, wire) = LocalSet::new().block_on(&runtime, talk)?;

    let mut added = histogram();
    let (mut lost, mut asked) = (0, 0);
    let seen = eleven.seen();
    for heard in seen.syntheses() {
        let text = heard.json["text"].as_str().unwrap_or_default();
        let Some((who, number)) = text.split_once(' ') else {
            continue;
        };
        if number.parse().is_ok_and(|number: usize| number <= WARM_UP) {
            continue;
        }
        asked += 1;
        let report = reports.iter().find(|report| report.call_sid.ends_with(who));
        let read = heard.sounded.zip(report).and_then(|(sounded, report)| {
            let first = report.media_at.iter().find(|at| **at >= sounded)?;
            Some(first.duration_since(sounded))
        });
        match read {
            Some(time) => added.saturating_record(micros(time)),
            None => lost += 1,
        }
    }
    println!(
        "{} calls, {asked} utterances, {lost} not heard, {} connections to the stand-in",
        reports.len(),
        seen.connections
    );
    println!("                      p50      p95      p99      max   ms");
    row("added by the daemon", &added);
    row("a bare wire beside", &wire);
    for violation in seen.violations.iter().take(3) {
        println!("against the document: {violation}");
    }
    let whole = asked == arguments.calls * utterances && lost == 0;
    if !whole {
        println!("{} were to be asked for", arguments.calls * utterances);
    }
    let p99 = added.value_at_quantile(0.99) as f64 / 1000.0;
    let most = BOUND_MS + FORGIVEN * wire.value_at_quantile(0.99) as f64 / 1000.0;
    if arguments.check {
        println!("p99 {p99:.2} ms, at most {most:.2} ms");
        return Ok(whole && p99 <= most);
    }
    Ok(whole)
}

fn histogram() -> Histogram<u64> {
    // The arguments are right, so there is always one.
    Histogram::new_with_bounds(1, LONGEST_US, 3).unwrap_or_else(|_| unreachable!("fixed bounds"))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn row(name: &str, of: &Histogram<u64>) {
    let ms = |quantile| of.value_at_quantile(quantile) as f64 / 1000.0;
    println!(
        "{name:<19} {:>8.2} {:>8.2} {:>8.2} {:>8.2}",
        ms(0.5),
        ms(0.95),
        ms(0.99),
        ms(1.0)
    );
}

/// All calls, spread over the time between two keys, and the bare wire as long as they last.
async fn talk(
    daemon: &Daemon,
    calls: usize,
    utterances: usize,
) -> io::Result<(Vec<Report>, Histogram<u64>)> {
    let enough = Arc::new(AtomicBool::new(false));
    let wire = tokio::task::spawn_local(bare_wire(Arc::clone(&enough)));
    let mut callers = Vec::new();
    for _ in 0..calls {
        let line = Line::to(format!("http://{}", daemon.address));
        let mut steps = vec![Step::Pause { ms: 500 }];
        for _ in 0..utterances {
            steps.extend([Step::Press('1'), Step::Pause { ms: BETWEEN_MS }]);
        }
        steps.push(Step::HangUp);
        callers.push(tokio::task::spawn_local(async move {
            phone::call(&line, Script::of(steps), |_, _| ()).await
        }));
        tokio::time::sleep(Duration::from_micros(BETWEEN_MS * 1000 / calls as u64)).await;
    }
    let mut reports = Vec::new();
    for caller in callers {
        let report = caller.await.map_err(io::Error::other)?;
        reports.push(report.map_err(|error| io::Error::other(error.to_string()))?);
    }
    enough.store(true, Ordering::Relaxed);
    Ok((reports, wire.await.map_err(io::Error::other)??))
}

/// A socket to a thread that writes the time into it, read where the phones are read.
async fn bare_wire(enough: Arc<AtomicBool>) -> io::Result<Histogram<u64>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let zero = Instant::now();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let Ok(runtime) = runtime else { return };
        // Ends when the other side has had enough.
        drop(runtime.block_on(write_times(address, zero)));
    });
    let (mut stream, _) = listener.accept().await?;
    let mut times = histogram();
    while !enough.load(Ordering::Relaxed) {
        let mut sent = [0; 8];
        stream.read_exact(&mut sent).await?;
        times.saturating_record(micros(zero.elapsed()).saturating_sub(u64::from_le_bytes(sent)));
    }
    Ok(times)
}

async fn write_times(to: SocketAddr, zero: Instant) -> io::Result<()> {
    let mut stream = tokio::net::TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let mut every = tokio::time::interval(Duration::from_millis(WIRE_MS));
    loop {
        every.tick().await;
        let now = micros(zero.elapsed());
        stream.write_all(&now.to_le_bytes()).await?;
    }
}

/// The daemon under test; killed when dropped.
struct Daemon {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Daemon {
    fn start(asked_for: Option<&Path>, eleven: &ElevenLabs, calls: usize) -> io::Result<Daemon> {
        let folder = tempfile::tempdir()?;
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let sayer = folder.path().join("libsayer.so");
        run(
            "cc",
            &[
                "-shared",
                "-fPIC",
                "-O1",
                "-I",
                &package.join("../plugin-api/include").to_string_lossy(),
                "-o",
                &sayer.to_string_lossy(),
                &package
                    .join("benches/voice_latency/sayer.c")
                    .to_string_lossy(),
            ],
        )?;
        // Writable for nobody else, whatever the umask: the daemon refuses it otherwise.
        run("chmod", &["755", &sayer.to_string_lossy()])?;
        let config = folder.path().join("config.toml");
        std::fs::write(&config, configuration(eleven, calls))?;
        let built = PathBuf::from(env!("CARGO_BIN_EXE_voice-streamer"));
        let daemon = asked_for.unwrap_or(&built);
        let library = daemon.with_file_name("libtts_elevenlabs.so");
        if !library.exists() {
            let missing = format!(
                "{} is missing; build it first: cargo build --release --workspace",
                library.display()
            );
            return Err(io::Error::new(io::ErrorKind::NotFound, missing));
        }
        let mut child = Command::new("taskset")
            .args(["-c", DAEMON_CORE])
            .arg(daemon)
            .args(["run", "--listen", "127.0.0.1:0", "--config"])
            .arg(&config)
            .arg("--state")
            .arg(folder.path().join("state"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut said = String::new();
        let log = child.stderr.take().map(BufReader::new);
        let mut lines = log.into_iter().flat_map(BufRead::lines);
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            said.push_str(&line);
            said.push('\n');
            let json: serde_json::Value = serde_json::from_str(&line).ok()?;
            let webhook = json["fields"]["webhook"].as_str()?;
            let host = webhook.trim_start_matches("http://").split('/').next()?;
            Some(host.to_owned())
        });
        // Read on, or the daemon would wait for room in the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let Some(address) = address else {
            drop(child.kill());
            return Err(io::Error::other(format!(
                "the daemon did not start:\n{said}"
            )));
        };
        Ok(Daemon {
            child,
            address,
            _folder: folder,
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to save in either case.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn run(program: &str, arguments: &[&str]) -> io::Result<()> {
    let output = Command::new(program).args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{program}: {}", said.trim())))
}

fn configuration(eleven: &ElevenLabs, calls: usize) -> String {
    format!(
        r#"
[http]
max_connections = {connections}
max_connections_per_ip = {connections}
[limits]
calls = {calls}
calls_per_caller = {calls}
[log]
level = "warn,voice_streamer::cli=info"
format = "json"
[media]
threads = 1
[plugins.sayer]
library = "./libsayer.so"
[plugins.eleven]
library = "tts_elevenlabs"
api_key = "{KEY}"
base_url = "{base}"
[voices.eleven]
plugin = "eleven"
voice = "{VOICE}"
[agents.default]
responder = "sayer"
voice = "eleven"
turn = {{ detector = "off" }}
"#,
        base = eleven.base(),
        connections = calls * 3 + 100,
    )
}
