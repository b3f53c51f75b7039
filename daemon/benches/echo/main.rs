//! How many live echoes one core carries, beside the least that a server on fastwebsockets can do.
//!
//! ```text
//!  core 1  load generator (this process, phone::swarm): one call after the other, a tagged frame each 20 ms
//!  core 0  the server, a process of its own: bare.rs, or the daemon with signatures, tokens, core, plugin and store
//! ```
//!
//! `cargo build --release --workspace && cargo bench --bench echo` prints everything; `-- --help` has the choices.
//! `-- --detection` puts the daemon that listens with its neural detector beside the one without. That is the most that
//! detection can cost: the tag in each frame is loud, so the network is spared nothing, as if callers never fell silent.
//! `-- --check` is a short run with generous bounds, as ratios to the bare server of the same minute, for machines that
//! have other things to do.

#![allow(clippy::print_stdout)]

mod bare;
mod server;

use clap::Parser;
use hdrhistogram::Histogram;
use server::{AUTH_TOKEN, Memory, PUBLIC_URL, Server, Who, cpu_secs};
use std::hint::black_box;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use voice_streamer::media::{Detector, FRAME_SAMPLES, Kind, mulaw, wav};
use voice_streamer::phone::{self, Line, Progress, Swarm, SwarmReport};

/// A server carries so many calls if so many frames in a hundred come back sooner than this …
const CARRIES_P99_MS: f64 = 20.0;

/// … and the generator itself was at most half a frame late; else the figures are about it and not about the server.
const GENERATOR_LATE_MS: f64 = 10.0;

/// New calls per second. Setting up is not what is measured here, so it may take a while.
const RAMP_PER_SEC: usize = 250;

const FRAMES_PER_SEC: f64 = 50.0;

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

/// The detector by itself: how often it hears the clip; the median counts.
const ALONE_ROUNDS: usize = 101;

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

    /// The echo with the voice detector beside the echo without, instead of the daemon beside the bare server
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

/// What one server did with so many calls.
struct Run {
    report: SwarmReport,
    frames: u64,
    cpu_secs: f64,
    wall_secs: f64,
    /// Processor time of the generator.
    own_cpu_secs: f64,
    /// At the end of the talk, if that was asked for.
    talking: Memory,
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
        server::measure_instead(daemon.clone());
    }
    if let Some(problem) = server::pin_generator() {
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
            let speech = Some(speech());
            steps(arguments, [Who::Live, Who::Hearing], speech.clone()).await?;
            if !arguments.only_steps {
                beside([Who::Live, Who::Hearing], speech.clone()).await?;
            }
            if let Some(speech) = speech {
                detector_alone(&speech);
            }
            return Ok(true);
        }
        steps(arguments, [Who::Bare, Who::Live], None).await?;
        if !arguments.only_steps {
            beside([Who::Bare, Who::Live], None).await?;
            weigh().await?;
            first_sound().await?;
        }
        Ok(true)
    })
}

/// Two servers in turn at each step, and what they carry.
async fn steps(arguments: &Arguments, pair: [Who; 2], speech: Speech) -> io::Result<()> {
    println!(
        "live echo, {} s a step; round trips in ms",
        arguments.seconds
    );
    heading();
    let length = Duration::from_secs(arguments.seconds);
    let mut carried = [0, 0];
    let mut by_cpu = [0.0, 0.0];
    for &calls in &arguments.steps {
        let (mut carries, mut cpu) = ([0, 0], [Vec::new(), Vec::new()]);
        for _ in 0..arguments.rounds.max(1) {
            for (place, who) in pair.into_iter().enumerate() {
                let run = talk(who, calls, length, &speech, false).await?;
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
        let half = talk(
            who,
            WEIGHED_CALLS / 2,
            Duration::from_secs(WEIGHED_SECS),
            &None,
            true,
        )
        .await?;
        let all = talk(
            who,
            WEIGHED_CALLS,
            Duration::from_secs(WEIGHED_SECS),
            &None,
            true,
        )
        .await?;
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
    let server = Server::start(Who::Shipped, GREETED_CALLS).await?;
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
    let at = |histogram: &Histogram<u64>, quantile: f64| {
        histogram.value_at_quantile(quantile) as f64 / 1000.0
    };
    let sound = &report.first_audio_us;
    println!(
        "first sound after `start`, ms: p50 {:.2}, p95 {:.2}, p99 {:.2} of {} calls, {GREETED_PER_SEC} new ones a second; {:.1} the very first time",
        at(sound, 0.5),
        at(sound, 0.95),
        at(sound, 0.99),
        sound.len(),
        at(&first.first_audio_us, 1.0),
    );
    Ok(())
}

/// Processor time per frame, taken at the same time on the same core: a machine that has other things to do, or a
/// slower minute, does the same to both.
async fn beside(whos: [Who; 2], speech: Speech) -> io::Result<()> {
    let length = Duration::from_secs(BESIDE_SECS);
    let (mut ones, mut others, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..BESIDE_ROUNDS {
        let (one, other) = pair(whos, BESIDE_CALLS, length, &speech).await?;
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
fn by_processor_time(us: f64) -> f64 {
    1e6 / (FRAMES_PER_SEC * us)
}

/// What the detector costs by itself, in this process and warm. What it costs a call beyond that are its weights on
/// their way through the caches, and what they drive out of them.
fn detector_alone(speech: &[u8]) {
    let mut detector = Detector::new(Kind::Neural);
    let frames = speech.as_chunks::<FRAME_SAMPLES>().0;
    let mut rounds = Vec::new();
    for _ in 0..ALONE_ROUNDS {
        let began = Instant::now();
        for frame in frames {
            let mut pcm = [0; FRAME_SAMPLES];
            mulaw::decode(frame, &mut pcm);
            black_box(detector.frame(black_box(&pcm)));
        }
        rounds.push(began.elapsed().as_secs_f64() * 1e6 / frames.len() as f64);
    }
    println!(
        "the detector by itself and warm, gate and all: {:.2} µs a frame",
        median(rounds)
    );
}

/// Both at once.
async fn pair(
    [one, other]: [Who; 2],
    calls: usize,
    length: Duration,
    speech: &Speech,
) -> io::Result<(Run, Run)> {
    let servers = [
        Server::start(one, calls).await?,
        Server::start(other, calls).await?,
    ];
    let both = tokio::join!(
        talk_to(&servers[0], one, calls, length, speech, false),
        talk_to(&servers[1], other, calls, length, speech, false)
    );
    Ok((both.0?, both.1?))
}

/// What callers say; none of them says a word without it.
type Speech = Option<Arc<[u8]>>;

/// The clip of the tests: two seconds.
fn speech() -> Arc<[u8]> {
    let clip = include_bytes!("../../tests/data/speech/good_morning.wav");
    let sound = wav::read(clip).unwrap_or_else(|error| unreachable!("our own clip: {error}"));
    wav::to_line(&sound).into()
}

/// The bounds that hold on any machine.
async fn check() -> io::Result<bool> {
    let length = Duration::from_secs(CHECK_SECS);
    let (bare, live) = pair([Who::Bare, Who::Live], CHECK_CALLS, length, &None).await?;
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

/// One server by itself, so many calls, so long.
async fn talk(
    who: Who,
    calls: usize,
    length: Duration,
    speech: &Speech,
    weigh: bool,
) -> io::Result<Run> {
    let server = Server::start(who, calls).await?;
    talk_to(&server, who, calls, length, speech, weigh).await
}

async fn talk_to(
    server: &Server,
    who: Who,
    calls: usize,
    length: Duration,
    speech: &Speech,
    weigh: bool,
) -> io::Result<Run> {
    let mut line = Line::to(format!("http://{}", server.address));
    if who != Who::Bare {
        line = line.signed(AUTH_TOKEN, PUBLIC_URL);
    }
    let plan = Swarm {
        calls,
        length,
        ramp_per_sec: RAMP_PER_SEC,
        speech: speech.clone(),
    };
    let own = std::process::id();
    let sight = |progress: Progress| Sight {
        cpu_secs: cpu_secs(server.pid()),
        own_cpu_secs: cpu_secs(own),
        frames: progress.frames_back,
        talked: progress.talked,
    };
    let (mut from, mut to, mut talking) = (None, None, None);
    let talked = phone::swarm(&line, &plan, |progress| {
        if !progress.talked.is_zero() && from.is_none() {
            from = Some(sight(progress));
        }
        if progress.talked >= plan.length {
            to = Some(sight(progress));
            if weigh {
                talking = Some(server.memory());
            }
        }
    });
    let report = match talked.await {
        Ok(report) => report,
        Err(error) => {
            return Err(io::Error::other(format!(
                "{error}\n{}",
                server.last_words()
            )));
        }
    };
    let (Some(from), Some(to)) = (from, to) else {
        return Err(io::Error::other("no call talked"));
    };
    Ok(Run {
        frames: to.frames - from.frames,
        cpu_secs: to.cpu_secs - from.cpu_secs,
        own_cpu_secs: to.own_cpu_secs - from.own_cpu_secs,
        wall_secs: (to.talked - from.talked).as_secs_f64(),
        talking: talking.unwrap_or_default(),
        report,
    })
}

/// Counters at one moment.
struct Sight {
    cpu_secs: f64,
    own_cpu_secs: f64,
    frames: u64,
    talked: Duration,
}

impl Run {
    /// Processor time of the server per frame that came back, in µs.
    fn cpu_us(&self) -> f64 {
        self.cpu_secs * 1e6 / self.frames as f64
    }

    fn p99_ms(&self) -> f64 {
        self.report.round_trip_us.value_at_quantile(0.99) as f64 / 1000.0
    }

    /// Whether the server carries these calls, or why not.
    fn carries(&self) -> Result<(), &'static str> {
        let report = &self.report;
        if report.set_up < report.calls {
            Err("calls not set up")
        } else if report.generator_late_us.value_at_quantile(0.99) as f64 / 1000.0
            > GENERATOR_LATE_MS
        {
            Err("void: the generator is late")
        } else if report.dropped > 0 {
            Err("calls dropped")
        } else if report.frames_lost + report.stuck_frames > 0 {
            Err("frames lost")
        } else if self.p99_ms() >= CARRIES_P99_MS {
            Err("too slow")
        } else {
            Ok(())
        }
    }
}

impl Who {
    fn name(self) -> &'static str {
        match self {
            Who::Bare => "bare",
            Who::Live | Who::Shipped => "daemon",
            Who::Hearing => "hearing",
        }
    }
}

fn heading() {
    println!(
        "{:>6} {:7} {:>8} {:>8} {:>8} {:>8} {:>6} {:>9} {:>6} {:>9} {:>9}",
        "calls",
        "server",
        "p50",
        "p99",
        "p99.9",
        "max",
        "lost",
        "µs/frame",
        "core",
        "generator",
        "late p99"
    );
}

fn row(who: Who, calls: usize, run: &Run) {
    let report = &run.report;
    let at = |quantile| report.round_trip_us.value_at_quantile(quantile) as f64 / 1000.0;
    println!(
        "{calls:>6} {:7} {:>8.2} {:>8.2} {:>8.2} {:>8.2} {:>6} {:>9.2} {:>5.0}% {:>8.0}% {:>9.2}  {}",
        who.name(),
        at(0.5),
        at(0.99),
        at(0.999),
        report.round_trip_us.max() as f64 / 1000.0,
        report.frames_lost + report.stuck_frames,
        run.cpu_us(),
        100.0 * run.cpu_secs / run.wall_secs,
        100.0 * run.own_cpu_secs / run.wall_secs,
        report.generator_late_us.value_at_quantile(0.99) as f64 / 1000.0,
        run.carries().err().unwrap_or("ok"),
    );
    for (reason, count) in &report.failures {
        println!("       {count} × {reason}");
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn percent(part: f64, whole: f64) -> String {
    format!("{:.0} %", 100.0 * part / whole)
}
