//! Where a clean recording is voice, by how loud it is: the truth that verdicts are compared with.

use voice_streamer::media::RATE;

/// Truth is told in such steps.
pub(crate) const STEP_MS: usize = 10;
pub(crate) const STEP_SAMPLES: usize = RATE as usize * STEP_MS / 1000;

/// Voice is what lies at most so far below the loud parts of its clip. Prompts have a floor at −60 dB, readers at −40.
const VOICE_BELOW_DB: f32 = 30.0;

/// A shorter gap in it is the closure of a `p` or `t` and belongs to the word, for the listener too.
const CLOSURE_MS: usize = 100;

/// Which steps of a clean clip are voice.
pub(crate) fn voiced(steps: &[[i16; STEP_SAMPLES]]) -> Vec<bool> {
    let mut sorted: Vec<f32> = steps.iter().map(power).collect();
    sorted.sort_by(f32::total_cmp);
    let loud = sorted[sorted.len() * 95 / 100];
    let bound = loud * 10_f32.powf(-VOICE_BELOW_DB / 10.0);
    let loud_enough: Vec<bool> = steps.iter().map(|step| power(step) >= bound).collect();
    let mut voice = vec![false; steps.len()];
    for (from, to) in runs(&loud_enough, CLOSURE_MS / STEP_MS) {
        voice[from..to].fill(true);
    }
    voice
}

/// Stretches of `true`, gaps shorter than `gap` included; the end is the first step behind.
pub(crate) fn runs(voice: &[bool], gap: usize) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for step in (0..voice.len()).filter(|&step| voice[step]) {
        match runs.last_mut() {
            Some((_, to)) if step - *to < gap => *to = step + 1,
            _ => runs.push((step, step + 1)),
        }
    }
    runs
}

pub(crate) fn rms(steps: &[[i16; STEP_SAMPLES]], voice: &[bool]) -> f32 {
    let voiced = steps.iter().zip(voice).filter(|(_, voice)| **voice);
    let (sum, count) = voiced.fold((0.0, 0.0), |(sum, count), (step, _)| {
        (sum + power(step), count + 1.0)
    });
    (sum / f32::max(count, 1.0)).sqrt().max(1.0)
}

fn power(step: &[i16; STEP_SAMPLES]) -> f32 {
    step.iter().map(|&x| f32::from(x).powi(2)).sum::<f32>() / STEP_SAMPLES as f32
}
