//! The schemas inside an OpenAPI document, made ready for a JSON Schema validator: references followed within the
//! document, `nullable` of OpenAPI 3.0 turned into a type, objects closed where the document leaves that open.

use serde_json::{Map, Value, json};

use super::Violation;

/// A compiled schema.
pub(super) struct Shape(jsonschema::Validator);

impl Shape {
    /// # Errors
    /// A sentence, for a schema that refers to what is not there or cannot be compiled.
    pub(super) fn new(document: &Value, schema: &Value) -> Result<Shape, String> {
        Shape::compiled(document, schema, false)
    }

    /// As [`Shape::new`]; members that the schema does not name are violations.
    pub(super) fn closed(document: &Value, schema: &Value) -> Result<Shape, String> {
        Shape::compiled(document, schema, true)
    }

    fn compiled(document: &Value, schema: &Value, closed: bool) -> Result<Shape, String> {
        // Only what is reachable goes along: whole documents are large, and there are hundreds of schemas.
        let mut parts = Map::new();
        gather(document, schema, &mut parts)?;
        let mut whole = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [schema],
            "components": {"schemas": parts},
        });
        if closed {
            close(&mut whole["allOf"][0]);
            close(&mut whole["components"]["schemas"]);
        }
        jsonschema::options()
            .offline()
            .build(&whole)
            .map(Shape)
            .map_err(|e| format!("a schema cannot be compiled: {e}"))
    }

    pub(super) fn fits(&self, value: &Value) -> bool {
        self.0.is_valid(value)
    }

    pub(super) fn violations(&self, part: &str, value: &Value) -> Vec<Violation> {
        self.0
            .iter_errors(value)
            .map(|error| {
                let steps = error.instance_path().as_str().to_owned();
                let steps = steps.split('/').skip(1).map(str::to_owned);
                Violation {
                    at: std::iter::once(part.to_owned()).chain(steps).collect(),
                    what: error.to_string(),
                }
            })
            .collect()
    }
}

const SCHEMAS: &str = "#/components/schemas/";

/// Collects every schema reachable from this one.
fn gather(document: &Value, from: &Value, parts: &mut Map<String, Value>) -> Result<(), String> {
    match from {
        Value::Object(words) => {
            if let Some(reference) = words.get("$ref").and_then(Value::as_str) {
                let name = reference
                    .strip_prefix(SCHEMAS)
                    .ok_or_else(|| format!("{reference} points to no schema of this document"))?;
                if !parts.contains_key(name) {
                    let schema = document["components"]["schemas"]
                        .get(name)
                        .ok_or_else(|| format!("{reference} is not there"))?;
                    parts.insert(name.to_owned(), schema.clone());
                    gather(document, schema, parts)?;
                }
            }
            let below = words
                .iter()
                .filter(|(word, _)| !EXAMPLES.contains(&word.as_str()));
            below
                .map(|(_, value)| value)
                .try_for_each(|value| gather(document, value, parts))
        }
        Value::Array(list) => list
            .iter()
            .try_for_each(|value| gather(document, value, parts)),
        _ => Ok(()),
    }
}

/// Words whose values are data, not schemas.
const EXAMPLES: &[&str] = &["const", "default", "enum", "example", "examples"];

/// Closes every object that names its members and says nothing about others. Where schemas are joined by `allOf` that
/// would be wrong; such an object stays open.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(words) => {
            let joined = words.contains_key("allOf");
            if words.get("properties").is_some_and(Value::is_object) && !joined {
                words
                    .entry("additionalProperties")
                    .or_insert(Value::Bool(false));
            }
            for (word, value) in words.iter_mut() {
                if word != "allOf" && !EXAMPLES.contains(&word.as_str()) {
                    close(value);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(close),
        _ => {}
    }
}

/// `"type": "string", "nullable": true` as later documents write it.
pub(super) fn null_as_type(schema: &mut Value) {
    match schema {
        Value::Object(words) => {
            if words.get("nullable") == Some(&Value::Bool(true)) {
                if let Some(Value::String(kind)) = words.get("type") {
                    let kinds = json!([kind, "null"]);
                    words.insert("type".to_owned(), kinds);
                }
                if let Some(Value::Array(values)) = words.get_mut("enum") {
                    values.push(Value::Null);
                }
            }
            words.values_mut().for_each(null_as_type);
        }
        Value::Array(list) => list.iter_mut().for_each(null_as_type),
        _ => {}
    }
}

/// A parameter, body or schema itself, or what its reference leads to.
///
/// # Errors
/// A sentence, when the reference leads nowhere in this document.
pub(super) fn followed<'d>(document: &'d Value, mut part: &'d Value) -> Result<&'d Value, String> {
    // A chain longer than this is a circle.
    for _ in 0..16 {
        let Some(reference) = part.get("$ref").and_then(Value::as_str) else {
            return Ok(part);
        };
        part = reference
            .strip_prefix('#')
            .and_then(|pointer| document.pointer(pointer))
            .ok_or_else(|| format!("{reference} leads nowhere in this document"))?;
    }
    Err("a reference leads in a circle".to_owned())
}
