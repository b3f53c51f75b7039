//! `voices`: what can be chosen from behind a plugin, asked of the plugin itself: the voices and models of an account. Of
//! a transcriber there is only to say what sound it takes.
//!
//! Opens the plugin in this process, as `check` does; no daemon has to run.

use super::{Failure, load};
use crate::config::Config;
use crate::plugin::{Generation, Library};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use voice_plugin::abi::role;

#[derive(Debug, Args)]
pub(super) struct VoicesArguments {
    /// A plugin, a voice or a transcriber of the configuration; all plugins that speak or hear, if none is named
    name: Option<String>,

    /// One JSON object per plugin and line
    #[arg(long)]
    json: bool,
}

pub(super) fn voices(path: &Path, arguments: &VoicesArguments) -> Result<(), Failure> {
    let config = load(path)?;
    let named = arguments.name.as_deref();
    let mut failed = 0;
    for plugin in chosen(&config, named)? {
        let listed = match list(&config, &plugin, named.is_some()) {
            Ok(None) => continue,
            Ok(Some(listed)) => listed,
            Err(failure) if named.is_some() => return Err(failure),
            // One account that is closed should not hide what the others have.
            Err(failure) => {
                eprintln!("voice-streamer: {failure}");
                failed += 1;
                continue;
            }
        };
        if arguments.json {
            say!("{listed}");
        } else {
            say!("{}", table(&listed).trim_end());
        }
    }
    match failed {
        0 => Ok(()),
        1 => Err(Failure::failed("one plugin could not list its voices")),
        n => Err(Failure::failed(format!(
            "{n} plugins could not list their voices"
        ))),
    }
}

/// The plugins to ask: the one that is named, or behind the voice or transcriber that is named.
fn chosen(config: &Config, name: Option<&str>) -> Result<BTreeSet<String>, Failure> {
    let Some(name) = name else {
        return Ok(config.plugins.keys().cloned().collect());
    };
    let voice = config.voices.get(name).map(|voice| &voice.plugin);
    let transcriber = config.transcribers.get(name);
    let behind = voice.or(transcriber.map(|transcriber| &transcriber.plugin));
    let plugin = config.plugins.get_key_value(name).map(|(name, _)| name);
    match plugin.or(behind) {
        Some(plugin) => Ok(BTreeSet::from([plugin.clone()])),
        None => {
            let known: Vec<&str> = config.plugins.keys().map(String::as_str).collect();
            Err(Failure::config(format!(
                "there is no [plugins.{name}], no [voices.{name}] and no [transcribers.{name}]; plugins are {}",
                known.join(", ")
            )))
        }
    }
}

/// What a plugin lists, with its own name and version; none if it neither speaks nor hears, unless it was asked for by name.
fn list(config: &Config, name: &str, must: bool) -> Result<Option<Value>, Failure> {
    let library = library(config, name)?;
    let plays = |one| library.roles() & one != 0;
    let mut found = json!({
        "plugin": name,
        "library": library.name(),
        "version": library.version(),
        "does": library.does(),
    });
    match (plays(role::TTS), plays(role::STT)) {
        (true, _) => {}
        // Its weights need not be read for that.
        (false, true) => return Ok(Some(found)),
        (false, false) if must => {
            let detail = format!("[plugins.{name}] is neither a voice nor a transcriber");
            return Err(Failure::config(detail));
        }
        (false, false) => return Ok(None),
    }
    if let Some(schema) = &library.describe().schema {
        config
            .check_plugin_keys(name, schema)
            .map_err(|problems| Failure::config(problems.to_string()))?;
    }
    let keys = config.plugins[name].keys.to_string();
    let generation = Generation::open(library, name, &keys)
        .map_err(|error| Failure::config(error.to_string()))?;
    let listed = generation
        .catalog()
        .map_err(|error| Failure::failed(error.to_string()))?
        .unwrap_or_else(|| json!({}));
    let rows = |kind: &str| listed[kind].as_array().cloned().unwrap_or_default();
    found["voices"] = rows("voices").into();
    found["models"] = rows("models").into();
    Ok(Some(found))
}

fn library(config: &Config, name: &str) -> Result<Arc<Library>, Failure> {
    let plugin = &config.plugins[name];
    let exe = std::env::current_exe().ok();
    let beside = exe.as_deref().and_then(Path::parent);
    let path = config
        .find_library(&plugin.library, beside.unwrap_or(Path::new(".")))
        .map_err(Failure::config)?;
    // Copies of the libraries go where they are thrown away again.
    let state = std::env::temp_dir().join(format!("voice-streamer-voices-{}", std::process::id()));
    let loaded = Library::load(name, &path, &state, plugin.sha256.as_deref())
        .map_err(|error| Failure::config(error.to_string()));
    super::throw_away(&state);
    loaded
}

fn table(listed: &Value) -> String {
    let mut text = format!(
        "{}  ({} {})  {}\n",
        field(&listed["plugin"]),
        field(&listed["library"]),
        field(&listed["version"]),
        field(&listed["does"])
    );
    if listed["voices"].is_null() {
        return text;
    }
    let rows = |kind: &str, columns: &[&str]| {
        let rows = listed[kind].as_array().into_iter().flatten();
        let cells = rows.map(|row| columns.iter().map(|column| field(&row[*column])).collect());
        cells.collect::<Vec<Vec<String>>>()
    };
    let voices = rows("voices", &["id", "name", "language", "about"]);
    if voices.is_empty() {
        text.push_str("  it lists no voices: see the plugin's README\n");
    } else {
        text.push_str(&aligned(&["voice", "name", "language", ""], &voices));
    }
    let models = rows("models", &["id", "max_characters", "languages"]);
    if !models.is_empty() {
        text.push_str(&aligned(&["model", "characters", "languages"], &models));
    }
    text
}

/// A column is as wide as its widest cell, a line has no blanks at its end.
fn aligned(head: &[&str], rows: &[Vec<String>]) -> String {
    let head = head.iter().map(|cell| (*cell).to_owned()).collect();
    let lines: Vec<&Vec<String>> = std::iter::once(&head).chain(rows).collect();
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths);
        let line: String = cells
            .map(|(cell, width)| format!("  {cell:width$}"))
            .collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A member as text. Names come from an account and may hold anything, also what would move a terminal's cursor.
fn field(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(field).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voices_and_models_stand_in_columns() {
        let listed = json!({
            "plugin": "eleven", "library": "tts-elevenlabs", "version": "1.0.0", "does": "voice (mulaw/8000)",
            "voices": [{"id": "v1", "name": "Zoë", "language": "en", "about": "calm"}, {"id": "voice2", "name": "A\u{1b}[2J"}],
            "models": [{"id": "m1", "max_characters": 40, "languages": ["en", "es"]}],
        });
        let expected = "eleven  (tts-elevenlabs 1.0.0)  voice (mulaw/8000)\n  \
                        voice   name   language\n  \
                        v1      Zoë    en        calm\n  \
                        voice2  A [2J\n  \
                        model  characters  languages\n  \
                        m1     40          en es\n";
        assert_eq!(table(&listed), expected);
    }

    #[test]
    fn a_plugin_that_lists_nothing_says_so() {
        let listed =
            json!({"plugin": "c", "library": "x", "version": "1", "voices": [], "models": []});
        assert!(table(&listed).contains("it lists no voices"));
    }

    #[test]
    fn a_transcriber_is_told_in_one_line() {
        let listed = json!({"plugin": "w", "library": "stt-whisper", "version": "1", "does": "transcriber (s16le/16000)"});
        assert_eq!(
            table(&listed),
            "w  (stt-whisper 1)  transcriber (s16le/16000)\n"
        );
    }
}
