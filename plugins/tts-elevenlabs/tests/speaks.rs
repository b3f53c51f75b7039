//! The plugin through its table, against the stand-in for the service: what it says arrives to the byte, every row of
//! the service's errors has its name, and nothing is asked that the service's own document does not know.

#![allow(clippy::unwrap_used)]

#[path = "../../../plugin-api/tests/host/mod.rs"]
mod host;

use fakes::elevenlabs::{ElevenLabs, Fault, KEY, MODEL, SHORT_MODEL, Seen, VOICE, sound_of};
use fakes::tls::{Authority, Valid, before};
use host::{Opened, Record, Stream, open, sound};
use serde_json::{Value, json};
use tts_elevenlabs::plugin_table;
use voice_plugin::abi::{failure, kind, role, status};

const TEXT: &str = "Hello there.";

/// Opened against a stand-in, with further keys.
fn opened(service: &ElevenLabs, more: Value) -> Opened {
    let mut config = json!({"api_key": KEY, "base_url": service.base()});
    let keys = config.as_object_mut().unwrap();
    keys.extend(more.as_object().unwrap().clone());
    open(plugin_table(), &config.to_string()).unwrap()
}

fn voice<'a>(plugin: &'a Opened, id: &str) -> Stream<'a> {
    voice_with(plugin, json!({"voice": id}))
}

fn voice_with(plugin: &Opened, settings: Value) -> Stream<'_> {
    let info = json!({"call": {"sid": "CA1"}, "settings": settings});
    plugin.start(role::TTS, &info.to_string()).unwrap()
}

fn speak(stream: &Stream<'_>, utterance: u32, text: &str) {
    let answer = stream.tell(kind::SPEAK, utterance, text.as_bytes());
    assert_eq!(answer, status::OK);
}

/// Says one utterance and waits for its end.
fn spoken(stream: &Stream<'_>, utterance: u32, text: &str) -> Vec<Record> {
    speak(stream, utterance, text);
    let mut records: Vec<Record> = Vec::new();
    let ended = |records: &[Record]| {
        records
            .iter()
            .any(|r| r.kind == kind::DONE || r.kind == kind::FAILED)
    };
    while !ended(&records) {
        stream.wait_for_record();
        records.extend(stream.take());
    }
    records
}

/// The name of the failure that ended it, and its sentence; empty for a good end.
fn failed(records: &[Record]) -> (&'static str, String) {
    let end = records.last().unwrap();
    if end.kind == kind::DONE {
        return ("", String::new());
    }
    (failure::name_of(end.text()).unwrap(), end.text().to_owned())
}

#[track_caller]
fn nothing_was_wrong(seen: &Seen) {
    assert_eq!(seen.violations, [""; 0]);
}

#[test]
fn the_sound_arrives_to_the_byte_however_it_was_cut() {
    let service = ElevenLabs::start(0).unwrap();
    let plugin = opened(&service, json!({}));
    for id in [VOICE, "fault-odd", "fault-drip"] {
        let stream = voice(&plugin, id);
        let records = spoken(&stream, 1, TEXT);
        assert_eq!(failed(&records), ("", String::new()), "{id}");
        assert!(
            sound(&records) == sound_of(TEXT),
            "{id}: other bytes arrived"
        );
    }
    nothing_was_wrong(&service.seen());
}

#[test]
fn over_tls_only_a_certificate_of_a_known_authority_hears_the_key() {
    let service = ElevenLabs::start(0).unwrap();
    let address = service
        .base()
        .trim_start_matches("http://")
        .parse()
        .unwrap();
    let ours = Authority::new("Ours");
    let through = |valid| {
        let front = before(address, ours.certifies(&["127.0.0.1"], valid));
        opened(
            &service,
            json!({"base_url": format!("https://{front}"), "ca": ours.pem()}),
        )
    };
    let plugin = through(Valid::Before);
    let stream = voice(&plugin, VOICE);
    let (name, sentence) = failed(&spoken(&stream, 1, TEXT));
    assert_eq!(name, failure::UNREACHABLE);
    let words = "unreachable: no connection to ElevenLabs: its certificate ran out ";
    assert!(sentence.starts_with(words), "{sentence}");
    drop(stream);
    assert_eq!(service.seen().requests.len(), 0);

    let plugin = through(Valid::Now);
    let stream = voice(&plugin, VOICE);
    assert!(sound(&spoken(&stream, 1, TEXT)) == sound_of(TEXT));
    nothing_was_wrong(&service.seen());
}

#[test]
fn more_sound_than_the_ring_holds_waits_and_is_whole() {
    let service = ElevenLabs::start(0).unwrap();
    let plugin = opened(&service, json!({}));
    let stream = voice(&plugin, VOICE);
    let text = "A long sentence that takes its time. ".repeat(10);
    let records = spoken(&stream, 1, &text);
    assert!(sound(&records) == sound_of(&text));
}

#[test]
fn every_key_of_a_voice_is_one_that_the_service_knows() {
    let service = ElevenLabs::start(0).unwrap();
    let plugin = opened(&service, json!({}));
    let stream = voice_with(
        &plugin,
        json!({
            "voice": VOICE, "model": "eleven_multilingual_v2", "language_code": "en", "stability": 0.3,
            "similarity_boost": 0.9, "style": 0.1, "speaker_boost": true, "speed": 0.9, "seed": 42,
            "text_normalization": "on",
        }),
    );
    assert_eq!(failed(&spoken(&stream, 1, TEXT)).0, "");
    let seen = service.seen();
    nothing_was_wrong(&seen);
    let asked = seen.syntheses()[0];
    assert_eq!(asked.query, "output_format=ulaw_8000");
    assert_eq!(asked.json["model_id"], "eleven_multilingual_v2");
    assert_eq!(asked.json["voice_settings"]["speed"], 0.9);
}

/// Each row: what the service does, what it is called, how often it is tried with one retry.
const FAULTS: &[(&str, &str, usize)] = &[
    ("invalid-key", failure::AUTH, 1),
    ("invalid-key-old", failure::AUTH, 1),
    ("no-key", failure::AUTH, 1),
    ("permissions", failure::AUTH, 1),
    ("quota", failure::QUOTA, 1),
    ("quota-new", failure::QUOTA, 1),
    ("payment", failure::QUOTA, 1),
    ("creator", failure::NOT_FOUND, 1),
    ("not-found", failure::NOT_FOUND, 1),
    ("not-found-old", failure::NOT_FOUND, 1),
    ("model", failure::NOT_FOUND, 1),
    ("too-long", failure::BAD_REQUEST, 1),
    ("unprocessable", failure::BAD_REQUEST, 1),
    ("unheard", failure::BAD_REQUEST, 1),
    ("conflict", failure::SERVER, 2),
    ("too-early", failure::SERVER, 2),
    ("too-many", failure::BUSY, 2),
    ("concurrent", failure::BUSY, 2),
    // It asks for two seconds, which a caller has not got.
    ("rate", failure::BUSY, 1),
    ("busy", failure::BUSY, 2),
    ("server", failure::SERVER, 2),
    ("unavailable", failure::SERVER, 2),
    ("hang-up", failure::UNREACHABLE, 2),
    ("no-audio", failure::NO_AUDIO, 1),
    ("stall", failure::TIMEOUT, 1),
    ("stall-mid", failure::TIMEOUT, 1),
    ("cut", failure::CUT, 1),
    ("endless", failure::SERVER, 1),
];

#[test]
fn every_fault_has_its_name_and_only_what_may_go_well_is_tried_again() {
    for (fault, name, tries) in FAULTS {
        let service = ElevenLabs::start(0).unwrap();
        let patience =
            json!({"first_sound_ms": if *fault == "stall" { 300 } else { 5000 }, "stall_ms": 300});
        let plugin = opened(&service, patience);
        let stream = voice(&plugin, &format!("fault-{fault}"));
        let records = spoken(&stream, 1, TEXT);
        let (found, sentence) = failed(&records);
        assert_eq!(found, *name, "{fault}: {sentence}");
        let seen = service.seen();
        assert_eq!(seen.syntheses().len(), *tries, "{fault}: {sentence}");
        nothing_was_wrong(&seen);
        // What arrived before a cut was sound, and the next utterance is not worse for it.
        let whole = sound_of(TEXT);
        assert!(
            *fault == "endless" || whole.starts_with(&sound(&records)),
            "{fault}"
        );
        let log = format!("{:?}", plugin.log());
        assert!(
            !log.contains(KEY) && !sentence.contains(KEY),
            "{fault}: the key is told"
        );
        drop(stream);
        let next = voice(&plugin, VOICE);
        assert_eq!(
            failed(&spoken(&next, 2, TEXT)).0,
            "",
            "{fault}: the next utterance"
        );
    }
}

#[test]
fn a_fault_that_passes_is_not_heard() {
    for fault in [
        "busy",
        "too-many",
        "server",
        "unavailable",
        "conflict",
        "hang-up",
    ] {
        let service = ElevenLabs::start(0).unwrap();
        service.fault(Fault::named(fault).unwrap());
        let plugin = opened(&service, json!({"first_sound_ms": 5000}));
        let records = spoken(&voice(&plugin, VOICE), 1, TEXT);
        assert_eq!(failed(&records), ("", String::new()), "{fault}");
        assert!(sound(&records) == sound_of(TEXT), "{fault}");
        assert_eq!(service.seen().syntheses().len(), 2, "{fault}");
    }
}

#[test]
fn without_retries_there_is_one_try() {
    let service = ElevenLabs::start(0).unwrap();
    let plugin = opened(&service, json!({"retries": 0}));
    let records = spoken(&voice(&plugin, "fault-busy"), 1, TEXT);
    assert_eq!(failed(&records).0, failure::BUSY);
    assert_eq!(service.seen().syntheses().len(), 1);
}

#[test]
fn a_service_that_is_not_there_is_unreachable() {
    let service = ElevenLabs::start(0).unwrap();
    let plugin = opened(&service, json!({}));
    drop(service);
    let (name, sentence) = failed(&spoken(&voice(&plugin, VOICE), 1, TEXT));
    assert_eq!(name, failure::UNREACHABLE, "{sentence}");
    assert!(
        sentence.contains("no connection to ElevenLabs"),
        "{sentence}"
    );
}

#[test]
fn a_barge_in_closes_the_request_while_it_sounds_and_before() {
    // In the midst of an endless sound, of one that stalls, and of an answer that does not begin.
    for fault in ["endless", "stall-mid", "stall"] {
        let service = ElevenLabs::start(0).unwrap();
        let plugin = opened(
            &service,
            json!({"first_sound_ms": 10_000, "stall_ms": 10_000}),
        );
        let stream = voice(&plugin, &format!("fault-{fault}"));
        speak(&stream, 1, TEXT);
        if fault == "stall" {
            service.wait("the request", |seen| seen.syntheses().len() == 1);
        } else {
            stream.wait_for_record();
        }
        stream.give_up(1);
        stream.cancel(1);
        let seen = service.wait("the client to leave", |seen| seen.abandoned == 1);
        assert_eq!((seen.syntheses().len(), seen.finished), (1, 0), "{fault}");
        drop(stream.take());
        service.well();
        let records = spoken(&stream, 2, TEXT);
        let second: Vec<Record> = records
            .into_iter()
            .filter(|record| record.turn == 2)
            .collect();
        assert_eq!(failed(&second), ("", String::new()), "{fault}");
        assert!(sound(&second) == sound_of(TEXT), "{fault}");
    }
}

#[test]
fn the_first_utterance_finds_the_connection_made() {
    let service = ElevenLabs::start(0).unwrap();
    let plugin = opened(&service, json!({}));
    let stream = voice(&plugin, VOICE);
    let asked = |seen: &Seen| seen.requests.iter().any(|heard| heard.path == "/v1/models");
    service.wait("the connection is warmed", asked);
    plugin.wait_for_line("stands ready");
    for utterance in 1..4 {
        assert_eq!(failed(&spoken(&stream, utterance, TEXT)).0, "");
    }
    let seen = service.seen();
    assert_eq!(seen.connections, 1, "{:?}", seen.requests);
    nothing_was_wrong(&seen);
}

#[test]
fn a_wrong_key_is_said_at_the_start_of_the_call_and_never_shown() {
    let service = ElevenLabs::start(0).unwrap();
    let plugin = opened(&service, json!({"api_key": "sk_other_canary"}));
    let stream = voice(&plugin, VOICE);
    let line = plugin.wait_for_line("could be made ready");
    assert!(
        line.text
            .contains("auth: ElevenLabs does not accept the API key"),
        "{}",
        line.text
    );
    let (name, sentence) = failed(&spoken(&stream, 1, TEXT));
    assert_eq!(name, failure::AUTH);
    let all = format!("{:?} {sentence}", plugin.log());
    assert!(!all.contains("sk_other_canary"), "{all}");
}

#[test]
fn request_and_cost_are_logged_also_after_a_barge_in() {
    let service = ElevenLabs::start(0).unwrap();
    let plugin = opened(&service, json!({}));
    let stream = voice(&plugin, VOICE);
    assert_eq!(failed(&spoken(&stream, 1, TEXT)).0, "");
    let line = plugin.wait_for_line("spoke an utterance");
    let fields: Value = serde_json::from_str(&line.fields).unwrap();
    assert!(
        fields["request_id"].as_str().unwrap().starts_with("req_"),
        "{fields}"
    );
    for (name, value) in [
        ("call", json!("CA1")),
        ("model", json!(MODEL)),
        ("characters", json!(12)),
        ("character_cost", json!(12)),
        ("audio_ms", json!(720)),
        ("tries", json!(1)),
        ("ending", json!("whole")),
    ] {
        assert_eq!(fields[name], value, "{name}");
    }

    let plugin = opened(&service, json!({}));
    let stream = voice(&plugin, "fault-endless");
    speak(&stream, 1, TEXT);
    stream.wait_for_record();
    stream.cancel(1);
    let line = plugin.wait_for_line("spoke an utterance");
    let fields: Value = serde_json::from_str(&line.fields).unwrap();
    assert_eq!(
        (&fields["ending"], &fields["character_cost"]),
        (&json!("barge_in"), &json!(12))
    );
}

#[test]
fn a_text_that_cannot_be_spoken_is_not_sent() {
    let service = ElevenLabs::start(0).unwrap();
    let plugin = opened(&service, json!({}));
    let stream = voice_with(&plugin, json!({"voice": VOICE, "model": SHORT_MODEL}));
    // The service itself says how much its models take; asked when the call starts.
    plugin.wait_for_line("stands ready");
    for (text, words) in [
        ("  ", "the text is empty"),
        (
            &"ä".repeat(101),
            "has 101 characters, and eleven_short_of_breath takes 100",
        ),
    ] {
        let (name, sentence) = failed(&spoken(&stream, 1, text));
        assert_eq!(name, failure::BAD_REQUEST);
        assert!(sentence.contains(words), "{sentence}");
    }
    assert_eq!(service.seen().syntheses().len(), 0);
    assert_eq!(failed(&spoken(&stream, 2, &"ä".repeat(100))).0, "");
}

#[test]
fn voices_and_models_of_the_account_are_listed_page_by_page() {
    let service = ElevenLabs::start(0).unwrap();
    let plugin = opened(&service, json!({}));
    let listed: Value = serde_json::from_str(&plugin.catalog().unwrap().unwrap()).unwrap();
    assert_eq!(listed["voices"].as_array().unwrap().len(), 123);
    assert_eq!(
        listed["voices"][0],
        json!({"id": VOICE, "name": "Rachel", "language": "en", "about": "premade, American, calm"})
    );
    let models = listed["models"].as_array().unwrap();
    let flash = models.iter().find(|model| model["id"] == MODEL).unwrap();
    assert_eq!(
        (&flash["max_characters"], &flash["languages"]),
        (&json!(40_000), &json!(["en", "es"]))
    );
    let seen = service.seen();
    let pages = seen
        .requests
        .iter()
        .filter(|heard| heard.path == "/v2/voices");
    assert_eq!(pages.count(), 2);
    nothing_was_wrong(&seen);

    let stranger = opened(&service, json!({"api_key": "sk_other"}));
    let no = stranger.catalog().unwrap().unwrap_err();
    assert!(
        no.starts_with("auth: ElevenLabs does not accept the API key"),
        "{no}"
    );
}

#[test]
fn a_configuration_that_cannot_work_is_refused_at_open() {
    for (config, words) in [
        (json!({}), "missing field `api_key`"),
        (
            json!({"api_key": "a\nb"}),
            "`api_key` holds what no key has",
        ),
        (
            json!({"api_key": "k", "base_url": "http://example.com"}),
            "https only",
        ),
        (
            json!({"api_key": "k", "base_url": "https://x", "region": "eu"}),
            "exclude each other",
        ),
    ] {
        let Err(no) = open(plugin_table(), &config.to_string()) else {
            panic!("{config} was taken");
        };
        assert!(no.text.contains(words), "{config}: {}", no.text);
    }
}
