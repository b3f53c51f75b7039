//! Audio formats as the contract names them, and µ-law for voices that compute samples. Not a converter: changing
//! rates is the host's work, or the plugin's own.

use serde::{Deserialize, Serialize};

/// How one sample is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// G.711 µ-law, one byte per sample, 8000 Hz only: what the phone line carries.
    Mulaw,
    /// Signed 16-bit, little endian, mono.
    S16le,
}

/// Encoding and rate; always mono.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Format {
    /// How one sample is written.
    pub encoding: Encoding,
    /// Samples per second.
    pub rate: u32,
}

impl Format {
    /// The phone line's own format. A voice that can produce it spares the host every conversion.
    pub const MULAW_8K: Format = Format {
        encoding: Encoding::Mulaw,
        rate: 8000,
    };

    /// 16-bit samples at `rate` Hz.
    pub const fn s16le(rate: u32) -> Format {
        Format {
            encoding: Encoding::S16le,
            rate,
        }
    }

    /// Bytes of one sample.
    pub const fn bytes_per_sample(self) -> usize {
        match self.encoding {
            Encoding::Mulaw => 1,
            Encoding::S16le => 2,
        }
    }

    /// Bytes of `ms` milliseconds, rounded down to whole samples.
    pub const fn bytes_of_ms(self, ms: u32) -> usize {
        (self.rate as u64 * ms as u64 / 1000) as usize * self.bytes_per_sample()
    }
}

impl Default for Format {
    fn default() -> Format {
        Format::MULAW_8K
    }
}

/// The offset that G.711 adds to a magnitude before it looks for the leading bit.
const BIAS: i32 = 132;
/// The largest magnitude that fits after the offset was added.
const CLIP: i32 = 32_635;

/// One 16-bit sample as G.711 µ-law.
pub(crate) fn mulaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(CLIP) + BIAS;
    // BIAS puts the leading bit at 7 or above and CLIP at 14 or below, so the exponent is 0 to 7.
    let exponent = 24 - magnitude.leading_zeros();
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !(sign | (exponent as u8) << 4 | mantissa as u8)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn mulaw_matches_the_table_of_g711() {
        // ITU-T G.711 table 2: decision values around the segment edges, scaled from 14 to 16 bits.
        let cases = [
            (0, 0xff),
            (-1, 0x7f),
            (3, 0xff),
            (4, 0xfe),
            (-4, 0x7e),
            (123, 0xf0),
            (124, 0xef),
            (1000, 0xce),
            (-1000, 0x4e),
            (32_635, 0x80),
            (i16::MAX, 0x80),
            (i16::MIN, 0x00),
        ];
        for (sample, code) in cases {
            assert_eq!(mulaw(sample), code, "sample {sample}");
        }
    }

    #[test]
    fn every_code_decodes_to_a_sample_that_encodes_to_it_again() {
        for code in 0..=255u8 {
            let bits = !code;
            let exponent = i32::from(bits >> 4 & 7);
            let magnitude = (((i32::from(bits & 15) << 3) + BIAS) << exponent) - BIAS;
            let sample = if bits & 0x80 == 0 {
                magnitude
            } else {
                -magnitude
            };
            // 0x7f is minus zero, which 16 bits cannot say.
            let expected = if code == 0x7f { 0xff } else { code };
            assert_eq!(mulaw(sample as i16), expected, "code {code:#x}");
        }
    }

    #[test]
    fn formats_read_and_write_the_words_of_the_contract() {
        let json = r#"{"encoding":"s16le","rate":16000}"#;
        assert_eq!(
            serde_json::from_str::<Format>(json).unwrap(),
            Format::s16le(16000)
        );
        assert_eq!(serde_json::to_string(&Format::s16le(16000)).unwrap(), json);
        assert_eq!(
            serde_json::to_string(&Format::MULAW_8K).unwrap(),
            r#"{"encoding":"mulaw","rate":8000}"#
        );
    }

    #[test]
    fn milliseconds_are_whole_samples() {
        assert_eq!(Format::MULAW_8K.bytes_of_ms(20), 160);
        assert_eq!(Format::s16le(22_050).bytes_of_ms(1), 44);
    }
}
