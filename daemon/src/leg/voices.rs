//! Starting a voice for a call, in the format that costs least. Which voice is the core's decision; saying something with
//! it is the mouth's business.

use super::convert::Convert;
use super::{Guest, Setup, starting};
use crate::plugin::{Format, Generation, Stream};
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
    pub(super) convert: Convert,
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
        let convert = Convert::to_line(format).map_err(|error| format!("no_voice: {error}"))?;
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
