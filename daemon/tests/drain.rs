//! Told to stop, the daemon takes no new calls and lets the running ones end: by themselves, at a second signal, or when
//! their time is over. Nothing of them is lost, and the exit code is 0.

#![allow(clippy::unwrap_used)]

mod support;

use std::net::TcpStream;
use std::sync::Arc;
use support::{Daemon, Raw, frame_payload, until};

/// Calls that talk while it is told to stop.
const CALLS: u32 = 20;

fn sid(number: u32) -> String {
    format!("CA{number:032x}")
}

fn talking(daemon: &Daemon) -> Vec<Raw> {
    (0..CALLS)
        .map(|number| {
            let mut raw = Raw::call(daemon, &sid(number));
            raw.echoes(0, &frame_payload(number));
            raw
        })
        .collect()
}

/// Sends SIGTERM and returns when it has been heard.
fn told_to_stop(daemon: &Daemon) {
    daemon.signal("TERM");
    until("readiness goes", || {
        (daemon.get("/readyz").0 == 503).then_some(())
    });
}

/// After the daemon's end: why its calls ended, as the next one finds it on record.
fn reasons(folder: &Arc<tempfile::TempDir>) -> Vec<String> {
    let next = Daemon::again(folder);
    let calls = next.json("/api/calls/?limit=100");
    let calls = calls["calls"].as_array().unwrap();
    assert!(
        calls.iter().all(|call| call["status"] == "completed"),
        "{calls:?}"
    );
    calls
        .iter()
        .map(|call| call["ended_reason"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn running_calls_finish_while_new_ones_hear_that_all_lines_are_busy() {
    let daemon = Daemon::start("[limits]\ncalls_per_caller = 100\n");
    let folder = Arc::clone(daemon.folder());
    let mut calls = talking(&daemon);
    // Let in before, but its stream comes after: it is a running call.
    let (late, token) = (sid(CALLS), daemon.token(&sid(CALLS)));
    told_to_stop(&daemon);
    let (_, body) = daemon.get("/readyz");
    assert!(body.contains("shutting down"), "{body}");
    assert_eq!(daemon.get("/healthz").0, 200, "it lives on");
    let (status, twiml) = daemon.webhook("/twilio/stream/", &sid(99), "+15550101");
    assert!(
        status == 200 && twiml.contains("All lines are busy") && !twiml.contains("<Connect"),
        "{twiml}"
    );
    let mut raw = Raw::open(&daemon);
    raw.start(&late, &token);
    calls.push(raw);
    for number in 1..50 {
        for raw in &mut calls {
            raw.echoes(number, &frame_payload(number));
        }
    }
    for raw in &mut calls {
        raw.stop();
    }
    let (code, log) = daemon.ends();
    assert_eq!(code, Some(0), "{log}");
    assert!(
        log.contains("\"stopped\"") && !log.contains("ending the remaining calls"),
        "{log}"
    );
    assert_eq!(reasons(&folder), vec!["caller_hung_up"; CALLS as usize + 1]);
}

#[test]
fn a_second_signal_ends_them_now() {
    for second in ["TERM", "INT"] {
        let daemon = Daemon::start("[limits]\ncalls_per_caller = 100\n");
        let folder = Arc::clone(daemon.folder());
        let mut calls = talking(&daemon);
        told_to_stop(&daemon);
        calls[0].echoes(1, &frame_payload(1));
        daemon.signal(second);
        for raw in &mut calls {
            assert_eq!(raw.close_code(), Some(1000));
        }
        let (code, log) = daemon.ends();
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("ending the remaining calls now"), "{log}");
        assert_eq!(reasons(&folder), vec!["drained"; CALLS as usize]);
    }
}

#[test]
fn when_their_time_is_over_they_are_ended() {
    let daemon = Daemon::start("[limits]\ncalls_per_caller = 100\ndrain_secs = 1\n");
    let folder = Arc::clone(daemon.folder());
    let mut calls = talking(&daemon);
    told_to_stop(&daemon);
    for raw in &mut calls {
        assert_eq!(raw.close_code(), Some(1000));
    }
    let (code, log) = daemon.ends();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("the time to finish is over"), "{log}");
    assert_eq!(reasons(&folder), vec!["drained"; CALLS as usize]);
}

#[test]
fn idle_connections_and_callers_that_never_came_hold_nothing_up() {
    let daemon = Daemon::start("[limits]\ntoken_secs = 1\n");
    let _idle = TcpStream::connect(daemon.address).unwrap();
    let _waiting = Raw::open(&daemon);
    daemon.token(&sid(1));
    daemon.signal("TERM");
    let (code, log) = daemon.ends();
    assert_eq!(code, Some(0), "{log}");
}
