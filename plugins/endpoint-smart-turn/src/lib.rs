//! An endpointer: at each pause of the caller it says how likely he has finished, by the sound of his last eight seconds.
//! It writes down no words. The network is Smart Turn v3, from a file the user names.
//!
//! ```text
//! audio ──→ the stretch so far ──pause──→ desk: one queue, one thread ──→ mel ──→ model ──→ FINISHED
//!                                  └── he goes on: nobody waits for it any more
//! ```

mod desk;
#[cfg(test)]
mod human_tests;
mod mel;
mod model;

use std::collections::VecDeque;
use std::future::pending;
use std::path::PathBuf;

use desk::Desk;
use mel::{RATE, SAMPLES};
use model::SmartTurn;
use tokio::sync::oneshot;
use voice_plugin::prelude::*;

/// Kept from before a stretch of speech: it has begun some 100 ms before it was noticed, and the model knows pauses
/// before a voice.
const BEFORE: usize = RATE / 2;

/// The most threads that may judge one pause.
const MAX_THREADS: usize = 8;

/// The keys of `[plugins.NAME]`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file smart-turn-v3.2-cpu.onnx.
    model: String,
    /// Threads that work on one pause.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 8))]
    threads: usize,
}

fn one() -> usize {
    1
}

/// The plugin, opened.
pub struct Endpointer {
    desk: Desk,
    host: Host,
}

type Opinion = oneshot::Receiver<core::result::Result<f32, String>>;

impl Transcriber for Endpointer {
    type Config = Config;
    type Settings = Nothing;
    const ACCEPTS: &'static [Format] = &[Format::s16le(RATE as u32)];

    async fn open(config: Config, host: Host) -> Result<Endpointer> {
        let Config { model, threads } = config;
        if !(1..=MAX_THREADS).contains(&threads) {
            return Err(
                format!("`threads` is {threads}; it must be from 1 to {MAX_THREADS}").into(),
            );
        }
        let desk = Desk::open(move || {
            let mut model = SmartTurn::open(&PathBuf::from(model), threads)?;
            Ok(Box::new(move |sound: &[i16]| model.finished(sound)))
        })?;
        Ok(Endpointer { desk, host })
    }

    async fn run(&self, mut call: Listening<Nothing>) -> Result<()> {
        let number = self.desk.call();
        let mut heard = Sound::default();
        let mut asked: Option<(u32, Opinion)> = None;
        loop {
            let opinion = async {
                match &mut asked {
                    Some((_, opinion)) => opinion.await,
                    None => pending().await,
                }
            };
            let event = tokio::select! {
                biased;
                event = call.next() => event,
                opinion = opinion => {
                    if let (Some((turn, _)), Ok(opinion)) = (asked.take(), opinion) {
                        match opinion {
                            Ok(likely) => call.finished(turn, likely).await?,
                            Err(why) => self.host.error(&format!("a pause could not be judged: {why}")),
                        }
                    }
                    continue;
                }
            };
            match event {
                None => return Ok(()),
                Some(Heard::Audio(bytes)) => heard.add(&bytes),
                Some(Heard::SpeechStart) => {
                    asked = None;
                    heard.begin(call.turn());
                }
                Some(Heard::SpeechEnd { last: false }) => {
                    let turn = call.turn();
                    asked = Some((turn, self.desk.ask(number, heard.so_far())));
                }
                Some(Heard::SpeechEnd { last: true }) => {
                    // An opinion has no use any more. The contract wants a text for each stretch: no words.
                    asked = None;
                    heard.speaks = false;
                    let turn = call.turn();
                    call.text(turn, "").await?;
                }
                Some(_) => {}
            }
        }
    }
}

/// The caller's sound, from a little before he began to speak; eight seconds at most.
#[derive(Default)]
struct Sound {
    samples: VecDeque<i16>,
    stretch: u32,
    speaks: bool,
}

impl Sound {
    fn add(&mut self, bytes: &[u8]) {
        let samples = bytes
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
        self.samples.extend(samples);
        self.keep(if self.speaks { SAMPLES } else { BEFORE });
    }

    /// He speaks, or goes on after a pause.
    fn begin(&mut self, stretch: u32) {
        self.speaks = true;
        if stretch != self.stretch {
            self.stretch = stretch;
            self.keep(BEFORE);
        }
    }

    fn so_far(&self) -> Vec<i16> {
        self.samples.iter().copied().collect()
    }

    fn keep(&mut self, most: usize) {
        let over = self.samples.len().saturating_sub(most);
        self.samples.drain(..over);
    }
}

voice_plugin::export!(stt: Endpointer);

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(samples: usize, value: i16) -> Vec<u8> {
        value.to_le_bytes().repeat(samples)
    }

    #[test]
    fn a_stretch_is_heard_from_a_little_before_it_and_its_end_at_most() {
        let mut sound = Sound::default();
        sound.add(&bytes(RATE, 1));
        assert_eq!(sound.so_far(), vec![1; BEFORE]);
        sound.begin(1);
        sound.add(&bytes(10, 2));
        assert_eq!(sound.so_far().len(), BEFORE + 10);
        // After a pause it is the same stretch.
        sound.begin(1);
        sound.add(&bytes(SAMPLES, 3));
        assert_eq!(sound.so_far(), vec![3; SAMPLES]);
        sound.begin(2);
        assert_eq!(sound.so_far().len(), BEFORE);
    }
}
