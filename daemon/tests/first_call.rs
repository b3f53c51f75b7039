//! A caller is greeted, heard and answered: whole calls through the simulated phone.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::sync::Arc;
use support::{Daemon, Raw, frame_payload, phone, request, until};
use voice_streamer::media::{correlate, level, mulaw, wav};
use voice_streamer::phone::{Happening, Line, Report, Script, Step};

/// A human being, if Debian's prompts are installed, else the clip in the repository.
fn speech() -> Arc<[u8]> {
    let human = Path::new("/usr/share/asterisk/sounds/en_US_f_Allison/conf-getpin.wav");
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech/good_morning.wav");
    let path = if human.exists() { human } else { &clip };
    println!("the caller is {}", path.display());
    wav::to_line(&wav::read(&support::read(path).unwrap()).unwrap()).into()
}

fn pcm(mulaw_samples: &[u8]) -> Vec<i16> {
    let mut pcm = vec![0; mulaw_samples.len()];
    mulaw::decode(mulaw_samples, &mut pcm);
    pcm
}

fn ring(line: &Line, steps: Vec<Step>) -> Report {
    phone(voice_streamer::phone::call(
        line,
        Script::of(steps),
        |_, _| (),
    ))
    .unwrap()
}

#[test]
fn a_caller_is_greeted_heard_and_answered() {
    let daemon = Daemon::start("");
    let words = speech();
    let wait = || Step::WaitForAgent { most_ms: 15_000 };
    let report = ring(
        &daemon.parrot(),
        vec![wait(), Step::Say(Arc::clone(&words)), wait(), Step::HangUp],
    );
    let spoke_at = report
        .said
        .iter()
        .position(|sample| *sample != 0xFF)
        .unwrap();
    let (before, after) = report.heard.split_at(spoke_at);
    assert!(
        level::dbfs(&pcm(before)) > -40.0,
        "no greeting before the caller spoke"
    );
    // What comes back is what was said, sample by sample, less what the ear cut at its ends; anything else scores
    // below 0.3 in practice.
    let (at, score) = correlate::correlate(&pcm(after), &pcm(&words)[800..words.len() - 800]);
    assert!(
        score > 0.9,
        "the caller's words are not in what came back: {score} at {at}"
    );
    assert_eq!((report.violations, report.underruns), (0, 0));
    println!(
        "first sound after {:?} ms, answer after {:?} ms",
        report.first_audio_ms, report.response_ms
    );

    let call = until("the call's record is closed", || {
        let call = daemon.json(&format!("/api/calls/{}/", report.call_sid));
        (call["status"] == "completed").then_some(call)
    });
    assert_eq!(call["ended_reason"], "caller_hung_up");
    let seconds = report.said.len() as f64 / 8000.0;
    assert!(
        (call["duration"].as_f64().unwrap() - seconds).abs() < 0.5,
        "{call}"
    );
    let logs = daemon.json(&format!("/audio/api/logs/?call={}", report.call_sid));
    let rows = logs["logs"].as_array().unwrap();
    let events: Vec<&str> = rows
        .iter()
        .rev()
        .map(|row| row["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        events,
        [
            "call_opened",
            "stream_started",
            "said",
            "caller_started",
            "turn_ended",
            "answered",
            "said",
            "call_ended"
        ]
    );
    let greeting = &rows[rows.len() - 3];
    assert_eq!(greeting["response_text"], "Hello, this is the echo.");
    assert!(
        greeting["audio_length"].as_f64().unwrap() > 1.0,
        "{greeting}"
    );
}

#[test]
fn a_greeting_said_before_is_sent_at_once() {
    let daemon = Daemon::start("");
    let whole = vec![Step::WaitForAgent { most_ms: 15_000 }, Step::HangUp];
    let first = ring(&daemon.parrot(), whole);
    let second = ring(
        &daemon.parrot(),
        vec![Step::WaitForVoice { most_ms: 5000 }, Step::HangUp],
    );
    println!(
        "first sound: {:?} ms made anew, {:?} ms kept",
        first.first_audio_ms, second.first_audio_ms
    );
    assert!(second.first_audio_ms.is_some());
    until(
        "one of them was sent before a voice could have made it",
        || {
            let within: u64 = daemon.metric("first_audio_seconds_bucket{le=\"0.004\"}");
            (within >= 1).then_some(())
        },
    );
}

#[test]
fn a_live_echo_gives_every_frame_back() {
    let daemon = Daemon::start("");
    let mut raw = Raw::call(&daemon, "CA00000000000000000000000000000001");
    for number in 0..100 {
        raw.echoes(number, &frame_payload(number));
    }
    daemon.is_whole();
}

#[test]
fn a_caller_can_interrupt_the_greeting() {
    let daemon = Daemon::start(
        "[agents.patient]\nresponder = \"echo\"\nvoice = \"english\"\ngreeting = \"I will now read to you the whole of \
         a very long book, chapter by chapter, and you may stop me at any time.\"\n[numbers.\"+15550102\"]\nagent = \
         \"patient\"\n",
    );
    let line = Line {
        to: "+15550102".into(),
        ..daemon.parrot()
    };
    let report = ring(
        &line,
        vec![
            Step::WaitForVoice { most_ms: 5000 },
            Step::Say(speech()),
            Step::Pause { ms: 200 },
            Step::HangUp,
        ],
    );
    assert_eq!(report.clears, 1, "{:?}", report.happenings);
    let said = until("what was heard is on record", || {
        let logs = daemon.json(&format!(
            "/audio/api/logs/?event=said&call={}",
            report.call_sid
        ));
        logs["logs"].as_array().unwrap().last().cloned()
    });
    assert_eq!(said["detail"]["whole"], false, "{said}");
    assert!(
        said["detail"]["heard_ms"].as_u64() <= Some(report.said.len() as u64 / 8),
        "{said}"
    );
}

#[test]
fn keys_are_on_record() {
    let daemon = Daemon::start("");
    let report = ring(
        &daemon.live(),
        vec![
            Step::Press('5'),
            Step::Press('#'),
            Step::Pause { ms: 100 },
            Step::HangUp,
        ],
    );
    assert!(
        report
            .happenings
            .iter()
            .any(|(_, happening)| *happening == Happening::Pressed('#'))
    );
    until("both digits are on record", || {
        let logs = daemon.json(&format!(
            "/audio/api/logs/?event=digit&call={}",
            report.call_sid
        ));
        let digits: Vec<String> = logs["logs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["detail"]["digit"].to_string())
            .collect();
        (digits == ["\"#\"", "\"5\""]).then_some(())
    });
}

#[test]
fn the_webhook_answers_every_way_the_carrier_asks() {
    let daemon = Daemon::start("");
    let sid = "CA00000000000000000000000000000002";
    let (status, first) = daemon.webhook("/twilio/stream/", sid, "+15550100");
    assert_eq!(status, 200, "{first}");
    assert!(
        first.contains("<Connect><Stream url=\"ws://")
            && first.contains("</Connect><Redirect method=\"POST\">/twilio/resume/1/<"),
        "{first}"
    );
    assert_eq!(
        daemon.webhook("/twilio/stream", sid, "+15550100"),
        (200, first.clone()),
        "delivered again"
    );
    let asked = format!(
        "/twilio/stream/?CallSid={sid}&AccountSid=AC1&From=%2B1&To=%2B15550100&CallStatus=ringing"
    );
    assert_eq!(daemon.get(&asked), (200, first), "by GET");
    assert_eq!(daemon.get("/twilio/stream/").0, 400, "without a call");
    assert_eq!(
        daemon.json("/api/calls/")["calls"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn signed_calls_pass_and_unsigned_ones_do_not() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let config = support::CONFIG.replace(
        "[http]",
        "[twilio]\nauth_token = \"12345\"\n[http]\npublic_url = \"https://voice.example.com\"",
    );
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    let daemon = Daemon::again(&folder);
    let signed = daemon.live().signed("12345", "https://voice.example.com");
    let report = ring(&signed, vec![Step::Pause { ms: 100 }, Step::HangUp]);
    assert_eq!(report.violations, 0);
    let wrong = daemon.live().signed("54321", "https://voice.example.com");
    let refused = phone(wrong.webhook("CA00000000000000000000000000000003")).unwrap_err();
    assert!(refused.to_string().contains("403"), "{refused}");
    assert_eq!(
        daemon.webhook("/twilio/stream/", "CA3", "+15550101").0,
        403,
        "unsigned"
    );
    let (status, body) = request(daemon.address, &Raw::handshake("Connection: close\r\n"));
    assert_eq!(status, 403, "an unsigned upgrade: {body}");
}

#[test]
fn pages_of_logs_have_no_gaps_and_strangers_get_none() {
    let daemon = Daemon::start("");
    for number in 0..5 {
        daemon.webhook(
            "/twilio/stream/",
            &format!("CA0000000000000000000000000000001{number}"),
            "+15550100",
        );
    }
    let all = until("five rows", || {
        let logs = daemon.json("/audio/api/logs/?limit=100");
        (logs["logs"].as_array().unwrap().len() == 5).then_some(logs)
    });
    let mut paged = Vec::new();
    let mut path = "/audio/api/logs/?limit=2".to_owned();
    loop {
        let page = daemon.json(&path);
        paged.extend(page["logs"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_u64() else {
            break;
        };
        path = format!("/audio/api/logs/?limit=2&before={next}");
    }
    assert_eq!(&paged, all["logs"].as_array().unwrap());
    for (path, status) in [
        ("/audio/api/logs/?limit=x", 400),
        ("/api/calls/?colour=red", 400),
        ("/api/calls/CA9/", 404),
        ("/nowhere", 404),
    ] {
        assert_eq!(daemon.get(path).0, status, "{path}");
    }
    let foreign = "GET /api/calls/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(
        request(daemon.address, foreign).0,
        403,
        "a page that resolves its own name to us"
    );
    let tunnelled = "GET /api/calls/ HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n";
    assert_eq!(
        request(daemon.address, tunnelled).0,
        403,
        "the world through a tunnel"
    );
}

#[test]
fn the_carriers_own_account_of_a_call_is_kept() {
    let daemon = Daemon::start("");
    let sid = "CA00000000000000000000000000000004";
    daemon.webhook("/twilio/stream/", sid, "+15550100");
    let line = daemon.parrot();
    let stream = [
        ("AccountSid", "AC1"),
        ("CallSid", sid),
        ("StreamSid", "MZ1"),
        ("StreamEvent", "stream-error"),
        ("StreamError", "<no> answer"),
    ];
    phone(line.post("/twilio/stream-status/", &stream)).unwrap();
    let status = [
        ("AccountSid", "AC1"),
        ("CallSid", sid),
        ("CallStatus", "no-answer"),
        ("CallDuration", "0"),
    ];
    phone(line.post("/twilio/status", &status)).unwrap();
    let call = until("the call is closed by its callback", || {
        let call = daemon.json(&format!("/api/calls/{sid}/"));
        (call["status"] == "no-answer").then_some(call)
    });
    assert_eq!(call["ended_reason"], "carrier_reported");
    until("both callbacks are on record", || {
        let logs = daemon.json(&format!("/audio/api/logs/?call={sid}"));
        let text = logs.to_string();
        (text.contains("status_callback") && text.contains("<no> answer")).then_some(())
    });
}
