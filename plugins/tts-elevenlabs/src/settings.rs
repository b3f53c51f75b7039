//! The keys: of the plugin itself and of each voice, with their defaults and limits.
//!
//! A value outside its limits cannot be made, so nothing behind this file looks at them again. The limits are those of
//! the service's documentation. The bounds of time are ours: an agent with a fallback voice goes over to it sooner, by
//! `voice_deadline_ms`, so these are for one without, who is better served by late sound than by none.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use voice_plugin::prelude::*;

/// The model meant for conversations: first sound after some 75 ms by the maker's own word.
const MODEL: &str = "eleven_flash_v2_5";

/// Keys of `[plugins.NAME]`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The account's API key; it needs the permission for text to speech, and that for voices and models to list them.
    pub(crate) api_key: Secret,
    /// Where the service keeps and processes data; anywhere unless chosen. The key has to be one of that region.
    #[serde(default)]
    #[schemars(with = "Region")]
    region: Option<Region>,
    /// Another address instead, https, or http on this machine.
    #[serde(default)]
    #[schemars(with = "BaseUrl")]
    base_url: Option<BaseUrl>,
    /// Certificates of authorities that are trusted beside the system's, as PEM: `"${file:company-ca.pem}"`.
    #[serde(default)]
    #[schemars(with = "String")]
    pub(crate) ca: Option<String>,
    /// The model of voices that name none.
    #[serde(default = "usual_model")]
    pub(crate) model: Name,
    /// Milliseconds a connection may take.
    #[serde(default)]
    connect_ms: Millis<100, 10_000, 1_000>,
    /// Milliseconds until the first byte of sound, with all tries.
    #[serde(default)]
    first_sound_ms: Millis<100, 10_000, 4_000>,
    /// Milliseconds without a further byte after which an utterance has failed.
    #[serde(default)]
    stall_ms: Millis<100, 10_000, 3_000>,
    /// How often a request is tried again that failed within a second and before its first byte of sound.
    #[serde(default)]
    retries: Retries,
}

fn usual_model() -> Name {
    Name(MODEL.to_owned())
}

/// Where the service keeps data.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Region {
    Us,
    Eu,
    In,
    Sg,
}

/// By hand, because a flat list of names makes a complaint about another name list them all.
impl JsonSchema for Region {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Region".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": ["us", "eu", "in", "sg"] })
    }
}

impl Config {
    /// The service's address, without a slash at its end.
    ///
    /// # Errors
    /// A sentence, when both keys say it.
    pub(crate) fn base(&self) -> core::result::Result<&str, String> {
        match (&self.base_url, self.region) {
            (Some(_), Some(_)) => {
                Err("`region` and `base_url` exclude each other: keep one of them".to_owned())
            }
            (Some(base), None) => Ok(&base.0),
            (None, None) => Ok("https://api.elevenlabs.io"),
            (None, Some(Region::Us)) => Ok("https://api.us.elevenlabs.io"),
            (None, Some(Region::Eu)) => Ok("https://api.eu.residency.elevenlabs.io"),
            (None, Some(Region::In)) => Ok("https://api.in.residency.elevenlabs.io"),
            (None, Some(Region::Sg)) => Ok("https://api.sg.residency.elevenlabs.io"),
        }
    }

    pub(crate) fn connect(&self) -> Duration {
        self.connect_ms.get()
    }

    pub(crate) fn first_sound(&self) -> Duration {
        self.first_sound_ms.get()
    }

    pub(crate) fn stall(&self) -> Duration {
        self.stall_ms.get()
    }

    pub(crate) fn retries(&self) -> u32 {
        u32::from(self.retries.0)
    }
}

/// Keys of `[voices.NAME]`. What is not set is left to the voice's own settings at the service.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Voice {
    /// The voice's id, as `voice-streamer voices` lists it.
    pub(crate) voice: Name,
    /// The model; without it that of the plugin.
    #[serde(default)]
    #[schemars(with = "Name")]
    pub(crate) model: Option<Name>,
    /// The language to speak, `en` or `es`, for models that would otherwise guess it. Refused by models that cannot.
    #[serde(default)]
    #[schemars(with = "LanguageCode")]
    pub(crate) language_code: Option<LanguageCode>,
    /// Below: livelier, less predictable; above: more even.
    #[serde(default)]
    #[schemars(with = "Share")]
    pub(crate) stability: Option<Share>,
    /// How closely the original voice is met.
    #[serde(default)]
    #[schemars(with = "Share")]
    pub(crate) similarity_boost: Option<Share>,
    /// How much of the original's style is exaggerated; above 0 it takes longer.
    #[serde(default)]
    #[schemars(with = "Share")]
    pub(crate) style: Option<Share>,
    /// Whether likeness is raised further; it takes longer.
    #[serde(default)]
    #[schemars(with = "bool")]
    pub(crate) speaker_boost: Option<bool>,
    /// How fast; 1 is the voice's own speed.
    #[serde(default)]
    #[schemars(with = "Speed")]
    pub(crate) speed: Option<Speed>,
    /// The same seed makes the same sound of the same text, usually.
    #[serde(default)]
    #[schemars(with = "Seed")]
    pub(crate) seed: Option<Seed>,
    /// Whether numbers and dates are written out before they are spoken.
    #[serde(default)]
    #[schemars(with = "Normalization")]
    pub(crate) text_normalization: Option<Normalization>,
}

/// What is done with numbers and dates.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Normalization {
    Auto,
    On,
    Off,
}

impl JsonSchema for Normalization {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Normalization".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": ["auto", "on", "off"] })
    }
}

/// A type made of another by a check, with the schema that says the same.
macro_rules! checked {
    ($(#[$doc:meta])* $name:ident($inner:ty) from $raw:ty, $check:expr, $schema:tt) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
        #[serde(try_from = "serde_json::Value", into = "serde_json::Value")]
        pub(crate) struct $name(pub(crate) $inner);

        impl TryFrom<serde_json::Value> for $name {
            type Error = String;

            fn try_from(value: serde_json::Value) -> core::result::Result<Self, String> {
                let check: fn($raw) -> core::result::Result<$inner, String> = $check;
                let raw = serde_json::from_value::<$raw>(value).map_err(|e| e.to_string())?;
                check(raw).map($name)
            }
        }

        impl From<$name> for serde_json::Value {
            fn from(value: $name) -> serde_json::Value {
                value.0.into()
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

checked!(
    /// The id of a voice or a model: it becomes a part of an address.
    Name(String) from String,
    |text| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        match text.len() {
            1..=64 if text.chars().all(fits) => Ok(text),
            _ => Err(format!("{text:?} is no id: letters, digits, `_`, `-` and `.`, at most 64")),
        }
    },
    { "type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$" }
);

checked!(
    /// A language as the service names it.
    LanguageCode(String) from String,
    |text| match text.len() {
        2 | 3 if text.bytes().all(|b| b.is_ascii_lowercase()) => Ok(text),
        _ => Err(format!("{text:?} is no language code such as `en` or `fil`")),
    },
    { "type": "string", "pattern": "^[a-z]{2,3}$" }
);

checked!(
    /// A number from 0 to 1.
    Share(f64) from f64,
    |number| match (0.0..=1.0).contains(&number) {
        true => Ok(number),
        false => Err(format!("{number} is not between 0 and 1")),
    },
    { "type": "number", "minimum": 0, "maximum": 1 }
);

checked!(
    /// A factor of speed.
    Speed(f64) from f64,
    |number| match (0.7..=1.2).contains(&number) {
        true => Ok(number),
        false => Err(format!("{number} is not between 0.7 and 1.2")),
    },
    { "type": "number", "minimum": 0.7, "maximum": 1.2 }
);

checked!(
    /// A start for the service's chance.
    Seed(u32) from u32,
    |number| Ok(number),
    { "type": "integer", "minimum": 0, "maximum": u32::MAX }
);

checked!(
    /// Tries after the first.
    Retries(u8) from u8,
    |number| match number {
        0..=3 => Ok(number),
        _ => Err(format!("{number} is not between 0 and 3")),
    },
    { "type": "integer", "minimum": 0, "maximum": 3, "default": 1 }
);

impl Default for Retries {
    fn default() -> Self {
        Retries(1)
    }
}

checked!(
    /// An address that a key may be sent to.
    BaseUrl(String) from String,
    |text| {
        let url = Url::parse(&text).map_err(|e| format!("{text:?} is no address: {e}"))?;
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let here = host == "localhost" || address.is_ok_and(|ip| ip.is_loopback());
        if url.scheme() != "https" && !(url.scheme() == "http" && here) {
            return Err(format!("{text:?}: the key goes over https only, or over http to this machine"));
        }
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            return Err(format!("{text:?}: an address with nothing behind its path and no name in it"));
        }
        Ok(text.trim_end_matches('/').to_owned())
    },
    { "type": "string", "pattern": "^https?://" }
);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    fn config(more: Value) -> core::result::Result<Config, String> {
        let mut keys = json!({"api_key": "sk-canary"});
        keys.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        from_value(keys).map_err(|e| e.to_string())
    }

    #[test]
    fn with_a_key_alone_everything_has_its_default() {
        let config = config(json!({})).unwrap();
        assert_eq!(config.base(), Ok("https://api.elevenlabs.io"));
        assert_eq!(config.model.0, "eleven_flash_v2_5");
        assert_eq!(config.first_sound(), Duration::from_secs(4));
        assert_eq!(config.stall(), Duration::from_secs(3));
        assert!(
            config.connect() < Duration::from_millis(1500),
            "an agent would not hear why before it goes over to its fallback"
        );
        assert_eq!(config.retries(), 1);
        assert!(!format!("{config:?}").contains("canary"));
    }

    #[test]
    fn a_region_is_an_address_and_excludes_another() {
        let base = |more| config(more).unwrap().base().map(str::to_owned);
        assert_eq!(
            base(json!({"region": "us"})),
            Ok("https://api.us.elevenlabs.io".to_owned())
        );
        assert_eq!(
            base(json!({"region": "eu"})),
            Ok("https://api.eu.residency.elevenlabs.io".to_owned())
        );
        assert!(
            base(json!({"region": "eu", "base_url": "https://x"}))
                .unwrap_err()
                .contains("exclude")
        );
    }

    #[test]
    fn the_key_leaves_this_machine_only_over_https() {
        for good in [
            "https://proxy.example.com/eleven/",
            "http://127.0.0.1:8",
            "http://[::1]:8",
            "http://localhost",
        ] {
            let config = config(json!({"base_url": good})).unwrap();
            assert_eq!(config.base(), Ok(good.trim_end_matches('/')));
        }
        for bad in [
            "http://example.com",
            "http://10.0.0.1",
            "ftp://127.0.0.1",
            "127.0.0.1",
            "https://u@x",
            "https://x?y",
            "",
        ] {
            assert!(
                config(json!({"base_url": bad})).is_err(),
                "{bad:?} was taken"
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_words() {
        let voice = |keys: Value| {
            let mut all = json!({"voice": "v1"});
            all.as_object_mut()
                .unwrap()
                .extend(keys.as_object().unwrap().clone());
            from_value::<Voice>(all)
                .map(drop)
                .map_err(|e| e.to_string())
        };
        for good in [
            json!({"stability": 0, "similarity_boost": 1, "style": 0.5, "speed": 0.7, "seed": 4294967295_u32}),
            json!({"speed": 1.2, "speaker_boost": false, "text_normalization": "off", "language_code": "es"}),
        ] {
            assert_eq!(voice(good.clone()), Ok(()), "{good}");
        }
        for (bad, words) in [
            (json!({"stability": 1.01}), "1.01 is not between 0 and 1"),
            (json!({"style": -0.1}), "-0.1 is not between 0 and 1"),
            (json!({"speed": 0.69}), "0.69 is not between 0.7 and 1.2"),
            (json!({"seed": 4294967296_u64}), "expected u32"),
            (json!({"seed": -1}), "expected u32"),
            (json!({"voice": "../v1"}), "is no id"),
            (json!({"voice": ""}), "is no id"),
            (json!({"language_code": "en-US"}), "is no language code"),
            (
                json!({"text_normalization": "maybe"}),
                "unknown variant `maybe`",
            ),
            (json!({"stabilty": 1}), "unknown field `stabilty`"),
        ] {
            let said = voice(bad.clone()).unwrap_err();
            assert!(said.contains(words), "{bad}: {said}");
        }
        assert!(
            from_value::<Voice>(json!({})).is_err(),
            "a voice needs an id"
        );
        assert!(config(json!({"retries": 4})).is_err());
        assert!(config(json!({"first_sound_ms": 99})).is_err());
        assert!(config(json!({"region": "mars"})).is_err());
    }

    #[test]
    fn the_schema_says_the_same_limits_and_hides_the_key() {
        let voice: Value = schemars::schema_for!(Voice).into();
        let at = |name: &str| voice["properties"][name].clone();
        assert_eq!(
            (&at("speed")["minimum"], &at("speed")["maximum"]),
            (&json!(0.7), &json!(1.2))
        );
        assert_eq!(at("stability")["maximum"], json!(1));
        assert_eq!(at("seed")["maximum"], json!(4294967295_u32));
        assert_eq!(voice["required"], json!(["voice"]));
        assert_eq!(voice["additionalProperties"], json!(false));
        let config: Value = schemars::schema_for!(Config).into();
        assert_eq!(config["properties"]["api_key"]["writeOnly"], json!(true));
        assert_eq!(config["required"], json!(["api_key"]));
        assert_eq!(
            config["properties"]["first_sound_ms"]["default"],
            json!(4000)
        );
    }
}
