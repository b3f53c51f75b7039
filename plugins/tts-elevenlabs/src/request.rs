//! One utterance as a request: its body, and how long a text may be. Pure; what sends it is in `client`.

use serde_json::{Map, Value, json};

use crate::settings::Voice;

/// The format of the telephone line, and the only one asked for.
pub(crate) const OUTPUT_FORMAT: &str = "ulaw_8000";

/// The longest text for a model that neither the service nor [`KNOWN`] says anything about.
const CHARACTERS_UNKNOWN: u64 = 40_000;

/// What the maker's documentation says of its models. The list that `GET /v1/models` gives comes first.
const KNOWN: [(&str, u64); 6] = [
    ("eleven_flash_v2_5", 40_000),
    ("eleven_flash_v2", 30_000),
    ("eleven_turbo_v2_5", 40_000),
    ("eleven_turbo_v2", 30_000),
    ("eleven_multilingual_v2", 10_000),
    ("eleven_v3", 5_000),
];

/// The longest text for this model, in characters.
pub(crate) fn most_characters(model: &str) -> u64 {
    KNOWN
        .iter()
        .find(|(known, _)| *known == model)
        .map_or(CHARACTERS_UNKNOWN, |(_, most)| *most)
}

/// The body for one utterance. Only what is configured is in it: everything else is the voice's own at the service.
pub(crate) fn body(text: &str, model: &str, voice: &Voice) -> Value {
    let mut settings = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        settings.extend(value.map(|value| (name.to_owned(), value)));
    };
    let share = |share: &Option<crate::settings::Share>| share.as_ref().map(|share| json!(share.0));
    set("stability", share(&voice.stability));
    set("similarity_boost", share(&voice.similarity_boost));
    set("style", share(&voice.style));
    set("use_speaker_boost", voice.speaker_boost.map(Value::Bool));
    set("speed", voice.speed.as_ref().map(|speed| json!(speed.0)));
    let mut body = json!({"text": text, "model_id": model});
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body[name] = value;
        }
    };
    set(
        "voice_settings",
        (!settings.is_empty()).then_some(Value::Object(settings)),
    );
    set(
        "language_code",
        voice.language_code.as_ref().map(|code| json!(code.0)),
    );
    set("seed", voice.seed.as_ref().map(|seed| json!(seed.0)));
    set(
        "apply_text_normalization",
        voice
            .text_normalization
            .map(|normalization| json!(normalization)),
    );
    body
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn voice(keys: Value) -> Voice {
        serde_json::from_value(keys).unwrap()
    }

    #[test]
    fn a_plain_voice_sends_nothing_but_text_and_model() {
        let body = body("Hi.", "m1", &voice(json!({"voice": "v1"})));
        assert_eq!(body, json!({"text": "Hi.", "model_id": "m1"}));
    }

    #[test]
    fn every_key_of_a_voice_is_sent_under_the_services_name() {
        let all = json!({
            "voice": "v1", "language_code": "en", "stability": 0.25, "similarity_boost": 1, "style": 0,
            "speaker_boost": false, "speed": 1.1, "seed": 7, "text_normalization": "off",
        });
        assert_eq!(
            body("Hi.", "m1", &voice(all)),
            json!({
                "text": "Hi.", "model_id": "m1", "language_code": "en", "seed": 7, "apply_text_normalization": "off",
                "voice_settings": {"stability": 0.25, "similarity_boost": 1.0, "style": 0.0,
                                   "use_speaker_boost": false, "speed": 1.1},
            })
        );
    }

    #[test]
    fn models_have_their_limits() {
        assert_eq!(most_characters("eleven_multilingual_v2"), 10_000);
        assert_eq!(most_characters("eleven_next"), CHARACTERS_UNKNOWN);
    }
}
