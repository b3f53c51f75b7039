//! The plugin through its table, with a model that understands nothing: who gets which record, and what is said about
//! files that are not right. What a real model understands is in `human.rs`.

#![allow(clippy::unwrap_used)]

#[path = "../../../plugin-api/tests/host/mod.rs"]
mod host;
#[path = "support/mini.rs"]
mod mini;

use std::fs;
use std::path::Path;

use host::{Opened, Record, Refused, Stream, describe, open};
use stt_whisper::plugin_table;
use tempfile::TempDir;
use voice_plugin::abi::{flag, kind, role};

const S16: &str = r#"{"format":{"encoding":"s16le","rate":16000},"language":"en"}"#;
const MULAW: &str = r#"{"format":{"encoding":"mulaw","rate":8000},"language":"es"}"#;

fn model() -> TempDir {
    let folder = TempDir::new().unwrap();
    mini::write(folder.path()).unwrap();
    folder
}

fn opened(path: &Path) -> Result<Opened, Refused> {
    let config = serde_json::json!({ "model": path });
    open(plugin_table(), &config.to_string())
}

/// Some seconds of a tone that rises, 20 ms a frame.
fn say(stream: &Stream<'_>, turn: u32, frames: usize, bytes: usize) {
    for frame in 0..frames {
        let sound: Vec<u8> = (0..bytes).map(|n| (n * (frame + 1)) as u8).collect();
        stream.tell(kind::AUDIO, turn, &sound);
    }
}

fn drawn(records: &[Record]) -> Vec<(u16, u32, u16)> {
    records
        .iter()
        .map(|record| (record.kind, record.turn, record.flags))
        .collect()
}

#[test]
fn words_of_a_pause_are_the_words_of_the_turn() {
    let folder = model();
    let plugin = opened(folder.path()).unwrap();
    for (info, bytes) in [(S16, 640), (MULAW, 160)] {
        let stream = plugin.start(role::STT, info).unwrap();
        say(&stream, 1, 25, bytes);
        stream.tell(kind::SPEECH_START, 1, b"");
        say(&stream, 1, 50, bytes);
        stream.tell(kind::SPEECH_END, 1, b"");
        let partial = stream.take_until(kind::PARTIAL);
        assert_eq!(drawn(&partial), [(kind::PARTIAL, 1, 0)]);
        say(&stream, 1, 15, bytes);
        stream.turn_over(1);
        let text = stream.take_until(kind::TEXT);
        assert_eq!(drawn(&text), [(kind::TEXT, 1, flag::LAST)]);
        assert_eq!(text[0].text(), partial[0].text());
        assert!(!text[0].text().is_empty(), "it babbles");
    }
}

#[test]
fn every_stretch_has_one_text_and_silence_an_empty_one() {
    let folder = model();
    let plugin = opened(folder.path()).unwrap();
    let stream = plugin.start(role::STT, S16).unwrap();
    for turn in 1..=3 {
        stream.tell(kind::SPEECH_START, turn, b"");
        say(&stream, turn, 10 * turn as usize, 640);
        stream.turn_over(turn);
        let text = stream.take_until(kind::TEXT);
        assert_eq!(drawn(&text), [(kind::TEXT, turn, flag::LAST)]);
    }
    stream.turn_over(4);
    let text = stream.take_until(kind::TEXT);
    assert_eq!((text[0].turn, text[0].text()), (4, ""));
    let watch = stream.stop();
    drop(plugin);
    watch.assert_released_once();
}

#[test]
fn the_weights_say_which_languages_there_are() {
    let folder = model();
    let plugin = opened(folder.path()).unwrap();
    let languages = plugin.languages().unwrap();
    assert_eq!(languages.as_deref(), Ok(r#"{"stt":["en","es","auto"]}"#));
}

#[test]
fn language_that_the_model_lacks_is_said_in_the_first_turn() {
    let folder = model();
    let plugin = opened(folder.path()).unwrap();
    let stream = plugin.start(role::STT, r#"{"language":"fr-CA"}"#).unwrap();
    stream.turn_over(1);
    let failed = stream.take_until(kind::FAILED);
    let said = failed.last().unwrap().text();
    assert!(
        said.contains(
            "bad_request: the model of this transcriber does not know the language `fr-CA`"
        ),
        "{said}"
    );
}

#[test]
fn wrong_files_are_named_with_what_to_do() {
    let folder = model();
    let path = |name: &str| folder.path().join(name);
    let whole = fs::read(path("model.bin")).unwrap();
    let told = |model: &Path| opened(model).err().unwrap().text;
    let at = |name: &str| path(name).display().to_string();

    // The weights may be named themselves.
    opened(&path("model.bin")).unwrap();
    fs::write(path("model.bin"), &whole[..whole.len() / 2]).unwrap();
    let said = told(folder.path());
    assert!(
        said.starts_with(&format!(
            "{} is not a usable model.bin of CTranslate2: it ends in the middle of `",
            at("model.bin")
        )),
        "{said}"
    );
    fs::write(path("model.bin"), mini::head(0)).unwrap();
    let said = told(folder.path());
    assert!(
        said.starts_with(&format!(
            "{} is not a usable Whisper model: it lacks `",
            at("model.bin")
        )),
        "{said}"
    );
    fs::remove_file(path("model.bin")).unwrap();
    let said = told(folder.path());
    assert!(
        said.starts_with(&format!(
            "there is no model.bin at {}: give `model` the folder of",
            at("model.bin")
        )),
        "{said}"
    );
    fs::write(path("model.bin"), &whole).unwrap();

    fs::write(path("config.json"), "{").unwrap();
    assert!(told(folder.path()).starts_with(&format!(
        "{} is not a usable configuration",
        at("config.json")
    )));
    fs::write(
        path("config.json"),
        r#"{"suppress_ids":[-1,0,1,99999],"other":1}"#,
    )
    .unwrap();
    opened(folder.path()).unwrap();

    let lines = mini::vocabulary();
    fs::write(
        path("vocabulary.txt"),
        lines.replace("<|startoftranscript|>\n", ""),
    )
    .unwrap();
    assert!(
        told(folder.path())
            .contains("is not a usable vocabulary of Whisper: it lacks `<|startoftranscript|>`")
    );
    fs::write(path("vocabulary.txt"), format!("{lines}more\n")).unwrap();
    assert!(told(folder.path()).contains("they belong to different models"));
    fs::remove_file(path("vocabulary.txt")).unwrap();
    assert!(told(folder.path()).contains(&at("vocabulary.txt")));
    let said = told(&path("nowhere"));
    assert!(
        said.starts_with(&format!(
            "there is no model at {}: give `model` the folder of",
            at("nowhere")
        )),
        "{said}"
    );
}

#[test]
fn description_has_formats_and_keys() {
    let json: serde_json::Value = serde_json::from_str(&describe(plugin_table())).unwrap();
    let accepts =
        serde_json::json!([{"encoding":"s16le","rate":16000}, {"encoding":"mulaw","rate":8000}]);
    assert_eq!(json["stt"]["accepts"], accepts);
    assert_eq!(json["schema"]["required"], serde_json::json!(["model"]));
    assert_eq!(json["stt"]["schema"]["additionalProperties"], false);
}
