//! Starting a voice for a call, in the format that costs least. Which voice is the core's decision; saying something with
//! it is the mouth's business.

use super::{Guest, Setup, starting};
use crate::media::resample::Resampler;
use crate::media::{frame, mulaw};
use crate::plugin::{Encoding, Format, Generation, Stream};
use serde_json::json;
use std::sync::Arc;
use voice_plugin::abi::role;

/// The voice's stream, and what must happen to its sound before the line takes it.
pub(super) struct Open {
    pub(super) stream: Stream,
    /// As it was when the stream was started.
    pub(super) voice: Arc<Setup>,
    /// In which it speaks.
    pub(super) language: String,
    /// `None`: µ-law as it is. Rate 8000 in linear samples needs no filter, only companding.
    pub(super) convert: Option<Option<Resampler>>,
}

impl Open {
    /// Starts a voice for this call. The error is a sentence that begins with its name.
    pub(super) fn start(
        guest: &Guest,
        voice: &Arc<Setup>,
        generation: &Arc<Generation>,
        language: &str,
    ) -> Result<Open, String> {
        let format = Format::best_of(&generation.library().describe().tts_produces);
        let convert = match (format.encoding, format.rate) {
            (Encoding::Mulaw, _) => None,
            (Encoding::S16le, frame::RATE) => Some(None),
            (Encoding::S16le, rate) => {
                let resampler = Resampler::new(rate, frame::RATE);
                Some(Some(
                    resampler.map_err(|error| format!("no_voice: {error}"))?,
                ))
            }
        };
        let own = json!({"settings": voice.settings});
        let stream = starting::start(generation, role::TTS, guest, format, language, own)?;
        Ok(Open {
            stream,
            voice: Arc::clone(voice),
            language: language.to_owned(),
            convert,
        })
    }
}

/// Converts as much of `bytes` as `room` samples hold; appends µ-law to `made`; returns the bytes used.
pub(super) fn narrow(
    bytes: &[u8],
    room: usize,
    resampler: Option<&mut Resampler>,
    wide: &mut Vec<i16>,
    narrowed: &mut Vec<i16>,
    made: &mut Vec<u8>,
) -> usize {
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
    let line: &[i16] = match resampler {
        Some(resampler) => {
            narrowed.clear();
            resampler.push(wide, narrowed);
            narrowed
        }
        None => wide,
    };
    made.resize(line.len(), 0);
    mulaw::encode(line, made);
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversion_never_makes_more_than_there_is_room_for() {
        let bytes: Vec<u8> = (0..999_u32).map(|n| n as u8).collect();
        let (mut wide, mut narrowed, mut made) = (Vec::new(), Vec::new(), Vec::new());
        let used = narrow(&bytes, 100, None, &mut wide, &mut narrowed, &mut made);
        assert_eq!((used, made.len()), (200, 100));
        made.clear();
        let used = narrow(&bytes, 10_000, None, &mut wide, &mut narrowed, &mut made);
        assert_eq!(
            (used, made.len()),
            (999, 499),
            "the odd last byte goes with the record"
        );
    }
}
