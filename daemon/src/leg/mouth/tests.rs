//! The mouth with a real plugin, the moody voice in C, and rosters that change between two utterances. No call, no
//! line, no clock.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::leg::stage::{Stage, setup};
use crate::leg::{Roster, Setup};
use serde_json::{Value, json};
use std::time::Duration;

/// Samples of one utterance of the moody voice.
const WHOLE: u64 = 6400;

/// The mouth of one call, and whatever voices a test hires.
struct Rig {
    stage: Stage,
    mouth: Mouth,
    speaker: Speaker,
    utterance: u32,
}

/// What came of one utterance.
#[derive(Debug, PartialEq)]
struct Said {
    /// Place of who was asked, and how many stood behind.
    begun: (u32, u32),
    /// Half a wave of the tone heard, in samples; 0 if there was none.
    half: usize,
    samples: u64,
    failed: Option<String>,
}

impl Said {
    fn tone(begun: (u32, u32), half: usize) -> Said {
        Said {
            begun,
            half,
            samples: WHOLE,
            failed: None,
        }
    }
}

fn voice(name: &str, settings: Value, fallback: Option<&str>) -> Setup {
    setup("moody", name, settings, fallback)
}

impl Rig {
    fn new(voices: impl IntoIterator<Item = Setup>) -> Rig {
        Rig::built(&[], voices)
    }

    /// The same with the plugin built with these macros set.
    fn built(macros: &[&str], voices: impl IntoIterator<Item = Setup>) -> Rig {
        let stage = Stage::built("moody", macros);
        stage.hire(voices);
        Rig {
            stage,
            mouth: Mouth::new(None),
            speaker: Speaker::default(),
            utterance: 0,
        }
    }

    /// Asks the voice at this place for a sentence and hears it to its end.
    fn say(&mut self, voice: u32) -> Said {
        self.ask(voice, "words", false)
    }

    fn begins(&mut self, voice: u32, text: &str, fixed: bool) {
        self.utterance += 1;
        let ask = Ask {
            utterance: self.utterance,
            text,
            fixed,
            voice,
            speaker: &self.speaker,
        };
        let Stage { visit, now, .. } = &self.stage;
        self.mouth.say(visit, ask, *now);
    }

    fn ask(&mut self, voice: u32, text: &str, fixed: bool) -> Said {
        self.begins(voice, text, fixed);
        let Stage { visit, now, .. } = &self.stage;
        let mut scratch = Scratch::default();
        let mut said = Said {
            begun: (u32::MAX, u32::MAX),
            half: 0,
            samples: 0,
            failed: None,
        };
        while let Some(delivered) = self.mouth.next(&visit.house, &mut scratch) {
            match delivered {
                Delivered::Begun {
                    voice, fallbacks, ..
                } => said.begun = (voice, fallbacks),
                Delivered::Audio { samples, .. } => {
                    said.samples += samples;
                    let sound = self.mouth.take(samples);
                    said.half = sound.iter().position(|byte| *byte != sound[0]).unwrap_or(0);
                }
                Delivered::Done { .. } => {}
                Delivered::Failed { text, .. } => {
                    said.failed = Some(text);
                    // As the leg does when the core has made a note of it.
                    self.mouth.failed(&visit.house, *now);
                }
            }
        }
        assert!(!self.mouth.is_saying(), "it has an end");
        said
    }
}

#[test]
fn a_changed_voice_is_heard_at_the_next_utterance_of_a_running_call() {
    let own = |half: u32| voice("own", json!({ "half": half }), None);
    let mut rig = Rig::new([own(7)]);
    assert_eq!(rig.say(0), Said::tone((0, 0), 7));
    rig.stage.hire([own(23)]);
    assert_eq!(rig.say(0), Said::tone((0, 0), 23));
}

#[test]
fn each_place_in_the_line_is_the_voice_that_stands_there() {
    let mut rig = Rig::new([
        voice("own", json!({"half": 7, "mood": "refuses"}), Some("second")),
        voice("second", json!({"half": 11}), Some("third")),
        voice("third", json!({"half": 23}), None),
    ]);
    let refused = rig.say(0);
    assert_eq!((refused.begun, refused.samples), ((0, 2), 0));
    assert!(
        refused.failed.unwrap().starts_with("refused: "),
        "with its name"
    );
    assert_eq!(rig.say(1), Said::tone((1, 1), 11));
    assert_eq!(rig.say(2), Said::tone((2, 0), 23));
    assert_eq!(rig.say(9), Said::tone((2, 0), 23), "the last is the end");
    assert_eq!(rig.mouth.voices().name(1), "second");
}

#[test]
fn a_place_in_a_line_that_is_no_more_is_the_head_of_the_new_one() {
    let line = |half: u32| {
        [
            voice("own", json!({ "half": half }), Some("second")),
            voice("second", json!({"half": 11}), None),
        ]
    };
    let mut rig = Rig::new(line(7));
    rig.say(0);
    assert_eq!(rig.say(1), Said::tone((1, 0), 11));
    rig.stage.hire(line(23));
    assert_eq!(rig.say(1), Said::tone((0, 1), 23));
    assert_eq!(rig.say(1), Said::tone((1, 0), 11));
}

#[test]
fn a_phrase_is_kept_for_the_voice_that_really_said_it() {
    let line = |mood: &str| {
        [
            voice("own", json!({"half": 7, "mood": mood}), Some("second")),
            voice("second", json!({"half": 11}), None),
        ]
    };
    let mut rig = Rig::new(line("fails"));
    assert!(rig.ask(0, "Hello", true).failed.is_some());
    assert_eq!(rig.ask(1, "Hello", true), Said::tone((1, 0), 11));
    // The first is well again, and nobody has kept its sound.
    rig.stage.hire(line("well"));
    assert_eq!(rig.ask(0, "Hello", true), Said::tone((0, 1), 7));
    assert_eq!(rig.ask(1, "Hello", true), Said::tone((1, 0), 11));
}

#[test]
fn half_an_utterance_is_never_kept() {
    let broken = json!({"half": 7, "mood": "breaks"});
    let mut rig = Rig::new([voice("own", broken, None)]);
    for _ in 0..2 {
        let said = rig.ask(0, "Hello", true);
        assert_eq!(said.samples, WHOLE / 2);
        assert!(said.failed.unwrap().starts_with("quota: "));
    }
    rig.stage
        .hire([voice("own", json!({"mood": "counts"}), None)]);
    for steps in 0..=2 {
        let text = format!("Hello {steps}");
        let before = rig.say(0).half;
        rig.begins(0, &text, true);
        for _ in 0..steps {
            rig.mouth
                .next(&rig.stage.visit.house, &mut Scratch::default());
        }
        rig.mouth.cancel(rig.utterance);
        rig.mouth.clear();
        let whole = rig.ask(0, &text, true);
        assert_eq!(whole.samples, WHOLE);
        assert!(whole.half > before + 1, "made anew after {steps} steps");
    }
}

#[test]
fn a_voice_that_is_no_more_is_let_go_unless_it_speaks() {
    let mut rig = Rig::new([voice("own", json!({}), None)]);
    rig.say(0);
    rig.mouth.let_go(&rig.stage.visit.house.roster.now());
    assert_eq!(rig.stage.streams(), 1, "the same plugin is there");
    rig.begins(0, "words", false);
    rig.mouth.let_go(&Roster::default());
    assert_eq!(rig.stage.streams(), 1, "it speaks");
    rig.mouth.cancel(rig.utterance);
    rig.mouth.let_go(&Roster::default());
    assert_eq!(rig.stage.streams(), 0);
    assert_eq!(rig.say(0), Said::tone((0, 0), 10));
}

#[test]
fn words_of_one_call_are_neither_kept_nor_said_by_what_is() {
    let mut rig = Rig::new([voice("own", json!({"mood": "counts"}), None)]);
    let own = rig.say(0).half;
    let fixed = rig.ask(0, "words", true);
    assert!(fixed.half > own, "nobody has kept it");
    assert_eq!(rig.ask(0, "words", true), fixed);
    assert!(rig.say(0).half > fixed.half);
    let phrases = &rig.stage.visit.house.metrics.phrases;
    let counted = ["made", "kept"].map(|sound| phrases.get_or_create(&[("sound", sound)]).get());
    assert_eq!(counted, [1, 1]);
}

#[test]
fn a_voice_that_keeps_failing_is_left_alone_by_every_call_but_its_kept_phrases_are_not() {
    let own = json!({"half": 7, "mood": "fails", "since": 2});
    let mut rig = Rig::new([
        voice("own", own, Some("second")),
        voice("second", json!({"half": 11}), None),
    ]);
    assert_eq!(rig.ask(0, "Hello", true), Said::tone((0, 1), 7));
    for _ in 0..3 {
        assert!(rig.say(0).failed.unwrap().starts_with("quota: "));
    }
    assert!(rig.say(0).failed.unwrap().starts_with("resting: "));
    assert_eq!(rig.ask(0, "Hello", true), Said::tone((0, 1), 7));
    rig.stage.now += Duration::from_secs(30);
    assert!(
        rig.say(0).failed.unwrap().starts_with("quota: "),
        "one tries again"
    );
    assert!(rig.say(0).failed.unwrap().starts_with("resting: "));
}

#[test]
fn a_voice_without_a_fallback_is_asked_however_often_it_fails() {
    let mut rig = Rig::new([voice("own", json!({"mood": "fails"}), None)]);
    for _ in 0..10 {
        assert!(rig.say(0).failed.unwrap().starts_with("quota: "));
    }
}

#[test]
fn a_panic_costs_the_stream_and_the_next_utterance_starts_another() {
    let mut rig = Rig::new([voice(
        "own",
        json!({"half": 7, "mood": "panics", "since": 2}),
        None,
    )]);
    assert_eq!(rig.say(0), Said::tone((0, 0), 7));
    assert!(rig.say(0).failed.unwrap().starts_with("panicked: "));
    assert_eq!(rig.say(0), Said::tone((0, 0), 7));
}

#[test]
fn who_answers_with_an_error_is_named_with_the_function_and_the_code() {
    let mut rig = Rig::new([voice("own", json!({"mood": "errs"}), None)]);
    assert_eq!(
        rig.say(0).failed.unwrap(),
        "broken: the voice \"own\": its `send` answered -1 (VP_ERROR)"
    );
}

#[test]
fn who_is_not_there_fails_in_words() {
    let mut rig = Rig::new([Setup {
        plugin: "nobody".into(),
        ..voice("own", Value::Null, None)
    }]);
    assert!(rig.say(0).failed.unwrap().starts_with("not_loaded: "));
    rig.stage.hire([]);
    assert!(rig.say(0).failed.unwrap().starts_with("gone: "));
}

#[test]
fn a_speaker_asked_for_speaks_with_his_own_line_and_an_unknown_one_with_the_agents() {
    let mut rig = Rig::new([
        voice("own", json!({}), None),
        voice("other", json!({"mood": "fails"}), Some("third")),
        voice("third", json!({"half": 30}), None),
    ]);
    assert_eq!(rig.say(0), Said::tone((0, 0), 10));
    rig.speaker.voice = Some("other".into());
    assert_eq!(rig.say(0).begun, (0, 1));
    assert_eq!(rig.say(1), Said::tone((1, 0), 30));
    rig.speaker.voice = Some("nobody".into());
    assert_eq!(
        rig.say(1),
        Said::tone((0, 0), 10),
        "at the head of his line"
    );
}

#[test]
fn a_voice_without_sound_has_none_whatever_its_format() {
    for macros in [&[][..], &["WIDE"]] {
        let mut rig = Rig::built(macros, [voice("own", json!({"mood": "empty"}), None)]);
        assert_eq!(rig.say(0).samples, 0, "{macros:?}");
        rig.stage.hire([voice("own", json!({}), None)]);
        assert!(rig.say(0).samples > 0, "{macros:?}");
    }
}

#[test]
fn a_mouth_that_rests_holds_no_memory() {
    let mut mouth = Mouth::new(None);
    mouth.add(&[0; 1600]);
    mouth.take(800);
    mouth.rest();
    assert_eq!(mouth.ready.samples.len(), 1600, "some of it stands ready");
    mouth.take(800);
    mouth.rest();
    assert_eq!(mouth.ready.samples.capacity(), 0);
}
