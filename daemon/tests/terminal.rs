//! The command line as somebody at a terminal meets it: what it prints, what becomes of it when nobody reads on, and what
//! it knows when no daemon runs.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use support::{Daemon, until};

fn command(folder: &Path, words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_voice-streamer"));
    command
        .arg("--config")
        .arg(folder.join("config.toml"))
        .args(words.split(' '));
    command
}

#[test]
fn a_reader_who_has_enough_ends_a_command_quietly() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.toml"), support::CONFIG).unwrap();
    for words in ["completions bash", "check --no-plugins"] {
        let mut command = command(folder.path(), words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // As `head` does, only sooner.
        drop(command.stdout.take());
        let mut complaint = String::new();
        let mut stderr = command.stderr.take().unwrap();
        stderr.read_to_string(&mut complaint).unwrap();
        let status = command.wait().unwrap();
        assert!(status.success(), "{words}: {status}: {complaint}");
        assert_eq!(complaint, "", "{words}");
    }
}

#[test]
fn after_a_crash_what_happened_can_be_read_without_a_daemon() {
    const SID: &str = "CA00000000000000000000000000000077";
    let daemon = Daemon::start("");
    let folder = Arc::clone(daemon.folder());
    daemon.webhook("/twilio/stream/", SID, "+15550100");
    until("the event is on the disk", || {
        let logs = daemon.json(&format!("/audio/api/logs/?call={SID}"));
        (!logs["logs"].as_array().unwrap().is_empty()).then_some(())
    });
    daemon.kill();
    for words in ["calls", "logs --limit 5"] {
        let answer = command(folder.path(), words).output().unwrap();
        let (said, complaint) = (
            String::from_utf8_lossy(&answer.stdout),
            String::from_utf8_lossy(&answer.stderr),
        );
        assert!(answer.status.success(), "{words}: {complaint}");
        assert!(said.contains(SID), "{words}: {said}");
        assert!(
            complaint.contains("Connection refused") && complaint.contains("calls.redb"),
            "whose words these are, and why: {complaint}"
        );
    }
    let reload = command(folder.path(), "reload").output().unwrap();
    assert_eq!(reload.status.code(), Some(69), "only reading needs nobody");
}
