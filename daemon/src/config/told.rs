//! What a plugin tells of its own keys, in words of the configuration: which file a line stands in, which voice there is
//! not. What is told is the plugin's to find; that a key fits its schema is `schema.rs`.

use toml::de::DeTable;

use super::nearest::nearest;
use super::tree::Config;

impl Config {
    /// Where line `line` of the text of a key of `[plugins.NAME]` stands, for people: `front-desk.toml:3` if the text is
    /// that of a file, else `KEY, line 3`.
    pub fn line_of_text(&self, plugin: &str, key: &str, line: usize) -> String {
        let file = || {
            let document = DeTable::parse(&self.source.text).ok()?;
            let plugins = document.get_ref().get("plugins")?.get_ref().as_table()?;
            let table = plugins.get(plugin)?.get_ref().as_table()?;
            let raw = table.get(key)?.get_ref().as_str()?;
            // Nothing but the one reference, or lines would count from somewhere else.
            let path = raw.strip_prefix("${file:")?.strip_suffix('}')?;
            let path = self.folder().join(path);
            let short = path.strip_prefix(".").unwrap_or(&path);
            (!raw[2..].contains("${")).then(|| short.display().to_string())
        };
        match file() {
            Some(file) => format!("{file}:{line}"),
            None => format!("{key}, line {line}"),
        }
    }

    /// The sentence about a voice that a plugin would speak by; nothing if it is one of `[voices.NAME]`.
    pub fn no_such_voice(&self, voice: &str) -> Option<String> {
        if self.voices.contains_key(voice) {
            return None;
        }
        let voice = voice.escape_debug();
        let near = nearest(&voice.to_string(), self.voices.keys().map(String::as_str));
        let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        Some(format!(
            "it would speak by the voice `{voice}`, and there is no [voices.{voice}]{hint}"
        ))
    }
}
