//! A responder that hears the caller only when it wants to: what it tells the host, and what reaches it meanwhile.

#![cfg(feature = "sdk")]
#![allow(clippy::unwrap_used)]

mod host;

use host::{open, Stream};
use voice_plugin::abi::{kind, role};
use voice_plugin::prelude::*;

#[derive(Deserialize, JsonSchema)]
struct Config {
    /// Whether it hears from the beginning.
    at_once: bool,
}

/// Says how much it has heard since its last turn, and wants to hear if it did not, and the other way round.
struct Ears {
    at_once: bool,
}

impl Responder for Ears {
    type Config = Config;
    const HEARS_AUDIO: bool = true;

    fn wants(config: &Config) -> Wants {
        Wants {
            first: false,
            digits: false,
            silence: false,
            audio: config.at_once,
        }
    }

    async fn open(config: Config, _: Host) -> Result<Self> {
        Ok(Ears {
            at_once: config.at_once,
        })
    }

    async fn run(&self, mut call: Call) -> Result<()> {
        let (mut heard, mut hears) = (0, self.at_once);
        while let Some(event) = call.next().await {
            match event {
                Event::Audio(bytes) => heard += bytes.len(),
                Event::TurnOver { .. } => {
                    hears = !hears;
                    call.hear_audio(hears).await?;
                    call.say(&heard.to_string()).await?;
                    call.done().await?;
                    heard = 0;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

voice_plugin::export!(responder: Ears);

/// A host that gives sound whether it is wanted or not, and a turn; what comes back.
fn turn(stream: &Stream<'_>, turn: u32) -> Vec<String> {
    for _ in 0..3 {
        stream.tell(kind::AUDIO, turn, &[0; 160]);
    }
    stream.turn_over(turn);
    let records = stream.take_until(kind::DONE);
    let told = records.iter().filter(|record| record.kind != kind::DONE);
    told.map(|record| record.text().to_owned()).collect()
}

#[test]
fn sound_comes_while_it_is_wanted_and_no_longer() {
    let (on, off) = (
        r#"{"audio":true,"do":"take"}"#,
        r#"{"audio":false,"do":"take"}"#,
    );
    let plugin = open(plugin_table(), r#"{"at_once":false}"#).unwrap();
    let stream = plugin.start(role::RESPONDER, "{}").unwrap();
    let first = r#"{"audio":false,"digits":false,"do":"take","first":false,"silence":false}"#;
    assert_eq!(turn(&stream, 1), [first, on, "0"]);
    assert_eq!(turn(&stream, 2), [off, "480"]);
    assert_eq!(turn(&stream, 3), [on, "0"]);

    let plugin = open(plugin_table(), r#"{"at_once":true}"#).unwrap();
    let stream = plugin.start(role::RESPONDER, "{}").unwrap();
    assert_eq!(
        turn(&stream, 1),
        [off, "480"],
        "as described: nothing is said first"
    );
    assert_eq!(turn(&stream, 2), [on, "0"]);
}
