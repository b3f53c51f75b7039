//! The validator's errors in the words an operator needs: what would be right, not which keyword failed.

use std::collections::BTreeSet;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError};
use serde_json::Value;

use super::nearest::nearest;
use super::table::{did_you_mean, one_of};

/// Longer words are cut.
const MESSAGE_CHARS: usize = 300;

/// What is wrong with a value, in words that follow its path, and a hint. `shown` is the value unless it is a secret.
pub(super) fn words(
    error: &ValidationError<'_>,
    shown: Option<&Value>,
) -> (String, Option<String>) {
    use ValidationErrorKind as Kind;
    let not = match shown {
        None => String::new(),
        // What is inside may be secret, though the whole is not.
        Some(Value::Object(_)) => ", not a table".to_owned(),
        Some(Value::Array(_)) => ", not a list".to_owned(),
        Some(value) => format!(", not {}", cut(&value.to_string())),
    };
    let written = shown.and_then(Value::as_str);
    match error.kind() {
        Kind::Type { kind } => {
            let wanted = match kind {
                TypeKind::Single(wanted) => json_type(*wanted).to_owned(),
                TypeKind::Multiple(set) => {
                    // Absent is what a key is already when nobody writes it.
                    let kinds = set.iter().filter(|kind| *kind != JsonType::Null);
                    let wanted: Vec<&str> = kinds.map(json_type).collect();
                    wanted.join(" or ")
                }
            };
            (format!("must be {wanted}{not}"), None)
        }
        Kind::Enum { .. }
        | Kind::Constant { .. }
        | Kind::OneOfNotValid { .. }
        | Kind::AnyOf { .. } => {
            let mut options = BTreeSet::new();
            if !gather_options(error, &mut options) || options.is_empty() {
                return (
                    format!("does not fit any of the forms the plugin allows{not}"),
                    None,
                );
            }
            let near = written.and_then(|word| nearest(word, options.iter().map(String::as_str)));
            let list = one_of(options.iter().map(String::as_str));
            (format!("must be {list}{not}"), near.map(did_you_mean))
        }
        Kind::Minimum { limit } => (format!("must be at least {limit}{not}"), None),
        Kind::Maximum { limit } => (format!("must be at most {limit}{not}"), None),
        Kind::ExclusiveMinimum { limit } => (format!("must be more than {limit}{not}"), None),
        Kind::ExclusiveMaximum { limit } => (format!("must be less than {limit}{not}"), None),
        Kind::MinLength { limit } => (format!("must be at least {limit} characters long"), None),
        Kind::MaxLength { limit } => (format!("must be at most {limit} characters long"), None),
        Kind::Pattern { pattern } => (format!("must match the pattern {pattern}{not}"), None),
        // The validator's own words, with the value taken out.
        _ => (
            format!(
                "does not fit: {}",
                cut(&error.masked_with("the value").to_string())
            ),
            None,
        ),
    }
}

/// Collects the strings that would have been right; false if something else would have been right too.
fn gather_options(error: &ValidationError<'_>, options: &mut BTreeSet<String>) -> bool {
    let mut take = |value: &Value| match value {
        Value::String(word) => {
            options.insert(word.clone());
            true
        }
        // An absent key, which TOML cannot write as a value.
        Value::Null => true,
        _ => false,
    };
    match error.kind() {
        ValidationErrorKind::Constant { expected_value } => take(expected_value),
        ValidationErrorKind::Enum { options } => options
            .as_array()
            .is_some_and(|values| values.iter().all(take)),
        ValidationErrorKind::Type {
            kind: TypeKind::Single(JsonType::Null),
        } => true,
        ValidationErrorKind::OneOfNotValid { context } | ValidationErrorKind::AnyOf { context } => {
            context
                .iter()
                .flatten()
                .all(|error| gather_options(error, options))
        }
        _ => false,
    }
}

fn json_type(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Array => "a list",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "a whole number",
        JsonType::Null => "absent",
        JsonType::Number => "a number",
        JsonType::Object => "a table",
        JsonType::String => "a string",
    }
}

/// Keeps a message readable: the validator repeats values, however long.
pub(super) fn cut(words: &str) -> String {
    if words.chars().count() <= MESSAGE_CHARS {
        return words.to_owned();
    }
    words.chars().take(MESSAGE_CHARS).chain(['…']).collect()
}
