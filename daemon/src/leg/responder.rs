//! Who answers in one call: the line of responders, the stream of the one at work, what is told to it, and starting it
//! again after a fault.
//!
//! A responder that panicked or failed in `send`, or says that it is at its end, has lost its stream; the next turn starts
//! a new one, so that one bad turn costs a turn and not the call. Which one of the line is asked is the core's decision.
//! What it answers is read next door in `deliveries`, where it is known to whom it belongs.

use super::history::History;
use super::rests::Asked;
use super::starting::in_words;
use super::{House, Visit, starting};
use crate::call::{Prompt, Return, Turn};
use crate::plugin::{Format, Stream};
use serde_json::{Value, json};
use std::time::Instant;
use voice_plugin::abi::{flag, kind, role};

pub(super) struct Responder {
    /// The line, by name; never empty.
    names: Vec<String>,
    /// Who is at work.
    place: usize,
    /// What is spoken: the agent's language, or what was asked for.
    pub(super) language: String,
    pub(super) stream: Option<Stream>,
    /// Who is behind the stream, for those that count failures.
    asked: Option<Asked>,
    /// As the plugin describes itself, until the stream says otherwise.
    pub(super) hears_audio: bool,
    /// The leg has seen `own_turns`: it hears only what comes after the greeting.
    pub(super) own_turns: bool,
    /// Who was asked, of which the core has not been told: turn, place, and how many stand behind.
    pub(super) begun: Option<(Turn, u32, u32)>,
    /// A fault that the core has not been told yet.
    pub(super) fault: Option<String>,
    /// How the call came back last, or why it did not go; a fallback may have to be told again.
    returned: Option<Value>,
}

impl Responder {
    pub(super) fn new(names: Vec<String>, language: String) -> Responder {
        Responder {
            names,
            place: 0,
            language,
            stream: None,
            asked: None,
            hears_audio: false,
            own_turns: false,
            begun: None,
            fault: None,
            returned: None,
        }
    }

    fn name(&self) -> &str {
        self.names.get(self.place).map_or("", String::as_str)
    }

    /// Starts the one at work if it is not running, and tells it what was said before. The error is a sentence.
    pub(super) fn start(
        &mut self,
        visit: &Visit,
        history: &History,
        now: Instant,
    ) -> Result<(), String> {
        let Visit { house, guest } = visit;
        let roster = house.roster.now();
        let name = self.name().to_owned();
        let has_fallback = self.place + 1 < self.names.len();
        if let Some(stream) = &self.stream {
            // Who is stuck keeps a whole thread waiting with each event.
            if has_fallback && stream.generation().is_hung() {
                self.stream = None;
                return Err(format!("hung: the responder \"{name}\" hangs"));
            }
            return Ok(());
        }
        self.asked = None;
        let generation = (roster.plugins.get(&name))
            .ok_or_else(|| format!("not_loaded: the responder \"{name}\" is not loaded"))?;
        let asked = Asked::responder(&name, generation.number());
        if has_fallback && house.rests.rests(&asked, now) {
            return Err(asked.rests());
        }
        self.asked = Some(asked);
        self.hears_audio = generation.library().describe().hears_audio;
        let own = json!({
            "history": history.entries(),
            "variables": history.variables(),
            "settings": {}, // its keys are those it was opened with
        });
        let (role, format) = (role::RESPONDER, Format::LINE);
        let stream = starting::start(generation, role, guest, format, &self.language, own)?;
        self.stream = Some(stream);
        Ok(())
    }

    /// The caller's sound, µ-law, if it wants to hear it.
    pub(super) fn hear(&mut self, turn: Turn, at: u64, samples: &[u8]) {
        if self.hears_audio {
            self.tell(kind::AUDIO, 0, turn, at, samples);
        }
    }

    /// One event. A fault ends the stream and is kept for the core.
    pub(super) fn tell(&mut self, kind: u16, flags: u16, turn: Turn, at: u64, data: &[u8]) {
        if let Some(stream) = &mut self.stream
            && let Err(fault) = stream.send(kind, flags, turn, at, data)
        {
            self.stream = None;
            self.fault = Some(in_words(fault, "responder", self.name()));
        }
    }

    /// It says that its stream is at its end: the next turn starts another. `why` is empty if that has been told; a turn
    /// that was asked since is failed all the same, and who takes his own turns is asked no more.
    pub(super) fn ended(&mut self, why: &str, asked_since: bool) {
        self.stream = None;
        if !why.is_empty() || asked_since || self.own_turns {
            let name = self.name();
            self.fault = Some(match why {
                "" => format!("broken: the responder \"{name}\" has ended before the call"),
                why => why.to_owned(),
            });
        }
    }

    /// The one at this place is to answer `turn`, with this behind it; the last one if the line is shorter.
    pub(super) fn ask(
        &mut self,
        visit: &Visit,
        (turn, prompt, place): (Turn, &Prompt, u32),
        history: &History,
        at: u64,
        now: Instant,
    ) {
        let last = self.names.len().saturating_sub(1);
        let place = usize::try_from(place).unwrap_or(last).min(last);
        if place != self.place {
            self.stream = None;
            self.place = place;
        }
        // What was wrong before is no answer to this turn.
        self.fault = None;
        let count = |n: usize| u32::try_from(n).unwrap_or(0);
        self.begun = Some((turn, count(place), count(last - place)));
        let fresh = self.stream.is_none();
        if let Err(text) = self.start(visit, history, now) {
            self.fault = Some(text);
            return;
        }
        match prompt {
            Prompt::Speech { text: Some(text) } => {
                self.tell(kind::TEXT, 0, turn, at, text.as_bytes());
            }
            Prompt::Speech { text: None } | Prompt::Start => {}
            // Whoever was there when it was pressed has been told then.
            Prompt::Digit(digit) if fresh => {
                let mut bytes = [0; 4];
                let digit = digit.encode_utf8(&mut bytes);
                self.tell(kind::DTMF, 0, turn, at, digit.as_bytes());
            }
            Prompt::Digit(_) => {}
            Prompt::Silence { count } => {
                self.tell(kind::SILENCE, 0, turn, at, count.to_string().as_bytes());
            }
            Prompt::Returned => {
                let how = self.returned.clone().unwrap_or_else(|| json!({}));
                self.tell(kind::RETURNED, 0, turn, at, how.to_string().as_bytes());
            }
        }
        self.tell(kind::SPEECH_END, flag::LAST, turn, at, &[]);
    }

    /// The call is back from elsewhere. After a broken stream nobody asks, so it is told at once.
    pub(super) fn came_back(&mut self, how: Return<'_>, turn: Turn, at: u64) {
        let after = match how {
            Return::Lost => json!({"after": "stream"}),
            Return::Digits => json!({"after": "digits"}),
            Return::Transfer { outcome } => json!({"after": "transfer", "outcome": outcome}),
        };
        self.is_back(after, how == Return::Lost, turn, at);
    }

    /// It wanted the call where it cannot go, for this reason. What it is back from is "transfer" or "digits".
    pub(super) fn stays(&mut self, from: &str, reason: &str, turn: Turn, at: u64) {
        let how = json!({"after": from, "outcome": "failed", "reason": reason});
        self.is_back(how, false, turn, at);
    }

    /// Told at once, or with the question what now; who takes his own turns is not asked.
    fn is_back(&mut self, how: Value, at_once: bool, turn: Turn, at: u64) {
        if at_once || self.own_turns {
            self.tell(kind::RETURNED, 0, turn, at, how.to_string().as_bytes());
        } else {
            self.returned = Some(how);
        }
    }

    /// Something else that it wanted is not done.
    pub(super) fn refused(&mut self, what: &str, reason: &str, turn: Turn, at: u64) {
        let refused = json!({"do": what, "reason": reason});
        self.tell(kind::FAILED, 0, turn, at, refused.to_string().as_bytes());
    }

    /// The answer to this turn and those before is no longer wanted; what the caller heard of it, and whether the turn
    /// is none.
    pub(super) fn cancel(&mut self, turn: Turn, heard: &str, withdrawn: bool) {
        let flags = if withdrawn { flag::WITHDRAWN } else { 0 };
        if let Some(stream) = &mut self.stream {
            stream.cancel(turn, flags, heard.as_bytes());
        }
    }

    /// The core says that the one at this place has failed, so that other calls need not find out for themselves.
    pub(super) fn replaced(&mut self, house: &House, place: u32, now: Instant) {
        if usize::try_from(place) == Ok(self.place)
            && let Some(asked) = self.asked.take()
        {
            house.rests.failed_now(&asked, now);
        }
    }

    /// It answered a turn to its end.
    pub(super) fn did_well(&self, house: &House) {
        if let Some(asked) = &self.asked {
            house.rests.did_well(asked);
        }
    }

    /// Whether a look would find nothing.
    pub(super) fn is_idle(&self) -> bool {
        self.fault.is_none()
            && self.begun.is_none()
            && self.stream.as_ref().is_none_or(Stream::is_idle)
    }
}
