//! Between the line's µ-law and the format that was agreed with a plugin: a voice's sound on its way to the line, the
//! caller's on its way to whoever listens. Works in the thread's scratch and keeps nothing but the filter's memory.

use super::moment::Scratch;
use crate::media::resample::{ResampleError, Resampler};
use crate::media::{frame, mulaw};
use crate::plugin::{Encoding, Format};

/// What has to be done to the sound of one stream.
pub(super) enum Convert {
    /// Nothing: it is the line's own format.
    Mulaw,
    /// Linear samples at the line's rate need no filter, only companding.
    Linear,
    Resampled(Resampler),
}

impl Convert {
    /// From what a voice makes.
    pub(super) fn to_line(made: Format) -> Result<Convert, ResampleError> {
        Convert::between(made, made.rate, frame::RATE)
    }

    /// To what a listener takes.
    pub(super) fn from_line(taken: Format) -> Result<Convert, ResampleError> {
        Convert::between(taken, frame::RATE, taken.rate)
    }

    fn between(format: Format, from: u32, to: u32) -> Result<Convert, ResampleError> {
        Ok(match (format.encoding, format.rate) {
            (Encoding::Mulaw, _) => Convert::Mulaw,
            (Encoding::S16le, frame::RATE) => Convert::Linear,
            (Encoding::S16le, _) => Convert::Resampled(Resampler::new(from, to)?),
        })
    }

    /// What comes next does not follow what was before.
    pub(super) fn begin(&mut self) {
        if let Convert::Resampled(resampler) = self {
            resampler.reset();
        }
    }

    /// A voice's `bytes`, as many as give at most `room` samples, as µ-law in `scratch.mulaw`. Returns the bytes used.
    pub(super) fn narrow(&mut self, bytes: &[u8], room: usize, scratch: &mut Scratch) -> usize {
        let Scratch {
            mulaw: made,
            wide,
            narrow,
            ..
        } = scratch;
        made.clear();
        if let Convert::Mulaw = self {
            let used = room.min(bytes.len());
            made.extend_from_slice(&bytes[..used]);
            return used;
        }
        // A sample of the line comes from at least one sample of the voice, so this many can never be too many.
        let used = room.min(bytes.len() / 2) * 2;
        // A lone last byte would stay for ever; the contract says whole samples, so it is dropped here.
        let used = if used + 1 == bytes.len() {
            bytes.len()
        } else {
            used
        };
        wide.clear();
        wide.extend(
            bytes[..used]
                .chunks_exact(2)
                .map(|pair| i16::from_le_bytes([pair[0], pair[1]])),
        );
        let line: &[i16] = match self {
            Convert::Resampled(resampler) => {
                narrow.clear();
                resampler.push(wide, narrow);
                narrow
            }
            Convert::Mulaw | Convert::Linear => wide,
        };
        made.resize(line.len(), 0);
        mulaw::encode(line, made);
        used
    }

    /// The voice has finished: what the filter still holds, as µ-law in `scratch.mulaw`.
    pub(super) fn narrow_rest(&mut self, scratch: &mut Scratch) {
        scratch.mulaw.clear();
        if let Convert::Resampled(resampler) = self {
            scratch.narrow.clear();
            resampler.finish(&mut scratch.narrow);
            scratch.mulaw.resize(scratch.narrow.len(), 0);
            mulaw::encode(&scratch.narrow, &mut scratch.mulaw);
        }
    }

    /// The caller's sound, given as it came and decoded, in the bytes of the one who listens.
    pub(super) fn widen<'s>(
        &mut self,
        coded: &'s [u8],
        pcm: &'s [i16],
        scratch: &'s mut Scratch,
    ) -> &'s [u8] {
        let linear = match self {
            Convert::Mulaw => return coded,
            Convert::Linear => pcm,
            Convert::Resampled(resampler) => {
                scratch.wide.clear();
                resampler.push(pcm, &mut scratch.wide);
                &scratch.wide
            }
        };
        scratch.bytes.clear();
        let bytes = linear.iter().flat_map(|sample| sample.to_le_bytes());
        scratch.bytes.extend(bytes);
        &scratch.bytes
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn wide(rate: u32) -> Format {
        Format {
            encoding: Encoding::S16le,
            rate,
        }
    }

    #[test]
    fn conversion_never_makes_more_than_there_is_room_for() {
        let bytes: Vec<u8> = (0..999_u32).map(|n| n as u8).collect();
        let mut scratch = Scratch::default();
        for (made, room, used, samples) in [
            (Format::LINE, 100, 100, 100),
            (Format::LINE, 10_000, 999, 999),
            (wide(8000), 100, 200, 100),
            // The odd last byte goes with the record.
            (wide(8000), 10_000, 999, 499),
        ] {
            let mut convert = Convert::to_line(made).unwrap();
            assert_eq!(convert.narrow(&bytes, room, &mut scratch), used, "{made}");
            assert_eq!(scratch.mulaw.len(), samples, "{made}");
        }
        let mut convert = Convert::to_line(wide(16_000)).unwrap();
        assert_eq!(convert.narrow(&bytes, 100, &mut scratch), 200);
        let mut samples = scratch.mulaw.len();
        convert.narrow_rest(&mut scratch);
        samples += scratch.mulaw.len();
        assert!((50..=100).contains(&samples), "{samples}");
    }

    #[test]
    fn who_listens_is_given_the_format_he_takes() {
        let (coded, pcm) = ([0x80; 160], [-32_124; 160]);
        let mut scratch = Scratch::default();
        for (taken, bytes) in [(Format::LINE, 160), (wide(8000), 320)] {
            let mut convert = Convert::from_line(taken).unwrap();
            let given = convert.widen(&coded, &pcm, &mut scratch).len();
            assert_eq!(given, bytes, "{taken}");
        }
        let mut convert = Convert::from_line(wide(16_000)).unwrap();
        let twice = (0..10)
            .map(|_| convert.widen(&coded, &pcm, &mut scratch).len())
            .sum::<usize>();
        assert!(
            (6000..=6400).contains(&twice),
            "less what the filter holds: {twice}"
        );
    }
}
