//! What the voice detector costs: the daemon that listens with its network beside the one that does not. That is the
//! most that detection can cost: the tag in each frame is loud, so the network is spared nothing, as if callers never
//! fell silent.
//!
//! ```text
//!  by itself          the detector in this process, warm
//!  by processor time  both servers at once on one core, again and again: what disturbs one disturbs the other
//!  by round trip      both in turn with ever more calls, each at the same parts of what its processor time allows
//! ```
//!
//! A run in which others took part of the cores is repeated, and void if that does not help.

use super::by_processor_time;
use super::percent;
use super::run::{CARRIES_P99_MS, Plan, Run, Speech, heading, pair, row, speech, talk};
use super::support::figures::median;
use super::who::Who;
use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};
use voice_streamer::media::{Detector, FRAME_SAMPLES, Kind, mulaw};

/// Who is put beside whom.
const WHOS: [Who; 2] = [Who::Live, Who::Hearing];

/// The detector by itself: how often it hears the clip; the median counts.
const ALONE_ROUNDS: usize = 101;

/// By processor time: calls of each server, how long they talk, and how many pairs of runs; the medians count.
const BESIDE_CALLS: usize = 300;
const BESIDE_SECS: u64 = 4;
const BESIDE_ROUNDS: usize = 5;

/// By round trip: parts of the calls that processor time allows, and how long they talk. A frame costs less the more of
/// them come at once, so there may be room for more than all.
const PARTS: [f64; 5] = [0.75, 0.85, 0.95, 1.05, 1.15];
const PART_SECS: u64 = 4;

/// A run that the machine has spoilt is repeated so often.
const REPEATS: usize = 1;

pub(crate) async fn measure() -> io::Result<()> {
    let clip = speech();
    detector_alone(&clip);
    let speech = Some(clip);
    let fill = by_time(&speech).await?;
    by_round_trip(fill, &speech).await
}

/// The detector by itself. What it costs a call beyond that are its weights on their way through the caches, and what
/// they drive out of them.
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

/// Processor time a frame, and how many calls of each would fill a core by it.
async fn by_time(speech: &Speech) -> io::Result<[f64; 2]> {
    let plan = Plan {
        calls: BESIDE_CALLS,
        length: Duration::from_secs(BESIDE_SECS),
        speech: speech.clone(),
        weigh: false,
    };
    let (mut us, mut ratios, mut spoilt) = ([Vec::new(), Vec::new()], Vec::new(), 0);
    while ratios.len() < BESIDE_ROUNDS {
        let (one, other) = pair(WHOS, &plan).await?;
        let disturbed = one.is_disturbed() || other.is_disturbed();
        if disturbed && spoilt < BESIDE_ROUNDS * REPEATS {
            spoilt += 1;
            continue;
        }
        us[0].push(one.cpu_us());
        us[1].push(other.cpu_us());
        ratios.push(one.cpu_us() / other.cpu_us());
    }
    let names = WHOS.map(Who::name);
    let [one, other] = us.map(median);
    println!(
        "side by side on one core, {BESIDE_CALLS} calls each: {} {one:.2} µs a frame, {} {other:.2}: it carries {} of the calls, {:.0} and {:.0} a core by processor time{}",
        names[0],
        names[1],
        percent(median(ratios), 1.0),
        by_processor_time(one),
        by_processor_time(other),
        busy(spoilt),
    );
    Ok([by_processor_time(one), by_processor_time(other)])
}

/// The most calls of each that come back in time.
async fn by_round_trip(fill: [f64; 2], speech: &Speech) -> io::Result<()> {
    println!("both in turn; round trips in ms");
    heading();
    let (mut carried, mut overrun, mut spoilt) = ([0, 0], [false, false], 0);
    for part in PARTS {
        for (place, who) in WHOS.into_iter().enumerate() {
            if overrun[place] {
                continue;
            }
            // To the next ten.
            let calls = (fill[place] * part / 10.0).round() as usize * 10;
            let plan = Plan {
                calls,
                length: Duration::from_secs(PART_SECS),
                speech: speech.clone(),
                weigh: false,
            };
            let run = undisturbed(who, &plan, &mut spoilt).await?;
            row(who, calls, &run);
            match run.carries() {
                Ok(()) => carried[place] = calls,
                Err(_) if run.void().is_some() => {}
                Err(_) => overrun[place] = true,
            }
        }
    }
    let [one, other] = carried;
    if one == 0 || other == 0 {
        println!("no run that says how many each carries{}", busy(spoilt));
        return Ok(());
    }
    let names = WHOS.map(Who::name);
    println!(
        "carried with p99 < {CARRIES_P99_MS} ms and no loss: {} {one}, {} {other}: {}{}",
        names[0],
        names[1],
        percent(other as f64, one as f64),
        busy(spoilt),
    );
    Ok(())
}

/// One run, again if the machine was busy meanwhile.
async fn undisturbed(who: Who, plan: &Plan, spoilt: &mut usize) -> io::Result<Run> {
    let mut run = talk(who, plan).await?;
    for _ in 0..REPEATS {
        if !run.is_disturbed() {
            break;
        }
        *spoilt += 1;
        run = talk(who, plan).await?;
    }
    Ok(run)
}

fn busy(spoilt: usize) -> String {
    match spoilt {
        0 => String::new(),
        _ => format!(
            "; but {spoilt} runs were disturbed by what else the machine does: take it again when it is quiet"
        ),
    }
}
