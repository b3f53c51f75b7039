//! The responder that answers the caller's turns: what it says or does, how long it is awaited, and what happens when
//! it fails. When it is asked is decided next door in `turns`.

#[cfg(test)]
use super::faults::Planted;
use super::input::{Reply, Turn, Why, Wording};
use super::machine::{Call, Floor};
use super::output::{Note, Output, Prompt};
use super::saying::{MAX_QUEUED_UTTERANCES, MAX_TEXT_BYTES, Origin, Saying, Stage};
use super::splitter::{Cut, Splitter};
use super::time::CallTime;
use super::transcript::cut;
use std::borrow::Cow;

/// Length of a sentence in a note that comes from a plugin.
const MAX_REASON_BYTES: usize = 500;

/// What the responder is asked.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The latest turn it was asked to answer.
    pub(super) turn: Turn,
    /// That is something the caller said, and no key or silence.
    pub(super) speech: bool,
    /// When it was decided, as long as it waits for its first sound.
    pub(super) decided: Option<CallTime>,
    /// The first turn whose reply has not been cancelled.
    wanted: Turn,
    /// It is still to be asked for the first words.
    pub(super) first_words: bool,
}

/// A reply the responder has not finished.
#[derive(Debug)]
pub(super) struct OpenReply {
    /// What it was asked about: if it fails another is asked the same.
    pub(super) prompt: Prompt,
    asked: CallTime,
    /// Since when it is awaited: asked, heard from, or heard to the end of what it gave.
    pub(super) since: CallTime,
    /// Responders that could answer in its place.
    fallbacks: u32,
    /// When the caller is told that it takes a moment; once for a prompt, whoever is asked.
    pub(super) moment: Option<CallTime>,
    /// It gave something to say.
    said: bool,
    /// It gave something that could not be said.
    refused: bool,
    /// It was told that texts of it are not said because too many wait.
    crowded: bool,
    /// It did something that is not heard.
    acted: bool,
    /// What it gives in pieces.
    splitter: Splitter,
    /// The turn has not ended: what comes of it is held back.
    pub(super) early: bool,
    /// How it ended, meanwhile.
    pub(super) held: Option<Reply<'static>>,
}

impl Call {
    /// The next turn begins, and the responder is asked about it.
    pub(super) fn ask(&mut self, now: CallTime, prompt: Prompt) {
        self.choose_responder(now);
        self.asked.decided = Some(now);
        self.floor = Floor::Thinking;
        let moment = self.moment(now);
        self.ask_next(now, prompt, moment, false);
    }

    /// The same before the turn is certain: what comes of it is held back.
    pub(super) fn ask_held_back(&mut self, now: CallTime, prompt: Prompt) {
        self.choose_responder(now);
        self.ask_next(now, prompt, None, true);
    }

    fn choose_responder(&mut self, now: CallTime) {
        if self.responder.has_rested(now) {
            self.responder.back_to_the_first();
        }
        self.silence.asked_ms = None;
        self.asked.first_words = false;
        self.speaker.keep();
    }

    /// When a caller who waits from now on is told so.
    pub(super) fn moment(&self, now: CallTime) -> Option<CallTime> {
        let moment_ms = self.settings.one_moment_ms;
        (moment_ms > 0).then(|| now.plus_ms(moment_ms))
    }

    fn ask_next(&mut self, now: CallTime, prompt: Prompt, moment: Option<CallTime>, early: bool) {
        self.asked.turn += 1;
        self.asked.speech = matches!(prompt, Prompt::Speech { .. });
        self.reply = Some(OpenReply {
            prompt: prompt.clone(),
            asked: now,
            since: now,
            fallbacks: 0,
            moment,
            said: false,
            refused: false,
            crowded: false,
            acted: false,
            splitter: Splitter::default(),
            early,
            held: None,
        });
        self.put(Output::Respond {
            turn: self.asked.turn,
            prompt,
            responder: self.responder.place(),
        });
    }

    /// The responder failed before it gave anything to say: the next in the line is asked the same. Its turn has the
    /// next number, because what the one before still says about his is refused by that.
    fn replace_responder(&mut self, now: CallTime, reason: &str) {
        self.close_sound();
        let Some(open) = self.reply.take() else {
            return;
        };
        self.cancel_reply();
        self.speaker.put_back();
        self.note(Note::ResponderReplaced {
            turn: self.asked.turn,
            responder: self.responder.place(),
            after_ms: now.ms_since(open.asked),
            reason: bounded(reason),
        });
        self.responder.fall_back(now, self.settings.voice_rest_ms);
        self.ask_next(now, open.prompt, open.moment, open.early);
    }

    /// Could another responder answer, and would the caller not hear that there were two?
    fn may_be_replaced(&self) -> bool {
        #[cfg(test)]
        if self.planted == Some(Planted::AsksNobodyElse) {
            return false;
        }
        (self.reply.as_ref()).is_some_and(|open| open.fallbacks > 0 && !open.said)
    }

    /// When the caller has waited so long for the first words that he is told so.
    pub(super) fn moment_deadline(&self) -> Option<CallTime> {
        let open = self.reply.as_ref()?;
        open.moment
            .filter(|_| !open.said && self.sayings.is_empty())
    }

    pub(super) fn one_moment(&mut self) {
        if let Some(open) = &mut self.reply {
            open.moment = None;
        }
        if let Some(text) = self.settings.one_moment_text.clone() {
            self.say(text, Origin::Sentence);
        }
    }

    pub(super) fn replied(&mut self, now: CallTime, turn: Turn, reply: Reply<'_>) {
        let open = self.reply.as_ref().is_some_and(|open| open.held.is_none());
        let awaited = self.own_turns || (open && turn == self.asked.turn);
        if !awaited || self.leaving.is_some() {
            return self.replied_unasked(now, turn, reply);
        }
        if let Some(open) = &mut self.reply {
            open.since = now;
        }
        let Some(reply) = self.hold_back(turn, reply) else {
            return;
        };
        match reply {
            Reply::Piece(piece, wording) => self.reply_piece(turn, piece, wording),
            Reply::Text(text, wording) => {
                self.say_pieces(turn, true);
                self.reply_text(turn, text, wording);
            }
            Reply::Begun {
                responder,
                fallbacks,
            } => {
                self.responder.set_place(responder);
                if let Some(open) = &mut self.reply {
                    open.fallbacks = fallbacks;
                }
            }
            Reply::Silence { after_ms } => {
                self.silence.asked_ms = (after_ms > 0).then_some(after_ms);
                self.has_acted();
            }
            Reply::Depart(to) => self.reply_depart(turn, to),
            Reply::Stays => self.reply_stays(now, turn),
            Reply::Speaker(speaker) => {
                self.say_pieces(turn, true);
                self.speaker.now = speaker;
                self.has_acted();
            }
            Reply::Audio { samples } => {
                self.say_pieces(turn, true);
                self.reply_audio(now, turn, samples);
            }
            Reply::HangUp => {
                self.say_pieces(turn, true);
                self.close_sound();
                self.reply = None;
                self.leave(Why::ResponderHungUp, true);
            }
            Reply::Done => {
                self.say_pieces(turn, true);
                self.close_sound();
                self.reply_is_done(now);
            }
            Reply::Failed(reason) if self.may_be_replaced() => self.replace_responder(now, reason),
            Reply::Failed(reason) if self.is_early() => {
                self.failed("responder", reason);
                self.waste(now);
            }
            Reply::Failed(reason) => {
                // Half a sentence is not said.
                self.close_sound();
                self.reply = None;
                self.failed("responder", reason);
                let for_good = self.own_turns && turn == 0;
                if !for_good || !self.responder.has_failed() {
                    self.apologise(now);
                }
                if for_good && self.leaving.is_none() {
                    self.leave(Why::Failed, false);
                }
            }
        }
    }

    fn reply_is_done(&mut self, now: CallTime) {
        if self.may_be_replaced() && self.reply.as_ref().is_some_and(|open| open.refused) {
            return self.replace_responder(now, "no_text: nothing it gave could be said");
        }
        let Some(open) = self.reply.take() else {
            return;
        };
        let speech = matches!(open.prompt, Prompt::Speech { .. });
        match (open.said, open.refused) {
            // Words that could not be said and nothing else: the caller has to be told something.
            (false, true) => self.apologise(now),
            // It may have nothing to say to a key or a silence. To what he says it may too, but somebody will ask why.
            (false, false) if speech && !open.acted => {
                self.failed(
                    "responder",
                    "no_text: it finished without a word; listening again",
                );
            }
            (true, _) | (false, false) => {}
        }
    }

    pub(super) fn has_acted(&mut self) {
        if let Some(open) = &mut self.reply {
            open.acted = true;
        }
    }

    /// Nobody waits for this. What was cancelled may still be on its way and is nothing to speak of.
    fn replied_unasked(&mut self, now: CallTime, turn: Turn, reply: Reply<'_>) {
        if turn < self.asked.wanted {
            return;
        }
        match reply {
            Reply::Audio { samples } => self.stray_sound(now, "responder", samples),
            // It has not been asked yet, or has no more to say; but somebody will want to know.
            Reply::Failed(reason) => self.failed("responder", reason),
            Reply::Begun { .. }
            | Reply::Text(..)
            | Reply::Piece(..)
            | Reply::Speaker(_)
            | Reply::Silence { .. }
            | Reply::HangUp
            | Reply::Depart(_)
            | Reply::Stays
            | Reply::Done => {}
        }
    }

    fn reply_piece(&mut self, turn: Turn, piece: &str, Wording { fixed, .. }: Wording) {
        let Some(open) = &mut self.reply else {
            return self.reply_text(turn, piece, Wording { firm: false, fixed });
        };
        if open.splitter.push(piece, fixed) {
            self.say_pieces(turn, false);
        } else {
            let bytes = piece.len();
            self.failed(
                "responder",
                &format!("a piece of {bytes} bytes is not said, because too much waits before it"),
            );
        }
    }

    /// Says what is whole of the pieces; all of them if nothing that belongs to them can follow.
    pub(super) fn say_pieces(&mut self, turn: Turn, whole: bool) {
        while let Some(open) = &mut self.reply
            && let Some(cut) = if whole {
                open.splitter.rest()
            } else {
                open.splitter.next_utterance()
            }
        {
            if !self.joins_the_last(turn, &cut) {
                let wording = Wording {
                    firm: false,
                    fixed: cut.fixed,
                };
                self.reply_text(turn, &cut.text, wording);
            }
        }
    }

    /// A sentence for which no utterance is left is said with the one before it, as long as that holds it: who writes
    /// faster than anybody speaks loses nothing, and only what would be minutes in one utterance is refused.
    fn joins_the_last(&mut self, turn: Turn, cut: &Cut) -> bool {
        if self.sayings.len() < MAX_QUEUED_UTTERANCES {
            return false;
        }
        let speaker = self.speaker.now;
        let last = self.sayings.back_mut().filter(|last| {
            last.stage == Stage::Queued
                && last.answers(turn)
                && last.speaker == speaker
                && !last.firm
                && last.text.len() + 1 + cut.text.len() <= MAX_TEXT_BYTES
        });
        let Some(last) = last else { return false };
        last.fixed &= cut.fixed;
        let joined = last.text.to_mut();
        joined.push(' ');
        joined.push_str(&cut.text);
        true
    }

    fn reply_text(&mut self, turn: Turn, text: &str, Wording { firm, fixed }: Wording) {
        self.close_sound();
        let refusal = if text.trim().is_empty() {
            Some(Cow::Borrowed(
                "no_text: it gave an empty text; nothing is said for it",
            ))
        } else if text.len() > MAX_TEXT_BYTES {
            let length = text.len();
            Some(Cow::Owned(format!(
                "a text of {length} bytes is not said; at most {MAX_TEXT_BYTES} make one utterance"
            )))
        } else if self.sayings.len() >= MAX_QUEUED_UTTERANCES {
            Some(Cow::Owned(format!(
                "a text is not said, because {MAX_QUEUED_UTTERANCES} others wait before it; told once in an answer"
            )))
        } else {
            None
        };
        let crowded = self.sayings.len() >= MAX_QUEUED_UTTERANCES;
        let mut again = false;
        if let Some(open) = &mut self.reply {
            again = open.crowded && crowded;
            open.crowded |= crowded;
            open.said |= refusal.is_none();
            open.refused |= refusal.is_some();
        }
        match refusal {
            Some(_) if again => {} // an answer without an end is one line in the log, not ten thousand
            Some(reason) => self.failed("responder", &reason),
            None => {
                self.responder.did_well();
                let text = Cow::Owned(text.to_owned());
                let mut saying = Saying::new(turn, text, Origin::Words);
                saying.firm = firm;
                saying.fixed = fixed;
                saying.speaker = self.speaker.now;
                self.queue(saying);
            }
        }
    }

    fn reply_audio(&mut self, now: CallTime, turn: Turn, samples: u64) {
        if samples == 0 {
            return;
        }
        let last = self.sayings.back();
        if last.is_some_and(|saying| saying.is_arriving() && saying.origin == Origin::Sound) {
            return self.sound_arrived(now, samples);
        }
        let voice_is_busy = self
            .sayings
            .iter()
            .any(|saying| saying.stage != Stage::Complete);
        let too_early = self.own_turns && self.floor == Floor::Greeting;
        let no_room = self.sayings.len() >= MAX_QUEUED_UTTERANCES;
        if voice_is_busy || too_early || no_room || self.strays.samples > 0 {
            return self.stray_sound(now, "responder", samples);
        }
        if let Some(open) = &mut self.reply {
            open.said = true;
        }
        self.responder.did_well();
        let mut saying = Saying::new(turn, Cow::Borrowed(""), Origin::Sound);
        saying.utterance = self.utterances.begin();
        saying.stage = Stage::Arriving;
        self.queue(saying);
        self.sound_arrived(now, samples);
    }

    /// The responder's own sound ends here, if there is any.
    pub(super) fn close_sound(&mut self) {
        if let Some(last) = self.sayings.back_mut()
            && last.origin == Origin::Sound
        {
            last.stage = Stage::Complete;
        }
    }

    pub(super) fn responder_deadline(&self) -> Option<CallTime> {
        let open = self.reply.as_ref()?;
        if open.held.is_some() {
            return None;
        }
        // Who has given us something to say is not awaited until it has been said.
        if self
            .sayings
            .iter()
            .any(|saying| saying.answers(self.asked.turn))
        {
            return None;
        }
        let patience_ms = self.responder_patience_ms();
        (patience_ms > 0).then(|| open.since.plus_ms(patience_ms))
    }

    /// How long it is awaited; 0: for ever. Less if another could answer.
    fn responder_patience_ms(&self) -> u64 {
        let settings = &self.settings;
        match (settings.reply_deadline_ms, settings.responder_deadline_ms) {
            (reply_ms, _) if !self.may_be_replaced() => reply_ms,
            (0, some) | (some, 0) => some,
            (reply_ms, responder_ms) => reply_ms.min(responder_ms),
        }
    }

    pub(super) fn responder_is_late(&mut self, now: CallTime) {
        if self.may_be_replaced() {
            let patience_ms = self.responder_patience_ms();
            let reason = format!("timeout: it gave no answer within {patience_ms} ms");
            return self.replace_responder(now, &reason);
        }
        if self.is_early() {
            let patience_ms = self.responder_patience_ms();
            let reason = format!("it gave no answer within {patience_ms} ms");
            self.failed("responder", &reason);
            return self.waste(now);
        }
        let Some(open) = self.reply.take() else {
            return;
        };
        self.cancel_reply();
        let patience_ms = self.settings.reply_deadline_ms;
        if open.said {
            // The caller has been answered; only the end is missing. No reason to bother him.
            self.failed(
                "responder",
                &format!("it did not finish its reply within {patience_ms} ms; listening again"),
            );
        } else {
            self.failed(
                "responder",
                &format!("it gave no answer within {patience_ms} ms"),
            );
            self.apologise(now);
        }
    }

    /// Nobody could answer.
    fn apologise(&mut self, now: CallTime) {
        self.responder.all_failed(now);
        if let Some(text) = self.settings.apology_text.clone() {
            self.say(text, Origin::Sentence);
        }
        if self.responder.is_given_up() {
            self.leave(Why::Failed, false);
        }
    }

    /// The responder need not go on with what it was asked.
    pub(super) fn cancel_reply(&mut self) {
        self.cancel_reply_at(self.playout.head(self.now), false);
    }

    /// The same; the playout has got to `head`. `withdrawn`: and the turn is none.
    pub(super) fn cancel_reply_at(&mut self, head: u64, withdrawn: bool) {
        self.reply = None;
        if withdrawn {
            self.speaker.put_back();
        }
        if self.asked.turn >= self.asked.wanted && self.asked.turn > 0 && !self.own_turns {
            self.asked.wanted = self.asked.turn + 1;
            let (turn, heard) = (self.asked.turn, self.heard_of_reply(head));
            self.put(Output::CancelReply {
                turn,
                heard,
                withdrawn,
            });
        }
    }

    pub(super) fn failed(&mut self, step: &'static str, reason: &str) {
        self.note(Note::Failed {
            step,
            text: bounded(reason),
        });
    }
}

/// So much of a plugin's sentence as is kept, cut between letters.
pub(super) fn bounded(reason: &str) -> String {
    cut(reason, MAX_REASON_BYTES).to_owned()
}
