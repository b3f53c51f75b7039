//! The command line as somebody at a terminal meets it: what it prints, what becomes of it when nobody reads on, and what
//! it knows when no daemon runs.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use support::{DEADLINE, Daemon, until};

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
    let by_folder = format!("calls --state {}", folder.path().join("state").display());
    for words in ["calls", "logs --limit 5", by_folder.as_str()] {
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

#[test]
fn the_phone_shows_what_is_said() {
    let daemon = Daemon::start("");
    let (folder, url) = (daemon.folder().path(), daemon.parrot().base);
    let clip = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/speech/good_morning.wav"
    );
    let rings = |more: &str| {
        let words = format!("phone --url {url} --say {clip}{more}");
        let answer = command(folder, &words).output().unwrap();
        let complaint = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert!(answer.status.success(), "{complaint}");
        assert_eq!(complaint, "");
        String::from_utf8(answer.stdout).unwrap()
    };
    let shown = rings("");
    let told: Vec<(&str, &str)> = shown
        .lines()
        .take_while(|line| !line.is_empty())
        .map(|line| (line[9..14].trim_end(), &line[15..]))
        .collect();
    let beginnings = [
        ("", "call CA"),
        ("", "stream started"),
        ("agent", "Hello, this is the echo."),
        ("you", "spoke for "),
        // What is repeated is the caller's sound.
        ("agent", ""),
        ("you", "hang up"),
    ];
    assert_eq!(told.len(), beginnings.len(), "{shown}");
    for ((who, words), (whose, beginning)) in told.iter().zip(beginnings) {
        assert_eq!(*who, whose, "{shown}");
        assert!(words.starts_with(beginning), "{words}: {shown}");
    }
    assert!(told[4].1.ends_with(" s of sound"), "{shown}");
    assert!(
        !shown.contains('\u{1b}'),
        "no colours where nobody sees them"
    );
    let json: serde_json::Value = serde_json::from_str(&rings(" --json")).unwrap();
    assert_eq!(json["violations"], 0);
}

/// A command that goes on, and what it prints.
struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Running {
    fn start(mut command: Command) -> Running {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (told, lines) = mpsc::channel();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let readers: [Box<dyn Read + Send>; 2] = [Box::new(out), Box::new(err)];
        for reader in readers {
            let told = told.clone();
            std::thread::spawn(move || {
                let mut lines = BufReader::new(reader).lines().map_while(Result::ok);
                while lines.next().is_some_and(|line| told.send(line).is_ok()) {}
            });
        }
        Running { child, lines }
    }

    /// Every line up to the one with these words in it.
    #[track_caller]
    fn says(&self, words: &str) -> Vec<String> {
        let mut said = Vec::new();
        loop {
            let line = self.lines.recv_timeout(DEADLINE);
            said.push(line.unwrap_or_else(|_| panic!("no {words:?} in {said:#?}")));
            if said.last().is_some_and(|line| line.contains(words)) {
                return said;
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn who_follows_the_log_outlives_the_daemon_and_misses_nothing() {
    const BEFORE: &str = "CA00000000000000000000000000000081";
    const AFTER: &str = "CA00000000000000000000000000000082";
    let daemon = Daemon::start("");
    let folder = Arc::clone(daemon.folder());
    // By its folder: the next daemon has another port.
    let state = folder.path().join("state");
    let words = format!(
        "logs --follow --event call_opened --state {}",
        state.display()
    );
    let follower = Running::start(command(folder.path(), &words));
    daemon.webhook("/twilio/stream/", BEFORE, "+15550100");
    follower.says(BEFORE);
    daemon.kill();
    follower.says("waiting for it");
    let daemon = Daemon::again(&folder);
    daemon.webhook("/twilio/stream/", AFTER, "+15550100");
    let said = follower.says(AFTER);
    assert!(
        said.iter().any(|line| line.contains("answers again")),
        "{said:#?}"
    );
    assert!(
        !said.iter().any(|line| line.contains(BEFORE)),
        "told twice: {said:#?}"
    );
}

#[test]
fn a_caller_of_two_sentences_makes_no_noise_about_the_voice_that_speaks_them() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.toml"), support::CONFIG).unwrap();
    let words = "phone --say One. --say Two. --url http://127.0.0.1:9";
    let answer = command(folder.path(), words).output().unwrap();
    let complaint = String::from_utf8(answer.stderr).unwrap();
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(
        complaint.contains("nobody answers at http://127.0.0.1:9"),
        "{complaint}"
    );
}

#[test]
fn an_address_that_cannot_be_listened_at_is_answered_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    for (more, listen, code, words) in [
        ("", "8080", 2, "such as 127.0.0.1:8080"),
        ("", "0.0.0.0:0", 78, "set auth_token under [twilio]"),
        (
            "[twilio]\nallow_unsigned = true\n",
            "192.0.2.1:8080",
            75,
            "none of this machine's addresses",
        ),
    ] {
        std::fs::write(&config, format!("{}\n{more}", support::CONFIG)).unwrap();
        let words_of_run = format!("run --listen {listen}");
        let answer = command(folder.path(), &words_of_run).output().unwrap();
        let complaint = String::from_utf8(answer.stderr).unwrap();
        assert_eq!(answer.status.code(), Some(code), "{complaint}");
        assert!(complaint.contains(words), "{complaint}");
    }
}
