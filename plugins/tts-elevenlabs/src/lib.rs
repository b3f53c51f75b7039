//! A voice of ElevenLabs behind the plugin contract: one HTTP request for each utterance, its µ-law handed on as it comes.
//!
//! ```text
//! text ──→ request ──→ client: one try, or two ──→ µ-law, cut anywhere ──→ the ring, untouched
//!                          └──→ refusal: a name of the contract, a sentence, whether to try again
//! ```
//!
//! Nothing is buffered and nothing converted: the service makes what the line has. A try is repeated only before the
//! first byte of sound, and only at once, so that a fallback voice can still come in time; a barge-in drops the future and with
//! it the request. What the service counts against the account goes into the log, the key never.

mod catalog;
mod client;
mod refusal;
mod request;
mod settings;
mod sound;

use voice_plugin::prelude::*;

pub use settings::{Config, Voice};

use client::Client;
use sound::Receipt;

/// The plugin, opened: the account's connections.
pub struct ElevenLabs {
    client: Client,
    host: Host,
}

impl Tts for ElevenLabs {
    type Config = Config;
    type Voice = Voice;
    const PRODUCES: &'static [Format] = &[Format::MULAW_8K];

    /// Asks the service nothing: a daemon has to start, with its fallback voices, also while the service is down.
    async fn open(config: Config, host: Host) -> Result<ElevenLabs> {
        Ok(ElevenLabs {
            client: Client::new(config)?,
            host,
        })
    }

    async fn warm(&self, _: &Voice) {
        match self.client.warm().await {
            Ok(()) => self.host.debug("a connection stands ready for a call"),
            Err(refusal) => self.host.warn(&format!(
                "no connection could be made ready for a call, its first utterance will try again: {refusal}"
            )),
        }
    }

    async fn catalog(&self) -> Result<Catalog> {
        Ok(self.client.catalog().await?)
    }

    async fn speak(&self, say: Say<Voice>, out: &mut Audio) -> Result<()> {
        let receipt = Receipt::new(self.host.clone(), &say.call.sid);
        let mut sound = self.client.begin(&say.text, &say.voice, receipt).await?;
        while let Some(bytes) = sound.next().await? {
            out.write(&bytes).await?;
        }
        Ok(())
    }
}

voice_plugin::export!(tts: ElevenLabs);
