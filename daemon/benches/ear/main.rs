//! What the ear costs and how well it hears: `cargo bench -p voice-streamer --bench ear`.
//!
//! ```text
//! cost        the network by itself and warm, plain and as this machine computes it, in turn, so that a slower minute
//!             does the same to both. What it costs in a call, among a thousand others, is in the bench `echo`
//! hearing     human beings who speak over noise, through 8 kHz µ-law, to the detector and the core's rules; beside it
//!             what was measured when the network was chosen (`then`): other clips, no gate, all noises together
//! ```
//!
//! The recordings are in Debian's packages; what is not installed is named and left out. Everything else comes from a
//! seed, so two runs print the same table.

#![allow(clippy::print_stdout)]

mod cost;
mod hearing;
mod noise;
#[path = "../support/mod.rs"]
mod support;

use hearing::{Heard, Speech, hear};
use noise::Kind as Noise;
use std::process::ExitCode;
use support::recordings::Recordings;
use voice_streamer::media::Kind;

const SEED: u64 = 1;

/// Signal to noise, in dB.
const RATIOS_DB: [i32; 4] = [20, 10, 5, 0];

/// What was measured when the network was chosen: F1, false alarms in %, start and end in ms (median, of ten nine).
/// The noises were white, pink, hum and street together, so line and street stand beside the same figures.
struct Then {
    f1: f64,
    false_alarms: Option<f64>,
    times: Option<[i64; 4]>,
}

fn main() -> ExitCode {
    cost::print();
    println!();
    let recordings = Recordings::installed();
    if !recordings.missing.is_empty() {
        let packages = recordings.missing.join(" ");
        println!("left out for want of recordings; Debian has them: apt-get install {packages}\n");
    }
    if recordings.spoken.is_empty() {
        println!("nobody speaks: how well the ear hears was not measured");
        return ExitCode::FAILURE;
    }
    table(&recordings);
    ExitCode::SUCCESS
}

fn table(recordings: &Recordings) {
    let speech = Speech::of(&recordings.spoken, SEED);
    println!(
        "{} human clips, {} turns in {:.0} s for each line; seed {SEED}; start and end in ms, median and the worst of nine in ten",
        recordings.spoken.len(),
        speech.turns(),
        speech.seconds(),
    );
    println!(
        "{:8} {:>5} {:>9} {:>6} {:>5} {:>5} {:>6} {:>5} {:>9} {:>8} {:>9} {:>8} {:>6} {:>8} {:>9}",
        "noise",
        "dB",
        "precision",
        "recall",
        "F1",
        "then",
        "FA %",
        "then",
        "start",
        "then",
        "end",
        "then",
        "missed",
        "together",
        "false/min"
    );
    let noises = [Noise::Line, Noise::Street, Noise::Babble, Noise::Music].map(|noise| {
        let samples = noise.samples(speech.len(), SEED, &recordings.babbled, &recordings.music);
        (noise, samples)
    });
    row(
        "none",
        "",
        &hear(Kind::Neural, &speech.clean(), &speech),
        &speech,
        then(None, None),
    );
    for (noise, samples) in &noises {
        let Some(samples) = samples else { continue };
        for ratio_db in RATIOS_DB {
            let heard = hear(
                Kind::Neural,
                &speech.over(samples, ratio_db as f32),
                &speech,
            );
            row(
                noise.name(),
                &ratio_db.to_string(),
                &heard,
                &speech,
                then(Some(*noise), Some(ratio_db)),
            );
        }
    }
    let silence = Speech::none(speech.len());
    for (noise, samples) in &noises {
        let Some(samples) = samples else { continue };
        // As loud as the voice would be.
        let heard = hear(Kind::Neural, &silence.over(samples, 0.0), &silence);
        row(
            noise.name(),
            "alone",
            &heard,
            &silence,
            then(Some(*noise), None),
        );
    }
}

fn then(noise: Option<Noise>, ratio_db: Option<i32>) -> Option<Then> {
    let of = |f1, false_alarms, times| {
        Some(Then {
            f1,
            false_alarms,
            times,
        })
    };
    match (noise, ratio_db) {
        (None, _) => of(0.974, None, Some([80, 100, 60, 168])),
        (Some(Noise::Line | Noise::Street), Some(20)) => of(0.969, Some(3.6), None),
        (Some(Noise::Line | Noise::Street), Some(10)) => {
            of(0.962, Some(3.3), Some([100, 240, 40, 120]))
        }
        (Some(Noise::Line | Noise::Street), Some(5)) => of(0.959, Some(3.1), None),
        (Some(Noise::Line | Noise::Street), Some(0)) => {
            of(0.941, Some(3.0), Some([140, 340, 10, 150]))
        }
        (Some(Noise::Music), Some(10)) => of(0.945, None, None),
        (Some(Noise::Babble), None) => of(f64::NAN, Some(17.0), None),
        (Some(_), None) => of(f64::NAN, Some(0.0), None),
        _ => None,
    }
}

fn row(name: &str, ratio: &str, heard: &Heard, speech: &Speech, then: Option<Then>) {
    let number = |x: f64, places: usize| {
        if x.is_finite() {
            format!("{x:.places$}")
        } else {
            String::new()
        }
    };
    let quantile = |times: &[i64], part: usize| times.get(times.len() * part / 100).copied();
    let pair = |times: Option<(i64, i64)>| {
        times.map_or(String::new(), |(median, worst)| format!("{median}/{worst}"))
    };
    let times = |times: &[i64]| pair(quantile(times, 50).zip(quantile(times, 90)));
    let earlier = then.as_ref();
    let earlier_times = earlier.and_then(|then| then.times);
    println!(
        "{name:8} {ratio:>5} {:>9} {:>6} {:>5} {:>5} {:>6} {:>5} {:>9} {:>8} {:>9} {:>8} {:>6} {:>8} {:>9.1}",
        number(heard.precision(), 3),
        number(heard.recall(), 3),
        number(heard.f1(), 3),
        earlier.map_or(String::new(), |then| number(then.f1, 3)),
        number(100.0 * heard.false_alarms(), 1),
        earlier
            .and_then(|then| then.false_alarms)
            .map_or(String::new(), |x| number(x, 1)),
        times(&heard.onset),
        pair(earlier_times.map(|[median, worst, ..]| (median, worst))),
        times(&heard.end),
        pair(earlier_times.map(|[.., median, worst]| (median, worst))),
        heard.missed,
        heard.run_together,
        heard.false_starts as f64 / (speech.seconds() / 60.0),
    );
}
