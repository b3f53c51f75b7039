//! What can be chosen from behind an opened voice, and what a configuration comes to: the contract's extensions `catalog/1`
//! and `check/1`, as values. How they get to the host is in `export.rs`.

use serde::Serialize;

/// Voices and models of a maker's account. Empty lists mean that there is nothing to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Catalog {
    /// What `[voices.NAME]` can be.
    pub voices: Vec<CatalogVoice>,
    /// What can make them speak, where there is a choice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<CatalogModel>,
}

/// One voice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CatalogVoice {
    /// What is written into the configuration.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// A tag such as `en` or `es-ES`; empty when it is not known or speaks several.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub language: String,
    /// A few words that help to choose.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub about: String,
}

/// One model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CatalogModel {
    /// What is written into the configuration.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Tags of the languages it speaks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    /// The longest text it takes at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_characters: Option<u64>,
}

/// What a configuration comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// What is wrong with it; with any the plugin is not opened.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// What would come of it, for `voice-streamer check`; lines.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub drawing: String,
    /// Those of `[voices.NAME]` that it may choose: one that there is not is a problem, too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub voices: Vec<String>,
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Problem {
    /// A sentence.
    Sentence(String),
    /// The same about one line of a key whose text has many, such as `"${file:…}"`: the host names the file.
    InText {
        /// The key of `[plugins.NAME]`.
        key: String,
        /// The line of its text, from 1.
        line: usize,
        /// The sentence, without the place.
        text: String,
    },
}

impl From<String> for Problem {
    fn from(sentence: String) -> Problem {
        Problem::Sentence(sentence)
    }
}
