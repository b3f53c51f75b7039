//! A voice that refuses, stays silent or breaks off is replaced in the middle of the call, by its fallback: heard by
//! its sound, on the phone's own clock, and told in the record.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

use serde_json::Value;
use std::sync::Arc;
use support::{CONFIG, Daemon, compile_plugin, phone, speech, spoken, until};
use tempfile::TempDir;
use voice_streamer::media::{correlate, mulaw};
use voice_streamer::phone::{Report, Script, Step};

/// Of the line's clock.
const SAMPLES_PER_MS: usize = 8;

/// What the caller is greeted with, if at all.
const GREETING: &str = "Hello, this is the echo.";

/// A daemon whose agent speaks with a moody voice that has these keys, and greets.
fn daemon(keys: &str) -> Daemon {
    start(keys, CONFIG)
}

/// The same, but he lets the caller speak first and answers him with three sentences.
fn talking(keys: &str) -> Daemon {
    let config = CONFIG
        .replacen("responder = \"echo\"", "responder = \"moody\"", 1)
        .replacen(&format!("greeting = \"{GREETING}\"\n"), "", 1);
    start(keys, &config)
}

fn start(keys: &str, config: &str) -> Daemon {
    let folder = Arc::new(TempDir::new().unwrap());
    compile_plugin("moody", folder.path());
    std::fs::write(folder.path().join("config.toml"), configured(keys, config)).unwrap();
    Daemon::again(&folder)
}

/// The moody voice, with these keys, in the place of the agent's own.
fn configured(keys: &str, config: &str) -> String {
    let config = config.replacen("voice = \"english\"", "voice = \"moody\"", 1);
    format!(
        "{config}[plugins.moody]\nlibrary = \"./libmoody.so\"\n[voices.moody]\nplugin = \"moody\"\n{keys}\n"
    )
}

fn ring(daemon: &Daemon, steps: Vec<Step>) -> Report {
    let script = Script::of(steps);
    phone(voice_streamer::phone::call(
        &daemon.parrot(),
        script,
        |_, _| (),
    ))
    .unwrap()
}

/// Hears what the agent says first, and hangs up.
fn listen(daemon: &Daemon) -> Report {
    let wait = Step::WaitForAgent { most_ms: 15_000 };
    ring(daemon, vec![wait, Step::HangUp])
}

fn pcm(line: &[u8]) -> Vec<i16> {
    let mut pcm = vec![0; line.len()];
    mulaw::decode(line, &mut pcm);
    pcm
}

/// How well these samples are found in what the caller heard.
fn heard(report: &Report, sound: &[u8]) -> f32 {
    correlate::correlate(&pcm(&report.heard), &pcm(sound)).1
}

/// 300 ms of the moody voice's tone.
fn tone(half: usize) -> Vec<u8> {
    let wave = |at: usize| {
        if (at / half).is_multiple_of(2) {
            0x10
        } else {
            0x90
        }
    };
    (0..300 * SAMPLES_PER_MS).map(wave).collect()
}

/// The rows of one kind in the record of a call, oldest first.
fn rows(daemon: &Daemon, report: &Report, event: &str) -> Vec<Value> {
    let path = format!("/audio/api/logs/?call={}", report.call_sid);
    until("the call's record is closed", || {
        let logs = daemon.json(&path);
        let mut rows = logs["logs"].as_array().unwrap().clone();
        rows.reverse();
        let ended = rows.iter().any(|row| row["event"] == "call_ended");
        ended.then(|| {
            rows.into_iter()
                .filter(|row| row["event"] == event)
                .collect()
        })
    })
}

#[test]
fn whatever_way_a_voice_refuses_the_caller_hears_its_fallback_and_the_record_says_why() {
    let greeting = spoken(GREETING);
    for (mood, cause) in [
        ("refuses", "refused"),
        ("fails", "quota"),
        ("empty", "no_audio"),
        ("panics", "panicked"),
    ] {
        let daemon = daemon(&format!("mood = \"{mood}\"\nfallback = \"english\""));
        let report = listen(&daemon);
        let score = heard(&report, &greeting);
        assert!(
            score > 0.9,
            "{mood}: Pico's greeting was not heard: {score}"
        );
        let replaced = rows(&daemon, &report, "voice_replaced");
        assert_eq!(replaced.len(), 1, "{mood}: {replaced:?}");
        let detail = &replaced[0]["detail"];
        assert_eq!(
            (&detail["from"], &detail["to"], &detail["cause"]),
            (&"moody".into(), &"english".into(), &cause.into()),
            "{mood}"
        );
        assert!(
            daemon.log().contains("another speaks from now on"),
            "{mood}"
        );
        assert_eq!(daemon.metric("voice_replacements_total"), 1, "{mood}");
        assert_eq!(daemon.counts("plugin_failures")["voice"], 1, "{mood}");
    }
}

#[test]
fn a_voice_whose_library_is_missing_keeps_nobody_from_answering() {
    let folder = Arc::new(TempDir::new().unwrap());
    let config = configured("fallback = \"english\"", CONFIG);
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    let daemon = Daemon::again(&folder);
    let report = listen(&daemon);
    let score = heard(&report, &spoken(GREETING));
    assert!(score > 0.9, "Pico's greeting was not heard: {score}");
    let replaced = rows(&daemon, &report, "voice_replaced");
    assert_eq!(replaced[0]["detail"]["cause"], "not_loaded");
    let (status, ready) = daemon.get("/readyz");
    assert_eq!(status, 200, "somebody can speak: {ready}");
}

#[test]
fn a_silent_voice_gives_way_within_two_seconds_of_the_callers_time() {
    let daemon = daemon("mood = \"silent\"\nfallback = \"english\"");
    let report = listen(&daemon);
    // The greeting is asked for when the stream starts, and so does the phone's count of samples.
    let first = report.heard.iter().position(|sample| *sample != 0xFF);
    let first_ms = first.expect("something is heard") / SAMPLES_PER_MS;
    println!("the fallback's first sound at {first_ms} ms");
    assert!(first_ms < 2000, "first sound at {first_ms} ms");
    let score = heard(&report, &spoken(GREETING));
    assert!(score > 0.9, "Pico's greeting was not heard: {score}");
    let replaced = rows(&daemon, &report, "voice_replaced");
    assert_eq!(replaced[0]["detail"]["cause"], "timeout");
}

#[test]
fn a_voice_that_breaks_in_the_third_sentence_is_followed_by_its_fallback() {
    let daemon = talking("mood = \"fails\"\nsince = 3\nfallback = \"english\"");
    let wait = || Step::WaitForAgent { most_ms: 15_000 };
    let report = ring(&daemon, vec![Step::Say(speech()), wait(), Step::HangUp]);
    let (own, third) = (
        heard(&report, &tone(10)),
        heard(&report, &spoken("And here is the third.")),
    );
    assert!(own > 0.9, "the voice's own tone was not heard: {own}");
    assert!(third > 0.9, "Pico did not say the third sentence: {third}");
    let second = heard(&report, &spoken("The second one follows."));
    assert!(second < 0.5, "the second sentence was said by both");
    let said = rows(&daemon, &report, "said");
    let texts: Vec<&str> = said
        .iter()
        .map(|row| row["response_text"].as_str().unwrap())
        .collect();
    assert_eq!(
        texts,
        [
            "This is the first sentence.",
            "The second one follows.",
            "And here is the third."
        ]
    );
    assert_eq!(rows(&daemon, &report, "voice_replaced").len(), 1);
}

#[test]
fn what_was_heard_of_a_sentence_that_breaks_off_is_not_said_twice() {
    for (mood, cause) in [("breaks", "quota"), ("stalls", "timeout")] {
        let daemon = talking(&format!("mood = \"{mood}\"\nfallback = \"english\""));
        let wait = Step::WaitForAgent { most_ms: 15_000 };
        let pause = Step::Pause { ms: 1500 };
        let report = ring(
            &daemon,
            vec![Step::Say(speech()), wait, pause, Step::HangUp],
        );
        let own = heard(&report, &tone(10));
        assert!(own > 0.9, "{mood}: half of the first sentence: {own}");
        let first = heard(&report, &spoken("This is the first sentence."));
        assert!(first < 0.5, "{mood}: it was said again: {first}");
        let said = rows(&daemon, &report, "said");
        assert_eq!(said[0]["audio_length"], 0.4, "{mood}: {said:?}");
        let replaced = rows(&daemon, &report, "voice_replaced");
        assert_eq!(replaced[0]["detail"]["cause"], cause, "{mood}");
        assert_eq!(replaced[0]["detail"]["again"], false, "{mood}");
    }
}

#[test]
fn a_voice_that_fails_call_after_call_is_no_longer_asked() {
    let daemon = daemon("mood = \"silent\"\nfallback = \"english\"");
    let quick = || vec![Step::WaitForVoice { most_ms: 15_000 }, Step::HangUp];
    for call in 1..=3 {
        let report = ring(&daemon, quick());
        let replaced = rows(&daemon, &report, "voice_replaced");
        assert_eq!(replaced[0]["detail"]["cause"], "timeout", "call {call}");
    }
    let report = ring(&daemon, quick());
    let replaced = rows(&daemon, &report, "voice_replaced");
    assert_eq!(replaced[0]["detail"]["cause"], "resting");
    assert_eq!(replaced[0]["detail"]["after_ms"], 0);
    assert_eq!(
        daemon.counts("plugin_failures")["voice"],
        3,
        "a voice at rest has not failed"
    );
}
