//! The smallest useful transcriber, and the one the README shows: it writes down how long the caller spoke.

use voice_plugin::prelude::*;

struct Stopwatch;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// What stands behind the number, as in "1200 milliseconds".
    unit: String,
}

impl Transcriber for Stopwatch {
    type Config = Nothing; // the keys of [plugins.NAME]
    type Settings = Settings; // the keys of [transcribers.NAME]
    const ACCEPTS: &'static [Format] = &[Format::s16le(16_000)];

    async fn open(_: Nothing, _: Host) -> Result<Self> {
        Ok(Stopwatch)
    }

    async fn run(&self, mut call: Listening<Settings>) -> Result<()> {
        let mut bytes = 0;
        while let Some(heard) = call.next().await {
            match heard {
                Heard::SpeechStart => bytes = 0,
                Heard::Audio(sound) => bytes += sound.len(),
                Heard::SpeechEnd { last: true } => {
                    let words = format!("{} {}", bytes / 32, call.settings().unit);
                    call.text(call.turn(), &words).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

voice_plugin::export!(stt: Stopwatch);
