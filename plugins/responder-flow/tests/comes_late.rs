//! A flow that comes to a call which has begun, as a fallback does: it begins at its start, and knows what was kept.

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
