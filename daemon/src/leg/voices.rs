//! The line of voices an agent speaks with: who stands in it at the moment one is asked, and starting one of them for a
//! call. Which place is asked is the core's decision; saying something with it is the mouth's business.

use super::{Agent, Guest, Roster, Setup};
use crate::media::frame;
use crate::media::resample::Resampler;
use crate::plugin::{Encoding, Fault, Format, Generation, StartError, Stream};
use serde_json::json;
use std::sync::Arc;
use voice_plugin::abi::{failure, role};

/// The name of the refusal of a voice that was not even asked.
pub(super) const RESTING: &str = "resting";

/// Names by which the host says why something failed; those of plugins are in the contract.
pub(super) const REFUSALS: [&str; 11] = [
    RESTING,
    "gone",
    "not_loaded",
    "hung",
    "no_voice",
    "crowded",
    "refused",
    "panicked",
    "broken",
    "no_memory",
    "no_text",
];

/// A line of voices as it stood at one moment, each with the build of its plugin that was there.
#[derive(Debug, Default)]
pub(super) struct Voices(Vec<(Arc<Setup>, Option<u64>)>);

impl Voices {
    pub(super) fn of(roster: &Roster, agent: &Agent) -> Voices {
        let line = roster.line_of(agent).into_iter();
        let build = |voice: &Arc<Setup>| {
            roster
                .plugins
                .get(&voice.plugin)
                .map(|plugin| plugin.number())
        };
        Voices(
            line.map(|voice| {
                let build = build(&voice);
                (voice, build)
            })
            .collect(),
        )
    }

    pub(super) fn are(&self, others: &Voices) -> bool {
        let same = |((a, build_a), (b, build_b)): (&(Arc<Setup>, _), &(Arc<Setup>, _))| {
            Arc::ptr_eq(a, b) && build_a == build_b
        };
        self.0.len() == others.0.len() && self.0.iter().zip(&others.0).all(same)
    }

    pub(super) fn at(&self, place: u32) -> Option<&Arc<Setup>> {
        self.0.get(place as usize).map(|(voice, _)| voice)
    }

    /// The place of the last one; 0 also if there is none.
    pub(super) fn last_place(&self) -> u32 {
        u32::try_from(self.0.len().saturating_sub(1)).unwrap_or(0)
    }

    /// The name of the voice at this place; empty if there is none.
    pub(super) fn name(&self, place: u32) -> &str {
        self.at(place).map_or("", |voice| &voice.name)
    }
}

/// The voice's stream, and what must happen to its sound before the line takes it.
pub(super) struct Open {
    pub(super) stream: Stream,
    /// As it was when the stream was started.
    pub(super) voice: Arc<Setup>,
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
        let format = line_format(&generation.library().describe().tts_produces);
        let info = json!({
            "call": {"sid": guest.call_sid, "from": guest.from, "to": guest.to},
            "format": {"encoding": format.encoding.to_string(), "rate": format.rate},
            "language": language,
            "settings": voice.settings,
        });
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
        match generation.start(role::TTS, &info.to_string()) {
            Ok(stream) => Ok(Open {
                stream,
                voice: Arc::clone(voice),
                convert,
            }),
            Err(error) => Err(format!("{}: {error}", start_error_name(&error))),
        }
    }
}

fn start_error_name(error: &StartError) -> &'static str {
    match error {
        StartError::Role { .. } => "no_voice",
        StartError::Hung { .. } => "hung",
        StartError::Crowded { .. } => "crowded",
        StartError::Refused { said, .. } => failure::name_of(said).unwrap_or("refused"),
        StartError::Panicked { .. } => "panicked",
        StartError::Memory { .. } => "no_memory",
    }
}

pub(super) fn in_words(fault: Fault) -> String {
    let name = match fault {
        Fault::Panicked => "panicked",
        Fault::Failed | Fault::Gone => "broken",
    };
    format!("{name}: {fault}")
}

/// The best of what a voice offers: the line's own µ-law, else the lowest rate that loses nothing.
fn line_format(offered: &[Format]) -> Format {
    let own = Format {
        encoding: Encoding::Mulaw,
        rate: frame::RATE,
    };
    if offered.is_empty() || offered.contains(&own) {
        return own;
    }
    offered
        .iter()
        .copied()
        .min_by_key(|format| format.rate)
        .unwrap_or(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_own_format_is_asked_for_first() {
        let mulaw = Format {
            encoding: Encoding::Mulaw,
            rate: 8000,
        };
        let wide = Format {
            encoding: Encoding::S16le,
            rate: 24_000,
        };
        let narrow = Format {
            encoding: Encoding::S16le,
            rate: 16_000,
        };
        assert_eq!(line_format(&[wide, mulaw]), mulaw);
        assert_eq!(line_format(&[wide, narrow]), narrow);
        assert_eq!(line_format(&[]), mulaw);
    }
}
