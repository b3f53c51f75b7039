//! A listener with a real plugin, the scribe in C, and rosters that change while the caller speaks. No call, no line, no
//! clock.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::leg::stage::{Stage, setup};
use crate::media::{frame, mulaw};
use serde_json::{Value, json};

/// Two fallbacks of each other's, as the tests name them.
const FIRST: u32 = 0;
const SECOND: u32 = 1;

struct Rig {
    stage: Stage,
    listener: Listener,
    heard: u64,
    scratch: Scratch,
}

impl Rig {
    /// With these settings of the agent's transcriber and of its fallback, if it has one.
    fn new(first: Value, second: Option<Value>) -> Rig {
        let rig = Rig {
            stage: Stage::new("scribe"),
            listener: Listener::new(Step::Transcriber, None),
            heard: 0,
            scratch: Scratch::default(),
        };
        rig.hire(first, second);
        rig
    }

    /// From now on these are the transcribers.
    fn hire(&self, first: Value, second: Option<Value>) {
        let fallback = second.as_ref().map(|_| "second");
        let first = setup("scribe", "own", first, fallback);
        let second = second.map(|settings| setup("scribe", "second", settings, None));
        self.stage.hire([first].into_iter().chain(second));
    }

    fn begin(&mut self) {
        let Stage { visit, now, .. } = &self.stage;
        let (now, scratch) = (*now, &mut self.scratch);
        self.listener.begin(visit, &mut Moment { now, scratch });
    }

    /// So much of the caller's sound.
    fn hear(&mut self, frames: usize) {
        let coded = [0x90; frame::FRAME_SAMPLES];
        let mut pcm = [0; frame::FRAME_SAMPLES];
        mulaw::decode(&coded, &mut pcm);
        for _ in 0..frames {
            let (at, scratch) = (self.heard, &mut self.scratch);
            self.listener.hear(&coded, &pcm, at, scratch);
            self.heard += frame::FRAME_SAMPLES as u64;
        }
    }

    fn tell(&mut self, stretch: Stretch, heard: Sounded) {
        let Stage { visit, now, .. } = &self.stage;
        let (at, now, scratch) = (self.heard, *now, &mut self.scratch);
        let moment = &mut Moment { now, scratch };
        self.listener.tell(visit, stretch, heard, at, moment);
    }

    /// The caller says something, ten frames long.
    fn say(&mut self, stretch: Stretch) {
        self.tell(stretch, Sounded::Started);
        self.hear(10);
        self.tell(stretch, Sounded::Ended);
    }

    fn replaced(&mut self, stretch: Stretch, place: u32) {
        let Stage { visit, now, .. } = &self.stage;
        let (at, now, scratch) = (self.heard, *now, &mut self.scratch);
        let moment = &mut Moment { now, scratch };
        self.listener.replaced(visit, stretch, place, at, moment);
    }

    /// The core has waited long enough.
    fn failed(&mut self) {
        self.failed_because("timeout: it gave no final words");
    }

    fn failed_because(&mut self, why: &str) {
        let (house, now) = (&self.stage.visit.house, self.stage.now);
        self.listener.failed(house, why, now);
    }

    /// The configuration was changed, and the plugin is still there or is not.
    fn let_go(&mut self, there: bool) {
        let now = self.stage.visit.house.roster.now();
        let nobody = Roster::default();
        self.listener.let_go(if there { &now } else { &nobody });
    }

    /// Everything delivered so far, each in a word or two.
    fn delivered(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(delivered) = self.listener.next(&self.stage.visit.house, self.stage.now) {
            all.push(match delivered {
                Delivered::Begun {
                    stretch,
                    place,
                    fallbacks,
                } => format!("{stretch} begun by {place}, {fallbacks} behind"),
                Delivered::Partial { stretch, text } => format!("{stretch} so far {text}"),
                Delivered::Final { stretch, text } => format!("{stretch} final {text}"),
                Delivered::Failed { stretch, text } => {
                    format!("{stretch} failed {}", text.split(':').next().unwrap())
                }
                Delivered::Finished { stretch, percent } => format!("{stretch} {percent} %"),
                Delivered::GaveWay {
                    place,
                    replaced,
                    text,
                    ..
                } => {
                    let cause = text.split(':').next().unwrap();
                    format!("{place} gave way: {cause}, replaced {replaced}")
                }
            });
        }
        assert!(self.listener.is_idle(), "something is left");
        all
    }
}

#[test]
fn a_stretch_is_told_as_it_goes_and_comes_back_in_order() {
    let mut rig = Rig::new(
        json!({"says": "one|two", "partial": "o", "finished": "0.25"}),
        None,
    );
    rig.begin();
    rig.hear(3);
    rig.tell(1, Sounded::Started);
    rig.tell(1, Sounded::Paused);
    rig.tell(1, Sounded::Started);
    rig.tell(1, Sounded::Paused);
    rig.tell(1, Sounded::Ended);
    assert_eq!(
        rig.delivered(),
        [
            "1 begun by 0, 0 behind",
            "1 so far o",
            "1 25 %",
            "1 so far o",
            "1 25 %",
            "1 final one"
        ]
    );
    rig.say(2);
    assert_eq!(
        rig.delivered(),
        ["2 begun by 0, 0 behind", "2 so far o", "2 final two"]
    );
}

#[test]
fn a_new_configuration_hears_the_next_stretch_and_the_half_second_before_it() {
    let mut rig = Rig::new(json!({"says": "old"}), None);
    rig.begin();
    rig.hear(100);
    rig.tell(1, Sounded::Started);
    rig.hire(json!({"says": "?"}), None);
    rig.hear(10);
    rig.tell(1, Sounded::Ended);
    assert_eq!(rig.delivered(), ["1 begun by 0, 0 behind", "1 final old"]);
    rig.hear(5);
    rig.say(2);
    assert_eq!(
        rig.delivered(),
        [
            "2 begun by 0, 0 behind",
            "2 final mulaw 8000, 1600 samples after 4000, loudest 0"
        ]
    );
}

#[test]
fn who_hears_nothing_and_owes_nothing_is_let_go_when_he_is_no_more() {
    let mut rig = Rig::new(json!({"says": "old"}), None);
    rig.begin();
    let streams = |rig: &Rig| rig.stage.streams();
    rig.let_go(true);
    assert_eq!(streams(&rig), 1, "the same plugin is there");
    rig.tell(1, Sounded::Started);
    for heard in [Sounded::Started, Sounded::Paused] {
        rig.tell(1, heard);
        rig.let_go(false);
        assert_eq!(streams(&rig), 1, "a stretch has not ended");
    }
    rig.tell(1, Sounded::Ended);
    rig.let_go(false);
    assert_eq!(streams(&rig), 1, "its words are owed");
    assert_eq!(rig.delivered(), ["1 begun by 0, 0 behind", "1 final old"]);
    rig.let_go(false);
    assert_eq!(streams(&rig), 0);
    rig.say(2);
    assert_eq!(rig.delivered(), ["2 begun by 0, 0 behind", "2 final old"]);
}

#[test]
fn words_that_are_awaited_are_not_given_up_for_a_new_configuration() {
    let mut rig = Rig::new(json!({"mood": "silent"}), None);
    rig.begin();
    rig.say(1);
    rig.hire(json!({"says": "new"}), None);
    rig.say(2);
    assert_eq!(
        rig.delivered(),
        ["1 begun by 0, 0 behind", "2 begun by 0, 0 behind"]
    );
    rig.failed(); // the core has waited long enough
    rig.say(3);
    assert_eq!(rig.delivered(), ["3 begun by 0, 0 behind", "3 final new"]);
}

#[test]
fn a_fall_fails_the_stretch_and_the_next_in_line_hears_what_follows() {
    let mut rig = Rig::new(json!({"mood": "panics"}), Some(json!({"says": "?"})));
    rig.begin();
    rig.say(1);
    assert_eq!(
        rig.delivered(),
        ["1 begun by 0, 1 behind", "1 failed panicked"]
    );
    rig.replaced(1, FIRST);
    rig.replaced(1, FIRST); // said twice, it moves on once
    rig.hear(5);
    rig.say(2);
    assert_eq!(
        rig.delivered(),
        [
            "2 begun by 1, 0 behind",
            "2 final mulaw 8000, 1600 samples after 2400, loudest 0"
        ],
        "the ten frames before it was asked, and the five since"
    );
    rig.replaced(2, SECOND);
    rig.say(3);
    assert_eq!(rig.delivered().len(), 2, "nobody stands behind the last");
}

#[test]
fn one_that_is_late_finishes_the_stretch_it_hears_before_the_next_takes_over() {
    let mut rig = Rig::new(json!({"mood": "silent"}), Some(json!({"says": "second"})));
    rig.begin();
    rig.say(1);
    rig.tell(2, Sounded::Started);
    rig.replaced(1, FIRST);
    rig.hear(5);
    rig.tell(2, Sounded::Ended);
    assert_eq!(
        rig.delivered(),
        ["1 begun by 0, 1 behind", "2 begun by 0, 1 behind"]
    );
    rig.say(3);
    assert_eq!(
        rig.delivered(),
        ["2 failed gone", "3 begun by 1, 0 behind", "3 final second"]
    );
}

#[test]
fn who_refuses_is_passed_over_before_the_first_word_and_asked_again_after_a_rest() {
    let mut rig = Rig::new(json!({"mood": "refuses"}), Some(json!({"says": "second"})));
    rig.begin();
    rig.say(1);
    assert_eq!(
        rig.delivered(),
        [
            "0 gave way: auth, replaced true",
            "1 begun by 1, 0 behind",
            "1 final second"
        ]
    );
    rig.stage.now += Duration::from_millis(rig.stage.visit.guest.agent.settings.voice_rest_ms);
    rig.say(3);
    assert_eq!(
        rig.delivered(),
        [
            "0 gave way: auth, replaced true",
            "3 begun by 1, 0 behind",
            "3 final second"
        ]
    );
    rig.stage.now += Duration::from_millis(rig.stage.visit.guest.agent.settings.voice_rest_ms);
    rig.say(4);
    rig.stage.now += Duration::from_millis(rig.stage.visit.guest.agent.settings.voice_rest_ms - 1);
    rig.delivered();
    let mut other = Listener::new(Step::Transcriber, None);
    let (now, scratch) = (rig.stage.now, &mut rig.scratch);
    let moment = &mut Moment { now, scratch };
    other.begin(&rig.stage.visit, moment);
    rig.listener = other;
    assert_eq!(
        rig.delivered(),
        ["0 gave way: resting, replaced true"],
        "after three failures other calls do not ask"
    );
}

#[test]
fn one_that_gives_no_words_is_not_waited_for_after_a_while_though_nobody_stands_behind_it() {
    let mut rig = Rig::new(json!({"mood": "silent"}), None);
    rig.begin();
    for stretch in 1..=3 {
        rig.say(stretch);
        assert_eq!(rig.delivered(), [format!("{stretch} begun by 0, 0 behind")]);
        rig.failed();
    }
    let resting = |stretch| {
        [
            format!("{stretch} begun by 0, 0 behind"),
            format!("{stretch} failed resting"),
        ]
    };
    rig.say(4);
    assert_eq!(rig.delivered(), resting(4));
    rig.failed(); // that it was not asked is no failure
    rig.stage.now += Duration::from_secs(30);
    rig.say(5);
    assert_eq!(rig.delivered(), ["5 begun by 0, 0 behind"], "tried again");
    rig.failed();
    rig.say(6);
    assert_eq!(rig.delivered(), resting(6));
    rig.stage.now += Duration::from_secs(30);
    rig.hire(json!({"says": "words"}), None);
    rig.say(7);
    assert_eq!(rig.delivered(), ["7 begun by 0, 0 behind", "7 final words"]);
}

#[test]
fn words_that_come_too_late_are_told_and_count_as_failures() {
    let mut rig = Rig::new(json!({"says": "late"}), None);
    rig.begin();
    for stretch in 1..=3 {
        rig.say(stretch);
        rig.failed();
        let late = format!("{stretch} final late");
        assert_eq!(rig.delivered().last(), Some(&late));
    }
    rig.say(4);
    assert_eq!(
        rig.delivered().last().map(String::as_str),
        Some("4 failed resting")
    );
}

#[test]
fn who_is_busy_is_asked_again_however_often_he_is() {
    let mut rig = Rig::new(json!({"mood": "fails"}), None);
    rig.begin();
    for stretch in 1..=10 {
        rig.say(stretch);
        assert_eq!(
            rig.delivered().last(),
            Some(&format!("{stretch} failed quota"))
        );
        rig.failed_because("busy: too many turns wait");
    }
}

#[test]
fn nobody_to_be_had_is_said_at_each_stretch() {
    let mut rig = Rig::new(json!({"mood": "refuses"}), None);
    rig.begin();
    assert_eq!(rig.delivered(), ["0 gave way: auth, replaced false"]);
    rig.say(1);
    assert_eq!(rig.delivered(), ["1 begun by 0, 0 behind", "1 failed auth"]);
    rig.stage.visit.house.roster.replace(Roster::default());
    rig.say(2);
    assert_eq!(rig.delivered(), ["2 begun by 0, 0 behind", "2 failed gone"]);
}

#[test]
fn stretches_without_an_answer_are_remembered_up_to_a_bound() {
    let mut rig = Rig::new(json!({"mood": "silent"}), None);
    rig.begin();
    for stretch in 1..=3 * MAX_UNANSWERED {
        rig.say(Stretch::try_from(stretch).unwrap());
    }
    assert_eq!(rig.listener.unanswered.len(), MAX_UNANSWERED);
    assert_eq!(rig.listener.recent.len(), RECENT_SAMPLES);
}

#[test]
fn an_endpointer_owes_no_words() {
    let mut rig = Rig::new(json!({"says": "words", "finished": "0.9"}), None);
    rig.listener = Listener::new(Step::Endpointer, None);
    rig.begin();
    rig.tell(1, Sounded::Started);
    rig.tell(1, Sounded::Paused);
    rig.tell(1, Sounded::Ended);
    assert_eq!(rig.delivered(), ["1 begun by 0, 0 behind", "1 90 %"]);
    assert!(rig.listener.unanswered.is_empty());
}

#[test]
fn one_that_is_at_its_end_is_started_anew_for_the_next_stretch() {
    let mut rig = Rig::new(json!({"mood": "ends", "says": "first|second"}), None);
    rig.begin();
    for stretch in 1..=2 {
        rig.say(stretch);
        let begun = format!("{stretch} begun by 0, 0 behind");
        assert_eq!(rig.delivered(), [begun, format!("{stretch} final first")]);
    }
}

#[test]
fn likelihoods_are_read_as_people_write_them() {
    for (data, read) in [
        ("0.734", Some(73)),
        ("1", Some(100)),
        (" 0 ", Some(0)),
        ("7", Some(100)),
        ("-1e9", Some(0)),
        ("NaN", None),
        ("inf", None),
        ("", None),
        ("likely", None),
    ] {
        assert_eq!(percent(data.as_bytes()), read, "{data}");
    }
    assert_eq!(percent(b"\xff"), None);
}
