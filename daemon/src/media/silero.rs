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
//! Every step is "rows of weights times a column", and one loop does it for all of them: `sums`. All of it is written
//! once and compiled twice: plainly, which is the reference and what other machines run, and for processors with AVX2 and
//! FMA (`avx2`), in half the time. Weights are Silero's (MIT, see `weights/`); the code is ours.

mod avx2;

use avx2::Avx2;
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
/// enough independent sums to hide the latency of an addition, few enough to stay in registers. In registers of eight
/// floats two such strips, or one for two columns, are as many.
const LANES: usize = 32;

/// Inputs of the widest layer.
const MOST_INPUTS: usize = 3 * WIDE;

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
        assert!(outputs.is_multiple_of(2 * LANES) && weights.len() == inputs * outputs);
        assert!(inputs <= MOST_INPUTS);
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

    #[inline(always)]
    fn bias<const OUTPUTS: usize>(&self) -> [f32; OUTPUTS] {
        let mut bias = [0.0; OUTPUTS];
        bias.copy_from_slice(&self.bias);
        bias
    }

    /// Adds weights times column to `outputs`. A convolution is this with the neighbouring columns laid end to end.
    ///
    /// Half of what the layers hear of each other, and three quarters of what they tell the cell, was clipped to zero:
    /// the weights of those inputs are not even read, and reading them is what the cell's half megabyte costs. Two calls
    /// at a time, sharing that, would save 0.5 µs of 6 per frame, and make them wait for each other.
    #[inline(always)]
    fn add<const VECTOR: bool>(&self, outputs: &mut [f32], column: &[f32]) {
        let mut active = [(0_u32, 0.0); MOST_INPUTS];
        let mut count = 0;
        for (input, &x) in column.iter().enumerate() {
            active[count] = (input as u32, x);
            count += usize::from(x != 0.0);
        }
        let active = active[..count]
            .iter()
            .map(|&(input, x)| (input as usize, [x]));
        if VECTOR {
            for (lanes, strips) in outputs
                .as_chunks_mut::<LANES>()
                .0
                .as_chunks_mut::<2>()
                .0
                .iter_mut()
                .zip(self.strips.chunks_exact(2 * self.inputs))
            {
                let (one, other) = strips.split_at(self.inputs);
                let [a, b] = lanes;
                sums::<VECTOR, 1, 2>([[a, b]], [one, other], active.clone());
            }
        } else {
            for (lanes, strip) in outputs
                .as_chunks_mut::<LANES>()
                .0
                .iter_mut()
                .zip(self.strips.chunks_exact(self.inputs))
            {
                sums::<VECTOR, 1, 1>([[lanes]], [strip], active.clone());
            }
        }
    }

    /// The same for two columns that are mostly not zero: each weight is read once for both.
    #[inline(always)]
    fn add_pair<const VECTOR: bool>(&self, outputs: [&mut [f32]; 2], columns: [&[f32]; 2]) {
        let [a, b] = outputs;
        let lanes = a.as_chunks_mut::<LANES>().0.iter_mut();
        let lanes = lanes.zip(b.as_chunks_mut::<LANES>().0);
        for ((a, b), strip) in lanes.zip(self.strips.chunks_exact(self.inputs)) {
            if VECTOR {
                let both = columns[0].iter().zip(columns[1]).map(|(&x, &y)| [x, y]);
                sums::<VECTOR, 2, 1>([[a], [b]], [strip], both.enumerate());
            } else {
                for (lanes, column) in [a, b].into_iter().zip(columns) {
                    let inputs = column.iter().map(|&x| [x]).enumerate();
                    sums::<VECTOR, 1, 1>([[lanes]], [strip], inputs);
                }
            }
        }
    }
}

/// The innermost loop: for each input its weights times what each column says of it, added to that column's lanes.
#[inline(always)]
fn sums<const VECTOR: bool, const COLUMNS: usize, const STRIPS: usize>(
    lanes: [[&mut [f32; LANES]; STRIPS]; COLUMNS],
    strips: [&[[f32; LANES]]; STRIPS],
    inputs: impl Iterator<Item = (usize, [f32; COLUMNS])>,
) {
    // A copy, so that it can live in registers.
    let mut sums = [[[0.0; LANES]; STRIPS]; COLUMNS];
    for column in 0..COLUMNS {
        for strip in 0..STRIPS {
            sums[column][strip] = *lanes[column][strip];
        }
    }
    for (input, xs) in inputs {
        for column in 0..COLUMNS {
            for strip in 0..STRIPS {
                let weights = &strips[strip][input];
                for lane in 0..LANES {
                    let sum = &mut sums[column][strip][lane];
                    *sum = multiply_add::<VECTOR>(weights[lane], xs[column], *sum);
                }
            }
        }
    }
    for (lanes, sums) in lanes.into_iter().flatten().zip(sums.as_flattened()) {
        *lanes = *sums;
    }
}

/// One rounding instead of two where one instruction does both; elsewhere that would be a call into a library.
#[inline(always)]
fn multiply_add<const VECTOR: bool>(a: f32, b: f32, sum: f32) -> f32 {
    if VECTOR {
        a.mul_add(b, sum)
    } else {
        a * b + sum
    }
}

#[inline(always)]
fn clip(column: &mut [f32]) {
    for x in column {
        *x = x.max(0.0);
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

    /// Magnitudes of the 65 lowest frequencies, for 128 samples from each 64th on.
    ///
    /// Sample 128−n meets the same cosine as sample n and the opposite sine, so the two are added and subtracted first:
    /// half the products of the published model, the same sums.
    #[inline(always)]
    fn spectra<const VECTOR: bool>(
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

/// One caller's ear: what the network remembers of the windows before. About 1.2 kB.
pub struct Silero {
    /// Makes it quicker; absent on other machines and in the plain ear.
    avx2: Option<Avx2>,
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
            avx2: Avx2::detect(),
            ..Silero::plain()
        }
    }

    /// One that uses no instruction beyond those the program was compiled for: what other machines have, and what the
    /// quicker one is held to.
    pub fn plain() -> Silero {
        Silero {
            avx2: None,
            network: Network::shared(),
            context: [0.0; CONTEXT],
            hidden: [0.0; WIDE],
            cell: [0.0; WIDE],
        }
    }

    /// Forgets everything heard, as if new.
    pub fn reset(&mut self) {
        *self = Silero {
            avx2: self.avx2,
            ..Silero::plain()
        };
    }

    /// Whether it does as a plain one does, because there is nothing better on this machine.
    pub fn is_plain(&self) -> bool {
        self.avx2.is_none()
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
        match self.avx2 {
            Some(avx2) => avx2.window(self, samples),
            None => self.hear::<false>(samples),
        }
    }

    #[inline(always)]
    fn hear<const VECTOR: bool>(&mut self, samples: &[i16; WINDOW_SAMPLES]) -> f32 {
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

        // The columns that a convolution meets beyond its edges are zero, and cost a layer next to nothing.
        let mut spectra = [[0.0; BINS]; 1 + COLUMNS + 1];
        let [_, inner @ .., _] = &mut spectra;
        network.spectra::<VECTOR>(&padded, inner);
        let mut a = [[0.0; WIDE]; 1 + COLUMNS];
        let [_, inner @ ..] = &mut a;
        for (pair, [left, right]) in inner.as_chunks_mut().0.iter_mut().enumerate() {
            *left = first.bias();
            *right = first.bias();
            let columns = [2 * pair, 2 * pair + 1].map(|t| spectra[t..t + 3].as_flattened());
            first.add_pair::<VECTOR>([left, right], columns);
            clip(left);
            clip(right);
        }
        let mut b = [second.bias::<NARROW>(); 2];
        for (t, column) in b.iter_mut().enumerate() {
            second.add::<VECTOR>(column, a[2 * t..2 * t + 3].as_flattened());
            clip(column);
        }
        let mut c = third.bias::<NARROW>();
        third.add::<VECTOR>(&mut c, b.as_flattened());
        clip(&mut c);
        let mut d = fourth.bias::<WIDE>();
        fourth.add::<VECTOR>(&mut d, &c);
        clip(&mut d);

        self.remember::<VECTOR>(&[d, self.hidden]);
        let mut heard = self.hidden;
        clip(&mut heard);
        let dot: f32 = heard.iter().zip(&network.last).map(|(h, w)| h * w).sum();
        sigmoid(dot + network.last_bias)
    }

    /// One step of the LSTM: input, forget, candidate and output gates, in Silero's order.
    #[inline(always)]
    fn remember<const VECTOR: bool>(&mut self, columns: &[[f32; WIDE]; 2]) {
        let mut gates = self.network.cell.bias::<GATES>();
        self.network
            .cell
            .add::<VECTOR>(&mut gates, columns.as_flattened());
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
    #![allow(clippy::print_stdout, clippy::unwrap_used)]

    use super::*;
    use crate::media::detect::{ENTER, STAY};
    use crate::media::{mulaw, wav};
    use std::path::Path;

    /// Most that two ears may differ in a probability. Of 75 minutes of human prompts and hold music the plain one and
    /// the one with AVX2 differ by 0.000005 at most.
    const SAME: f32 = 1e-5;

    /// Each way in which this machine can compute it.
    fn ears() -> [Silero; 2] {
        [Silero::plain(), Silero::new()]
    }

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
        for mut ear in ears() {
            for (i, (window, expected)) in windows.iter().zip(&answers).enumerate() {
                let heard = ear.window(window);
                assert!(
                    (heard - expected).abs() < SAME,
                    "window {i}: {heard}, published {expected}; plain: {}",
                    ear.is_plain()
                );
            }
        }
    }

    /// The prompt that the whole calls of `tests/` play too: a human being if Debian's are installed.
    fn speech() -> Vec<i16> {
        let human = Path::new("/usr/share/asterisk/sounds/en_US_f_Allison/conf-getpin.wav");
        let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech/good_morning.wav");
        let path = if human.exists() { human } else { &clip };
        println!("the caller is {}", path.display());
        let line = wav::to_line(&wav::read(&std::fs::read(path).unwrap()).unwrap());
        line.into_iter().map(mulaw::decode_sample).collect()
    }

    /// Windows of random samples, each half as loud as the one before it, again and again from full scale to nothing.
    fn noise(seed: u64, windows: usize) -> Vec<i16> {
        let mut state = seed;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 48) as i16
        };
        (0..windows * WINDOW_SAMPLES)
            .map(|i| random() >> (i / WINDOW_SAMPLES % 16))
            .collect()
    }

    #[test]
    fn quicker_ear_hears_what_the_plain_one_hears() {
        let seed = 29;
        let mut samples = speech();
        samples.extend(noise(seed, 200));
        // Speech that somebody else's noise drowns in, from one end to the other.
        let drowned: Vec<i16> = speech()
            .into_iter()
            .zip(noise(seed + 1, 1000))
            .map(|(speech, noise)| speech.saturating_add(noise / 4))
            .collect();
        samples.extend(drowned);
        let [mut plain, mut quicker] = ears();
        assert!(plain.is_plain());
        let (mut by_plain, mut by_quicker) = (false, false);
        let mut turns = 0;
        for (i, window) in samples.as_chunks().0.iter().enumerate() {
            let (reference, heard) = (plain.window(window), quicker.window(window));
            assert!(
                (heard - reference).abs() < SAME,
                "window {i}, seed {seed}: {heard}, plain {reference}"
            );
            let before = by_plain;
            by_plain = reference >= if by_plain { STAY } else { ENTER };
            by_quicker = heard >= if by_quicker { STAY } else { ENTER };
            assert_eq!(by_quicker, by_plain, "window {i}, seed {seed}: {heard}");
            turns += u32::from(by_plain != before);
        }
        assert!(
            turns >= 4,
            "only {turns} changes of verdict: a test of little"
        );
    }

    #[test]
    fn reset_forgets_everything_heard() {
        let (windows, _) = recorded();
        for mut ear in ears() {
            let plain = ear.is_plain();
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
            assert_eq!(ear.is_plain(), plain, "the same kind as before");
        }
    }

    #[test]
    fn ears_do_not_hear_each_other() {
        let (windows, answers) = recorded();
        let (mut one, mut other) = (Silero::new(), Silero::new());
        for (i, window) in windows[..60].iter().enumerate() {
            assert!((one.window(window) - answers[i]).abs() < SAME);
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
        for mut ear in ears() {
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
