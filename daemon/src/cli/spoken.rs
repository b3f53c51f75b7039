//! A text made into what a caller says, by the voice of the agent that is rung: speech for people without a recording.
//!
//! Opens the voice's plugin in this process, as the daemon would, and listens until the utterance is complete.

use super::Failure;
use crate::config::Config;
use crate::media::frame::RATE;
use crate::media::mulaw;
use crate::media::resample::Resampler;
use crate::plugin::{Encoding, Format, Generation, Library, Stream};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use voice_plugin::abi::{kind, role};

/// How long the voice may take for a sentence.
const SPEAK_SECS: u64 = 20;

/// A sentence of the caller may be so long.
const SPEECH_SAMPLES: usize = 120 * RATE as usize;

/// µ-law at 8 kHz of `text`, spoken by the voice of whoever answers `number`.
pub(super) fn say(config: &Config, number: &str, text: &str) -> Result<Vec<u8>, Failure> {
    let (_, agent) = config
        .agent_for(number)
        .ok_or_else(|| Failure::config("no agent answers this number"))?;
    let voice = &config.voices[&agent.voice];
    let plugin = &config.plugins[&voice.plugin];
    let exe = std::env::current_exe().ok();
    let beside = exe
        .as_deref()
        .and_then(Path::parent)
        .unwrap_or(Path::new("."));
    let path = config
        .find_library(&plugin.library, beside)
        .map_err(Failure::config)?;
    let state = std::env::temp_dir().join(format!("voice-streamer-phone-{}", std::process::id()));
    let loaded = Library::load(&voice.plugin, &path, &state, plugin.sha256.as_deref())
        .map_err(|error| Failure::config(error.to_string()));
    super::throw_away(&state);
    let failed = |error: &dyn std::fmt::Display| {
        Failure::failed(format!("the voice cannot say this: {error}"))
    };
    let generation = Generation::open(loaded?, &voice.plugin, &plugin.keys.to_string())
        .map_err(|error| failed(&error))?;
    let offered = &generation.library().describe().tts_produces;
    let own = Format {
        encoding: Encoding::Mulaw,
        rate: RATE,
    };
    let format = if offered.contains(&own) {
        own
    } else {
        offered.first().copied().unwrap_or(own)
    };
    let info = json!({
        "call": {"sid": "", "from": "", "to": number},
        "format": {"encoding": format.encoding.to_string(), "rate": format.rate},
        "language": voice.language.as_ref().unwrap_or(&agent.language),
        "settings": voice.keys,
    });
    let mut stream = generation
        .start(role::TTS, &info.to_string())
        .map_err(|error| failed(&error))?;
    stream
        .send(kind::SPEAK, 0, 1, 0, text.as_bytes())
        .map_err(|error| failed(&error))?;
    let bytes = listen(&mut stream)?;
    if format.encoding == Encoding::Mulaw {
        return Ok(bytes);
    }
    let wide: Vec<i16> = bytes
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let mut line = Vec::new();
    if format.rate == RATE {
        line = wide;
    } else {
        let mut resampler = Resampler::new(format.rate, RATE).map_err(|error| failed(&error))?;
        resampler.push(&wide, &mut line);
        resampler.finish(&mut line);
    }
    let mut sound = vec![0; line.len()];
    mulaw::encode(&line, &mut sound);
    Ok(sound)
}

fn listen(stream: &mut Stream) -> Result<Vec<u8>, Failure> {
    let deadline = Instant::now() + Duration::from_secs(SPEAK_SECS);
    let mut bytes = Vec::new();
    while Instant::now() < deadline && bytes.len() < SPEECH_SAMPLES * 4 {
        let Some(record) = stream.next() else {
            std::thread::yield_now();
            continue;
        };
        match record.kind {
            kind::AUDIO => bytes.extend_from_slice(record.data),
            kind::DONE => return Ok(bytes),
            kind::FAILED => {
                let text = String::from_utf8_lossy(record.data).into_owned();
                return Err(Failure::failed(format!(
                    "the voice cannot say this: {text}"
                )));
            }
            _ => {}
        }
        stream.take();
    }
    Err(Failure::failed(format!(
        "the voice did not finish within {SPEAK_SECS} s"
    )))
}
