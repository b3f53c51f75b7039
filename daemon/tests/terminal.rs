//! The command line as somebody at a terminal meets it: what it prints, and what becomes of it when nobody reads on.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::Read;
use std::process::{Command, Stdio};

#[test]
fn a_reader_who_has_enough_ends_a_command_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    std::fs::write(&config, support::CONFIG).unwrap();
    for words in ["completions bash", "check --no-plugins"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_voice-streamer"))
            .arg("--config")
            .arg(&config)
            .args(words.split(' '))
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
