//! The keys: of the plugin itself and of each voice, with their defaults and limits.
//!
//! A value outside its limits cannot be made, so nothing behind this file looks at them again. What Pico wants to be
//! told is worked out here too.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::engine::Manner;
use crate::voices::VoiceName;

/// Pico's own volume level at `volume = 100`, in percent. At its own 100 the voices peak at up to +5 dBFS (es-ES,
/// de-DE) and clip; at 50 none does, and speech lies at -15 to -18 dBFS, where telephone announcements usually are.
const LEVEL_AT_FULL_VOLUME: u16 = 50;

/// Keys of `[plugins.NAME]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Threads that speak. One makes about 250 times as much speech as is heard in the same time, so this is less
    /// about how many calls there are than about how many begin to speak in the same moment.
    workers: Whole<1, 8, 2>,
}

impl Config {
    pub(crate) fn workers(&self) -> usize {
        usize::from(self.workers.get())
    }
}

/// Keys of `[voices.NAME]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Voice {
    /// Which voice speaks. Without it the agent's language decides, and en-US if there is no voice for that.
    #[schemars(with = "VoiceName")]
    voice: Option<VoiceName>,
    /// How fast, in percent.
    speed: Percent<50, 200>,
    /// How high, in percent.
    pitch: Percent<50, 200>,
    /// How loud, in percent. 100 is right for the phone; above that, loud voices clip.
    volume: Percent<0, 200>,
}

impl Voice {
    /// Who speaks when the agent's language is `language`.
    pub(crate) fn name(&self, language: &str) -> VoiceName {
        self.voice
            .unwrap_or_else(|| VoiceName::for_language(language))
    }

    pub(crate) fn manner(&self) -> Manner {
        Manner {
            speed: self.speed.get(),
            pitch: self.pitch.get(),
            volume: (self.volume.get() * LEVEL_AT_FULL_VOLUME).div_ceil(100),
        }
    }
}

/// A percentage within limits, 100 by default.
pub type Percent<const MIN: u16, const MAX: u16> = Whole<MIN, MAX, 100>;

/// A whole number within limits, with its default.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "i64")]
pub struct Whole<const MIN: u16, const MAX: u16, const USUAL: u16>(u16);

impl<const MIN: u16, const MAX: u16, const USUAL: u16> Whole<MIN, MAX, USUAL> {
    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl<const MIN: u16, const MAX: u16, const USUAL: u16> Default for Whole<MIN, MAX, USUAL> {
    fn default() -> Self {
        Whole(USUAL)
    }
}

impl<const MIN: u16, const MAX: u16, const USUAL: u16> TryFrom<i64> for Whole<MIN, MAX, USUAL> {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        u16::try_from(number)
            .ok()
            .filter(|n| (MIN..=MAX).contains(n))
            .map(Whole)
            .ok_or_else(|| format!("{number} is not between {MIN} and {MAX}"))
    }
}

impl<const MIN: u16, const MAX: u16, const USUAL: u16> JsonSchema for Whole<MIN, MAX, USUAL> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("from_{MIN}_to_{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX, "default": USUAL })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    #[test]
    fn without_keys_a_voice_speaks_the_language_of_the_agent() {
        let voice: Voice = from_value(json!({})).unwrap();
        assert_eq!(voice.name("es"), VoiceName::EsEs);
        assert_eq!(voice.name(""), VoiceName::EnUs);
        let manner = Manner {
            volume: LEVEL_AT_FULL_VOLUME,
            ..Manner::NATURAL
        };
        assert_eq!(voice.manner(), manner);
        assert_eq!(from_value::<Config>(json!({})).unwrap().workers(), 2);
    }

    #[test]
    fn keys_are_taken_within_their_limits() {
        let voice: Voice =
            from_value(json!({ "voice": "de-DE", "speed": 50, "pitch": 200, "volume": 200 }))
                .unwrap();
        assert_eq!(voice.name("es"), VoiceName::DeDe);
        let manner = Manner {
            speed: 50,
            pitch: 200,
            volume: 100,
        };
        assert_eq!(voice.manner(), manner);
        for workers in [1, 8] {
            let config: Config = from_value(json!({ "workers": workers })).unwrap();
            assert_eq!(config.workers(), workers);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_words() {
        let table = [
            (
                json!({ "voice": "en-AU" }),
                "unknown variant `en-AU`, expected one of `en-US`, `en-GB`, `es-ES`",
            ),
            (json!({ "speed": 49 }), "49 is not between 50 and 200"),
            (json!({ "speed": 201 }), "201 is not between 50 and 200"),
            (json!({ "volume": -1 }), "-1 is not between 0 and 200"),
            (json!({ "volume": 70000 }), "70000 is not between 0 and 200"),
            (
                json!({ "rate": 1 }),
                "unknown field `rate`, expected one of `voice`, `speed`",
            ),
        ];
        for (keys, words) in table {
            let error = from_value::<Voice>(keys.clone()).unwrap_err().to_string();
            assert!(error.contains(words), "{keys}: {error}");
        }
        for (keys, words) in [
            (json!({ "workers": 0 }), "0 is not between 1 and 8"),
            (json!({ "workers": 9 }), "9 is not between 1 and 8"),
            (json!({ "threads": 2 }), "unknown field `threads`"),
        ] {
            let error = from_value::<Config>(keys.clone()).unwrap_err().to_string();
            assert!(error.contains(words), "{keys}: {error}");
        }
    }

    #[test]
    fn the_schema_says_the_same_limits() {
        let schema: Value = schemars::schema_for!(Voice).into();
        assert_eq!(schema["additionalProperties"], json!(false));
        let speed = &schema["properties"]["speed"];
        assert_eq!(
            (&speed["minimum"], &speed["maximum"]),
            (&json!(50), &json!(200))
        );
        assert_eq!(speed["default"], json!(100));
        let names = VoiceName::ALL.map(VoiceName::as_str);
        assert_eq!(schema["properties"]["voice"]["enum"], json!(names));
    }
}
