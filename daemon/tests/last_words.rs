//! A plugin that takes the daemon with it is named, and the daemon ends as the signal wants it to; the next one says that
//! it found nobody to say goodbye.

#![allow(clippy::unwrap_used)]

mod support;

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Arc;
use support::{CONFIG, Daemon, Raw, compile_plugin};
use tempfile::TempDir;

/// The numbers of the signals, the same on every Linux.
const SEGV: i32 = 11;
const ABRT: i32 = 6;

const SID: &str = "CA00000000000000000000000000000001";

/// A folder with a configuration in which the live echo crashes at a key.
fn folder() -> Arc<TempDir> {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let library = compile_plugin("crashes", folder.path());
    let config = CONFIG.replace(
        "library = \"responder_echo\"\nmode = \"live\"",
        &format!("library = \"{}\"", library.display()),
    );
    assert_ne!(config, CONFIG);
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    folder
}

/// The one line in which a process says what took it down.
#[track_caller]
fn last_words(log: &str) -> &str {
    let mut lines = log
        .lines()
        .filter(|line| line.starts_with("voice-streamer: SIG"));
    let line = lines.next().unwrap_or_else(|| panic!("no word in {log}"));
    assert_eq!(lines.next(), None, "said once");
    line
}

#[test]
fn a_plugin_that_takes_the_daemon_with_it_is_named() {
    for (key, signal, first, behind, thread) in [
        (
            "1",
            SEGV,
            "SIGSEGV",
            "in the code of [plugins.live]",
            "media-",
        ),
        (
            "2",
            SEGV,
            "SIGSEGV",
            "in a call into [plugins.live]",
            "media-",
        ),
        // Rust says that the stack has overflowed, and aborts.
        (
            "3",
            ABRT,
            "SIGSEGV",
            "in the code of [plugins.live]",
            "media-",
        ),
        ("4", SEGV, "SIGSEGV", "in the code of [plugins.live]", ""),
        ("5", ABRT, "SIGABRT", "called by [plugins.live]", ""),
    ] {
        let folder = folder();
        let daemon = Daemon::again(&folder);
        let mut raw = Raw::call(&daemon, SID);
        raw.text(&raw.dtmf_text(key));
        let (status, log) = daemon.dies();
        assert_eq!(status.signal(), Some(signal), "{key}: {status}: {log}");
        let line = last_words(&log);
        let library = folder.path().join("libcrashes.so");
        for words in [
            first,
            behind,
            &format!("on the thread \"{thread}"),
            &format!("({})", library.display()),
            "The daemon ends",
            "take the plugin out",
        ] {
            assert!(line.contains(words), "{key}: no {words:?} in {line}");
        }
        assert_eq!(
            log.contains("has overflowed its stack"),
            key == "3",
            "{key}: {log}"
        );
    }
}

#[test]
fn a_signal_that_is_sent_accuses_no_plugin() {
    let daemon = Daemon::again(&folder());
    let _call = Raw::call(&daemon, SID);
    daemon.signal("ABRT");
    let (status, log) = daemon.dies();
    assert_eq!(status.signal(), Some(ABRT), "{log}");
    let line = last_words(&log);
    assert!(
        line.contains("sent by process") && !line.contains("plugin"),
        "{line}"
    );
}

#[test]
fn a_library_that_crashes_while_it_is_loaded_is_named_by_check() {
    let folder = folder();
    let check = Command::new(env!("CARGO_BIN_EXE_voice-streamer"))
        .arg("check")
        .arg("--config")
        .arg(folder.path().join("config.toml"))
        .env("CRASHES_AT_LOAD", "1")
        .output()
        .unwrap();
    assert_eq!(check.status.signal(), Some(SEGV), "{check:?}");
    let log = String::from_utf8_lossy(&check.stderr);
    let library = folder.path().join("libcrashes.so");
    let loaded = format!("while the library {} was loaded", library.display());
    assert!(last_words(&log).contains(&loaded), "{log}");
}

#[test]
fn the_next_one_says_that_the_last_ended_without_a_farewell() {
    const FAREWELL: &str = "ended without a farewell";
    let first = Daemon::again(&folder());
    let folder = Arc::clone(first.folder());
    assert!(!first.log().contains(FAREWELL));
    first.kill();
    let second = Daemon::again(&folder);
    assert!(second.log().contains(FAREWELL), "{}", second.log());
    assert_eq!(second.ends_after("TERM").0, Some(0));
    let third = Daemon::again(&folder);
    assert!(!third.log().contains(FAREWELL), "{}", third.log());
}
