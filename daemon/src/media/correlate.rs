//! Where, in a recording, are these samples? Normalised cross-correlation, so that a quieter or louder copy scores as
//! high as an equal one. For tests and measurements: it allocates, and it is not for the media path.
//!
//! By Fourier transform: 30 s of haystack and 3 s of needle would be 5.8 thousand million products, and looking at a
//! thinned-out signal first would miss a tone that falls on the thinning filter's zero. This way the same search takes
//! a fraction of a second even in an unoptimised build, and every offset is looked at.

use std::f64::consts::TAU;

/// Longest haystack looked through, in samples: two minutes of the line. What lies beyond is not searched.
pub const MAX_HAYSTACK_SAMPLES: usize = 120 * crate::media::RATE as usize;

/// Mean power below which a stretch counts as silent and scores 0; one step of a 16-bit sample, squared.
const SILENT_POWER: f64 = 1.0;

/// The offset at which `needle` fits best into `haystack`, and how well: 1 is the same shape, 0 is nothing in common.
///
/// The needle is looked for whole. `(0, 0.0)` if it is empty, silent or longer than the haystack.
pub fn correlate(haystack: &[i16], needle: &[i16]) -> (usize, f32) {
    let haystack = &haystack[..haystack.len().min(MAX_HAYSTACK_SAMPLES)];
    let silent = SILENT_POWER * needle.len() as f64;
    let needle_energy = energy(needle) as f64;
    if needle.is_empty() || needle.len() > haystack.len() || needle_energy < silent {
        return (0, 0.0);
    }
    let products = sliding_products(haystack, needle);
    let mut window_energy = energy(&haystack[..needle.len()]);
    let mut best = (0, 0.0);
    for (offset, product) in products.into_iter().enumerate() {
        if offset > 0 {
            let (gone, come) = (haystack[offset - 1], haystack[offset + needle.len() - 1]);
            window_energy = window_energy + square(come) - square(gone);
        }
        if window_energy as f64 >= silent {
            let score = product / (window_energy as f64 * needle_energy).sqrt();
            if score > best.1 {
                best = (offset, score);
            }
        }
    }
    (best.0, best.1 as f32)
}

fn square(sample: i16) -> u64 {
    (i32::from(sample) * i32::from(sample)) as u64
}

fn energy(samples: &[i16]) -> u64 {
    samples.iter().map(|&s| square(s)).sum()
}

/// `Σ haystack[offset + i] · needle[i]` for every offset at which the needle lies inside.
///
/// Both signals are real, so one transform carries both: the haystack in the real part, the needle in the imaginary.
fn sliding_products(haystack: &[i16], needle: &[i16]) -> Vec<f64> {
    let size = (haystack.len() + needle.len()).next_power_of_two().max(2);
    let mut both = vec![(0.0, 0.0); size];
    for (slot, &sample) in both.iter_mut().zip(haystack) {
        slot.0 = f64::from(sample);
    }
    for (slot, &sample) in both.iter_mut().zip(needle) {
        slot.1 = f64::from(sample);
    }
    transform(&mut both);
    let mut spectrum = vec![(0.0, 0.0); size];
    for (k, slot) in spectrum.iter_mut().enumerate() {
        let (a, b) = (both[k], both[(size - k) % size]);
        let hay = ((a.0 + b.0) / 2.0, (a.1 - b.1) / 2.0);
        let pin = ((a.1 + b.1) / 2.0, (b.0 - a.0) / 2.0);
        // hay · conj(pin), conjugated once more: a forward transform of the conjugate is the way back.
        *slot = (
            hay.0 * pin.0 + hay.1 * pin.1,
            -(hay.1 * pin.0 - hay.0 * pin.1),
        );
    }
    transform(&mut spectrum);
    let offsets = haystack.len() - needle.len() + 1;
    spectrum[..offsets]
        .iter()
        .map(|slot| slot.0 / size as f64)
        .collect()
}

/// Fourier transform in place, radix 2; the length is a power of two.
fn transform(x: &mut [(f64, f64)]) {
    let bits = x.len().trailing_zeros();
    for i in 0..x.len() {
        let j = i.reverse_bits() >> (usize::BITS - bits);
        if i < j {
            x.swap(i, j);
        }
    }
    let turns: Vec<(f64, f64)> = (0..x.len() / 2)
        .map(|k| (TAU * k as f64 / x.len() as f64).sin_cos())
        .map(|(sin, cos)| (cos, -sin))
        .collect();
    let mut half = 1;
    while half < x.len() {
        let stride = x.len() / (2 * half);
        for block in x.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            for ((a, b), t) in low.iter_mut().zip(high).zip(turns.iter().step_by(stride)) {
                let turned = (b.0 * t.0 - b.1 * t.1, b.0 * t.1 + b.1 * t.0);
                *b = (a.0 - turned.0, a.1 - turned.1);
                *a = (a.0 + turned.0, a.1 + turned.1);
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{mulaw, tone};

    struct Xorshift(u64);

    impl Xorshift {
        fn sample(&mut self, peak: i16) -> i16 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (((self.0 >> 40) as i64 % (2 * i64::from(peak) + 1)) - i64::from(peak)) as i16
        }
    }

    fn noise(seed: u64, samples: usize, peak: i16) -> Vec<i16> {
        let mut random = Xorshift(seed);
        (0..samples).map(|_| random.sample(peak)).collect()
    }

    #[test]
    fn products_equal_the_plain_sum() {
        let (hay, pin) = (noise(1, 300, 2000), noise(2, 37, 2000));
        for (offset, product) in sliding_products(&hay, &pin).into_iter().enumerate() {
            let plain: i64 = pin
                .iter()
                .zip(&hay[offset..])
                .map(|(&a, &b)| i64::from(a) * i64::from(b))
                .sum();
            assert!((product - plain as f64).abs() < 0.01, "offset {offset}");
        }
    }

    #[test]
    fn words_are_found_quieter_in_noise_and_through_the_line() {
        let words = noise(3, 24_000, 8000);
        let mut heard = noise(4, 240_000, 300);
        for (slot, &word) in heard[123_456..].iter_mut().zip(&words) {
            *slot += word / 10;
        }
        for sample in &mut heard {
            *sample = mulaw::decode_sample(mulaw::encode_sample(*sample));
        }
        let (offset, score) = correlate(&heard, &words);
        assert_eq!(offset, 123_456);
        assert!(score > 0.9, "{score}");
    }

    #[test]
    fn another_voice_scores_low() {
        let (_, score) = correlate(&noise(5, 80_000, 5000), &noise(6, 8000, 5000));
        assert!(score < 0.1, "{score}");
    }

    #[test]
    fn tone_is_found_at_any_pitch() {
        for hz in [250.0, 1000.0, 2000.0, 3300.0] {
            let needle = tone::sine(hz, 100, -20.0);
            let mut hay = vec![0; 4000];
            hay[1777..1777 + needle.len()].copy_from_slice(&needle);
            let (offset, score) = correlate(&hay, &needle);
            assert_eq!((offset, score > 0.9999), (1777, true), "{hz} Hz");
        }
    }

    #[test]
    fn nothing_to_look_for_is_not_found() {
        let hay = noise(7, 1000, 1000);
        assert_eq!(correlate(&hay, &[]), (0, 0.0));
        assert_eq!(correlate(&hay, &[0; 100]), (0, 0.0));
        assert_eq!(correlate(&hay[..50], &hay), (0, 0.0));
        assert_eq!(correlate(&[0; 1000], &hay[..100]), (0, 0.0));
        assert_eq!(correlate(&hay, &hay).0, 0);
    }

    #[test]
    fn search_ends_at_the_bound() {
        let mut hay = vec![0; MAX_HAYSTACK_SAMPLES + 100];
        let needle = noise(8, 50, 1000);
        hay[MAX_HAYSTACK_SAMPLES..][..50].copy_from_slice(&needle);
        assert!(correlate(&hay, &needle).1 < 0.9);
    }
}
