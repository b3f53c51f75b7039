//! Whatever comes in: the right close or an ignored message with a counted reason, other calls untouched, no panic.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

use support::{Daemon, Raw, frame_payload, framed, request, until};

/// A call sid nobody else uses.
fn sid(number: u32) -> String {
    format!("CA{number:032x}")
}

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

#[test]
fn ten_thousand_damaged_messages_do_no_harm() {
    let seed: u64 = std::env::var("VS_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0x5eed);
    println!("VS_SEED={seed}");
    let mut state = seed | 1;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let daemon = Daemon::start("");
    let mut bystander = Raw::call(&daemon, &sid(1));
    let mut victim = Raw::call(&daemon, &sid(2));
    let sid_text = victim.stream_sid.clone();
    let valid = [
        victim.media_text(3, &frame_payload(3)),
        format!(
            r#"{{"event":"dtmf","streamSid":"{sid_text}","sequenceNumber":"5","dtmf":{{"track":"inbound_track","digit":"1"}}}}"#
        ),
        format!(
            r#"{{"event":"mark","sequenceNumber":"4","streamSid":"{sid_text}","mark":{{"name":"1.2.3"}}}}"#
        ),
        r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#.to_owned(),
    ];
    let mut calls = 2;
    for number in 0..10_000_u32 {
        let mut text = valid[random(valid.len())].clone().into_bytes();
        for _ in 0..=random(3) {
            let at = random(text.len());
            match random(4) {
                0 => text[at] = b' ' + random(95) as u8,
                1 => text.truncate(at.max(1)),
                2 => text.insert(at, b"\"{}[]:,\\"[random(8)]),
                _ => drop(text.remove(at)),
            }
            if text.is_empty() {
                text.push(b'{');
            }
        }
        victim.frame(0x81, &text);
        if number % 400 == 399 {
            // Too many without meaning and the stream is closed, rightly; the next call goes on with it.
            calls += 1;
            victim = Raw::call(&daemon, &sid(calls));
            bystander.echoes(number, &frame_payload(number));
        }
    }
    bystander.echoes(77, &frame_payload(77));
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
