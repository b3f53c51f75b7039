//! A call goes on after its stream: with the responder it had, on the thread it had, once, and within its limits. A
//! responder in C counts the turns, so that whoever begins anew is found out.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use support::{CONFIG, Daemon, Raw, compile_plugin, frame_payload, phone, speech, token_in, until};
use voice_streamer::phone::{Line, Report, Script, Step, Transfer};

/// A call with the live echo.
const SID: &str = "CA0123456789abcdef0123456789abcdef";

const SORRY: &str = "say Sorry, something went wrong. Please call again.";

/// A daemon whose agent counts, with further tables.
fn counting(more: &str) -> Daemon {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    compile_plugin("counts", folder.path());
    let config = CONFIG.replacen("responder = \"echo\"", "responder = \"counts\"", 1);
    let plugin = "[plugins.counts]\nlibrary = \"./libcounts.so\"\n";
    std::fs::write(
        folder.path().join("config.toml"),
        format!("{config}{plugin}{more}"),
    )
    .unwrap();
    Daemon::again(&folder)
}

fn ring(daemon: &Daemon, script: Script) -> Report {
    phone(voice_streamer::phone::call(
        &daemon.parrot(),
        script,
        |_, _| (),
    ))
    .unwrap()
}

fn wait() -> Step {
    Step::WaitForAgent { most_ms: 15_000 }
}

/// The caller hears the greeting, does this, hears the answer and hangs up.
fn then(steps: impl IntoIterator<Item = Step>) -> Script {
    let steps = [wait()].into_iter().chain(steps);
    Script::of(steps.chain([wait(), Step::HangUp]).collect())
}

/// What the agent said to the end of the call, oldest first, without the greeting; and why the call ended.
#[track_caller]
fn said(daemon: &Daemon, sid: &str) -> (Vec<String>, String) {
    let reason = reason(daemon, sid);
    let rows = daemon.json(&format!("/audio/api/logs/?event=said&call={sid}"));
    let rows = rows["logs"].as_array().unwrap().iter().rev();
    let texts = rows.map(|row| row["response_text"].as_str().unwrap().to_owned());
    let rest = texts.skip_while(|text| text.starts_with("Hello"));
    (rest.collect(), reason)
}

/// Why a call ended, which it did once.
#[track_caller]
fn reason(daemon: &Daemon, sid: &str) -> String {
    let reason = until("the record is closed", || {
        let call = daemon.json(&format!("/api/calls/{sid}/"));
        let reason = call["ended_reason"].as_str().unwrap();
        (!reason.is_empty()).then(|| reason.to_owned())
    });
    until("its end is in the log", || {
        let ends = daemon.json(&format!("/audio/api/logs/?event=call_ended&call={sid}"));
        let ends = ends["logs"].as_array().unwrap().len();
        assert!(ends <= 1, "it ended {ends} times");
        (ends == 1).then_some(())
    });
    reason
}

/// The document that the carrier gets when it asks what comes after this stream.
fn after(line: &Line, sid: &str, stream: u32) -> String {
    let url = format!("/twilio/resume/{stream}/");
    phone(line.ask(&url, sid, "")).unwrap()
}

/// The path of the stream in a document.
#[track_caller]
fn path_in(document: &str) -> String {
    let (_, rest) = document.split_once("url=\"ws://").expect(document);
    let url = rest.split('"').next().unwrap();
    url[url.find('/').unwrap()..].to_owned()
}

/// The stream that a document connects to, up to its `start`.
fn next(daemon: &Daemon, document: &str, sid: &str) -> Raw {
    let mut raw = Raw::open_at(daemon, &path_in(document));
    raw.stream_sid = format!("MZ{}", &token_in(document)[..32]);
    raw.start(sid, &token_in(document));
    raw
}

/// The call with the live echo, talking.
fn talking(daemon: &Daemon) -> Raw {
    let mut raw = Raw::call(daemon, SID);
    raw.echoes(0, &frame_payload(0));
    raw
}

/// Returns when the call's stream has been found lost.
#[track_caller]
fn is_away(daemon: &Daemon, sid: &str) {
    until("the call is away", || {
        let rows = daemon.json(&format!("/audio/api/logs/?event=departed&call={sid}"));
        (!rows["logs"].as_array().unwrap().is_empty()).then_some(())
    });
}

#[test]
fn a_caller_whose_stream_breaks_mid_sentence_is_answered_again_and_the_conversation_goes_on() {
    let daemon = counting("");
    let words = speech();
    let (first, rest) = words.split_at(words.len() / 2);
    let report = ring(
        &daemon,
        then([
            Step::Press('1'),
            wait(),
            Step::Say(first.into()),
            Step::Break,
            Step::Say(rest.into()),
        ]),
    );
    assert_eq!((report.streams, report.violations), (2, 0));
    assert_eq!(report.then, ["redirect"]);
    let back = "Back {\"after\":\"stream\"}. Number 2.";
    let expected = vec!["Number 1.".to_owned(), back.to_owned()];
    assert_eq!(
        said(&daemon, &report.call_sid),
        (expected, "caller_hung_up".into())
    );
}

#[test]
fn an_agent_whose_stream_breaks_mid_sentence_says_on() {
    let daemon = counting("");
    let steps = [
        Step::Press('1'),
        Step::WaitForVoice { most_ms: 15_000 },
        Step::Pause { ms: 200 },
        Step::Break,
    ];
    let report = ring(&daemon, then(steps));
    assert_eq!(report.streams, 2);
    let (texts, _) = said(&daemon, &report.call_sid);
    assert_eq!(texts, ["Number 1."]);
    let path = format!(
        "/audio/api/logs/?event=said&call={}&limit=1",
        report.call_sid
    );
    let heard = &daemon.json(&path)["logs"][0]["detail"];
    assert_eq!(heard["whole"], true, "{heard}");
}

#[test]
fn keys_are_pressed_on_the_line_and_the_conversation_goes_on() {
    let daemon = counting("");
    let report = ring(&daemon, then([Step::Press('7')]));
    assert_eq!(report.then, ["redirect", "press w12#"]);
    let back = "Back {\"after\":\"digits\"}. Number 2.".to_owned();
    assert_eq!(
        said(&daemon, &report.call_sid),
        (vec![back], "caller_hung_up".into())
    );
}

#[test]
fn a_transfer_that_is_over_comes_back_with_how_it_went() {
    let daemon = counting("");
    for outcome in ["busy", "completed"] {
        let script = then([Step::Press('5')]).transferred(Transfer::Ends(outcome));
        let report = ring(&daemon, script);
        assert_eq!(report.then, ["redirect", "dial +15550199"]);
        let how = "\"after\":\"transfer\"";
        let (texts, reason) = said(&daemon, &report.call_sid);
        let back = format!("Back {{{how},\"outcome\":\"{outcome}\"}}. Number 2.");
        assert_eq!((texts, reason), (vec![back], "caller_hung_up".into()));
    }
}

#[test]
fn who_hangs_up_while_he_is_connected_elsewhere_was_transferred() {
    let daemon = counting("");
    let script = then([Step::Press('5')]).transferred(Transfer::CallerHangsUp);
    let report = ring(&daemon, script);
    assert_eq!(report.then, ["redirect", "dial +15550199"]);
    assert_eq!(reason(&daemon, &report.call_sid), "transferred");
    let late = after(&daemon.parrot(), &report.call_sid, 1);
    assert!(late.contains("<Hangup"), "{late}");
}

#[test]
fn who_says_goodbye_after_a_broken_stream_is_hung_up_without_a_sentence() {
    let daemon = counting("");
    let report = ring(
        &daemon,
        Script::of(vec![wait(), Step::Break, Step::Press('0')]),
    );
    assert_eq!(report.then, ["redirect", "redirect", "hang up"]);
    assert_eq!(reason(&daemon, &report.call_sid), "agent_hung_up");
}

#[test]
fn a_call_that_nobody_comes_back_to_ends_in_time() {
    let daemon = counting("[limits]\nreturn_secs = 1\n");
    drop(talking(&daemon));
    assert_eq!(reason(&daemon, SID), "stream_lost");
    let late = after(&daemon.live(), SID, 1);
    assert!(late.contains(&SORRY[4..]), "{late}");
}

#[test]
fn a_carrier_in_trouble_has_not_hung_up() {
    let daemon = counting("[limits]\nreturn_secs = 600\ncalls_per_caller = 10\n");
    for (code, goes_on) in [
        (None, false),
        (Some(1000), false),
        (Some(1001), false),
        (Some(1011), true),
        (Some(1012), true),
    ] {
        let sid = format!("CA{:032x}", code.unwrap_or(0));
        let mut raw = Raw::call(&daemon, &sid);
        raw.echoes(0, &frame_payload(0));
        raw.frame(
            0x88,
            &code.map_or(vec![], |code| u16::to_be_bytes(code).to_vec()),
        );
        if goes_on {
            is_away(&daemon, &sid);
            let document = after(&daemon.live(), &sid, 1);
            next(&daemon, &document, &sid).echoes(1, &frame_payload(1));
        } else {
            assert_eq!(reason(&daemon, &sid), "caller_hung_up", "{code:?}");
        }
    }
}

#[test]
fn a_stream_that_still_hangs_is_left_alone_until_the_next_has_come() {
    let daemon = counting("");
    let mut before = talking(&daemon);
    let document = after(&daemon.live(), SID, 1);
    before.echoes(1, &frame_payload(1));
    let mut now = next(&daemon, &document, SID);
    now.echoes(2, &frame_payload(2));
    assert_eq!(before.close_code(), Some(1000));
    now.echoes(3, &frame_payload(3));
    now.stop();
    assert_eq!(reason(&daemon, SID), "caller_hung_up");
    daemon.is_whole();
}

#[test]
fn only_the_token_of_the_next_stream_opens_it_once_and_at_its_place() {
    let daemon = counting("[limits]\ncalls_per_caller = 10\n[media]\nthreads = 2\n");
    let first = daemon.token(SID);
    let mut raw = Raw::open(&daemon);
    raw.start(SID, &first);
    raw.echoes(0, &frame_payload(0));
    drop(raw);
    is_away(&daemon, SID);
    let document = after(&daemon.live(), SID, 1);
    let (path, token) = (path_in(&document), token_in(&document));
    let other = "CA00000000000000000000000000000007";
    let foreign = daemon.token(other);
    let elsewhere = if path.ends_with("/0/") { "1/" } else { "0/" };
    let elsewhere = format!("/ws/audio/stream/{elsewhere}");
    for (path, sid, token) in [
        (&path, SID, first.as_str()),
        (&path, SID, &foreign),
        (&path, SID, "0123456789abcdef0123456789abcdef"),
        (&path, other, &token),
        (&elsewhere, SID, &token),
    ] {
        let mut refused = Raw::open_at(&daemon, path);
        refused.start(sid, token);
        assert_eq!(refused.close_code(), Some(1008), "{path} {sid}");
    }
    let mut back = next(&daemon, &document, SID);
    back.echoes(1, &frame_payload(1));
    let mut again = next(&daemon, &document, SID);
    assert_eq!(again.close_code(), Some(1008), "spent");
    let replayed = after(&daemon.live(), SID, 1);
    let mut thief = next(&daemon, &replayed, SID);
    assert_eq!(thief.close_code(), Some(1008), "the request sent again");
    back.echoes(2, &frame_payload(2));
    daemon.is_whole();
}

#[test]
fn a_call_that_is_away_can_be_ended_from_all_sides() {
    let daemon = counting("[limits]\nreturn_secs = 600\n");
    let line = daemon.live();
    drop(talking(&daemon));
    is_away(&daemon, SID);
    let away = || {
        ["lost", "digits", "transfer"]
            .map(|to| daemon.metric(&format!("calls_away{{to=\"{to}\"}}")))
    };
    assert_eq!((away(), daemon.metric("calls_active")), ([1, 0, 0], 1));
    let path = format!("/api/calls/{SID}/");
    let json = [("Content-Type", "application/json")];
    let ended = daemon.send("PUT", &path, &json, "{\"status\":\"completed\"}");
    assert_eq!(ended.status, 200, "{ended:?}");
    assert_eq!(reason(&daemon, SID), "operator");
    assert_eq!(away(), [0, 0, 0]);

    let other = "CA00000000000000000000000000000007";
    let mut raw = Raw::call(&daemon, other);
    raw.echoes(0, &frame_payload(0));
    drop(raw);
    is_away(&daemon, other);
    phone(line.tell_status(other, "completed")).unwrap();
    assert_eq!(reason(&daemon, other), "caller_hung_up");
    for sid in [SID, other] {
        assert!(after(&line, sid, 1).contains("<Hangup"));
    }
    assert_eq!(daemon.metric("calls_active"), 0);
}

#[test]
fn a_call_that_is_away_lasts_no_longer_than_any_other() {
    let daemon = counting("[limits]\nreturn_secs = 600\ncall_secs = 1\n");
    drop(talking(&daemon));
    assert_eq!(reason(&daemon, SID), "too_long");
}

#[test]
fn a_thousand_calls_that_are_away_count_and_end_with_the_daemon() {
    const CALLS: u32 = 1000;
    let limits = format!(
        "[limits]\nreturn_secs = 600\ncalls = {CALLS}\ncalls_per_caller = {CALLS}\ndrain_secs = 600\n"
    );
    let daemon = counting(&limits);
    let folder = Arc::clone(daemon.folder());
    let sid = |number: u32| format!("CA{number:032x}");
    for number in 0..CALLS {
        let mut raw = Raw::call(&daemon, &sid(number));
        raw.echoes(0, &frame_payload(number));
    }
    let (_, busy) = daemon.webhook("/twilio/stream/", &sid(CALLS), "+15550101");
    assert!(busy.contains("All lines are busy"), "{busy}");
    let document = after(&daemon.live(), &sid(7), 1);
    let mut back = next(&daemon, &document, &sid(7));
    back.echoes(1, &frame_payload(1));
    daemon.is_whole();
    daemon.signal("TERM");
    until("readiness goes", || {
        (daemon.get("/readyz").0 == 503).then_some(())
    });
    let (code, log) = daemon.ends_after("TERM");
    assert_eq!(code, Some(0), "{log}");
    let daemon = Daemon::again(&folder);
    for number in [0, 7, CALLS - 1] {
        assert_eq!(reason(&daemon, &sid(number)), "drained");
    }
}
