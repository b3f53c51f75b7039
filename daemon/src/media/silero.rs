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
mod curves;
mod layer;
mod network;

use avx2::Avx2;
use curves::{sigmoid, tanh};
use layer::clip;
use network::{BINS, COLUMNS, GATES, NARROW, Network, WIDE};

/// New samples per window: 32 ms of the line.
pub const WINDOW_SAMPLES: usize = 256;

/// Samples of the window before that the network sees again.
const CONTEXT: usize = 32;

const PADDED: usize = CONTEXT + WINDOW_SAMPLES + 32;

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
}
