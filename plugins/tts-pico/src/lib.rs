//! The voice that is always there: SVOX Pico, with six voices inside the library, behind the plugin contract.
//!
//! ```text
//! text ──→ text: plain, in pieces ──→ pool: a worker's engine ──→ onset: no silence before ──→ 20 ms of 16 kHz
//! ```
//!
//! Small (8 MB with all voices), quick (first sound after some 10 ms, 250 times faster than speech) and in need of
//! nothing: no network, no account, no file beside it. It sounds like the satellite navigation of 2009; a service's
//! voice is nicer, and this one is what speaks when that fails. Converting to the phone line's format is the host's
//! work, as is deciding what is said.

mod datafile;
mod engine;
mod error;
mod onset;
mod pool;
mod settings;
mod text;
mod voices;

use std::vec::IntoIter;

use voice_plugin::prelude::*;

pub use engine::{EngineError, SAMPLE_RATE};
pub use error::PicoError;
pub use pool::{PIECE_MAX_SECS, QUEUE_MAX_TEXTS};
pub use settings::{Config, Percent, Voice, Whole};
pub use text::{TEXT_MAX_BYTES, TextError};
pub use voices::VoiceName;

use engine::{Engine, Manner};
use pool::{Ask, Pool, Voicing};
use text::Plain;

/// The plugin, opened: its workers. Dropping it ends them.
pub struct Pico {
    pool: Pool,
}

impl Pico {
    /// Starts the workers and loads a voice once, so that a machine on which that is impossible is found now and not
    /// in the first call.
    pub fn new(config: &Config) -> core::result::Result<Pico, PicoError> {
        drop(Engine::open(VoiceName::default())?);
        Ok(Pico {
            pool: Pool::open(config.workers())?,
        })
    }

    /// Begins to say `text`. The work is done by a worker, ahead of whoever listens; dropping the speech ends it.
    ///
    /// # Errors
    /// [`PicoError::Text`] when there is nothing to say, [`PicoError::Busy`] when too many texts are waiting.
    pub fn speech(
        &self,
        text: &str,
        voice: &Voice,
        language: &str,
    ) -> core::result::Result<Speech<'_>, PicoError> {
        let (name, manner) = (voice.name(language), voice.manner());
        let mut rest = text::pieces(text)?.into_iter();
        let first = rest.next().ok_or(TextError::Empty)?;
        let voicing = self.pool.begin(Ask {
            voice: name,
            manner,
            text: first,
            first: true,
        })?;
        Ok(Speech {
            pool: &self.pool,
            name,
            manner,
            voicing,
            rest,
        })
    }
}

/// One utterance as it is made.
pub struct Speech<'a> {
    pool: &'a Pool,
    name: VoiceName,
    manner: Manner,
    voicing: Voicing,
    rest: IntoIter<Plain>,
}

impl Speech<'_> {
    /// The next samples, 20 ms or less at [`SAMPLE_RATE`], mono; `None` at the end.
    ///
    /// # Errors
    /// As in [`PicoError`]; nothing comes after one.
    pub async fn next(&mut self) -> core::result::Result<Option<Vec<i16>>, PicoError> {
        loop {
            if let Some(samples) = self.voicing.next().await? {
                return Ok(Some(samples));
            }
            let Some(text) = self.rest.next() else {
                return Ok(None);
            };
            let ask = Ask {
                voice: self.name,
                manner: self.manner,
                text,
                first: false,
            };
            self.voicing = self.pool.go_on(ask).await?;
        }
    }
}

impl Tts for Pico {
    type Config = Config;
    type Voice = Voice;
    const PRODUCES: &'static [Format] = &[Format::s16le(SAMPLE_RATE)];

    async fn open(config: Config, _: Host) -> Result<Pico> {
        Ok(Pico::new(&config)?)
    }

    fn languages(&self) -> Vec<String> {
        VoiceName::ALL.map(|name| name.as_str().to_owned()).into()
    }

    async fn warm(&self, voice: &Voice) {
        // The language is not told here; a voice chosen by it is loaded when it first speaks.
        self.pool.warm(voice.name(""));
    }

    async fn catalog(&self) -> Result<Catalog> {
        let voice = |name: VoiceName| CatalogVoice {
            id: name.as_str().to_owned(),
            name: "Pico".to_owned(),
            language: name.as_str().to_owned(),
            about: name.language().to_owned(),
        };
        Ok(Catalog {
            voices: VoiceName::ALL.map(voice).into(),
            models: Vec::new(),
        })
    }

    async fn speak(&self, say: Say<Voice>, out: &mut Audio) -> Result<()> {
        let mut speech = self.speech(&say.text, &say.voice, &say.language)?;
        while let Some(samples) = speech.next().await? {
            out.write_samples(&samples).await?;
        }
        Ok(())
    }
}

voice_plugin::export!(tts: Pico);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    async fn said(
        pico: &Pico,
        text: &str,
        language: &str,
    ) -> core::result::Result<Vec<i16>, PicoError> {
        let mut speech = pico.speech(text, &Voice::default(), language)?;
        let mut all = Vec::new();
        while let Some(samples) = speech.next().await? {
            all.extend(samples);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn long_text_is_said_whole_piece_after_piece() {
        let pico = Pico::new(&Config::default()).unwrap();
        let sentence = "Your appointment is on Monday morning. ";
        let one = said(&pico, sentence, "en").await.unwrap().len();
        let twenty = said(&pico, &sentence.repeat(20), "en").await.unwrap().len();
        // Twenty times the same, but for the silence that is cut before the first only.
        let more = twenty as f64 / one as f64;
        assert!((19.5..21.5).contains(&more), "{more} times as long");
    }

    #[tokio::test]
    async fn the_language_of_the_agent_chooses_the_voice() {
        let pico = Pico::new(&Config::default()).unwrap();
        let english = said(&pico, "Hotel general, 23.", "en").await.unwrap();
        let spanish = said(&pico, "Hotel general, 23.", "es").await.unwrap();
        assert!(english != spanish);
        assert!(said(&pico, "Hotel general, 23.", "ja").await.unwrap() == english);
    }

    #[tokio::test]
    async fn nothing_to_say_is_an_error_and_the_next_text_is_said() {
        let pico = Pico::new(&Config::default()).unwrap();
        for text in ["", "\u{1f600}", "<>"] {
            assert!(
                matches!(said(&pico, text, "en").await, Err(PicoError::Text(_))),
                "{text:?}"
            );
        }
        assert!(!said(&pico, "Hello.", "en").await.unwrap().is_empty());
    }
}
