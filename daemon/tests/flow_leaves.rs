//! A flow that takes the caller elsewhere and gets him back: keys pressed on the line, and transfers, by how they went.
//! Whole calls through the simulated phone, which dials nobody and reports what it is told to.

#![allow(clippy::unwrap_used)]

mod support;

use support::Daemon;
use support::callers::{heard, in_between, record, ring, walking};
use voice_streamer::phone::{Report, Script, Step, Transfer};

const FLOW: &str = r#"
languages = ["en"]
start     = "main"

[variables]
code     = "12#"
operator = "+15550123"
nobody   = ""

[menu.main]
prompt    = "Main menu."
otherwise = "thanks"
branch = [
  { digit = "1", to = "person" }, { digit = "2", to = "door" }, { digit = "3", to = "lost" }, { digit = "4", to = "typed" },
]

[transfer.person]
prompt    = "One moment."
to        = "{operator}"
completed = "thanks"
busy      = "busy"
no_answer = "away"
failed    = "broken"

[hang_up.thanks]
prompt = "Thank you."
[hang_up.busy]
prompt = "The line is {outcome}."
[hang_up.away]
prompt = "Nobody answers."
[hang_up.broken]
prompt = "That did not work."

[transfer.lost]
to        = "{nobody}"
completed = "thanks"
otherwise = "broken"

[collect.typed]
prompt    = "Which number?"
into      = "number"
max       = 3
next      = "there"
otherwise = "broken"
[transfer.there]
to        = "{number}"
completed = "thanks"
otherwise = "broken"

[keys.door]
prompt = "I am opening."
digits = "w{code}"
next   = "opened"
[hang_up.opened]
prompt = "The door is open."
"#;

/// The first two after the agent has begun a sentence, the others without waiting.
fn pressing(keys: &str) -> Script {
    let mut keys = keys.chars().map(Step::Press);
    let mut steps = in_between(keys.by_ref().take(2).collect());
    steps.extend(keys);
    Script::of(steps)
}

/// Why the call ended.
fn reason(daemon: &Daemon, report: &Report) -> String {
    let call = daemon.json(&format!("/api/calls/{}/", report.call_sid));
    call["ended_reason"].as_str().unwrap().to_owned()
}

#[test]
fn keys_are_pressed_on_the_line_and_the_flow_goes_on_at_the_next_node() {
    let daemon = walking(FLOW, "");
    let report = ring(&daemon, pressing("2"));
    let said = ["Main menu.", "I am opening.", "The door is open."];
    heard(&daemon, &report, &said);
    assert_eq!(
        report.then,
        ["redirect", "press w12#", "redirect", "hang up"]
    );
    assert_eq!((report.streams, report.violations), (2, 0));
    assert_eq!(reason(&daemon, &report), "agent_hung_up");
}

#[test]
fn each_end_of_a_transfer_has_its_way() {
    let daemon = walking(FLOW, "");
    for (outcome, last) in [
        ("completed", "Thank you."),
        ("busy", "The line is busy."),
        ("no-answer", "Nobody answers."),
        ("failed", "That did not work."),
        ("canceled", "That did not work."),
    ] {
        let script = pressing("1").transferred(Transfer::Ends(outcome));
        let report = ring(&daemon, script);
        heard(&daemon, &report, &["Main menu.", "One moment.", last]);
        assert_eq!(
            report.then[..2],
            ["redirect", "dial +15550123"],
            "{outcome}"
        );
        assert_eq!(reason(&daemon, &report), "agent_hung_up");
    }
}

#[test]
fn who_is_connected_and_hangs_up_was_transferred() {
    let daemon = walking(FLOW, "");
    let report = ring(&daemon, pressing("1").transferred(Transfer::CallerHangsUp));
    heard(&daemon, &report, &["Main menu.", "One moment."]);
    assert_eq!(report.then, ["redirect", "dial +15550123"]);
    assert_eq!(reason(&daemon, &report), "transferred");
}

#[test]
fn what_is_no_number_is_not_dialled_but_fails() {
    let daemon = walking(FLOW, "");
    let report = ring(&daemon, pressing("3"));
    heard(&daemon, &report, &["Main menu.", "That did not work."]);
    let none = "lost: there is no number to connect to";
    assert_eq!(record(&daemon, &report, "note"), [none]);

    let report = ring(&daemon, pressing("455#"));
    let said = ["Main menu.", "Which number?", "That did not work."];
    heard(&daemon, &report, &said);
    let bad = "there: “55” is no number to connect to, which is + and 3 to 15 digits, a short number of 3 to 6 digits, \
               or sip:name@host";
    assert_eq!(record(&daemon, &report, "note"), [bad]);
    assert_eq!(report.streams, 1);

    let report = ring(&daemon, pressing("4911"));
    assert_eq!(report.then[..2], ["redirect", "dial 911"]);
}
