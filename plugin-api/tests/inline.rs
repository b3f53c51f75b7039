//! An inline responder made with `export!`, driven through its table: it runs inside `send`, so everything it says is
//! in the ring when `send` returns.

#![cfg(feature = "sdk")]
#![allow(clippy::unwrap_used)]

mod host;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

use host::{describe, open, Opened};
use voice_plugin::abi::{flag, kind, role, status, VpEvent};
use voice_plugin::prelude::*;

/// Writes every event down as text; `9` panics, `8` says done and hangs up, `7` fills the ring and says when it was
/// full.
struct Scribe {
    shared: Arc<Shared>,
}

struct Shared {
    calls: AtomicU32,
    host: Host,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    panic: bool,
}

impl Inline for Scribe {
    type Config = Config;
    type Shared = Shared;
    const HEARS_AUDIO: bool = true;

    fn open(config: Config, host: Host) -> Result<Shared> {
        assert!(!config.panic, "told to");
        Ok(Shared {
            calls: AtomicU32::new(0),
            host,
        })
    }

    fn start(shared: &Arc<Shared>, info: &StartInfo, out: &mut Out<'_>) -> Result<Self> {
        match info.call.sid.as_str() {
            "refuse" => return Err("not this caller".into()),
            "panic" => panic!("never this caller"),
            _ => {}
        }
        assert_eq!(out.own_turns(), Sent::Yes);
        shared.calls.fetch_add(1, Ordering::SeqCst);
        Ok(Scribe {
            shared: shared.clone(),
        })
    }

    fn on(&mut self, event: InlineEvent<'_>, out: &mut Out<'_>) {
        match event {
            InlineEvent::Digit { digit: '9', .. } => panic!("nine"),
            InlineEvent::Digit { turn, digit: '8' } => {
                assert_eq!((out.done(turn), out.hang_up(turn)), (Sent::Yes, Sent::Yes));
            }
            InlineEvent::Digit { turn, digit: '7' } => {
                while out.audio(turn, &[7; 160]) == Sent::Yes {}
                assert_eq!(out.audio(turn, &[7; 160]), Sent::Full);
                assert_eq!(out.audio(turn, &[7; 100_000]), Sent::Refused);
                assert_eq!(out.failed(turn, "full"), Sent::Yes);
            }
            InlineEvent::Digit { turn, .. } => {
                assert_eq!(out.text(turn, "unwanted"), Sent::Cancelled);
            }
            InlineEvent::Writable => assert_eq!(out.text(u32::MAX, "room again"), Sent::Yes),
            other => assert_eq!(out.text(1, &format!("{other:?}")), Sent::Yes),
        }
    }
}

impl Drop for Scribe {
    fn drop(&mut self) {
        self.shared.host.info("put away");
    }
}

voice_plugin::export!(inline: Scribe);

fn opened() -> Opened {
    open(plugin_table(), "{}").unwrap()
}

#[test]
fn every_event_is_lent_as_it_came() {
    let plugin = opened();
    let stream = plugin.start(role::RESPONDER, "{}").unwrap();
    let (mut audio, mut over) = (
        VpEvent::new(kind::AUDIO, 2, b"\x01"),
        VpEvent::new(kind::SPEECH_END, 2, b""),
    );
    audio.at = 800;
    over.flags = flag::LAST;
    let events = [
        VpEvent::new(kind::SPEECH_START, 2, b""),
        audio,
        VpEvent::new(kind::PARTIAL, 2, b"good"),
        VpEvent::new(kind::TEXT, 2, b"good day"),
        VpEvent::new(kind::TEXT, 2, b"\xff"),
        VpEvent::new(0x7fff, 2, b""),
        VpEvent::new(kind::DTMF, 2, b""),
        VpEvent::new(kind::MARK, 9, b""),
        VpEvent::new(kind::CANCEL, 1, b""),
        over,
    ];
    assert_eq!(stream.send(&events), status::OK);
    let records = stream.take();
    assert_eq!(
        (records[0].kind, records[0].text()),
        (kind::ACTION, r#"{"do":"own_turns"}"#)
    );
    let drawn: Vec<_> = records[1..].iter().map(|record| record.text()).collect();
    assert_eq!(
        drawn,
        [
            "SpeechStart { turn: 2, at: 0 }",
            "Audio { turn: 2, at: 800, bytes: [1] }",
            r#"Partial { turn: 2, text: "good" }"#,
            r#"Text { turn: 2, text: "good day" }"#,
            "Heard { utterance: 9 }",
            "Cancelled { turn: 1, heard: \"\", withdrawn: false }",
            "SpeechEnd { turn: 2, at: 0, last: true }",
        ]
    );
}

#[test]
fn panic_costs_one_event_and_no_other() {
    let plugin = opened();
    let stream = plugin.start(role::RESPONDER, "{}").unwrap();
    stream.take();
    let events = [
        VpEvent::new(kind::DTMF, 3, b"9"),
        VpEvent::new(kind::SPEECH_START, 3, b""),
    ];
    assert_eq!(stream.send(&events), status::PANIC);
    let records = stream.take();
    let drawn: Vec<_> = records.iter().map(|r| (r.kind, r.turn, r.text())).collect();
    assert_eq!(
        drawn,
        [
            (kind::FAILED, 3, "the responder panicked: nine"),
            (kind::TEXT, 1, "SpeechStart { turn: 3, at: 0 }")
        ]
    );
    assert!(plugin
        .wait_for_line("nine")
        .text
        .contains("tests/inline.rs:"));
    assert_eq!(stream.tell(kind::SPEECH_START, 4, b""), status::OK);
}

#[test]
fn full_ring_still_takes_control_and_tells_when_there_is_room() {
    let plugin = opened();
    let stream = plugin.start(role::RESPONDER, "{}").unwrap();
    assert_eq!(stream.tell(kind::DTMF, 1, b"7"), status::OK);
    let records = stream.take();
    assert_eq!(
        records.last().map(|r| (r.kind, r.text())),
        Some((kind::FAILED, "full"))
    );
    assert_eq!(stream.take()[0].text(), "room again");
}

#[test]
fn unwanted_turn_is_told_at_the_next_record() {
    let plugin = opened();
    let stream = plugin.start(role::RESPONDER, "{}").unwrap();
    stream.give_up(6);
    assert_eq!(stream.tell(kind::DTMF, 6, b"0"), status::OK);
}

#[test]
fn ending_is_done_and_action() {
    let plugin = opened();
    let stream = plugin.start(role::RESPONDER, "{}").unwrap();
    stream.take();
    stream.tell(kind::DTMF, 2, b"8");
    let kinds: Vec<_> = stream
        .take()
        .iter()
        .map(|record| (record.kind, record.turn))
        .collect();
    assert_eq!(kinds, [(kind::DONE, 2), (kind::ACTION, 2)]);
}

#[test]
fn refused_or_panicking_start_and_open_leave_nothing_behind() {
    let plugin = opened();
    let cases = [
        ("refuse", status::ERROR, "not this caller"),
        ("panic", status::PANIC, "panicked: never this caller"),
    ];
    for (sid, code, text) in cases {
        let info = format!(r#"{{"call":{{"sid":"{sid}"}}}}"#);
        let Err(refused) = plugin.start(role::RESPONDER, &info) else {
            panic!("started")
        };
        assert_eq!(refused.status, code);
        assert!(refused.text.starts_with(text), "{}", refused.text);
    }
    let Err(refused) = open(plugin_table(), r#"{"panic":true}"#) else {
        panic!("opened")
    };
    assert_eq!(refused.status, status::PANIC);
    assert!(refused.text.starts_with("panicked: told to (") && refused.text.contains("inline.rs:"));
    assert!(refused.log.iter().any(|line| line.text.contains("told to")));
}

#[test]
fn stop_puts_the_value_away_and_releases_once() {
    let plugin = opened();
    let watch = plugin.start(role::RESPONDER, "{}").unwrap().stop();
    plugin.wait_for_line("put away");
    drop(plugin);
    watch.assert_released_once();
}

#[test]
fn description_fits_the_contract() {
    let json: serde_json::Value = serde_json::from_str(&describe(plugin_table())).unwrap();
    assert_eq!(
        json["responder"],
        serde_json::json!({"hears_audio": true, "turns": "host"})
    );
    assert_eq!(json["schema"]["properties"]["panic"]["type"], "boolean");
}
