//! What human beings say, and what came of it: which of the frames that a phone sent is the first loud one, the first
//! voiced one, the one by which the core has heard enough, and how soon the daemon acted on it.

use super::support::figures::{histogram, micros};
use super::support::recordings::Recordings;
use super::support::voice::{STEP_SAMPLES, voiced};
use hdrhistogram::Histogram;
use std::sync::Arc;
use std::time::{Duration, Instant};
use voice_streamer::call::{Call, CallTime, Input, Note, Output, Settings, Speech};
use voice_streamer::media::{Detector, FRAME_MS, FRAME_SAMPLES, Kind, MULAW_SILENCE, mulaw, wav};
use voice_streamer::phone::Report;

/// Longer clips would make few interruptions of a long run.
const LONGEST_MS: u64 = 3500;

/// The core's pause: whoever has been silent for so long begins anew, as `barge_in_ms` counts voice without one.
const PAUSE_MS: u64 = 100;

/// Silence before and behind a clip that is tried by itself.
const AROUND_MS: u64 = 2000;

/// One thing to say. Its first frame is loud.
pub(crate) struct Clip {
    pub(crate) sound: Arc<[u8]>,
}

/// Human beings, one turn each, long enough to take the floor for good; and who they are.
pub(crate) fn clips(settings: &Settings) -> (Vec<Arc<Clip>>, &'static str) {
    let recordings = Recordings::installed();
    let from = |spoken: &[Vec<i16>]| {
        let clips = spoken
            .iter()
            .filter_map(|samples| Clip::of(samples, settings));
        clips.map(Arc::new).collect::<Vec<_>>()
    };
    let human = from(&recordings.spoken);
    if !human.is_empty() {
        return (human, "Debian's human recordings");
    }
    let clip = include_bytes!("../../tests/data/speech/good_morning.wav");
    let sound = wav::read(clip).unwrap_or_else(|error| unreachable!("our own clip: {error}"));
    let line = wav::to_line(&sound);
    let samples = line.into_iter().map(mulaw::decode_sample).collect();
    (
        from(&[samples]),
        "the clip of the tests, which is no human being",
    )
}

impl Clip {
    /// From its first loud step to its last one; none if it is too long, or no turn of its own.
    fn of(samples: &[i16], settings: &Settings) -> Option<Clip> {
        let (steps, _) = samples.as_chunks::<STEP_SAMPLES>();
        let loud = voiced(steps);
        let from = loud.iter().position(|loud| *loud)?;
        let to = loud.iter().rposition(|loud| *loud)?;
        let samples = steps[from..=to].as_flattened();
        let most = LONGEST_MS as usize / FRAME_MS as usize * FRAME_SAMPLES;
        let sound: Vec<u8> = samples.iter().map(|x| mulaw::encode_sample(*x)).collect();
        let around = vec![MULAW_SILENCE; (AROUND_MS / FRAME_MS) as usize * FRAME_SAMPLES];
        let alone = [&around[..], &sound, &around].concat();
        // Its longest pause is well below the one that ends a turn: a frame that is late by chance must not do so.
        let hasty = Settings {
            end_of_turn_ms: settings.end_of_turn_ms - PAUSE_MS,
            ..settings.clone()
        };
        let tried = Reference::of(&verdicts(&alone), &hasty, |frame| {
            CallTime::from_ms(FRAME_MS * (1 + frame as u64))
        });
        let fits = samples.len() <= most && tried.holds.len() == 1 && tried.turns == 1;
        fits.then(|| Clip {
            sound: sound.into(),
        })
    }

    fn frames(&self) -> usize {
        self.sound.len().div_ceil(FRAME_SAMPLES)
    }
}

/// What the detector says of each frame of a call, from its first one on.
fn verdicts(said: &[u8]) -> Vec<bool> {
    let mut detector = Detector::new(Kind::Neural);
    let frames = said.as_chunks::<FRAME_SAMPLES>().0.iter();
    frames
        .map(|frame| {
            let mut pcm = [0; FRAME_SAMPLES];
            mulaw::decode(frame, &mut pcm);
            detector.frame(&pcm)
        })
        .collect()
}

/// The core by itself, to which an agent speaks who never comes to an end: what it decides at these verdicts, if the frames
/// come when they come. The core measures pauses by the clock: a pause between two frames of which the first was late is
/// shorter than the frames in it, and may be none.
struct Reference {
    /// Frames at which the agent was stopped.
    holds: Vec<usize>,
    /// Turns the caller has had.
    turns: usize,
}

impl Reference {
    fn of(verdicts: &[bool], settings: &Settings, came: impl Fn(usize) -> CallTime) -> Reference {
        let mut call = Call::new(Settings {
            greeting: Some("…".into()),
            mark_grace_ms: u64::MAX / 2000,
            ..settings.clone()
        });
        let mut reference = Reference {
            holds: Vec::new(),
            turns: 0,
        };
        call.start(CallTime(0));
        for (frame, &voiced) in verdicts.iter().enumerate() {
            let now = came(frame);
            call.handle_timeout(now);
            reference.drain(&mut call, now, frame);
            call.handle_input(now, Input::Heard { voiced });
            reference.drain(&mut call, now, frame);
        }
        reference
    }

    fn drain(&mut self, call: &mut Call, now: CallTime, frame: usize) {
        while let Some(output) = call.poll_output() {
            match output {
                Output::Speak { utterance, .. } => {
                    let begun = Speech::Begun {
                        voice: 0,
                        fallbacks: 0,
                    };
                    let endless = Speech::Audio { samples: 1 << 32 };
                    for speech in [begun, endless] {
                        call.handle_input(now, Input::Speech { utterance, speech });
                    }
                }
                Output::Hold { samples } => {
                    self.holds.push(frame);
                    call.handle_input(now, Input::TakenBack { samples });
                }
                Output::Note(Note::TurnEnded { .. }) => self.turns += 1,
                _ => {}
            }
        }
    }
}

/// Of all interruptions of a run.
pub(crate) struct Figures {
    pub(crate) interruptions: usize,
    pub(crate) from_loud: Histogram<u64>,
    pub(crate) from_voiced: Histogram<u64>,
    pub(crate) from_deciding: Histogram<u64>,
    pub(crate) from_silence: Histogram<u64>,
    pub(crate) from_decided: Histogram<u64>,
    /// Interruptions that did not silence the agent, and those that did so before they should have.
    not_cleared: usize,
    too_soon: usize,
    /// Answers that came before they should have.
    answered_too_soon: usize,
}

impl Figures {
    pub(crate) fn new() -> Figures {
        Figures {
            interruptions: 0,
            from_loud: histogram(),
            from_voiced: histogram(),
            from_deciding: histogram(),
            from_silence: histogram(),
            from_decided: histogram(),
            not_cleared: 0,
            too_soon: 0,
            answered_too_soon: 0,
        }
    }

    pub(crate) fn answers(&self) -> u64 {
        self.from_silence.len()
    }

    /// One call: what its caller said in order, what he saw, and how long the daemon says that it waited at the end of
    /// each of his turns.
    pub(crate) fn count(
        &mut self,
        settings: &Settings,
        said: &[Arc<Clip>],
        report: &Report,
        waited_ms: &[u64],
    ) {
        let frames = report.said.as_chunks::<FRAME_SAMPLES>().0;
        let verdicts = verdicts(&report.said);
        let mut waited = waited_ms.iter();
        let mut at = 0;
        for clip in said {
            let silent = |frame: &[u8; FRAME_SAMPLES]| frame.iter().all(|x| *x == MULAW_SILENCE);
            let Some(ahead) = frames[at..].iter().position(|frame| !silent(frame)) else {
                return; // he came to say no more
            };
            let first = at + ahead;
            at = first + clip.frames();
            self.interruptions += 1;
            let until = frames[at..].iter().position(|frame| !silent(frame));
            let until = until.map_or(frames.len(), |ahead| at + ahead);
            // Some silence before it, as the core has heard it.
            let heard_from = first.saturating_sub(20);
            let heard = &verdicts[heard_from..until];
            let began = report.said_at[heard_from];
            let reference = Reference::of(heard, settings, |frame| {
                let since = report.said_at[heard_from + frame].duration_since(began);
                CallTime(CallTime::from_ms(FRAME_MS).0 + micros(since))
            });
            let Some(deciding) = reference.holds.first() else {
                self.not_cleared += 1;
                continue;
            };
            let voiced = run_began(&heard[..=*deciding]);
            let written = |frame: usize| report.said_at[frame];
            let mut clears = report.cleared_at.iter();
            let Some(cleared) = clears.find(|at| **at >= written(first)) else {
                self.not_cleared += 1;
                continue;
            };
            let Some(took) = after(*cleared, written(heard_from + deciding)) else {
                self.too_soon += 1;
                continue;
            };
            self.from_deciding.saturating_record(took);
            for (frame, histogram) in [
                (first, &mut self.from_loud),
                (heard_from + voiced, &mut self.from_voiced),
            ] {
                histogram.saturating_record(after(*cleared, written(frame)).unwrap_or(0));
            }
            let Some(answered) = report.media_at.iter().find(|at| *at > cleared) else {
                continue; // hung up before
            };
            let before = |frame: &usize| verdicts[*frame] && written(*frame) < *answered;
            let Some(last) = (first..until).rev().find(before) else {
                continue;
            };
            let end = written(last) + Duration::from_millis(settings.end_of_turn_ms);
            let decided = waited
                .next()
                .map(|ms| written(last) + Duration::from_millis(*ms));
            let took = after(*answered, end);
            let share = decided.and_then(|decided| after(*answered, decided));
            let (Some(took), Some(share)) = (took, share) else {
                self.answered_too_soon += 1;
                continue;
            };
            self.from_silence.saturating_record(took);
            self.from_decided.saturating_record(share);
        }
    }

    /// Was everything seen that was to be seen?
    pub(crate) fn is_whole(&self, interruptions: usize) -> bool {
        self.interruptions == interruptions
            && self.not_cleared + self.too_soon + self.answered_too_soon == 0
            && self.answers() > 0
    }

    pub(crate) fn print_what_is_wrong(&self) {
        for (count, what) in [
            (self.not_cleared, "interruptions did not silence the agent"),
            (
                self.too_soon,
                "silenced him before the core should have known",
            ),
            (
                self.answered_too_soon,
                "answers came before the turn can have been decided",
            ),
        ] {
            if count > 0 {
                println!("WRONG: {count} {what}");
            }
        }
    }
}

/// The first frame of the voice without a pause to which the last frame belongs.
fn run_began(heard: &[bool]) -> usize {
    let mut began = heard.len() - 1;
    for frame in (0..began).rev().filter(|frame| heard[*frame]) {
        if (began - frame) as u64 * FRAME_MS >= PAUSE_MS {
            break;
        }
        began = frame;
    }
    began
}

/// From one to the other, in µs; nothing if it is the wrong way round.
fn after(later: Instant, earlier: Instant) -> Option<u64> {
    later.checked_duration_since(earlier).map(micros)
}
