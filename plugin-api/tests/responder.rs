//! A responder made with `export!`, driven through its table: the events it is told, what it says to which turn, and
//! that a turn never stays unanswered when `run` ends early, fails or panics.

#![cfg(feature = "sdk")]
#![allow(clippy::unwrap_used)]

mod host;

use host::{describe, open, sound, Opened, Record, Stream};
use voice_plugin::abi::{flag, kind, level, role, status, VpEvent};
use voice_plugin::prelude::*;

/// Says back every event as words. Digits command: `1` fail, `2` panic, `3` return, `4` hang up, `5` play, `6` fall
/// asleep until the call is over, `7` stay for ever, `8` say more than fits, `9` say the same as in every call.
struct Parlour {
    host: Host,
}

impl Responder for Parlour {
    type Config = Nothing;
    const HEARS_AUDIO: bool = true;

    async fn open(_: Nothing, host: Host) -> Result<Self> {
        Ok(Parlour { host })
    }

    async fn run(&self, mut call: Call) -> Result<()> {
        while let Some(event) = call.next().await {
            match event {
                Event::TurnOver { turn } => {
                    call.say(&format!("turn {turn} of {}", call.info().from))
                        .await?;
                    call.done().await?;
                }
                Event::Digit('1') => return Err("the model is out of order".into()),
                Event::Digit('2') => panic!("a wheel came off"),
                Event::Digit('3') => return Ok(()),
                Event::Digit('4') => call.hang_up().await?,
                Event::Digit('5') => call.play(&[5; 40_000]).await?,
                Event::Digit('6') => {
                    call.say("asleep").await?;
                    // Something else than `next` is awaited, so only the end of the call can wake it.
                    while !call.interrupted() {
                        tokio::task::yield_now().await;
                    }
                    self.host.info("awake again");
                }
                Event::Digit('9') => {
                    call.say("own").await?;
                    call.say_fixed("fixed").await?;
                    call.say_firmly("firm").await?;
                    let (firm, fixed) = (true, true);
                    call.say_as("both", Wording { firm, fixed }).await?;
                    call.say_fixed_piece("piece").await?;
                    call.done().await?;
                }
                Event::Digit('8') => call.say(&"x".repeat(40_000)).await?,
                Event::Digit('7') => {
                    call.say("here to stay").await?;
                    std::future::pending::<()>().await;
                }
                other => call.say(&format!("{other:?}")).await?,
            }
        }
        self.host.info("the call is over");
        Ok(())
    }
}

voice_plugin::export!(responder: Parlour);

const INFO: &str =
    r#"{"call":{"sid":"CA1","from":"+4312345"},"format":{"encoding":"mulaw","rate":8000}}"#;

fn opened() -> Opened {
    open(plugin_table(), "{}").unwrap()
}

/// One word per record: `turn:what`.
fn drawn(records: &[Record]) -> Vec<String> {
    let word = |record: &Record| {
        let what = match record.kind {
            kind::TEXT | kind::ACTION => record.text().to_owned(),
            kind::FAILED => format!("failed: {}", record.text()),
            kind::DONE => "done".to_owned(),
            other => format!("kind {other}"),
        };
        format!("{}:{what}", record.turn)
    };
    records.iter().map(word).collect()
}

fn press(stream: &Stream<'_>, turn: u32, digit: &str) {
    assert_eq!(stream.tell(kind::DTMF, turn, digit.as_bytes()), status::OK);
}

#[test]
fn turn_is_answered_and_done() {
    let plugin = opened();
    let stream = plugin.start(role::RESPONDER, INFO).unwrap();
    stream.turn_over(3);
    assert_eq!(
        drawn(&stream.take_until(kind::DONE)),
        ["3:turn 3 of +4312345", "3:done"]
    );
}

#[test]
fn words_that_are_the_same_in_other_calls_say_so() {
    let plugin = opened();
    let stream = plugin.start(role::RESPONDER, INFO).unwrap();
    press(&stream, 1, "9");
    let records = stream.take_until(kind::DONE);
    let said = records.iter().map(|said| (said.text(), said.flags));
    let both = flag::FIRM | flag::FIXED;
    let expected = [
        ("own", 0),
        ("fixed", flag::FIXED),
        ("firm", flag::FIRM),
        ("both", both),
        ("piece", flag::FIXED),
        ("", flag::LAST),
    ];
    assert_eq!(said.collect::<Vec<_>>(), expected);
}

#[test]
fn every_event_arrives_in_order() {
    let plugin = opened();
    let stream = plugin.start(role::RESPONDER, INFO).unwrap();
    let mut over = VpEvent::new(kind::SPEECH_END, 2, b"");
    over.flags = flag::LAST;
    let events = [
        VpEvent::new(kind::SPEECH_START, 2, b""),
        VpEvent::new(kind::AUDIO, 2, b"\xff\xfe"),
        VpEvent::new(kind::PARTIAL, 2, b"good"),
        VpEvent::new(kind::SPEECH_END, 2, b""),
        VpEvent::new(kind::TEXT, 2, b"good day"),
        VpEvent::new(0x7fff, 2, b"of a later version"),
        VpEvent::new(kind::DTMF, 2, b"#"),
        VpEvent::new(kind::MARK, 9, b""),
        over,
    ];
    assert_eq!(stream.send(&events), status::OK);
    assert_eq!(
        drawn(&stream.take_until(kind::DONE)),
        [
            "2:SpeechStart",
            "2:Audio([255, 254])",
            r#"2:Partial { turn: 2, text: "good" }"#,
            "2:SpeechEnd",
            r#"2:Text { turn: 2, text: "good day" }"#,
            "2:Digit('#')",
            "2:Heard { utterance: 9 }",
            "2:turn 2 of +4312345",
            "2:done",
        ]
    );
}

#[test]
fn interruption_is_an_event_and_words_for_it_are_no_error() {
    let plugin = opened();
    let stream = plugin.start(role::RESPONDER, INFO).unwrap();
    stream.cancel(4);
    stream.turn_over(4);
    stream.turn_over(5);
    assert_eq!(
        drawn(&stream.take_until(kind::DONE)),
        ["5:turn 5 of +4312345", "5:done"]
    );
}

#[test]
fn own_sound_waits_for_room() {
    let plugin = opened();
    let stream = plugin.start_with(role::RESPONDER, INFO, 8192).unwrap();
    press(&stream, 1, "5");
    stream.wait_until_told_full(1);
    stream.turn_over(1);
    let records = stream.take_until(kind::DONE);
    assert_eq!(sound(&records), [5; 40_000]);
}

#[test]
fn hanging_up_is_an_action() {
    let plugin = opened();
    let stream = plugin.start(role::RESPONDER, INFO).unwrap();
    press(&stream, 1, "4");
    assert_eq!(
        drawn(&stream.take_until(kind::ACTION)),
        [r#"1:{"do":"hang_up"}"#]
    );
}

#[test]
fn ended_responder_answers_every_later_turn_as_failed() {
    let cases = [
        (
            "1",
            Some("1:failed: the model is out of order"),
            ": the model is out of order",
        ),
        (
            "2",
            Some("1:failed: the responder panicked: a wheel came off"),
            ": the responder panicked: a wheel came off",
        ),
        ("3", None, ""),
        (
            "8",
            Some("1:failed: 40000 bytes are more than the host takes at once (32240; a text has at most 4000 bytes): say them in several"),
            ": 40000 bytes are more than the host takes at once (32240; a text has at most 4000 bytes): say them in several",
        ),
    ];
    for (digit, at_once, why) in cases {
        let plugin = opened();
        let stream = plugin.start(role::RESPONDER, INFO).unwrap();
        press(&stream, 1, digit);
        // Behind what failed the stream is at its end: the host may stop it now, and start another.
        let expected: Vec<&str> = at_once.into_iter().chain(["0:failed: "]).collect();
        let mut said = Vec::new();
        while said.len() < expected.len() {
            said.extend(drawn(&stream.take_until(kind::FAILED)));
        }
        assert_eq!(said, expected);
        for turn in [2, 3] {
            stream.turn_over(turn);
            let expected = format!("{turn}:failed: the responder has ended before the call{why}");
            assert_eq!(drawn(&stream.take_until(kind::FAILED)), [expected]);
        }
        let watch = stream.stop();
        drop(plugin);
        watch.assert_released_once();
    }
}

#[test]
fn panic_is_logged_with_its_place() {
    let plugin = opened();
    let stream = plugin.start(role::RESPONDER, INFO).unwrap();
    press(&stream, 1, "2");
    stream.take_until(kind::FAILED);
    let line = plugin.wait_for_line("a wheel came off");
    assert_eq!(line.level, level::ERROR);
    assert!(line.text.contains("tests/responder.rs:"), "{}", line.text);
}

#[test]
fn run_may_finish_after_the_call_but_says_nothing_more() {
    for asleep in [false, true] {
        let plugin = opened();
        let stream = plugin.start(role::RESPONDER, INFO).unwrap();
        if asleep {
            press(&stream, 1, "6");
            stream.wait_for_record();
        } else {
            stream.turn_over(1);
            stream.take_until(kind::DONE);
        }
        let watch = stream.stop();
        plugin.wait_for_line("the call is over");
        drop(plugin);
        watch.assert_released_once();
    }
}

#[test]
fn closing_does_not_wait_for_one_who_stays() {
    let plugin = opened();
    let stream = plugin.start(role::RESPONDER, INFO).unwrap();
    press(&stream, 1, "7");
    stream.wait_for_record();
    let watch = stream.stop();
    drop(plugin);
    watch.assert_released_once();
}

#[test]
fn slow_responder_loses_oldest_sound_and_no_control() {
    let plugin = opened();
    let stream = plugin.start_with(role::RESPONDER, INFO, 8192).unwrap();
    // It plays against a full ring and cannot listen meanwhile.
    press(&stream, 1, "5");
    stream.wait_until_told_full(1);
    for n in 0..150u8 {
        stream.tell(kind::AUDIO, 1, &[n; 160]);
    }
    press(&stream, 1, "*");
    stream.turn_over(1);
    let words = drawn(&stream.take_until(kind::DONE));
    let heard: Vec<_> = words.iter().filter(|word| word.contains("Audio")).collect();
    // 2 s of 20 ms frames: the last hundred.
    assert_eq!(heard.len(), 100);
    assert!(heard[0].starts_with("1:Audio([50, 50") && heard[99].starts_with("1:Audio([149, 149"));
    assert!(words.contains(&"1:Digit('*')".to_owned()));
    let line = plugin.wait_for_line("audio of the caller was dropped");
    assert_eq!(line.fields, r#"{"call":"CA1","frames":50}"#);
}

#[test]
fn too_much_control_is_answered_with_an_error() {
    let plugin = opened();
    let stream = plugin.start_with(role::RESPONDER, INFO, 8192).unwrap();
    press(&stream, 1, "5");
    stream.wait_until_told_full(1);
    let answers: Vec<_> = (0..1025).map(|_| stream.tell(kind::MARK, 1, b"")).collect();
    assert!(answers[..1024].iter().all(|answer| *answer == status::OK));
    assert_eq!(answers[1024], status::ERROR);
}

#[test]
fn description_says_that_it_hears() {
    let json: serde_json::Value = serde_json::from_str(&describe(plugin_table())).unwrap();
    assert_eq!(
        json["responder"],
        serde_json::json!({"hears_audio": true, "turns": "host", "speaks_first": false, "takes_digits": false,
            "takes_silence": false})
    );
    assert_eq!(json["schema"]["additionalProperties"], false);
}
