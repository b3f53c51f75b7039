//! The carrier's playout buffer: what was sent is played in real time, whatever the pace it came at.
//!
//! Pure: samples and mark names in, samples and mark names out; time is the number of samples played. Behaves as
//! Twilio documents it: a mark comes back when everything before it has been played, at once if nothing waits;
//! `clear` drops the buffer and gives back every open mark.

use crate::media::frame::MULAW_SILENCE;
use std::collections::VecDeque;

/// Twilio keeps ten minutes and throws away what comes beyond.
const BUFFER_SAMPLES: usize = 600 * 8000;

/// The buffer between the agent and the caller's ear.
#[derive(Debug, Default)]
pub struct Earpiece {
    waiting: VecDeque<u8>,
    /// Open marks: how many samples must have been taken off the buffer before each.
    marks: VecDeque<(u64, String)>,
    received: u64,
    gone: u64,
    discarded: u64,
}

impl Earpiece {
    /// Sound from the agent, µ-law.
    pub fn receive(&mut self, samples: &[u8]) {
        let room = BUFFER_SAMPLES - self.waiting.len();
        let kept = samples.len().min(room);
        self.waiting.extend(&samples[..kept]);
        self.received += kept as u64;
        self.discarded += (samples.len() - kept) as u64;
    }

    /// A mark behind what was received; its name if it is due at once.
    pub fn mark(&mut self, name: String) -> Option<String> {
        if self.waiting.is_empty() {
            return Some(name);
        }
        self.marks.push_back((self.received, name));
        None
    }

    /// Throws the buffer away; how many samples were in it, and all open marks.
    pub fn clear(&mut self) -> (usize, Vec<String>) {
        let unplayed = self.waiting.len();
        self.gone += unplayed as u64;
        self.waiting.clear();
        (
            unplayed,
            self.marks.drain(..).map(|(_, name)| name).collect(),
        )
    }

    /// Plays into `ear`, silence where nothing waits; how many samples were the agent's, and the marks now due.
    pub fn play(&mut self, ear: &mut [u8]) -> (usize, Vec<String>) {
        let sound = ear.len().min(self.waiting.len());
        for (to, from) in ear.iter_mut().zip(self.waiting.drain(..sound)) {
            *to = from;
        }
        ear[sound..].fill(MULAW_SILENCE);
        self.gone += sound as u64;
        let due = self
            .marks
            .iter()
            .take_while(|(at, _)| *at <= self.gone)
            .count();
        (
            sound,
            self.marks.drain(..due).map(|(_, name)| name).collect(),
        )
    }

    /// Whether a mark has not come back yet: the sound before it is still to be played.
    pub fn owes_marks(&self) -> bool {
        !self.marks.is_empty()
    }

    /// Samples received and not yet played.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Samples thrown away because the buffer was full (Twilio's warning 31931).
    pub fn discarded(&self) -> u64 {
        self.discarded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(marks: &[&str]) -> Vec<String> {
        marks.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_mark_comes_back_when_what_was_before_it_has_been_played() {
        let mut ear = Earpiece::default();
        let mut frame = [0; 160];
        assert_eq!(ear.mark("empty".into()), Some("empty".into()));
        ear.receive(&[1; 200]);
        assert_eq!(ear.mark("one".into()), None);
        ear.receive(&[2; 100]);
        assert_eq!(ear.mark("two".into()), None);
        assert_eq!(ear.play(&mut frame), (160, vec![]));
        assert_eq!(ear.play(&mut frame), (140, names(&["one", "two"])));
        assert_eq!(frame[..40], [1; 40]);
        assert_eq!(frame[40..140], [2; 100]);
        assert_eq!(frame[140..], [MULAW_SILENCE; 20]);
    }

    #[test]
    fn clear_drops_the_buffer_and_gives_every_mark_back() {
        let mut ear = Earpiece::default();
        ear.receive(&[1; 500]);
        ear.mark("one".into());
        ear.receive(&[1; 500]);
        ear.mark("two".into());
        assert_eq!(ear.clear(), (1000, names(&["one", "two"])));
        ear.receive(&[3; 10]);
        ear.mark("three".into());
        let mut frame = [0; 160];
        assert_eq!(ear.play(&mut frame), (10, names(&["three"])));
    }

    #[test]
    fn beyond_ten_minutes_sound_is_thrown_away() {
        let mut ear = Earpiece::default();
        ear.receive(&vec![0; BUFFER_SAMPLES - 1]);
        ear.receive(&[0; 3]);
        assert_eq!((ear.waiting(), ear.discarded()), (BUFFER_SAMPLES, 2));
    }
}
