//! Whole calls with a voice of ElevenLabs, and its account on the command line; the service is a stand-in that judges
//! every request by the service's own document.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

use fakes::elevenlabs::{ElevenLabs, Fault, KEY, VOICE, sound_of};
use serde_json::{Value, json};
use std::process::{Command, Output};
use support::{Daemon, phone, until};
use voice_streamer::media::{correlate, mulaw};
use voice_streamer::phone::{Line, Report, Script, Step};

const GREETING: &str = "Hello from far away.";

/// An agent at 555 0102 with a voice of this service.
fn config(service: &ElevenLabs, key: &str, voice: &str) -> String {
    format!(
        r#"
[plugins.eleven]
library = "tts_elevenlabs"
api_key = "{key}"
base_url = "{}"
[voices.rachel]
plugin = "eleven"
voice = "{voice}"
[agents.rachel]
responder = "echo"
voice = "rachel"
greeting = "{GREETING}"
[numbers."+15550102"]
agent = "rachel"
"#,
        service.base()
    )
}

fn ring(daemon: &Daemon) -> Report {
    let line = Line {
        to: "+15550102".into(),
        ..daemon.parrot()
    };
    let steps = vec![Step::WaitForAgent { most_ms: 10_000 }, Step::HangUp];
    phone(voice_streamer::phone::call(
        &line,
        Script::of(steps),
        |_, _| (),
    ))
    .unwrap()
}

/// A row of this event in the call's record.
fn row(daemon: &Daemon, report: &Report, event: &str) -> Value {
    let path = format!("/audio/api/logs/?call={}", report.call_sid);
    until("the row is there", || {
        let rows = daemon.json(&path);
        let rows = rows["logs"].as_array().unwrap();
        rows.iter().find(|row| row["event"] == event).cloned()
    })
}

fn pcm(mulaw_samples: &[u8]) -> Vec<i16> {
    let mut pcm = vec![0; mulaw_samples.len()];
    mulaw::decode(mulaw_samples, &mut pcm);
    pcm
}

#[test]
fn the_caller_hears_the_services_sound_to_the_byte() {
    let service = ElevenLabs::start(0).unwrap();
    // In odd pieces, to make it harder.
    service.fault(Fault::named("odd").unwrap());
    let daemon = Daemon::start(&config(&service, KEY, VOICE));
    let report = ring(&daemon);
    let sound = sound_of(GREETING);
    let found = report
        .heard
        .windows(sound.len())
        .position(|window| window == sound);
    assert!(found.is_some(), "other bytes were heard");
    println!("first sound after {:?} ms", report.first_audio_ms);

    let seen = service.seen();
    assert_eq!(seen.violations, [""; 0]);
    assert_eq!(seen.syntheses().len(), 1);
    let log = until("the receipt is logged", || {
        Some(daemon.log()).filter(|log| log.contains("ElevenLabs spoke an utterance"))
    });
    let line = log
        .lines()
        .find(|line| line.contains("ElevenLabs spoke"))
        .unwrap();
    // The plugin's fields are the line's own.
    let line: Value = serde_json::from_str(line).unwrap();
    let fields = &line["fields"];
    assert!(
        fields["request_id"].as_str().unwrap().starts_with("req_"),
        "{line}"
    );
    assert!(fields["character_cost"].is_u64(), "{line}");
    assert_eq!(fields["call"], json!(report.call_sid), "{line}");
    assert_eq!(fields["plugin"], "eleven", "{line}");
    assert!(!log.contains(KEY), "the key is in the log");
    daemon.is_whole();
}

#[test]
fn a_refusal_is_in_the_log_and_the_record_by_name() {
    let service = ElevenLabs::start(0).unwrap();
    let daemon = Daemon::start(&config(&service, KEY, "fault-quota"));
    let report = ring(&daemon);
    let row = row(&daemon, &report, "failed");
    assert_eq!(row["detail"]["cause"], "quota", "{row}");
    let error = row["detail"]["error"].as_str().unwrap();
    assert!(
        error.contains("the account's characters are used up"),
        "{row}"
    );
    let log = daemon.log();
    let line = log
        .lines()
        .find(|line| line.contains("a step failed"))
        .unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["fields"]["cause"], "quota", "{line}");
    assert!(!log.contains(KEY), "the key is in the log");
    daemon.is_whole();
}

#[test]
fn a_service_that_does_not_speak_is_heard_as_the_fallback_voice() {
    // Refused at once, never begun, and a success without sound.
    for (fault, cause) in [
        ("quota", "quota"),
        ("stall", "timeout"),
        ("no-audio", "no_audio"),
    ] {
        let service = ElevenLabs::start(0).unwrap();
        let config = config(&service, KEY, &format!("fault-{fault}"));
        let falls_back =
            config.replace("[agents.rachel]", "fallback = \"english\"\n[agents.rachel]");
        let daemon = Daemon::start(&falls_back);
        let report = ring(&daemon);
        let pico = support::spoken(GREETING);
        let (_, score) = correlate::correlate(&pcm(&report.heard), &pcm(&pico));
        assert!(score > 0.9, "{fault}: Pico did not greet: {score}");
        let row = row(&daemon, &report, "voice_replaced");
        assert_eq!(row["detail"]["cause"], cause, "{fault}: {row}");
        println!("{fault}: first sound after {:?} ms", report.first_audio_ms);
    }
}

fn voices(config: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, format!("{}\n{config}", support::CONFIG)).unwrap();
    let mut voices = Command::new(support::binary());
    voices
        .args(["voices", "--config"])
        .arg(&path)
        .args(arguments);
    voices.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_accounts_voices_are_listed() {
    let service = ElevenLabs::start(0).unwrap();
    let config = config(&service, KEY, VOICE);

    let all = voices(&config, &[]);
    let listed = text(&all.stdout);
    assert!(all.status.success(), "{}", text(&all.stderr));
    assert!(
        listed.contains("eleven  (tts-elevenlabs ") && listed.contains("pico  (tts-pico "),
        "{listed}"
    );
    assert!(
        listed.contains(VOICE) && listed.contains("Rachel") && listed.contains("es-ES"),
        "{listed}"
    );
    assert!(!listed.contains("responder-echo"), "{listed}");

    // By the name of a plugin, and of a voice behind it.
    for name in ["eleven", "rachel"] {
        let one = voices(&config, &[name, "--json"]);
        assert!(one.status.success(), "{}", text(&one.stderr));
        let json: Value = serde_json::from_slice(&one.stdout).unwrap();
        assert_eq!(json["plugin"], "eleven");
        assert_eq!(json["voices"].as_array().unwrap().len(), 123);
        assert_eq!(json["models"][0]["max_characters"], 40_000);
    }
    assert_eq!(service.seen().violations, [""; 0]);
}

#[test]
fn voices_that_cannot_be_listed_are_a_sentence() {
    let service = ElevenLabs::start(0).unwrap();
    let right = config(&service, KEY, VOICE);
    let wrong = config(&service, "sk_other_canary", VOICE);
    let misspelt = right.replace("base_url", "basis_url");
    for (config, arguments, code, words) in [
        (
            &right,
            vec!["nobody"],
            78,
            "there is no [plugins.nobody], no [voices.nobody] and no [transcribers.nobody]",
        ),
        (
            &right,
            vec!["echo"],
            78,
            "[plugins.echo] is neither a voice",
        ),
        (&misspelt, vec!["eleven"], 78, "basis_url"),
        (
            &wrong,
            vec!["eleven"],
            1,
            "auth: ElevenLabs does not accept the API key",
        ),
        // The others are listed all the same.
        (&wrong, vec![], 1, "one plugin could not list its voices"),
    ] {
        let output = voices(config, &arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
        assert!(!said.contains("canary"), "{said}");
        assert_eq!(
            text(&output.stdout).contains("pico"),
            arguments.is_empty(),
            "{arguments:?}"
        );
    }
}
