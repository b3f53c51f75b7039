//! Sound as it comes from the call, kept as it came: bytes in the agreed format. It is made into what the network wants
//! by the worker that listens to it, so that keeping half a minute of a call costs no more than its bytes.

use voice_plugin::prelude::{Encoding, Format};

use crate::model::SAMPLE_RATE;

/// What is listened to, the best first: the network's own rate, made by the host with a better filter than ours; and the
/// line's own format for hosts that convert nothing.
pub(crate) const ACCEPTS: &[Format] = &[Format::s16le(SAMPLE_RATE as u32), Format::MULAW_8K];

/// Half the length of the filter that puts a sample between each two.
const TAPS: usize = 16;

/// A stretch of sound, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sound {
    pub(crate) format: Format,
    pub(crate) bytes: Vec<u8>,
}

impl Sound {
    pub(crate) fn ms(&self) -> u32 {
        let per_sec = self.format.rate as usize * self.format.bytes_per_sample();
        u32::try_from(self.bytes.len() * 1000 / per_sec).unwrap_or(u32::MAX)
    }

    /// Takes everything before the quietest tenth of a second between `from_ms` and the end.
    pub(crate) fn cut_where_quiet(&mut self, from_ms: u32) -> Sound {
        let piece = self.format.bytes_of_ms(100);
        let from = self.format.bytes_of_ms(from_ms).min(self.bytes.len());
        let loudness = |bytes: &[u8]| -> f64 {
            let samples = decoded(self.format, bytes);
            samples.map(|x| f64::from(x) * f64::from(x)).sum()
        };
        let pieces = self.bytes[from..].chunks_exact(piece).enumerate();
        let quietest = pieces
            .map(|(n, bytes)| (n, loudness(bytes)))
            .min_by(|a, b| a.1.total_cmp(&b.1));
        // Behind the middle of the quiet, on a whole sample.
        let half = piece / 4 * 2;
        let at = quietest.map_or(self.bytes.len(), |(n, _)| from + n * piece + half);
        let rest = self.bytes.split_off(at);
        Sound {
            format: self.format,
            bytes: std::mem::replace(&mut self.bytes, rest),
        }
    }

    /// Samples at the network's rate, between -1 and 1.
    pub(crate) fn samples(&self) -> Vec<f32> {
        let samples: Vec<f32> = decoded(self.format, &self.bytes)
            .map(|x| f32::from(x) / 32768.0)
            .collect();
        match self.format.rate as usize == SAMPLE_RATE {
            true => samples,
            false => doubled(&samples),
        }
    }
}

fn decoded(format: Format, bytes: &[u8]) -> impl Iterator<Item = i16> {
    let (pairs, codes): (&[[u8; 2]], &[u8]) = match format.encoding {
        Encoding::S16le => (bytes.as_chunks().0, &[]),
        Encoding::Mulaw => (&[], bytes),
    };
    let pairs = pairs.iter().map(|pair| i16::from_le_bytes(*pair));
    pairs.chain(codes.iter().map(|code| linear(*code)))
}

/// A code of G.711 µ-law as the sample it stands for.
fn linear(code: u8) -> i16 {
    let code = !code;
    let exponent = i32::from(code >> 4 & 7);
    let magnitude = (((i32::from(code & 15) << 3) + 132) << exponent) - 132;
    // 32,124 at most.
    (if code & 0x80 == 0 {
        magnitude
    } else {
        -magnitude
    }) as i16
}

/// Twice the rate: each sample, and the one between it and the next, by a windowed sinc.
fn doubled(samples: &[f32]) -> Vec<f32> {
    use std::f32::consts::PI;
    let taps: [f32; 2 * TAPS] = std::array::from_fn(|n| {
        let t = n as f32 - TAPS as f32 + 0.5;
        (PI * t).sin() / (PI * t) * (0.5 + 0.5 * (PI * t / TAPS as f32).cos())
    });
    let mut padded = vec![0.0; TAPS - 1];
    padded.extend_from_slice(samples);
    padded.resize(samples.len() + 2 * TAPS - 1, 0.0);
    let mut out = Vec::with_capacity(2 * samples.len());
    for (sample, around) in samples.iter().zip(padded.windows(2 * TAPS)) {
        out.push(*sample);
        out.push(around.iter().zip(&taps).map(|(x, tap)| x * tap).sum());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tone_in_mulaw_comes_out_at_twice_the_rate() {
        // 1 kHz at half of full scale, coded by hand: the eight samples of a period.
        let period: [u8; 8] = [0xff, 0x98, 0x8f, 0x98, 0x7f, 0x18, 0x0f, 0x18];
        let sound = Sound {
            format: Format::MULAW_8K,
            bytes: period.repeat(100),
        };
        assert_eq!(sound.ms(), 100);
        let samples = sound.samples();
        assert_eq!(samples.len(), 1600);
        for (n, sample) in samples.iter().enumerate().skip(100).take(1400) {
            let expected = 0.5 * (n as f32 * std::f32::consts::PI / 8.0).sin();
            assert!(
                (sample - expected).abs() < 0.02,
                "{n}: {sample}, {expected}"
            );
        }
    }

    #[test]
    fn loudest_and_quietest_codes_are_those_of_g711() {
        let table = [
            (0x00, -32_124),
            (0x80, 32_124),
            (0xff, 0),
            (0x7f, 0),
            (0xfe, 8),
        ];
        for (code, sample) in table {
            assert_eq!(linear(code), sample, "{code:#x}");
        }
    }

    #[test]
    fn sound_is_cut_where_it_is_quiet_and_nothing_is_lost() {
        for format in ACCEPTS {
            let loud = match format.encoding {
                Encoding::S16le => 0x40,
                Encoding::Mulaw => 0x90,
            };
            let quiet = if format.encoding == Encoding::Mulaw {
                0xff
            } else {
                0
            };
            let mut bytes = vec![loud; format.bytes_of_ms(3000)];
            bytes[format.bytes_of_ms(2300)..format.bytes_of_ms(2400)].fill(quiet);
            let mut rest = Sound {
                format: *format,
                bytes: bytes.clone(),
            };
            let cut = rest.cut_where_quiet(2000);
            assert_eq!((cut.ms(), rest.ms()), (2350, 650));
            assert_eq!([cut.bytes, rest.bytes].concat(), bytes);
        }
    }
}
