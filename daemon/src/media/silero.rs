//! Silero VAD v6, its 8 kHz branch, as a plain forward pass: 256 samples in, the probability of speech out. It knows
//! nothing of thresholds, gates and frames; `detect` does.
//!
//! ```text
//! 32 old + 256 new samples, 32 mirrored
//!   → 4 spectra of 65 magnitudes (128 samples, hop 64, Hann)
//!   → convolutions 65→128, 128→64 by two, 64→64 by two, 64→128      4 → 4 → 2 → 1 → 1 columns, each clipped at zero
//!   → LSTM cell of 128 → clipped at zero → one output → sigmoid
//! ```
//!
//! Every step is "rows of weights times a column", and one loop does it for all of them: `Layer::add_to`. Weights are
//! Silero's (MIT, see `weights/`); the code is ours.

use std::f64::consts::TAU;
use std::sync::OnceLock;

/// New samples per window: 32 ms of the line.
pub const WINDOW_SAMPLES: usize = 256;

/// Samples of the window before that the network sees again.
const CONTEXT: usize = 32;

const PADDED: usize = CONTEXT + WINDOW_SAMPLES + 32;
const SPECTRUM: usize = 128;
const HOP: usize = 64;
const COLUMNS: usize = 4;
const BINS: usize = SPECTRUM / 2 + 1;
const WIDE: usize = 128;
const NARROW: usize = 64;
const GATES: usize = 4 * WIDE;

/// Outputs computed side by side. 32 floats are eight registers of the narrowest vector unit we run on (SSE2, NEON):
/// enough independent sums to hide the latency of an addition, few enough to stay in registers.
const LANES: usize = 32;

/// Little-endian floats as `weights/extract.py` writes them. Half floats would save 0.4 MB; measured, they moved a
/// probability by up to 0.009, and no verdict in 8000 windows.
static WEIGHTS: &[u8; 4 * PARAMETERS] = include_bytes!("weights/silero_8k.f32");

const PARAMETERS: usize = 198_017;

/// One matrix of weights with its biases, stored in strips of [`LANES`] outputs, each strip input by input.
struct Layer {
    inputs: usize,
    strips: Vec<[f32; LANES]>,
    bias: Vec<f32>,
}

impl Layer {
    /// `weights` is `[input][output]`.
    fn new(inputs: usize, weights: &[f32], bias: Vec<f32>) -> Layer {
        let outputs = bias.len();
        assert!(outputs.is_multiple_of(LANES) && weights.len() == inputs * outputs);
        let mut strips = vec![[0.0; LANES]; inputs * outputs / LANES];
        for (input, row) in weights.chunks_exact(outputs).enumerate() {
            for (strip, lanes) in row.chunks_exact(LANES).enumerate() {
                strips[strip * inputs + input].copy_from_slice(lanes);
            }
        }
        Layer {
            inputs,
            strips,
            bias,
        }
    }

    /// Adds to `outputs` what `column` contributes through the weights of the inputs from `first` on.
    ///
    /// A convolution is this with the neighbouring columns laid end to end, beginning at the first tap that meets one.
    #[inline]
    fn add_to(&self, outputs: &mut [f32], first: usize, column: &[f32]) {
        for (lanes, strip) in outputs
            .chunks_exact_mut(LANES)
            .zip(self.strips.chunks_exact(self.inputs))
        {
            let mut sums = [0.0; LANES];
            sums.copy_from_slice(lanes);
            for (weights, &x) in strip[first..].iter().zip(column) {
                for (sum, &weight) in sums.iter_mut().zip(weights) {
                    *sum += weight * x;
                }
            }
            lanes.copy_from_slice(&sums);
        }
    }

    /// Biases plus weights times column, clipped at zero: one column of a convolution.
    #[inline]
    fn column(&self, outputs: &mut [f32], first: usize, column: &[f32]) {
        outputs.copy_from_slice(&self.bias);
        self.add_to(outputs, first, column);
        for x in outputs {
            *x = x.max(0.0);
        }
    }
}

/// Everything that is the same for all calls: 1 MB, made once per process.
struct Network {
    hann: [f32; SPECTRUM],
    cosines: Layer,
    sines: Layer,
    convolutions: [Layer; 4],
    cell: Layer,
    last: Vec<f32>,
    last_bias: f32,
}

impl Network {
    fn shared() -> &'static Network {
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

    /// Magnitudes of the 65 lowest frequencies of 128 samples.
    ///
    /// Sample 128−n meets the same cosine as sample n and the opposite sine, so the two are added and subtracted first:
    /// half the products of the published model, the same sums.
    fn spectrum(&self, samples: &[f32], magnitudes: &mut [f32]) {
        let mut even = [0.0; HOP];
        let mut odd = [0.0; HOP];
        let weighed = |n: usize| samples[n] * self.hann[n];
        for n in 1..HOP {
            even[n - 1] = weighed(n) + weighed(SPECTRUM - n);
            odd[n - 1] = weighed(n) - weighed(SPECTRUM - n);
        }
        even[HOP - 1] = weighed(HOP);
        let mut real = [0.0; HOP];
        let mut imaginary = [0.0; HOP];
        self.cosines.add_to(&mut real, 0, &even);
        self.sines.add_to(&mut imaginary, 0, &odd);
        for ((m, re), im) in magnitudes.iter_mut().zip(real).zip(imaginary) {
            *m = (re * re + im * im).sqrt();
        }
        let highest: f32 = even
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[odd, even]| even - odd)
            .sum();
        magnitudes[HOP] = highest.abs();
    }
}

/// One caller's ear: what the network remembers of the windows before. About 1.2 kB.
pub struct Silero {
    network: &'static Network,
    context: [f32; CONTEXT],
    hidden: [f32; WIDE],
    cell: [f32; WIDE],
}

impl Default for Silero {
    fn default() -> Silero {
        Silero::new()
    }
}

impl Silero {
    /// An ear that has heard nothing. The first one in a process unpacks the weights, about a millisecond.
    pub fn new() -> Silero {
        Silero {
            network: Network::shared(),
            context: [0.0; CONTEXT],
            hidden: [0.0; WIDE],
            cell: [0.0; WIDE],
        }
    }

    /// Forgets everything heard, as if new.
    pub fn reset(&mut self) {
        *self = Silero::new();
    }

    /// The samples that come before the next window, when windows in between were left out.
    pub fn resume_after(&mut self, window: &[i16; WINDOW_SAMPLES]) {
        for (old, &sample) in self
            .context
            .iter_mut()
            .zip(&window[WINDOW_SAMPLES - CONTEXT..])
        {
            *old = scaled(sample);
        }
    }

    /// The probability, 0 to 1, that somebody speaks in these 32 ms.
    pub fn window(&mut self, samples: &[i16; WINDOW_SAMPLES]) -> f32 {
        let network = self.network;
        let [first, second, third, fourth] = &network.convolutions;

        let mut padded = [0.0; PADDED];
        padded[..CONTEXT].copy_from_slice(&self.context);
        for (slot, &sample) in padded[CONTEXT..].iter_mut().zip(samples) {
            *slot = scaled(sample);
        }
        const END: usize = CONTEXT + WINDOW_SAMPLES;
        for i in 0..PADDED - END {
            padded[END + i] = padded[END - 2 - i];
        }
        self.resume_after(samples);

        let mut spectra = [0.0; COLUMNS * BINS];
        for (t, magnitudes) in spectra.chunks_exact_mut(BINS).enumerate() {
            network.spectrum(&padded[t * HOP..][..SPECTRUM], magnitudes);
        }
        let mut a = [0.0; COLUMNS * WIDE];
        for (t, out) in a.chunks_exact_mut(WIDE).enumerate() {
            // Columns t−1 to t+1, as far as they exist; at the left edge the first tap has none to meet.
            let from = t.saturating_sub(1);
            let to = (t + 2).min(COLUMNS);
            first.column(out, (from + 1 - t) * BINS, &spectra[from * BINS..to * BINS]);
        }
        let mut b = [0.0; 2 * NARROW];
        let (left, right) = b.split_at_mut(NARROW);
        second.column(left, WIDE, &a[..2 * WIDE]);
        second.column(right, 0, &a[WIDE..]);
        let mut c = [0.0; NARROW];
        third.column(&mut c, 0, &b);
        let mut column = [0.0; 2 * WIDE];
        fourth.column(&mut column[..WIDE], 0, &c);
        column[WIDE..].copy_from_slice(&self.hidden);

        self.remember(&column);
        let dot: f32 = self
            .hidden
            .iter()
            .zip(&network.last)
            .map(|(h, w)| h.max(0.0) * w)
            .sum();
        sigmoid(dot + network.last_bias)
    }

    /// One step of the LSTM: input, forget, candidate and output gates, in Silero's order.
    fn remember(&mut self, column: &[f32; 2 * WIDE]) {
        let mut gates = [0.0; GATES];
        gates.copy_from_slice(&self.network.cell.bias);
        self.network.cell.add_to(&mut gates, 0, column);
        for i in 0..WIDE {
            let kept = sigmoid(gates[WIDE + i]) * self.cell[i];
            self.cell[i] = kept + sigmoid(gates[i]) * tanh(gates[2 * WIDE + i]);
            self.hidden[i] = sigmoid(gates[3 * WIDE + i]) * tanh(self.cell[i]);
        }
    }
}

fn scaled(sample: i16) -> f32 {
    f32::from(sample) / 32768.0
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (1.0 + exp(2.0 * x))
}

/// e to the x, to about one part in five million, without a branch or a call: 640 of these per window would otherwise
/// cost as much as the matrices. Beyond ±87 it stays at the edge, where a sigmoid has long reached 0 or 1.
#[inline]
fn exp(x: f32) -> f32 {
    // Adding and subtracting 1.5 · 2^23 rounds to a whole number, and leaves that number in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 87.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let r = x - whole * LN_2_HIGH - whole * LN_2_LOW;
    let series = 1.0 / 120.0 + r * (1.0 / 720.0);
    let series = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * series))));
    let exponent = shifted
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .wrapping_add(127);
    series * f32::from_bits(exponent << 23)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::media::mulaw;

    /// What the published network answers to a sound of our own making; `record.py` beside the files made both.
    fn recorded() -> (Vec<[i16; WINDOW_SAMPLES]>, Vec<f32>) {
        let bytes: &[u8] = include_bytes!("../../tests/data/silero/input.ulaw");
        let samples: Vec<i16> = bytes
            .iter()
            .map(|&byte| mulaw::decode_sample(byte))
            .collect();
        let answers = include_str!("../../tests/data/silero/probabilities.tsv");
        let answers: Vec<f32> = answers.lines().map(|line| line.parse().unwrap()).collect();
        let windows = samples.as_chunks::<WINDOW_SAMPLES>().0.to_vec();
        assert_eq!(windows.len(), answers.len());
        (windows, answers)
    }

    #[test]
    fn answers_equal_those_of_the_published_network() {
        let (windows, answers) = recorded();
        let mut ear = Silero::new();
        for (i, (window, expected)) in windows.iter().zip(answers).enumerate() {
            let heard = ear.window(window);
            assert!(
                (heard - expected).abs() < 1e-5,
                "window {i}: {heard}, published {expected}"
            );
        }
    }

    #[test]
    fn reset_forgets_everything_heard() {
        let (windows, _) = recorded();
        let mut ear = Silero::new();
        let first: Vec<f32> = windows[..50]
            .iter()
            .map(|window| ear.window(window))
            .collect();
        assert_ne!(first[0], ear.window(&windows[0]));
        ear.reset();
        let again: Vec<f32> = windows[..50]
            .iter()
            .map(|window| ear.window(window))
            .collect();
        assert_eq!(first, again);
    }

    #[test]
    fn ears_do_not_hear_each_other() {
        let (windows, answers) = recorded();
        let (mut one, mut other) = (Silero::new(), Silero::new());
        for (i, window) in windows[..60].iter().enumerate() {
            assert!((one.window(window) - answers[i]).abs() < 1e-5);
            other.window(&windows[200 + i]);
        }
    }

    #[test]
    fn resuming_puts_the_samples_before_the_window_back() {
        let (windows, _) = recorded();
        let mut through = Silero::new();
        through.window(&windows[40]);
        let mut resumed = Silero::new();
        resumed.resume_after(&windows[40]);
        assert_eq!(through.context, resumed.context);
        assert!(resumed.context.iter().any(|&x| x != 0.0));
    }

    #[test]
    fn extreme_sounds_give_a_probability_and_leave_the_ear_sound() {
        let square = std::array::from_fn(|i| if i % 9 < 4 { i16::MIN } else { i16::MAX });
        let click = std::array::from_fn(|i| if i == 99 { i16::MIN } else { 0 });
        let mut ear = Silero::new();
        for window in [
            [i16::MIN; WINDOW_SAMPLES],
            square,
            click,
            [0; WINDOW_SAMPLES],
        ] {
            for _ in 0..100 {
                let heard = ear.window(&window);
                assert!((0.0..=1.0).contains(&heard), "{heard}");
            }
        }
        assert!(ear.window(&[0; WINDOW_SAMPLES]) < 0.05);
    }

    #[test]
    fn exponential_is_as_good_as_the_library_s() {
        for i in -86_000..=86_000 {
            let x = i as f32 / 1000.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 4e-7, "{x}");
        }
        assert!((sigmoid(-1e9), sigmoid(1e9)) == (sigmoid(-87.0), 1.0) && sigmoid(-1e9) < 1e-37);
        assert!((tanh(-1e9), tanh(1e9), tanh(0.0)) == (-1.0, 1.0, 0.0));
    }
}
