//! A transcriber made with `export!`, driven through its table.

#![cfg(feature = "sdk")]
#![allow(clippy::unwrap_used)]

mod host;

use host::{describe, open};
use voice_plugin::abi::{flag, kind, role, status};
use voice_plugin::prelude::*;

/// Says how many bytes it heard: so far, and at the end of each turn; a turn without any has failed.
struct Counter;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    unit: String,
}

impl Transcriber for Counter {
    type Config = Nothing;
    type Settings = Settings;
    const ACCEPTS: &'static [Format] = &[Format::s16le(16000), Format::MULAW_8K];

    async fn open(_: Nothing, _: Host) -> Result<Self> {
        Ok(Counter)
    }

    fn languages(&self) -> Vec<String> {
        vec!["en".to_owned(), "es-MX".to_owned()]
    }

    async fn run(&self, mut call: Listening<Settings>) -> Result<()> {
        let mut heard = 0;
        while let Some(what) = call.next().await {
            match what {
                Heard::Audio(bytes) if bytes == b"bad" => return Err("that hurt".into()),
                Heard::Audio(bytes) => heard += bytes.len(),
                Heard::SpeechStart => heard = 0,
                Heard::SpeechEnd { last } => {
                    let words = format!("{heard} {}", call.settings().unit);
                    match last {
                        true if heard == 0 => {
                            call.failed(call.turn(), "busy: all ears are taken").await?
                        }
                        false => call.partial(call.turn(), &words).await?,
                        true => call.text(call.turn(), &words).await?,
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

voice_plugin::export!(stt: Counter);

const INFO: &str = r#"{"format":{"encoding":"mulaw","rate":8000},"settings":{"unit":"bytes"}}"#;

#[test]
fn it_says_which_languages_it_can_be_told() {
    let plugin = open(plugin_table(), "").unwrap();
    let languages = plugin.languages().unwrap();
    assert_eq!(languages.as_deref(), Ok(r#"{"stt":["en","es-MX"]}"#));
    assert_eq!(plugin.catalog(), None);
}

#[test]
fn words_come_back_under_their_turn() {
    let plugin = open(plugin_table(), "").unwrap();
    let stream = plugin.start(role::STT, INFO).unwrap();
    stream.tell(kind::SPEECH_START, 4, b"");
    stream.tell(kind::AUDIO, 4, &[0; 160]);
    stream.tell(kind::SPEECH_END, 4, b"");
    stream.tell(kind::AUDIO, 4, &[0; 160]);
    stream.turn_over(4);
    let records = stream.take_until(kind::TEXT);
    let drawn: Vec<_> = records
        .iter()
        .map(|r| (r.kind, r.turn, r.flags, r.text()))
        .collect();
    assert_eq!(
        drawn,
        [
            (kind::PARTIAL, 4, 0, "160 bytes"),
            (kind::TEXT, 4, flag::LAST, "320 bytes")
        ]
    );
}

#[test]
fn failed_transcriber_says_so_for_this_turn_and_later_ones() {
    let plugin = open(plugin_table(), "").unwrap();
    let stream = plugin.start(role::STT, INFO).unwrap();
    stream.tell(kind::AUDIO, 1, b"bad");
    let mut failed = Vec::new();
    while failed.len() < 2 {
        failed.extend(stream.take_until(kind::FAILED));
    }
    assert_eq!((failed[0].turn, failed[0].text()), (1, "that hurt"));
    assert_eq!((failed[1].turn, failed[1].text()), (0, ""));
    stream.turn_over(2);
    let failed = stream.take_until(kind::FAILED);
    assert_eq!(failed[0].turn, 2);
    assert_eq!(
        failed[0].text(),
        "the transcriber has ended before the call: that hurt"
    );
    let watch = stream.stop();
    drop(plugin);
    watch.assert_released_once();
}

#[test]
fn turn_can_fail_alone() {
    let plugin = open(plugin_table(), "").unwrap();
    let stream = plugin.start(role::STT, INFO).unwrap();
    stream.turn_over(1);
    let failed = stream.take_until(kind::FAILED);
    assert_eq!(
        (failed[0].turn, failed[0].flags, failed[0].text()),
        (1, flag::LAST, "busy: all ears are taken")
    );
    stream.tell(kind::AUDIO, 2, &[0; 160]);
    stream.turn_over(2);
    let records = stream.take_until(kind::TEXT);
    assert_eq!((records[0].turn, records[0].text()), (2, "160 bytes"));
}

#[test]
fn missing_setting_is_named() {
    let plugin = open(plugin_table(), "").unwrap();
    let Err(refused) = plugin.start(role::STT, "{}") else {
        panic!("started")
    };
    assert_eq!(refused.status, status::ERROR);
    assert_eq!(
        refused.text,
        "the settings of the transcriber do not fit: missing field `unit`"
    );
}

#[test]
fn description_has_accepted_formats() {
    let json: serde_json::Value = serde_json::from_str(&describe(plugin_table())).unwrap();
    assert_eq!(
        json["stt"]["accepts"][0],
        serde_json::json!({"encoding":"s16le","rate":16000})
    );
    assert_eq!(
        json["stt"]["schema"]["required"],
        serde_json::json!(["unit"])
    );
}
