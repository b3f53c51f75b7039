//! The caller's words: his stretches of speech, what a transcriber made of each, and how long it is awaited. It holds
//! no sound, and when a turn is over is decided next door in `turns`.
//!
//! ```text
//!  ear           Started ──── Paused ──── WentOn ──── Paused ──── Ended ─ transcriber_deadline_ms ─→ late
//!  transcriber        "I'd like"  "I'd like a"   "I'd like a table"    ─→ Final
//!  a stretch     Coming ─────────────────────────────────────────────────→ Whole, or Lost: failed, or late
//! ```
//!
//! A turn is made of its stretches, usually of one: he may go on while the words of the last one are awaited. Stretches
//! that have no turn (a cough while the agent speaks) are kept as well, because their words may give them one.

#[cfg(test)]
use super::faults::Planted;
use super::input::{Stretch, Turn, Words};
use super::machine::Call;
use super::output::{Note, Output, Sounded};
use super::responders::bounded;
use super::time::CallTime;
use std::collections::VecDeque;

/// So much of the text of one stretch is kept: minutes of speech.
pub const MAX_STRETCH_BYTES: usize = 4000;

/// So much of the text of one turn is told, from its beginning.
pub const MAX_TURN_BYTES: usize = 8000;

/// Stretches whose words are remembered. An older one of the turn is kept as text and can no longer change.
const MAX_STRETCHES: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// More may come.
    Coming,
    /// All words are there.
    Whole,
    /// Nothing more is waited for.
    Lost,
}

#[derive(Debug)]
struct Spoken {
    number: Stretch,
    from_ms: u64,
    /// When the last voice of it was heard, once it is over.
    to: CallTime,
    spoke_ms: u64,
    /// When the transcriber was told that it is over.
    ended: Option<CallTime>,
    text: String,
    progress: Progress,
    /// Who hears it, and how many stand behind him.
    transcriber: u32,
    fallbacks: u32,
}

/// What he said before he pressed a key: the turn that the key is, and the stretches whose words belong to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct BeforeKey {
    turn: Turn,
    to: Stretch,
}

/// What he said in a turn, as far as anybody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// These words.
    Words(String),
    /// Not a word: all of it was listened to, and it was a cough, or a noise.
    Nothing,
    /// Words, perhaps: nobody listened, or who did has failed or is late.
    Unknown,
}

#[derive(Debug, Default)]
pub(super) struct Transcript {
    stretches: VecDeque<Spoken>,
    latest: Stretch,
    /// The first stretch of the caller's turn.
    turn_from: Stretch,
    /// It was ended by a key, and words of it may come later.
    pub(super) before_key: Option<BeforeKey>,
    /// It has been said that words were dropped.
    drops_noted: bool,
    /// Of the turn, what lies in stretches that are no longer kept.
    earlier_text: String,
    earlier_ms: u64,
    earlier_lost: bool,
}

impl Transcript {
    /// The latest stretch; 0 before the first.
    pub(super) fn latest(&self) -> Stretch {
        self.latest
    }

    /// What is known by now of the words of a stretch.
    pub(super) fn words_of(&self, stretch: Stretch) -> &str {
        self.stretches
            .iter()
            .find(|spoken| spoken.number == stretch)
            .map_or("", |spoken| spoken.text.as_str())
    }

    fn begin(&mut self) {
        self.latest += 1;
        if self.stretches.len() == MAX_STRETCHES
            && let Some(oldest) = self.stretches.pop_front()
            && oldest.number >= self.turn_from
        {
            self.earlier_ms += oldest.spoke_ms;
            self.earlier_lost |= oldest.progress != Progress::Whole;
            join(&mut self.earlier_text, &oldest.text);
        }
        self.stretches.push_back(Spoken {
            number: self.latest,
            from_ms: 0,
            to: CallTime(0),
            spoke_ms: 0,
            ended: None,
            text: String::new(),
            progress: Progress::Coming,
            transcriber: 0,
            fallbacks: 0,
        });
    }

    /// This stretch begins a turn.
    pub(super) fn begin_turn(&mut self, from: Stretch) {
        self.turn_from = from;
        self.earlier_text.clear();
        self.earlier_ms = 0;
        self.earlier_lost = false;
    }

    fn since(&self, from: Stretch) -> impl Iterator<Item = &Spoken> {
        self.stretches
            .iter()
            .filter(move |spoken| spoken.number >= from)
    }

    /// What is known by now of the words since the beginning of a stretch.
    pub(super) fn words_since(&self, from: Stretch) -> String {
        let mut text = String::new();
        for spoken in self.since(from) {
            join(&mut text, &spoken.text);
        }
        text
    }

    /// Are all of them there?
    pub(super) fn is_whole_since(&self, from: Stretch) -> bool {
        self.since(from)
            .all(|spoken| spoken.progress == Progress::Whole)
    }

    /// Will there be no more of them, because they could not be written down?
    pub(super) fn is_lost_since(&self, from: Stretch) -> bool {
        self.since(from)
            .all(|spoken| spoken.progress == Progress::Lost)
    }

    fn of_turn(&self) -> impl Iterator<Item = &Spoken> {
        self.stretches
            .iter()
            .filter(|spoken| spoken.number >= self.turn_from)
    }

    /// Everything said in the turn so far; `None` if no words are known.
    pub(super) fn turn_text(&self) -> Option<String> {
        self.turn_text_to(self.latest)
    }

    fn turn_text_to(&self, to: Stretch) -> Option<String> {
        let mut text = self.earlier_text.clone();
        for spoken in self.of_turn().filter(|spoken| spoken.number <= to) {
            join(&mut text, &spoken.text);
        }
        (!text.is_empty()).then_some(text)
    }

    /// What he said in the turn, now that it is over.
    pub(super) fn turn_said(&self) -> Said {
        let lost = |spoken: &Spoken| spoken.progress != Progress::Whole;
        let words = |text: &String| text.chars().any(char::is_alphanumeric);
        match self.turn_text().filter(words) {
            Some(text) => Said::Words(text),
            None if self.earlier_lost || self.of_turn().any(lost) => Said::Unknown,
            None => Said::Nothing,
        }
    }

    /// The caller's turn ends with a key, and is this one.
    pub(super) fn ends_with_key(&mut self, turn: Turn) {
        let to = self.latest;
        self.before_key = Some(BeforeKey { turn, to });
    }

    /// How long he spoke in the turn, and when the last of it was heard.
    pub(super) fn turn_spoke(&self) -> (u64, CallTime) {
        let spoke_ms: u64 = self.of_turn().map(|spoken| spoken.spoke_ms).sum();
        let to = self
            .stretches
            .back()
            .map_or(CallTime(0), |spoken| spoken.to);
        (self.earlier_ms + spoke_ms, to)
    }
}

/// Adds words to words, up to the bound of a turn.
fn join(text: &mut String, more: &str) {
    if !text.is_empty() && !more.is_empty() {
        text.push(' ');
    }
    text.push_str(more);
    text.truncate(cut(text, MAX_TURN_BYTES).len());
}

/// So much of a text as is kept, cut between letters.
pub(super) fn cut(text: &str, most_bytes: usize) -> &str {
    let mut end = text.len().min(most_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

impl Call {
    /// The ear noticed something: who listens beside us is told, whoever has the floor.
    pub(super) fn transcribe(&mut self, heard: Sounded) {
        if self.settings.transcribed || self.settings.endpointed {
            let stretch = self.transcript.latest();
            self.put(Output::Transcribe { stretch, heard });
        }
    }

    pub(super) fn stretch_began(&mut self) {
        self.transcript.begin();
        self.transcribe(Sounded::Started);
    }

    pub(super) fn stretch_went_on(&mut self) {
        if let Some(spoken) = self.transcript.stretches.back_mut()
            && spoken.progress == Progress::Whole
        {
            spoken.progress = Progress::Coming; // its words were final too early
        }
        self.transcribe(Sounded::Started);
    }

    /// The latest stretch is over; its last voice was heard at `to`.
    pub(super) fn stretch_ended(&mut self, now: CallTime, spoke_ms: u64, to: CallTime) {
        self.transcribe(Sounded::Ended);
        if let Some(spoken) = self.transcript.stretches.back_mut() {
            spoken.from_ms = to.as_ms().saturating_sub(spoke_ms);
            spoken.to = to;
            spoken.spoke_ms = spoke_ms;
            spoken.ended = Some(now);
        }
        self.tell_words(now, self.transcript.latest());
    }

    /// A transcriber delivered something. What belongs to a stretch of long ago, or of nobody, is dropped, and said once:
    /// whoever wrote the transcriber looks for his words.
    pub(super) fn transcribed(&mut self, now: CallTime, stretch: Stretch, words: Words<'_>) {
        let mut spoken = self.transcript.stretches.iter_mut();
        let Some(spoken) = spoken.find(|spoken| spoken.number == stretch) else {
            if let Words::Partial(_) | Words::Final(_) = words {
                self.dropped_words(&format!("words for turn {stretch}, which is not open"));
            }
            return;
        };
        match words {
            Words::Final(text)
                if spoken.progress == Progress::Whole && spoken.text != text.trim() =>
            {
                self.dropped_words(&format!("second final words for turn {stretch}"));
            }
            Words::Begun {
                transcriber,
                fallbacks,
            } => {
                spoken.transcriber = transcriber;
                spoken.fallbacks = fallbacks;
            }
            Words::Partial(text) if spoken.progress != Progress::Whole => {
                self.words(now, stretch, text);
                self.words_came_for(now, stretch);
            }
            Words::Final(text) if spoken.progress != Progress::Whole => {
                spoken.progress = Progress::Whole;
                self.words(now, stretch, text);
                self.tell_words(now, stretch);
                self.words_came_for(now, stretch);
            }
            Words::Failed(reason) if spoken.progress == Progress::Coming => {
                self.transcriber_failed(now, stretch, reason);
            }
            // Doubled, or behind the final words.
            Words::Partial(_) | Words::Final(_) | Words::Failed(_) => {}
        }
    }

    fn dropped_words(&mut self, what: &str) {
        if !std::mem::replace(&mut self.transcript.drops_noted, true) {
            let latest = self.transcript.latest;
            self.failed(
                "transcriber",
                &format!("{what}: they are dropped (the latest turn is {latest}); this is said once in a call"),
            );
        }
    }

    fn words(&mut self, now: CallTime, stretch: Stretch, text: &str) {
        let text = cut(text.trim(), MAX_STRETCH_BYTES);
        let mut stretches = self.transcript.stretches.iter_mut();
        let Some(spoken) = stretches.find(|spoken| spoken.number == stretch) else {
            return;
        };
        let new = spoken.text != text;
        #[cfg(test)]
        let new = new && self.planted != Some(Planted::ForgetsTheWords);
        if new {
            text.clone_into(&mut spoken.text);
        }
        if !self.turn.his {
            let before = self.transcript.before_key;
            if new && before.is_some_and(|before| stretch <= before.to) {
                self.tell_before_key();
            }
            self.words_came(now);
        } else if new && stretch >= self.transcript.turn_from {
            self.tell_said_so_far();
        }
    }

    pub(super) fn tell_said_so_far(&mut self) {
        // Who has been asked already is asked again if the words are others.
        if !self.is_early()
            && let Some(text) = self.transcript.turn_text()
        {
            let turn = self.asked.turn + 1;
            self.put(Output::SaidSoFar { turn, text });
        }
    }

    /// Nobody answers them, but who answers the key may want to know them.
    pub(super) fn tell_before_key(&mut self) {
        if let Some(BeforeKey { turn, to }) = self.transcript.before_key
            && let Some(text) = self.transcript.turn_text_to(to)
        {
            self.put(Output::SaidSoFar { turn, text });
        }
    }

    /// The story is told the words of a stretch once it is over and they are final.
    fn tell_words(&mut self, now: CallTime, stretch: Stretch) {
        let mut stretches = self.transcript.stretches.iter();
        if let Some(spoken) = stretches.find(|spoken| spoken.number == stretch)
            && spoken.progress == Progress::Whole
            && let Some(ended) = spoken.ended
        {
            let note = Note::Transcript {
                stretch,
                text: spoken.text.clone(),
                from_ms: spoken.from_ms,
                to_ms: spoken.to.as_ms(),
                after_ms: now.ms_since(ended),
            };
            self.note(note);
        }
    }

    /// Are there words of the caller's turn that are worth waiting for?
    pub(super) fn awaits_words(&self) -> bool {
        #[cfg(test)]
        if self.planted == Some(Planted::AsksBeforeTheWords) {
            return false;
        }
        self.awaits_words_since(self.transcript.turn_from)
    }

    /// The same of what he said since the beginning of a stretch.
    pub(super) fn awaits_words_since(&self, from: Stretch) -> bool {
        self.settings.transcribed
            && self.settings.transcriber_deadline_ms > 0
            && (self.transcript.since(from)).any(|spoken| spoken.progress == Progress::Coming)
    }

    pub(super) fn transcriber_deadline(&self) -> Option<CallTime> {
        let patience_ms = self.settings.transcriber_deadline_ms;
        if !self.settings.transcribed || patience_ms == 0 || self.own_turns {
            return None;
        }
        let coming = |spoken: &&Spoken| spoken.progress == Progress::Coming;
        let ended = self.transcript.stretches.iter().filter(coming);
        Some(
            ended
                .filter_map(|spoken| spoken.ended)
                .min()?
                .plus_ms(patience_ms),
        )
    }

    pub(super) fn transcriber_is_late(&mut self, now: CallTime) {
        let patience_ms = self.settings.transcriber_deadline_ms;
        let late = |spoken: &&Spoken| {
            let due = spoken.ended.map(|ended| ended.plus_ms(patience_ms));
            spoken.progress == Progress::Coming && due.is_some_and(|due| due <= now)
        };
        while let Some(late) = self.transcript.stretches.iter().find(late) {
            let reason = format!(
                "timeout: it gave no final words for {patience_ms} ms; going on without them"
            );
            self.transcriber_failed(now, late.number, &reason);
        }
    }

    fn transcriber_failed(&mut self, now: CallTime, stretch: Stretch, reason: &str) {
        let mut stretches = self.transcript.stretches.iter_mut();
        let Some(spoken) = stretches.find(|spoken| spoken.number == stretch) else {
            return;
        };
        spoken.progress = Progress::Lost;
        if spoken.fallbacks == 0 {
            self.failed("transcriber", reason);
        } else {
            let note = Note::TranscriberReplaced {
                stretch,
                transcriber: spoken.transcriber,
                after_ms: spoken.ended.map_or(0, |ended| now.ms_since(ended)),
                reason: bounded(reason),
            };
            self.note(note);
        }
        self.words_are_lost(now);
    }
}
