//! The example at work, through its table.

#![allow(clippy::unwrap_used)]

#[path = "../../../tests/host/mod.rs"]
mod host;

use host::open;
use voice_plugin::abi::{kind, role};

#[test]
fn each_turn_is_counted_in_its_own_call() {
    let plugin = open(shout::plugin_table(), r#"{"words":"Aye."}"#).unwrap();
    let (one, other) = (
        plugin.start(role::RESPONDER, "{}"),
        plugin.start(role::RESPONDER, "{}"),
    );
    let (one, other) = (one.unwrap(), other.unwrap());
    for (stream, turn, words) in [
        (&one, 1, "Aye. That was number 1."),
        (&one, 2, "Aye. That was number 2."),
        (&other, 1, "Aye. That was number 1."),
    ] {
        stream.turn_over(turn);
        let records = stream.take_until(kind::DONE);
        assert_eq!(
            (records[0].kind, records[0].turn, records[0].text()),
            (kind::TEXT, turn, words)
        );
    }
}

#[test]
fn misspelt_key_is_refused_by_name() {
    let Err(refused) = open(shout::plugin_table(), r#"{"wrods":"Aye."}"#) else {
        panic!("opened")
    };
    assert!(
        refused.text.contains("unknown field `wrods`"),
        "{}",
        refused.text
    );
}
