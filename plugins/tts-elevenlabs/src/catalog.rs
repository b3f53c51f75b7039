//! The account's voices and models, for people who choose: a few requests for pages, read leniently.

use std::time::Duration;

use serde_json::Value;
use voice_plugin::prelude::*;

use crate::client::Client;
use crate::refusal::Refusal;

/// The service's own most.
const PAGE_VOICES: usize = 100;

/// Pages read: two thousand voices are more than anybody chooses from.
const PAGES: usize = 20;

/// For each request. The host waits ten seconds for them all.
const REQUEST_MOST: Duration = Duration::from_secs(4);

impl Client {
    /// Everything that can be chosen from.
    ///
    /// # Errors
    /// The first request that was refused.
    pub(crate) async fn catalog(&self) -> core::result::Result<Catalog, Refusal> {
        let mut voices = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..PAGES {
            let page = self
                .voices(PAGE_VOICES, token.as_deref(), REQUEST_MOST)
                .await?;
            voices.extend(
                page["voices"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(voice),
            );
            token = page["next_page_token"].as_str().map(str::to_owned);
            if page["has_more"] != true || token.is_none() {
                break;
            }
        }
        let models = self.models(REQUEST_MOST).await?;
        let models = models.as_array().into_iter().flatten();
        let speak = models.filter(|model| model["can_do_text_to_speech"] != false);
        Ok(Catalog {
            voices,
            models: speak.filter_map(model).collect(),
        })
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn voice(voice: &Value) -> Option<CatalogVoice> {
    let labels = &voice["labels"];
    let spoken = labels["language"].as_str();
    let verified = voice["verified_languages"][0]["language"].as_str();
    let about = [
        &voice["category"],
        &labels["accent"],
        &labels["gender"],
        &labels["description"],
    ];
    let about: Vec<String> = about
        .into_iter()
        .map(text)
        .filter(|text| !text.is_empty())
        .collect();
    Some(CatalogVoice {
        id: voice["voice_id"].as_str()?.to_owned(),
        name: text(&voice["name"]),
        language: spoken.or(verified).unwrap_or_default().to_owned(),
        about: about.join(", "),
    })
}

fn model(model: &Value) -> Option<CatalogModel> {
    let languages = model["languages"].as_array().into_iter().flatten();
    Some(CatalogModel {
        id: model["model_id"].as_str()?.to_owned(),
        name: text(&model["name"]),
        languages: languages
            .map(|language| text(&language["language_id"]))
            .collect(),
        max_characters: model["maximum_text_length_per_request"].as_u64(),
    })
}
