//! The calls as programs see them: listed, found, ended and corrected over HTTP, and every refusal with its reason.

#![allow(clippy::unwrap_used)]

mod support;

use fakes::twilio::{ACCOUNT, Fault, TOKEN, Twilio};
use serde_json::{Value, json};
use support::{Daemon, Raw, Reply, frame_payload, until};

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn put(daemon: &Daemon, sid: &str, wanted: &Value) -> Reply {
    let path = format!("/api/calls/{sid}/");
    daemon.send("PUT", &path, &[JSON], &wanted.to_string())
}

fn sid(number: u32) -> String {
    format!("CA{number:032x}")
}

#[test]
fn an_operator_ends_a_running_call() {
    let daemon = Daemon::start("");
    let mut raw = Raw::call(&daemon, &sid(1));
    raw.echoes(1, &frame_payload(1));
    until("it is listed as running", || {
        let running = daemon.json("/api/calls/?status=in-progress");
        (running["calls"][0]["call_sid"] == sid(1)).then_some(())
    });

    let reply = put(&daemon, &sid(1), &json!({"status": "completed"}));
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.json()["status"], "completed");
    assert_eq!(reply.json()["ended_reason"], "operator");
    assert_eq!(raw.close_code(), Some(1000), "the caller's line is closed");

    let record = daemon.json(&format!("/api/calls/{}/", sid(1)));
    assert_eq!(record, reply.json(), "what was answered is what is kept");
    until("the event log says who did it", || {
        let path = format!("/audio/api/logs/?call={}&event=call_hung_up_by", sid(1));
        let row = daemon.json(&path)["logs"].get(0)?.clone();
        (row["detail"]["by"] == "this machine").then_some(())
    });
    let again = put(&daemon, &sid(1), &json!({"status": "completed"}));
    assert_eq!(again.status, 200, "it is so already: {again:?}");
    daemon.is_whole();
}

#[test]
fn a_call_that_is_ended_here_is_ended_at_the_carrier() {
    let twilio = Twilio::start(0).unwrap();
    let daemon = Daemon::start(&format!(
        "[twilio]\naccount_sid = \"{ACCOUNT}\"\nauth_token = \"{TOKEN}\"\nvalidate_signature = false\napi_url = \"{}\"\n",
        twilio.base()
    ));
    for (over, fault) in [
        (false, None),
        (true, None),
        (false, Some(Fault::AnswerAfter(500))),
    ] {
        let sid = twilio.add_call("in-progress");
        let mut raw = Raw::call(&daemon, &sid);
        raw.echoes(1, &frame_payload(1));
        if over {
            twilio.end_call(&sid);
        }
        if let Some(fault) = fault {
            twilio.fault(1, fault);
        }
        let reply = put(&daemon, &sid, &json!({"status": "completed"}));
        assert_eq!(reply.json()["ended_reason"], "operator", "{reply:?}");
        let row = until("the carrier has been told", || {
            let path = format!("/audio/api/logs/?call={sid}&event=ended_at_carrier");
            daemon.json(&path)["logs"].get(0).cloned()
        });
        assert_eq!(row["detail"], json!({"already_over": over}));
        assert_eq!(twilio.call(&sid)["status"], "completed");
    }
    assert_eq!(twilio.violations(), Vec::<String>::new());
    daemon.is_whole();
}

#[test]
fn a_call_that_waits_for_its_stream_is_ended_and_its_token_with_it() {
    let daemon = Daemon::start("");
    let token = daemon.token(&sid(2));
    let reply = put(&daemon, &sid(2), &json!({"status": "completed"}));
    assert_eq!(reply.json()["ended_reason"], "operator", "{reply:?}");
    let mut raw = Raw::open(&daemon);
    raw.start(&sid(2), &token);
    assert_eq!(
        raw.close_code(),
        Some(1008),
        "the token is no good any more"
    );
    let record = daemon.json(&format!("/api/calls/{}/", sid(2)));
    assert_eq!(record, reply.json());
}

#[test]
fn an_ended_call_is_corrected_and_nothing_is_lost() {
    let daemon = Daemon::start("");
    daemon.token(&sid(3));
    let ended = put(&daemon, &sid(3), &json!({"status": "completed"})).json();

    let mut whole = ended.clone();
    assert_eq!(put(&daemon, &sid(3), &whole).json(), ended, "as it was got");
    whole["from_number"] = json!("+34910000000");
    whole["status"] = json!("no-answer");
    whole["duration"] = json!(2.5);
    let corrected = put(&daemon, &sid(3), &whole);
    assert_eq!(corrected.status, 200, "{corrected:?}");
    let corrected = corrected.json();
    assert_eq!(corrected["from_number"], "+34910000000");
    assert_eq!(corrected["status"], "no-answer");
    assert_eq!(corrected["duration"], 2.5);
    assert_eq!(corrected["to_number"], ended["to_number"]);
    let kept = until("what stood there before", || {
        let path = format!("/audio/api/logs/?call={}&event=call_changed_by", sid(3));
        daemon.json(&path)["logs"].get(0).cloned()
    });
    let before = &kept["detail"]["before"];
    assert_eq!(before["from_number"], ended["from_number"]);
    assert_eq!(before["status"], "completed");

    // Somebody still holds what he got before the correction.
    whole["to_number"] = json!("+34910000001");
    let detail = put(&daemon, &sid(3), &whole).problem(409);
    assert!(detail.contains("meanwhile"), "{detail}");
}

#[test]
fn every_refusal_says_why() {
    let daemon = Daemon::start("");
    let mut raw = Raw::call(&daemon, &sid(4));
    raw.echoes(1, &frame_payload(1));
    let path = format!("/api/calls/{}/", sid(4));
    let completed = r#"{"status":"completed"}"#;
    for (reply, status) in [
        (
            put(&daemon, "CAnobody", &json!({"status": "completed"})),
            404,
        ),
        (daemon.send("GET", "/api/calls/CAnobody/", &[], ""), 404),
        (put(&daemon, &sid(4), &json!({"statsu": "completed"})), 400),
        (put(&daemon, &sid(4), &json!({"status": "levitating"})), 400),
        (put(&daemon, &sid(4), &json!(["status"])), 400),
        (daemon.send("PUT", &path, &[JSON], "{"), 400),
        (daemon.send("PUT", &path, &[], completed), 415),
        (
            daemon.send("PUT", &path, &[("Content-Type", "text/plain")], completed),
            415,
        ),
        (daemon.send("PUT", &path, &[JSON], &" ".repeat(65_537)), 413),
        (put(&daemon, &sid(4), &json!({"status": "busy"})), 409),
        (put(&daemon, &sid(4), &json!({"from_number": "+1"})), 409),
        (put(&daemon, &sid(4), &json!({"call_sid": "CA5"})), 409),
        (daemon.send("DELETE", &path, &[], ""), 405),
        (
            daemon.send("GET", "/api/calls/?created_from=soon", &[], ""),
            400,
        ),
        (daemon.send("GET", "/api/calls/?stat=x", &[], ""), 400),
        (daemon.send("GET", "/api/calls/?before=x", &[], ""), 400),
    ] {
        assert!(!reply.problem(status).is_empty());
    }
    // A page of another site, opened on this machine, is not this machine's user.
    for header in [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
    ] {
        daemon
            .send("PUT", &path, &[JSON, header], completed)
            .problem(403);
    }
    raw.echoes(2, &frame_payload(2));
    daemon.is_whole();
}

#[test]
fn calls_are_filtered_and_paged() {
    let daemon = Daemon::start("");
    for number in 10..15 {
        daemon.token(&sid(number));
    }
    put(&daemon, &sid(12), &json!({"status": "completed"}));
    let found = |query: &str| -> Vec<String> {
        let page = daemon.json(&format!("/api/calls/?{query}"));
        let calls = page["calls"].as_array().unwrap().clone();
        let sids = calls
            .iter()
            .map(|call| call["call_sid"].as_str().unwrap().to_owned());
        sids.collect()
    };
    let newest_first: Vec<String> = (10..15).rev().map(sid).collect();
    assert_eq!(found(""), newest_first);
    assert_eq!(found("status=completed"), [sid(12)]);
    assert_eq!(found(&format!("search={}", &sid(13)[20..])), [sid(13)]);
    assert_eq!(found("search=5550123"), newest_first, "the caller's number");
    assert_eq!(
        found("search=%2B15550101"),
        newest_first,
        "the number called"
    );
    assert_eq!(found("search=%2B49"), [""; 0]);
    assert_eq!(found("created_from=2020-01-01"), newest_first);
    assert_eq!(found("created_until=2020-01-01"), [""; 0]);
    let first = daemon.json("/api/calls/?limit=2");
    assert_eq!(first["calls"].as_array().unwrap().len(), 2);
    let next = first["next"].as_u64().unwrap();
    assert_eq!(found(&format!("limit=9&before={next}")), newest_first[2..]);
}
