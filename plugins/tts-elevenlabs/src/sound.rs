//! The sound of one utterance as it arrives, and what is written down about it at the end, whatever the end.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio::time::timeout;
use voice_plugin::prelude::*;

use crate::client::text_of;
use crate::refusal::{Again, Refusal};

/// Bytes, and so samples, in a second of µ-law.
const RATE: u64 = 8_000;

/// Sound taken for a text: so long, and so much for each character. The slowest speech has some 10 characters a second;
/// a digit that is read as a word stays below too. Whoever sends more does not read our text.
const SECS_LEAST: u64 = 30;
const SECS_PER_CHARACTER: u64 = 1;

/// And never more than this.
const SECS_MOST: u64 = 600;

/// An answer from its first byte of sound on.
pub(crate) struct Sound {
    first: Option<Bytes>,
    answer: Response,
    stall: Duration,
    receipt: Receipt,
}

impl Sound {
    pub(crate) fn new(first: Bytes, answer: Response, stall: Duration, receipt: Receipt) -> Sound {
        Sound {
            first: Some(first),
            answer,
            stall,
            receipt,
        }
    }

    /// The next bytes as they came from the network, none at the end.
    ///
    /// # Errors
    /// The sound broke off, stalled, or has no end; nothing comes after one.
    pub(crate) async fn next(&mut self) -> core::result::Result<Option<Bytes>, Refusal> {
        let bytes = match self.first.take() {
            Some(first) => first,
            None => match timeout(self.stall, self.answer.chunk()).await {
                Ok(Ok(Some(bytes))) => bytes,
                Ok(Ok(None)) => {
                    self.receipt.ending = "whole";
                    return Ok(None);
                }
                Ok(Err(error)) => {
                    self.receipt.ending = failure::CUT;
                    return Err(Refusal::of_cut(error, self.receipt.audio_ms()));
                }
                Err(_) => {
                    self.receipt.ending = failure::TIMEOUT;
                    let sentence = format!(
                        "the sound stopped after {} ms, and nothing came for {} ms",
                        self.receipt.audio_ms(),
                        self.stall.as_millis()
                    );
                    return Err(Refusal::new(failure::TIMEOUT, sentence, Again::Never));
                }
            },
        };
        self.receipt.bytes += bytes.len() as u64;
        let secs = SECS_LEAST + SECS_PER_CHARACTER.saturating_mul(self.receipt.characters);
        let secs = secs.min(SECS_MOST);
        if self.receipt.bytes > secs * RATE {
            self.receipt.ending = "endless";
            let sentence = format!(
                "ElevenLabs sent more than {secs} s of sound for {} characters; the rest is not taken",
                self.receipt.characters
            );
            return Err(Refusal::new(failure::SERVER, sentence, Again::Never));
        }
        Ok(Some(bytes))
    }
}

/// What an utterance was and what it cost: one line in the log when it is dropped, if there was an answer. A barge-in
/// ends it as well as anything, and the account has paid all the same.
pub(crate) struct Receipt {
    host: Host,
    call: String,
    model: String,
    characters: u64,
    tries: u32,
    first_sound: Option<Duration>,
    request: Value,
    cost: Value,
    bytes: u64,
    ending: &'static str,
}

impl Receipt {
    pub(crate) fn new(host: Host, call: &str) -> Receipt {
        Receipt {
            host,
            call: call.to_owned(),
            model: String::new(),
            characters: 0,
            tries: 0,
            first_sound: None,
            request: Value::Null,
            cost: Value::Null,
            bytes: 0,
            ending: "barge_in",
        }
    }

    pub(crate) fn asked(&mut self, model: &str, characters: u64) {
        (self.model, self.characters) = (model.to_owned(), characters);
    }

    pub(crate) fn tried(&mut self) {
        self.tries += 1;
    }

    pub(crate) fn answered(&mut self, headers: &HeaderMap, after: Duration) {
        self.first_sound = Some(after);
        self.request = json!(text_of(headers, "request-id"));
        let cost = text_of(headers, "character-cost");
        self.cost = json!(cost.and_then(|cost| cost.trim().parse::<u64>().ok()));
    }

    fn audio_ms(&self) -> u64 {
        self.bytes * 1000 / RATE
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        let Some(first_sound) = self.first_sound else {
            return;
        };
        let fields = [
            ("call", json!(self.call)),
            ("request_id", self.request.take()),
            ("model", json!(self.model)),
            ("characters", json!(self.characters)),
            ("character_cost", self.cost.take()),
            ("first_sound_ms", json!(first_sound.as_millis() as u64)),
            ("audio_ms", json!(self.audio_ms())),
            ("tries", json!(self.tries)),
            ("ending", json!(self.ending)),
        ];
        self.host
            .log(Level::Info, "ElevenLabs spoke an utterance", &fields);
    }
}
