//! Thousands of calls made up by seed, with everything that can go wrong in them, in virtual time.
//!
//! ```text
//! caller      talks, pauses, coughs, presses keys, hangs up; frames late and in bursts; a line silent in silence
//! voice       fast, slow, dripping, silent, failing, hanging, babbling; with fallbacks that are no better, or alone;
//!             the line of them changed in the middle of the call
//! listeners   transcribers and endpointers: prompt, slow, silent, failing, doubled, babbling, telling of stretches that
//!             are not; with a fallback or alone
//! responder   prompt, slow, silent, failing, babbling, hanging up, with its own sound, late for another turn; with
//!             fallbacks that are no better, or alone; asked before the turn has ended
//! carrier     far away; loses marks, returns them late or twice
//! leg         wakes late; tells of sound that was cancelled, or lets two makers mix
//! ```
//!
//! The [`World`] watches every step. A failure names seed and step and shows what the core said last; `VS_SEED=17`
//! plays that one call again, `VS_SEEDS=100000` sweeps more of them. The same seed is always the same call.

#![allow(clippy::unwrap_used)]

use super::world::{Does, Event, FIRM, Fate, Manner, World, Writes};
use crate::call::faults::Planted;
use crate::call::input::{Departure, Return, Why};
use crate::call::output::{Note, Output, Sounded};
use crate::call::settings::Settings;
use crate::call::time::{CallTime, samples};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// Calls made up by a plain test run: enough to meet every kind of accident many times, few enough for seconds.
const SEEDS: u64 = 2000;

/// Seeds within which a planted bug has to be found.
const SEEDS_TO_FIND_A_BUG: u64 = 500;

/// Steps after which a call of half a minute goes round in circles.
const MAX_STEPS: u32 = 100_000;

/// Lines of a failed call that are shown.
const SHOWN: usize = 60;

/// What the agent says when an answer takes long.
const MOMENT: &str = "one moment";

/// xorshift64*: small, good enough, and the same everywhere.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    /// A number from `least` to `most`, both included.
    pub(super) fn from(&mut self, least: u64, most: u64) -> u64 {
        least + self.roll() % (most - least + 1)
    }

    /// True once in `n`.
    fn once_in(&mut self, n: u64) -> bool {
        self.roll().is_multiple_of(n)
    }

    fn sentence(&mut self, longest: u64) -> String {
        let letters = 1..=self.from(1, longest);
        let letter = |n: u64| if n.is_multiple_of(4) { ' ' } else { 'x' };
        letters.map(letter).collect()
    }
}

fn settings(dice: &mut Dice) -> Settings {
    let sentence = |dice: &mut Dice| (!dice.once_in(3)).then(|| dice.sentence(20));
    Settings {
        greeting: sentence(dice),
        start_voiced_ms: dice.from(0, 5) * 20,
        start_window_ms: dice.from(4, 8) * 20,
        end_of_turn_ms: dice.from(1, 8) * 100,
        barge_in: !dice.once_in(4),
        barge_in_ms: dice.from(0, 8) * 50,
        resume_ms: dice.from(0, 3) * 250,
        barge_in_certain_ms: dice.from(0, 8) * 100,
        barge_in_words: dice.from(0, 3) as u32,
        barge_in_immune_ms: dice.from(0, 2) * 200,
        return_ms: dice.from(0, 2) * 900,
        back_channels: vec!["mm hm".into()],
        no_input_ms: dice.from(0, 4) * 500,
        no_input_text: sentence(dice),
        no_input_limit: dice.from(0, 3) as u32,
        goodbye_text: sentence(dice),
        apology_text: sentence(dice),
        reply_deadline_ms: dice.from(0, 5) * 400,
        voice_deadline_ms: dice.from(0, 3) * 250,
        voice_rest_ms: dice.from(0, 3) * 700,
        first_play_ms: dice.from(1, 4) * 20,
        play_ms: dice.from(1, 6) * 20,
        lead_ms: dice.from(5, 25) * 20,
        mark_grace_ms: dice.from(0, 5) * 400,
        max_call_secs: dice.from(2, 20),
        own_turns: dice.once_in(8),
        takes_digits: dice.once_in(3),
        takes_silence: dice.once_in(3),
        speaks_first: dice.once_in(4),
        one_moment_text: (!dice.once_in(3)).then(|| MOMENT.into()),
        one_moment_ms: dice.from(0, 3) * 300,
        responder_deadline_ms: dice.from(0, 3) * 250,
        finished_ms: dice.from(0, 3) * 60,
        unfinished_ms: dice.from(0, 12) * 100,
        unfinished_words: vec!["and".into()],
        transcribed: dice.once_in(2),
        endpointed: dice.once_in(3),
        speculate: dice.once_in(2),
        transcriber_deadline_ms: dice.from(0, 4) * 300,
    }
}

fn caller(dice: &mut Dice, world: &mut World, end_ms: u64) {
    let talkative = dice.from(1, 4);
    let silent_line = dice.once_in(4);
    let bursts = dice.once_in(4);
    let (mut at, mut held) = (0, 0);
    while at < end_ms {
        let voiced = dice.once_in(5 - talkative);
        let length = if dice.once_in(3) {
            dice.from(20, 200)
        } else {
            dice.from(200, 2500)
        };
        for frame in (at..at + length).step_by(20) {
            if bursts && held == 0 && dice.once_in(50) {
                held = frame + dice.from(50, 400); // nothing gets through until then
            }
            if held > 0 && frame >= held {
                held = 0;
            }
            if voiced || !silent_line {
                world.later(frame.max(held), Event::Frame(voiced && !dice.once_in(12)));
            }
        }
        if dice.once_in(12) {
            world.later(at, Event::Key('5'));
        }
        at += length;
    }
    for _ in 0..dice.from(0, 4) / 2 {
        world.later(dice.from(0, end_ms), Event::Stop(Why::StreamLost));
    }
    if dice.once_in(3) {
        let why = [
            Why::CallerHungUp,
            Why::StreamLost,
            Why::Operator,
            Why::Drained,
        ][dice.from(0, 3) as usize];
        world.later(dice.from(0, end_ms), Event::Stop(why));
    }
}

/// Sound that comes of itself: a live echo, a model with turns of its own, or a plugin that has lost its way.
fn sounds_unasked(dice: &mut Dice, world: &mut World, own_turns: bool, end_ms: u64) {
    if own_turns && dice.once_in(2) {
        for frame in (0..end_ms).step_by(20) {
            world.later(
                frame + dice.from(1, 9),
                Event::Does(0, Does::Sounds(samples(20))),
            );
        }
    }
    let times = if own_turns {
        dice.from(1, 20)
    } else {
        dice.from(0, 1) * dice.from(0, 6)
    };
    for _ in 0..times {
        let turn = if own_turns { 0 } else { dice.from(0, 3) as u32 };
        let does = match dice.from(0, 9) {
            0 => Does::Fails,
            1 => Does::Says(dice.sentence(10)),
            2..4 => Does::Finishes,
            _ => Does::Sounds(dice.from(1, 16_000)),
        };
        world.later(dice.from(0, end_ms), Event::Does(turn, does));
    }
    if dice.once_in(10) {
        world.later(
            dice.from(0, end_ms),
            Event::Audio(u32::MAX, dice.from(1, 4000)),
        );
    }
}

fn piece(dice: &mut Dice) -> String {
    let ends = ["", " ", ". ", ", ", "? "][dice.from(0, 4) as usize];
    dice.sentence(8) + ends
}

fn answers(dice: &mut Dice) -> Vec<(u64, Does)> {
    let mut at = dice.from(0, 300);
    let mut does = Vec::new();
    match dice.from(0, 11) {
        0 => at += dice.from(500, 5000),              // slow
        1 => return does,                             // silent
        2 => return vec![(at, Does::Fails)],          // failing
        3 => does.push((at, Does::Says(" ".into()))), // empty
        4 => does.extend((0..50).map(|_| (at, Does::Says(dice.sentence(3))))), // babbling
        5 => does.push((at, Does::Says("x".repeat(5000)))), // too much at once
        _ => {}
    }
    for _ in 0..dice.from(0, 4) {
        at += dice.from(0, 400);
        match dice.from(0, 5) {
            2 => {
                let pieces = (0..dice.from(1, 8)).map(|n| (at + n * 30, Does::Writes(piece(dice))));
                does.extend(pieces.collect::<Vec<_>>());
            }
            3 if dice.once_in(3) => does.push((at, Does::Waits(dice.from(0, 2) * 400))),
            0 => does.extend((0..dice.from(1, 40)).map(|n| (at + n * 20, Does::Sounds(160)))),
            1 => does.push((at, Does::Sounds(dice.from(1, 20_000)))),
            5 if dice.once_in(2) => {
                let firm = FIRM.to_owned() + &dice.sentence(12);
                does.push((at, Does::Insists(firm)));
            }
            4 if dice.once_in(6) => {
                let departs = match dice.from(0, 2) {
                    0 => Does::Departs(Departure::Digits("12#".into())),
                    1 => Does::Departs(Departure::Transfer("+1".into())),
                    _ => Does::Stays,
                };
                does.push((at, departs));
            }
            4 if dice.once_in(4) => does.push((at, Does::Speaks(dice.from(0, 2) as u32))),
            _ => does.push((at, Does::Says(dice.sentence(12)))),
        }
    }
    at += dice.from(0, 900);
    match dice.from(0, 15) {
        0 | 3 => does.push((at, Does::HangsUp)),
        1 => does.push((at, Does::Fails)),
        2 | 4 => {} // never says that it has finished
        _ => does.push((at, Does::Finishes)),
    }
    does
}

/// What is written of a stretch that has got so far.
fn writes(dice: &mut Dice, heard: Sounded) -> Vec<(u64, Writes)> {
    let after_ms = dice.from(0, 400);
    let text = |dice: &mut Dice| {
        if dice.once_in(4) {
            return "Mm-hm.".into();
        }
        let ends = ["", ".", "?", ",", " and"][dice.from(0, 4) as usize];
        dice.sentence(12) + ends
    };
    match heard {
        Sounded::Started => {
            let begins = Writes::Begins {
                transcriber: 0,
                fallbacks: dice.from(0, 1) as u32,
            };
            let partials =
                (0..dice.from(0, 3)).map(|n| (after_ms + n * 150, Writes::Partial(text(dice))));
            let mut all: Vec<_> = partials.collect();
            all.push((0, begins));
            all
        }
        Sounded::Paused => match dice.from(0, 9) {
            0 => vec![(after_ms, Writes::Final(text(dice)))],
            1..4 => vec![(after_ms, Writes::Judges(dice.from(0, 100) as u8))],
            4 => vec![(after_ms, Writes::Fails)],
            _ => vec![(after_ms, Writes::Partial(text(dice)))],
        },
        Sounded::Ended => match dice.from(0, 9) {
            0 => Vec::new(), // silent
            1 => vec![(after_ms, Writes::Fails)],
            2 => vec![(after_ms + 1500, Writes::Final(text(dice)))], // slow
            3 => vec![(after_ms, Writes::Final(" ".into()))],
            4 => {
                let twice = [0, 200].map(|more| (after_ms + more, Writes::Final(text(dice))));
                twice.into()
            }
            5 => {
                let babble = (0..40).map(|n| (n * 20, Writes::Partial(text(dice))));
                babble.collect()
            }
            _ => vec![(after_ms, Writes::Final(text(dice)))],
        },
    }
}

/// When and how a call that has left its stream comes back, if it does.
fn returns(dice: &mut Dice, to: Option<&Departure>) -> Option<(u64, Return<'static>)> {
    let transfer = Return::Transfer { outcome: "busy" };
    let back = match to {
        _ if dice.once_in(10) => [Return::Lost, Return::Digits, transfer][dice.from(0, 2) as usize],
        None => Return::Lost,
        Some(Departure::Digits(_)) => Return::Digits,
        Some(Departure::Transfer(_)) => transfer,
    };
    (!dice.once_in(5)).then(|| (dice.from(200, 1500), back))
}

fn manner(dice: &mut Dice) -> Manner {
    let after_ms = dice.from(0, 250);
    match dice.from(0, 16) {
        0 => Manner::Silent { after_ms },
        16 => Manner::Babbles { after_ms },
        1 => Manner::Fails {
            after_ms,
            given_ms: dice.from(0, 3) * 150,
        },
        2 => Manner::Hangs {
            given_ms: dice.from(0, 3) * 150,
        },
        3 | 4 => Manner::Speaks {
            after_ms,
            piece_ms: 20,
            every_ms: dice.from(15, 40),
        },
        5..8 => Manner::Speaks {
            after_ms,
            piece_ms: dice.from(20, 200),
            every_ms: dice.from(5, 60),
        },
        _ => Manner::Speaks {
            after_ms,
            piece_ms: 100_000,
            every_ms: 0,
        },
    }
}

fn fate(dice: &mut Dice, loses: u64) -> Fate {
    let after_ms = dice.from(0, 150);
    match dice.from(0, 20) {
        n if n < loses => Fate::Lost,
        20 => Fate::Twice {
            after_ms,
            again_ms: dice.from(0, 1500),
        },
        19 => Fate::Back {
            after_ms: after_ms + 1500,
        },
        _ => Fate::Back { after_ms },
    }
}

/// Makes up the call with this seed.
fn made_up(seed: u64) -> (World, CallTime) {
    let mut dice = Dice::new(seed);
    let settings = settings(&mut dice);
    let end_ms = settings.max_call_secs * 1000;
    let mut world = World::new(settings.clone());
    world.latency_ms = dice.from(0, 3) * dice.from(0, 60);
    world.wake_ms = dice.from(0, 2) * dice.from(0, 6);
    world.holds_back = !dice.once_in(6);
    caller(&mut dice, &mut world, end_ms + 1000);
    sounds_unasked(&mut dice, &mut world, settings.own_turns, end_ms);
    for _ in 0..dice.from(0, 4) {
        let stretch = dice.from(0, 6) as u32;
        let stray = match dice.from(0, 3) {
            0 => Writes::Judges(dice.from(0, 255) as u8),
            1 => Writes::Partial(dice.sentence(5)),
            2 => Writes::Fails,
            _ => Writes::Final(dice.sentence(5)),
        };
        world.later(dice.from(0, end_ms), Event::Writes(stretch, stray));
    }
    world.responders = dice.from(1, 3) as u32;
    world.line = dice.from(1, 4) as u32;
    if dice.once_in(4) {
        let voices = dice.from(1, 4) as u32;
        world.later(dice.from(0, end_ms), Event::Line(voices));
    }
    let loses = [0, 3, 20][dice.from(0, 2) as usize];
    let dice = Rc::new(RefCell::new(dice));
    let (one, two, three) = (dice.clone(), dice.clone(), dice.clone());
    let (four, five, six) = (dice.clone(), dice.clone(), dice);
    world.returns = Box::new(move |to| returns(&mut six.borrow_mut(), to));
    world.edge = Box::new(move || five.borrow_mut().from(0, 4) / 2 * 900);
    world.responder = Box::new(move |_| answers(&mut one.borrow_mut()));
    world.voice = Box::new(move |_, _| manner(&mut two.borrow_mut()));
    world.marks = Box::new(move || fate(&mut three.borrow_mut(), loses));
    world.transcriber = Box::new(move |_, heard| writes(&mut four.borrow_mut(), heard));
    // The last moment: the longest call, its goodbye, and twice the time to notice.
    let end = CallTime::from_ms(end_ms + settings.mark_grace_ms + 2 * world.wake_ms);
    (world, end)
}

/// Plays the call with this seed to its end. Returns it, or seed, step and what was wrong.
fn play(seed: u64, planted: Option<Planted>) -> Result<World, String> {
    let (mut world, end) = made_up(seed);
    world.call.planted = planted;
    let played = catch_unwind(AssertUnwindSafe(|| {
        world.start();
        while world.steps < MAX_STEPS && world.step() {}
    }));
    let wrong = match world.wrong.take() {
        Some(wrong) => Some(wrong),
        None if played.is_err() => Some("it panicked".into()),
        None if world.done.is_none() => Some("the call did not end".into()),
        None if world.now > end => Some(format!("the call ended at {}, not by {end}", world.now)),
        None => None,
    };
    let Some(wrong) = wrong else { return Ok(world) };
    let shown = if std::env::var_os("VS_SEED").is_some() {
        usize::MAX
    } else {
        SHOWN
    };
    let mut report = format!(
        "seed {seed}, step {}, at {}: {wrong}\n",
        world.steps, world.now
    );
    for (time, output) in &world.log[world.log.len().saturating_sub(shown)..] {
        writeln!(report, "  {time}  {output:?}").unwrap();
    }
    writeln!(report, "play it again with VS_SEED={seed}").unwrap();
    Err(report)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn no_accident_breaks_a_rule() {
    let (first, last) = match number("VS_SEED") {
        Some(seed) => (seed, seed + 1),
        None => (0, number("VS_SEEDS").unwrap_or(SEEDS)),
    };
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for seed in first..last {
        let world = play(seed, None).unwrap_or_else(|report| panic!("{report}"));
        for (_, output) in &world.log {
            *seen.entry(kind(output)).or_default() += 1;
        }
        *seen.entry("underrun".into()).or_default() += u64::from(world.call.underruns());
    }
    if last - first < SEEDS {
        return;
    }
    // What never happened has not been tried.
    for expected in EXPECTED {
        let times = seen.get(*expected).copied().unwrap_or_default();
        assert!(
            times >= 10,
            "{expected:?} happened {times} times in {SEEDS} calls; seen: {seen:#?}"
        );
    }
}

/// What has to happen in so many calls.
const EXPECTED: &[&str] = &[
    "Answered",
    "BargeIn",
    "Hold",
    "Forget",
    "Resumed",
    "Depart",
    "Departed",
    "Returned",
    "CancelReply",
    "Clear",
    "Heard whole",
    "Heard in part",
    "NoInput",
    "ResponderReplaced",
    "turn: digit",
    "asked: Digit",
    "asked: Silence",
    "asked: Start",
    "asked: Speech",
    MOMENT,
    "SaidSoFar",
    "Wasted",
    "Withdrawn",
    "NoWords",
    "Forget",
    "turn: silence",
    "turn: finished sentence",
    "turn: unfinished sentence",
    "turn: endpointer: finished",
    "turn: endpointer: unfinished",
    "Transcribe",
    "Transcript",
    "TranscriberReplaced",
    "underrun",
    // what fails
    "no_audio: it finished without sound",
    "it lost its voice",
    "timeout: it gave no sound for",
    "a voice replaced, said again",
    "a voice replaced, the rest lost",
    "it has no ear",
    "timeout: it gave no final words for",
    "it lost its mind",
    "it gave no answer within",
    "it did not finish its reply within",
    "no_text: it gave an empty text; nothing is said for it",
    "no_text: it finished without a word; listening again",
    "a text of",
    "a text is not said, because",
    "it made sound that nobody waits for, which is lost or mixes with other speech",
    // how it ends
    "CallerHungUp",
    "ResponderHungUp",
    "NoInput at last",
    "Failed at last",
    "TooLong",
];

fn kind(output: &Output) -> String {
    let debug = match output {
        Output::Done(why @ (Why::NoInput | Why::Failed)) => return format!("{why:?} at last"),
        Output::Done(why) => return format!("{why:?}"),
        Output::Note(Note::Heard { whole: true, .. }) => return "Heard whole".into(),
        Output::Note(Note::Heard { .. }) => return "Heard in part".into(),
        Output::Note(Note::VoiceReplaced { again: true, .. }) => {
            return "a voice replaced, said again".into();
        }
        Output::Note(Note::VoiceReplaced { .. }) => {
            return "a voice replaced, the rest lost".into();
        }
        Output::Respond { prompt, .. } => {
            return format!("asked: {}", first_word(&format!("{prompt:?}")));
        }
        Output::Speak { text, .. } if text == MOMENT => return MOMENT.into(),
        Output::Note(Note::TurnEnded { reason, .. }) => return format!("turn: {reason}"),
        Output::Note(Note::Failed { text, .. }) => {
            return text
                .split(char::is_numeric)
                .next()
                .unwrap_or_default()
                .trim_end()
                .to_owned();
        }
        Output::Note(note) => format!("{note:?}"),
        other => format!("{other:?}"),
    };
    first_word(&debug).to_owned()
}

fn first_word(debug: &str) -> &str {
    debug.split([' ', '(', '{']).next().unwrap_or_default()
}

#[test]
fn the_same_seed_is_the_same_call() {
    for seed in [1, 7, 123] {
        let (one, two) = (play(seed, None).unwrap(), play(seed, None).unwrap());
        assert!(one.log == two.log, "seed {seed}");
    }
}

#[test]
fn planted_bugs_are_found() {
    for bug in [
        Planted::ClearsOnlyWhatIsUnsent,
        Planted::ForgetsWhatWasCut,
        Planted::SpeaksOnAfterClear,
        Planted::AsksTwoAtOnce,
        Planted::NeverEnds,
        Planted::LetsTheReplacedSpeakOn,
        Planted::SaysAgainWhatWasHeard,
        Planted::WaitsForTheSilent,
        Planted::SkipsAfterResume,
        Planted::ResumesAfterBargeIn,
        Planted::PlaysWhileHeld,
        Planted::CutsTheFirm,
        Planted::NeverResumes,
        Planted::DepartsTooEarly,
        Planted::ForgetsWhatWasOnItsWay,
        Planted::ForgetsTheWords,
        Planted::AsksBeforeTheWords,
        Planted::KeepsTheVerdict,
        Planted::AsksNobodyElse,
        Planted::SpeaksOnAtAKey,
        Planted::SpeaksBeforeTheEnd,
        Planted::AnswersOtherWords,
        Planted::AsksTwice,
        Planted::ForgetsTheUnanswered,
        Planted::AnswersCoughs,
    ] {
        let found = (0..SEEDS_TO_FIND_A_BUG).find_map(|seed| play(seed, Some(bug)).err());
        assert!(
            found.is_some_and(|report| report.contains("seed ")),
            "{bug:?} was not found"
        );
    }
}
