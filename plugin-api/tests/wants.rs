//! A responder whose configuration decides which turns it takes, and that fails one turn without failing the next.

#![cfg(feature = "sdk")]
#![allow(clippy::unwrap_used)]

mod host;

use host::open;
use voice_plugin::abi::{kind, role};
use voice_plugin::prelude::*;

#[derive(Deserialize, JsonSchema)]
struct Config {
    digits: bool,
}

struct Choosy;

impl Responder for Choosy {
    type Config = Config;
    const TAKES_DIGITS: bool = true;

    fn wants(config: &Config) -> Wants {
        Wants {
            first: false,
            digits: config.digits,
            silence: false,
            audio: false,
        }
    }

    async fn open(_: Config, _: Host) -> Result<Self> {
        Ok(Choosy)
    }

    async fn run(&self, mut call: Call) -> Result<()> {
        while let Some(event) = call.next().await {
            if let Event::TurnOver { .. } = event {
                call.failed("server: out of order").await?;
            }
        }
        Ok(())
    }
}

voice_plugin::export!(responder: Choosy);

#[test]
fn what_a_configuration_wants_is_said_first_if_the_description_says_otherwise() {
    let less = r#"{"digits":false,"do":"take","first":false,"silence":false}"#;
    for (digits, said) in [("true", None), ("false", Some(less))] {
        let plugin = open(plugin_table(), &format!(r#"{{"digits":{digits}}}"#)).unwrap();
        let stream = plugin.start(role::RESPONDER, "{}").unwrap();
        stream.turn_over(1);
        let records = stream.take_until(kind::FAILED);
        let actions: Vec<&str> = records
            .iter()
            .filter(|record| record.kind == kind::ACTION)
            .map(|record| record.text())
            .collect();
        assert_eq!(actions, said.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_turn_that_failed_does_not_fail_the_next() {
    let plugin = open(plugin_table(), r#"{"digits":true}"#).unwrap();
    let stream = plugin.start(role::RESPONDER, "{}").unwrap();
    for turn in 1..=2 {
        stream.turn_over(turn);
        let records = stream.take_until(kind::FAILED);
        let told: Vec<_> = records.iter().map(|r| (r.turn, r.text())).collect();
        assert_eq!(told, [(turn, "server: out of order")]);
    }
}
