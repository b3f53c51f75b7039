//! A voice made with `export!`, driven through its table: what it is told and answers, and that it neither loses an
//! ending nor a release when it is cancelled, stopped, full, wrong or panicking.

#![cfg(feature = "sdk")]
#![allow(clippy::unwrap_used)]

mod host;

use std::future::pending;

use host::{describe, host_of_another_version, open, open_with, sound, Opened, Record, Stream};
use voice_plugin::abi::{kind, level, role, status, VpHost, ABI};
use voice_plugin::prelude::*;

/// Does what the text says: `say N` N bytes, `count` the numbers 0 to 9 one byte at a time, `quiet`, `fail`, `panic`,
/// `halt` after a first sound for ever, `told` what it knows about the call.
struct Puppet {
    host: Host,
    lists: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// What `open` does.
    #[serde(default)]
    open: String,
    /// What `catalog` lists.
    #[serde(default)]
    lists: String,
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Voice {
    /// How fast.
    #[serde(default = "one")]
    speed: u32,
}

fn one() -> u32 {
    1
}

impl Tts for Puppet {
    type Config = Config;
    type Voice = Voice;
    const PRODUCES: &'static [Format] = &[Format::MULAW_8K, Format::s16le(16000)];

    async fn open(config: Config, host: Host) -> Result<Self> {
        match config.open.as_str() {
            "fail" => Err("no key for the maker".into()),
            "panic" => panic!("no model"),
            _ => Ok(Puppet {
                host,
                lists: config.lists,
            }),
        }
    }

    async fn warm(&self, voice: &Voice) {
        self.host
            .log(Level::Debug, "warmed", &[("speed", voice.speed.into())]);
    }

    async fn catalog(&self) -> Result<Catalog> {
        match self.lists.as_str() {
            "" => Ok(Catalog::default()),
            "fail" => Err(Error::named(
                failure::AUTH,
                "the maker does not know the key",
            )),
            "panic" => panic!("the list is torn"),
            id => Ok(Catalog {
                voices: vec![CatalogVoice {
                    id: id.to_owned(),
                    name: "Judy".to_owned(),
                    language: "en".to_owned(),
                    ..CatalogVoice::default()
                }],
                models: vec![CatalogModel {
                    id: "loud".to_owned(),
                    max_characters: Some(7),
                    ..CatalogModel::default()
                }],
            }),
        }
    }

    async fn speak(&self, say: Say<Voice>, out: &mut Audio) -> Result<()> {
        struct Gone(Host);
        impl Drop for Gone {
            fn drop(&mut self) {
                self.0.info("speak is gone");
            }
        }
        let _gone = Gone(self.host.clone());
        match say.text.split_once(' ').unwrap_or((&say.text, "")) {
            ("say", n) => {
                let bytes: Vec<u8> = (0..n.parse::<usize>()?).map(|i| i as u8).collect();
                out.write(&bytes).await
            }
            ("count", _) => {
                for i in 0..10u8 {
                    out.write(&[i]).await?;
                }
                Ok(())
            }
            ("samples", _) => out.write_samples(&[0, 1000, -1000]).await,
            ("fail", _) => Err("the maker refused the words".into()),
            ("quota", _) => Err(Error::named(failure::QUOTA, "no characters are left")),
            ("panic", why) => panic!("{why}"),
            ("halt", _) => {
                out.write(&[1; 10]).await?;
                pending().await
            }
            ("told", _) => {
                let Say {
                    voice,
                    language,
                    call,
                    ..
                } = say;
                out.write(format!("{} {} {}", voice.speed, language, call.sid).as_bytes())
                    .await
            }
            _ => Ok(()),
        }
    }
}

voice_plugin::export!(tts: Puppet);

const INFO: &str =
    r#"{"call":{"sid":"CA1"},"format":{"encoding":"mulaw","rate":8000},"language":"en"}"#;
const WIDE: &str = r#"{"format":{"encoding":"s16le","rate":16000}}"#;

fn opened() -> Opened {
    open(plugin_table(), "{}").unwrap()
}

fn speak(stream: &Stream<'_>, utterance: u32, text: &str) {
    assert_eq!(
        stream.tell(kind::SPEAK, utterance, text.as_bytes()),
        status::OK
    );
}

/// `[utterance] sound-bytes ending`, one per utterance in the order of their endings.
fn endings(records: &[Record]) -> Vec<String> {
    let ends = records.iter().filter(|record| record.kind != kind::AUDIO);
    ends.map(|end| {
        let of_it = records
            .iter()
            .filter(|r| r.kind == kind::AUDIO && r.turn == end.turn);
        let bytes: usize = of_it.map(|record| record.data.len()).sum();
        let word = if end.kind == kind::DONE {
            "done"
        } else {
            end.text()
        };
        format!("[{}] {bytes} {word}", end.turn)
    })
    .collect()
}

#[test]
fn utterance_is_spoken_and_done() {
    let plugin = opened();
    let stream = plugin.start(role::TTS, INFO).unwrap();
    speak(&stream, 1, "say 4000");
    let records = stream.take_until(kind::DONE);
    assert_eq!(endings(&records), ["[1] 4000 done"]);
    assert_eq!(
        sound(&records),
        (0..4000).map(|i| i as u8).collect::<Vec<_>>()
    );
}

#[test]
fn utterances_are_spoken_in_order() {
    let plugin = opened();
    let stream = plugin.start(role::TTS, INFO).unwrap();
    for (utterance, text) in [(1, "say 100"), (2, "fail"), (3, "say 20"), (4, "halt")] {
        speak(&stream, utterance, text);
    }
    let mut records = stream.take_until(kind::FAILED);
    while !records.iter().any(|record| record.turn == 4) {
        stream.wait_for_record();
        records.extend(stream.take());
    }
    assert_eq!(
        endings(&records),
        [
            "[1] 100 done",
            "[2] 0 the maker refused the words",
            "[3] 20 done"
        ]
    );
}

#[test]
fn voice_learns_of_call_language_and_settings() {
    let plugin = opened();
    let info = r#"{"call":{"sid":"CA9"},"language":"de","settings":{"speed":3}}"#;
    let stream = plugin.start(role::TTS, info).unwrap();
    speak(&stream, 1, "told");
    assert_eq!(sound(&stream.take_until(kind::DONE)), b"3 de CA9");
    let warmed = plugin.wait_for_line("warmed");
    assert_eq!(
        (warmed.level, warmed.fields.as_str()),
        (level::DEBUG, r#"{"call":"CA9","speed":3}"#)
    );
}

#[test]
fn success_without_sound_is_a_failure_with_a_name() {
    let plugin = opened();
    let stream = plugin.start(role::TTS, INFO).unwrap();
    speak(&stream, 7, "quiet");
    assert_eq!(
        endings(&stream.take_until(kind::FAILED)),
        ["[7] 0 no_audio: the voice finished without sound"]
    );
}

#[test]
fn a_named_failure_carries_its_name_before_the_sentence() {
    let plugin = opened();
    let stream = plugin.start(role::TTS, INFO).unwrap();
    speak(&stream, 1, "quota");
    let records = stream.take_until(kind::FAILED);
    assert_eq!(endings(&records), ["[1] 0 quota: no characters are left"]);
    let end = records.last().unwrap();
    assert_eq!(failure::name_of(end.text()), Some(failure::QUOTA));
}

#[test]
fn what_can_be_chosen_from_is_listed_by_the_extension() {
    let listed = |lists: &str| {
        let plugin = open(plugin_table(), &format!(r#"{{"lists":"{lists}"}}"#)).unwrap();
        plugin.catalog().unwrap()
    };
    assert_eq!(
        listed("v1").unwrap(),
        r#"{"voices":[{"id":"v1","name":"Judy","language":"en"}],"models":[{"id":"loud","name":"","max_characters":7}]}"#
    );
    assert_eq!(listed("").unwrap(), r#"{"voices":[]}"#);
    assert_eq!(
        listed("fail"),
        Err("auth: the maker does not know the key".to_owned())
    );
    let panicked = listed("panic").unwrap_err();
    assert!(
        panicked.starts_with("panicked: the list is torn ("),
        "{panicked}"
    );
}

#[test]
fn panic_in_speak_fails_the_utterance_and_no_other() {
    let plugin = opened();
    let stream = plugin.start(role::TTS, INFO).unwrap();
    speak(&stream, 1, "panic a cable came loose");
    speak(&stream, 2, "say 5");
    let records = stream.take_until(kind::DONE);
    assert_eq!(
        endings(&records),
        ["[1] 0 the voice panicked: a cable came loose", "[2] 5 done"]
    );
    let line = plugin.wait_for_line("a cable came loose");
    assert_eq!(line.level, level::ERROR);
    assert!(
        line.text
            .starts_with("panicked at plugin-api/tests/voice.rs:"),
        "{}",
        line.text
    );
}

#[test]
fn long_failure_text_is_cut_at_a_character() {
    let plugin = opened();
    let stream = plugin.start(role::TTS, INFO).unwrap();
    speak(&stream, 1, &format!("panic {}", "ü".repeat(500)));
    let records = stream.take_until(kind::FAILED);
    let text = records[0].text();
    assert!(
        text.len() <= 400 && text.len() > 390 && text.ends_with('ü'),
        "{}",
        text.len()
    );
}

#[test]
fn fast_voice_waits_for_a_full_ring_and_loses_nothing() {
    let plugin = opened();
    let stream = plugin.start_with(role::TTS, INFO, 4096).unwrap();
    speak(&stream, 1, "say 100000");
    stream.wait_until_told_full(1);
    assert!(stream.used() > 0 && stream.used() <= 4096 - host::CONTROL_BYTES);
    let records = stream.take_until(kind::DONE);
    assert_eq!(endings(&records), ["[1] 100000 done"]);
    assert_eq!(
        sound(&records),
        (0..100_000).map(|i| i as u8).collect::<Vec<_>>()
    );
}

#[test]
fn cancel_drops_the_running_utterance_and_those_before_it() {
    let plugin = opened();
    let stream = plugin.start(role::TTS, INFO).unwrap();
    speak(&stream, 1, "halt");
    speak(&stream, 2, "say 100");
    speak(&stream, 3, "say 7");
    stream.wait_for_record();
    assert_eq!(stream.cancel(2), status::OK);
    assert_eq!(endings(&stream.take_until(kind::DONE)), ["[3] 7 done"]);
    plugin.wait_for_line("speak is gone");
}

#[test]
fn cancel_frees_a_voice_that_waits_for_room() {
    let plugin = opened();
    let stream = plugin.start_with(role::TTS, INFO, 4096).unwrap();
    speak(&stream, 1, "say 100000");
    stream.wait_until_told_full(1);
    stream.cancel(1);
    plugin.wait_for_line("speak is gone");
    speak(&stream, 2, "say 9");
    assert_eq!(endings(&stream.take_until(kind::DONE)), ["[2] 9 done"]);
}

#[test]
fn voice_that_was_not_told_learns_of_the_cancel_at_its_next_write() {
    let plugin = opened();
    let stream = plugin.start_with(role::TTS, INFO, 4096).unwrap();
    speak(&stream, 1, "say 100000");
    stream.wait_until_told_full(1);
    stream.give_up(1);
    stream.tell(kind::WRITABLE, 0, &[]);
    plugin.wait_for_line("speak is gone");
    speak(&stream, 2, "say 9");
    assert_eq!(endings(&stream.take_until(kind::DONE)), ["[2] 9 done"]);
}

#[test]
fn utterance_asked_for_after_its_cancel_is_not_spoken() {
    let plugin = opened();
    let stream = plugin.start(role::TTS, INFO).unwrap();
    stream.cancel(5);
    speak(&stream, 5, "say 100");
    speak(&stream, 6, "say 8");
    assert_eq!(endings(&stream.take_until(kind::DONE)), ["[6] 8 done"]);
}

#[test]
fn half_samples_wait_for_their_other_half() {
    let plugin = opened();
    let stream = plugin.start(role::TTS, WIDE).unwrap();
    speak(&stream, 1, "count");
    let records = stream.take_until(kind::DONE);
    assert_eq!(sound(&records), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert!(records.iter().all(|record| record.data.len() % 2 == 0));
    speak(&stream, 2, "say 4001");
    assert_eq!(endings(&stream.take_until(kind::DONE)), ["[2] 4000 done"]);
}

#[test]
fn samples_are_written_in_the_agreed_encoding() {
    let plugin = opened();
    for (info, bytes) in [
        (INFO, &[0xff, 0xce, 0x4e][..]),
        (WIDE, &[0, 0, 0xe8, 3, 0x18, 0xfc]),
    ] {
        let stream = plugin.start(role::TTS, info).unwrap();
        speak(&stream, 1, "samples");
        assert_eq!(sound(&stream.take_until(kind::DONE)), bytes);
    }
}

#[test]
fn way_out_is_released_once_whatever_happens_at_stop() {
    let plugin = opened();
    // Idle; at work; waiting for room; panicked; with more asked for.
    for texts in [
        &[][..],
        &["halt"],
        &["say 100000"],
        &["panic now"],
        &["halt", "say 5", "say 6"],
    ] {
        let stream = plugin.start_with(role::TTS, INFO, 4096).unwrap();
        for (utterance, text) in texts.iter().enumerate() {
            speak(&stream, utterance as u32 + 1, text);
        }
        if !texts.is_empty() {
            stream.wait_for_record();
        }
        assert_eq!(stream.released(), 0);
        let watch = stream.stop();
        watch.assert_released_once();
    }
}

#[test]
fn way_out_is_released_when_stop_comes_before_the_thread_saw_the_start() {
    let plugin = opened();
    let watches: Vec<_> = (0..200)
        .map(|_| plugin.start(role::TTS, INFO).unwrap().stop())
        .collect();
    drop(plugin);
    for watch in watches {
        watch.assert_released_once();
    }
}

#[test]
fn closing_drops_what_is_still_at_work() {
    let plugin = opened();
    let stream = plugin.start(role::TTS, INFO).unwrap();
    speak(&stream, 1, "halt");
    stream.wait_for_record();
    let watch = stream.stop();
    drop(plugin);
    watch.assert_released_once();
}

#[test]
fn refused_open_says_why() {
    let cases = [
        (r#"{"open":"fail"}"#, status::ERROR, "no key for the maker"),
        (r#"{"open":"panic"}"#, status::PANIC, "panicked: no model"),
        (
            r#"{"opne":"x"}"#,
            status::ERROR,
            "the configuration of the plugin does not fit: unknown field `opne`, expected `open` or `lists`",
        ),
        (
            r#"{"open":1}"#,
            status::ERROR,
            "the configuration of the plugin does not fit: invalid type: integer `1`, expected a string",
        ),
    ];
    for (config, code, text) in cases {
        let Err(refused) = open(plugin_table(), config) else {
            panic!("opened with {config}")
        };
        assert_eq!(refused.status, code);
        match refused.text.strip_prefix(text) {
            Some("") => {}
            // A panic says where it was.
            Some(place) if code == status::PANIC && place.contains("tests/voice.rs:") => {}
            _ => panic!("{} instead of {text}", refused.text),
        }
        let told = refused
            .log
            .iter()
            .any(|line| line.text.contains("no model"));
        assert_eq!(told, code == status::PANIC, "{:?}", refused.log);
    }
}

#[test]
fn refused_start_says_why_and_releases() {
    let plugin = opened();
    let cases = [
        (
            role::STT,
            INFO,
            status::UNSUPPORTED,
            "this plugin has no such role",
        ),
        (
            role::TTS,
            r#"{"settings":{"sped":1}}"#,
            status::ERROR,
            "the settings of the voice do not fit: unknown field `sped`, expected `speed`",
        ),
        (
            role::TTS,
            r#"{"format":{"encoding":"s16le","rate":44100}}"#,
            status::ERROR,
            "this voice does not produce S16le at 44100 Hz",
        ),
    ];
    for (role, info, code, text) in cases {
        let Err(refused) = plugin.start(role, info) else {
            panic!("started with {info}")
        };
        assert_eq!((refused.status, refused.text.as_str()), (code, text));
    }
}

#[test]
fn description_has_formats_and_schemas() {
    let json: serde_json::Value = serde_json::from_str(&describe(plugin_table())).unwrap();
    assert_eq!(
        json["tts"]["produces"],
        serde_json::json!([{"encoding":"mulaw","rate":8000},{"encoding":"s16le","rate":16000}])
    );
    assert_eq!(
        json["tts"]["schema"]["properties"]["speed"]["type"],
        "integer"
    );
    assert_eq!(json["tts"]["schema"]["additionalProperties"], false);
    assert_eq!(
        json["schema"]["properties"]["open"]["description"],
        "What `open` does."
    );
    assert_eq!(json.get("responder"), None);
}

#[test]
fn table_carries_the_package_and_serves_its_own_version_only() {
    let table = plugin_table();
    // SAFETY: static strings, ended by NUL.
    let (name, version) = unsafe {
        (
            std::ffi::CStr::from_ptr(table.name),
            std::ffi::CStr::from_ptr(table.version),
        )
    };
    assert_eq!(name.to_str().unwrap(), env!("CARGO_PKG_NAME"));
    assert_eq!(version.to_str().unwrap(), env!("CARGO_PKG_VERSION"));
    assert_eq!((table.size as usize, table.abi), (size_of_val(table), ABI));
    assert!(std::ptr::eq(voice_plugin(ABI), table));
    assert!(voice_plugin(ABI + 1).is_null());
}

#[test]
fn host_of_another_version_is_refused_in_words() {
    let size = size_of::<VpHost>() as u32;
    for (size, abi) in [(size - 8, ABI), (size, ABI + 1)] {
        let host = host_of_another_version(size, abi);
        let Err(refused) = open_with(plugin_table(), "{}", host) else {
            panic!("opened")
        };
        assert_eq!(refused.status, status::UNSUPPORTED);
        assert!(
            refused
                .text
                .contains(&format!("version {abi} with a table of {size} bytes")),
            "{refused:?}"
        );
    }
    // A newer host has a longer table, and that is no hindrance.
    assert!(open_with(plugin_table(), "{}", host_of_another_version(size + 8, ABI)).is_ok());
}

#[test]
fn many_streams_speak_side_by_side() {
    let plugin = opened();
    let streams: Vec<_> = (0..20)
        .map(|_| plugin.start(role::TTS, INFO).unwrap())
        .collect();
    for (n, stream) in streams.iter().enumerate() {
        speak(stream, 1, &format!("say {}", 100 + n));
    }
    for (n, stream) in streams.iter().enumerate() {
        assert_eq!(
            endings(&stream.take_until(kind::DONE)),
            [format!("[1] {} done", 100 + n)]
        );
    }
}
