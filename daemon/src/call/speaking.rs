//! The agent's speech on its way out: one utterance at a time is asked of a voice, its sound is counted as it
//! arrives, sent by lead, marked, and told to the story when it has left the caller's ear or was cut off.
//!
//! An agent has a line of voices: his own, its fallback, the fallback's fallback. One that refuses or stays silent has
//! its place taken by the next, in the same turn:
//!
//! ```text
//!  Speak 5, voice 0 ── no sound, or FAILED ──→ Cancel 5 · Speak 6, voice 1, the same text
//!                   ── some sound, then none ─→ Cancel 5; what has come is played, the rest is not said: where in the
//!                                              text it broke off nobody knows, and hearing it twice is worse
//!  from then on     voice 1, for `voice_rest_ms`; then voice 0 again, and at once if the last of the line fails
//! ```

#[cfg(test)]
use super::faults::Planted;
use super::input::{Mark, Speech, Utterance, Why};
use super::machine::Call;
use super::output::{Note, Output};
use super::playout::{Next, Ready};
use super::responders::bounded;
use super::saying::{Origin, Saying, Stage};
use super::time::{CallTime, ms, samples};
use std::borrow::Cow;

/// In a long utterance a mark is sent after so much sound, or a clock set wrong at its start would stay wrong.
const MARK_EVERY_MS: u64 = 1000;

impl Call {
    /// One of the agent's own sentences. An empty one is no sentence.
    pub(super) fn say(&mut self, text: String, origin: Origin) {
        if !text.trim().is_empty() {
            self.queue(Saying::new(self.asked.turn, Cow::Owned(text), origin));
        }
    }

    /// Asks for the next utterance once the one before has arrived wholly: samples stand ready in one queue, and two
    /// voices at once would mix there.
    pub(super) fn ask_voice(&mut self, now: CallTime) {
        let busy = self.strays.samples > 0 || self.sayings.iter().any(Saying::is_arriving);
        #[cfg(test)]
        let busy = busy && self.planted != Some(Planted::AsksTwoAtOnce);
        if busy {
            return;
        }
        let Some(next) = self
            .sayings
            .iter_mut()
            .find(|saying| saying.stage == Stage::Queued)
            .filter(|saying| !saying.when_back)
        else {
            return;
        };
        // One that was asked for before is at its next voice; only a new one goes back to the first.
        let speaks_on = self.speaker.speaks_on(next.speaker);
        if next.utterance == 0 && (self.voice.has_rested(now) || !speaks_on) {
            self.voice.back_to_the_first();
        }
        let utterance = self.utterances.begin();
        next.utterance = utterance;
        next.stage = Stage::Arriving;
        next.asked = now;
        next.fallbacks = 0;
        let text = next.text.clone();
        let fixed = next.fixed;
        let speaker = next.speaker;
        self.voice_since = now;
        self.put(Output::Speak {
            utterance,
            text,
            fixed,
            voice: self.voice.place(),
            speaker,
        });
    }

    pub(super) fn spoken(&mut self, now: CallTime, utterance: Utterance, speech: Speech<'_>) {
        if self.utterances.is_cancelled(utterance) {
            return;
        }
        let awaited = |saying: &Saying| saying.awaits_voice() && saying.utterance == utterance;
        let Some(at) = self.sayings.iter().position(awaited) else {
            if let Speech::Audio { samples } = speech {
                self.stray_sound(now, "voice", samples);
            }
            return;
        };
        match speech {
            Speech::Begun { voice, fallbacks } => {
                self.voice.set_place(voice);
                self.sayings[at].fallbacks = fallbacks;
            }
            Speech::Audio { samples } => self.sound_arrived(now, samples),
            Speech::Done if self.sayings[at].arrived == 0 => {
                self.voice_failed(now, at, "no_audio: it finished without sound");
            }
            Speech::Done => {
                self.sayings[at].stage = Stage::Complete;
                self.voice.did_well();
            }
            Speech::Failed(reason) => self.voice_failed(now, at, reason),
        }
    }

    /// Sound stands ready at the end of the leg's queue, made by whoever was asked for it.
    pub(super) fn sound_arrived(&mut self, now: CallTime, samples: u64) {
        match self.sayings.iter_mut().find(|saying| saying.is_arriving()) {
            Some(saying) => {
                saying.arrived += samples;
                self.voice_since = now;
            }
            None => self.strays.samples += samples,
        }
    }

    /// The voice failed: the next in the line takes over, or, behind the last one, the utterance is given up.
    fn voice_failed(&mut self, now: CallTime, at: usize, reason: &str) {
        let saying = &mut self.sayings[at];
        let replaced = saying.fallbacks > 0;
        let again = replaced && saying.arrived == 0;
        #[cfg(test)]
        let again = again || replaced && self.planted == Some(Planted::SaysAgainWhatWasHeard);
        saying.broken = !again;
        saying.stage = if again {
            Stage::Queued
        } else {
            Stage::Complete
        };
        if replaced {
            let note = Note::VoiceReplaced {
                utterance: saying.utterance,
                turn: saying.turn,
                voice: self.voice.place(),
                after_ms: now.ms_since(saying.asked),
                again,
                reason: bounded(reason),
            };
            self.note(note);
            self.voice.fall_back(now, self.settings.voice_rest_ms);
        } else {
            self.failed("voice", reason);
            self.voice_is_lost(now);
            self.apologise_for_silence();
        }
        // Whatever it still makes of this utterance must not mix with another voice.
        self.cancel_voice();
    }

    /// Where nothing else is being said or waited for, the caller would hear nothing at all, and not know why. If the
    /// voice cannot say this either, the call is over, and the carrier's fallback speaks.
    fn apologise_for_silence(&mut self) {
        let silent = |saying: &Saying| saying.stage == Stage::Complete && saying.arrived == 0;
        let nothing = self.sayings.iter().all(silent) && self.reply.is_none();
        if nothing
            && self.leaving.is_none()
            && !self.turn.his
            && let Some(text) = self.settings.apology_text.clone()
        {
            self.say(text, Origin::Sentence);
        }
    }

    /// No voice could say it. Once is an accident; more often, and the call is over.
    fn voice_is_lost(&mut self, now: CallTime) {
        self.voice.all_failed(now);
        if self.voice.is_given_up() && self.is_early() {
            self.waste(now); // he has not finished: it is tried once more then
        } else if self.voice.is_given_up() && self.may_be_stopped() {
            // It cannot say that it is sorry either: the carrier's fallback has the last word.
            self.sayings.retain(Saying::is_under_way);
            self.cancel_reply();
            self.leave(Why::Failed, false);
        }
    }

    /// A voice is late only when the line waits for it: one that is far ahead may well be held back.
    pub(super) fn voice_deadline(&self) -> Option<CallTime> {
        if self.is_stopped() {
            return None;
        }
        let waits = |saying: &&Saying| saying.awaits_voice() && saying.ready() == 0;
        let patience_ms = self.patience_ms(self.sayings.iter().find(waits)?);
        (patience_ms > 0).then(|| self.voice_since.plus_ms(patience_ms))
    }

    /// How long the line waits for more of this; 0: for ever. Less if another voice could say it, or if there may be no
    /// more to say.
    fn patience_ms(&self, saying: &Saying) -> u64 {
        let (reply_ms, voice_ms) = (
            self.settings.reply_deadline_ms,
            self.settings.voice_deadline_ms,
        );
        #[cfg(test)]
        if self.planted == Some(Planted::WaitsForTheSilent) {
            return reply_ms;
        }
        match (reply_ms, voice_ms) {
            _ if saying.fallbacks == 0 && !saying.may_be_whole() => reply_ms,
            (0, some) | (some, 0) => some,
            (reply_ms, voice_ms) => reply_ms.min(voice_ms),
        }
    }

    pub(super) fn voice_is_late(&mut self, now: CallTime) {
        let Some(at) = self.sayings.iter().position(Saying::awaits_voice) else {
            return;
        };
        let saying = &self.sayings[at];
        let patience_ms = self.patience_ms(saying);
        let given_ms = ms(saying.arrived);
        if given_ms == 0 {
            let reason =
                format!("timeout: it gave no sound for {patience_ms} ms; going on without it");
            return self.voice_failed(now, at, &reason);
        }
        let reason = format!(
            "timeout: it gave {given_ms} ms of sound, then nothing for {patience_ms} ms and no DONE; going on without it"
        );
        if !saying.may_be_whole() {
            return self.voice_failed(now, at, &reason);
        }
        // The caller has heard all of it, as far as anybody can tell. No other voice has to take over.
        let saying = &mut self.sayings[at];
        saying.stage = Stage::Complete;
        saying.endless = true;
        self.failed("voice", &reason);
        self.cancel_voice();
    }

    /// What was held back is given up: nothing of it has been sent.
    pub(super) fn forget_what_stands_ready(&mut self, now: CallTime) {
        if self.strays.samples > 0 || self.sayings.iter().any(|saying| saying.ready() > 0) {
            self.forget();
        }
        if self.sayings.iter().any(Saying::is_under_way) {
            self.cancel_voice();
        }
        self.tell_what_was_cut(self.playout.head(now));
    }

    fn cancel_voice(&mut self) {
        #[cfg(test)]
        if self.planted == Some(Planted::LetsTheReplacedSpeakOn) {
            return;
        }
        if let Some(utterance) = self.utterances.cancel() {
            self.put(Output::Cancel { utterance });
        }
    }

    /// Sends what may be sent.
    pub(super) fn pump(&mut self, now: CallTime) {
        self.pace.at = None;
        let held_back = self.is_early();
        #[cfg(test)]
        let held_back = held_back && self.planted != Some(Planted::SpeaksBeforeTheEnd);
        if held_back || self.is_stopped() {
            return;
        }
        while let Some(at) = self.sayings.iter().position(|saying| !saying.is_sent()) {
            let saying = &self.sayings[at];
            if saying.when_back {
                return;
            }
            let last = saying.stage == Stage::Complete;
            let ready = Ready {
                samples: saying.ready(),
                last,
                live: self.own_turns && saying.origin == Origin::Sound,
            };
            if ready.samples == 0 {
                if !last {
                    return;
                }
                self.mark(now, at, true); // its end came after its last sound had gone
                continue;
            }
            match self.pace.next(now, &self.playout, ready) {
                Next::Play(samples) => self.play(now, at, samples),
                Next::At(time) => return self.pace.at = Some(time),
                Next::Wait => return,
            }
        }
    }

    fn play(&mut self, now: CallTime, at: usize, count: u64) {
        let saying = &mut self.sayings[at];
        if saying.sent == 0 {
            saying.start = self.playout.sent();
        }
        if !std::mem::replace(&mut saying.said, true) {
            let (utterance, turn, text) = (saying.utterance, saying.turn, saying.text.clone());
            let answers = saying.answers(self.asked.turn);
            self.note(Note::Said {
                utterance,
                turn,
                text,
            });
            if let Some(decided) = self.asked.decided.take_if(|_| answers) {
                self.note(Note::Answered {
                    turn,
                    after_ms: now.ms_since(decided),
                });
            }
        } else if self.playout.ran_dry(now) && !self.own_turns {
            self.underruns += 1;
        }
        self.playout.play(now, count);
        self.put(Output::Play { samples: count });
        let saying = &mut self.sayings[at];
        saying.sent += count;
        if saying.ready() == 0 && saying.awaits_voice() {
            self.voice_since = now;
        }
        let saying = &self.sayings[at];
        let ends = saying.ready() == 0 && saying.stage == Stage::Complete;
        let long = saying.sent - saying.marked >= samples(MARK_EVERY_MS) && !self.own_turns;
        if ends || long {
            self.mark(now, at, ends);
        }
    }

    fn mark(&mut self, now: CallTime, at: usize, ends: bool) {
        let saying = &mut self.sayings[at];
        saying.marked = saying.sent;
        saying.end_marked = ends;
        let mark = Mark {
            utterance: saying.utterance,
            samples: saying.sent,
            epoch: 0,
        };
        let mark = self.playout.mark(now, mark, ends);
        self.put(Output::Mark(mark));
    }

    pub(super) fn marked(&mut self, now: CallTime, mark: Mark) {
        let position = self.playout.marked(now, mark);
        self.heard_up_to(position);
    }

    pub(super) fn mark_is_overdue(&mut self, now: CallTime) {
        let position = self.playout.overdue(now);
        self.heard_up_to(position);
    }

    pub(super) fn heard_up_to(&mut self, position: Option<u64>) {
        let Some(position) = position else { return };
        for saying in &mut self.sayings {
            saying.heard_up_to(position);
        }
    }

    /// Lets go of what has been heard.
    pub(super) fn retire(&mut self, now: CallTime) {
        let head = self.playout.head(now);
        while self.sayings.front().is_some_and(Saying::is_over)
            && let Some(saying) = self.sayings.pop_front()
        {
            self.tell_heard(&saying, head);
            let moment = self.moment(now);
            if let Some(open) = &mut self.reply {
                open.moment = open.moment.and(moment); // until now he was not waiting
            }
            if saying.answers(self.asked.turn)
                && let Some(open) = &mut self.reply
            {
                open.since = now; // what it gave has been heard: from now on it is awaited again
            }
        }
    }

    fn tell_heard(&mut self, saying: &Saying, head: u64) {
        if saying.origin == Origin::Sound && !saying.said {
            return; // never begun, never told
        }
        if saying.answers(saying.turn) {
            self.heard_reply.add(saying.turn, saying.heard_text(head));
        }
        if saying.sounded(head) {
            self.heard_reply.add_sound(saying.turn);
        }
        self.note(saying.leaves(head));
        if saying.is_whole(head) {
            self.put(Output::HeardWhole {
                utterance: saying.utterance,
                turn: saying.turn,
            });
        }
    }

    /// What the caller has heard of the answer to the latest turn, if the head is at `head`.
    pub(super) fn heard_of_reply(&self, head: u64) -> String {
        let answers = |saying: &&Saying| saying.answers(self.asked.turn);
        let heard = self.sayings.iter().filter(answers);
        (self.heard_reply).with(self.asked.turn, heard.map(|saying| saying.heard_text(head)))
    }

    /// Was he asked for an answer to what the caller said, and has the caller heard nothing of it, not a whole word?
    /// What keeps him waiting meanwhile is no answer.
    pub(super) fn is_unanswered(&self, now: CallTime) -> bool {
        #[cfg(test)]
        if self.planted == Some(Planted::ForgetsTheUnanswered) {
            return false;
        }
        let head = self.playout.head(now);
        let answers = |saying: &&Saying| saying.answers(self.asked.turn);
        let mut answers = self.sayings.iter().filter(answers).peekable();
        let due = self.reply.is_some() || answers.peek().is_some();
        let sounded = answers.any(|saying| saying.sounded(head));
        self.asked.speech
            && due
            && !sounded
            && !self.heard_reply.sounded(self.asked.turn)
            && self.heard_of_reply(head).is_empty()
    }

    /// Forgets everything that was to be said. What nobody had begun to work on leaves no trace.
    pub(super) fn tell_what_was_cut(&mut self, head: u64) {
        while let Some(saying) = self.sayings.pop_front() {
            if saying.is_under_way() {
                self.tell_heard(&saying, head);
            }
        }
    }

    /// The agent stops speaking, whatever he was going to say, and whoever was about to make it.
    ///
    /// Cleared is also what was sent wholly: the carrier holds it until it has been played. `withdrawn`: the turn it
    /// answers is none.
    pub(super) fn silence_agent(&mut self, now: CallTime, withdrawn: bool) {
        let head = self.playout.head(now);
        let answers = |saying: &Saying| saying.answers(self.asked.turn);
        let answering = self.reply.is_some() || self.sayings.iter().any(answers);
        let speaking = self.sayings.iter().any(Saying::is_under_way);
        #[cfg(test)]
        let speaking = speaking && !self.spares_what_was_sent();
        if self.stopped.held.take().is_some() || self.stopped.taking_back.is_some() {
            self.forget();
        } else if speaking || self.strays.samples > 0 {
            self.clear(now);
        }
        if speaking {
            self.cancel_voice();
        }
        if answering {
            self.cancel_reply_at(head, withdrawn);
        }
        self.leaving = None;
        self.departing = None;
        #[cfg(test)]
        match self.planted {
            Some(Planted::ForgetsWhatWasCut) => self.sayings.clear(),
            Some(Planted::SpeaksOnAfterClear) => return,
            _ => {}
        }
        self.tell_what_was_cut(head);
    }

    #[cfg(test)]
    fn spares_what_was_sent(&self) -> bool {
        self.planted == Some(Planted::ClearsOnlyWhatIsUnsent)
            && self.sayings.iter().all(Saying::is_sent)
    }

    pub(super) fn clear(&mut self, now: CallTime) {
        self.put(Output::Clear);
        self.playout.clear(now);
        self.nothing_is_ready();
    }

    /// The same while the carrier holds nothing.
    pub(super) fn forget(&mut self) {
        self.put(Output::Forget);
        self.nothing_is_ready();
    }

    fn nothing_is_ready(&mut self) {
        self.stopped.taking_back = None;
        self.strays.samples = 0;
        self.pace.at = None;
    }
}
