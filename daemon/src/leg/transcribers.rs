//! Starting one who listens to a call, in the format that costs least, and giving him the caller's sound in it. Who
//! that is, and what becomes of his words, is the listener's business.

use super::convert::Convert;
use super::moment::Scratch;
use super::{Guest, Setup, starting};
use crate::call::Stretch;
use crate::media::{frame, mulaw};
use crate::plugin::{Fault, Format, Generation, Stream};
use serde_json::json;
use std::collections::VecDeque;
use std::sync::Arc;
use voice_plugin::abi::{kind, role};

/// Who listens.
pub(super) struct Open {
    pub(super) stream: Stream,
    pub(super) setup: Arc<Setup>,
    pub(super) language: String,
    pub(super) place: u32,
    convert: Convert,
}

impl Open {
    /// Starts one for this call. The error is a sentence that begins with its name.
    pub(super) fn start(
        guest: &Guest,
        place: u32,
        setup: &Arc<Setup>,
        generation: &Arc<Generation>,
        language: String,
    ) -> Result<Open, String> {
        let format = Format::best_of(&generation.library().describe().stt_accepts);
        let convert = Convert::from_line(format).map_err(|error| format!("no_role: {error}"))?;
        let own = json!({"settings": setup.settings});
        let stream = starting::start(generation, role::STT, guest, format, &language, own)?;
        Ok(Open {
            stream,
            setup: Arc::clone(setup),
            language,
            place,
            convert,
        })
    }

    /// What was said before he came; it ends at `at`.
    pub(super) fn catch_up(
        &mut self,
        recent: &VecDeque<u8>,
        at: u64,
        scratch: &mut Scratch,
    ) -> Result<(), Fault> {
        let mut at = at.saturating_sub(recent.len() as u64);
        let mut coded = [0; frame::FRAME_SAMPLES];
        let mut pcm = [0; frame::FRAME_SAMPLES];
        let mut left = recent.iter().copied();
        loop {
            let mut count = 0;
            for (slot, sample) in coded.iter_mut().zip(&mut left) {
                *slot = sample;
                count += 1;
            }
            if count == 0 {
                return Ok(());
            }
            mulaw::decode(&coded[..count], &mut pcm[..count]);
            self.hear(&coded[..count], &pcm[..count], 0, at, scratch)?;
            at += count as u64;
        }
    }

    pub(super) fn hear(
        &mut self,
        coded: &[u8],
        pcm: &[i16],
        stretch: Stretch,
        at: u64,
        scratch: &mut Scratch,
    ) -> Result<(), Fault> {
        let bytes = self.convert.widen(coded, pcm, scratch);
        if bytes.is_empty() {
            return Ok(());
        }
        self.stream.send(kind::AUDIO, 0, stretch, at, bytes)
    }
}
