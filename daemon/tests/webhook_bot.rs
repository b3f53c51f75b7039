//! A whole call with a bot of the user's own: the very file from the documentation, run by Python, greets, hears,
//! takes a key and is told the end.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use support::{CONFIG, Daemon, phone, speech, until};
use tempfile::TempDir;
use voice_streamer::phone::{Report, Script, Step};

/// One of the examples, running; killed when dropped.
struct Bot {
    child: Child,
    port: u16,
}

impl Bot {
    fn start(file: &str) -> Bot {
        let examples =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/responder-webhook/examples");
        let mut child = Command::new("python3")
            .arg(examples.join(file))
            .arg("0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs the documented example");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = line.trim().parse().expect("the bot says its port");
        Bot { child, port }
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A daemon whose agent is this bot; the bot speaks first.
fn daemon(port: u16) -> Daemon {
    let config = CONFIG
        .replacen("responder = \"echo\"", "responder = \"bot\"", 1)
        .replacen("greeting = \"Hello, this is the echo.\"\n", "", 1)
        .replacen(
            "barge_in = false",
            "barge_in = false\napology_text = \"Sorry.\"",
            1,
        );
    let folder = std::sync::Arc::new(TempDir::new().unwrap());
    let bot = format!(
        "[plugins.bot]\nlibrary = \"responder_webhook\"\nurl = \"http://127.0.0.1:{port}/?token=canary\"\n"
    );
    std::fs::write(folder.path().join("config.toml"), config + &bot).unwrap();
    Daemon::again(&folder)
}

fn ring(daemon: &Daemon, steps: Vec<Step>) -> Report {
    phone(voice_streamer::phone::call(
        &daemon.parrot(),
        Script::of(steps),
        |_, _| (),
    ))
    .unwrap()
}

fn wait() -> Step {
    Step::WaitForAgent { most_ms: 15_000 }
}

/// What the agent said, and the other rows of the call, the oldest first.
fn story(daemon: &Daemon, report: &Report) -> Vec<Value> {
    let path = format!("/audio/api/logs/?call={}", report.call_sid);
    until("the call is closed", || {
        let mut rows = daemon.json(&path)["logs"].as_array().unwrap().clone();
        rows.reverse();
        rows.iter()
            .any(|row| row["event"] == "call_ended")
            .then_some(rows)
    })
}

fn said(rows: &[Value]) -> Vec<&str> {
    let said = rows.iter().filter(|row| row["event"] == "said");
    said.map(|row| row["response_text"].as_str().unwrap())
        .collect()
}

#[test]
fn the_documented_bot_greets_answers_and_takes_a_key() {
    let bot = Bot::start("bot.py");
    let daemon = daemon(bot.port);
    let report = ring(
        &daemon,
        vec![
            wait(),
            Step::Say(speech()),
            wait(),
            Step::Press('5'),
            wait(),
            Step::HangUp,
        ],
    );
    let rows = story(&daemon, &report);
    assert_eq!(
        said(&rows),
        [
            "Hello, this is the bot.",
            "You said something.",
            "You pressed 5."
        ]
    );
    println!("answered after {:?} ms", report.response_ms);
    assert_eq!((report.violations, report.underruns), (0, 0));
}

#[test]
fn a_bot_that_is_not_there_is_named_and_apologised_for() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let daemon = daemon(nobody);
    let report = ring(&daemon, vec![wait(), Step::HangUp]);
    let rows = story(&daemon, &report);
    assert_eq!(said(&rows), ["Sorry."]);
    let text = Value::Array(rows).to_string();
    assert!(
        text.contains(&format!("no answer from http://127.0.0.1:{nobody}/")),
        "{text}"
    );
    assert!(!text.contains("canary"), "{text}");
}

#[test]
fn a_streaming_bot_is_spoken_sentence_by_sentence_while_it_writes() {
    let bot = Bot::start("streaming_bot.py");
    let daemon = daemon(bot.port);
    let report = ring(
        &daemon,
        vec![wait(), Step::Say(speech()), wait(), Step::HangUp],
    );
    let rows = story(&daemon, &report);
    assert_eq!(
        said(&rows),
        [
            "Hello.",
            "Let me think about that.",
            "It will take a while, but not too long.",
            "I have it now."
        ]
    );
    println!("answered after {:?} ms", report.response_ms);
    assert_eq!((report.violations, report.underruns), (0, 0));
}
