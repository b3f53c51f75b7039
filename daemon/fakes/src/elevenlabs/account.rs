//! The account behind the key: its voices, the models, the plan, as JSON in the shapes of the document.

use serde_json::{Value, json};

use crate::openapi::Asked;

/// A voice the account has, called Rachel.
pub const VOICE: &str = "21m00Tcm4TlvDq8ikWAM";

/// The model meant for the telephone.
pub const MODEL: &str = "eleven_flash_v2_5";

/// A model that takes 100 characters at once, so that a text is soon too long.
pub const SHORT_MODEL: &str = "eleven_short_of_breath";

/// Voices in all: more than one of its largest pages.
const VOICES: usize = 123;

/// Most voices in one page.
const PAGE_MOST: usize = 100;

pub(super) struct Account {
    voices: Vec<Value>,
    models: Vec<(&'static str, usize)>,
}

impl Account {
    pub(super) fn new() -> Account {
        let voices = (0..VOICES).map(|n| match n {
            0 => voice(VOICE, "Rachel", "en", "American"),
            1 => voice("pNInz6obpgDQGcFmaJgB", "Adam", "en", "British"),
            n => voice(
                &format!("voice{n:015}"),
                &format!("Voice {n}"),
                "es",
                "Mexican",
            ),
        });
        Account {
            voices: voices.collect(),
            models: vec![
                (MODEL, 40_000),
                ("eleven_flash_v2", 30_000),
                ("eleven_multilingual_v2", 10_000),
                ("eleven_v3", 5_000),
                (SHORT_MODEL, 100),
            ],
        }
    }

    pub(super) fn has_voice(&self, id: &str) -> bool {
        self.voices.iter().any(|voice| voice["voice_id"] == id)
    }

    /// The longest text a model takes; none if there is no such model.
    pub(super) fn most_characters(&self, model: &str) -> Option<usize> {
        let found = self.models.iter().find(|(id, _)| *id == model);
        found.map(|(_, most)| *most)
    }

    /// What is answered with 200; none for what is not stood in for.
    pub(super) fn answer(&self, asked: &Asked) -> Option<Value> {
        match asked.template.as_str() {
            "/v1/voices" => Some(json!({"voices": self.voices})),
            "/v2/voices" => Some(self.page(asked)),
            "/v1/models" => Some(
                self.models
                    .iter()
                    .map(|(id, most)| model(id, *most))
                    .collect(),
            ),
            "/v1/user/subscription" => Some(subscription()),
            _ => None,
        }
    }

    /// The token of a page is the number of its first voice.
    fn page(&self, asked: &Asked) -> Value {
        let number = |name: &str| {
            asked
                .query(name)
                .and_then(|text| text.parse::<usize>().ok())
        };
        let wanted = asked.query("search").unwrap_or_default().to_lowercase();
        let fits = |voice: &&Value| {
            let name = voice["name"].as_str().unwrap_or_default();
            name.to_lowercase().contains(&wanted)
        };
        let all: Vec<&Value> = self.voices.iter().filter(fits).collect();
        let from = number("next_page_token").unwrap_or(0).min(all.len());
        let size = number("page_size").unwrap_or(10).clamp(1, PAGE_MOST);
        let to = (from + size).min(all.len());
        json!({
            "voices": all[from..to],
            "has_more": to < all.len(),
            "total_count": all.len(),
            "next_page_token": (to < all.len()).then(|| to.to_string()),
        })
    }
}

fn voice(id: &str, name: &str, language: &str, accent: &str) -> Value {
    json!({
        "voice_id": id,
        "name": name,
        "category": "premade",
        "labels": {"language": language, "accent": accent, "description": "calm"},
        "description": format!("{accent}, calm."),
        "available_for_tiers": [],
        "high_quality_base_model_ids": [MODEL],
    })
}

fn model(id: &str, most: usize) -> Value {
    json!({
        "model_id": id,
        "name": id.replace('_', " "),
        "can_be_finetuned": true,
        "can_do_text_to_speech": true,
        "can_do_voice_conversion": false,
        "can_use_style": false,
        "can_use_speaker_boost": false,
        "serves_pro_voices": false,
        "token_cost_factor": 0.5,
        "description": "A model.",
        "requires_alpha_access": false,
        "max_characters_request_free_user": most,
        "max_characters_request_subscribed_user": most,
        "maximum_text_length_per_request": most,
        "languages": [{"language_id": "en", "name": "English"}, {"language_id": "es", "name": "Spanish"}],
        "model_rates": {"character_cost_multiplier": 0.5},
        "concurrency_group": "turbo",
    })
}

fn subscription() -> Value {
    json!({
        "tier": "creator",
        "character_count": 9_997,
        "character_limit": 10_000,
        "max_character_limit_extension": null,
        "can_extend_character_limit": false,
        "allowed_to_extend_character_limit": false,
        "next_character_count_reset_unix": 1_800_000_000,
        "voice_slots_used": 2,
        "professional_voice_slots_used": 0,
        "voice_limit": 30,
        "voice_add_edit_counter": 0,
        "professional_voice_limit": 1,
        "can_extend_voice_limit": false,
        "can_use_instant_voice_cloning": true,
        "can_use_professional_voice_cloning": true,
        "currency": "usd",
        "status": "active",
        "billing_period": "monthly_period",
        "character_refresh_period": "monthly_period",
        "next_invoice": null,
        "open_invoices": [],
        "has_open_invoices": false,
    })
}
