//! The log file in a running daemon: every line, nobody else's to read, rotated under its feet, and its level changed.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;
use support::{CONFIG, Daemon, binary, until};

/// [`CONFIG`] with this under `[log]`.
fn logging(keys: &str) -> String {
    CONFIG.replace("format = \"json\"", &format!("format = \"json\"\n{keys}"))
}

#[test]
fn a_log_file_survives_rotation_and_misses_nothing() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let at = |name: &str| folder.path().join(name);
    fs::write(at("config.toml"), logging("file = \"logs/debug.log\"")).unwrap();
    let daemon = Daemon::again(&folder);
    let (log, old) = (at("logs/debug.log"), at("logs/debug.log.1"));
    assert_eq!(
        fs::metadata(&log).unwrap().permissions().mode() & 0o777,
        0o600
    );

    daemon.webhook(
        "/twilio/stream/",
        "CA00000000000000000000000000000001",
        "+15550101",
    );
    // As logrotate does.
    fs::rename(&log, &old).unwrap();
    daemon.signal("HUP");
    until("a new file is begun", || log.exists().then_some(()));
    daemon.webhook(
        "/twilio/stream/",
        "CA00000000000000000000000000000002",
        "+15550101",
    );
    daemon.signal("TERM");
    until("it drains", || {
        (daemon.get("/readyz").0 == 503).then_some(())
    });
    let (code, stderr) = daemon.ends_after("TERM");
    assert_eq!(code, Some(0));
    let (before, after) = (
        fs::read_to_string(&old).unwrap(),
        fs::read_to_string(&log).unwrap(),
    );
    assert!(
        before.contains("CA00000000000000000000000000000001"),
        "{before}"
    );
    assert!(
        after.contains("CA00000000000000000000000000000002"),
        "{after}"
    );
    // Each has a clock of its own, and threads may overtake each other between the two. A plugin that is closed while
    // the process ends may get its last line into one of them only.
    let lines = |text: String| {
        let mut lines: Vec<String> = text
            .lines()
            .filter(|line| !line.contains("the plugin is closed"))
            .map(|line| line.split_once("\"level\"").unwrap().1.to_owned())
            .collect();
        lines.sort();
        lines
    };
    assert_eq!(
        lines(before + &after),
        lines(stderr),
        "the two files together are what stderr got"
    );
}

#[test]
fn a_level_takes_effect_while_the_daemon_runs() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let config = folder.path().join("config.toml");
    fs::write(&config, CONFIG).unwrap();
    let daemon = Daemon::again(&folder);
    let debug = || daemon.log().contains("\"level\":\"DEBUG\"");
    // A stream cut short is told of at `debug` only.
    daemon.get("/healthz");
    assert!(!debug());
    fs::write(&config, logging("level = \"debug\"")).unwrap();
    daemon.signal("HUP");
    until("lines of the new level", || {
        support::request(daemon.address, "GET / HTTP/1.1\r\nnot a header\r\n\r\n");
        debug().then_some(())
    });
}

#[test]
fn a_log_file_that_cannot_be_had_is_a_wrong_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    fs::write(&config, logging("file = \"./\"")).unwrap();
    let run = Command::new(binary())
        .args(["run", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(78), "{said}");
    assert!(
        said.contains("log file") && said.contains("log.file"),
        "{said}"
    );
}
