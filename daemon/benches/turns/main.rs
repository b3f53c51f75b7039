//! How soon the agent falls silent when he is interrupted, and how soon he answers: human speech, whole calls, as the
//! carrier sees it at its socket.
//!
//! ```text
//!  caller   ....SSSSSSSSSSSSSSSSSSSSSSS....................           S loud by the recording, V voiced by the detector
//!  verdict  .......VVVVVVVVVVVVVVVVVVVVVVV..................
//!  agent    PPPPPPPPPPPPPPPP                    PPPPPPPPPPPP
//!               a  b       c:clear        d     e f:media
//! ```
//!
//! `a` and `b` are when the first loud frame was written, and the first voiced one of the voice without a pause that
//! interrupts; `c` the frame by which the core has enough of it, and the time at which `clear` is read. `d` is the last
//! voiced frame, `e` when its silence has lasted for `end_of_turn_ms`, `f` when the first message of the answer is read.
//! Responder and voice (`talker.c`) answer at once.
//!
//! Which frame is which is known without asking the daemon: the same detector and the same core hear what the phone sent.
//! When a turn was decided is asked of its record: rows `turn_ended`, `waited_ms` behind the last voiced frame, in whole
//! milliseconds, so up to one more than is true is counted as the daemon's.
//!
//! ```text
//!  core 1  this process: the phones, which note when they write and read; a bare wire beside them, as the floor
//!  core 0  the daemon with its shipped turn settings, and talker.c
//! ```
//!
//! `cargo bench --bench turns` prints the figures; `-- --check` is a short run that fails at the bounds, with room for
//! what the bare wire of the same minute has lost. Without Debian's recordings everybody says the clip of the tests.

#![allow(clippy::print_stdout)]

mod heard;
#[path = "../support/mod.rs"]
mod support;

use clap::Parser;
use hdrhistogram::Histogram;
use heard::{Clip, Figures};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::figures::{heading, ms, row};
use support::machine::{MOST_TAKEN, Watch, cpu_secs};
use support::server::{Server, compile_plugin, daemon, pin_ourselves};
use support::wire;
use tokio::task::LocalSet;
use voice_streamer::call::Settings;
use voice_streamer::phone::{self, Line, Report, Script, Step};

/// The agent is heard for so long before he is interrupted, and some more that differs from time to time, so that
/// interruptions fall anywhere in frames and messages.
const HEARD_MS: u64 = 300;
const MORE_MS: u64 = 400;

/// The agent's answer is awaited for so long.
const PATIENCE_MS: u64 = 5000;

/// New calls per second.
const RAMP_PER_SEC: u64 = 50;

/// What was asked for: beyond the least voice, and for each of the two answers.
const BEYOND_MS: f64 = 25.0;
const BOUND_MS: f64 = 5.0;

/// `--check`: calls, and interruptions of each.
const CHECK_CALLS: usize = 40;
const CHECK_INTERRUPTIONS: usize = 3;

/// `--check`: so much of the bare wire's 99th percentile is forgiven: it is crossed twice, and both ends share a core.
const FORGIVEN: f64 = 4.0;

#[derive(Debug, Parser)]
struct Arguments {
    /// Calls at once, one run after the other
    #[arg(long, value_delimiter = ',', default_values_t = [100, 400])]
    calls: Vec<usize>,

    /// Interruptions in each call
    #[arg(long, default_value_t = 8)]
    interruptions: usize,

    /// A short run that fails at the bounds
    #[arg(long)]
    check: bool,

    /// Measure this daemon, not the one built with the bench
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
    let settings = Settings::default();
    let (clips, who) = heard::clips(&settings);
    println!(
        "{} of {who}; barge_in_ms {}, end_of_turn_ms {}",
        clips.len(),
        settings.barge_in_ms,
        settings.end_of_turn_ms
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (calls, interruptions) = if arguments.check {
        (vec![CHECK_CALLS], CHECK_INTERRUPTIONS)
    } else {
        (arguments.calls.clone(), arguments.interruptions)
    };
    let mut holds = true;
    for calls in calls {
        let run = run(arguments, &settings, &clips, calls, interruptions);
        let (figures, wire) = LocalSet::new().block_on(&runtime, run)?;
        holds &= figures.is_whole(calls * interruptions);
        if arguments.check {
            holds &= check(&settings, &figures, &wire);
        }
    }
    Ok(holds)
}

/// So many calls, and what they saw.
async fn run(
    arguments: &Arguments,
    settings: &Settings,
    clips: &[Arc<Clip>],
    calls: usize,
    interruptions: usize,
) -> io::Result<(Figures, Histogram<u64>)> {
    let folder = tempfile::tempdir()?;
    compile_plugin(folder.path(), "benches/turns/talker.c")?;
    let binary = daemon(arguments.daemon.as_deref(), &[])?;
    let server = Server::daemon(&binary, folder, &configuration(calls)).await?;
    let watch = Watch::begin(&[server.pid()]);
    let (before, began) = (cpu_secs(server.pid()), tokio::time::Instant::now());
    let (callers, wire) = talk(&server, clips, calls, interruptions).await?;
    let taken = watch.taken();
    let busy = (cpu_secs(server.pid()) - before) / began.elapsed().as_secs_f64();

    let mut figures = Figures::new();
    for (said, report) in &callers {
        let waited = turns(&server, &report.call_sid).await?;
        figures.count(settings, said, report, &waited);
    }
    println!(
        "\n{calls} calls, {} interruptions, {} answers; the daemon's core is busy for {:.0} %, others take {:.0} % of one{}",
        figures.interruptions,
        figures.answers(),
        100.0 * busy,
        100.0 * taken,
        if taken > MOST_TAKEN {
            ": too much to judge by these figures"
        } else {
            ""
        }
    );
    heading("");
    row("interrupted: first loud frame to clear", &figures.from_loud);
    row(
        "             first voiced frame to clear",
        &figures.from_voiced,
    );
    row(
        "             deciding frame to clear",
        &figures.from_deciding,
    );
    row(
        "answered: silence is long enough to media",
        &figures.from_silence,
    );
    row("          turn decided to media", &figures.from_decided);
    row("a bare wire beside", &wire);
    figures.print_what_is_wrong();
    Ok((figures, wire))
}

/// All calls, and the bare wire as long as they last. With each what its caller said, in order.
async fn talk(
    server: &Server,
    clips: &[Arc<Clip>],
    calls: usize,
    interruptions: usize,
) -> io::Result<(Vec<(Vec<Arc<Clip>>, Report)>, Histogram<u64>)> {
    let enough = Arc::new(AtomicBool::new(false));
    let wire = tokio::task::spawn_local(wire::bare(Arc::clone(&enough)));
    let mut callers = Vec::new();
    for call in 0..calls {
        let line = Line::to(format!("http://{}", server.address));
        // Each goes on where the one before will end: all clips are said as often, and not by everybody at once.
        let said: Vec<Arc<Clip>> = (0..interruptions)
            .map(|number| Arc::clone(&clips[(call * interruptions + number) % clips.len()]))
            .collect();
        let mut steps = vec![Step::WaitForVoice {
            most_ms: PATIENCE_MS,
        }];
        for (number, clip) in said.iter().enumerate() {
            let more = (call * 31 + number * 137) as u64 % MORE_MS;
            steps.extend([
                Step::Pause {
                    ms: HEARD_MS + more,
                },
                Step::Say(Arc::clone(&clip.sound)),
                Step::WaitForVoice {
                    most_ms: PATIENCE_MS,
                },
            ]);
        }
        steps.push(Step::HangUp);
        let caller = tokio::task::spawn_local(async move {
            phone::call(&line, Script::of(steps), |_, _| ()).await
        });
        callers.push((said, caller));
        tokio::time::sleep(Duration::from_millis(1000 / RAMP_PER_SEC)).await;
    }
    let mut reports = Vec::new();
    for (said, caller) in callers {
        let report = caller.await.map_err(io::Error::other)?;
        reports.push((
            said,
            report.map_err(|error| io::Error::other(error.to_string()))?,
        ));
    }
    enough.store(true, Ordering::Relaxed);
    Ok((reports, wire.await.map_err(io::Error::other)??))
}

/// How long the daemon says that it waited before it decided each turn of this call, in order.
async fn turns(server: &Server, call_sid: &str) -> io::Result<Vec<u64>> {
    let path = format!("/audio/api/logs/?event=turn_ended&limit=100&call={call_sid}");
    let body = server.get(&path).await?;
    let json: serde_json::Value = serde_json::from_str(&body)?;
    let rows = json["logs"].as_array().map_or(&[][..], Vec::as_slice);
    // Newest first.
    let waited = rows.iter().rev();
    Ok(waited
        .filter_map(|row| row["detail"]["waited_ms"].as_u64())
        .collect())
}

/// The bounds, with what the bare wire has lost.
fn check(settings: &Settings, figures: &Figures, wire: &Histogram<u64>) -> bool {
    let forgiven = FORGIVEN * ms(wire, 0.99);
    let mut holds = true;
    for (what, of, most) in [
        (
            "first voiced frame to clear",
            &figures.from_voiced,
            settings.barge_in_ms as f64 + BEYOND_MS,
        ),
        ("deciding frame to clear", &figures.from_deciding, BOUND_MS),
        ("turn decided to media", &figures.from_decided, BOUND_MS),
    ] {
        let (p99, most) = (ms(of, 0.99), most + forgiven);
        let fine = p99 <= most;
        println!(
            "{what}: p99 {p99:.2} ms, at most {most:.2}: {}",
            if fine { "holds" } else { "EXCEEDED" }
        );
        holds &= fine;
    }
    holds
}

fn configuration(calls: usize) -> String {
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
[plugins.talker]
library = "./libtalker.so"
[voices.ready]
plugin = "talker"
[agents.default]
responder = "talker"
voice = "ready"
greeting = "Hello! You may interrupt me at any time."
"#,
        connections = calls * 3 + 100,
    )
}
