//! Turns that are withdrawn because the caller had not finished: the flow is where it was before, and hears all of what
//! he says there. What it cannot take back, it does not.

#![allow(clippy::unwrap_used)]

#[path = "../../../plugin-api/tests/host/mod.rs"]
mod host;

use host::{Opened, Stream, open};
use responder_flow::plugin_table;
use serde_json::json;
use voice_plugin::abi::{kind, role};

const FLOW: &str = r#"
languages = ["en"]
start     = "main"

[menu.main]
prompt.en = "Sales or a table?"
otherwise = "bye"
[[menu.main.branch]]
words = ["sales"]
to    = "sales"
[[menu.main.branch]]
words = ["a table"]
to    = "table"

[menu.sales]
prompt.en = "Which product?"
otherwise = "bye"
[[menu.sales.branch]]
words = ["a table"]
to    = "bye"

[menu.table]
prompt.en = "For how many?"
otherwise = "bye"
[[menu.table.branch]]
words = ["two"]
to    = "bye"

[hang_up.bye]
prompt.en = "Goodbye."
"#;

fn desk(flow: &str) -> Opened {
    open(plugin_table(), &json!({ "flow": flow }).to_string()).unwrap()
}

fn call(desk: &Opened) -> Stream<'_> {
    let info = json!({
        "call": {"sid": "CA1", "from": "+1", "to": "+2", "parameters": {}},
        "format": {"encoding": "mulaw", "rate": 8000},
        "language": "en",
        "settings": {},
    });
    let stream = desk.start(role::RESPONDER, &info.to_string()).unwrap();
    stream.turn_over(1);
    assert_eq!(said(&stream), ["Sales or a table?"]);
    stream
}

/// What is said until the turn is done.
fn said(stream: &Stream<'_>) -> Vec<String> {
    let records = stream.take_until(kind::DONE);
    let texts = records.iter().filter(|record| record.kind == kind::TEXT);
    texts.map(|record| record.text().to_owned()).collect()
}

fn says(stream: &Stream<'_>, turn: u32, words: &str) {
    stream.tell(kind::TEXT, turn, words.as_bytes());
    stream.turn_over(turn);
}

#[test]
fn the_flow_is_where_it_was_and_hears_all_of_it_there() {
    let desk = desk(FLOW);
    let stream = call(&desk);
    says(&stream, 2, "sales");
    assert_eq!(said(&stream), ["Which product?"]);
    stream.withdraw(2);
    // At "sales" this would be the way out.
    says(&stream, 3, "no, a table");
    assert_eq!(said(&stream), ["For how many?"]);
    stream.stop();
}

#[test]
fn a_turn_that_was_only_interrupted_stands() {
    let desk = desk(FLOW);
    let stream = call(&desk);
    says(&stream, 2, "sales");
    assert_eq!(said(&stream), ["Which product?"]);
    stream.cancel(2);
    says(&stream, 3, "a table");
    assert_eq!(said(&stream), ["Goodbye."]);
    stream.stop();
}

#[test]
fn a_cough_changes_nothing() {
    let desk = desk(FLOW);
    let stream = call(&desk);
    says(&stream, 2, "sales");
    assert_eq!(said(&stream), ["Which product?"]);
    stream.tell(kind::SPEECH_START, 3, &[]);
    stream.withdraw(3);
    says(&stream, 4, "a table");
    assert_eq!(said(&stream), ["Goodbye."]);
    stream.stop();
}

#[test]
fn one_withdrawn_after_another_leads_back_to_the_same_place() {
    let desk = desk(FLOW);
    let stream = call(&desk);
    for (turn, words) in [(2, "sales"), (3, "sales, I mean"), (4, "sales, a table")] {
        says(&stream, turn, words);
        said(&stream);
        stream.withdraw(turn);
    }
    says(&stream, 5, "a table");
    assert_eq!(said(&stream), ["For how many?"]);
    stream.stop();
}
