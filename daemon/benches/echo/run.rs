//! So many calls to one server, or to two at once, and what they saw.

use super::support::figures::ms;
use super::support::machine::{MOST_TAKEN, Watch, cpu_secs};
use super::support::server::{Memory, Server};
use super::who::{AUTH_TOKEN, PUBLIC_URL, Who};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use voice_streamer::media::wav;
use voice_streamer::phone::{self, Line, Progress, Swarm, SwarmReport};

/// A server carries so many calls if so many frames in a hundred come back sooner than this …
pub(crate) const CARRIES_P99_MS: f64 = 20.0;

/// … and the generator itself was at most half a frame late; else the figures are about it and not about the server.
const GENERATOR_LATE_MS: f64 = 10.0;

/// New calls per second. Setting up is not what is measured here, so it may take a while.
const RAMP_PER_SEC: usize = 250;

pub(crate) const FRAMES_PER_SEC: f64 = 50.0;

/// What one server did with so many calls.
pub(crate) struct Run {
    pub(crate) report: SwarmReport,
    frames: u64,
    cpu_secs: f64,
    wall_secs: f64,
    /// Processor time of the generator.
    own_cpu_secs: f64,
    /// The part of a core that was taken meanwhile by what is not part of the measurement.
    pub(crate) taken: f64,
    /// At the end of the talk, if that was asked for.
    pub(crate) talking: Memory,
}

/// Who rings, and for how long.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) calls: usize,
    pub(crate) length: Duration,
    pub(crate) speech: Speech,
    /// Memory is weighed at the end.
    pub(crate) weigh: bool,
}

/// Both at once.
pub(crate) async fn pair([one, other]: [Who; 2], plan: &Plan) -> io::Result<(Run, Run)> {
    let servers = [one.start(plan.calls).await?, other.start(plan.calls).await?];
    let pids = [servers[0].pid(), servers[1].pid()];
    let both = tokio::join!(
        talk_to(&servers[0], one, plan, &pids),
        talk_to(&servers[1], other, plan, &pids)
    );
    Ok((both.0?, both.1?))
}

/// One server by itself.
pub(crate) async fn talk(who: Who, plan: &Plan) -> io::Result<Run> {
    let server = who.start(plan.calls).await?;
    talk_to(&server, who, plan, &[server.pid()]).await
}

/// What callers say; none of them says a word without it.
pub(crate) type Speech = Option<Arc<[u8]>>;

/// The clip of the tests: two seconds.
pub(crate) fn speech() -> Arc<[u8]> {
    let clip = include_bytes!("../../tests/data/speech/good_morning.wav");
    let sound = wav::read(clip).unwrap_or_else(|error| unreachable!("our own clip: {error}"));
    wav::to_line(&sound).into()
}

/// `measured` are all processes that are part of it.
async fn talk_to(server: &Server, who: Who, plan: &Plan, measured: &[u32]) -> io::Result<Run> {
    let mut line = Line::to(format!("http://{}", server.address));
    if who != Who::Bare {
        line = line.signed(AUTH_TOKEN, PUBLIC_URL);
    }
    let swarm = Swarm {
        calls: plan.calls,
        length: plan.length,
        ramp_per_sec: RAMP_PER_SEC,
        speech: plan.speech.clone(),
    };
    let own = std::process::id();
    let sight = |progress: Progress| Sight {
        cpu_secs: cpu_secs(server.pid()),
        own_cpu_secs: cpu_secs(own),
        frames: progress.frames_back,
        talked: progress.talked,
    };
    let (mut from, mut to, mut talking) = (None, None, None);
    let talked = phone::swarm(&line, &swarm, |progress| {
        if !progress.talked.is_zero() && from.is_none() {
            from = Some((sight(progress), Watch::begin(measured)));
        }
        if progress.talked >= plan.length {
            let taken = from.as_ref().map_or(0.0, |(_, watch)| watch.taken());
            to = Some((sight(progress), taken));
            if plan.weigh {
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
    let (Some((from, _)), Some((to, taken))) = (from, to) else {
        return Err(io::Error::other("no call talked"));
    };
    Ok(Run {
        frames: to.frames - from.frames,
        cpu_secs: to.cpu_secs - from.cpu_secs,
        own_cpu_secs: to.own_cpu_secs - from.own_cpu_secs,
        wall_secs: (to.talked - from.talked).as_secs_f64(),
        taken,
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
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu_secs * 1e6 / self.frames as f64
    }

    pub(crate) fn p99_ms(&self) -> f64 {
        ms(&self.report.round_trip_us, 0.99)
    }

    /// Whether the machine had other things to do.
    pub(crate) fn is_disturbed(&self) -> bool {
        self.taken > MOST_TAKEN
    }

    /// Whether it says nothing about the server, and why.
    pub(crate) fn void(&self) -> Option<&'static str> {
        if ms(&self.report.generator_late_us, 0.99) > GENERATOR_LATE_MS {
            Some("void: the generator is late")
        } else if self.is_disturbed() {
            Some("void: the machine is busy")
        } else {
            None
        }
    }

    /// Whether the server carries these calls, or why not.
    pub(crate) fn carries(&self) -> Result<(), &'static str> {
        let report = &self.report;
        if let Some(void) = self.void() {
            Err(void)
        } else if report.set_up < report.calls {
            Err("calls not set up")
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

pub(crate) fn heading() {
    println!(
        "{:>6} {:7} {:>8} {:>8} {:>8} {:>8} {:>6} {:>9} {:>6} {:>9} {:>9} {:>6}",
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
        "late p99",
        "others"
    );
}

pub(crate) fn row(who: Who, calls: usize, run: &Run) {
    let report = &run.report;
    let at = |quantile| ms(&report.round_trip_us, quantile);
    println!(
        "{calls:>6} {:7} {:>8.2} {:>8.2} {:>8.2} {:>8.2} {:>6} {:>9.2} {:>5.0}% {:>8.0}% {:>9.2} {:>5.0}%  {}",
        who.name(),
        at(0.5),
        at(0.99),
        at(0.999),
        report.round_trip_us.max() as f64 / 1000.0,
        report.frames_lost + report.stuck_frames,
        run.cpu_us(),
        100.0 * run.cpu_secs / run.wall_secs,
        100.0 * run.own_cpu_secs / run.wall_secs,
        ms(&report.generator_late_us, 0.99),
        100.0 * run.taken,
        run.carries().err().unwrap_or("ok"),
    );
    for (reason, count) in &report.failures {
        println!("       {count} × {reason}");
    }
}
