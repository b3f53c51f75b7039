//! The smallest useful voice, and the one the README shows: it hums a while for each letter.

use voice_plugin::prelude::*;

struct Hum;

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Voice {
    /// Milliseconds of humming for one letter.
    letter_ms: u32,
}

impl Tts for Hum {
    type Config = Nothing; // the keys of [plugins.NAME]
    type Voice = Voice; // the keys of [voices.NAME]
    const PRODUCES: &'static [Format] = &[Format::MULAW_8K];

    async fn open(_: Nothing, _: Host) -> Result<Self> {
        Ok(Hum)
    }

    async fn speak(&self, say: Say<Voice>, out: &mut Audio) -> Result<()> {
        let bytes = say.format.bytes_of_ms(say.voice.letter_ms);
        let letter: Vec<u8> = (0..bytes)
            .map(|at| if at / 20 % 2 == 0 { 0x90 } else { 0x10 })
            .collect();
        for _ in say.text.chars() {
            out.write(&letter).await?;
        }
        Ok(())
    }
}

voice_plugin::export!(tts: Hum);
