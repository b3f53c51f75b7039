//! The weights, unpacked once for all calls, and the spectra that the first layer of them looks at.

use super::PADDED;
use super::layer::Layer;
use std::f64::consts::TAU;
use std::sync::OnceLock;

const SPECTRUM: usize = 128;
const HOP: usize = 64;
pub(super) const COLUMNS: usize = 4;
pub(super) const BINS: usize = SPECTRUM / 2 + 1;
pub(super) const WIDE: usize = 128;
pub(super) const NARROW: usize = 64;
pub(super) const GATES: usize = 4 * WIDE;

/// Little-endian floats as `weights/extract.py` writes them. Half floats would save 0.4 MB; measured, they moved a
/// probability by up to 0.009, and no verdict in 8000 windows.
static WEIGHTS: &[u8; 4 * PARAMETERS] = include_bytes!("../weights/silero_8k.f32");

const PARAMETERS: usize = 198_017;

/// Everything that is the same for all calls: 1 MB, made once per process.
pub(super) struct Network {
    hann: [f32; SPECTRUM],
    cosines: Layer,
    sines: Layer,
    pub(super) convolutions: [Layer; 4],
    pub(super) cell: Layer,
    pub(super) last: Vec<f32>,
    pub(super) last_bias: f32,
}

impl Network {
    pub(super) fn shared() -> &'static Network {
        static SHARED: OnceLock<Network> = OnceLock::new();
        SHARED.get_or_init(|| {
            let mut row = WEIGHTS
                .as_chunks::<4>()
                .0
                .iter()
                .map(|&bytes| f32::from_le_bytes(bytes));
            let mut take = |count| -> Vec<f32> { row.by_ref().take(count).collect() };
            let mut layer = |inputs, outputs| {
                let weights = take(inputs * outputs);
                Layer::new(inputs, &weights, take(outputs))
            };
            let convolutions = [
                layer(3 * BINS, WIDE),
                layer(3 * WIDE, NARROW),
                layer(2 * NARROW, NARROW), // its first tap only ever meets padding
                layer(NARROW, WIDE),       // its outer taps only ever meet padding
            ];
            let cell = layer(2 * WIDE, GATES);
            let last = take(WIDE);
            let last_bias = take(1)[0];
            let angle = |n: usize, k: usize| TAU * ((n * k) % SPECTRUM) as f64 / SPECTRUM as f64;
            let fourier = |wave: fn(f64) -> f64| {
                let weights: Vec<f32> = (1..=HOP)
                    .flat_map(|n| (0..HOP).map(move |k| wave(angle(n, k)) as f32))
                    .collect();
                Layer::new(HOP, &weights, vec![0.0; HOP])
            };
            Network {
                hann: std::array::from_fn(|n| (0.5 - 0.5 * angle(n, 1).cos()) as f32),
                cosines: fourier(f64::cos),
                sines: fourier(f64::sin),
                convolutions,
                cell,
                last,
                last_bias,
            }
        })
    }

    /// Magnitudes of the 65 lowest frequencies, for 128 samples from each 64th on.
    ///
    /// Sample 128−n meets the same cosine as sample n and the opposite sine, so the two are added and subtracted first:
    /// half the products of the published model, the same sums.
    #[inline(always)]
    pub(super) fn spectra<const VECTOR: bool>(
        &self,
        samples: &[f32; PADDED],
        magnitudes: &mut [[f32; BINS]; COLUMNS],
    ) {
        let mut even = [[0.0; HOP]; COLUMNS];
        let mut odd = [[0.0; HOP]; COLUMNS];
        for t in 0..COLUMNS {
            let mut weighed = [0.0; SPECTRUM];
            for (n, weighed) in weighed.iter_mut().enumerate() {
                *weighed = samples[t * HOP + n] * self.hann[n];
            }
            for n in 1..HOP {
                even[t][n - 1] = weighed[n] + weighed[SPECTRUM - n];
                odd[t][n - 1] = weighed[n] - weighed[SPECTRUM - n];
            }
            even[t][HOP - 1] = weighed[HOP];
        }
        let mut real = [[0.0; HOP]; COLUMNS];
        let mut imaginary = [[0.0; HOP]; COLUMNS];
        for (layer, from, to) in [
            (&self.cosines, &even, &mut real),
            (&self.sines, &odd, &mut imaginary),
        ] {
            for ([x, y], [a, b]) in from.as_chunks().0.iter().zip(to.as_chunks_mut().0) {
                layer.add_pair::<VECTOR>([a, b], [x, y]);
            }
        }
        for (t, magnitudes) in magnitudes.iter_mut().enumerate() {
            for k in 0..HOP {
                let (re, im) = (real[t][k], imaginary[t][k]);
                magnitudes[k] = (re * re + im * im).sqrt();
            }
            let pairs = even[t].as_chunks().0.iter();
            let highest: f32 = pairs.map(|[odd, even]| even - odd).sum();
            magnitudes[HOP] = highest.abs();
        }
    }
}
