//! µ-law as on the wire (ITU-T G.711, with all bits inverted as it is transmitted). A-law is not here: no carrier we
//! speak to sends it.
//!
//! In comes through a table of 256, out goes through arithmetic: an encoding table would be 64 kB and push the calls'
//! own memory out of the cache.

/// Added to a magnitude so that each segment begins at a power of two: 33 steps of the finest segment, in 16-bit units.
const BIAS: u16 = 33 << 2;

/// Largest magnitude that still fits the eighth segment after the bias.
const CLIP: u16 = 0x7FFF - BIAS;

static DECODED: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = expand(code as u8);
        code += 1;
    }
    table
};

const fn expand(code: u8) -> i16 {
    let bits = !code;
    let segment = (bits >> 4) & 7;
    let step = (bits & 0x0F) as u16;
    let magnitude = ((((step << 3) + BIAS) << segment) - BIAS) as i16;
    if bits & 0x80 != 0 {
        -magnitude
    } else {
        magnitude
    }
}

/// The 16-bit sample that one µ-law byte stands for.
#[inline]
pub fn decode_sample(code: u8) -> i16 {
    DECODED[code as usize]
}

/// The µ-law byte nearest to a sample; halfway, the louder one. Samples beyond ±32 635 are clipped to the loudest code.
#[inline]
pub fn encode_sample(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let biased = sample.unsigned_abs().min(CLIP) + BIAS;
    let segment = 8 - biased.leading_zeros() as u16; // the bias keeps bit 7 or a higher one set
    let step = (biased >> (segment + 3)) & 0x0F;
    !(sign | (segment << 4 | step) as u8)
}

/// Decodes byte by byte into `samples`. If the lengths differ, as many as the shorter one has; the rest stays as it was.
#[inline]
pub fn decode(bytes: &[u8], samples: &mut [i16]) {
    for (sample, &byte) in samples.iter_mut().zip(bytes) {
        *sample = decode_sample(byte);
    }
}

/// Encodes sample by sample into `bytes`. If the lengths differ, as many as the shorter one has; the rest stays as it was.
#[inline]
pub fn encode(samples: &[i16], bytes: &mut [u8]) {
    for (byte, &sample) in bytes.iter_mut().zip(samples) {
        *byte = encode_sample(sample);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::MULAW_SILENCE;

    /// Tables 2a and 2b of the Recommendation, spelled as they are printed there: for each segment its lower decision
    /// value and its interval, in units of the 14-bit scale (four of our 16-bit steps). The first interval of the
    /// first segment is only one unit wide, and its output is zero.
    const SEGMENTS: [(u32, u32); 8] = [
        (1, 2),
        (31, 4),
        (95, 8),
        (223, 16),
        (479, 32),
        (991, 64),
        (2015, 128),
        (4063, 256),
    ];

    /// `(decision value below, output value)` of the 128 magnitudes, in 16-bit steps, quietest first.
    fn recommendation() -> Vec<(u32, u32)> {
        let mut rows = vec![(0, 0)];
        for (number, (lower, interval)) in SEGMENTS.into_iter().enumerate() {
            let intervals = if number == 0 { 15 } else { 16 };
            for i in 0..intervals {
                let below = lower + i * interval;
                rows.push((4 * below, 4 * below + 2 * interval));
            }
        }
        assert_eq!(rows.len(), 128);
        rows
    }

    #[test]
    fn every_sample_gets_the_code_of_the_recommendation() {
        let rows = recommendation();
        for sample in i16::MIN..=i16::MAX {
            let magnitude = u32::from(sample.unsigned_abs());
            let number = rows.iter().rposition(|&(below, _)| magnitude >= below);
            let positive = 0xFF - number.expect("zero is below everything") as u8;
            let expected = if sample < 0 {
                positive & 0x7F
            } else {
                positive
            };
            assert_eq!(encode_sample(sample), expected, "sample {sample}");
        }
    }

    #[test]
    fn every_code_decodes_to_the_output_value_of_the_recommendation() {
        for (number, (_, output)) in recommendation().into_iter().enumerate() {
            let positive = 0xFF - number as u8;
            assert_eq!(
                i32::from(decode_sample(positive)),
                output as i32,
                "code {positive:#04x}"
            );
            assert_eq!(i32::from(decode_sample(positive & 0x7F)), -(output as i32));
        }
    }

    #[test]
    fn every_code_survives_a_round_trip_except_minus_zero() {
        for code in 0..=255 {
            let back = encode_sample(decode_sample(code));
            assert_eq!(back, if code == 0x7F { MULAW_SILENCE } else { code });
        }
    }

    #[test]
    fn loudest_samples_clip_instead_of_wrapping() {
        assert_eq!([0x80, 0x00], [i16::MAX, i16::MIN].map(encode_sample));
        assert_eq!([32124, -32124], [0x80, 0x00].map(decode_sample));
    }

    #[test]
    fn shorter_slice_rules() {
        let mut samples = [7; 3];
        decode(&[MULAW_SILENCE, 0x80], &mut samples);
        assert_eq!(samples, [0, 32124, 7]);
        let mut bytes = [0x55; 2];
        encode(&[0, i16::MIN, 1], &mut bytes);
        assert_eq!(bytes, [MULAW_SILENCE, 0x00]);
    }
}
