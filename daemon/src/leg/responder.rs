//! The responder's stream of one call: what is told to it, and starting it again after a fault.
//!
//! A responder that panicked or failed in `send` has lost its stream; the next turn starts a new one, so that one bad
//! turn costs a turn and not the call. What it answers is read by the leg, which knows where it belongs.

use super::{Guest, House};
use crate::media::frame;
use crate::plugin::Stream;
use serde_json::json;
use voice_plugin::abi::{flag, kind, role};

pub(super) struct Responder {
    name: String,
    language: String,
    pub(super) stream: Option<Stream>,
    hears_audio: bool,
    /// The leg has seen `own_turns`: it hears only what comes after the greeting.
    pub(super) own_turns: bool,
    /// A fault that the core has not been told yet.
    pub(super) fault: Option<String>,
}

impl Responder {
    pub(super) fn new(name: String, language: String) -> Responder {
        Responder {
            name,
            language,
            stream: None,
            hears_audio: false,
            own_turns: false,
            fault: None,
        }
    }

    /// Starts it if it is not running. The error is a sentence.
    pub(super) fn start(&mut self, house: &House, guest: &Guest) -> Result<(), String> {
        if self.stream.is_some() {
            return Ok(());
        }
        let generation = house
            .roster
            .now()
            .plugins
            .get(&self.name)
            .cloned()
            .ok_or_else(|| format!("the responder \"{}\" is not loaded", self.name))?;
        let info = json!({
            "call": {"sid": guest.call_sid, "from": guest.from, "to": guest.to},
            "format": {"encoding": "mulaw", "rate": frame::RATE},
            "language": self.language,
            "settings": {},
        });
        self.hears_audio = generation.library().describe().hears_audio;
        let stream = generation
            .start(role::RESPONDER, &info.to_string())
            .map_err(|error| error.to_string())?;
        self.stream = Some(stream);
        Ok(())
    }

    /// The caller's sound, µ-law, if it wants to hear it.
    pub(super) fn hear(&mut self, turn: u32, at: u64, samples: &[u8]) {
        if self.hears_audio {
            self.tell(kind::AUDIO, 0, turn, at, samples);
        }
    }

    /// One event. A fault ends the stream and is kept for the core.
    pub(super) fn tell(&mut self, kind: u16, flags: u16, turn: u32, at: u64, data: &[u8]) {
        if let Some(stream) = &mut self.stream
            && let Err(fault) = stream.send(kind, flags, turn, at, data)
        {
            self.stream = None;
            self.fault = Some(format!("the responder \"{}\": {fault}", self.name));
        }
    }

    /// The caller's turn is over: an answer is wanted.
    pub(super) fn ask(&mut self, house: &House, guest: &Guest, turn: u32, at: u64) {
        if let Err(text) = self.start(house, guest) {
            self.fault = Some(text);
        }
        self.tell(kind::SPEECH_END, flag::LAST, turn, at, &[]);
    }

    /// The answer to this turn and those before is no longer wanted; what the caller heard of it.
    pub(super) fn cancel(&mut self, turn: u32, heard: &str) {
        if let Some(stream) = &mut self.stream {
            stream.cancel(turn, heard.as_bytes());
        }
    }

    /// Whether a look would find nothing.
    pub(super) fn is_idle(&self) -> bool {
        self.fault.is_none() && self.stream.as_ref().is_none_or(Stream::is_idle)
    }
}
