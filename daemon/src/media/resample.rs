//! From one sample rate to another, a piece at a time: a windowed sinc in as many phases as the ratio needs. Cut the
//! input anywhere, the output is the same. It knows no formats and no frames.
//!
//! Made for the telephone band: up to 3.4 kHz nothing changes, from 4.6 kHz on nothing is left (69 dB down), and the
//! sound comes out 2 ms late. A Fourier resampler would be as cheap and 8 ms later.

use std::f64::consts::PI;
use std::sync::{Arc, OnceLock};

use thiserror::Error;

/// Slowest and fastest rate taken, in samples per second.
pub const MIN_RATE: u32 = 4000;
/// See [`MIN_RATE`].
pub const MAX_RATE: u32 = 192_000;

/// Most phases a ratio may need. All multiples of 25 Hz get by with 320 towards the line's rate; 8001 Hz would need 8000.
pub const MAX_PHASES: u32 = 320;

/// How long the filter is, in samples of the lower rate: 4 ms at 8 kHz, half of it delay.
const SPAN: usize = 32;

/// Kaiser's shape parameter for 70 dB.
const BETA: f64 = 6.76;

/// Floats added side by side in the inner loop; the taps of a phase are a multiple of it.
const LANES: usize = 8;

/// Samples taken into the delay line at a time.
const BLOCK: usize = 512;

/// Why there is no resampler for a pair of rates.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ResampleError {
    /// One of the rates is not a rate of sound.
    #[error(
        "cannot resample {from} Hz to {to} Hz: rates from {MIN_RATE} to {MAX_RATE} Hz are taken; \
         give the sound in one of those"
    )]
    RateOutOfRange {
        /// Rate of the input, Hz.
        from: u32,
        /// Rate of the output, Hz.
        to: u32,
    },
    /// The rates have too little in common.
    #[error(
        "cannot resample {from} Hz to {to} Hz: the ratio needs {phases} filters, at most \
         {MAX_PHASES} are made; use a common rate (8000, 16000, 22050, 24000, 44100, 48000 Hz)"
    )]
    OddRatio {
        /// Rate of the input, Hz.
        from: u32,
        /// Rate of the output, Hz.
        to: u32,
        /// Filters this ratio would need.
        phases: u32,
    },
}

/// Pairs that every call may need; their filters are made once per process. Others are made once per resampler.
static SHARED: [(u32, u32, OnceLock<Arc<Filter>>); 8] = [
    (16_000, 8000, OnceLock::new()),
    (22_050, 8000, OnceLock::new()),
    (24_000, 8000, OnceLock::new()),
    (32_000, 8000, OnceLock::new()),
    (44_100, 8000, OnceLock::new()),
    (48_000, 8000, OnceLock::new()),
    (8000, 16_000, OnceLock::new()),
    (8000, 24_000, OnceLock::new()),
];

/// The coefficients for one ratio.
struct Filter {
    /// Output samples per `advance` input samples.
    phases: usize,
    advance: usize,
    /// Taps per phase; 1 when the rates are equal and nothing is to be done.
    taps: usize,
    /// `[phase][tap]`, oldest sample first.
    coefficients: Vec<f32>,
    /// Input samples after which the last real one has left the filter.
    tail: usize,
}

impl Filter {
    fn for_rates(from: u32, to: u32) -> Result<Arc<Filter>, ResampleError> {
        let known = MIN_RATE..=MAX_RATE;
        if !known.contains(&from) || !known.contains(&to) {
            return Err(ResampleError::RateOutOfRange { from, to });
        }
        let phases = to / common_divisor(from, to);
        if phases > MAX_PHASES {
            return Err(ResampleError::OddRatio { from, to, phases });
        }
        let shared = SHARED.iter().find(|pair| (pair.0, pair.1) == (from, to));
        Ok(match shared {
            Some((.., once)) => once.get_or_init(|| Arc::new(Filter::new(from, to))).clone(),
            None => Arc::new(Filter::new(from, to)),
        })
    }

    fn new(from: u32, to: u32) -> Filter {
        let divisor = common_divisor(from, to);
        let (phases, advance) = ((to / divisor) as usize, (from / divisor) as usize);
        if phases == advance {
            return Filter {
                phases,
                advance,
                taps: 1,
                coefficients: vec![1.0],
                tail: 0,
            };
        }
        let lower = from.min(to);
        // One long filter at the rate both share, `from` times `phases`; each phase takes every `phases`-th tap of it.
        let fast = f64::from(from) * phases as f64;
        let length = (SPAN as f64 * fast / f64::from(lower)).round() as usize;
        let taps = length.div_ceil(phases).next_multiple_of(LANES);
        let centre = (length - 1) as f64 / 2.0;
        let cutoff = f64::from(lower) / fast; // both sides of zero, as a share of the fast rate
        let prototype = |n: usize| {
            if n >= length {
                return 0.0;
            }
            let t = n as f64 - centre;
            let x = t / (length as f64 / 2.0);
            let window = bessel_i0(BETA * (1.0 - x * x).max(0.0).sqrt()) / bessel_i0(BETA);
            let sinc = if t == 0.0 {
                1.0
            } else {
                (PI * cutoff * t).sin() / (PI * cutoff * t)
            };
            cutoff * sinc * window
        };
        let mut coefficients = Vec::with_capacity(phases * taps);
        for phase in 0..phases {
            let row: Vec<f64> = (0..taps)
                .rev()
                .map(|k| prototype(phase + k * phases))
                .collect();
            // Every phase passes a constant unchanged; left as they are they differ by the stop band's ripple.
            let sum: f64 = row.iter().sum();
            coefficients.extend(row.iter().map(|c| (c / sum) as f32));
        }
        Filter {
            phases,
            advance,
            taps,
            coefficients,
            tail: (length / phases).div_ceil(2),
        }
    }
}

fn common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// Modified Bessel function of order zero, by its series; 30 terms are exact to the last digit up to 20.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in 1..30 {
        term *= quarter / f64::from(k * k);
        sum += term;
    }
    sum
}

/// A stream of samples changing its rate. A few kilobytes each; the coefficients are shared.
pub struct Resampler {
    filter: Arc<Filter>,
    /// The last `taps - 1` samples seen, then room for a block of new ones.
    line: Box<[f32]>,
    /// Where in `line` the next output's newest sample stands, counted from the first new one.
    ahead: usize,
    phase: usize,
}

impl Resampler {
    /// A resampler that has heard silence so far.
    ///
    /// Makes the filter if this ratio is new: up to a few milliseconds, so make it when a call or a voice starts.
    ///
    /// # Errors
    /// When a rate is out of range or the two have too little in common; nothing but choosing another rate helps.
    pub fn new(from: u32, to: u32) -> Result<Resampler, ResampleError> {
        let filter = Filter::for_rates(from, to)?;
        let line = vec![0.0; filter.taps - 1 + BLOCK].into_boxed_slice();
        Ok(Resampler {
            filter,
            line,
            ahead: 0,
            phase: 0,
        })
    }

    /// Appends to `out` whatever `input` completes. Allocates only if `out` has to grow.
    pub fn push(&mut self, input: &[i16], out: &mut Vec<i16>) {
        if self.filter.taps == 1 {
            out.extend_from_slice(input);
            return;
        }
        for block in input.chunks(BLOCK) {
            self.push_block(block, out);
        }
    }

    fn push_block(&mut self, block: &[i16], out: &mut Vec<i16>) {
        let Filter {
            phases,
            advance,
            taps,
            coefficients,
            ..
        } = &*self.filter;
        for (slot, &sample) in self.line[taps - 1..].iter_mut().zip(block) {
            *slot = f32::from(sample);
        }
        while self.ahead < block.len() {
            let heard = &self.line[self.ahead..][..*taps];
            out.push(rounded(dot(
                heard,
                &coefficients[self.phase * taps..][..*taps],
            )));
            self.phase += advance;
            self.ahead += self.phase / phases;
            self.phase %= phases;
        }
        self.ahead -= block.len();
        self.line
            .copy_within(block.len()..block.len() + taps - 1, 0);
    }

    /// Appends the last two milliseconds, which are still inside, and starts afresh.
    pub fn finish(&mut self, out: &mut Vec<i16>) {
        const SILENCE: [i16; BLOCK] = [0; BLOCK];
        let mut left = self.filter.tail;
        while left > 0 {
            let now = left.min(BLOCK);
            self.push(&SILENCE[..now], out);
            left -= now;
        }
        self.reset();
    }

    /// Forgets what is inside, as if new.
    pub fn reset(&mut self) {
        self.line.fill(0.0);
        self.ahead = 0;
        self.phase = 0;
    }
}

#[inline]
fn dot(samples: &[f32], coefficients: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let pairs = samples
        .as_chunks::<LANES>()
        .0
        .iter()
        .zip(coefficients.as_chunks::<LANES>().0);
    for (s, c) in pairs {
        for lane in 0..LANES {
            sums[lane] += s[lane] * c[lane];
        }
    }
    sums.iter().sum()
}

/// The nearest sample; beyond full scale the loudest, since a conversion saturates.
#[inline]
fn rounded(x: f32) -> i16 {
    (x + 0.5f32.copysign(x)) as i16
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    const PAIRS: [(u32, u32); 9] = [
        (16_000, 8000),
        (22_050, 8000),
        (24_000, 8000),
        (32_000, 8000),
        (44_100, 8000),
        (48_000, 8000),
        (11_025, 8000),
        (8000, 16_000),
        (8000, 24_000),
    ];

    fn sine(rate: u32, hz: f64, samples: usize) -> Vec<i16> {
        let step = 2.0 * PI * hz / f64::from(rate);
        (0..samples)
            .map(|n| (16_000.0 * (step * n as f64).sin()).round() as i16)
            .collect()
    }

    fn resampled(from: u32, to: u32, input: &[i16]) -> Vec<i16> {
        let mut out = Vec::new();
        let mut resampler = Resampler::new(from, to).unwrap();
        resampler.push(input, &mut out);
        resampler.finish(&mut out);
        out
    }

    /// Amplitude at `hz`, and of everything else together, away from the edges.
    fn measured(rate: u32, hz: f64, samples: &[i16]) -> (f64, f64) {
        let steady = &samples[samples.len() / 8..samples.len() * 7 / 8];
        let step = 2.0 * PI * hz / f64::from(rate);
        let (mut sin, mut cos, mut power) = (0.0, 0.0, 0.0);
        let (mut ss, mut cc, mut sc) = (0.0, 0.0, 0.0);
        for (n, &sample) in steady.iter().enumerate() {
            let ((s, c), x) = ((step * n as f64).sin_cos(), f64::from(sample));
            sin += x * s;
            cos += x * c;
            power += x * x;
            ss += s * s;
            cc += c * c;
            sc += s * c;
        }
        // Least squares, since the stretch need not hold whole periods.
        let determinant = ss * cc - sc * sc;
        let (a, b) = (
            (sin * cc - cos * sc) / determinant,
            (cos * ss - sin * sc) / determinant,
        );
        let fitted = a * sin + b * cos;
        let others = 2.0 * (power - fitted).max(0.0) / steady.len() as f64;
        ((a * a + b * b).sqrt(), others.sqrt())
    }

    fn decibels(amplitude: f64) -> f64 {
        20.0 * (amplitude / 16_000.0).max(1e-9).log10()
    }

    #[test]
    fn telephone_band_passes_unchanged() {
        for (from, to) in PAIRS {
            for hz in [50.0, 307.0, 1003.0, 1999.0, 3001.0, 3301.0, 3400.0] {
                let out = resampled(from, to, &sine(from, hz, from as usize));
                let (amplitude, others) = measured(to, hz, &out);
                let change = decibels(amplitude);
                assert!(change.abs() < 0.05, "{from}→{to}, {hz} Hz: {change:.3} dB");
                assert!(
                    decibels(others) < -60.0,
                    "{from}→{to}, {hz} Hz: {:.1} dB",
                    decibels(others)
                );
            }
        }
    }

    #[test]
    fn what_would_fold_into_the_band_is_gone() {
        for (from, to) in PAIRS.into_iter().filter(|(from, to)| from > to) {
            for hz in [
                4600.0, 4799.0, 5203.0, 6007.0, 7001.0, 7900.0, 11_003.0, 15_013.0,
            ] {
                if hz < f64::from(from) / 2.0 {
                    let out = resampled(from, to, &sine(from, hz, from as usize));
                    let (amplitude, others) = measured(to, 1000.0, &out);
                    let left = decibels(amplitude.hypot(others));
                    assert!(left < -60.0, "{from}→{to}, {hz} Hz: {left:.1} dB");
                }
            }
        }
    }

    #[test]
    fn sound_comes_out_2_ms_late_and_whole() {
        for (from, to) in PAIRS {
            let mut click = vec![0; from as usize / 10];
            click[from as usize / 20] = 16_000;
            let out = resampled(from, to, &click);
            let peak = (0..out.len()).max_by_key(|&i| out[i]).unwrap();
            let late_ms = (peak as f64 / f64::from(to) - 0.05) * 1000.0;
            assert!(
                (1.8..2.5).contains(&late_ms),
                "{from}→{to}: {late_ms:.2} ms"
            );

            let loud_end = vec![8000; from as usize / 10];
            let out = resampled(from, to, &loud_end);
            let expected = to as usize / 10;
            assert!((expected + 12..=expected + to as usize / 400 + 1).contains(&out.len()));
            assert!((out[expected - 1] - 8000).abs() < 20, "{from}→{to}");
        }
    }

    #[test]
    fn loud_sound_saturates_instead_of_wrapping() {
        for (from, to) in PAIRS {
            let square: Vec<i16> = (0..from as usize / 5)
                .map(|n| {
                    if (n * 500 / from as usize).is_multiple_of(2) {
                        i16::MAX
                    } else {
                        i16::MIN
                    }
                })
                .collect();
            let out = resampled(from, to, &square);
            assert!(
                out.contains(&i16::MAX) && out.contains(&i16::MIN),
                "{from}→{to}"
            );
            let jumps = out
                .windows(2)
                .filter(|w| (w[0] < -30_000) && (w[1] > 30_000))
                .count();
            assert_eq!(jumps, 0, "{from}→{to}: wrapped");
        }
    }

    #[test]
    fn equal_rates_pass_everything_on() {
        let input = sine(8000, 1000.0, 777);
        assert_eq!(resampled(8000, 8000, &input), input);
    }

    #[test]
    fn finished_resampler_is_as_good_as_new() {
        let input = sine(24_000, 440.0, 3000);
        let mut resampler = Resampler::new(24_000, 8000).unwrap();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        resampler.push(&input, &mut first);
        resampler.finish(&mut first);
        resampler.push(&input, &mut second);
        resampler.finish(&mut second);
        assert_eq!(first, second);
    }

    #[test]
    fn thousand_resamplers_share_one_filter() {
        let one = Resampler::new(22_050, 8000).unwrap();
        let other = Resampler::new(22_050, 8000).unwrap();
        assert!(Arc::ptr_eq(&one.filter, &other.filter));
    }

    #[test]
    fn steady_stream_does_not_grow_its_buffer() {
        let input = sine(24_000, 440.0, 480);
        let mut resampler = Resampler::new(24_000, 8000).unwrap();
        let mut out = Vec::with_capacity(160);
        let before = out.as_ptr();
        for _ in 0..100 {
            out.clear();
            resampler.push(&input, &mut out);
            assert_eq!((out.len(), out.as_ptr()), (160, before));
        }
    }

    #[test]
    fn rates_that_cannot_be_taken_are_refused_with_the_reason() {
        for (from, to) in [(3999, 8000), (8000, 192_001), (0, 0), (u32::MAX, 8000)] {
            assert_eq!(
                Resampler::new(from, to).err(),
                Some(ResampleError::RateOutOfRange { from, to })
            );
        }
        let odd = Resampler::new(8001, 8000).err().unwrap();
        assert_eq!(
            odd,
            ResampleError::OddRatio {
                from: 8001,
                to: 8000,
                phases: 8000
            }
        );
        assert!(Resampler::new(8025, 8000).is_ok(), "320 phases, the bound");
        assert!(Resampler::new(4000, 192_000).is_ok() && Resampler::new(192_000, 4000).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn cutting_the_input_elsewhere_changes_no_sample(
            pair in proptest::sample::select(&PAIRS[..]),
            input in proptest::collection::vec(any::<i16>(), 0..3000),
            cuts in proptest::collection::vec(0usize..900, 0..40),
        ) {
            let whole = resampled(pair.0, pair.1, &input);
            let mut resampler = Resampler::new(pair.0, pair.1).unwrap();
            let mut pieces = Vec::new();
            let mut rest = &input[..];
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                resampler.push(now, &mut pieces);
                rest = later;
            }
            resampler.push(rest, &mut pieces);
            resampler.finish(&mut pieces);
            prop_assert_eq!(whole, pieces);
        }
    }
}
