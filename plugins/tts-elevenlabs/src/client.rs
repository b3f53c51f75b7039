//! The hand that asks: connections kept warm, tries bounded in number and in time, answers bounded in size.
//!
//! A try ends with the first byte of sound. Until then a repeated request does nobody harm but the account, and only
//! what may go well soon is repeated; from then on what was heard cannot be taken back, and failure is final. A failure is
//! worth more when it comes soon, because then another voice can speak: no try is begun after the first second, and all
//! of them end at `first_sound_ms`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use voice_plugin::prelude::*;
use voice_plugin_http::{Wire, beginning, whole};

use crate::refusal::{Again, Refusal};
use crate::request::{self, OUTPUT_FORMAT};
use crate::settings::{Config, Voice};
use crate::sound::{Receipt, Sound};

/// Before the second try, more or less a half; doubled before each further one.
const PAUSE_MS: u64 = 100;

/// No further try is begun later than this after the utterance was asked for: the failure, told then, leaves a fallback
/// voice the time to be heard within two seconds.
const TRY_UNTIL: Duration = Duration::from_millis(1000);

/// How long making a connection ready may take. Nobody waits for it.
const WARM_MOST: Duration = Duration::from_secs(5);

/// How long an idle connection is kept: longer than anybody is silent in a call.
const IDLE_MOST: Duration = Duration::from_secs(240);

/// Longest body of a refusal taken.
const REFUSAL_BYTES: usize = 16 << 10;

/// Longest answer in JSON taken: a page of a hundred voices with all that is known of them is some 500 KB.
const JSON_BYTES: usize = 8 << 20;

const VOICES_PATH: &str = "/v2/voices";
const MODELS_PATH: &str = "/v1/models";

/// The account's connections.
pub(crate) struct Client {
    http: reqwest::Client,
    config: Config,
    base: String,
    key: HeaderValue,
    /// The longest text of each model, as the service says; empty until it was asked.
    limits: Mutex<BTreeMap<String, u64>>,
}

impl Client {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// A sentence: the keys contradict each other, the key holds what cannot be sent, or there are no certificates.
    pub(crate) fn new(config: Config) -> Result<Client> {
        let base = config.base()?.to_owned();
        // The text of a file often ends with a line break.
        let mut key = HeaderValue::from_str(config.api_key.expose().trim()).map_err(
            |_| "`api_key` holds what no key has, such as a line break or a control character",
        )?;
        key.set_sensitive(true);
        let http = voice_plugin_http::builder(Wire::of(&base), config.ca.as_deref())?
            .connect_timeout(config.connect())
            .pool_idle_timeout(IDLE_MOST);
        let http = voice_plugin_http::build(http)?;
        Ok(Client {
            http,
            config,
            base,
            key,
            limits: Mutex::default(),
        })
    }

    /// Has a connection stand ready, by asking for the models, which costs nothing and says how long texts may be.
    pub(crate) async fn warm(&self) -> core::result::Result<(), Refusal> {
        let models = self.json(MODELS_PATH, WARM_MOST).await?;
        let mut limits = self.limits();
        for model in models.as_array().into_iter().flatten() {
            if let (Some(id), Some(most)) = (
                model["model_id"].as_str(),
                model["maximum_text_length_per_request"].as_u64(),
            ) {
                limits.insert(id.to_owned(), most);
            }
        }
        Ok(())
    }

    /// Asks for one utterance; answers with its first byte there.
    ///
    /// # Errors
    /// A refusal, at `first_sound_ms` at the latest.
    pub(crate) async fn begin(
        &self,
        text: &str,
        voice: &Voice,
        mut receipt: Receipt,
    ) -> core::result::Result<Sound, Refusal> {
        let model = &voice.model.as_ref().unwrap_or(&self.config.model).0;
        let characters = self.speakable(text, model)?;
        receipt.asked(model, characters);
        let url = format!(
            "{}/v1/text-to-speech/{}/stream?output_format={OUTPUT_FORMAT}",
            self.base, voice.voice.0
        );
        let body = request::body(text, model, voice).to_string();
        let began = Instant::now();
        let end = began + self.config.first_sound();
        let mut refused: Option<Refusal> = None;
        for retry in 0..=self.config.retries() {
            receipt.tried();
            let request = self
                .http
                .post(&url)
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone());
            match timeout_at(end, self.attempt(request)).await {
                Ok(Ok((first, answer))) => {
                    receipt.answered(answer.headers(), began.elapsed());
                    return Ok(Sound::new(first, answer, self.config.stall(), receipt));
                }
                Ok(Err(refusal)) => {
                    let pause = match refusal.again() {
                        Again::Never => return Err(refusal),
                        Again::Soon => pause(retry),
                        Again::After(asked) => asked,
                    };
                    refused = Some(refusal);
                    if retry == self.config.retries() || began.elapsed() + pause > TRY_UNTIL {
                        break;
                    }
                    sleep(pause).await;
                }
                Err(_) => break,
            }
        }
        Err(refused.unwrap_or_else(|| {
            let sentence = format!(
                "no sound from ElevenLabs within {} ms",
                self.config.first_sound().as_millis()
            );
            Refusal::new(failure::TIMEOUT, sentence, Again::Never)
        }))
    }

    /// How many characters the text has, if it can be spoken at all.
    fn speakable(&self, text: &str, model: &str) -> core::result::Result<u64, Refusal> {
        let no = |sentence: String| Err(Refusal::new(failure::BAD_REQUEST, sentence, Again::Never));
        if text.trim().is_empty() {
            return no("there is nothing to say: the text is empty".to_owned());
        }
        let characters = text.chars().count() as u64;
        let known = self.limits().get(model).copied();
        let most = known.unwrap_or_else(|| request::most_characters(model));
        if characters > most {
            return no(format!(
                "the text has {characters} characters, and {model} takes {most} at once: let the responder say less at \
                 a time, or choose another model"
            ));
        }
        Ok(characters)
    }

    /// One try, up to the first byte of sound.
    async fn attempt(
        &self,
        request: RequestBuilder,
    ) -> core::result::Result<(Bytes, Response), Refusal> {
        let mut answer = self.send(request).await?;
        let kind = answer.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        // What the telephone's format is called is written nowhere; that text is none is certain, and it hurts the ear.
        if kind.starts_with("text/") || kind.starts_with("application/json") {
            let sentence = format!("ElevenLabs sent {kind} where sound was asked for");
            return Err(Refusal::new(failure::SERVER, sentence, Again::Never));
        }
        loop {
            match answer.chunk().await {
                Ok(Some(first)) if first.is_empty() => {}
                Ok(Some(first)) => return Ok((first, answer)),
                Ok(None) => {
                    let sentence = "ElevenLabs reported success and sent no sound";
                    return Err(Refusal::new(failure::NO_AUDIO, sentence, Again::Never));
                }
                Err(error) => return Err(Refusal::of_error(error)),
            }
        }
    }

    /// An answer that is a success, its body still to come.
    async fn send(&self, request: RequestBuilder) -> core::result::Result<Response, Refusal> {
        let request = request.header("xi-api-key", self.key.clone());
        let mut answer = request.send().await.map_err(Refusal::of_error)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let body = beginning(&mut answer, REFUSAL_BYTES).await;
        let header = |name: &str| text_of(answer.headers(), name);
        Err(Refusal::of_answer(
            answer.status().as_u16(),
            &body,
            header("request-id"),
            header(RETRY_AFTER.as_str()),
        ))
    }

    /// A JSON answer, whole, within `most`.
    async fn json(&self, path: &str, most: Duration) -> core::result::Result<Value, Refusal> {
        let asked = async {
            let mut answer = self
                .send(self.http.get(format!("{}{path}", self.base)))
                .await?;
            let body = whole(&mut answer, JSON_BYTES).await;
            let Some(body) = body.map_err(Refusal::of_error)? else {
                let sentence = format!("the answer to {path} is longer than {JSON_BYTES} bytes");
                return Err(Refusal::new(failure::SERVER, sentence, Again::Never));
            };
            serde_json::from_slice(&body).map_err(|error| {
                let sentence = format!("the answer to {path} is no JSON: {error}");
                Refusal::new(failure::SERVER, sentence, Again::Never)
            })
        };
        timeout(most, asked).await.unwrap_or_else(|_| {
            let sentence = format!("no answer to {path} within {} s", most.as_secs());
            Err(Refusal::new(failure::TIMEOUT, sentence, Again::Never))
        })
    }

    /// `GET /v2/voices`, one page.
    pub(crate) async fn voices(
        &self,
        page_size: usize,
        token: Option<&str>,
        most: Duration,
    ) -> core::result::Result<Value, Refusal> {
        let mut path = format!("{VOICES_PATH}?page_size={page_size}");
        if let Some(token) = token {
            path.push_str("&next_page_token=");
            // What the service gave is given back as it is, but for what would end a query.
            path.extend(
                token
                    .chars()
                    .filter(|c| c.is_ascii_graphic() && !"&#%+".contains(*c)),
            );
        }
        self.json(&path, most).await
    }

    /// `GET /v1/models`.
    pub(crate) async fn models(&self, most: Duration) -> core::result::Result<Value, Refusal> {
        self.json(MODELS_PATH, most).await
    }

    fn limits(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A header as text.
pub(crate) fn text_of<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// How long to wait before the next try: calls that were refused together should not come back together.
fn pause(retry: u32) -> Duration {
    let mut byte = [0_u8];
    // Without chance there is the middle, which is as good for a single call.
    let chance = getrandom::fill(&mut byte).map_or(0.5, |()| f64::from(byte[0]) / 255.0);
    Duration::from_millis(PAUSE_MS << retry.min(4)).mul_f64(0.5 + chance)
}
