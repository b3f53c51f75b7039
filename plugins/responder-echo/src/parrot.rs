//! Says the caller's turn back once he has finished. It keeps what it hears, because the turn's edges are told late:
//! that speech began is known some 100 ms after it did, that it ended only after a pause.
//!
//! ```text
//! caller   ..........sssssssssssssss....ssssssss..............
//! told                  ^start         ^pause ^start    ^pause      ^over
//! kept         |<-lead->|--------------------------------|..|        from 300 ms before start, to 200 ms after the
//!                                                           last pause
//! ```
//!
//! Two stretches of sound: the one being kept and the one being said. They change places when a turn is over, so a
//! caller who interrupts is heard from his first syllable on.

use voice_plugin::prelude::*;

/// Bytes of µ-law in a millisecond.
const BYTES_PER_MS: usize = 8;
/// Kept from before the host said that speech began: detectors need 100 to 250 ms to be sure.
const LEAD_BYTES: usize = 300 * BYTES_PER_MS;
/// Kept after the last pause: the fading end of the last word, which no detector calls voiced.
const TAIL_BYTES: usize = 200 * BYTES_PER_MS;
/// The longest turn that is said back whole; of a longer one, the beginning.
const TURN_BYTES: usize = 30_000 * BYTES_PER_MS;
/// By how much the memory for a turn grows: one allocation in so many milliseconds of speech.
const STEP_BYTES: usize = 2000 * BYTES_PER_MS;
/// Handed to the host at once: 100 ms. Of the 4 s that a ring holds, so little is lost at an interruption.
const PIECE_BYTES: usize = 100 * BYTES_PER_MS;

/// One call.
pub(crate) struct Parrot {
    host: Host,
    lead: Lead,
    kept: Kept,
    answer: Answer,
}

impl Parrot {
    pub(crate) fn new(host: Host) -> Parrot {
        Parrot {
            host,
            lead: Lead {
                ring: [0; LEAD_BYTES],
                next: 0,
                len: 0,
            },
            kept: Kept {
                sound: Vec::new(),
                on: false,
                paused_at: None,
                since_pause: 0,
                cut: false,
            },
            answer: Answer {
                sound: Vec::new(),
                said: 0,
                turn: None,
                of: 0,
            },
        }
    }

    pub(crate) fn on(&mut self, event: InlineEvent<'_>, out: &mut Out<'_>) {
        match event {
            InlineEvent::Audio { turn, bytes, .. } => self.hear(turn, bytes),
            InlineEvent::SpeechStart { .. } => self.kept.begin(&self.lead),
            InlineEvent::SpeechEnd { last: false, .. } => self.kept.pause(),
            InlineEvent::SpeechEnd {
                turn, last: true, ..
            } => {
                let rest = self.kept.finish(&mut self.answer.sound);
                self.lead.keep_newest(rest);
                self.answer.said = 0;
                self.answer.turn = Some(turn);
                self.answer.of = turn;
                self.answer.go_on(out);
            }
            InlineEvent::Writable => self.answer.go_on(out),
            InlineEvent::Cancelled {
                turn, withdrawn, ..
            } => {
                self.answer.cancel(turn);
                if withdrawn && turn == self.answer.of && !self.kept.on {
                    // He had not finished: what follows is said back behind it.
                    self.kept.sound = std::mem::take(&mut self.answer.sound);
                } else if withdrawn && turn > self.answer.of {
                    // It was a cough.
                    self.kept.finish(&mut self.answer.sound);
                }
            }
            // A key is no sound of the caller's, and words are not ours to say.
            _ => {}
        }
    }

    fn hear(&mut self, turn: u32, bytes: &[u8]) {
        self.lead.push(bytes);
        if !self.kept.on {
            return;
        }
        if !self.kept.push(bytes) && !self.kept.cut {
            self.kept.cut = true;
            let turn = [("turn", turn.into())];
            self.host.log(
                Level::Warn,
                "a turn is longer than 30 s; only its first 30 s are said back",
                &turn,
            );
        }
    }
}

/// The last [`LEAD_BYTES`] heard.
struct Lead {
    ring: [u8; LEAD_BYTES],
    next: usize,
    len: usize,
}

impl Lead {
    fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(LEAD_BYTES)..];
        let (to_edge, from_start) = bytes.split_at(bytes.len().min(LEAD_BYTES - self.next));
        self.ring[self.next..self.next + to_edge.len()].copy_from_slice(to_edge);
        self.ring[..from_start.len()].copy_from_slice(from_start);
        self.next = (self.next + bytes.len()) % LEAD_BYTES;
        self.len = (self.len + bytes.len()).min(LEAD_BYTES);
    }

    /// What was heard, the older half first.
    fn halves(&self) -> (&[u8], &[u8]) {
        match self.next.checked_sub(self.len) {
            Some(start) => (&self.ring[start..self.next], &[]),
            None => (
                &self.ring[LEAD_BYTES + self.next - self.len..],
                &self.ring[..self.next],
            ),
        }
    }

    /// Forgets all but the newest `bytes`.
    fn keep_newest(&mut self, bytes: usize) {
        self.len = self.len.min(bytes);
    }
}

/// The caller's turn so far.
struct Kept {
    sound: Vec<u8>,
    /// A turn has begun and is not over.
    on: bool,
    /// How much there was when he paused last; `None` while he speaks.
    paused_at: Option<usize>,
    /// How much has been heard since, kept or not.
    since_pause: usize,
    /// It has been said that this turn is too long.
    cut: bool,
}

impl Kept {
    /// He speaks: for the first time in this turn, or again after a pause.
    fn begin(&mut self, lead: &Lead) {
        self.paused_at = None;
        if !self.on {
            self.on = true;
            let (older, newer) = lead.halves();
            self.push(older);
            self.push(newer);
        }
    }

    /// Keeps sound; false when there was no room for all of it.
    fn push(&mut self, bytes: &[u8]) -> bool {
        self.since_pause += bytes.len();
        let room = TURN_BYTES - self.sound.len();
        let keep = &bytes[..bytes.len().min(room)];
        if self.sound.capacity() - self.sound.len() < keep.len() {
            self.sound.reserve_exact(STEP_BYTES.max(keep.len()));
        }
        self.sound.extend_from_slice(keep);
        keep.len() == bytes.len()
    }

    fn pause(&mut self) {
        if self.paused_at.is_none() {
            self.paused_at = Some(self.sound.len());
            self.since_pause = 0;
        }
    }

    /// The turn is over: it changes places with what `answer` held, without the silence at its end. Answers how much
    /// of what was heard last is not in it, and may be the beginning of the next turn.
    fn finish(&mut self, answer: &mut Vec<u8>) -> usize {
        self.pause();
        let paused_at = self.paused_at.take().unwrap_or_default();
        self.sound.truncate(paused_at + TAIL_BYTES);
        std::mem::swap(&mut self.sound, answer);
        // A long turn must not keep its memory for the rest of the call.
        self.sound.clear();
        self.sound.shrink_to(STEP_BYTES);
        (self.on, self.cut) = (false, false);
        self.since_pause.saturating_sub(TAIL_BYTES)
    }
}

/// What is being said back.
struct Answer {
    sound: Vec<u8>,
    /// How much of it the host has taken: where to go on when its ring was full.
    said: usize,
    /// The turn that is being answered; `None` once that is done.
    turn: Option<u32>,
    /// The turn it is the sound of.
    of: u32,
}

impl Answer {
    fn go_on(&mut self, out: &mut Out<'_>) {
        let Some(turn) = self.turn else { return };
        while self.said < self.sound.len() {
            let to = self.sound.len().min(self.said + PIECE_BYTES);
            match out.audio(turn, &self.sound[self.said..to]) {
                Sent::Yes => self.said = to,
                Sent::Full => return,
                Sent::Cancelled | Sent::Refused => return self.turn = None,
            }
        }
        if out.done(turn) != Sent::Full {
            self.turn = None;
        }
    }

    fn cancel(&mut self, turn: u32) {
        if self.turn.is_some_and(|answered| answered <= turn) {
            self.turn = None;
        }
    }
}
