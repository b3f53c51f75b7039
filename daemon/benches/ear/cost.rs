//! The forward pass against itself: plain Rust, and what is chosen at run time.

use std::hint::black_box;
use std::time::Instant;
use voice_streamer::media::silero::{Silero, WINDOW_SAMPLES};
use voice_streamer::media::{FRAME_SAMPLES, mulaw};

/// Each round goes once through 14 seconds of sound; the medians count.
const ROUNDS: usize = 41;

static SOUND: &[u8] = include_bytes!("../../tests/data/silero/input.ulaw");

pub(crate) fn print() {
    let samples: Vec<i16> = SOUND
        .iter()
        .map(|&byte| mulaw::decode_sample(byte))
        .collect();
    let windows = samples.as_chunks::<WINDOW_SAMPLES>().0;
    let frames = (windows.len() * WINDOW_SAMPLES) as f64 / FRAME_SAMPLES as f64;
    let mut ears = [Silero::plain(), Silero::new()];
    let mut rounds = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (ear, took) in ears.iter_mut().zip(&mut rounds) {
            let began = Instant::now();
            for window in windows {
                black_box(ear.window(black_box(window)));
            }
            took.push(began.elapsed().as_secs_f64() * 1e6 / frames);
        }
    }
    let [plain, chosen] = rounds.map(|mut took| {
        took.sort_by(f64::total_cmp);
        [took[ROUNDS / 2], took[0]]
    });
    println!("the network, µs for each 20 ms of sound, median of {ROUNDS} rounds (least)");
    println!(
        "  plain Rust             {:6.2} ({:.2})",
        plain[0], plain[1]
    );
    if ears[1].is_plain() {
        println!("  nothing better on this machine: it has not AVX2 and FMA");
    } else {
        println!(
            "  with AVX2 and FMA      {:6.2} ({:.2})   {:.2} of the plain one",
            chosen[0],
            chosen[1],
            chosen[0] / plain[0]
        );
    }
}
