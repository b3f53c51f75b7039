//! A flow that asks somebody's HTTP server on its way: whole calls through the simulated phone, the server in the test's
//! hand.

#![allow(clippy::unwrap_used)]

mod support;

use fakes::by_hand::{Request, Server};
use serde_json::json;
use std::path::Path;
use support::callers::{heard, in_between, listens, presses, record, ring, walking};
use support::{Daemon, until};
use voice_streamer::phone::{Report, Script, Step};

/// Asks before the first word, greets the caller by what was answered, and says so if nothing was.
fn flow(url: &str) -> String {
    format!(
        r#"
languages = ["en"]
start     = "ask"

[variables]
shop = "7"

[webhook.ask]
url        = "{url}"
timeout_ms = 500
sets       = ["name", "tier"]
may_go     = ["closed"]
next       = "tier"
error      = "alone"

[choose.tier]
variable  = "tier"
cases     = {{ "gold" = "gold", "2" = "second" }}
otherwise = "anybody"

[hang_up.gold]
prompt = "Welcome, {{name}}."
[hang_up.second]
prompt = "Hello, {{name}}."
[hang_up.anybody]
prompt = "Hello."
[hang_up.closed]
prompt = "We are closed."

[note.alone]
text   = "{{error}}"
next   = "sorry"
[hang_up.sorry]
prompt = "Sorry."
"#
    )
}

/// What a server does with a request.
type Answer = Box<dyn Fn(Request)>;

/// A call while the server does this.
fn call_while(daemon: &Daemon, steps: Vec<Step>, serve: impl FnOnce()) -> Report {
    std::thread::scope(|scope| {
        let call = scope.spawn(|| ring(daemon, Script::of(steps)));
        serve();
        call.join().unwrap()
    })
}

#[test]
fn what_the_server_answers_is_said_and_decides() {
    let server = Server::start();
    let daemon = walking(&flow(&server.url()), "authorization = \"Bearer canary\"\n");
    let report = call_while(&daemon, Vec::new(), || {
        let request = server.request();
        let head = request.head.to_lowercase();
        assert!(
            head.starts_with("post /bot?token=canary http/1.1\r\n"),
            "{head}"
        );
        for line in [
            "authorization: bearer canary\r\n",
            "content-type: application/json\r\n",
        ] {
            assert!(head.contains(line), "{head}");
        }
        // As the README promises: these members and no others.
        let sid = request.body["call"]["sid"].as_str().unwrap().to_owned();
        let variables = json!({
            "call": sid, "caller": "+15550123", "called": "+15550100", "language": "en", "shop": "7"
        });
        let call = json!({"sid": sid, "from": "+15550123", "to": "+15550100", "parameters": {}});
        assert_eq!(
            request.body,
            json!({"call": call, "node": "ask", "language": "en", "variables": variables})
        );
        request.says(json!({"set": {"name": "Ann", "tier": "gold", "more": "x"}}));
    });
    heard(&daemon, &report, &["Welcome, Ann."]);
    for (answer, said) in [
        (json!({"set": {"name": "Ann", "tier": 2}}), "Hello, Ann."),
        (json!({"set": {"tier": null}}), "Hello."),
        (json!({"next": "closed"}), "We are closed."),
        (json!({}), "Hello."),
    ] {
        let report = call_while(&daemon, Vec::new(), || {
            server.request().says(answer.clone());
        });
        heard(&daemon, &report, &[said]);
    }
    let told = daemon.get("/audio/api/logs/?limit=200").1;
    assert!(!(daemon.log() + &told).contains("canary"), "{told}");
}

#[test]
fn whatever_goes_wrong_leads_on_by_the_error_way_and_is_written_down() {
    let server = Server::start();
    let daemon = walking(&flow(&server.url()), "");
    let answers: Vec<(&str, Answer)> = vec![
        (
            "it answered 500 Internal Server Error",
            Box::new(|request| request.answer("500 Oh", "text/plain", "broken")),
        ),
        (
            "it answered 302 Found, and redirects are not followed",
            Box::new(|mut request| {
                request.write(
                    "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n",
                );
                request.done();
            }),
        ),
        (
            "its answer cannot be read: expected value at line 1 column 1",
            Box::new(|request| request.answer("200 OK", "text/html", "<b>Hello</b>")),
        ),
        (
            "its answer is longer than 65536 bytes",
            Box::new(|request| {
                request.answer("200 OK", "application/json", &" ".repeat(70_000));
            }),
        ),
        (
            "it named `gold`, which is none of its `may_go`",
            Box::new(|request| request.says(json!({"next": "gold"}))),
        ),
        (
            "no answer within 500 ms",
            Box::new(Request::wait_until_dropped),
        ),
    ];
    for (why, answer) in answers {
        let report = call_while(&daemon, Vec::new(), || answer(server.request()));
        heard(&daemon, &report, &["Sorry."]);
        let failed = format!("ask: the webhook failed: {why}");
        assert_eq!(record(&daemon, &report, "note"), [&failed, why]);
    }
    assert!(!server.is_asked(), "it was asked a second time");
    let told = daemon.get("/audio/api/logs/?limit=200").1;
    assert!(!(daemon.log() + &told).contains("canary"), "{told}");
}

#[test]
fn a_server_that_is_not_there_is_told_from_one_that_is_slow() {
    let daemon = walking(&flow(&format!("http://{}/", Server::nobody())), "");
    let report = ring(&daemon, Script::of(Vec::new()));
    heard(&daemon, &report, &["Sorry."]);
    let notes = record(&daemon, &report, "note");
    assert!(notes[1].contains("Connection refused"), "{notes:?}");
}

#[test]
fn the_dentists_example_makes_an_appointment_by_keys() {
    let server = Server::start();
    let example = "../plugins/responder-flow/examples/dentist.toml";
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join(example);
    let flow = std::fs::read_to_string(example).unwrap();
    let url = format!("http://{}/book", server.address);
    let messages = tempfile::tempdir().unwrap();
    let recordings = format!("recordings = \"{}\"\n", messages.path().display());
    let daemon = walking(
        &flow.replace("http://127.0.0.1:8000/book", &url),
        &recordings,
    );
    let mut steps = in_between(vec![Step::Press('2')]);
    for keys in ["0311", "1", "0930"] {
        steps.extend(listens());
        steps.extend(presses(keys));
    }
    let report = call_while(&daemon, steps, || {
        let request = server.request();
        let variables = &request.body["variables"];
        assert_eq!(
            (&variables["date"], &variables["time"]),
            (&json!("0311"), &json!("0930"))
        );
        request.says(json!({"set": {"when": "the third of November at half past nine"}}));
    });
    heard(
        &daemon,
        &report,
        &[
            "Hello, this is Doctor Ada's dental practice.",
            "Which day?",
            "You said 0 3 1 1.",
            "At what time?",
            "One moment, please.",
            "You have an appointment on the third of November at half past nine.",
            "Goodbye.",
        ],
    );
}

/// The second question is asked with a sentence before it.
fn patient(url: &str) -> String {
    let flow = flow(url).replace("timeout_ms = 500", "timeout_ms = 20000");
    flow.replace("[webhook.ask]", "[webhook.ask]\nprompt = \"One moment.\"")
}

#[test]
fn who_presses_a_key_while_the_server_thinks_gets_its_answer_all_the_same() {
    let server = Server::start();
    let daemon = walking(&patient(&server.url()), "");
    let keys = vec![Step::WaitForVoice { most_ms: 9000 }, Step::Press('5')];
    let report = call_while(&daemon, keys, || {
        let request = server.request();
        let sid = request.body["call"]["sid"].as_str().unwrap();
        let path = format!("/audio/api/logs/?event=digit&call={sid}");
        until("the key is pressed", || {
            let rows = daemon.json(&path);
            (!rows["logs"].as_array().unwrap().is_empty()).then_some(())
        });
        request.says(json!({"set": {"name": "Ann", "tier": "gold"}}));
    });
    heard(&daemon, &report, &["One moment.", "Welcome, Ann."]);
    daemon.is_whole();
}

#[test]
fn who_hangs_up_while_the_server_thinks_ends_the_question() {
    let server = Server::start();
    let daemon = walking(&patient(&server.url()), "");
    let steps = vec![Step::WaitForVoice { most_ms: 9000 }, Step::HangUp];
    let report = call_while(&daemon, steps, || server.request().wait_until_dropped());
    heard(&daemon, &report, &["One moment."]);
    let call = daemon.json(&format!("/api/calls/{}/", report.call_sid));
    assert_eq!(call["ended_reason"], "caller_hung_up", "{call}");
    daemon.is_whole();
}
