//! Repeats the caller. `mode = "live"` sends each frame straight back; `mode = "parrot"`, the default, says his turn
//! back once he has finished. No words, no model, no thread of its own: everything happens inside `send`.

#![forbid(unsafe_code)]

mod parrot;

use std::sync::Arc;

use parrot::Parrot;
use voice_plugin::prelude::*;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// When the caller hears himself.
    #[serde(default)]
    mode: Mode,
}

#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// Each frame at once, as on a line that is looped back.
    Live,
    /// His whole turn, when it is over.
    #[default]
    Parrot,
}

/// The opened plugin.
struct Opened {
    mode: Mode,
    host: Host,
}

/// One call.
enum Echo {
    Live(Live),
    /// Boxed for its 300 ms of lead, which a live echo has no use for.
    Parrot(Box<Parrot>),
}

impl Inline for Echo {
    type Config = Config;
    type Shared = Opened;
    const HEARS_AUDIO: bool = true;

    fn open(config: Config, host: Host) -> Result<Opened> {
        let mode = config.mode;
        Ok(Opened { mode, host })
    }

    fn start(opened: &Arc<Opened>, _: &StartInfo, out: &mut Out<'_>) -> Result<Self> {
        let host = opened.host.clone();
        match opened.mode {
            Mode::Live if out.own_turns() != Sent::Yes => {
                Err("the host has no room for the first record of a call".into())
            }
            Mode::Live => Ok(Echo::Live(Live { host, lost: 0 })),
            Mode::Parrot => Ok(Echo::Parrot(Box::new(Parrot::new(host)))),
        }
    }

    fn on(&mut self, event: InlineEvent<'_>, out: &mut Out<'_>) {
        match self {
            Echo::Live(live) => live.on(event, out),
            Echo::Parrot(parrot) => parrot.on(event, out),
        }
    }
}

/// Straight back. A frame that finds the ring full is lost, because sound that comes later is no echo any more.
struct Live {
    host: Host,
    lost: u64,
}

impl Live {
    fn on(&mut self, event: InlineEvent<'_>, out: &mut Out<'_>) {
        if let InlineEvent::Audio { turn, bytes, .. } = event
            && out.audio(turn, bytes) != Sent::Yes
        {
            self.lost += 1;
        }
    }
}

impl Drop for Live {
    /// Counted while the call lasted, said once: never a line per frame.
    fn drop(&mut self) {
        if self.lost > 0 {
            let frames = [("frames", self.lost.into())];
            self.host.log(
                Level::Warn,
                "frames were lost: the host did not take them back in time",
                &frames,
            );
        }
    }
}

voice_plugin::export!(inline: Echo);
