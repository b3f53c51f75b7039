//! The keys above the nodes: languages, their voices, and what the variables are at the start.

use std::collections::BTreeMap;

use crate::check;
use crate::flow::is_name;
use crate::near::did_you_mean;
use crate::page::Keys;

/// Longest name for `resume`: with what stands before it no longer than a variable's name may be.
const RESUME_BYTES: usize = 40;

pub(super) fn languages(root: &mut Keys<'_>) -> Vec<String> {
    let mut languages: Vec<String> = Vec::new();
    for language in root.texts("languages") {
        let sign = |sign: char| sign.is_ascii_alphanumeric() || sign == '-';
        if language.text.is_empty() || !language.text.chars().all(sign) {
            root.wrong(
                language.line,
                format!("has {:?} in `languages`: as in en or es-MX", language.text),
            );
        } else if languages.contains(&language.text) {
            root.wrong(
                language.line,
                format!("names {} twice in `languages`", language.text),
            );
        } else {
            languages.push(language.text);
        }
    }
    if languages.is_empty() {
        if !root.has("languages") {
            root.wrong(1, "needs `languages`, as in languages = [\"en\"]");
        }
        languages.push("en".to_owned());
    }
    languages
}

pub(super) fn voices(root: &mut Keys<'_>, languages: &[String]) -> Vec<Option<String>> {
    let mut voices = vec![None; languages.len()];
    if let Some(mut table) = root.table("voices") {
        for (language, value) in table.entries() {
            let voice = table.as_text(&language.text, value);
            match languages.iter().position(|known| *known == language.text) {
                Some(at) => voices[at] = voice.map(|voice| voice.text),
                None => {
                    let hint = did_you_mean(&language.text, languages.iter().map(String::as_str));
                    let text = format!(
                        "names a voice for `{}`, none of the flow's `languages`{hint}",
                        language.text
                    );
                    table.wrong(language.line, text);
                }
            }
        }
    }
    voices
}

pub(super) fn variables(root: &mut Keys<'_>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    if let Some(mut table) = root.table("variables") {
        for (name, value) in table.entries() {
            check::own_name(&name, &table);
            if let Some(value) = table.as_text(&name.text, value) {
                variables.insert(name.text, value.text);
            }
        }
    }
    variables
}

/// The variable for `resume`: `flow.` and the name that is told there.
pub(super) fn place(root: &mut Keys<'_>) -> Option<String> {
    let name = root.text("resume")?;
    if name.text.contains('.') || name.text.len() > RESUME_BYTES || !is_name(&name.text) {
        let text = format!(
            "has {:?} as `resume`: up to {RESUME_BYTES} letters, digits, `_` and `-`",
            name.text
        );
        root.wrong(name.line, text);
    }
    Some(format!("{}{}", check::PLACE, name.text))
}
