//! The smallest useful responder, and the one the README shows: it says a fixed sentence each turn, and counts.

use voice_plugin::prelude::*;

struct Shout {
    words: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// What to say at the end of each of the caller's turns.
    #[serde(default = "hello")]
    words: String,
}

fn hello() -> String {
    "Hello! I heard you.".into()
}

impl Responder for Shout {
    type Config = Config;

    async fn open(config: Config, _: Host) -> Result<Self> {
        Ok(Shout {
            words: config.words,
        })
    }

    async fn run(&self, mut call: Call) -> Result<()> {
        let mut turns = 0;
        while let Some(event) = call.next().await {
            if let Event::TurnOver { .. } = event {
                turns += 1;
                let words = format!("{} That was number {turns}.", self.words);
                call.say(&words).await?;
                call.done().await?;
            }
        }
        Ok(())
    }
}

voice_plugin::export!(responder: Shout);
