//! Takes away the silence before the first sound.
//!
//! Pico begins every text with 10 ms of zeros and then 20 to 130 ms of near silence, depending on the first sound. On
//! the phone that is waiting time, so it is cut, leaving a little before the sound because a soft consonant begins
//! below any threshold. Silence inside and after the speech is prosody and stays. Pure: samples in, samples out.

use crate::engine::SAMPLE_RATE;

/// Kept before the first sound that is loud enough: the beginning of an f or th lies there.
const KEEP_MS: u32 = 20;

/// Speech that has not begun by then is not waited for any longer.
const TRIM_MAX_MS: u32 = 300;

/// The level is looked at in steps of this length.
const WINDOW_MS: u32 = 5;

/// What counts as sound, at the loudness Pico has by itself: -50 dBFS. Measured over the six voices: the near silence
/// lies at -60 to -80, and the f of "four" passes -50 about 20 ms after it begins.
const THRESHOLD: f32 = 104.0;

const KEEP: usize = samples(KEEP_MS);
const TRIM_MAX: usize = samples(TRIM_MAX_MS);
const WINDOW: usize = samples(WINDOW_MS);

const fn samples(ms: u32) -> usize {
    (SAMPLE_RATE / 1000 * ms) as usize
}

/// The beginning of one utterance, until it has been found.
pub(crate) struct Onset {
    /// Samples that may still turn out to be silence; empty once speech has begun.
    held: Vec<i16>,
    /// How much of `held` has been looked at.
    seen: usize,
    threshold: f32,
    begun: bool,
}

impl Onset {
    /// For a voice at `volume` percent of its own loudness.
    pub(crate) fn at_volume(volume: u16) -> Onset {
        Onset {
            held: Vec::with_capacity(TRIM_MAX + WINDOW),
            seen: 0,
            threshold: THRESHOLD * f32::from(volume) / 100.0,
            begun: false,
        }
    }

    /// For speech that goes on: cuts nothing.
    pub(crate) fn begun() -> Onset {
        Onset {
            held: Vec::new(),
            seen: 0,
            threshold: 0.0,
            begun: true,
        }
    }

    /// Takes the next samples and appends to `out` what may be played.
    pub(crate) fn pass(&mut self, sound: &[i16], out: &mut Vec<i16>) {
        if self.begun {
            out.extend_from_slice(sound);
            return;
        }
        self.held.extend_from_slice(sound);
        while let Some(window) = self.held.get(self.seen..self.seen + WINDOW) {
            if loudness(window) > self.threshold || self.seen >= TRIM_MAX {
                self.begun = true;
                out.extend_from_slice(&self.held[self.seen.saturating_sub(KEEP)..]);
                self.held = Vec::new();
                return;
            }
            self.seen += WINDOW;
        }
    }

    /// The speech is over: what was held back without having become loud is played after all.
    pub(crate) fn end(self, out: &mut Vec<i16>) {
        out.extend_from_slice(&self.held);
    }
}

/// Root mean square.
fn loudness(window: &[i16]) -> f32 {
    let squares: f32 = window.iter().map(|s| f32::from(*s).powi(2)).sum();
    (squares / window.len() as f32).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays `silence_ms` of faint noise and 100 ms of a loud square wave, 2 ms at a time as Pico does.
    fn heard(mut onset: Onset, silence_ms: u32, loud: i16) -> Vec<i16> {
        let faint = (0..samples(silence_ms)).map(|i| if i % 2 == 0 { 5 } else { -5 });
        let tone = (0..samples(100)).map(|i| if i / 40 % 2 == 0 { loud } else { -loud });
        let sound: Vec<i16> = faint.chain(tone).collect();
        let mut out = Vec::new();
        for step in sound.chunks(32) {
            onset.pass(step, &mut out);
        }
        onset.end(&mut out);
        out
    }

    fn ms(sound: &[i16]) -> u32 {
        sound.len() as u32 * 1000 / SAMPLE_RATE
    }

    #[test]
    fn silence_before_the_first_sound_is_cut_to_twenty_milliseconds() {
        for (silence_ms, left_ms) in [
            (0, 0),
            (10, 10),
            (20, 20),
            (40, 20),
            (135, 20),
            (300, 20),
            (400, 120),
        ] {
            let out = heard(Onset::at_volume(100), silence_ms, 8_000);
            assert_eq!(ms(&out), left_ms + 100, "{silence_ms} ms of silence");
        }
    }

    #[test]
    fn a_quiet_voice_keeps_its_beginning() {
        // 1 percent of the volume: the same speech is below the threshold of a loud one.
        let out = heard(Onset::at_volume(1), 5, 80);
        assert_eq!(ms(&out), 105);
    }

    #[test]
    fn speech_that_never_gets_loud_is_played_all_the_same() {
        assert_eq!(ms(&heard(Onset::at_volume(100), 400, 50)), 220);
        assert_eq!(ms(&heard(Onset::at_volume(100), 50, 50)), 150);
    }

    #[test]
    fn speech_that_goes_on_is_left_alone() {
        assert_eq!(ms(&heard(Onset::begun(), 250, 8_000)), 350);
    }

    #[test]
    fn the_end_of_the_sound_is_never_held_back_once_it_began() {
        let mut onset = Onset::at_volume(100);
        let mut out = Vec::new();
        onset.pass(&[9_000; WINDOW], &mut out);
        onset.pass(&[1; 3], &mut out);
        assert_eq!(out.len(), WINDOW + 3);
    }
}
