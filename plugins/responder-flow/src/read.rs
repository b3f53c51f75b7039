//! From the text of the file to a [`Flow`], or everything that is wrong with it, each with its line.
//!
//! ```text
//! text ──toml──→ labels ──→ each node's keys, labels resolved ──→ check.rs: the graph as a whole
//! ```

mod kinds;
mod leaves;
mod menu;
mod top;

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::check;
use crate::flow::{Flow, Kind, Node, NodeId, Prompt, Template, is_name};
use crate::near::did_you_mean;
use crate::page::{Keys, Page, Problem, Text};
use leaves::{template, values};
use top::{languages, place, variables, voices};

/// Most nodes of a flow.
const NODES_MOST: usize = 500;
/// Longest number that is collected.
const DIGITS_MOST: u64 = 32;

/// The kinds of node, each a table of tables in the file.
const KINDS: [&str; 12] = [
    "say",
    "menu",
    "collect",
    "voicemail",
    "webhook",
    "transfer",
    "keys",
    "set",
    "note",
    "language",
    "choose",
    "hang_up",
];

/// Reads a flow.
///
/// # Errors
/// Every mistake in it, in the order of the lines.
pub(crate) fn read(text: &str) -> Result<Flow, Vec<Problem>> {
    let page = Page::new(text);
    let document = match DeTable::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let line = page.line(error.span().map_or(0, |span| span.start));
            let hint = match text.trim() {
                name if !name.contains('\n') && name.ends_with(".toml") => {
                    format!("; for the text of that file write flow = \"${{file:{name}}}\"")
                }
                _ => String::new(),
            };
            page.wrong(line, format!("this is no TOML: {}{hint}", error.message()));
            return Err(page.problems());
        }
    };
    let flow = Reader::flow(&page, document.get_ref());
    match flow {
        Some(flow) if page.mistakes() == 0 => Ok(flow),
        _ => Err(page.problems()),
    }
}

/// A node's place in the file.
struct Place<'p> {
    label: Text,
    kind: &'static str,
    keys: Keys<'p>,
}

struct Reader<'p> {
    page: &'p Page<'p>,
    languages: Vec<String>,
    labels: BTreeMap<String, NodeId>,
    /// A label did not lead anywhere: what would follow from that need not be told.
    lost: bool,
}

impl<'p> Reader<'p> {
    fn flow(page: &'p Page<'p>, document: &'p DeTable<'p>) -> Option<Flow> {
        let mut root = Keys::root(page, document);
        let languages = languages(&mut root);
        let start = root.required("start", "the label that a call begins at");
        let patience = root.number("patience", 1..=100, 12);
        let place = place(&mut root);
        let voices = voices(&mut root, &languages);
        let variables = variables(&mut root);
        let mut places = Vec::new();
        for kind in KINDS {
            let Some(mut nodes) = root.table(kind) else {
                continue;
            };
            for (label, value) in nodes.entries() {
                if let Some(mut keys) = nodes.as_table(&label.text, value) {
                    keys.line = label.line;
                    places.push(Place { label, kind, keys });
                }
            }
        }
        root.finish();
        places.sort_by_key(|place| place.label.line);
        if places.is_empty() {
            page.wrong(
                1,
                "the flow has no nodes: begin with [say.hello] or [menu.main]",
            );
            return None;
        }
        if places.len() > NODES_MOST {
            page.wrong(
                1,
                format!("the flow has {} nodes; {NODES_MOST} at most", places.len()),
            );
            return None;
        }
        let mut lost = false;
        let mut labels = BTreeMap::new();
        let mut lines = BTreeMap::new();
        for (at, Place { label, kind, .. }) in places.iter().enumerate() {
            if !is_name(&label.text) {
                let text = format!(
                    "{kind}.{:?} is no label: letters, digits, `_` and `-`",
                    label.text
                );
                page.wrong(label.line, text);
            }
            labels.insert(label.text.clone(), at);
            if let Some(first) = lines.insert(label.text.clone(), label.line) {
                let text = format!("the label `{}` stands at line {first} already", label.text);
                lost = true;
                page.wrong(label.line, text);
            }
        }
        let mut reader = Reader {
            page,
            languages,
            labels,
            lost,
        };
        let start = match start {
            Some(start) => reader.find(&start, "start"),
            None => 0,
        };
        let nodes: Vec<Node> = places.into_iter().map(|place| reader.node(place)).collect();
        let flow = Flow {
            languages: reader.languages,
            voices,
            variables,
            start,
            nodes,
            patience: u32::try_from(patience).unwrap_or(u32::MAX),
            place,
        };
        check::variables(&flow, page);
        check::numbers(&flow, page);
        if !reader.lost {
            check::graph(&flow, page);
        }
        Some(flow)
    }

    /// The node of this label.
    fn find(&mut self, label: &Text, what: &str) -> NodeId {
        if let Some(node) = self.labels.get(&label.text) {
            return *node;
        }
        self.lost = true;
        let hint = did_you_mean(&label.text, self.labels.keys().map(String::as_str));
        let text = format!(
            "{what} leads to `{}`, and there is no such label{hint}",
            label.text
        );
        self.page.wrong(label.line, text);
        0
    }

    /// Where a key leads; without it, where `or` does; without either it is a dead end.
    fn way(&mut self, keys: &mut Keys<'p>, key: &'static str, or: Option<NodeId>) -> NodeId {
        if let Some(label) = keys.text(key) {
            return self.find(&label, &format!("{}.{key}", keys.name));
        }
        or.unwrap_or_else(|| {
            if !keys.has(key) {
                keys.wrong(keys.line, format!("is a dead end: it needs `{key}`"));
            }
            self.lost = true;
            0
        })
    }

    fn way_if_any(&mut self, keys: &mut Keys<'p>, key: &'static str) -> Option<NodeId> {
        let label = keys.text(key)?;
        Some(self.find(&label, &format!("{}.{key}", keys.name)))
    }

    fn node(
        &mut self,
        Place {
            label,
            kind,
            mut keys,
        }: Place<'p>,
    ) -> Node {
        let prompt = self.prompt(&mut keys);
        let kind = match kind {
            "menu" => Kind::Menu(self.menu(&mut keys)),
            "collect" => Kind::Collect(self.collect(&mut keys)),
            "voicemail" => Kind::Voicemail(self.voicemail(&mut keys)),
            "webhook" => Kind::Webhook(self.webhook(&mut keys)),
            "transfer" => Kind::Transfer(self.transfer(&mut keys)),
            "keys" => Kind::Keys {
                digits: template(&mut keys, "digits", "which keys to press"),
                next: self.way(&mut keys, "next", None),
            },
            "set" => Kind::Set {
                values: values(&mut keys),
                next: self.way(&mut keys, "next", None),
            },
            "note" => Kind::Note {
                text: template(&mut keys, "text", "what to write down"),
                next: self.way(&mut keys, "next", None),
            },
            "language" => {
                let wanted = keys.required("to", "one of `languages`");
                Kind::Language {
                    language: wanted.map_or(0, |wanted| self.language(&wanted)),
                    next: self.way(&mut keys, "next", None),
                }
            }
            "choose" => Kind::Choose(self.choose(&mut keys)),
            "hang_up" => Kind::HangUp,
            _ => {
                if prompt.is_none() {
                    keys.wrong(keys.line, "needs `prompt`: what to say");
                }
                Kind::Say {
                    next: self.way(&mut keys, "next", None),
                }
            }
        };
        if kind.listens() && prompt.is_none() {
            keys.wrong(keys.line, "needs `prompt`: what the caller is asked");
        }
        keys.finish();
        Node {
            label: label.text,
            line: label.line,
            prompt,
            kind,
        }
    }

    fn language(&self, wanted: &Text) -> usize {
        let found = self
            .languages
            .iter()
            .position(|language| *language == wanted.text);
        found.unwrap_or_else(|| {
            let hint = did_you_mean(&wanted.text, self.languages.iter().map(String::as_str));
            let text = format!("`{}` is none of the flow's `languages`{hint}", wanted.text);
            self.page.wrong(wanted.line, text);
            0
        })
    }

    /// `prompt`, a text or one for each language, `firm` and `each_language`.
    fn prompt(&mut self, keys: &mut Keys<'p>) -> Option<Prompt> {
        let firm = keys.flag("firm", false);
        let each_language = keys.flag("each_language", false);
        let value = keys.value("prompt")?;
        self.texts("prompt", value, keys).map(|texts| Prompt {
            texts,
            firm,
            each_language,
        })
    }

    fn texts(
        &self,
        key: &'static str,
        value: &'p Spanned<DeValue<'p>>,
        keys: &Keys<'p>,
    ) -> Option<Vec<Template>> {
        let read = |text: &Text| {
            if text.text.trim().is_empty() {
                keys.wrong(text.line, format!("has an empty `{key}`"));
            }
            Template::read(&text.text).unwrap_or_else(|why| {
                keys.wrong(text.line, format!("{why}: {:?}", text.text));
                Template::default()
            })
        };
        if let DeValue::String(_) = value.get_ref() {
            let text = keys.as_text(key, value)?;
            if self.languages.len() > 1 {
                let all = self.languages.join(", ");
                keys.wrong(
                    text.line,
                    format!("has one `{key}` for several languages: write one for each of {all}, as in {key}.{} = …", self.languages[0]),
                );
            }
            let text = read(&text);
            return Some(self.languages.iter().map(|_| text.clone()).collect());
        }
        let mut by_language = keys.as_table(key, value)?;
        let mut texts = vec![None; self.languages.len()];
        for (language, value) in by_language.entries() {
            let at = self.language(&language);
            if let Some(text) = by_language.as_text(&language.text, value) {
                texts[at] = Some(read(&text));
            }
        }
        for (language, text) in self.languages.iter().zip(&texts) {
            if text.is_none() {
                keys.wrong(by_language.line, format!("has no `{key}` in {language}"));
            }
        }
        Some(texts.into_iter().map(Option::unwrap_or_default).collect())
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
