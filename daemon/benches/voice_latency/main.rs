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

#[path = "../support/mod.rs"]
mod support;

use clap::Parser;
use fakes::elevenlabs::{ElevenLabs, KEY, VOICE};
use hdrhistogram::Histogram;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::figures::{heading, histogram, micros, ms, row};
use support::server::{Server, compile_plugin, daemon, pin_ourselves};
use support::wire;
use tokio::task::LocalSet;
use voice_streamer::phone::{self, Line, Report, Script, Step};

/// From one key to the next: the utterance lasts half a second, and the next must not begin before it has been sent.
const BETWEEN_MS: u64 = 1200;

/// Keys of the first two seconds, which make connections, are not counted.
const WARM_UP: usize = 2;

/// What was asked for.
const BOUND_MS: f64 = 3.0;

/// `--check`: so much of the bare wire's 99th percentile is forgiven: it is crossed twice, and both ends share a core.
const FORGIVEN: f64 = 4.0;

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
    if let Some(problem) = pin_ourselves() {
        println!("not pinned to a core, the figures are worth less: {problem}");
    }
    let utterances = if arguments.check {
        8
    } else {
        arguments.utterances
    };
    let eleven = ElevenLabs::start(0)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (reports, wire) = LocalSet::new().block_on(&runtime, async {
        let server = start(arguments, &eleven).await?;
        talk(&server, arguments.calls, utterances + WARM_UP).await
    })?;

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
    heading("from the first byte to the carrier");
    row("added by the daemon", &added);
    row("a bare wire beside", &wire);
    for violation in seen.violations.iter().take(3) {
        println!("against the document: {violation}");
    }
    let whole = asked == arguments.calls * utterances && lost == 0;
    if !whole {
        println!("{} were to be asked for", arguments.calls * utterances);
    }
    let p99 = ms(&added, 0.99);
    let most = BOUND_MS + FORGIVEN * ms(&wire, 0.99);
    if arguments.check {
        println!("p99 {p99:.2} ms, at most {most:.2} ms");
        return Ok(whole && p99 <= most);
    }
    Ok(whole)
}

/// All calls, spread over the time between two keys, and the bare wire as long as they last.
async fn talk(
    server: &Server,
    calls: usize,
    utterances: usize,
) -> io::Result<(Vec<Report>, Histogram<u64>)> {
    let enough = Arc::new(AtomicBool::new(false));
    let wire = tokio::task::spawn_local(wire::bare(Arc::clone(&enough)));
    let mut callers = Vec::new();
    for _ in 0..calls {
        let line = Line::to(format!("http://{}", server.address));
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

/// The daemon under test, with the responder that says what has not been said before.
async fn start(arguments: &Arguments, eleven: &ElevenLabs) -> io::Result<Server> {
    let folder = tempfile::tempdir()?;
    compile_plugin(folder.path(), "benches/voice_latency/sayer.c")?;
    let binary = daemon(arguments.daemon.as_deref(), &["libtts_elevenlabs.so"])?;
    Server::daemon(&binary, folder, &configuration(eleven, arguments.calls)).await
}

fn configuration(eleven: &ElevenLabs, calls: usize) -> String {
    format!(
        r#"
[http]
max_connections = {connections}
max_connections_per_ip = {connections}
[limits]
lateness_ms = 0
calls = {calls}
calls_per_caller = {calls}
[log]
level = "warn"
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
