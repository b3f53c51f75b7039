//! Single values: names of variables, texts with variables in them, keys of a telephone.

use crate::check;
use crate::flow::Template;
use crate::page::{Keys, Text};

pub(super) fn values(keys: &mut Keys<'_>) -> Vec<(String, Template)> {
    let mut values = Vec::new();
    if let Some(mut table) = keys.table("values") {
        for (name, value) in table.entries() {
            check::own_name(&name, &table);
            if let Some(text) = table.as_text(&name.text, value) {
                values.push((name.text, read_template(&text, &table)));
            }
        }
    }
    if values.is_empty() {
        keys.wrong(keys.line, "sets nothing: values = { name = \"value\" }");
    }
    values
}

pub(super) fn variable(keys: &mut Keys<'_>, key: &'static str, why: &str) -> String {
    let Some(name) = keys.required(key, why) else {
        return String::new();
    };
    if key == "into" {
        check::own_name(&name, keys);
    }
    name.text
}

pub(super) fn template(keys: &mut Keys<'_>, key: &'static str, why: &str) -> Template {
    match keys.required(key, why) {
        Some(text) => read_template(&text, keys),
        None => Template::default(),
    }
}

pub(super) fn read_template(text: &Text, keys: &Keys<'_>) -> Template {
    Template::read(&text.text).unwrap_or_else(|why| {
        keys.wrong(text.line, format!("{why}: {:?}", text.text));
        Template::default()
    })
}

/// The key that ends a number or a message: `#` unless it says another, or none.
pub(super) fn terminator(keys: &mut Keys<'_>) -> Option<char> {
    let Some(text) = keys.text("terminator") else {
        return Some('#');
    };
    if text.text.is_empty() {
        return None;
    }
    let key = one_key(&text.text).filter(|key| matches!(key, '#' | '*'));
    if key.is_none() {
        keys.wrong(
            text.line,
            "has a `terminator` that is neither `#` nor `*` nor empty",
        );
    }
    key
}

pub(super) fn one_key(text: &str) -> Option<char> {
    let mut keys = text.chars();
    let key = keys
        .next()
        .filter(|key| key.is_ascii_digit() || matches!(key, '*' | '#'))?;
    keys.next().is_none().then_some(key)
}
