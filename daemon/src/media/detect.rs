//! Is the caller speaking? One verdict per frame, from whichever kind of ear the agent is configured with. What a
//! verdict means for the turn is decided in `call`; here nobody waits, counts pauses or interrupts.
//!
//! ```text
//! frames  160 │ 160 │ 160 │ 160 │ 160 │ 160 │ 160 │ 160     the gate looks at each
//! windows   256    │   256    │   256    │   256    │ 256   the network looks at these, if the gate opened
//! ```
//!
//! A frame's verdict is that of the last window that ended in it or before it.

use crate::media::FRAME_SAMPLES;
use crate::media::level::Gate;
use crate::media::silero::{Silero, WINDOW_SAMPLES};

/// Probability from which a window counts as speech. Silero's own default, and the value all our figures were taken at.
pub const ENTER: f32 = 0.5;

/// Probability down to which speech is taken to go on. Silero's own choice: 0.15 below the other.
pub const STAY: f32 = 0.35;

/// Windows kept while the gate is closed and shown to the network when it opens: 192 ms, so that it hears a soft
/// beginning that did not move the level. Of the speech in prompts at −50 dBFS, 3 windows lose 0.7 %, these 0.2 %, 8
/// windows 0.1 %.
const KEPT_WINDOWS: usize = 6;

/// Windows the network always hears first: 320 ms. From a cold start it is 60 ms slower to recognise a voice.
const SETTLING_WINDOWS: u8 = 10;

/// Which ear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The network behind a gate: right in noise and music.
    #[default]
    Neural,
    /// Loudness alone: next to free, good on quiet lines only.
    Energy,
    /// No ear: never voiced. For agents that only take digits, or whose transcriber finds the turns itself.
    Off,
}

/// One caller's ear. About 4 kB, allocated when made and never again.
pub struct Detector(Ear);

enum Ear {
    Neural(Box<Neural>),
    Energy(Box<Energy>),
    Off,
}

impl Detector {
    /// An ear of this kind that has heard nothing yet.
    pub fn new(kind: Kind) -> Detector {
        Detector(match kind {
            Kind::Neural => Ear::Neural(Box::new(Neural::new())),
            Kind::Energy => Ear::Energy(Box::new(Energy::new())),
            Kind::Off => Ear::Off,
        })
    }

    /// Whether these samples are voiced. Made for frames of 20 ms, but any length will do: how a recording is cut does
    /// not change what is heard in it. More than a frame is voiced if any part of it is.
    pub fn frame(&mut self, pcm: &[i16]) -> bool {
        let mut any = false;
        for piece in pcm.chunks(FRAME_SAMPLES) {
            any |= match &mut self.0 {
                Ear::Neural(ear) => ear.hear(piece),
                Ear::Energy(ear) => ear.hear(piece),
                Ear::Off => false,
            };
        }
        any
    }

    /// What the network said of the last window, 0 to 1; 0 while it did not look, and for the other kinds.
    pub fn probability(&self) -> f32 {
        match &self.0 {
            Ear::Neural(ear) => ear.probability,
            Ear::Energy(_) | Ear::Off => 0.0,
        }
    }

    /// Forgets everything heard, as if new.
    pub fn reset(&mut self) {
        match &mut self.0 {
            Ear::Neural(ear) => **ear = Neural::new(),
            Ear::Energy(ear) => **ear = Energy::new(),
            Ear::Off => {}
        }
    }
}

/// Samples on their way to a whole of `N`.
struct Filling<const N: usize> {
    samples: [i16; N],
    len: usize,
}

impl<const N: usize> Filling<N> {
    const EMPTY: Filling<N> = Filling {
        samples: [0; N],
        len: 0,
    };

    fn missing(&self) -> usize {
        N - self.len
    }

    /// Takes at most what is missing; true when whole, and then the next one begins.
    fn take(&mut self, samples: &[i16]) -> bool {
        self.samples[self.len..][..samples.len()].copy_from_slice(samples);
        self.len = (self.len + samples.len()) % N;
        self.len == 0
    }
}

struct Energy {
    gate: Gate,
    frame: Filling<FRAME_SAMPLES>,
    voiced: bool,
}

impl Energy {
    fn new() -> Energy {
        Energy {
            gate: Gate::strict(),
            frame: Filling::EMPTY,
            voiced: false,
        }
    }

    fn hear(&mut self, mut pcm: &[i16]) -> bool {
        while !pcm.is_empty() {
            let (now, later) = pcm.split_at(pcm.len().min(self.frame.missing()));
            if self.frame.take(now) {
                self.voiced = self.gate.open(&self.frame.samples);
            }
            pcm = later;
        }
        self.voiced
    }
}

struct Neural {
    gate: Gate,
    network: Silero,
    frame: Filling<FRAME_SAMPLES>,
    window: Filling<WINDOW_SAMPLES>,
    /// The gate's last word.
    open: bool,
    /// The gate was open at some point of the window being filled.
    look: bool,
    /// Windows still to be heard whatever the gate says.
    settling: u8,
    kept: Kept,
    probability: f32,
    voiced: bool,
}

impl Neural {
    fn new() -> Neural {
        Neural {
            gate: Gate::new(),
            network: Silero::new(),
            frame: Filling::EMPTY,
            window: Filling::EMPTY,
            open: false,
            look: false,
            settling: SETTLING_WINDOWS,
            kept: Kept::new(),
            probability: 0.0,
            voiced: false,
        }
    }

    fn hear(&mut self, mut pcm: &[i16]) -> bool {
        while !pcm.is_empty() {
            let most = self.frame.missing().min(self.window.missing());
            let (now, later) = pcm.split_at(pcm.len().min(most));
            if self.frame.take(now) {
                if self.voiced {
                    self.gate.hold_floor();
                }
                self.open = self.gate.open(&self.frame.samples);
                self.look |= self.open;
            }
            if self.window.take(now) {
                self.judge();
            }
            pcm = later;
        }
        self.voiced
    }

    /// The network hears every window while the gate is open, and for as long as it goes on hearing speech.
    fn judge(&mut self) {
        if self.look || self.voiced || self.settling > 0 {
            self.settling = self.settling.saturating_sub(1);
            self.kept.replay(&mut self.network);
            self.probability = self.network.window(&self.window.samples);
        } else {
            self.kept.push(&self.window.samples);
            self.probability = 0.0;
        }
        self.voiced = self.probability >= if self.voiced { STAY } else { ENTER };
        self.look = self.open;
    }
}

/// The last windows the network did not look at.
struct Kept {
    windows: [[i16; WINDOW_SAMPLES]; KEPT_WINDOWS],
    /// How many were pushed since the last replay.
    pushed: usize,
}

impl Kept {
    fn new() -> Kept {
        Kept {
            windows: [[0; WINDOW_SAMPLES]; KEPT_WINDOWS],
            pushed: 0,
        }
    }

    fn push(&mut self, window: &[i16; WINDOW_SAMPLES]) {
        self.windows[self.pushed % KEPT_WINDOWS] = *window;
        self.pushed += 1;
    }

    /// Shows them to the network, oldest first.
    ///
    /// If older ones are gone it goes on with what it remembered, only the samples before the first window are mended:
    /// the gate closed on a silence like this one, and starting afresh made it miss the first syllable more often.
    fn replay(&mut self, network: &mut Silero) {
        let mut from = self.pushed.saturating_sub(KEPT_WINDOWS);
        if from > 0 {
            network.resume_after(&self.windows[from % KEPT_WINDOWS]);
            from += 1;
        }
        for i in from..self.pushed {
            network.window(&self.windows[i % KEPT_WINDOWS]);
        }
        self.pushed = 0;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::media::{RATE, mulaw, tone};
    use proptest::prelude::*;

    /// A synthetic voice, loud and quiet, between noise, a tone and silence.
    fn recording() -> Vec<i16> {
        let bytes: &[u8] = include_bytes!("../../tests/data/silero/input.ulaw");
        bytes
            .iter()
            .map(|&byte| mulaw::decode_sample(byte))
            .collect()
    }

    /// For each window of [`recording`] whether it is voiced, by the published network's answers.
    fn published_verdicts() -> Vec<bool> {
        let answers = include_str!("../../tests/data/silero/probabilities.tsv");
        let mut voiced = false;
        answers
            .lines()
            .map(|line| line.parse::<f32>().unwrap())
            .map(|answer| {
                voiced = answer >= if voiced { STAY } else { ENTER };
                voiced
            })
            .collect()
    }

    fn verdicts(detector: &mut Detector, samples: &[i16]) -> Vec<bool> {
        samples
            .chunks(FRAME_SAMPLES)
            .map(|frame| detector.frame(frame))
            .collect()
    }

    fn silence(ms: usize) -> Vec<i16> {
        vec![0; RATE as usize * ms / 1000]
    }

    #[test]
    fn verdicts_are_those_of_the_network_that_hears_everything() {
        let mut detector = Detector::new(Kind::Neural);
        let heard = verdicts(&mut detector, &recording());
        let published = published_verdicts();
        let turns = published
            .windows(2)
            .filter(|pair| pair[0] != pair[1])
            .count();
        assert!(turns > 10, "a recording that tests something");
        let mut wrong = 0;
        for (i, voiced) in heard.into_iter().enumerate() {
            let windows_ended = (i + 1) * FRAME_SAMPLES / WINDOW_SAMPLES;
            let expected = windows_ended > 0 && published[windows_ended - 1];
            wrong += u32::from(voiced != expected);
        }
        assert_eq!(wrong, 0, "frames differ");
    }

    #[test]
    fn voice_after_a_long_silence_is_heard_as_soon_as_without_the_gate() {
        let recording = recording();
        let mut samples = silence(20_000);
        samples.extend(&recording[..16_000]);
        let published = published_verdicts();
        let first = published.iter().position(|&voiced| voiced).unwrap();
        let expected = 1000 + (first + 1) * WINDOW_SAMPLES / FRAME_SAMPLES;
        let heard = verdicts(&mut Detector::new(Kind::Neural), &samples);
        let onset = heard.iter().position(|&voiced| voiced).unwrap();
        assert!(
            onset.abs_diff(expected) <= 3,
            "frame {onset}, without the gate {expected}"
        );
    }

    #[test]
    fn network_rests_in_silence() {
        let mut detector = Detector::new(Kind::Neural);
        let settling = usize::from(SETTLING_WINDOWS) * WINDOW_SAMPLES / FRAME_SAMPLES;
        let mut ran = 0;
        for frame in silence(10_000).chunks(FRAME_SAMPLES) {
            assert!(!detector.frame(frame));
            ran += usize::from(detector.probability() > 0.0);
        }
        assert!(
            (settling - 2..=settling).contains(&ran),
            "looked during {ran} frames"
        );
    }

    #[test]
    fn tone_and_noise_are_loud_but_no_voice() {
        let mut seed = 23u64;
        let noise: Vec<i16> = (0..40_000)
            .map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                (seed >> 52) as i16 - 2048
            })
            .collect();
        for (name, samples) in [("440 Hz", tone::sine(440.0, 5000, -20.0)), ("noise", noise)] {
            let voiced = verdicts(&mut Detector::new(Kind::Neural), &samples);
            let voiced = voiced.into_iter().filter(|&v| v).count();
            assert!(voiced <= 3, "{name}: {voiced} frames voiced");
            let energetic = verdicts(&mut Detector::new(Kind::Energy), &samples);
            assert!(energetic[0], "{name} is loud");
        }
    }

    #[test]
    fn ear_that_is_off_hears_nothing() {
        let mut detector = Detector::new(Kind::Off);
        assert!(!verdicts(&mut detector, &recording()).contains(&true));
    }

    #[test]
    fn energy_follows_the_loudness() {
        // One column per 100 ms.
        let sound = "....####......####.#...";
        let mut samples = Vec::new();
        for column in sound.chars() {
            samples.extend(if column == '#' {
                tone::sine(300.0, 100, -20.0)
            } else {
                silence(100)
            });
        }
        let heard = verdicts(&mut Detector::new(Kind::Energy), &samples);
        let drawn: String = heard
            .chunks(5)
            .map(|frames| if frames[4] { '#' } else { '.' })
            .collect();
        assert_eq!(drawn, "....#####.....#######..");
    }

    #[test]
    fn reset_detector_is_as_good_as_new() {
        let recording = &recording()[..24_000];
        for kind in [Kind::Neural, Kind::Energy, Kind::Off] {
            let mut detector = Detector::new(kind);
            let first = verdicts(&mut detector, recording);
            detector.frame(&recording[..77]);
            detector.reset();
            assert_eq!(verdicts(&mut detector, recording), first, "{kind:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn how_a_recording_is_cut_does_not_change_what_is_heard(
            start in 0usize..80_000,
            cuts in proptest::collection::vec(0usize..500, 1..60),
        ) {
            let recording = recording();
            for kind in [Kind::Neural, Kind::Energy] {
                let (mut cut, mut fine) = (Detector::new(kind), Detector::new(kind));
                let mut rest = &recording[start..];
                for &len in &cuts {
                    let (now, later) = rest.split_at(len);
                    let voiced = cut.frame(now);
                    let mut any = false;
                    let mut last = false;
                    for piece in now.chunks(32) {
                        last = fine.frame(piece);
                        any |= last;
                    }
                    prop_assert!(voiced == last || (voiced && any && len > 32));
                    prop_assert_eq!(cut.probability(), fine.probability());
                    rest = later;
                }
            }
        }
    }
}
