//! The caller speaks while the agent does: whether that takes the floor. At first the agent only stops, and goes on
//! where he was stopped if it was nothing.
//!
//! ```text
//!                    voice of barge_in_ms            words that are an answer, or, if nobody writes them down,
//!  agent speaks ──────── Hold ────────→ held ─────── voice of barge_in_certain_ms ──────→ the caller has the floor
//!       ↑                                │                                                   Forget, Cancel, …
//!       └─ Play ───── "mm-hm", or no words resume_ms after his voice ─┘
//! ```
//!
//! Words that a transcriber still owes are waited for, as long as it may take for them: an agent who goes on and is cut
//! off by them a moment later stutters. While held nothing is played and voices go on delivering. Words that come when
//! the agent has gone on take the floor all the same: they were meant for him. Nothing here counts samples.

#[cfg(test)]
use super::faults::Planted;
use super::heard::stands_alone;
use super::input::{Stretch, Utterance};
use super::machine::{Call, Floor};
use super::output::Note;
use super::saying::{Saying, Stage};
use super::time::{CallTime, samples};

/// Who has no more left to say than this has as good as finished: about a syllable.
const NEXT_TO_NOTHING_MS: u64 = 200;

/// A voice that has given nothing for so long, of an utterance that may be whole, has as good as finished it.
const ENDLESS_MS: u64 = 500;

/// The agent was stopped in mid-speech: by the caller, or because the stream broke.
#[derive(Debug, Default)]
pub(super) struct Stopped {
    /// The caller has stopped him, perhaps for nothing.
    pub(super) held: Option<Held>,
    /// It was for nothing; but words of the caller's that still come, from this stretch on, may tell otherwise.
    pub(super) resumed: Option<Stretch>,
    /// What was sent is being taken back: so many samples at least.
    pub(super) taking_back: Option<u64>,
}

impl Stopped {
    /// The stretch from which on words that come take the floor after all.
    fn words_from(&self) -> Option<Stretch> {
        self.held.map(|held| held.from).or(self.resumed)
    }
}

/// The agent was stopped, and it is not certain that it is for good.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// What he was saying.
    utterance: Utterance,
    /// Where the caller began to speak.
    from: Stretch,
    /// The longest voice of his without a pause.
    voiced_ms: u64,
}

impl Call {
    /// A voiced frame was heard, which may have begun a stretch that is not yet counted. If the caller speaks over the
    /// agent, the agent stops, before anything else is done: every millisecond is heard.
    pub(super) fn stop_if_spoken_over(&mut self, now: CallTime, began: bool) {
        if self.settings.resume_ms == 0 || !self.is_spoken_over(now) {
            return;
        }
        if self.is_about_to_finish(now) {
            return;
        }
        self.stopped.held = Some(Held {
            utterance: self.utterance_at_ear(now),
            from: self.transcript.latest() + u32::from(began),
            voiced_ms: self.ear.voiced_ms(),
        });
        self.hold(now);
    }

    /// The same frame, when what the ear noticed has been done: does his voice take the floor?
    pub(super) fn weigh_voice(&mut self, now: CallTime) {
        let voiced_ms = self.ear.voiced_ms();
        if self.is_spoken_over(now) {
            return self.take_floor(now, self.transcript.latest());
        }
        let Some(held) = &mut self.stopped.held else {
            return;
        };
        held.voiced_ms = held.voiced_ms.max(voiced_ms);
        let from = held.from;
        let written = self.settings.transcribed && !self.transcript.is_lost_since(from);
        if !written && voiced_ms >= self.settings.barge_in_certain_ms {
            self.take_floor(now, from);
        }
    }

    fn is_spoken_over(&self, now: CallTime) -> bool {
        matches!(self.floor, Floor::Greeting | Floor::Speaking)
            && self.stopped.held.is_none()
            && self.settings.barge_in
            && self.may_be_stopped()
            && self.ear.voiced_ms() >= self.settings.barge_in_ms
            && self.ear.in_speech()
            && !self.is_firm(now)
            && !self.is_immune(now)
    }

    /// Is there next to nothing left to go on with? Then who speaks now has begun to answer.
    pub(super) fn is_about_to_finish(&self, now: CallTime) -> bool {
        let ready: u64 = self.sayings.iter().map(Saying::ready).sum();
        let endless = now.ms_since(self.voice_since) >= ENDLESS_MS;
        let finished =
            |saying: &Saying| saying.stage == Stage::Complete || (endless && saying.may_be_whole());
        self.reply.is_none()
            && self.sayings.iter().all(finished)
            && self.playout.lead(now) + ready <= samples(NEXT_TO_NOTHING_MS)
    }

    /// The utterance that is at the caller's ear.
    fn at_ear(&self, now: CallTime) -> Option<&Saying> {
        let head = self.playout.head(now);
        let mut sayings = self.sayings.iter();
        sayings.find(|saying| !saying.is_sent() || saying.heard(head) < saying.sent)
    }

    fn utterance_at_ear(&self, now: CallTime) -> Utterance {
        let at_ear = self.at_ear(now).filter(|saying| saying.is_under_way());
        at_ear.map_or(self.utterances.latest(), |saying| saying.utterance)
    }

    /// Is the caller hearing something that he cannot interrupt?
    pub(super) fn is_firm(&self, now: CallTime) -> bool {
        #[cfg(test)]
        if self.planted == Some(Planted::CutsTheFirm) {
            return false;
        }
        self.at_ear(now)
            .is_some_and(|saying| saying.firm && saying.said)
    }

    /// Has what he hears only just begun?
    fn is_immune(&self, now: CallTime) -> bool {
        let immune = samples(self.settings.barge_in_immune_ms);
        let head = self.playout.head(now);
        immune > 0
            && self
                .at_ear(now)
                .is_some_and(|saying| saying.heard(head) < immune)
    }

    /// Words came for speech that does not have the floor.
    pub(super) fn words_came(&mut self, now: CallTime) {
        let Some(from) = self.stopped.words_from() else {
            return;
        };
        if self.away.is_some() || self.own_turns || !self.may_be_stopped() || self.is_firm(now) {
            return;
        }
        let text = self.transcript.words_since(from);
        let words = words(&text);
        let is_back_channel = all_back_channels(&words, &self.settings.back_channels);
        if words.len() >= self.settings.barge_in_words.max(1) as usize && !is_back_channel {
            self.take_floor(now, from);
        } else if self.stopped.held.is_some()
            && is_back_channel
            && self.transcript.is_whole_since(from)
            && self.ear.voiced_ms() == 0
        {
            self.resume(now);
        }
    }

    /// The words of speech that does not have the floor will not come: now the length of his voice tells, as it would
    /// with nobody who writes them down.
    pub(super) fn words_are_lost(&mut self, now: CallTime) {
        let Some(held) = self.stopped.held else {
            return;
        };
        if self.away.is_some() || self.own_turns || !self.may_be_stopped() {
            return;
        }
        let is_certain = held.voiced_ms >= self.settings.barge_in_certain_ms;
        if is_certain && self.transcript.is_lost_since(held.from) {
            self.take_floor(now, held.from);
        }
    }

    /// When the agent goes on, if the caller stays silent.
    pub(super) fn resume_deadline(&self) -> Option<CallTime> {
        let held = self.stopped.held?;
        if self.stopped.taking_back.is_some() {
            return None; // what there is to go on with is not known yet
        }
        // One who listens himself is not listened to.
        if self.own_turns || !self.may_be_stopped() {
            return Some(self.now);
        }
        if self.awaits_words_since(held.from) {
            return None; // they come, or are late, or he goes on speaking
        }
        Some(self.ear.last_voiced().plus_ms(self.settings.resume_ms))
    }

    /// It was no barge-in: the agent goes on where he was stopped.
    pub(super) fn resume(&mut self, now: CallTime) {
        if self.stopped.taking_back.is_some() {
            return; // what there is to go on with is not known yet
        }
        let Some(held) = self.stopped.held.take() else {
            return;
        };
        #[cfg(test)]
        if self.planted == Some(Planted::NeverResumes) {
            self.stopped.held = Some(held);
            return;
        }
        self.stopped.resumed = Some(held.from);
        self.playout.rest(now);
        self.voice_since = now;
        self.note(Note::Resumed {
            utterance: held.utterance,
            silent_ms: now.ms_since(self.ear.last_voiced()),
            words: self.transcript.words_since(held.from),
        });
    }

    /// What was held has been heard to its end, or may no longer be held.
    pub(super) fn settle_held(&mut self, now: CallTime) {
        let Some(held) = self.stopped.held else {
            return;
        };
        if self.sayings.is_empty() && self.reply.is_none() {
            // The floor passes by itself.
            self.forget();
            self.stopped.held = None;
            self.stopped.resumed = Some(held.from);
        } else if self.own_turns || !self.may_be_stopped() {
            self.resume(now);
        }
    }

    /// The caller has the floor for good, and what he says since `from` is his turn.
    fn take_floor(&mut self, now: CallTime, from: Stretch) {
        let held = self.stopped.held;
        let utterance = held.map_or(self.utterance_at_ear(now), |held| held.utterance);
        let voiced_ms = self.ear.voiced_ms();
        let speaking = held.is_some() || self.sayings.iter().any(Saying::is_under_way);
        self.interrupt(now);
        #[cfg(test)]
        if self.planted == Some(Planted::ResumesAfterBargeIn) {
            self.stopped.held = held;
        }
        if speaking {
            self.note(Note::BargeIn {
                utterance,
                voiced_ms: held.map_or(voiced_ms, |held| held.voiced_ms.max(voiced_ms)),
            });
        }
        self.begin_turn_from(from);
    }
}

/// The words of a text, lower case and without punctuation; a letter that stands alone is one.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for letter in text.chars() {
        let alone = stands_alone(letter);
        if (alone || letter.is_whitespace() || letter == '-')
            && words.last().is_some_and(|word| !word.is_empty())
        {
            words.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Is all of it what somebody says to show that he listens? No words are that as well.
fn all_back_channels(words: &[String], back_channels: &[String]) -> bool {
    let known: Vec<Vec<String>> = back_channels
        .iter()
        .map(|known| self::words(known))
        .collect();
    let mut reached = vec![false; words.len() + 1];
    reached[0] = true;
    for at in 0..words.len() {
        for known in known.iter().filter(|known| !known.is_empty()) {
            if reached[at] && words[at..].starts_with(known) {
                reached[at + known.len()] = true;
            }
        }
    }
    reached[words.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_channels_are_known_however_they_are_written() {
        let known = ["mm-hm", "uh huh", "ajá", "嗯", "yes"].map(String::from);
        for (text, is) in [
            ("", true),
            ("  …", true),
            ("Mm-hm.", true),
            ("mm hm", true),
            ("Uh-huh, uh huh! Yes.", true),
            ("¡Ajá!", true),
            ("嗯嗯。", true),
            ("mm", false),
            ("mm-hm, wait", false),
            ("yes but no", false),
            ("嗯你好", false),
        ] {
            assert_eq!(all_back_channels(&words(text), &known), is, "{text:?}");
        }
        assert!(!all_back_channels(&words("yes"), &[]));
        assert_eq!(
            words("Don't you, 你好 -- now?"),
            ["dont", "you", "你", "好", "now"]
        );
    }
}
