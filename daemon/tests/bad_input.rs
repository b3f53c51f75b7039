//! Whatever comes in: the right close or an ignored message with a counted reason, other calls untouched, no panic.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use support::{Bystander, Daemon, Dice, Raw, frame_payload, framed, request, until};
use voice_streamer::carrier::twilio::stream::{self, Message};

/// A call sid nobody else uses.
fn sid(number: u32) -> String {
    format!("CA{number:032x}")
}

/// Calls whose stream was broken are awaited for a while, and count.
const PATIENT: &str = "[limits]\ncalls_per_caller = 1000\n";

#[test]
fn messages_without_meaning_are_ignored_and_counted() {
    let daemon = Daemon::start("");
    let mut raw = Raw::call(&daemon, &sid(1));
    let own = raw.stream_sid.clone();
    let other = "MZffffffffffffffffffffffffffffffff";
    let whole = raw.media_text(1, &frame_payload(1));
    let deep = "[".repeat(30_000);
    let cases: Vec<(String, &str)> = vec![
        ("not json".into(), "not_json"),
        ("{\"event\":".into(), "not_json"),
        ("[1,2,3]".into(), "not_object"),
        (deep, "too_deep"),
        (r#"{"event":"ping"}"#.into(), "unknown_event"),
        (r#"{"event":"media"}"#.into(), "missing_field"),
        (
            whole.replace("\"chunk\":\"1\"", "\"chunk\":1"),
            "wrong_type",
        ),
        (
            whole.replace(&frame_payload(1), "not base64!"),
            "bad_base64",
        ),
        (whole.replace(&frame_payload(1), "QUI"), "bad_base64"),
        (whole.replace(&own, other), "wrong_stream"),
        (whole.replace("\"inbound\"", "\"outbound\""), "wrong_track"),
        (
            format!(
                r#"{{"event":"mark","sequenceNumber":"4","streamSid":"{own}","mark":{{"name":"utt-1"}}}}"#
            ),
            "unknown_mark",
        ),
        (
            format!(
                r#"{{"event":"dtmf","sequenceNumber":"4","streamSid":"{own}","dtmf":{{"track":"inbound_track","digit":"x"}}}}"#
            ),
            "bad_digit",
        ),
    ];
    for (message, reason) in &cases {
        let name = format!("media_ignored_total{{reason=\"{reason}\"}}");
        let before = daemon.metric(&name);
        raw.text(message);
        until(reason, || (daemon.metric(&name) > before).then_some(()));
    }
    let before = daemon.metric("media_ignored_total{reason=\"binary\"}");
    raw.frame(0x82, b"\x00\x01");
    until("binary", || {
        (daemon.metric("media_ignored_total{reason=\"binary\"}") > before).then_some(())
    });
    raw.start(&sid(1), "again");
    until("a second start", || {
        (daemon.metric("media_ignored_total{reason=\"second_start\"}") == 1).then_some(())
    });
    // Odd but legal: no sound, one sample, a second of it, a gap in the numbers, the mark of no utterance of ours.
    raw.media(2, "");
    raw.media(7, "/w==");
    raw.media(9, &base64_simd::STANDARD.encode_to_string(vec![0xFF; 8000]));
    raw.text(&format!(
        r#"{{"event":"mark","sequenceNumber":"4","streamSid":"{own}","mark":{{"name":"9.9.9"}}}}"#
    ));
    raw.echoes(50, &frame_payload(50));
    daemon.is_whole();
}

#[test]
fn violations_of_the_websocket_end_the_stream_with_the_right_code() {
    let daemon = Daemon::start("");
    let mut bystander = Raw::call(&daemon, &sid(100));
    let megabyte = vec![b'x'; 1 << 20];
    let cases: Vec<(&str, Vec<u8>, Option<u16>)> = vec![
        ("a megabyte", framed(0x81, &megabyte), Some(1009)),
        ("a fragment", framed(0x01, b"{\"event\":"), Some(1009)),
        (
            "a fragment without its beginning",
            framed(0x00, b"x"),
            Some(1009),
        ),
        (
            "text that is not UTF-8",
            framed(0x81, &[0xFF, 0xFE, 0xC0]),
            Some(1007),
        ),
        ("a reserved bit", framed(0xC1, b"{}"), Some(1002)),
        ("a fragmented ping", framed(0x09, b"x"), Some(1002)),
        ("a ping too large", framed(0x89, &[0; 200]), Some(1009)),
        (
            "a length of 2^62",
            [
                vec![0x81, 0xFF],
                (1_u64 << 62).to_be_bytes().to_vec(),
                vec![0; 4],
            ]
            .concat(),
            Some(1009),
        ),
        ("a close", framed(0x88, &1000_u16.to_be_bytes()), Some(1000)),
    ];
    for (number, (what, bytes, code)) in cases.into_iter().enumerate() {
        let mut raw = Raw::call(&daemon, &sid(200 + number as u32));
        raw.echoes(1, &frame_payload(1));
        raw.bytes(&bytes);
        assert_eq!(raw.close_code(), code, "{what}");
        bystander.echoes(number as u32, &frame_payload(number as u32));
    }
    // Endless fragments never get far enough to be endless.
    let mut raw = Raw::call(&daemon, &sid(300));
    for _ in 0..1000 {
        raw.bytes(&framed(0x01, &[b'x'; 1000]));
    }
    raw.close_code();
    // A ping is answered, also while sound goes on.
    bystander.frame(0x89, b"there?");
    until("a pong", || {
        bystander
            .next()
            .filter(|(opcode, payload)| *opcode == 0xA && payload == b"there?")
    });
    bystander.echoes(99, &frame_payload(99));
    daemon.is_whole();
    until("each of those calls is closed on record", || {
        let running = daemon.json("/api/calls/?status=in-progress");
        (running["calls"].as_array().unwrap().len() == 1).then_some(())
    });
}

#[test]
fn only_announced_streams_become_calls() {
    let daemon = Daemon::start("");
    let token = daemon.token(&sid(1));
    let other = daemon.token(&sid(2));
    let cases = [
        ("a token nobody gave out", sid(1), "0123456789abcdef"),
        ("no token", sid(1), ""),
        ("another call's token", sid(1), other.as_str()),
    ];
    for (what, call, token) in &cases {
        let mut raw = Raw::open(&daemon);
        raw.start(call, token);
        assert_eq!(raw.close_code(), Some(1008), "{what}");
    }
    let mut first = Raw::open(&daemon);
    first.start(&sid(1), &token);
    first.echoes(1, &frame_payload(1));
    let mut second = Raw::open(&daemon);
    second.start(&sid(1), &token);
    assert_eq!(second.close_code(), Some(1008), "a token used twice");
    first.echoes(2, &frame_payload(2));
    assert!(daemon.metric("webhook_rejected_total{reason=\"spent_token\"}") == 1);
    daemon.is_whole();
}

#[test]
fn a_stream_that_keeps_us_waiting_is_closed() {
    let daemon = Daemon::start("[limits]\nstart_secs = 1\nidle_secs = 2\n");
    let mut mute = Raw::open(&daemon);
    mute.media(1, &frame_payload(1));
    assert_eq!(mute.close_code(), Some(1008), "media and no start");
    let mut silent = Raw::call(&daemon, &sid(1));
    silent.echoes(1, &frame_payload(1));
    assert_eq!(silent.close_code(), Some(1008), "silent for too long");
    let mut gone = Raw::call(&daemon, &sid(2));
    gone.echoes(1, &frame_payload(1));
    drop(gone);
    until("a close without stop ends the call", || {
        let call = daemon.json(&format!("/api/calls/{}/", sid(2)));
        (call["ended_reason"] == "stream_lost").then_some(())
    });
    daemon.is_whole();
}

#[test]
fn requests_that_are_none_are_refused() {
    let daemon = Daemon::start("");
    let long = "x".repeat(40_000);
    let many = (0..200)
        .map(|n| format!("X-{n}: y\r\n"))
        .collect::<String>();
    for (what, text, statuses) in [
        ("garbage", "\x00\x01\x02\r\n\r\n".to_owned(), &[400, 0][..]),
        (
            "an endless header",
            format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n\r\n"),
            &[431, 400],
        ),
        (
            "too many headers",
            format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n"),
            &[431, 400],
        ),
        (
            "a body too large",
            format!(
                "POST /twilio/stream/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n{}",
                "x".repeat(100_000)
            ),
            &[413],
        ),
        (
            "a foreign origin",
            Raw::handshake("Origin: https://evil.example\r\n"),
            &[403],
        ),
        (
            "no handshake",
            "GET /ws/audio/stream/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".into(),
            &[426],
        ),
        (
            "a wrong method",
            "DELETE /api/calls/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".into(),
            &[405],
        ),
    ] {
        let closing = text.replacen(
            "Upgrade: websocket\r\nConnection: Upgrade",
            "Upgrade: websocket\r\nConnection: Upgrade, close",
            1,
        );
        let (status, body) = request(daemon.address, &closing);
        assert!(statuses.contains(&status), "{what}: {status} {body}");
    }
    daemon.is_whole();
}

/// What has to become of a text message.
#[derive(Debug, PartialEq)]
enum Fate {
    Taken,
    Ignored(&'static str),
    Closes(u16),
}

/// The fate of a text on a stream whose call has begun: the carrier room's reader says what a message is, and this says
/// what the line has to make of it.
fn fate(text: &[u8], own_sid: &str) -> Fate {
    let Ok(utf8) = str::from_utf8(text) else {
        return Fate::Closes(1007);
    };
    let message = match stream::read(utf8.as_bytes()) {
        Ok(message) => message,
        Err(bad) => return Fate::Ignored(bad.as_str()),
    };
    match message {
        Message::Connected { .. } => Fate::Taken,
        Message::Start(_) => Fate::Ignored("second_start"),
        message if message.stream_sid() != Some(own_sid) => Fate::Ignored("wrong_stream"),
        Message::Media {
            track_inbound: false,
            ..
        } => Fate::Ignored("wrong_track"),
        Message::Media { payload, .. } => {
            match stream::decode_payload(&payload, &mut [0; stream::MAX_PAYLOAD_BYTES]) {
                Ok(_) => Fate::Taken,
                Err(bad) => Fate::Ignored(bad.as_str()),
            }
        }
        Message::Mark { name, .. } => {
            // Ours are `utterance.samples.epoch`; which of them was ever sent is the core's question.
            let parts: Vec<&str> = name.split('.').collect();
            let ours = matches!(parts[..], [utterance, samples, epoch]
                if utterance.parse::<u32>().is_ok() && samples.parse::<u64>().is_ok() && epoch.parse::<u32>().is_ok());
            if ours {
                Fate::Taken
            } else {
                Fate::Ignored("unknown_mark")
            }
        }
        Message::Dtmf { .. } => Fate::Taken,
        Message::Stop { .. } => Fate::Closes(1000),
    }
}

#[test]
fn ten_thousand_damaged_messages_meet_the_fate_they_deserve() {
    let mut dice = Dice::new(0x5eed);
    let daemon = Daemon::start(PATIENT);
    let bystander = Bystander::call(&daemon);
    let mut calls = 1;
    let mut victim = Raw::call(&daemon, &sid(calls));
    let start = victim.start_text(&sid(1), "0123456789abcdef");
    let valid = [
        victim.media_text(3, &frame_payload(3)),
        victim.media_text(3, &frame_payload(3)),
        victim.dtmf_text("1"),
        victim.mark_text("1.2.3"),
        victim.stop_text(),
        start,
        r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#.to_owned(),
    ];
    let mut ignored: BTreeMap<String, u64> = BTreeMap::new();
    let mut closed: BTreeMap<String, u64> = BTreeMap::new();
    let (mut here, mut taken) = (0, 0);
    for number in 0..10_000 {
        let whole = &valid[dice.roll(valid.len())];
        let text = dice.damage(whole);
        let fate = fate(&text, &victim.stream_sid);
        victim.frame(0x81, &text);
        let mut code = None;
        match fate {
            Fate::Taken => taken += 1,
            Fate::Ignored(reason) => {
                *ignored.entry(reason.to_owned()).or_default() += 1;
                here += 1;
            }
            Fate::Closes(with) => code = Some(with),
        }
        if number % 50 == 49 && code.is_none() {
            victim.settles();
        }
        // One short of the bound at which a stream has been ignored long enough.
        if here == 499 && code.is_none() {
            victim.settles();
            victim.stop();
            code = Some(1000);
        }
        if let Some(code) = code {
            let shown = String::from_utf8_lossy(&text);
            assert_eq!(victim.close_code(), Some(code), "message {number}: {shown}");
            *closed.entry(code.to_string()).or_default() += 1;
            calls += 1;
            here = 0;
            victim = Raw::call(&daemon, &sid(calls));
        }
    }
    victim.settles();
    println!("{taken} taken, ignored {ignored:?}, closed {closed:?}, {calls} calls");
    assert_eq!(daemon.counts("media_ignored"), ignored);
    assert_eq!(daemon.counts("ws_close"), closed);
    assert!(ignored.len() > 8, "the damage is not various enough");
    bystander.was_untouched();
    daemon.is_whole();
}

#[test]
fn a_damaged_start_begins_nothing() {
    let mut dice = Dice::new(0x57a7);
    let daemon = Daemon::start("");
    let whole = Raw::open(&daemon).start_text(&sid(1), "0123456789abcdef");
    let (mut ignored, mut refused) = (BTreeMap::new(), 0);
    for number in 0..300 {
        let text = dice.damage(&whole);
        let mut raw = Raw::open(&daemon);
        raw.frame(0x81, &text);
        // No damage makes up a token, so what is understood is refused.
        let reason = match str::from_utf8(&text).map(|utf8| stream::read(utf8.as_bytes())) {
            Ok(Err(bad)) => bad.as_str(),
            Ok(Ok(Message::Start(_))) => {
                refused += 1;
                assert_eq!(raw.close_code(), Some(1008), "start {number}");
                continue;
            }
            Ok(Ok(Message::Connected { .. })) => {
                raw.settles();
                continue;
            }
            Ok(Ok(_)) => "before_start",
            Err(_) => {
                assert_eq!(raw.close_code(), Some(1007), "start {number}");
                continue;
            }
        };
        raw.settles();
        *ignored.entry(reason.to_owned()).or_default() += 1;
    }
    assert_eq!(daemon.counts("media_ignored"), ignored);
    let rejected: u64 = daemon.counts("webhook_rejected").values().sum();
    assert_eq!(rejected, refused);
    assert_eq!(daemon.metric("calls_active"), 0);
    daemon.is_whole();
}

#[test]
fn noise_instead_of_a_websocket_ends_that_stream_only() {
    let mut dice = Dice::new(0x0153);
    let daemon = Daemon::start(PATIENT);
    let bystander = Bystander::call(&daemon);
    for number in 0..200 {
        let mut raw = if number % 20 == 0 {
            Raw::call(&daemon, &sid(number))
        } else {
            Raw::open(&daemon)
        };
        let noise: Vec<u8> = (0..dice.roll(300)).map(|_| dice.roll(256) as u8).collect();
        raw.bytes(&noise);
        raw.end();
        raw.close_code();
    }
    bystander.was_untouched();
    daemon.is_whole();
}

#[test]
fn a_stream_of_nonsense_is_closed_at_its_bound() {
    let daemon = Daemon::start("");
    let mut raw = Raw::call(&daemon, &sid(1));
    for _ in 0..500 {
        raw.text("nonsense");
    }
    assert_eq!(raw.close_code(), Some(1008));
    daemon.is_whole();
}
