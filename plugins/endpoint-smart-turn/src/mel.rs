//! Sound to what the model was trained on: Whisper's log-mel spectrogram of the last eight seconds, 80 bands by 800
//! frames. Pure. Written after `WhisperFeatureExtractor` of Hugging Face's transformers (Apache-2.0) as pipecat asks
//! it; `tests` hold it against values which that one computed.

use std::f64::consts::PI;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

/// Samples a second.
pub(crate) const RATE: usize = 16_000;
/// What the model hears at once: eight seconds.
pub(crate) const SAMPLES: usize = 8 * RATE;
pub(crate) const BANDS: usize = 80;
pub(crate) const FRAMES: usize = SAMPLES / HOP;
const HOP: usize = 160;
const WINDOW: usize = 400;
const BINS: usize = WINDOW / 2 + 1;

/// One band: its weights from the first bin on in which it has any.
struct Band {
    first: usize,
    weights: Vec<f32>,
}

/// The tables, and room to compute in.
pub(crate) struct Mel {
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    bands: Vec<Band>,
    /// The sound with a mirrored half window at each end.
    padded: Vec<f32>,
    frame: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    power: Vec<f32>,
}

impl Mel {
    pub(crate) fn new() -> Mel {
        let fft = RealFftPlanner::new().plan_fft_forward(WINDOW);
        let turn = |n: usize| 2.0 * PI * n as f64 / WINDOW as f64;
        Mel {
            window: (0..WINDOW)
                .map(|n| (0.5 - 0.5 * turn(n).cos()) as f32)
                .collect(),
            bands: bands(),
            padded: vec![0.0; SAMPLES + WINDOW],
            frame: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            power: vec![0.0; BINS],
            fft,
        }
    }

    /// The spectrogram of the last eight seconds of `sound`, band after band; silence stands in front of what is shorter.
    pub(crate) fn of(&mut self, sound: &[i16]) -> Vec<f32> {
        self.normalised(&sound[sound.len().saturating_sub(SAMPLES)..]);
        let mut mel = vec![0.0; BANDS * FRAMES];
        let mut loudest = f32::MIN;
        for frame in 0..FRAMES {
            let from = frame * HOP;
            for (sample, (heard, weight)) in self
                .frame
                .iter_mut()
                .zip(self.padded[from..].iter().zip(&self.window))
            {
                *sample = heard * weight;
            }
            let lengths_fit = self.fft.process_with_scratch(
                &mut self.frame,
                &mut self.spectrum,
                &mut self.scratch,
            );
            debug_assert!(lengths_fit.is_ok());
            for (power, value) in self.power.iter_mut().zip(&self.spectrum) {
                *power = value.norm_sqr();
            }
            for (number, band) in self.bands.iter().enumerate() {
                let bins = &self.power[band.first..];
                let energy: f32 = band.weights.iter().zip(bins).map(|(w, p)| w * p).sum();
                let log = energy.max(1e-10).log10();
                loudest = loudest.max(log);
                mel[number * FRAMES + frame] = log;
            }
        }
        for value in &mut mel {
            *value = (value.max(loudest - 8.0) + 4.0) / 4.0;
        }
        mel
    }

    /// Mean 0 and variance 1 over all eight seconds, the silence in front included; mirrored at its ends.
    fn normalised(&mut self, sound: &[i16]) {
        let samples = || sound.iter().map(|sample| f64::from(*sample) / 32768.0);
        let mean = samples().sum::<f64>() / SAMPLES as f64;
        let silent = SAMPLES - sound.len();
        let spread =
            samples().map(|x| (x - mean).powi(2)).sum::<f64>() + silent as f64 * mean * mean;
        let scale = 1.0 / (spread / SAMPLES as f64 + 1e-7).sqrt();
        const HALF: usize = WINDOW / 2;
        let middle = &mut self.padded[HALF..HALF + SAMPLES];
        middle[..silent].fill((-mean * scale) as f32);
        for (to, from) in middle[silent..].iter_mut().zip(samples()) {
            *to = ((from - mean) * scale) as f32;
        }
        for n in 0..HALF {
            self.padded[HALF - 1 - n] = self.padded[HALF + 1 + n];
            self.padded[HALF + SAMPLES + n] = self.padded[HALF + SAMPLES - 2 - n];
        }
    }
}

/// Triangles on Slaney's mel scale, each of the same area.
fn bands() -> Vec<Band> {
    const LINEAR_HZ: f64 = 1000.0;
    const LINEAR_MEL: f64 = 15.0;
    let step = 6.4_f64.ln() / 27.0;
    let to_mel = |hz: f64| LINEAR_MEL + (hz / LINEAR_HZ).ln() / step;
    let to_hz = |mel: f64| {
        if mel < LINEAR_MEL {
            200.0 * mel / 3.0
        } else {
            LINEAR_HZ * (step * (mel - LINEAR_MEL)).exp()
        }
    };
    let top = to_mel(RATE as f64 / 2.0);
    let edge = |n: usize| to_hz(top * n as f64 / (BANDS + 1) as f64);
    let hz = |bin: usize| (bin * RATE) as f64 / WINDOW as f64;
    let band = |n: usize| {
        let (low, middle, high) = (edge(n), edge(n + 1), edge(n + 2));
        let weight = |bin: usize| {
            let rising = (hz(bin) - low) / (middle - low);
            let falling = (high - hz(bin)) / (high - middle);
            rising.min(falling).max(0.0) * 2.0 / (high - low)
        };
        let first = (0..BINS).find(|bin| weight(*bin) > 0.0).unwrap_or(0);
        let weights = (first..BINS).map(weight).take_while(|w| *w > 0.0);
        Band {
            first,
            weights: weights.map(|w| w as f32).collect(),
        }
    };
    (0..BANDS).map(band).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// The same sound that `tests/reference.py` makes.
    fn sound(samples: usize, noise: i64) -> Vec<i16> {
        let mut state: u32 = 1;
        (0..samples as i64)
            .map(|n| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let hiss = (i64::from(state >> 16) - 32_768) * noise / 32_768;
                let saw = |period: i64, loud: i64| (n % period) * 2 * loud / period - loud;
                let swell = (n % 8000) * 100 / 8000;
                (saw(131, 6000) * swell / 100 + saw(37, 1500) + hiss + 40) as i16
            })
            .collect()
    }

    #[test]
    fn it_is_what_the_model_was_trained_on() {
        let reference: Value =
            serde_json::from_str(include_str!("../tests/reference.json")).unwrap();
        let mut mel = Mel::new();
        for case in reference["spectrograms"].as_array().unwrap() {
            let number = |name: &str| case[name].as_i64().unwrap();
            let made = mel.of(&sound(number("samples") as usize, number("noise")));
            assert_eq!(made.len(), BANDS * FRAMES);
            let mean = made.iter().map(|v| f64::from(*v)).sum::<f64>() / made.len() as f64;
            let expected = case["mean"].as_f64().unwrap();
            assert!(
                (mean - expected).abs() < 1e-4,
                "mean {mean}, not {expected}"
            );
            for value in case["values"].as_array().unwrap() {
                let place = |n: usize| value[n].as_u64().unwrap() as usize;
                let expected = value[2].as_f64().unwrap();
                let value = f64::from(made[place(0) * FRAMES + place(1)]);
                assert!(
                    (value - expected).abs() < 2e-3,
                    "band {} frame {} of {case:.40}: {value}, not {expected}",
                    place(0),
                    place(1)
                );
            }
        }
    }

    #[test]
    fn silence_and_nothing_have_a_spectrogram_too() {
        let mut mel = Mel::new();
        for sound in [&[][..], &[0; 5], &[0; SAMPLES + 7]] {
            assert!(mel.of(sound).iter().all(|value| value.is_finite()));
        }
    }
}
