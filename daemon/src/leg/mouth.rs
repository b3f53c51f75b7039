//! The agent's mouth: the voice that speaks in one call, phrases kept from before, and the samples that stand ready.
//!
//! Says one utterance at a time, in the order the core asks; what it delivers goes to the core as counts and into
//! `ready` as µ-law, so that the core decides when how much of it is played. Converts only what a voice cannot give
//! in the line's own format.

use super::lineup::Lineup;
use super::moment::Scratch;
use super::phrases::{PHRASE_BYTES, PhraseKey};
use super::ready::Ready;
use super::rests::{Asked, Step};
use super::speakers::Speaker;
use super::starting::in_words;
use super::voices::Open;
use super::{House, Roster, Visit};
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;
use voice_plugin::abi::kind;

/// What the core asks for with `Speak`.
#[derive(Debug)]
pub(super) struct Ask<'t> {
    pub(super) utterance: u32,
    pub(super) text: &'t str,
    /// Worth keeping as sound.
    pub(super) fixed: bool,
    /// Place in the line of voices.
    pub(super) voice: u32,
    /// Whose line, and in which language.
    pub(super) speaker: &'t Speaker,
}

/// What the mouth has to tell the core.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    Begun {
        utterance: u32,
        voice: u32,
        fallbacks: u32,
    },
    Audio {
        utterance: u32,
        samples: u64,
    },
    Done {
        utterance: u32,
    },
    Failed {
        utterance: u32,
        text: String,
    },
}

pub(super) struct Mouth {
    stream: Option<Open>,
    saying: Option<Saying>,
    voices: Lineup,
    /// Who was asked last, until it is known what came of it.
    asked: Option<Asked>,
    ready: Ready,
    /// Has the line looked at before its next tick.
    bell: Option<Waker>,
}

/// The key of a phrase, and its sound so far.
type Keep = (PhraseKey, Vec<u8>);

#[derive(Debug)]
struct Saying {
    utterance: u32,
    /// Place in the line of who was asked, and how many stand behind; until the core has been told.
    begun: Option<(u32, u32)>,
    source: Source,
    /// Some of its sound went into `ready`.
    sounded: bool,
    /// And some of it may have been sent, so the caller waits no more: the ticker is soon enough.
    played: bool,
    /// Where to keep the sound once it is complete.
    keep: Option<Keep>,
}

#[derive(Debug)]
enum Source {
    Voice,
    Phrase { sound: Arc<[u8]>, at: usize },
    Finished,
    Failed(String),
}

impl Mouth {
    /// `bell` has the line looked at. Rung when a voice begins to speak, and not for what follows.
    pub(super) fn new(bell: Option<Waker>) -> Mouth {
        Mouth {
            stream: None,
            saying: None,
            voices: Lineup::default(),
            asked: None,
            ready: Ready::default(),
            bell,
        }
    }

    /// From now on this bell is rung.
    pub(super) fn hang_bell(&mut self, bell: Option<Waker>) {
        self.bell = bell;
    }

    /// Begins an utterance. Nothing is delivered before the next [`Mouth::next`], and then first who was asked.
    pub(super) fn say(&mut self, visit: &Visit, ask: Ask<'_>, now: Instant) {
        let roster = visit.house.roster.now();
        let voices = Lineup::of(
            &roster,
            roster.line_by(&visit.guest.agent, ask.speaker.voice.as_deref()),
        );
        // Places in another line mean nothing: it is begun at its head.
        let place = if voices.is(&self.voices) {
            ask.voice
        } else {
            0
        };
        self.voices = voices;
        let last = self.voices.last_place();
        let place = place.min(last);
        self.asked = None;
        let (source, keep) = self
            .begin(visit, &roster, place, &ask, now)
            .unwrap_or_else(|refusal| (Source::Failed(refusal), None));
        self.saying = Some(Saying {
            utterance: ask.utterance,
            begun: Some((place, last - place)),
            source,
            sounded: false,
            played: false,
            keep,
        });
    }

    /// Asks the voice at this place. The error is a sentence that begins with its name.
    fn begin(
        &mut self,
        visit: &Visit,
        roster: &Roster,
        place: u32,
        ask: &Ask<'_>,
        now: Instant,
    ) -> Result<(Source, Option<Keep>), String> {
        let Visit { house, guest } = visit;
        let Some(voice) = self.voices.at(place).cloned() else {
            return Err(format!("gone: the voice \"{}\" is gone", guest.agent.voice));
        };
        let Some(generation) = roster.plugins.get(&voice.plugin) else {
            return Err(format!(
                "not_loaded: the plugin \"{}\" of the voice \"{}\" is not loaded",
                voice.plugin, voice.name
            ));
        };
        let language = [&ask.speaker.language, &voice.language]
            .into_iter()
            .flatten()
            .next()
            .unwrap_or(&guest.agent.language);
        let mut keep = None;
        if ask.fixed {
            let key = PhraseKey {
                text: ask.text.to_owned(),
                generation: generation.number(),
                settings: voice.settings.to_string(),
                language: language.clone(),
            };
            let found = house.phrases.get(&key);
            let sound = if found.is_some() { "kept" } else { "made" };
            house
                .metrics
                .phrases
                .get_or_create(&[("sound", sound)])
                .inc();
            // Kept sound needs no voice: it may be resting, hang, or have lost its network.
            if let Some(sound) = found {
                return Ok((Source::Phrase { sound, at: 0 }, None));
            }
            keep = Some((key, Vec::new()));
        }
        let has_fallback = self.voices.at(place + 1).is_some();
        let asked = Asked::setup(Step::Voice, &voice, generation.number());
        if has_fallback && house.rests.rests(&asked, now) {
            return Err(asked.rests());
        }
        self.asked = Some(asked);
        // A stream that runs already would be sent into all the same.
        if generation.is_hung() {
            let name = generation.name();
            return Err(format!("hung: the plugin \"{name}\" hangs"));
        }
        // A voice that was swapped meanwhile speaks from this utterance on.
        let stale = |open: &Open| {
            open.stream.generation().number() != generation.number()
                || !Arc::ptr_eq(&open.voice, &voice)
                || open.language != *language
        };
        if self.stream.as_ref().is_none_or(stale) {
            self.stream = None;
            self.stream = Some(Open::start(guest, &voice, generation, language)?);
        }
        let Some(open) = &mut self.stream else {
            return Err("gone: the stream of the voice is gone".into());
        };
        open.convert.begin();
        let text = ask.text.as_bytes();
        if let Err(fault) = open.stream.send(kind::SPEAK, 0, ask.utterance, 0, text) {
            self.stream = None;
            return Err(in_words(fault, "voice", &voice.name));
        }
        Ok((Source::Voice, keep))
    }

    /// The core says that the voice asked last has failed; so that other calls need not find out for themselves.
    pub(super) fn failed(&mut self, house: &House, now: Instant) {
        if let Some(asked) = self.asked.take() {
            house.rests.failed_now(&asked, now);
        }
    }

    /// The agent's voices as they stood when one was asked last.
    pub(super) fn voices(&self) -> &Lineup {
        &self.voices
    }

    /// The next thing the core should know, if the voice delivered something and there is room for it.
    pub(super) fn next(&mut self, house: &House, scratch: &mut Scratch) -> Option<Delivered> {
        let saying = self.saying.as_mut()?;
        let utterance = saying.utterance;
        if let Some((voice, fallbacks)) = saying.begun.take() {
            return Some(Delivered::Begun {
                utterance,
                voice,
                fallbacks,
            });
        }
        match &mut saying.source {
            Source::Phrase { sound, at } => {
                let part = self.ready.room().min(sound.len() - *at);
                if part > 0 {
                    self.ready.push(&sound[*at..*at + part]);
                    *at += part;
                    return Some(Delivered::Audio {
                        utterance,
                        samples: part as u64,
                    });
                }
                if *at < sound.len() {
                    return None;
                }
                self.saying = None;
                Some(Delivered::Done { utterance })
            }
            Source::Finished => self.finish(house),
            Source::Failed(text) => {
                let text = std::mem::take(text);
                self.saying = None;
                Some(Delivered::Failed { utterance, text })
            }
            Source::Voice => self.hear_voice(house, scratch),
        }
    }

    /// All that the voice had to say stands ready.
    fn finish(&mut self, house: &House) -> Option<Delivered> {
        let saying = self.saying.take()?;
        if let Some((key, sound)) = saying.keep {
            let bytes = house.phrases.keep(key, &sound);
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            house.metrics.phrases_kept.set(bytes);
        }
        if saying.sounded
            && let Some(asked) = self.asked.take()
        {
            house.rests.did_well(&asked);
        }
        let utterance = saying.utterance;
        Some(Delivered::Done { utterance })
    }

    fn hear_voice(&mut self, house: &House, scratch: &mut Scratch) -> Option<Delivered> {
        let (saying, open) = (self.saying.as_mut()?, self.stream.as_mut()?);
        let utterance = saying.utterance;
        loop {
            let room = self.ready.room();
            let Some(record) = open.stream.next() else {
                if open.stream.fault().is_none()
                    && !saying.played
                    && let Some(bell) = &self.bell
                    && !open.stream.wake_at_record(bell)
                {
                    continue; // it has come in this very moment
                }
                // It may also fall while it is told that there is room; then nothing more comes, not even an end.
                let text = in_words(open.stream.fault()?, "voice", &open.voice.name);
                self.stream = None;
                self.saying = None;
                return Some(Delivered::Failed { utterance, text });
            };
            if record.turn != utterance {
                open.stream.take();
                continue;
            }
            match record.kind {
                kind::AUDIO => {
                    if room == 0 {
                        return None;
                    }
                    let used = open.convert.narrow(record.data, room, scratch);
                    let made = &scratch.mulaw;
                    let all = used == record.data.len();
                    if all {
                        open.stream.take();
                    } else {
                        open.stream.take_part(used);
                    }
                    if made.is_empty() {
                        continue;
                    }
                    self.ready.push(made);
                    saying.remember(made);
                    return Some(Delivered::Audio {
                        utterance,
                        samples: made.len() as u64,
                    });
                }
                kind::DONE => {
                    open.stream.take();
                    saying.source = Source::Finished;
                    scratch.mulaw.clear();
                    // Of nothing there is no tail: a filter that took no sound would give its own silence for some.
                    if saying.sounded {
                        open.convert.narrow_rest(scratch);
                    }
                    let tail = &scratch.mulaw;
                    if tail.is_empty() {
                        return self.finish(house);
                    }
                    self.ready.push(tail);
                    saying.remember(tail);
                    return Some(Delivered::Audio {
                        utterance,
                        samples: tail.len() as u64,
                    });
                }
                kind::FAILED => {
                    let text = String::from_utf8_lossy(record.data).into_owned();
                    open.stream.take();
                    self.saying = None;
                    return Some(Delivered::Failed { utterance, text });
                }
                _ => open.stream.take(),
            }
        }
    }

    /// The voice need not go on with this utterance nor any before it.
    pub(super) fn cancel(&mut self, utterance: u32) {
        if self
            .saying
            .as_ref()
            .is_some_and(|saying| saying.utterance <= utterance)
        {
            self.saying = None;
        }
        if let Some(open) = &mut self.stream {
            open.stream.cancel(utterance, 0, &[]);
        }
    }

    /// The configuration has changed: a voice that is at work for nobody, and of a plugin that is open no more or anew, is
    /// let go, so that it does not stay in memory until the agent speaks again.
    pub(super) fn let_go(&mut self, roster: &Roster) {
        let speaks = |saying: &Saying| matches!(saying.source, Source::Voice);
        if !self.saying.as_ref().is_some_and(speaks) {
            self.stream
                .take_if(|open| !roster.has(open.stream.generation()));
        }
    }

    /// Whether an utterance is under way: its samples come next, before anybody else's.
    pub(super) fn is_saying(&self) -> bool {
        self.saying.is_some()
    }

    /// Whether a look would find anything; two atomic loads at most.
    pub(super) fn is_idle(&self) -> bool {
        match &self.saying {
            None => true,
            Some(Saying {
                source: Source::Voice,
                begun: None,
                ..
            }) => self
                .stream
                .as_ref()
                .is_none_or(|open| open.stream.is_idle()),
            Some(_) => false,
        }
    }

    /// Samples for which there is room.
    pub(super) fn room(&self) -> usize {
        self.ready.room()
    }

    /// Sound that did not come from the voice, µ-law; the caller looked at [`Mouth::room`].
    pub(super) fn add(&mut self, samples: &[u8]) {
        self.ready.push(samples);
    }

    /// The next samples to play; fewer than asked for if fewer stand ready.
    pub(super) fn take(&mut self, samples: u64) -> &[u8] {
        if let Some(saying) = &mut self.saying {
            saying.played = saying.sounded;
        }
        self.ready
            .take(usize::try_from(samples).unwrap_or(usize::MAX))
    }

    /// Forgets what stands ready.
    pub(super) fn clear(&mut self) {
        self.ready.samples.clear();
        self.ready.played = 0;
    }

    /// The last `samples` that were taken were not heard: they stand ready again, and some before them so that it
    /// begins at the edge of a word. Returns how many do.
    pub(super) fn hold(&mut self, samples: u64) -> u64 {
        self.ready
            .take_back(usize::try_from(samples).unwrap_or(usize::MAX)) as u64
    }

    /// Nobody speaks: what was played need not be kept. Cheap if there is nothing.
    pub(super) fn rest(&mut self) {
        if self.saying.is_none() && self.ready.played == self.ready.samples.len() {
            self.ready = Ready::default();
        }
    }
}

impl Saying {
    fn remember(&mut self, made: &[u8]) {
        self.sounded |= !made.is_empty();
        if let Some((_, sound)) = &mut self.keep {
            if sound.len() + made.len() <= PHRASE_BYTES {
                sound.extend_from_slice(made);
            } else {
                self.keep = None;
            }
        }
    }
}

#[cfg(test)]
mod tests;
