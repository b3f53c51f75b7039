//! The voice of the README at work, through its table.

#![cfg(feature = "sdk")]
#![allow(clippy::unwrap_used)]

mod host;
#[path = "../examples/hum.rs"]
mod hum;

use host::{open, sound};
use voice_plugin::abi::{kind, role};

#[test]
fn each_letter_is_hummed() {
    let plugin = open(hum::plugin_table(), "{}").unwrap();
    let stream = plugin
        .start(role::TTS, r#"{"settings":{"letter_ms":50}}"#)
        .unwrap();
    stream.tell(kind::SPEAK, 1, b"abc");
    let records = stream.take_until(kind::DONE);
    assert_eq!(sound(&records).len(), 3 * 400);
}

#[test]
fn the_readme_shows_it() {
    let code = include_str!("../examples/hum.rs");
    let (_, code) = code.split_once("\n\n").unwrap();
    assert!(include_str!("../README.md").contains(code));
}
