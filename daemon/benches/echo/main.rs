//! How many live echoes one core carries, beside the least that a server on fastwebsockets can do.
//!
//! ```text
//!  core 1  load generator (this process, phone::swarm): one call after the other, a tagged frame each 20 ms
//!  core 0  the server, a process of its own: bare.rs, or the daemon with signatures, tokens, core, plugin and store
//! ```
//!
//! `cargo build --release --workspace && cargo bench --bench echo` prints everything; `-- --help` has the choices.
//! `-- --detection` puts the daemon that listens with its neural detector beside the one without, see `detection`.
//! `-- --check` is a short run with generous bounds, as ratios to the bare server of the same minute, for machines that
//! have other things to do.

#![allow(clippy::print_stdout)]

mod bare;
mod detection;
mod run;
#[path = "../support/mod.rs"]
mod support;
mod who;

use clap::Parser;
use run::{CARRIES_P99_MS, FRAMES_PER_SEC, Plan, heading, pair, row, talk};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use support::figures::{median, ms};
use voice_streamer::phone::{self, Line, Swarm};
use who::{AUTH_TOKEN, PUBLIC_URL, Who};

/// Calls at which memory is weighed, and how long they talk: until each has used the whole of its plugin's ring.
const WEIGHED_CALLS: usize = 1000;
const WEIGHED_SECS: u64 = 6;

/// First sound: callers, new ones per second, and how long the one call talks that makes the greeting known.
const GREETED_CALLS: usize = 200;
const GREETED_PER_SEC: usize = 50;
const WARM_UP_SECS: u64 = 10;

/// Side by side: calls of each server, how long they talk, and how often it is repeated.
const BESIDE_CALLS: usize = 400;
const BESIDE_SECS: u64 = 8;
const BESIDE_ROUNDS: usize = 3;

/// `--check`: calls of each server, side by side, and seconds.
const CHECK_CALLS: usize = 200;
const CHECK_SECS: u64 = 6;

/// `--check`: most processor time per frame, as a multiple of the bare server's. It is about 1.2.
const CHECK_CPU_RATIO: f64 = 1.6;

/// `--check`: most of the 99th percentile, as a multiple of the bare server's and 5 ms on top.
const CHECK_P99_RATIO: f64 = 4.0;
const CHECK_P99_MORE_MS: f64 = 5.0;

#[derive(Debug, Parser)]
struct Arguments {
    /// Calls at once, one step after the other
    #[arg(long, value_delimiter = ',', default_values_t = [100, 500, 1000, 1500, 2000, 2500])]
    steps: Vec<usize>,

    /// How long they talk
    #[arg(long, default_value_t = 10)]
    seconds: u64,

    /// How often each step is taken; the medians count
    #[arg(long, default_value_t = 1)]
    rounds: usize,

    /// Only the steps: nothing side by side, neither memory nor first sound
    #[arg(long)]
    only_steps: bool,

    /// The echo with the voice detector beside the echo without, and nothing else; takes four minutes
    #[arg(long)]
    detection: bool,

    /// A short run that fails when generous bounds are passed
    #[arg(long)]
    check: bool,

    /// Measure this daemon, not the one built with the bench; its plugins lie beside it
    #[arg(long, value_name = "FILE")]
    daemon: Option<PathBuf>,

    /// Be the bare server
    #[arg(long, value_name = "ADDR", hide = true)]
    serve: Option<SocketAddr>,

    /// What cargo says to a bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.serve {
        Some(address) => bare::serve(address).map(|()| true),
        None => measure(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> io::Result<bool> {
    if let Some(daemon) = &arguments.daemon {
        who::measure_instead(daemon.clone());
    }
    if let Some(problem) = support::server::pin_ourselves() {
        println!("not pinned as it should be, so the figures say less: {problem}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        if arguments.check {
            return check().await;
        }
        if arguments.detection {
            return detection::measure().await.map(|()| true);
        }
        steps(arguments, [Who::Bare, Who::Live]).await?;
        if !arguments.only_steps {
            beside([Who::Bare, Who::Live]).await?;
            weigh().await?;
            first_sound().await?;
        }
        Ok(true)
    })
}

/// Two servers in turn at each step, and what they carry.
async fn steps(arguments: &Arguments, pair: [Who; 2]) -> io::Result<()> {
    println!(
        "live echo, {} s a step; round trips in ms",
        arguments.seconds
    );
    heading();
    let mut carried = [0, 0];
    let mut by_cpu = [0.0, 0.0];
    for &calls in &arguments.steps {
        let plan = silent(calls, arguments.seconds);
        let (mut carries, mut cpu) = ([0, 0], [Vec::new(), Vec::new()]);
        for _ in 0..arguments.rounds.max(1) {
            for (place, who) in pair.into_iter().enumerate() {
                let run = talk(who, &plan).await?;
                row(who, calls, &run);
                carries[place] += usize::from(run.carries() == Ok(()));
                cpu[place].push(run.cpu_us());
            }
        }
        let most = |place: usize| carries[place] * 2 > arguments.rounds;
        for place in [0, 1] {
            if most(place) {
                carried[place] = carried[place].max(calls);
            }
        }
        // Compared where both are well.
        if most(0) && most(1) {
            by_cpu = cpu.map(|us| by_processor_time(median(us)));
        }
    }
    let [one, other] = carried;
    let names = pair.map(Who::name);
    println!(
        "carried with p99 < {CARRIES_P99_MS} ms and no loss: {} {one}, {} {other}: {}",
        names[0],
        names[1],
        percent(other as f64, one as f64)
    );
    let [one, other] = by_cpu;
    println!(
        "one core by processor time: {} {one:.0}, {} {other:.0}: {}",
        names[0],
        names[1],
        percent(other, one)
    );
    Ok(())
}

/// What a call adds to the memory of a server: what the second half of the calls added, because the first half also
/// moves into what the start has left free.
async fn weigh() -> io::Result<()> {
    for who in [Who::Bare, Who::Live] {
        let weighed = |calls| Plan {
            weigh: true,
            ..silent(calls, WEIGHED_SECS)
        };
        let half = talk(who, &weighed(WEIGHED_CALLS / 2)).await?;
        let all = talk(who, &weighed(WEIGHED_CALLS)).await?;
        let call = |all: u64, half: u64| {
            (all as f64 - half as f64) / (WEIGHED_CALLS - WEIGHED_CALLS / 2) as f64 / 1024.0
        };
        println!(
            "memory of a call, {}: {:.1} KB (PSS), {:.1} KB (RSS); all of it at {WEIGHED_CALLS} calls: {:.0} MB (PSS)",
            who.name(),
            call(all.talking.pss, half.talking.pss),
            call(all.talking.rss, half.talking.rss),
            all.talking.pss as f64 / 1e6,
        );
    }
    Ok(())
}

/// From `start` to the first sound of a greeting that was said before.
async fn first_sound() -> io::Result<()> {
    let server = Who::Shipped.start(GREETED_CALLS).await?;
    let line = Line::to(format!("http://{}", server.address)).signed(AUTH_TOKEN, PUBLIC_URL);
    let warm_up = Swarm {
        calls: 1,
        length: Duration::from_secs(WARM_UP_SECS),
        ramp_per_sec: 1,
        speech: None,
    };
    let first = phone::swarm(&line, &warm_up, |_| {})
        .await
        .map_err(io::Error::other)?;
    let plan = Swarm {
        calls: GREETED_CALLS,
        length: Duration::from_secs(1),
        ramp_per_sec: GREETED_PER_SEC,
        speech: None,
    };
    let report = phone::swarm(&line, &plan, |_| {})
        .await
        .map_err(io::Error::other)?;
    let sound = &report.first_audio_us;
    println!(
        "first sound after `start`, ms: p50 {:.2}, p95 {:.2}, p99 {:.2} of {} calls, {GREETED_PER_SEC} new ones a second; {:.1} the very first time",
        ms(sound, 0.5),
        ms(sound, 0.95),
        ms(sound, 0.99),
        sound.len(),
        ms(&first.first_audio_us, 1.0),
    );
    Ok(())
}

/// Processor time per frame, taken at the same time on the same core: a machine that has other things to do, or a
/// slower minute, does the same to both.
async fn beside(whos: [Who; 2]) -> io::Result<()> {
    let plan = silent(BESIDE_CALLS, BESIDE_SECS);
    let (mut ones, mut others, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..BESIDE_ROUNDS {
        let (one, other) = pair(whos, &plan).await?;
        ones.push(one.cpu_us());
        others.push(other.cpu_us());
        ratios.push(one.cpu_us() / other.cpu_us());
    }
    let names = whos.map(Who::name);
    let [one, other] = [median(ones), median(others)];
    println!(
        "side by side on one core, {BESIDE_CALLS} calls each: {} {one:.2} µs a frame, {} {other:.2}: it carries {} of the calls, {:.0} and {:.0} a core by processor time",
        names[0],
        names[1],
        percent(median(ratios), 1.0),
        by_processor_time(one),
        by_processor_time(other),
    );
    Ok(())
}

/// Calls that fill one core, at so many µs a frame.
pub(crate) fn by_processor_time(us: f64) -> f64 {
    1e6 / (FRAMES_PER_SEC * us)
}

/// Callers who send nothing but tags.
fn silent(calls: usize, seconds: u64) -> Plan {
    Plan {
        calls,
        length: Duration::from_secs(seconds),
        speech: None,
        weigh: false,
    }
}

/// The bounds that hold on any machine.
async fn check() -> io::Result<bool> {
    let plan = silent(CHECK_CALLS, CHECK_SECS);
    let (bare, live) = pair([Who::Bare, Who::Live], &plan).await?;
    heading();
    row(Who::Bare, CHECK_CALLS, &bare);
    row(Who::Live, CHECK_CALLS, &live);
    let p99_bound = bare.p99_ms() * CHECK_P99_RATIO + CHECK_P99_MORE_MS;
    let not_set_up = live.report.calls - live.report.set_up;
    let mut holds = true;
    for (what, value, bound) in [
        (
            "processor time per frame, times bare",
            live.cpu_us() / bare.cpu_us(),
            CHECK_CPU_RATIO,
        ),
        ("p99 of the round trip, ms", live.p99_ms(), p99_bound),
        ("frames lost", live.report.frames_lost as f64, 0.0),
        (
            "calls not set up or dropped",
            (not_set_up + live.report.dropped) as f64,
            0.0,
        ),
    ] {
        // Not a number is not fine.
        let fine = value <= bound;
        println!(
            "{what}: {value:.2}, bound {bound:.2}: {}",
            if fine { "holds" } else { "EXCEEDED" }
        );
        holds &= fine;
    }
    Ok(holds)
}

pub(crate) fn percent(part: f64, whole: f64) -> String {
    format!("{:.0} %", 100.0 * part / whole)
}
