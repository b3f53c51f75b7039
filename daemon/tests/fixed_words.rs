//! Words that are the same in every call: the voice is asked for them once, and callers after that hear the sound of the
//! first. Whole calls through a flow, by a voice whose every utterance has a tone of its own.

#![allow(clippy::unwrap_used)]

mod support;

use support::callers::{in_between, ring};
use support::edited::Edited;
use support::{CONFIG, compile_plugin};
use voice_streamer::phone::{Report, Script, Step};

const FLOW: &str = r#"
languages = ["en"]
start     = "main"
[voices]
en = "counting"
[variables]
company = "Example"
[menu.main]
prompt    = "This is {company}. For the desk press 1."
otherwise = "desk"
branch    = [{ digit = "1", to = "desk" }]
[hang_up.desk]
prompt    = "You call from {caller}."
"#;

const TABLES: &str = r#"
[plugins.flow]
library = "responder_flow"
flow    = "${file:flow.toml}"
[plugins.moody]
library = "./libmoody.so"
[voices.counting]
plugin = "moody"
mood   = "counts"
"#;

/// A daemon whose agent walks [`FLOW`].
fn daemon() -> Edited {
    let config = CONFIG
        .replacen("responder = \"echo\"", "responder = \"flow\"", 1)
        .replacen("greeting = \"Hello, this is the echo.\"\n", "", 1);
    Edited::of(&(config + TABLES), |folder| {
        compile_plugin("moody", folder);
        std::fs::write(folder.join("flow.toml"), FLOW).unwrap();
    })
}

/// The tones heard one after another, by half their waves in samples.
fn tones(report: &Report) -> Vec<usize> {
    let runs = report.heard.chunk_by(|one, next| one == next);
    let halves: Vec<usize> = runs
        .filter(|run| matches!(run[0], 0x10 | 0x90))
        .map(<[u8]>::len)
        .collect();
    let alike = halves.chunk_by(|one, next| one == next);
    // Where a tone ends its last wave is cut, and so is one at a hole in the sound.
    let mut tones: Vec<usize> = alike
        .filter(|waves| waves.len() > 8)
        .map(|waves| waves[0])
        .collect();
    tones.dedup();
    tones
}

/// Calls and presses the key: the tones of the prompt and of the caller's own sentence.
fn walks(edited: &Edited) -> Vec<usize> {
    let report = ring(
        &edited.daemon,
        Script::of(in_between(vec![Step::Press('1')])),
    );
    tones(&report)
}

#[test]
fn a_prompt_is_made_once_and_a_callers_own_words_each_time() {
    let edited = daemon();
    assert_eq!(walks(&edited), [20, 21], "both are made");
    assert_eq!(
        walks(&edited),
        [20, 22],
        "the prompt is the sound of the first"
    );
    assert_eq!(walks(&edited), [20, 23]);
    let sounds = |sound: &str| edited.daemon.counts("phrases").get(sound).copied();
    assert_eq!((sounds("made"), sounds("kept")), (Some(1), Some(2)));
    assert!(edited.daemon.metric("phrases_kept_bytes") > 6400);

    edited.edit("mood   = \"counts\"", "mood   = \"counts\"\nspeed = 1.2");
    edited.reload();
    assert_eq!(walks(&edited), [24, 25], "another setting of the voice");
    assert_eq!(walks(&edited), [24, 26]);

    edited.edit("libmoody.so\"", "libmoody.so\"\nmodel = \"two\"");
    edited.reload();
    assert_eq!(walks(&edited), [27, 28], "another build or model of it");
    assert_eq!(walks(&edited), [27, 29]);
    edited.daemon.is_whole();
}
