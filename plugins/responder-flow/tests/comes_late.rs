//! A flow that comes to a call which has begun, as a fallback does: it begins at its start, or where a flow of its name was
//! before, and knows what was kept.

#![allow(clippy::unwrap_used)]

#[path = "../../../plugin-api/tests/host/mod.rs"]
mod host;

use host::open;
use responder_flow::plugin_table;
use serde_json::json;
use voice_plugin::abi::{kind, role};

const FLOW: &str = r#"
languages = ["en"]
start     = "bye"
[variables]
order = "unknown"
[hang_up.bye]
prompt.en = "Order {order} from {caller}."
"#;

#[test]
fn variables_that_were_kept_are_there_but_for_the_calls_own() {
    let desk = open(plugin_table(), &json!({ "flow": FLOW }).to_string()).unwrap();
    for (variables, said) in [
        (json!({}), "Order unknown from +1."),
        (
            json!({"order": "17", "caller": "somebody"}),
            "Order 17 from +1.",
        ),
    ] {
        let info = json!({
            "call": {"sid": "CA1", "from": "+1", "to": "+2", "parameters": {}},
            "language": "en",
            "history": [{"caller": "hello"}],
            "variables": variables,
        });
        let stream = desk.start(role::RESPONDER, &info.to_string()).unwrap();
        stream.turn_over(1);
        let records = stream.take_until(kind::DONE);
        let text = records.iter().find(|record| record.kind == kind::TEXT);
        assert_eq!(text.unwrap().text(), said);
        stream.stop();
    }
}

const RESUMES: &str = r#"
languages = ["en"]
resume    = "desk"
start     = "main"
[menu.main]
prompt    = "Sales or a table?"
otherwise = "bye"
branch    = [{ words = ["a table"], to = "table" }, { words = ["sales"], to = "hold" }]
[say.hold]
prompt = "One moment."
next   = "bye"
[collect.table]
prompt    = "For how many?"
into      = "guests"
max       = 1
next      = "bye"
otherwise = "bye"
[hang_up.bye]
prompt = "Goodbye. {guests}"
"#;

/// A call with these variables, in which the caller says this: what is said, and what is kept of where he is.
fn goes_on(variables: &serde_json::Value, words: &str) -> (String, Vec<String>) {
    let desk = open(plugin_table(), &json!({ "flow": RESUMES }).to_string()).unwrap();
    let info = json!({"call": {"sid": "CA1", "from": "+1", "to": "+2"}, "language": "en", "variables": variables});
    let stream = desk.start(role::RESPONDER, &info.to_string()).unwrap();
    stream.tell(kind::TEXT, 1, words.as_bytes());
    stream.turn_over(1);
    let records = stream.take_until(kind::DONE);
    stream.stop();
    let text = records.iter().find(|record| record.kind == kind::TEXT);
    let kept = records
        .iter()
        .filter(|record| record.text().contains("flow.desk"));
    (
        text.unwrap().text().to_owned(),
        kept.map(|record| record.text().to_owned()).collect(),
    )
}

#[test]
fn a_flow_with_a_name_goes_on_where_it_was_and_says_where_it_is() {
    let place = |label: &str| format!(r#"{{"do":"set","name":"flow.desk","value":"{label}"}}"#);
    for (variables, words, said, kept) in [
        // Nobody has been here: what he says is heard after the first question.
        (
            json!({}),
            "a table",
            "Sales or a table?",
            vec![place("main")],
        ),
        (
            json!({"flow.desk": "main"}),
            "a table",
            "For how many?",
            vec![place("table")],
        ),
        (json!({"flow.desk": "table"}), "two", "Goodbye. 2", vec![]),
        // Gone, or no place where anybody is asked, or another flow's.
        (
            json!({"flow.desk": "tables"}),
            "two",
            "Sales or a table?",
            vec![place("main")],
        ),
        (
            json!({"flow.desk": "hold"}),
            "two",
            "Sales or a table?",
            vec![place("main")],
        ),
        (
            json!({"flow.shop": "table"}),
            "two",
            "Sales or a table?",
            vec![place("main")],
        ),
    ] {
        assert_eq!(
            goes_on(&variables, words),
            (said.to_owned(), kept),
            "{variables}"
        );
    }
}
