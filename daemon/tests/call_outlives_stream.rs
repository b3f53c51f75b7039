//! A call outlives its stream: what follows `<Connect>` asks us how to go on, and each call ends once, for one reason.
//! Carrier and caller are the simulated phone, or single requests of his where a test wants more than a carrier would do.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use support::{CONFIG, Daemon, phone, speech, until};
use voice_streamer::phone::{Line, Report, Script, Step};

const SORRY: &str = "say Sorry, something went wrong. Please call again.";

/// A call that nothing is known of yet.
const SID: &str = "CA0123456789abcdef0123456789abcdef";

fn ring(line: &Line, script: Script) -> Report {
    phone(voice_streamer::phone::call(line, script, |_, _| ())).unwrap()
}

fn wait() -> Step {
    Step::WaitForAgent { most_ms: 15_000 }
}

/// A daemon with this changed in [`CONFIG`].
fn configured(from: &str, to: &str) -> Daemon {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let config = CONFIG.replace(from, to);
    assert_ne!(config, CONFIG);
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    Daemon::again(&folder)
}

/// Status and reason of a call's record, once it is closed.
#[track_caller]
fn record(daemon: &Daemon, sid: &str) -> String {
    until("the record is closed", || {
        let call = daemon.json(&format!("/api/calls/{sid}/"));
        let reason = call["ended_reason"].as_str().unwrap_or("");
        let status = call["status"].as_str().unwrap();
        (!reason.is_empty()).then(|| format!("{status}, {reason}"))
    })
}

/// How many rows of this event the call has.
fn rows(daemon: &Daemon, sid: &str, event: &str) -> usize {
    let logs = daemon.json(&format!("/audio/api/logs/?event={event}&call={sid}"));
    logs["logs"].as_array().unwrap().len()
}

/// The document that the carrier gets when it asks what comes after this stream.
fn after(line: &Line, stream: u32, transfer: &str) -> String {
    let url = format!("/twilio/resume/{stream}/");
    phone(line.ask(&url, SID, transfer)).unwrap()
}

#[test]
fn a_call_that_was_ended_is_hung_up_and_hears_no_sentence() {
    let daemon = configured(
        "end_of_turn_ms = 700",
        "no_input_ms = 1000\nno_input_limit = 1",
    );
    let report = ring(&daemon.parrot(), Script::default());
    assert_eq!(report.then, ["redirect", "hang up"]);
    assert_eq!((report.streams, report.close_code), (1, Some(1000)));
    assert_eq!(record(&daemon, &report.call_sid), "completed, no_input");
}

#[test]
fn who_hangs_up_himself_is_asked_for_no_more() {
    let daemon = Daemon::start("");
    let report = ring(&daemon.parrot(), Script::of(vec![wait(), Step::HangUp]));
    assert_eq!(report.then, [""; 0]);
    assert_eq!(
        record(&daemon, &report.call_sid),
        "completed, caller_hung_up"
    );
}

#[test]
fn a_broken_stream_that_nobody_waits_for_ends_with_a_sentence() {
    let daemon = Daemon::start("[limits]\nreturn_secs = 0\n");
    let steps = vec![wait(), Step::Say(speech()), Step::Break];
    let report = ring(&daemon.parrot(), Script::of(steps));
    assert_eq!(report.then, ["redirect", SORRY, "hang up"]);
    assert_eq!(record(&daemon, &report.call_sid), "completed, stream_lost");
    assert_eq!(rows(&daemon, &report.call_sid, "call_ended"), 1);
}

#[test]
fn a_stream_that_never_opens_is_announced_three_times() {
    let daemon = Daemon::start("");
    let line = daemon.parrot();
    let first = phone(line.webhook(SID)).unwrap();
    let mut documents = vec![first.clone()];
    for stream in 1..3 {
        let document = after(&line, stream, "");
        let next = format!("<Redirect method=\"POST\">/twilio/resume/{}/<", stream + 1);
        assert!(document.contains(&next), "{document}");
        assert_eq!(after(&line, stream, ""), document, "delivered again");
        documents.push(document);
    }
    documents.dedup_by_key(|document| support::token_in(document));
    assert_eq!(documents.len(), 3, "each has a token of its own");
    let late = phone(line.webhook(SID)).unwrap();
    assert!(!late.contains("token"), "the first webhook again: {late}");
    for _ in 0..2 {
        let last = after(&line, 3, "");
        assert!(last.contains("<Say") && last.contains("<Hangup"), "{last}");
    }
    assert_eq!(record(&daemon, SID), "failed, no_stream");
    assert_eq!(rows(&daemon, SID, "call_ended"), 1);
}

#[test]
fn a_call_that_is_not_known_begins_anew_but_not_for_ever() {
    let daemon = Daemon::start("");
    let line = daemon.parrot();
    let document = after(&line, 4, "");
    assert!(document.contains("/twilio/resume/5/<"), "{document}");
    assert_eq!(after(&line, 4, ""), document, "delivered again");
    until("it is on record", || {
        (rows(&daemon, SID, "stream_over") > 0 && rows(&daemon, SID, "call_opened") == 1)
            .then_some(())
    });
    let other = SID.replace("ab", "cd");
    let document = phone(line.ask("/twilio/resume/30/", &other, "")).unwrap();
    assert!(!document.contains("<Connect"), "{document}");
}

#[test]
fn a_restarted_daemon_answers_the_caller_anew() {
    let daemon = Daemon::start("");
    let folder = Arc::clone(daemon.folder());
    let mut before = support::Raw::call(&daemon, SID);
    before.echoes(0, &support::frame_payload(0));
    daemon.kill();
    let daemon = Daemon::again(&folder);
    let document = after(&daemon.live(), 1, "");
    let mut raw = support::Raw::open(&daemon);
    raw.start(SID, &support::token_in(&document));
    raw.echoes(1, &support::frame_payload(1));
    raw.stop();
    until("its record is closed once more", || {
        let call = daemon.json(&format!("/api/calls/{SID}/"));
        (call["ended_reason"] == "caller_hung_up").then_some(())
    });
    assert_eq!(rows(&daemon, SID, "stream_over"), 1, "its record says so");
}

#[test]
fn only_the_carrier_is_answered() {
    let daemon = configured(
        "[http]",
        "[twilio]\nauth_token = \"12345\"\n[http]\npublic_url = \"https://voice.example.com\"",
    );
    let signed = |token: &str| daemon.live().signed(token, "https://voice.example.com");
    let refused = phone(signed("54321").ask("/twilio/resume/1/", SID, "")).unwrap_err();
    assert!(refused.to_string().contains("403"), "{refused}");
    let (status, _) = daemon.webhook("/twilio/resume/1/", SID, "+15550101");
    assert_eq!(status, 403, "unsigned");
    assert_eq!(rows(&daemon, SID, "stream_over"), 0);
    let document = after(&signed("12345"), 1, "");
    let url = "https://voice.example.com/twilio/resume/2/";
    assert!(document.contains(url), "{document}");
    let report = ring(
        &signed("12345"),
        Script::of(vec![Step::Pause { ms: 100 }, Step::HangUp]),
    );
    assert_eq!(report.violations, 0);
}

#[test]
fn what_is_no_question_after_a_stream_is_refused() {
    let daemon = Daemon::start("");
    let asked = format!("CallSid={SID}&AccountSid=AC1&From=%2B1&To=%2B15550100");
    for (path, status) in [
        ("/twilio/resume/", 404),
        ("/twilio/resume/x/", 404),
        ("/twilio/resume/-1/", 404),
        ("/twilio/resume/4294967296/", 404),
        ("/twilio/resume/1/2/", 404),
        ("/twilio/resume/1/", 200),
        ("/twilio/resume/1", 200),
    ] {
        let (found, body) = daemon.get(&format!("{path}?{asked}"));
        assert_eq!(found, status, "{path}: {body}");
    }
    assert_eq!(daemon.get("/twilio/resume/1/").0, 400, "without a call");
    let deleted = daemon.send("DELETE", "/twilio/resume/1/", &[], "");
    assert_eq!(deleted.status, 405);
    let gone = format!("/twilio/resume/2/?{asked}&CallStatus=completed");
    let (status, body) = daemon.get(&gone);
    assert!(status == 200 && body.contains("<Hangup"), "{body}");
    assert_eq!(daemon.json("/readyz?verbose")["calls"], 0, "it has hung up");
    daemon.is_whole();
}
