//! Samples that stand ready to be played, and those played last, which may have to be played again.

use crate::media::edge::{fade_in, word_edge};

/// Samples that stand ready at most: 2 s. What a voice makes beyond it waits in its ring, and then in the voice.
pub(super) const READY_SAMPLES: usize = 16_000;

/// Samples kept after they were sent, so that they can be sent again: the longest lead, and a second in which the edge
/// of a word is looked for.
const KEPT_SAMPLES: usize = 24_000;

/// What is no longer kept is moved away when it has become so much: moving costs more than holding a second of sound.
const SPENT_SAMPLES: usize = 8000;

/// Samples in order of arrival, µ-law, with a bound; and those played last, as long as somebody speaks.
#[derive(Debug, Default)]
pub(super) struct Ready {
    pub(super) samples: Vec<u8>,
    pub(super) played: usize,
}

impl Ready {
    pub(super) fn room(&self) -> usize {
        READY_SAMPLES.saturating_sub(self.samples.len() - self.played)
    }

    pub(super) fn push(&mut self, samples: &[u8]) {
        if self.played > KEPT_SAMPLES + SPENT_SAMPLES {
            self.samples.drain(..self.played - KEPT_SAMPLES);
            self.played = KEPT_SAMPLES;
        }
        self.samples.extend_from_slice(samples);
    }

    pub(super) fn take_back(&mut self, samples: usize) -> usize {
        if samples == 0 {
            return 0; // all of it was heard
        }
        let cut = self.played.saturating_sub(samples);
        let from = word_edge(&self.samples[..cut]);
        fade_in(&mut self.samples[from..self.played]);
        std::mem::replace(&mut self.played, from) - from
    }

    pub(super) fn take(&mut self, samples: usize) -> &[u8] {
        let from = self.played;
        self.played = from.saturating_add(samples).min(self.samples.len());
        &self.samples[from..self.played]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::mulaw;

    #[test]
    fn what_stands_ready_is_bounded_and_comes_out_in_order() {
        let mut ready = Ready::default();
        ready.push(&[1, 2, 3]);
        assert_eq!(ready.take(2), [1, 2]);
        ready.push(&[4]);
        assert_eq!(ready.room(), READY_SAMPLES - 2);
        assert_eq!(ready.take(100), [3, 4]);
        assert!(ready.take(100).is_empty());
        ready.push(&vec![0; READY_SAMPLES]);
        assert_eq!(ready.room(), 0);
    }

    #[test]
    fn what_was_not_heard_stands_ready_again_from_the_edge_of_a_word() {
        let mut ready = Ready::default();
        let loud = |n: usize| vec![mulaw::encode_sample(8000); n];
        ready.push(&[loud(4000), vec![0xFF; 400], loud(4000)].concat());
        ready.take(8400);
        ready.push(&[7]);
        // 1600 were not heard; the gap ends 2400 before those, and half of the shortest one is repeated
        assert_eq!(ready.take_back(1600), 4000 + 160);
        assert_eq!(ready.take(160), [0xFF; 160], "and silence fades in as such");
        assert_eq!(ready.take(4000), loud(4000));
        assert_eq!(ready.take(9), [7]);
        assert_eq!(ready.take_back(0), 0);
    }

    #[test]
    fn what_is_kept_is_bounded_and_no_more_is_taken_back() {
        let mut ready = Ready::default();
        for _ in 0..1000 {
            ready.push(&[0x80; 800]);
            ready.take(800);
            assert!(ready.samples.len() <= KEPT_SAMPLES + SPENT_SAMPLES + 800);
        }
        let kept = ready.samples.len();
        assert!(kept >= KEPT_SAMPLES);
        assert_eq!(ready.take_back(usize::MAX), kept);
        assert_eq!(ready.take(usize::MAX).len(), kept);
    }
}
