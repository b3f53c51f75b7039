//! Values that travel as text: parameters of paths, queries and headers, and the fields of forms. Each is turned into
//! the JSON value its schema asks for, as far as the text allows, and judged by that schema.
//!
//! A list is sent by repeating its name; a name that is no list is sent once.

use std::borrow::Cow;

use serde_json::{Number, Value};

use super::Violation;
use super::schema::{Shape, followed};

/// Something with a name and a text.
pub(super) struct Field {
    pub(super) name: String,
    required: bool,
    shape: Shape,
    /// Judges one item, where the field is a list.
    list: bool,
    kinds: Vec<String>,
}

impl Field {
    /// # Errors
    /// A sentence, for a schema that cannot be compiled.
    pub(super) fn new(
        document: &Value,
        name: &str,
        schema: &Value,
        required: bool,
    ) -> Result<Field, String> {
        let mut kinds = Vec::new();
        let mut items = None;
        look(document, schema, &mut kinds, &mut items)?;
        if let Some(items) = items {
            kinds.clear();
            look(document, items, &mut kinds, &mut None)?;
        }
        Ok(Field {
            name: name.to_owned(),
            required,
            shape: Shape::new(document, schema)?,
            list: items.is_some(),
            kinds,
        })
    }

    fn judge(&self, part: &str, texts: &[&str]) -> Vec<Violation> {
        let wrong = |what: &str| vec![Violation::new(part, &self.name, what)];
        match texts {
            [] if self.required => wrong("it is required and missing"),
            [] => Vec::new(),
            _ if self.list => {
                let values = texts.iter().map(|text| self.value(text)).collect();
                self.violations(part, &Value::Array(values))
            }
            [text] => self.violations(part, &self.value(text)),
            _ => wrong("it is no list, and is sent more than once"),
        }
    }

    fn violations(&self, part: &str, value: &Value) -> Vec<Violation> {
        if self.shape.fits(value) {
            return Vec::new();
        }
        let mut found = self.shape.violations(part, value);
        for violation in &mut found {
            violation.at.insert(1, self.name.clone());
        }
        found
    }

    /// The text as the kind of value the schema asks for; as text, when it is of no such kind.
    fn value(&self, text: &str) -> Value {
        let asked = |kind: &str| self.kinds.iter().any(|k| k == kind);
        let number = || text.parse::<Number>().ok().map(Value::Number);
        let boolean = || match text.to_ascii_lowercase().as_str() {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => None,
        };
        let found = if asked("integer") || asked("number") {
            number()
        } else if asked("boolean") {
            boolean()
        } else {
            None
        };
        found.unwrap_or_else(|| Value::String(text.to_owned()))
    }
}

/// The types a schema names, itself or through references and alternatives; and the items of a list among them.
fn look<'d>(
    document: &'d Value,
    schema: &'d Value,
    kinds: &mut Vec<String>,
    items: &mut Option<&'d Value>,
) -> Result<(), String> {
    let schema = followed(document, schema)?;
    match &schema["type"] {
        Value::String(kind) => kinds.push(kind.clone()),
        Value::Array(several) => {
            kinds.extend(several.iter().filter_map(Value::as_str).map(str::to_owned));
        }
        _ => {}
    }
    if let Some(list) = schema.get("items") {
        *items = Some(list);
    }
    let alternatives = ["anyOf", "oneOf", "allOf"];
    for schema in alternatives
        .iter()
        .filter_map(|word| schema[word].as_array())
        .flatten()
    {
        look(document, schema, kinds, items)?;
    }
    Ok(())
}

/// The fields of a form, from the schema of its object.
///
/// # Errors
/// As [`Field::new`].
pub(super) fn fields(document: &Value, schema: &Value) -> Result<Vec<Field>, String> {
    let schema = followed(document, schema)?;
    let required = schema["required"].as_array();
    let required = |name: &str| required.is_some_and(|names| names.iter().any(|n| n == name));
    schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, schema)| Field::new(document, name, schema, required(name)))
        .collect()
}

/// Everything wrong with these texts: missing, unknown, unfit.
pub(super) fn judge(part: &str, fields: &[Field], pairs: &[(String, String)]) -> Vec<Violation> {
    let mut found: Vec<_> = pairs
        .iter()
        .filter(|(name, _)| !fields.iter().any(|field| field.name == *name))
        .map(|(name, _)| Violation::new(part, name, "the specification knows no such name"))
        .collect();
    found.dedup();
    for field in fields {
        let texts: Vec<&str> = pairs
            .iter()
            .filter(|(name, _)| *name == field.name)
            .map(|(_, text)| text.as_str())
            .collect();
        found.extend(field.judge(part, &texts));
    }
    found
}

/// A query or the body of a form, decoded, in the order sent.
pub(super) fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(encoded);
    text.split('&')
        .filter(|field| !field.is_empty())
        .map(|field| {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            (decoded(name, true), decoded(value, true))
        })
        .collect()
}

/// Percent escapes read; in queries and forms `+` is a space, in paths it is itself.
pub(super) fn decoded(text: &str, plus_is_space: bool) -> String {
    let text = match plus_is_space {
        true => Cow::Owned(text.replace('+', " ")),
        false => Cow::Borrowed(text),
    };
    percent_encoding::percent_decode_str(&text)
        .decode_utf8_lossy()
        .into_owned()
}
