//! A plugin's own keys against the JSON Schema it describes: every error back at its line and column in the file.
//!
//! The schema comes from the plugin, so this happens after its library was looked at and before it is opened. Nothing
//! is ever fetched: a schema that refers to another document is refused.

use std::collections::BTreeSet;
use std::ops::Range;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::nearest::nearest;
use super::problem::{Problem, Problems};
use super::secret::names_a_secret;
use super::table::did_you_mean;
use super::tree::Config;
use super::wording::{cut, words};

impl Config {
    /// Checks the keys of `[plugins.NAME]` that are the plugin's own.
    ///
    /// A schema of an object that says nothing about further keys is taken as complete: a key that nobody reads is a
    /// typing mistake. `null` or `true` allows everything.
    ///
    /// # Errors
    /// Everything that does not fit, each at its place in the file.
    pub fn check_plugin_keys(&self, plugin: &str, schema: &Value) -> Result<(), Problems> {
        let found = self
            .plugins
            .get(plugin)
            .map(|plugin| (&plugin.keys, &plugin.secret_paths));
        self.check_keys("plugins", plugin, found, schema)
    }

    /// As [`Config::check_plugin_keys`], for `[voices.NAME]`.
    ///
    /// # Errors
    /// As there.
    pub fn check_voice_keys(&self, voice: &str, schema: &Value) -> Result<(), Problems> {
        let found = self
            .voices
            .get(voice)
            .map(|voice| (&voice.keys, &voice.secret_paths));
        self.check_keys("voices", voice, found, schema)
    }

    /// As [`Config::check_plugin_keys`], for `[transcribers.NAME]`.
    ///
    /// # Errors
    /// As there.
    pub fn check_transcriber_keys(
        &self,
        transcriber: &str,
        schema: &Value,
    ) -> Result<(), Problems> {
        let found = self
            .transcribers
            .get(transcriber)
            .map(|t| (&t.keys, &t.secret_paths));
        self.check_keys("transcribers", transcriber, found, schema)
    }

    /// Takes note of the keys of `[FAMILY.NAME]` that the plugin's schema marks as secret (`writeOnly`), so that they are
    /// not shown.
    pub fn learn_secrets(&mut self, family: &str, name: &str, schema: &Value) {
        fn walk(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
            for (key, inside) in schema["properties"].as_object().into_iter().flatten() {
                let path = format!("{path}.{key}");
                walk(inside, &path, found);
                if inside["writeOnly"] == Value::Bool(true) {
                    found.insert(path);
                }
            }
        }
        walk(schema, &format!("{family}.{name}"), &mut self.secrets);
    }

    fn check_keys(
        &self,
        family: &str,
        name: &str,
        found: Option<(&Value, &Vec<String>)>,
        schema: &Value,
    ) -> Result<(), Problems> {
        let whole = |message: String| Problem::whole(&self.file, message, None);
        let Some((keys, secret_paths)) = found else {
            return Err(whole(format!("there is no [{family}.{name}]")).into());
        };
        if schema.is_null() {
            return Ok(());
        }
        let schema = closed(schema);
        let validator = jsonschema::options().offline().build(&schema).map_err(|error| {
            whole(format!(
                "[{family}.{name}] cannot be checked: the plugin describes its keys by a broken schema ({}); \
                 report it to the plugin's author",
                cut(&error.to_string())
            ))
        })?;
        // Parsed once already when this configuration was made: it cannot fail, and without it places are missing, not
        // messages.
        let document = DeTable::parse(&self.source.text).ok();
        let check = Check {
            config: self,
            document,
            family,
            name,
            schema: &schema,
            secret_paths,
        };
        let problems: Vec<Problem> = validator
            .iter_errors(keys)
            .flat_map(|error| check.problems(&error))
            .collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Problems::sorted(problems, 0))
        }
    }
}

/// The schema with "and nothing else" added where it leaves that open.
fn closed(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Value::Object(words) = &mut schema {
        let describes_keys =
            words.contains_key("properties") || words.get("type") == Some(&"object".into());
        let open = [
            "additionalProperties",
            "unevaluatedProperties",
            "patternProperties",
            "$ref",
        ];
        let composed = ["allOf", "anyOf", "oneOf", "if", "dependentSchemas"];
        if describes_keys
            && !open
                .iter()
                .chain(&composed)
                .any(|word| words.contains_key(*word))
        {
            words.insert("additionalProperties".to_owned(), Value::Bool(false));
        }
    }
    schema
}

struct Check<'c> {
    config: &'c Config,
    document: Option<toml::Spanned<DeTable<'c>>>,
    family: &'c str,
    name: &'c str,
    schema: &'c Value,
    secret_paths: &'c [String],
}

impl Check<'_> {
    fn problems(&self, error: &ValidationError<'_>) -> Vec<Problem> {
        let at = segments(error.instance_path().as_str());
        let below = |key: &str| {
            at.iter()
                .map(String::as_str)
                .chain([key])
                .map(str::to_owned)
                .collect()
        };
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                let unknown = |key: &String| {
                    let at: Vec<String> = below(key);
                    let message = format!("unknown key {}", self.path(&at));
                    let problem = self.problem(
                        self.place(&at, true),
                        false,
                        message,
                        Some(self.known(error, key)),
                    );
                    // The value was meant for the key that is near.
                    if self.near(error, key).is_some_and(|(near, about)| {
                        names_a_secret(near) || about["writeOnly"] == Value::Bool(true)
                    }) {
                        problem.without_value()
                    } else {
                        problem
                    }
                };
                unexpected.iter().map(unknown).collect()
            }
            ValidationErrorKind::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                let missing: Vec<String> = below(key);
                let message = format!("{} is missing", self.path(&missing));
                let about = self
                    .properties(error)
                    .and_then(|known| known[key]["description"].as_str());
                vec![self.problem(
                    self.place(&at, true),
                    false,
                    message,
                    about.map(str::to_owned),
                )]
            }
            _ => {
                let write_only = self.write_only(error, &at);
                let referred = self
                    .secret_paths
                    .iter()
                    .any(|path| path == error.instance_path().as_str());
                let shown = (!write_only && !referred).then(|| error.instance());
                let (words, hint) = words(error, shown.map(|value| value.as_ref()));
                let message = format!("{} {words}", self.path(&at));
                // A reference may be shown, it holds no secret; a secret written out may not.
                vec![self.problem(
                    self.place(&at, false),
                    write_only && !referred,
                    message,
                    hint,
                )]
            }
        }
    }

    fn problem(
        &self,
        place: Option<Range<usize>>,
        secret: bool,
        message: String,
        hint: Option<String>,
    ) -> Problem {
        match place {
            Some(span) => self.config.source.problem(span, secret, message, hint),
            None => Problem::whole(&self.config.file, message, hint),
        }
    }

    /// `plugins.echo.mode` for messages.
    fn path(&self, at: &[String]) -> String {
        let mut path = format!("{}.{}", self.family, self.name);
        for segment in at {
            path.push('.');
            path.push_str(segment);
        }
        path
    }

    /// Where the key or the value stands in the file; the table's own name for an empty path.
    fn place(&self, at: &[String], key: bool) -> Option<Range<usize>> {
        let mut table = self.document.as_ref()?.get_ref();
        let (name, mut value) = {
            table = table.get(self.family)?.get_ref().as_table()?;
            table.get_key_value(self.name)?
        };
        let mut place = name.span();
        for segment in at {
            let parent = value;
            match parent.get_ref() {
                DeValue::Table(entries) => {
                    let (name, inner) = entries.get_key_value(segment.as_str())?;
                    value = inner;
                    place = if key { name.span() } else { inner.span() };
                }
                DeValue::Array(items) => {
                    value = items.get(segment.parse::<usize>().ok()?)?;
                    place = value.span();
                }
                _ => return None,
            }
        }
        Some(place)
    }

    /// The part of the schema whose keyword failed.
    fn failed<'s>(&'s self, error: &ValidationError<'_>) -> Option<&'s Value> {
        let path = error.schema_path().as_str();
        self.schema.pointer(&path[..path.rfind('/')?])
    }

    fn properties<'s>(&'s self, error: &ValidationError<'_>) -> Option<&'s Value> {
        self.failed(error)
            .and_then(|schema| schema.get("properties"))
    }

    /// The key of the schema that this one was probably meant to be.
    fn near<'s>(&'s self, error: &ValidationError<'_>, key: &str) -> Option<(&'s str, &'s Value)> {
        let properties = self.properties(error)?.as_object()?;
        let near = nearest(key, properties.keys().map(String::as_str))?;
        Some((near, &properties[near]))
    }

    fn known(&self, error: &ValidationError<'_>, key: &str) -> String {
        let properties = self.properties(error).and_then(Value::as_object);
        let known: Vec<&str> = properties
            .into_iter()
            .flat_map(|p| p.keys())
            .map(String::as_str)
            .collect();
        match nearest(key, known.iter().copied()) {
            Some(near) => did_you_mean(near),
            None if known.is_empty() => "the plugin knows no keys here".to_owned(),
            None => format!("the plugin knows: {}", known.join(", ")),
        }
    }

    /// Whether the schema marks the value, or anything around it, as a secret.
    fn write_only(&self, error: &ValidationError<'_>, at: &[String]) -> bool {
        let marked = |schema: &Value| schema["writeOnly"] == Value::Bool(true);
        let mut properties = self.schema;
        let by_value = at.iter().any(|key| {
            properties = &properties["properties"][key.as_str()];
            marked(properties)
        });
        let path = error.schema_path().as_str();
        let ends = path
            .char_indices()
            .filter(|&(_, c)| c == '/')
            .map(|(end, _)| end);
        by_value
            || ends
                .filter_map(|end| self.schema.pointer(&path[..end]))
                .any(marked)
    }
}

/// A JSON pointer taken apart.
fn segments(pointer: &str) -> Vec<String> {
    pointer
        .split('/')
        .skip(1)
        .map(|segment| segment.replace("~1", "/").replace("~0", "~"))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::config::{Env, parse, tests::SMALL};

    /// A schema with everything plugin authors use; the first half is what derives write for Rust enums and options.
    fn schema() -> Value {
        json!({
            "type": "object",
            "required": ["mode"],
            "$defs": { "Secret": { "type": "string", "writeOnly": true, "minLength": 8 } },
            "properties": {
                "mode": { "description": "what it says back", "oneOf": [
                    { "const": "live", "description": "each sound" }, { "const": "parrot" }] },
                "tone": { "anyOf": [{ "enum": ["warm", "cold"] }, { "type": "null" }] },
                "api_key": { "$ref": "#/$defs/Secret" },
                "pin": { "type": "string", "writeOnly": true, "pattern": "^[0-9]+$" },
                "speed": { "type": "number", "minimum": 0.5, "maximum": 2 },
                "workers": { "type": ["integer", "null"] },
                "words": { "type": "array", "items": { "type": "string", "maxLength": 3 }, "uniqueItems": true },
                "inner": { "type": "object", "required": ["a"], "additionalProperties": false,
                           "properties": { "a": { "type": "boolean" }, "alpha": {} } },
            }
        })
    }

    fn said(keys: &str, schema: &Value) -> String {
        let env = Env::from_iter([("KEY", "canary")]);
        let text = format!("{SMALL}[plugins.maker]\nlibrary = \"x\"\n{keys}\n");
        let config = parse(&text, Path::new("c.toml"), &env).unwrap();
        match config.check_plugin_keys("maker", schema) {
            Ok(()) => "fine".to_owned(),
            Err(problems) => problems.to_string(),
        }
    }

    #[test]
    fn every_error_of_the_schema_stands_at_its_place_in_the_file() {
        for (keys, expected) in [
            (
                r#"mode = "live"
tone = "warm"
speed = 1
workers = 3
words = ["a"]
inner = { a = true }"#,
                r#"fine"#,
            ),
            (
                r#"mode = "prrot""#,
                r#"c.toml:11:8: plugins.maker.mode must be "live" or "parrot", not "prrot"
   |
11 | mode = "prrot"
   |        ^^^^^^^
   = did you mean `parrot`?"#,
            ),
            (
                r#""#,
                r#"c.toml:9:10: plugins.maker.mode is missing
  |
9 | [plugins.maker]
  |          ^^^^^
  = what it says back"#,
            ),
            (
                r#"mode = "live"
mdoe = "parrot"
volume = 3"#,
                r#"c.toml:12:1: unknown key plugins.maker.mdoe
   |
12 | mdoe = "parrot"
   | ^^^^
   = did you mean `mode`?

c.toml:13:1: unknown key plugins.maker.volume
   |
13 | volume = 3
   | ^^^^^^
   = the plugin knows: api_key, inner, mode, pin, speed, tone, words, workers"#,
            ),
            (
                r#"mode = "live"
tone = "wram""#,
                r#"c.toml:12:8: plugins.maker.tone must be "cold" or "warm", not "wram"
   |
12 | tone = "wram"
   |        ^^^^^^
   = did you mean `warm`?"#,
            ),
            (
                r#"mode = "live"
speed = 3"#,
                r#"c.toml:12:9: plugins.maker.speed must be at most 2, not 3
   |
12 | speed = 3
   |         ^"#,
            ),
            (
                r#"mode = "live"
speed = "fast"
workers = 1.5"#,
                r#"c.toml:12:9: plugins.maker.speed must be a number, not "fast"
   |
12 | speed = "fast"
   |         ^^^^^^

c.toml:13:11: plugins.maker.workers must be a whole number, not 1.5
   |
13 | workers = 1.5
   |           ^^^"#,
            ),
            (
                r#"mode = "live"
words = ["one", "four", "one"]"#,
                r#"c.toml:12:9: plugins.maker.words does not fit: the value has non-unique elements
   |
12 | words = ["one", "four", "one"]
   |         ^^^^^^^^^^^^^^^^^^^^^^

c.toml:12:17: plugins.maker.words.1 must be at most 3 characters long
   |
12 | words = ["one", "four", "one"]
   |                 ^^^^^^"#,
            ),
            (
                r#"mode = "live"
inner = { alpah = 1 }"#,
                r#"c.toml:12:1: plugins.maker.inner.a is missing
   |
12 | inner = { alpah = 1 }
   | ^^^^^

c.toml:12:11: unknown key plugins.maker.inner.alpah
   |
12 | inner = { alpah = 1 }
   |           ^^^^^
   = did you mean `alpha`?"#,
            ),
            (
                r#"mode = "live"
api_key = "canary""#,
                r#"c.toml:12:11: plugins.maker.api_key must be at least 8 characters long
   |
12 | api_key = ••••••••
   |           ^^^^^^^^"#,
            ),
            (
                r#"mode = "live"
pin = "canary""#,
                r#"c.toml:12:7: plugins.maker.pin must match the pattern ^[0-9]+$
   |
12 | pin = ••••••••
   |       ^^^^^^^^"#,
            ),
            (
                r#"mode = "live"
pin = "x${env:KEY}""#,
                r#"c.toml:12:7: plugins.maker.pin must match the pattern ^[0-9]+$
   |
12 | pin = "x${env:KEY}"
   |       ^^^^^^^^^^^^^"#,
            ),
            (
                r#"mode = "live"
[plugins.maker.inner]
a = "yes""#,
                r#"c.toml:13:5: plugins.maker.inner.a must be true or false, not "yes"
   |
13 | a = "yes"
   |     ^^^^^"#,
            ),
            (
                r#"mode = "live"
words = { pin = "${env:KEY}" }"#,
                r#"c.toml:12:9: plugins.maker.words must be a list, not a table
   |
12 | words = { pin = "${env:KEY}" }
   |         ^^^^^^^^^^^^^^^^^^^^^^"#,
            ),
        ] {
            let said = said(keys, &schema());
            assert!(!said.contains("canary"), "{said}");
            assert_eq!(said, expected, "\n{said}\n--- of:\n{keys}");
        }
    }

    #[test]
    fn voices_and_transcribers_are_checked_in_their_own_tables() {
        let voice = "[voices.english]\nplugin = \"echo\"\n";
        let text = SMALL.replace(voice, &format!("{voice}volume = -1\n"))
            + "[transcribers.ears]\nplugin = \"echo\"\nvolume = \"loud\"\n";
        let config = parse(&text, Path::new("c.toml"), &Env::default()).unwrap();
        let schema = json!({"properties": {"volume": {"type": "integer", "exclusiveMinimum": 0}}});
        let voice = config.check_voice_keys("english", &schema).unwrap_err();
        assert_eq!(
            (voice.0[0].line, voice.0[0].column, voice.0[0].length),
            (6, 10, 2)
        );
        assert_eq!(
            voice.0[0].message,
            "voices.english.volume must be more than 0, not -1"
        );
        let ears = config.check_transcriber_keys("ears", &schema).unwrap_err();
        assert_eq!(
            ears.0[0].message,
            "transcribers.ears.volume must be a whole number, not \"loud\""
        );
        assert_eq!(ears.0[0].source_line.as_deref(), Some("volume = \"loud\""));
        assert!(config.check_plugin_keys("echo", &schema).is_ok());
    }

    #[test]
    fn a_schema_is_closed_unless_it_says_otherwise() {
        let unknown = "volume = 1";
        for (schema, taken) in [
            (json!({"type": "object"}), false),
            (json!({"properties": {"mode": {}}}), false),
            (
                json!({"type": "object", "additionalProperties": true}),
                true,
            ),
            (
                json!({"properties": {}, "patternProperties": {"^v": {}}}),
                true,
            ),
            (
                json!({"properties": {}, "allOf": [{"properties": {"volume": {}}}]}),
                true,
            ),
            (json!({}), true),
            (json!(true), true),
            (json!(null), true),
        ] {
            assert_eq!(said(unknown, &schema) == "fine", taken, "{schema}");
        }
    }

    #[test]
    fn a_schema_that_is_broken_or_lies_elsewhere_is_refused_not_fetched() {
        for schema in [
            json!({"type": "objekt"}),
            json!({"$ref": "https://schema.example.com/keys.json"}),
            json!({"$ref": "file:///etc/passwd"}),
            json!({"properties": {"a": {"pattern": "("}}}),
            json!(7),
        ] {
            let said = said("a = 'x'", &schema);
            let start = "c.toml: [plugins.maker] cannot be checked: the plugin describes its keys by a broken schema";
            assert!(said.starts_with(start), "{schema}: {said}");
        }
    }
}
