//! What the ear makes of a caller: the detector's verdicts against what was said, and the turns that the core's rules
//! make of them.
//!
//! ```text
//! clean speech ─→ 10 ms with or without voice, turns                               what is true
//!      + noise ─→ 8 kHz µ-law ─→ Detector ─→ verdicts ─→ Call ─→ starts and ends   what was heard
//! ```
//!
//! A verdict is about the network's window, which ended up to a frame ago: truth is compared a frame late, or the same
//! delay would count twice. How late starts and ends are has columns of its own.

use super::noise::Random;
use super::support::recordings::Clip;
use super::support::voice::{STEP_MS, STEP_SAMPLES, rms, runs, voiced};
use voice_streamer::call::{Call, CallTime, Input, Note, Output, Settings};
use voice_streamer::media::{Detector, FRAME_MS, FRAME_SAMPLES, Kind, RATE, mulaw};

/// Steps by which verdicts are behind what they are about.
const BEHIND: usize = FRAME_MS as usize / STEP_MS;

/// What is said without a longer gap is one turn, here and for the core.
const END_OF_TURN_MS: usize = 500;

/// All speak as loud as an ordinary call, in dB below full scale.
const SPEECH_DB: f32 = -26.0;

/// Silence before each clip, from and to.
const GAP_MS: (usize, usize) = (1000, 2500);

/// A start so long before its turn was heard in something else.
const EARLY_MS: i64 = 200;

/// One long call in which every clip is said once, and what is true of it.
pub(crate) struct Speech {
    samples: Vec<f32>,
    /// One per step.
    voice: Vec<bool>,
    /// From and to, in ms.
    turns: Vec<(i64, i64)>,
}

impl Speech {
    pub(crate) fn of(clips: &[Clip], seed: u64) -> Speech {
        let mut random = Random::seeded(seed);
        let mut samples = Vec::new();
        let mut voice = Vec::new();
        for clip in clips {
            let gap = GAP_MS.0 + random.below(GAP_MS.1 - GAP_MS.0);
            let steps = gap / STEP_MS;
            voice.resize(voice.len() + steps, false);
            samples.resize(samples.len() + steps * STEP_SAMPLES, 0.0);
            let (steps, _) = clip.as_chunks::<STEP_SAMPLES>();
            let heard = voiced(steps);
            let gain = 32768.0 * 10_f32.powf(SPEECH_DB / 20.0) / rms(steps, &heard);
            samples.extend(steps.as_flattened().iter().map(|&x| f32::from(x) * gain));
            voice.extend(heard);
        }
        let turns = runs(&voice, END_OF_TURN_MS / STEP_MS);
        let ms = |step: usize| (step * STEP_MS) as i64;
        Speech {
            turns: turns.into_iter().map(|(a, b)| (ms(a), ms(b))).collect(),
            samples,
            voice,
        }
    }

    /// Nobody speaks for so long.
    pub(crate) fn none(len: usize) -> Speech {
        Speech {
            samples: vec![0.0; len],
            voice: vec![false; len / STEP_SAMPLES],
            turns: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.samples.len()
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(RATE)
    }

    pub(crate) fn turns(&self) -> usize {
        self.turns.len()
    }

    /// As the line carries it, with noise so many dB below the voice.
    pub(crate) fn over(&self, noise: &[f32], snr_db: f32) -> Vec<i16> {
        let power = noise.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / noise.len() as f64;
        let level = 32768.0 * 10_f32.powf((SPEECH_DB - snr_db) / 20.0);
        let gain = level / (power.sqrt() as f32).max(1e-9);
        let mixed = self.samples.iter().zip(noise);
        mixed
            .map(|(speech, noise)| line(speech + noise * gain))
            .collect()
    }

    pub(crate) fn clean(&self) -> Vec<i16> {
        self.samples.iter().map(|&x| line(x)).collect()
    }
}

/// There and back; what is too loud is clipped.
fn line(sample: f32) -> i16 {
    mulaw::decode_sample(mulaw::encode_sample(sample as i16))
}

/// Figures of one condition.
#[derive(Default)]
pub(crate) struct Heard {
    voiced_rightly: usize,
    voiced_wrongly: usize,
    voice_missed: usize,
    silence: usize,
    /// From the first voice of a turn to the moment the core says so, in ms.
    pub(crate) onset: Vec<i64>,
    /// From the last voice of a turn to the last frame that was voiced.
    pub(crate) end: Vec<i64>,
    /// Turns not heard at all.
    pub(crate) missed: usize,
    /// Turns that have no beginning or no end of their own, because something else was taken for speech before or
    /// behind them.
    pub(crate) run_together: usize,
    /// Starts where nobody speaks.
    pub(crate) false_starts: usize,
}

impl Heard {
    pub(crate) fn precision(&self) -> f64 {
        self.voiced_rightly as f64 / (self.voiced_rightly + self.voiced_wrongly) as f64
    }

    pub(crate) fn recall(&self) -> f64 {
        self.voiced_rightly as f64 / (self.voiced_rightly + self.voice_missed) as f64
    }

    pub(crate) fn f1(&self) -> f64 {
        let (precision, recall) = (self.precision(), self.recall());
        2.0 * precision * recall / (precision + recall)
    }

    /// Share of the frames without voice that were called voiced.
    pub(crate) fn false_alarms(&self) -> f64 {
        self.voiced_wrongly as f64 / self.silence as f64
    }
}

/// Plays the call to a detector and a core that were not there before.
pub(crate) fn hear(kind: Kind, samples: &[i16], speech: &Speech) -> Heard {
    let mut detector = Detector::new(kind);
    let mut listener = Listener::new();
    let mut heard = Heard::default();
    const STEPS: usize = FRAME_MS as usize / STEP_MS;
    let frames = samples.as_chunks::<FRAME_SAMPLES>().0.iter();
    let mut truth = vec![false; BEHIND];
    truth.extend(&speech.voice);
    for (frame, truth) in frames.zip(truth.chunks(STEPS)) {
        let voiced = detector.frame(frame);
        listener.frame(voiced);
        for &voice in truth {
            match (voice, voiced) {
                (true, true) => heard.voiced_rightly += 1,
                (false, true) => heard.voiced_wrongly += 1,
                (true, false) => heard.voice_missed += 1,
                (false, false) => {}
            }
            heard.silence += usize::from(!voice);
        }
    }
    heard.match_turns(&speech.turns, &listener.finish());
    heard
}

impl Heard {
    fn match_turns(&mut self, turns: &[(i64, i64)], periods: &[Period]) {
        // The start is said when it is sure, so a period may begin a little behind its turn.
        let meets = |period: &Period, (from, to): (i64, i64)| {
            period.last_voice >= from && period.started <= to + END_OF_TURN_MS as i64
        };
        for &turn in turns {
            let mut own = periods.iter().filter(|period| meets(period, turn));
            let (Some(first), last) = (own.clone().next(), own.next_back()) else {
                self.missed += 1;
                continue;
            };
            let last = last.unwrap_or(first);
            let (from, to) = turn;
            let next = turns.iter().map(|turn| turn.0).find(|next| *next > to);
            if first.started < from - EARLY_MS || next.is_some_and(|next| last.last_voice > next) {
                self.run_together += 1;
                continue;
            }
            self.onset.push(first.started - from);
            self.end.push(last.last_voice - to);
        }
        let nobody = |period: &&Period| !turns.iter().any(|&turn| meets(period, turn));
        self.false_starts = periods.iter().filter(nobody).count();
        self.onset.sort_unstable();
        self.end.sort_unstable();
    }
}

/// What the core took for one turn, in ms.
struct Period {
    /// When it said so.
    started: i64,
    last_voice: i64,
}

/// A core that hears and is never answered.
struct Listener {
    call: Call,
    now_ms: u64,
    started: Option<i64>,
    periods: Vec<Period>,
}

impl Listener {
    fn new() -> Listener {
        let settings = Settings {
            end_of_turn_ms: END_OF_TURN_MS as u64,
            no_input_ms: 0,
            reply_deadline_ms: 0,
            max_call_secs: 0,
            ..Settings::default()
        };
        let mut call = Call::new(settings);
        call.start(CallTime(0));
        Listener {
            call,
            now_ms: 0,
            started: None,
            periods: Vec::new(),
        }
    }

    fn frame(&mut self, voiced: bool) {
        self.now_ms += FRAME_MS;
        let now = CallTime::from_ms(self.now_ms);
        self.call.handle_input(now, Input::Heard { voiced });
        self.call.handle_timeout(now);
        while let Some(output) = self.call.poll_output() {
            match output {
                Output::Note(Note::CallerStarted { .. }) => {
                    self.started = Some(self.now_ms as i64);
                }
                Output::Note(Note::TurnEnded { waited_ms, .. }) => {
                    self.periods
                        .extend(self.started.take().map(|started| Period {
                            started,
                            last_voice: self.now_ms.saturating_sub(waited_ms) as i64,
                        }));
                }
                _ => {}
            }
        }
    }

    /// Silence until every turn has ended.
    fn finish(mut self) -> Vec<Period> {
        for _ in 0..2 * END_OF_TURN_MS as u64 / FRAME_MS {
            self.frame(false);
        }
        self.periods
    }
}
