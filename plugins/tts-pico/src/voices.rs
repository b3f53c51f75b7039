//! The six voices, as data: their names, the language each speaks, and the two lingware files each is made of.
//!
//! The files are SVOX's (Apache License 2.0, `voices/NOTICE`) and travel inside the library, so that a voice cannot
//! be missing. What loads them is in `engine`; what chooses between them is the configuration.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// A voice's name: the language and country it was recorded for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
pub enum VoiceName {
    /// American English.
    #[default]
    #[serde(rename = "en-US")]
    EnUs,
    /// British English.
    #[serde(rename = "en-GB")]
    EnGb,
    /// Spanish as spoken in Spain.
    #[serde(rename = "es-ES")]
    EsEs,
    /// German.
    #[serde(rename = "de-DE")]
    DeDe,
    /// French.
    #[serde(rename = "fr-FR")]
    FrFr,
    /// Italian.
    #[serde(rename = "it-IT")]
    ItIt,
}

/// What Pico needs to be told and given for one voice.
pub(crate) struct Lingware {
    /// Text analysis: letters to sounds.
    pub(crate) text: &'static [u8],
    /// Signal generation: sounds to samples.
    pub(crate) signal: &'static [u8],
}

impl VoiceName {
    /// All voices, in the order of the documentation.
    pub const ALL: [VoiceName; 6] = [
        VoiceName::EnUs,
        VoiceName::EnGb,
        VoiceName::EsEs,
        VoiceName::DeDe,
        VoiceName::FrFr,
        VoiceName::ItIt,
    ];

    /// The name as written in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            VoiceName::EnUs => "en-US",
            VoiceName::EnGb => "en-GB",
            VoiceName::EsEs => "es-ES",
            VoiceName::DeDe => "de-DE",
            VoiceName::FrFr => "fr-FR",
            VoiceName::ItIt => "it-IT",
        }
    }

    /// What it speaks, in words.
    pub const fn language(self) -> &'static str {
        match self {
            VoiceName::EnUs => "American English",
            VoiceName::EnGb => "British English",
            VoiceName::EsEs => "Spanish as spoken in Spain",
            VoiceName::DeDe => "German",
            VoiceName::FrFr => "French",
            VoiceName::ItIt => "Italian",
        }
    }

    /// The voice for a language tag such as `es`, `es-MX` or `en_gb`: the same country if there is one, else the
    /// first of the same language, else American English.
    pub fn for_language(tag: &str) -> VoiceName {
        let tag = tag.replace('_', "-");
        let language = tag.split('-').next().unwrap_or_default();
        let named = |full: &str| {
            VoiceName::ALL
                .into_iter()
                .find(|v| v.as_str().eq_ignore_ascii_case(full))
        };
        named(&tag)
            .or_else(|| {
                VoiceName::ALL
                    .into_iter()
                    .find(|v| v.as_str()[..2].eq_ignore_ascii_case(language))
            })
            .unwrap_or_default()
    }

    pub(crate) fn lingware(self) -> Lingware {
        macro_rules! lingware {
            ($text:literal, $signal:literal) => {
                Lingware {
                    text: include_bytes!(concat!("../voices/", $text, "_ta.bin")),
                    signal: include_bytes!(concat!("../voices/", $signal, "_sg.bin")),
                }
            };
        }
        match self {
            VoiceName::EnUs => lingware!("en-US", "en-US_lh0"),
            VoiceName::EnGb => lingware!("en-GB", "en-GB_kh0"),
            VoiceName::EsEs => lingware!("es-ES", "es-ES_zl0"),
            VoiceName::DeDe => lingware!("de-DE", "de-DE_gl0"),
            VoiceName::FrFr => lingware!("fr-FR", "fr-FR_nk0"),
            VoiceName::ItIt => lingware!("it-IT", "it-IT_cm0"),
        }
    }
}

/// By hand, because a flat list of names makes a complaint about another name list them all.
impl JsonSchema for VoiceName {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "VoiceName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": VoiceName::ALL.map(VoiceName::as_str) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_finds_its_voice() {
        let table = [
            ("en", VoiceName::EnUs),
            ("en-GB", VoiceName::EnGb),
            ("en_gb", VoiceName::EnGb),
            ("en-AU", VoiceName::EnUs),
            ("es", VoiceName::EsEs),
            ("es-MX", VoiceName::EsEs),
            ("DE-de", VoiceName::DeDe),
            ("fr-CA", VoiceName::FrFr),
            ("it", VoiceName::ItIt),
            ("", VoiceName::EnUs),
            ("ja", VoiceName::EnUs),
        ];
        for (tag, voice) in table {
            assert_eq!(VoiceName::for_language(tag), voice, "language {tag:?}");
        }
    }

    #[test]
    fn a_voice_is_written_as_it_is_read() {
        for voice in VoiceName::ALL {
            let read: VoiceName =
                serde_json::from_value(voice.as_str().into()).expect("its own name");
            assert_eq!(read, voice);
        }
    }
}
