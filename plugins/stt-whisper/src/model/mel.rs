//! Sound as the network wants to see it: 80 or 128 bands of loudness on the mel scale, a hundred times a second. The
//! window is 25 ms, and its Fourier transform is one product of matrices, which is quicker to run than to look up.
//!
//! Only the sound there is gets computed. Whisper was trained on 30 s with silence behind the speech, and silence has
//! one value in all bands, which is [`Mel::silence`].

use std::f64::consts::PI;

use super::math::{View, product};

/// Samples per second that the network was trained on.
pub const SAMPLE_RATE: usize = 16_000;
/// Samples between two columns: 10 ms.
pub(crate) const HOP: usize = 160;
/// Samples in a window: 25 ms.
const WINDOW: usize = 400;
/// Frequencies that come out of it.
const BINS: usize = WINDOW / 2 + 1;

/// The constant parts: the windowed transform and the bands.
pub(crate) struct Filter {
    bands: usize,
    /// `[WINDOW][2 · BINS]`: cosines, then sines, each under the window's curve.
    waves: Vec<f32>,
    /// `[bands][BINS]`.
    weights: Vec<f32>,
}

/// Loudness by time and band.
pub(crate) struct Mel {
    /// `[columns][bands]`.
    pub(crate) data: Vec<f32>,
    pub(crate) columns: usize,
    /// What a column of silence behind the sound holds in every band.
    pub(crate) silence: f32,
}

impl Filter {
    pub(crate) fn new(bands: usize) -> Filter {
        let mut waves = Vec::with_capacity(WINDOW * 2 * BINS);
        for n in 0..WINDOW {
            let hann = 0.5 - 0.5 * (2.0 * PI * n as f64 / WINDOW as f64).cos();
            // The angle in whole turns, so that it stays exact.
            let angle = |bin: usize| 2.0 * PI * ((n * bin) % WINDOW) as f64 / WINDOW as f64;
            waves.extend((0..BINS).map(|bin| (hann * angle(bin).cos()) as f32));
            waves.extend((0..BINS).map(|bin| (hann * angle(bin).sin()) as f32));
        }
        Filter {
            bands,
            waves,
            weights: bands_of(bands),
        }
    }

    /// Of samples between -1 and 1; a column for each window that touches them.
    pub(crate) fn of(&self, samples: &[f32]) -> Mel {
        let columns = samples.len().div_ceil(HOP) + WINDOW / HOP / 2 + 1;
        // The first window is centred on the first sample, with the sound mirrored before it; silence follows the last.
        let half = WINDOW / 2;
        let mut padded = Vec::with_capacity(columns * HOP + WINDOW);
        padded.extend(
            (1..=half)
                .rev()
                .map(|n| samples.get(n).copied().unwrap_or(0.0)),
        );
        padded.extend_from_slice(samples);
        padded.resize((columns - 1) * HOP + WINDOW, 0.0);
        let mut spectrum = vec![0.0; columns * 2 * BINS];
        let windows = View::rows(&padded, columns, WINDOW, HOP);
        let waves = View::rows(&self.waves, WINDOW, 2 * BINS, 2 * BINS);
        product(&mut spectrum, 2 * BINS, windows, waves, false);
        let mut power = Vec::with_capacity(columns * BINS);
        for column in spectrum.chunks_exact(2 * BINS) {
            let (cos, sin) = column.split_at(BINS);
            power.extend(cos.iter().zip(sin).map(|(c, s)| c * c + s * s));
        }
        let mut data = vec![0.0; columns * self.bands];
        let power = View::rows(&power, columns, BINS, BINS);
        let weights = View::rows(&self.weights, self.bands, BINS, BINS).turned();
        product(&mut data, self.bands, power, weights, false);
        // Decibels of a sort, the quietest 80 dB below the loudest.
        let mut loudest = f32::NEG_INFINITY;
        for x in &mut data {
            *x = x.max(1e-10).log10();
            loudest = loudest.max(*x);
        }
        let scaled = |x: f32| (x.max(loudest - 8.0) + 4.0) / 4.0;
        for x in &mut data {
            *x = scaled(*x);
        }
        Mel {
            data,
            columns,
            silence: scaled(-10.0),
        }
    }
}

/// Triangles on the mel scale of Slaney's toolbox, each of area one.
fn bands_of(bands: usize) -> Vec<f32> {
    let hz = |mel: f64| {
        if mel < 15.0 {
            mel * 200.0 / 3.0
        } else {
            1000.0 * ((mel - 15.0) * 6.4f64.ln() / 27.0).exp()
        }
    };
    let top = 15.0 + 27.0 * (SAMPLE_RATE as f64 / 2.0 / 1000.0).ln() / 6.4f64.ln();
    let edge = |n: usize| hz(top * n as f64 / (bands + 1) as f64);
    let mut weights = Vec::with_capacity(bands * BINS);
    for band in 0..bands {
        let (low, mid, high) = (edge(band), edge(band + 1), edge(band + 2));
        for bin in 0..BINS {
            let f = bin as f64 * SAMPLE_RATE as f64 / WINDOW as f64;
            let height = ((f - low) / (mid - low))
                .min((high - f) / (high - mid))
                .max(0.0);
            weights.push((height * 2.0 / (high - low)) as f32);
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half a second: a tone that rises from 300 Hz, and one of 3100 Hz.
    fn sound() -> Vec<f32> {
        let at = |n: usize| {
            let t = n as f64 / SAMPLE_RATE as f64;
            let rising = 0.4 * (2.0 * PI * (300.0 * t + 1500.0 * t * t)).sin();
            (rising + 0.1 * (2.0 * PI * 3100.0 * t).sin()) as f32
        };
        (0..8000).map(at).collect()
    }

    #[test]
    fn columns_are_those_of_the_published_program() {
        // Every tenth of the bands, from the definition in Whisper's audio.py followed in numpy with 64-bit floats.
        #[rustfmt::skip]
        let table: [(usize, usize, &[f32]); 6] = [
            (80, 0, &[1.02361, 1.21507, 0.73310, 0.50207, 0.28416, -0.37053, 0.28918, 0.90276, 0.28997, 0.13986]),
            (80, 20, &[-0.60877, -0.54595, -0.04287, 1.33366, -0.26846, -0.60877, -0.60877, 0.89630, -0.60877, -0.60877]),
            (80, 50, &[0.49308, 0.50037, 0.52087, 0.55804, 0.63252, 1.15195, 0.51191, 0.83628, 0.29452, 0.16755]),
            (128, 0, &[0.94785, 1.00895, 0.70242, 0.48643, 0.38470, 0.02926, 0.14445, 0.52472, 0.43366, 0.21167]),
            (128, 20, &[-0.55302, -0.55302, -0.19356, 1.31039, -0.00561, -0.55302, -0.55302, -0.51225, -0.55302, -0.55302]),
            (128, 49, &[-0.09320, -0.07781, -0.05103, -0.00926, 0.12110, 0.19338, 0.22373, -0.25302, -0.10332, -0.27990]),
        ];
        for (bands, column, expected) in table {
            let mel = Filter::new(bands).of(&sound());
            let row = &mel.data[column * bands..][..bands];
            for (n, (ours, theirs)) in row.iter().step_by(bands / 10).zip(expected).enumerate() {
                assert!(
                    (ours - theirs).abs() < 2e-3,
                    "{bands} bands, column {column}, {n}: {ours}, {theirs}"
                );
            }
            let silence = if bands == 80 { -0.608_77 } else { -0.553_02 };
            assert!((mel.silence - silence).abs() < 1e-4);
        }
    }

    #[test]
    fn sound_shorter_than_a_window_and_silence_have_columns() {
        for samples in [&[][..], &[0.5], &[0.0; 399]] {
            let mel = Filter::new(80).of(samples);
            assert_eq!(mel.data.len(), mel.columns * 80);
            assert!(mel.data.iter().all(|x| x.is_finite()));
        }
    }
}
