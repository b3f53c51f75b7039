//! What a bot asks for beside words, done in whole calls: the bot is a server in the test's hand, the caller a simulated
//! phone. And what becomes of an action that cannot be done.

#![allow(clippy::unwrap_used)]

mod support;

use fakes::by_hand::{Request, Server};
use serde_json::{Value, json};
use std::sync::Arc;
use support::callers::{found, hears_out, record, ring};
use support::{CONFIG, Daemon, spoken_as};
use voice_streamer::phone::{Report, Script, Step, Transfer};

/// A daemon whose agent is this bot; it speaks first and is asked when nobody speaks.
fn daemon(bot: &Server) -> Daemon {
    let config = CONFIG
        .replacen("responder = \"echo\"", "responder = \"bot\"", 1)
        .replacen("greeting = \"Hello, this is the echo.\"\n", "", 1)
        .replacen(
            "barge_in = false",
            "barge_in = false\napology_text = \"Sorry.\"",
            1,
        );
    let more = format!(
        "[plugins.bot]\nlibrary = \"responder_webhook\"\nurl = \"{}\"\n\
         events = [\"start\", \"digit\", \"silence\", \"returned\"]\n\
         [voices.spanish]\nplugin = \"pico\"\nvoice = \"es-ES\"\n",
        bot.url()
    );
    let folder = Arc::new(tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("config.toml"), config + &more).unwrap();
    Daemon::again(&folder)
}

/// A call while the bot answers.
fn call_while(daemon: &Daemon, script: Script, answer: impl FnOnce()) -> Report {
    std::thread::scope(|scope| {
        let call = scope.spawn(|| ring(daemon, script));
        answer();
        call.join().unwrap()
    })
}

/// The next request, which must be of this event.
#[track_caller]
fn asked(bot: &Server, event: &str) -> Request {
    let request = bot.request();
    assert_eq!(request.body["event"], event, "{}", request.raw);
    request
}

#[test]
fn what_a_bot_asks_for_is_done_in_its_order() {
    let bot = Server::start();
    let daemon = daemon(&bot);
    let script = Script::of(Vec::new()).transferred(Transfer::Ends("busy"));
    let report = call_while(&daemon, script, || {
        let request = asked(&bot, "start");
        assert_eq!(request.body["language"], "en-US");
        request.says(json!({
            "say": "Good morning, this is the bot.",
            "actions": [
                {"do": "set", "name": "order", "value": "17"},
                {"do": "note", "text": "wants a callback"},
                {"do": "language", "language": "es"},
                {"do": "voice", "voice": "spanish"},
                {"do": "silence", "after_ms": 500},
            ],
        }));
        let request = asked(&bot, "silence");
        assert_eq!(request.body["language"], "es");
        assert_eq!(request.body["variables"], json!({"order": "17"}));
        request.says(json!({
            "say": "Ahora marco los números.",
            "actions": [{"do": "send_digits", "digits": "w12#"}],
        }));
        let request = asked(&bot, "returned");
        assert_eq!(request.body["returned"]["after"], "digits");
        request.says(json!({"actions": [{"do": "transfer", "to": "+15550123"}]}));
        let request = asked(&bot, "returned");
        let back = json!({"after": "transfer", "outcome": "busy"});
        assert_eq!(request.body["returned"], back);
        request.says(json!({"say": "Hasta luego.", "actions": [{"do": "hang_up"}]}));
    });
    let said = record(&daemon, &report, "said");
    let words = [
        "Good morning, this is the bot.",
        "Ahora marco los números.",
        "Hasta luego.",
    ];
    assert_eq!(said, words);
    assert_eq!(record(&daemon, &report, "note"), ["wants a callback"]);
    assert_eq!(record(&daemon, &report, "variable"), ["17"]);
    let then = [
        "redirect",
        "press w12#",
        "redirect",
        "dial +15550123",
        "redirect",
        "hang up",
    ];
    assert_eq!(report.then, then);
    assert_eq!((report.streams, report.violations), (3, 0));
    let call = daemon.json(&format!("/api/calls/{}/", report.call_sid));
    assert_eq!(call["ended_reason"], "agent_hung_up", "{call}");
    for (words, voice, other) in [(words[0], "en-US", "es-ES"), (words[1], "es-ES", "en-US")] {
        let (right, wrong) = (
            found(&report.heard, &spoken_as(words, voice)),
            found(&report.heard, &spoken_as(words, other)),
        );
        assert!(
            right > 0.8 && wrong < 0.5,
            "{words} {voice}: {right}, {other}: {wrong}"
        );
    }
}

/// The text of what has failed in a call.
fn failures(daemon: &Daemon, report: &Report) -> Vec<String> {
    let path = format!("/audio/api/logs/?call={}&event=failed", report.call_sid);
    let rows = daemon.json(&path);
    let rows = rows["logs"].as_array().unwrap().iter().rev();
    rows.map(|row| row["detail"].to_string()).collect()
}

/// Once it is told and asked what now; then the turn has failed, and twice in a row the call is over.
#[test]
fn a_bot_that_transfers_to_nobody_again_and_again_does_not_go_round_for_ever() {
    let bot = Server::start();
    let daemon = daemon(&bot);
    let report = call_while(&daemon, Script::of(Vec::new()), || {
        for event in ["start", "returned", "silence", "returned"] {
            let silence = json!({"do": "silence", "after_ms": 500});
            let nobody = json!({"do": "transfer", "to": "nobody"});
            asked(&bot, event).says(json!({"actions": [silence, nobody]}));
        }
    });
    assert_eq!(record(&daemon, &report, "said"), ["Sorry.", "Sorry."]);
    assert_eq!(failures(&daemon, &report).len(), 6);
    let call = daemon.json(&format!("/api/calls/{}/", report.call_sid));
    assert_eq!(call["ended_reason"], "failed", "{call}");
}

#[test]
fn an_action_that_cannot_be_done_is_named_and_the_call_goes_on() {
    let act = |action: Value| json!({"say": "Here.", "actions": [action]});
    let long = "x".repeat(4001);
    // What the bot answers, what the caller hears, and what stands in the record. Two turns that fail in a row without a
    // word would end the call.
    let cases: Vec<(Value, &[&str], &str)> = vec![
        (
            act(json!({"do": "voice", "voice": "nobody"})),
            &["Here."],
            "there is no [voices.nobody]; the one before speaks on",
        ),
        (
            act(json!({"do": "dance"})),
            &["Sorry."],
            "it is not understood (unknown variant `dance`, expected one of `say`, `hang_up`, `transfer`",
        ),
        (
            act(json!({"do": "language", "language": "e s"})),
            &["Here."],
            "bad_action: \\\"e s\\\" is no language such as es or es-ES",
        ),
        (
            act(json!({"do": "transfer"})),
            &["Sorry."],
            "it is not understood (missing field `to`",
        ),
        (
            act(json!({"do": "note", "text": long})),
            &["Here."],
            "bad_action: \\\"text\\\" of the action \\\"note\\\" must have 1 to 4000 bytes, not 4001",
        ),
        (
            act(json!({"do": "hang_up", "when": "now"})),
            &["Sorry."],
            "it is not understood (unknown field `when`",
        ),
        (
            act(json!({"do": "set", "name": "n", "value": long})),
            &["Here."],
            "bad_action: a variable of 4001 bytes is not kept; at most 1000 are",
        ),
        (
            json!({"sey": "Here."}),
            &["Sorry."],
            "it is not understood (unknown field `sey`, expected one of `say`, `piece`, `actions`, `end`",
        ),
        (
            act(json!({"do": "transfer", "to": "5550123"})),
            &["Here.", "I cannot."],
            "bad_action: it wants to transfer to \\\"5550123\\\", which is not + and 3 to 15 digits, a short number",
        ),
        (
            act(json!({"do": "send_digits", "digits": "1-2"})),
            &["Here.", "I cannot."],
            "bad_action: it wants to press \\\"1-2\\\", which is not 1 to 64 of 0-9 * # A-D and w",
        ),
    ];
    let bot = Server::start();
    let daemon = daemon(&bot);
    let mut steps = vec![hears_out()];
    for _ in &cases {
        steps.extend([Step::Press('1'), hears_out()]);
    }
    steps.push(Step::HangUp);
    let report = call_while(&daemon, Script::of(steps), || {
        asked(&bot, "start").says(json!({"say": "Hello."}));
        let mut refused = Value::Null;
        for (answer, heard, words) in &cases {
            let request = asked(&bot, "digit");
            assert_eq!(request.body["refused"][0]["do"], refused, "{}", request.raw);
            request.says(answer.clone());
            let action = &answer["actions"][0]["do"];
            // What would have taken the caller elsewhere is asked about, and what else was not done is told with the next.
            refused = Value::Null;
            match **heard {
                [_, "I cannot."] => {
                    let request = asked(&bot, "returned");
                    let returned = &request.body["returned"];
                    assert_eq!(returned["outcome"], "failed");
                    let reason = returned["reason"].to_string();
                    assert!(reason.contains(words), "{reason}");
                    request.says(json!({"say": "I cannot."}));
                }
                ["Here."] => refused = action.clone(),
                _ => {}
            }
        }
    });
    let heard: Vec<&str> = cases
        .iter()
        .flat_map(|(_, heard, _)| *heard)
        .copied()
        .collect();
    assert_eq!(record(&daemon, &report, "said")[1..], heard);
    let failures = failures(&daemon, &report);
    assert_eq!(failures.len(), cases.len(), "{failures:#?}");
    for (failure, (_, _, words)) in failures.iter().zip(&cases) {
        assert!(failure.contains(words), "{failure}\n--- wanted: {words}");
        assert!(!failure.contains("canary"), "{failure}");
    }
    daemon.is_whole();
}
