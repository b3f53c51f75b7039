//! Callers: what they do between the agent's sentences, what they hear, and what the record says he said.

use super::{CONFIG, Daemon, phone, until};
use std::sync::Arc;
use voice_streamer::media::{correlate, mulaw};
use voice_streamer::phone::{Report, Script, Step};

/// A daemon whose agent walks this flow, with further keys of the plugin. It speaks English and hears no words.
pub fn walking(flow: &str, keys: &str) -> Daemon {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let config = CONFIG
        .replacen("responder = \"echo\"", "responder = \"flow\"", 1)
        .replacen("greeting = \"Hello, this is the echo.\"\n", "", 1);
    let plugin = "[plugins.flow]\nlibrary = \"responder_flow\"\nflow = \"${file:flow.toml}\"\n";
    std::fs::write(folder.path().join("flow.toml"), flow).unwrap();
    let config = config + plugin + keys;
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    Daemon::again(&folder)
}

/// A call to its end.
pub fn ring(daemon: &Daemon, script: Script) -> Report {
    phone(voice_streamer::phone::call(
        &daemon.parrot(),
        script,
        |_, _| (),
    ))
    .unwrap()
}

/// The texts of one kind in the record of a call that has ended.
pub fn record(daemon: &Daemon, report: &Report, event: &str) -> Vec<String> {
    let path = format!("/audio/api/logs/?call={}&limit=200", report.call_sid);
    let rows = until("the call's record is closed", || {
        let logs = daemon.json(&path);
        let rows = logs["logs"].as_array().unwrap().clone();
        rows.iter()
            .any(|row| row["event"] == "call_ended")
            .then_some(rows)
    });
    let of_kind = rows.iter().rev().filter(|row| row["event"] == event);
    of_kind
        .map(|row| row["response_text"].as_str().unwrap().to_owned())
        .collect()
}

/// The agent said these, in this order; only how each begins is compared.
#[track_caller]
pub fn heard(daemon: &Daemon, report: &Report, beginnings: &[&str]) {
    let said = record(daemon, report, "said");
    let same = said.len() == beginnings.len()
        && said.iter().zip(beginnings).all(|(said, beginning)| {
            said.starts_with(beginning) && said.is_empty() == beginning.is_empty()
        });
    assert!(
        same,
        "the agent said {said:#?}\n--- wanted: {beginnings:#?}"
    );
}

/// Waits for the agent's voice, then for a moment, in which he has said something.
pub fn listens() -> [Step; 2] {
    [
        Step::WaitForVoice { most_ms: 10_000 },
        Step::Pause { ms: 900 },
    ]
}

/// Waits until the agent has finished.
pub fn hears_out() -> Step {
    Step::WaitForAgent { most_ms: 30_000 }
}

/// Each step after the agent has begun to speak.
pub fn in_between(steps: Vec<Step>) -> Vec<Step> {
    steps
        .into_iter()
        .flat_map(|step| listens().into_iter().chain([step]))
        .collect()
}

/// These keys, one after another.
pub fn presses(keys: &str) -> Vec<Step> {
    keys.chars()
        .flat_map(|key| [Step::Press(key), Step::Pause { ms: 200 }])
        .collect()
}

/// How well a sound is found in what the caller heard: 1 is exactly, below 0.5 is not at all.
pub fn found(heard: &[u8], sound: &[u8]) -> f32 {
    let pcm = |line: &[u8]| {
        let mut pcm = vec![0; line.len()];
        mulaw::decode(line, &mut pcm);
        pcm
    };
    // The ends are where silence is cut and filters begin.
    let middle = &sound[800..sound.len() - 800];
    correlate::correlate(&pcm(heard), &pcm(middle)).1
}
