//! Asking before it is certain: at a pause the responder may be asked as if the caller had finished, and what it says is
//! held back until he has. It saves the caller the silence by which we make sure, and costs answers that nobody hears.
//!
//! ```text
//!  caller   ssssss.......           ssssss...ssss.......          ssssss.......
//!  words          "a table"               "a table" "a table, and"     "a tab" "a table"
//!  asked            1 ── held ─→ said       1 ──× wasted    2 ─→          1 ──× 2 ─→
//! ```
//!
//! Its words are queued and its voice is asked, but nothing is sent before the turn has ended. An answer to other words
//! than he said, or to half of them, is thrown away and leaves no trace but a note.

#[cfg(test)]
use super::faults::Planted;
use super::input::{Reply, Turn};
use super::machine::{Call, Floor};
use super::output::{Note, Prompt};
use super::time::CallTime;

/// So often in one turn: one who speaks with many pauses would cost an answer at each.
pub(super) const MAX_EARLY: u32 = 4;

impl Call {
    /// Is an answer being made for a turn that has not ended?
    pub(super) fn is_early(&self) -> bool {
        self.reply.as_ref().is_some_and(|open| open.early)
    }

    /// The number that the caller's turn will have, as far as is known.
    pub(super) fn his_turn_number(&self) -> Turn {
        if self.is_early() {
            self.asked.turn
        } else {
            self.asked.turn + 1
        }
    }

    /// Asks now if he may have finished, and asks again if it is known better by now what he said.
    pub(super) fn ask_early(&mut self, now: CallTime) {
        let silent = self.ear.paused() || (!self.ear.in_speech() && self.awaits_words());
        let may = self.settings.speculate && self.turn.his && self.leaving.is_none();
        if !may || !silent || self.own_turns || self.sounds_unfinished() {
            return;
        }
        let text = self.transcript.turn_text();
        let known = text.is_some() && self.words_are_fresh();
        if self.settings.transcribed && !known {
            return;
        }
        if self.is_early() {
            if self.was_asked_about(text.as_deref()) {
                return;
            }
            #[cfg(test)]
            if self.planted == Some(Planted::AsksTwice) {
                self.reply = None;
            }
            self.waste(now);
        }
        if self.turn.asked_early < MAX_EARLY && self.sayings.is_empty() && self.reply.is_none() {
            self.turn.asked_early += 1;
            self.ask_held_back(now, Prompt::Speech { text });
        }
    }

    /// Did the caller say what the responder was asked about? Signs and capitals are the transcriber's, not his.
    pub(super) fn was_asked_about(&self, text: Option<&str>) -> bool {
        #[cfg(test)]
        if self.planted == Some(Planted::AnswersOtherWords) {
            return true;
        }
        let letters = |text: &str| -> String {
            let letters = text.chars().filter(|c| c.is_alphanumeric());
            letters.flat_map(char::to_lowercase).collect()
        };
        let asked = self.reply.as_ref().map(|open| &open.prompt);
        let Some(Prompt::Speech { text: asked }) = asked else {
            return false;
        };
        letters(asked.as_deref().unwrap_or_default()) == letters(text.unwrap_or_default())
    }

    /// He goes on, or said something else: the answer that was begun is thrown away, unheard.
    pub(super) fn waste(&mut self, now: CallTime) {
        if !self.is_early() {
            return;
        }
        let turn = self.asked.turn;
        self.departing = None;
        self.forget_what_stands_ready(now);
        self.cancel_reply_at(self.playout.head(now), true);
        self.note(Note::Wasted { turn });
    }

    /// The turn has ended as it was thought to: what was held back is said.
    pub(super) fn release(&mut self, now: CallTime) {
        self.asked.decided = Some(now);
        self.floor = Floor::Thinking;
        let moment = self.moment(now);
        let Some(open) = &mut self.reply else {
            return;
        };
        open.early = false;
        open.moment = moment;
        if let Some(held) = open.held.take() {
            self.replied(now, self.asked.turn, held);
        }
    }

    /// What ends an answer has to wait until it may begin. Gives back what need not wait.
    pub(super) fn hold_back<'a>(&mut self, turn: Turn, reply: Reply<'a>) -> Option<Reply<'a>> {
        if !self.is_early() {
            return Some(reply);
        }
        let held = match reply {
            Reply::Done => Reply::Done,
            Reply::HangUp => Reply::HangUp,
            Reply::Depart(departure) => Reply::Depart(departure),
            Reply::Begun { .. }
            | Reply::Text(..)
            | Reply::Piece(..)
            | Reply::Speaker(_)
            | Reply::Stays
            | Reply::Silence { .. }
            | Reply::Audio { .. }
            | Reply::Failed(_) => return Some(reply),
        };
        self.say_pieces(turn, true);
        self.close_sound();
        if let Some(open) = &mut self.reply {
            open.held = Some(held);
        }
        None
    }
}
