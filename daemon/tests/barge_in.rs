//! Callers who speak over the agent: whole calls through the simulated phone.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use support::{Daemon, phone, until};
use voice_streamer::media::mulaw;
use voice_streamer::phone::{Happening, Line, Report, Script, Step};

/// An agent that greets for some seconds and may be interrupted; any loud sound is a voice to him.
fn talker() -> Daemon {
    Daemon::start(
        "[agents.talker]\nresponder = \"echo\"\nvoice = \"english\"\ngreeting = \"You may stop me at any time, and if \
         it was nothing, I will go on.\"\n[agents.talker.turn]\ndetector = \"energy\"\n[numbers.\"+15550102\"]\n\
         agent = \"talker\"\n",
    )
}

/// A loud noise that lasts so long.
fn noise(ms: usize) -> Arc<[u8]> {
    let loud = |n: usize| mulaw::encode_sample(if n % 8 < 4 { 9000 } else { -9000 });
    (0..8 * ms).map(loud).collect()
}

fn ring(daemon: &Daemon, steps: Vec<Step>) -> Report {
    let line = Line {
        to: "+15550102".into(),
        ..daemon.parrot()
    };
    phone(voice_streamer::phone::call(
        &line,
        Script::of(steps),
        |_, _| (),
    ))
    .unwrap()
}

fn event(daemon: &Daemon, report: &Report, event: &str) -> Option<serde_json::Value> {
    let sid = &report.call_sid;
    let logs = daemon.json(&format!("/audio/api/logs/?event={event}&call={sid}"));
    logs["logs"].as_array().unwrap().last().cloned()
}

#[test]
fn a_cough_stops_the_agent_and_he_goes_on() {
    let daemon = talker();
    let report = ring(
        &daemon,
        vec![
            Step::WaitForVoice { most_ms: 5000 },
            Step::Pause { ms: 600 },
            Step::Say(noise(300)),
            Step::Pause { ms: 800 },
            Step::WaitForAgent { most_ms: 10_000 },
            Step::HangUp,
        ],
    );
    assert_eq!(report.clears, 1, "{:?}", report.happenings);
    let resumed = until("he goes on", || event(&daemon, &report, "resumed"));
    assert_eq!(resumed["detail"]["utterance"], 1, "{resumed}");
    let said = until("what was heard is on record", || {
        event(&daemon, &report, "said")
    });
    // All of it reached the caller, in two parts.
    assert_eq!(said["detail"]["whole"], true, "{said}");
    assert_eq!(event(&daemon, &report, "barge_in"), None);
}

/// How long after the first loud frame the carrier is silenced, as the caller's end sees it. Prints, and fails at
/// nothing: `cargo test --release --test barge_in -- --ignored --nocapture`
#[test]
#[ignore = "measures, for a minute"]
fn how_soon_the_line_falls_silent() {
    let daemon = talker();
    let mut after_ms = Vec::new();
    for call in 0..20 {
        let report = ring(
            &daemon,
            vec![
                Step::WaitForVoice { most_ms: 5000 },
                Step::Pause { ms: 300 + call * 7 },
                Step::Say(noise(300)),
                Step::Pause { ms: 100 },
                Step::HangUp,
            ],
        );
        let at = |what: fn(&Happening) -> bool| {
            let mut all = report.happenings.iter();
            all.find_map(|(at, happening)| what(happening).then_some(*at))
        };
        let spoke = at(|happening| matches!(happening, Happening::CallerSpeaks)).unwrap();
        let silent = at(|happening| matches!(happening, Happening::Cleared { .. })).unwrap();
        after_ms.push(silent - spoke);
    }
    after_ms.sort_unstable();
    // Voice of 200 ms is ten frames, and the tenth is sent 180 ms after the first.
    let (median, most) = (after_ms[after_ms.len() / 2], after_ms[after_ms.len() - 1]);
    println!(
        "from the first loud frame to clear: median {median} ms, at most {most} ms: {after_ms:?}"
    );
}
