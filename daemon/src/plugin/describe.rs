//! What a library says about itself before it is opened: the sound its voice makes, the sound its transcriber takes, and
//! the JSON Schemas of its keys. A pure reading of JSON; whether a configuration fits a schema is asked elsewhere.

use serde_json::Value;
use std::fmt;
use voice_plugin::abi::role;

/// Longest description, in bytes. The schemas of the plugins in this repository take 2 KiB.
pub(crate) const DESCRIBE_BYTES: usize = 1024 * 1024;

/// Most formats one role may list: every encoding at every rate is fewer.
const FORMATS_MAX: usize = 16;

/// Sample rates of `s16le` that can be converted to the line's 8 kHz.
const S16LE_RATES_HZ: [u32; 6] = [8_000, 16_000, 22_050, 24_000, 44_100, 48_000];

/// How samples are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// G.711 µ-law, one byte a sample: what the telephone line has.
    Mulaw,
    /// Signed 16 bit, little-endian.
    S16le,
}

/// One way of writing sound down; always mono.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Format {
    /// How a sample is written.
    pub encoding: Encoding,
    /// Samples per second.
    pub rate: u32,
}

impl Format {
    /// The line's own format, which nothing has to be converted to.
    pub const LINE: Format = Format {
        encoding: Encoding::Mulaw,
        rate: 8_000,
    };

    /// Of these, the one that costs a call least: the line's own, else the lowest rate, because above 4 kHz the line
    /// carries nothing. Where none is listed, the line's own is meant.
    pub fn best_of(listed: &[Format]) -> Format {
        if listed.contains(&Format::LINE) {
            return Format::LINE;
        }
        let lowest = listed.iter().copied().min_by_key(|format| format.rate);
        lowest.unwrap_or(Format::LINE)
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Encoding::Mulaw => "mulaw",
            Encoding::S16le => "s16le",
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.encoding, self.rate)
    }
}

/// A library's description. What it leaves out has the value that needs least: the line's format, no schema, no audio.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Describe {
    /// Formats its voice can produce, best first; empty only if it is no voice.
    pub tts_produces: Vec<Format>,
    /// JSON Schema of the keys of `[voices.NAME]`.
    pub tts_schema: Option<Value>,
    /// Whether its responder wants the caller's audio.
    pub hears_audio: bool,
    /// Whether its responder says the first words.
    pub speaks_first: bool,
    /// Whether each digit is a turn for its responder.
    pub takes_digits: bool,
    /// Whether its responder is asked when nobody speaks.
    pub takes_silence: bool,
    /// Formats its transcriber takes; empty only if it is no transcriber.
    pub stt_accepts: Vec<Format>,
    /// JSON Schema of the keys of `[transcribers.NAME]`.
    pub stt_schema: Option<Value>,
    /// JSON Schema of the keys of `[plugins.NAME]`.
    pub schema: Option<Value>,
}

/// What a library without `describe` is taken to be, by contract: one that speaks and hears as the line does.
pub(crate) fn of_the_silent(roles: u64) -> Describe {
    let line = |bit| {
        if roles & bit != 0 {
            vec![Format::LINE]
        } else {
            Vec::new()
        }
    };
    Describe {
        tts_produces: line(role::TTS),
        hears_audio: roles & role::RESPONDER != 0,
        stt_accepts: line(role::STT),
        ..Describe::default()
    }
}

/// Reads a description; no bytes at all is an empty one. The error is half a sentence.
pub(crate) fn read(json: &[u8], roles: u64) -> Result<Describe, String> {
    let all: Value = if json.is_empty() {
        Value::Object(serde_json::Map::new())
    } else {
        serde_json::from_slice(json).map_err(|no| format!("it is not JSON: {no}"))?
    };
    let part = |name: &str| object(&all, name);
    let (tts, stt, responder) = (part("tts")?, part("stt")?, part("responder")?);
    let schema_in = |of: Option<&Value>, path: &str| schema(of, path);
    let described = Describe {
        tts_produces: formats(tts, "tts", "produces")?,
        tts_schema: schema_in(tts, "tts.schema")?,
        hears_audio: flag(responder, "hears_audio")?,
        speaks_first: flag(responder, "speaks_first")?,
        takes_digits: flag(responder, "takes_digits")?,
        takes_silence: flag(responder, "takes_silence")?,
        stt_accepts: formats(stt, "stt", "accepts")?,
        stt_schema: schema_in(stt, "stt.schema")?,
        schema: schema_in(Some(&all), "schema")?,
    };
    let silent = of_the_silent(roles);
    let or_line = |listed: Vec<Format>, line| if listed.is_empty() { line } else { listed };
    Ok(Describe {
        tts_produces: or_line(described.tts_produces, silent.tts_produces),
        stt_accepts: or_line(described.stt_accepts, silent.stt_accepts),
        ..described
    })
}

fn object<'a>(of: &'a Value, name: &str) -> Result<Option<&'a Value>, String> {
    if !of.is_object() {
        return Err("it is not a JSON object".to_owned());
    }
    match of.get(name) {
        None => Ok(None),
        Some(part) if part.is_object() => Ok(Some(part)),
        Some(_) => Err(format!("`{name}` is not an object")),
    }
}

/// A schema is an object, or, by the JSON Schema rules, a boolean.
fn schema(of: Option<&Value>, path: &str) -> Result<Option<Value>, String> {
    match of.and_then(|of| of.get("schema")) {
        None => Ok(None),
        Some(schema) if schema.is_object() || schema.is_boolean() => Ok(Some(schema.clone())),
        Some(_) => Err(format!("`{path}` is not a JSON Schema")),
    }
}

fn flag(of: Option<&Value>, name: &str) -> Result<bool, String> {
    match of.and_then(|of| of.get(name)) {
        None => Ok(false),
        Some(flag) => flag
            .as_bool()
            .ok_or_else(|| format!("`responder.{name}` is neither true nor false")),
    }
}

fn formats(of: Option<&Value>, part: &str, name: &str) -> Result<Vec<Format>, String> {
    let Some(list) = of.and_then(|of| of.get(name)) else {
        return Ok(Vec::new());
    };
    let list = list
        .as_array()
        .ok_or_else(|| format!("`{part}.{name}` is not a list"))?;
    if list.is_empty() || list.len() > FORMATS_MAX {
        return Err(format!(
            "`{part}.{name}` lists {} formats, 1 to {FORMATS_MAX} are allowed",
            list.len()
        ));
    }
    list.iter()
        .map(|item| {
            format(item).ok_or_else(|| format!("`{part}.{name}` has {item}, which is no format"))
        })
        .collect()
}

fn format(item: &Value) -> Option<Format> {
    let rate = u32::try_from(item.get("rate")?.as_u64()?).ok()?;
    let encoding = match item.get("encoding")?.as_str()? {
        "mulaw" if rate == Format::LINE.rate => Encoding::Mulaw,
        "s16le" if S16LE_RATES_HZ.contains(&rate) => Encoding::S16le,
        _ => return None,
    };
    Some(Format { encoding, rate })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    const ALL: u64 = role::TTS | role::RESPONDER | role::STT;

    fn said(json: &str) -> Result<Describe, String> {
        read(json.as_bytes(), ALL)
    }

    #[test]
    fn everything_that_can_be_said_is_read() {
        let described = said(
            r#"{"tts":{"produces":[{"encoding":"s16le","rate":16000},{"encoding":"mulaw","rate":8000}],"schema":{"type":"object"}},
                "responder":{"hears_audio":true,"turns":"host","speaks_first":true,"takes_digits":true,"takes_silence":true},
                "stt":{"accepts":[{"encoding":"mulaw","rate":8000}],"schema":true},
                "schema":{"title":"keys"},"later":1}"#,
        );
        let wide = Format {
            encoding: Encoding::S16le,
            rate: 16_000,
        };
        assert_eq!(
            described.unwrap(),
            Describe {
                tts_produces: vec![wide, Format::LINE],
                tts_schema: Some(json!({"type": "object"})),
                hears_audio: true,
                speaks_first: true,
                takes_digits: true,
                takes_silence: true,
                stt_accepts: vec![Format::LINE],
                stt_schema: Some(json!(true)),
                schema: Some(json!({"title": "keys"})),
            }
        );
    }

    #[test]
    fn the_lines_own_format_is_the_best_and_then_the_lowest_rate() {
        let wide = |rate| Format {
            encoding: Encoding::S16le,
            rate,
        };
        assert_eq!(Format::best_of(&[wide(16_000), Format::LINE]), Format::LINE);
        assert_eq!(Format::best_of(&[wide(24_000), wide(16_000)]), wide(16_000));
        assert_eq!(Format::best_of(&[]), Format::LINE);
    }

    #[test]
    fn without_describe_a_plugin_hears_what_its_roles_hear() {
        let silent = of_the_silent(role::RESPONDER);
        assert!(silent.hears_audio && silent.tts_produces.is_empty());
        let silent = of_the_silent(role::TTS);
        assert!(!silent.hears_audio && silent.tts_produces == [Format::LINE]);
    }

    #[test]
    fn a_silent_plugin_is_taken_to_speak_and_hear_as_the_line_does() {
        for nothing in ["", "{}"] {
            let described = said(nothing).unwrap();
            assert_eq!(described.tts_produces, [Format::LINE]);
            assert_eq!(described.stt_accepts, [Format::LINE]);
            assert!(!described.hears_audio && described.schema.is_none());
        }
        assert_eq!(read(b"{}", role::RESPONDER).unwrap(), Describe::default());
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (json, word) in [
            ("{", "not JSON"),
            ("[]", "not a JSON object"),
            (r#"{"tts":1}"#, "`tts` is not an object"),
            (r#"{"schema":"x"}"#, "`schema` is not"),
            (r#"{"stt":{"schema":3}}"#, "`stt.schema` is not"),
            (
                r#"{"responder":{"hears_audio":"yes"}}"#,
                "neither true nor false",
            ),
            (r#"{"tts":{"produces":{}}}"#, "not a list"),
            (r#"{"tts":{"produces":[]}}"#, "lists 0 formats"),
            (
                r#"{"tts":{"produces":[{"encoding":"mulaw","rate":16000}]}}"#,
                "no format",
            ),
            (
                r#"{"tts":{"produces":[{"encoding":"opus","rate":48000}]}}"#,
                "\"opus\"",
            ),
            (
                r#"{"stt":{"accepts":[{"encoding":"s16le","rate":11025}]}}"#,
                "no format",
            ),
            (r#"{"stt":{"accepts":[{"encoding":"s16le"}]}}"#, "no format"),
        ] {
            let no = said(json).unwrap_err();
            assert!(no.contains(word), "{json}: {no}");
        }
        let many = vec![json!({"encoding": "mulaw", "rate": 8000}); FORMATS_MAX + 1];
        let no = said(&json!({"tts": {"produces": many}}).to_string()).unwrap_err();
        assert!(no.contains("lists 17 formats"), "{no}");
    }

    #[test]
    fn a_format_prints_as_it_is_spoken_of() {
        assert_eq!(Format::LINE.to_string(), "mulaw/8000");
    }
}
