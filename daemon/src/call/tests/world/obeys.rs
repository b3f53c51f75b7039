//! What the core wants is done here, and watched: nothing may be asked, said, played or told against the rules.

use super::World;
use crate::call::input::{Input, Turn, Utterance};
use crate::call::machine::Floor;
use crate::call::output::{Note, Output, Prompt};
use crate::call::tests::happenings::{Does, Event, FIRM, Manner, Owner};
use crate::call::time::{ms, samples};

impl World {
    /// Does what the core wants, and watches it.
    pub(super) fn obey(&mut self) {
        let mut cleared_now = false;
        let mut barged_in = false;
        let mut taken_back = None;
        let mut firm_cut = false;
        let mut unanswered = false;
        let mut cut = false;
        while let Some(output) = self.call.poll_output() {
            self.log.push((self.now, output.clone()));
            if self.done.is_some() {
                return self.wrong(format!("{output:?} after the end"));
            }
            let whole = self.whole.take();
            cut |= matches!(
                output,
                Output::Clear | Output::Forget | Output::Cancel { .. } | Output::CancelReply { .. }
            );
            match output {
                Output::Respond {
                    turn,
                    prompt,
                    responder,
                } => {
                    self.respond(turn, prompt, responder);
                }
                Output::Transcribe { stretch, heard } => {
                    if let Some(wrong) = self.listener.told(self.now, stretch, heard) {
                        self.wrong(wrong);
                    }
                    for (after_ms, writes) in (self.transcriber)(stretch, heard) {
                        self.later(after_ms, Event::Writes(stretch, writes));
                    }
                }
                Output::Speak {
                    utterance,
                    text,
                    voice,
                    ..
                } => self.speak(utterance, &text, voice),
                Output::Play { .. } | Output::Note(Note::Said { .. } | Note::Answered { .. })
                    if self.early.is_some() =>
                {
                    self.wrong(format!("{output:?} before the turn had ended"));
                }
                Output::Play { samples } => self.play(samples),
                Output::Mark(mark) => {
                    if mark.epoch != self.clears {
                        self.wrong(format!("{mark:?} after {} clears", self.clears));
                    }
                    self.later(self.latency_ms, Event::Marks(mark));
                }
                Output::Clear => {
                    cleared_now = true;
                    self.clears += 1;
                    self.cleared = self.utterance;
                    self.replaced = None;
                    self.mouth.forget();
                    self.later(self.latency_ms, Event::Clears);
                }
                Output::Forget => {
                    cleared_now = true;
                    self.cleared = self.utterance;
                    self.replaced = None;
                    self.mouth.forget();
                }
                Output::Hold { samples } => {
                    self.holds += 1;
                    self.clears += 1;
                    self.later(self.latency_ms, Event::Clears);
                    let more = (self.edge)();
                    self.more_ms += ms(more);
                    match self.mouth.hold(samples, more) {
                        Ok(back) => taken_back = Some(back),
                        Err(wrong) => self.wrong(wrong),
                    }
                }
                Output::Depart(to) => {
                    if !self.owed.is_empty() {
                        self.wrong(format!("it departs before {:?} was heard", self.owed));
                    }
                    self.leaves(Some(&to));
                }
                Output::Note(Note::Departed { to: None }) => self.leaves(None),
                Output::Note(Note::Departed { .. }) => {}
                Output::Note(Note::Returned { .. }) => {
                    self.away = false;
                    self.clears += 1;
                    self.holds += 1; // what was on the way
                    self.mouth.resume();
                    self.unheard_since = self.unheard_since.map(|_| self.now);
                    self.unanswered_since = self.unanswered_since.map(|_| self.now);
                }
                Output::Note(Note::Resumed { .. }) => {
                    if !self.mouth.is_held() {
                        self.wrong("the agent goes on and was not stopped".into());
                    }
                    self.mouth.resume();
                    self.unheard_since = self.unheard_since.map(|_| self.now);
                }
                Output::Cancel { utterance } => {
                    self.cancelled = utterance;
                    self.speaking = None;
                    self.unheard_since = None;
                }
                Output::CancelReply {
                    turn,
                    heard,
                    withdrawn,
                } => {
                    self.asked = self.asked.max(turn);
                    if withdrawn && !heard.is_empty() {
                        self.wrong(format!("turn {turn} is withdrawn; {heard:?} was heard"));
                    }
                    let speech = matches!(self.prompts.last(), Some((Prompt::Speech { .. }, _)));
                    unanswered =
                        speech && !withdrawn && heard.is_empty() && self.sounded_turn < turn;
                    if self.early.is_some() && !heard.is_empty() {
                        self.wrong(format!(
                            "{heard:?} was heard of an answer that was held back"
                        ));
                    }
                    self.wanted_turn = turn + 1;
                    self.in_flight = None;
                    self.unanswered_since = None;
                    self.held.retain(|(held, _)| *held > turn);
                }
                Output::HeardWhole { utterance, .. } if whole != Some(utterance) => {
                    self.wrong(format!(
                        "utterance {utterance} was heard whole, but the story does not say so"
                    ));
                }
                Output::Note(Note::Heard {
                    utterance,
                    text,
                    heard_bytes,
                    heard_ms,
                    sent_ms,
                    whole,
                }) => {
                    self.was_heard(utterance, heard_ms, sent_ms, whole);
                    if text.get(..heard_bytes).is_none() || whole && heard_bytes < text.len() {
                        self.wrong(format!(
                            "{heard_bytes} bytes heard of {text:?}, whole: {whole}"
                        ));
                    }
                    if whole && !self.mixed && !self.mouth.is_played(utterance) {
                        self.wrong(format!(
                            "utterance {utterance} was heard whole and not played so"
                        ));
                    }
                    if text.starts_with(FIRM) && heard_ms > 0 && heard_ms < sent_ms {
                        firm_cut = true;
                    }
                }
                Output::Note(Note::VoiceReplaced {
                    utterance,
                    voice,
                    again: true,
                    ..
                }) => {
                    if !self.owed.remove(&utterance) {
                        self.wrong(format!("utterance {utterance} was replaced without need"));
                    }
                    if self.sounded.contains(&utterance) {
                        self.wrong(format!(
                            "utterance {utterance} is said again after it had begun to sound"
                        ));
                    }
                    self.replaced = Some(voice);
                }
                Output::Note(Note::Said {
                    utterance, text, ..
                }) if text.is_empty() => {
                    self.utterance = self.utterance.max(utterance);
                    self.owed.insert(utterance);
                }
                Output::Note(Note::Wasted { turn }) => {
                    let cancelled = self.log.iter().rev().find_map(|(_, output)| match output {
                        Output::CancelReply {
                            turn: of,
                            withdrawn,
                            ..
                        } => Some((*of, *withdrawn)),
                        _ => None,
                    });
                    if cancelled != Some((turn, true)) {
                        self.wrong(format!("turn {turn} was wasted and not withdrawn"));
                    }
                    if self.early.take() != Some(turn) || self.in_flight.is_some() {
                        self.wrong(format!("turn {turn} was wasted, which was not held back"));
                    }
                }
                Output::Note(Note::Withdrawn { turn }) => {
                    if turn != self.asked {
                        self.wrong(format!(
                            "turn {turn} is withdrawn after turn {}",
                            self.asked
                        ));
                    }
                    self.listener.withdrawn();
                }
                Output::Note(Note::CallerStarted { turn }) => {
                    if unanswered {
                        self.wrong(format!(
                            "turn {turn} begins, and the one before is forgotten"
                        ));
                    }
                    self.listener.began(cut);
                }
                Output::Note(Note::BargeIn { .. }) => barged_in = true,
                Output::Note(Note::ResponderReplaced { responder, .. }) => {
                    self.replaced_responder = Some(responder);
                }
                Output::Note(Note::TurnEnded {
                    turn,
                    reason,
                    waited_ms,
                    ..
                }) => {
                    if self.early.is_some_and(|early| early != turn) {
                        self.wrong(format!(
                            "turn {turn} ends while {:?} is held back",
                            self.early
                        ));
                    }
                    self.turn_ended = true;
                    if self.early.take().is_some() {
                        self.turn_ended = false;
                        let prompt = self.prompts.last().map(|last| last.0.clone());
                        let asked =
                            prompt.and_then(|prompt| self.listener.asked(self.now, &prompt));
                        if let Some(wrong) = asked {
                            self.wrong(wrong);
                        }
                    }
                    if let Some(wrong) = self.listener.turn_ended(reason, waited_ms) {
                        self.wrong(wrong);
                    }
                }
                Output::Done(why) => {
                    self.done = Some(why);
                    self.falls_silent();
                    if !self.owed.is_empty() {
                        self.wrong(format!("utterances {:?} never ended in a Heard", self.owed));
                    }
                }
                Output::SpeechStarted { turn } | Output::SpeechPaused { turn } => {
                    if turn != self.early.unwrap_or(self.asked + 1) {
                        self.wrong(format!(
                            "the caller speaks in turn {turn} after turn {}",
                            self.asked
                        ));
                    }
                }
                Output::Note(Note::NoWords { .. }) => {
                    let mut now = self.log.iter().rev();
                    let told = now.any(|(time, output)| {
                        let none = matches!(
                            output,
                            Output::CancelReply { turn, withdrawn: true, .. } if *turn == self.asked
                        );
                        none && *time == self.now
                    });
                    if !told {
                        self.wrong("nobody is told that a turn was none".into());
                    }
                    if let Some(wrong) = self.listener.no_words() {
                        self.wrong(wrong);
                    }
                }
                Output::Note(Note::Failed { .. }) => unanswered = false,
                Output::HeardWhole { .. }
                | Output::HangUp
                | Output::SaidSoFar { .. }
                | Output::Note(
                    Note::Said { .. }
                    | Note::Transcript { .. }
                    | Note::TranscriberReplaced { .. }
                    | Note::Answered { .. }
                    | Note::Digit { .. }
                    | Note::NoInput { .. }
                    | Note::VoiceReplaced { .. }
                    | Note::Ended { .. },
                ) => {}
            }
        }
        if barged_in && firm_cut {
            self.wrong("the caller cut off what he cannot interrupt".into());
        }
        // A key that waited behind what he interrupted is a turn at once, and so is speech that was over.
        let given_away = matches!(self.call.floor(), Floor::Listening | Floor::Thinking);
        if barged_in && (!cleared_now || !given_away) {
            self.wrong("a barge-in that did not clear, or did not give the floor away".into());
        }
        if let Some(samples) = taken_back.filter(|_| self.done.is_none()) {
            self.tell(Input::TakenBack { samples });
            self.obey();
        }
        if self.done.is_none()
            && self.call.poll_timeout().is_none()
            && self.settings.max_call_secs > 0
        {
            self.wrong("nothing will ever end this call".into());
        }
    }

    fn respond(&mut self, turn: Turn, prompt: Prompt, responder: u32) {
        if let Some(other) = self.in_flight {
            self.wrong(format!("turn {turn} is asked while {other} is in flight"));
        }
        if turn != self.asked + 1 {
            self.wrong(format!("turn {turn} follows turn {}", self.asked));
        }
        let speech = matches!(prompt, Prompt::Speech { .. });
        match (self.replaced_responder, self.early) {
            (Some(_), early) => self.early = early.map(|_| turn),
            (None, Some(early)) => {
                self.wrong(format!("turn {turn} is asked while {early} is held back"));
            }
            (None, None) if speech && !self.turn_ended => self.early = Some(turn),
            (None, None) => {
                let asked = self.listener.asked(self.now, &prompt);
                if let Some(wrong) = asked {
                    self.wrong(wrong);
                }
            }
        }
        if self.early.is_some() && !self.settings.speculate {
            self.wrong(format!("turn {turn} is asked before it had ended"));
        }
        self.turn_ended = false;
        self.asked = turn;
        self.in_flight = Some(turn);
        if responder >= self.responders {
            return self.wrong(format!(
                "responder {responder} is asked in a line of {}",
                self.responders
            ));
        }
        if let Some(failed) = self.replaced_responder.take()
            && (responder != failed + 1 || Some(&prompt) != self.prompts.last().map(|last| &last.0))
        {
            self.wrong(format!(
                "responder {responder} is asked {prompt:?} because responder {failed} failed"
            ));
        }
        self.prompts.push((prompt, responder));
        let fallbacks = self.responders - 1 - responder;
        let begins = Does::Begins {
            responder,
            fallbacks,
        };
        self.unanswered_since = (fallbacks > 0).then_some(self.now);
        self.later(0, Event::Does(turn, begins));
        for (after_ms, does) in (self.responder)(turn) {
            self.later(after_ms, Event::Does(turn, does));
        }
    }

    fn speak(&mut self, utterance: Utterance, text: &str, voice: u32) {
        // As the leg does: another line is begun at its head.
        let voice = if std::mem::take(&mut self.line_changed) {
            0
        } else {
            voice
        };
        if voice >= self.line {
            return self.wrong(format!("voice {voice} is asked in a line of {}", self.line));
        }
        if let Some(failed) = self.replaced.take()
            && voice <= failed
            && voice > 0
        {
            self.wrong(format!("voice {voice} says what voice {failed} could not"));
        }
        let fallbacks = self.line - 1 - voice;
        self.later(0, Event::Begun(utterance, voice, fallbacks));
        self.unheard_since = (fallbacks > 0).then_some(self.now);
        if let Some(other) = self.speaking {
            self.wrong(format!(
                "utterance {utterance} is asked for while {other} arrives"
            ));
        }
        if utterance <= self.utterance {
            self.wrong(format!(
                "utterance {utterance} follows utterance {}",
                self.utterance
            ));
        }
        self.utterance = utterance;
        self.speaking = Some(utterance);
        self.owed.insert(utterance);
        self.unfinished.insert(utterance);
        let length_ms = 100 * text.chars().count() as u64;
        match (self.voice)(utterance, voice) {
            Manner::Speaks {
                after_ms,
                piece_ms,
                every_ms,
            } => {
                let (mut at, mut given) = (after_ms, 0);
                while given < length_ms {
                    let piece = piece_ms.clamp(1, length_ms - given);
                    self.later(at, Event::Audio(utterance, samples(piece)));
                    given += piece;
                    at += every_ms;
                }
                self.later(at, Event::Spoken(utterance));
            }
            Manner::Silent { after_ms } => self.later(after_ms, Event::Spoken(utterance)),
            Manner::Fails { after_ms, given_ms } => {
                if given_ms > 0 {
                    self.later(after_ms, Event::Audio(utterance, samples(given_ms)));
                }
                self.later(after_ms, Event::NotSpoken(utterance));
            }
            Manner::Babbles { after_ms } => {
                self.later(after_ms, Event::Spoken(utterance));
                for piece in 1..=10 {
                    self.later(after_ms + 30 * piece, Event::Audio(utterance, samples(50)));
                }
            }
            Manner::Hangs { given_ms } if given_ms > 0 => {
                self.later(100, Event::Audio(utterance, samples(given_ms)));
            }
            Manner::Hangs { .. } => {}
        }
    }

    fn play(&mut self, mut count: u64) {
        if self.away {
            self.wrong("something is played into no stream".into());
        }
        let lead_ms = self.call.lead_ms(self.now);
        if lead_ms > self.most_ms() {
            self.wrong(format!(
                "a lead of {lead_ms} ms; at most {} ms are allowed",
                self.most_ms()
            ));
        }
        while count > 0 {
            let (owner, piece) = match self.mouth.play(count) {
                Ok(played) => played,
                Err(wrong) => return self.wrong(wrong),
            };
            count -= piece;
            if matches!(owner, Owner::Voice(utterance) if utterance <= self.cleared) {
                self.wrong(format!("{owner:?} is played after it was cleared"));
            }
            self.later(self.latency_ms, Event::Plays(owner, piece));
        }
    }

    pub(super) fn most_ms(&self) -> u64 {
        self.settings
            .lead_ms
            .max(self.settings.play_ms)
            .max(self.settings.first_play_ms)
    }

    fn was_heard(&mut self, utterance: Utterance, heard_ms: u64, sent_ms: u64, whole: bool) {
        if !self.owed.remove(&utterance) {
            self.wrong(format!(
                "utterance {utterance} ends in a second Heard, or was never asked for"
            ));
        }
        if heard_ms > sent_ms || (whole && heard_ms != sent_ms) {
            self.wrong(format!(
                "{heard_ms} of {sent_ms} ms of utterance {utterance} heard, whole: {whole}"
            ));
        }
        if whole && self.unfinished.contains(&utterance) {
            self.wrong(format!(
                "utterance {utterance} was heard whole before it was whole"
            ));
        }
        // Between marks the clock may be ahead of the carrier by the way there, and by as much as messages of this
        // instant, which have not been carried out yet.
        // Each time the agent was stopped, what was on the way there is told and was not heard; and what was taken back
        // of the utterance before counts to this one.
        let ahead_ms = (self.latency_ms + 1) * (1 + self.holds) + self.more_ms;
        let truth_ms = self.heard_ms(Owner::Voice(utterance));
        let strict = self.holds_back && !self.mixed && heard_ms > truth_ms + ahead_ms;
        if strict
            && self
                .heard
                .iter()
                .any(|sound| sound.owner == Owner::Voice(utterance))
        {
            self.wrong(format!(
                "{heard_ms} ms of utterance {utterance} told, {truth_ms} ms heard"
            ));
        }
        self.whole = whole.then_some(utterance);
    }
}
