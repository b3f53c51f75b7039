//! The transcriber of the README at work, through its table.

#![cfg(feature = "sdk")]
#![allow(clippy::unwrap_used)]

mod host;
#[path = "../examples/stopwatch.rs"]
mod stopwatch;

use host::open;
use voice_plugin::abi::{kind, role};

const INFO: &str =
    r#"{"format":{"encoding":"s16le","rate":16000},"settings":{"unit":"milliseconds"}}"#;

#[test]
fn each_stretch_is_timed_and_answered_once() {
    let plugin = open(stopwatch::plugin_table(), "{}").unwrap();
    let stream = plugin.start(role::STT, INFO).unwrap();
    for (stretch, frames, words) in [(1, 2, "40 milliseconds"), (2, 3, "60 milliseconds")] {
        stream.tell(kind::SPEECH_START, stretch, b"");
        for _ in 0..frames {
            stream.tell(kind::AUDIO, stretch, &[0; 640]);
        }
        stream.turn_over(stretch);
        let records = stream.take_until(kind::TEXT);
        let said = records.iter().map(|record| (record.turn, record.text()));
        assert_eq!(said.collect::<Vec<_>>(), [(stretch, words)]);
    }
}

#[test]
fn the_readme_shows_it() {
    let code = include_str!("../examples/stopwatch.rs");
    let (_, code) = code.split_once("\n\n").unwrap();
    assert!(include_str!("../README.md").contains(code));
}
