//! Whisper on the machine's own processor, behind the plugin contract: the caller's stretches of speech in, words out,
//! with weights from a file that the user names.
//!
//! ```text
//! call ──→ stretch: what belongs together ──→ pool: a worker, the queue ──→ sound ──→ model ──→ words
//!              └──←── partial at a pause, the text at the end ──←────────────────────────┘
//! ```
//!
//! It hears stretch by stretch, not while somebody speaks: the network sees its sound as a whole. When a stretch begins
//! and ends is the host's to say. No network connection, no C library; the only foreign code multiplies matrices.

mod file;
mod model;
mod pool;
mod settings;
mod sound;
mod stretch;

#[cfg(test)]
#[path = "../tests/support/mini.rs"]
mod mini;

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use voice_plugin::prelude::*;

pub use file::FileError;
pub use model::{Model, SAMPLE_RATE, Stopped, Text, WINDOW_SECS, Watch};
pub use pool::QUEUE_MAX_JOBS_PER_THREAD;
pub use settings::Config;
pub use stretch::{PIECE_MAX_SECS, STRETCH_MAX_SECS};

use pool::{Hears, Outcome, Pool};
use sound::Sound;
use stretch::{Said, Stretches};

/// The plugin, opened: a model in memory and its workers.
pub struct Whisper {
    model: Arc<Model>,
    pool: Pool,
    host: Host,
}

impl Hears for Model {
    fn hear(
        &self,
        sound: &Sound,
        language: Option<&str>,
        watch: &Watch,
    ) -> core::result::Result<Text, Stopped> {
        Model::hear(self, &sound.samples(), language, watch)
    }
}

impl Transcriber for Whisper {
    type Config = Config;
    type Settings = Nothing;
    const ACCEPTS: &'static [Format] = sound::ACCEPTS;

    /// Reads the whole model, so that a wrong file is found now and not in the first call.
    async fn open(config: Config, host: Host) -> Result<Whisper> {
        let (path, begun) = (config.model(), Instant::now());
        let model = Arc::new(Model::read(&path)?);
        let pool = Pool::open(model.clone(), config.threads()).map_err(|e| {
            Error::new(format!(
                "a thread of Whisper could not be started: {e}; the plugin is not opened"
            ))
        })?;
        let fields = [
            ("model", path.display().to_string().into()),
            ("multilingual", model.multilingual().into()),
            ("threads", config.threads().into()),
            ("ms", (begun.elapsed().as_millis() as u64).into()),
        ];
        host.log(Level::Info, "a Whisper model is ready", &fields);
        Ok(Whisper { model, pool, host })
    }

    /// And `auto`, for which a model of English alone has to find out nothing.
    fn languages(&self) -> Vec<String> {
        let mut known = self.model.languages();
        known.push(settings::AUTO.to_owned());
        known
    }

    async fn run(&self, mut call: Listening<Nothing>) -> Result<()> {
        let language = settings::expected(call.language()).map(str::to_owned);
        if let Some(language) = language.as_deref().filter(|l| !self.model.knows(l)) {
            return Err(Error::named(
                "bad_request",
                format_args!(
                    "the model of this transcriber does not know the language `{language}`: set `language` of the transcriber to \
                     one it knows, or name a model of many languages in the plugin"
                ),
            ));
        }
        let (answer, mut outcomes) = mpsc::unbounded_channel();
        let mut stretches = Stretches::new(&self.pool, answer, language.as_deref(), call.format());
        let mut said = Vec::new();
        loop {
            tokio::select! {
                heard = call.next() => match heard {
                    None => return Ok(()),
                    Some(Heard::Audio(bytes)) => stretches.audio(&bytes),
                    Some(Heard::SpeechStart) => stretches.speech_start(call.turn()),
                    Some(Heard::SpeechEnd { last: false }) => stretches.pause(call.turn()),
                    Some(Heard::SpeechEnd { last: true }) => stretches.over(call.turn(), &mut said),
                    Some(_) => {}
                },
                Some((job, outcome)) = outcomes.recv() => {
                    self.note(&outcome);
                    stretches.outcome(job, outcome, &mut said);
                }
            }
            for said in said.drain(..) {
                match said {
                    Said::Partial { turn, words } if !words.is_empty() => {
                        call.partial(turn, &words).await?
                    }
                    Said::Partial { .. } => {}
                    Said::Text { turn, words } => call.text(turn, &words).await?,
                    Said::Failed { turn, why } => call.failed(turn, why).await?,
                }
            }
            if let Some(turn) = stretches.overlong() {
                let text = format!(
                    "the caller spoke for more than {STRETCH_MAX_SECS} s at a stretch; the rest was not listened to"
                );
                self.host.log(Level::Warn, &text, &[("turn", turn.into())]);
            }
        }
    }
}

impl Whisper {
    /// A line for finding out where time goes. The words stay out of the log.
    fn note(&self, outcome: &Outcome) {
        if let Outcome::Heard { text, waited, took } = outcome {
            let fields = [
                ("waited_ms", (waited.as_millis() as u64).into()),
                ("took_ms", (took.as_millis() as u64).into()),
                ("characters", text.words.chars().count().into()),
                ("no_speech", text.no_speech.into()),
                ("sureness", text.sureness.into()),
            ];
            self.host.log(Level::Debug, "listened", &fields);
        }
    }
}

voice_plugin::export!(stt: Whisper);
