//! From the text of the file to a [`Flow`], or everything that is wrong with it, each with its line.
//!
//! ```text
//! text ──toml──→ labels ──→ each node's keys, labels resolved ──→ check.rs: the graph as a whole
//! ```

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::check;
use crate::flow::{
    Branch, Choose, Collect, Flow, Kind, Menu, Miss, Node, NodeId, Patience, Prompt, Template,
    Transfer, Voicemail, Webhook, is_name,
};
use crate::near::did_you_mean;
use crate::page::{Keys, Page, Problem, Text};
use crate::words;

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
            page.wrong(line, format!("this is no TOML: {}", error.message()));
            return Err(page.problems());
        }
    };
    let flow = Reader::flow(&page, document.get_ref());
    match flow {
        Some(flow) if page.is_clean() => Ok(flow),
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
        };
        check::variables(&flow, page);
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

    fn menu(&mut self, keys: &mut Keys<'p>) -> Menu {
        let tables = keys.tables("branch");
        if tables.is_empty() {
            keys.wrong(
                keys.line,
                format!("has no branches: add [[{}.branch]]", keys.name),
            );
        }
        let mut branches: Vec<Branch> = Vec::new();
        for table in tables {
            let branch = self.branch(table, &branches);
            branches.push(branch);
        }
        let patience = self.patience(keys);
        Menu { branches, patience }
    }

    fn branch(&mut self, mut keys: Keys<'p>, before: &[Branch]) -> Branch {
        let mut digits = Vec::new();
        for text in keys.texts("digit") {
            let Some(digit) = one_key(&text.text) else {
                keys.wrong(
                    text.line,
                    format!("has {:?} as a digit: one of 0 to 9, `*`, `#`", text.text),
                );
                continue;
            };
            let taken = before
                .iter()
                .flat_map(|branch| &branch.digits)
                .chain(&digits);
            if taken.into_iter().any(|taken| *taken == digit) {
                keys.wrong(text.line, format!("takes the digit {digit} a second time"));
            }
            digits.push(digit);
        }
        let mut phrases = vec![Vec::new(); self.languages.len()];
        let mut written = vec![Vec::new(); self.languages.len()];
        let mut given = vec![false; self.languages.len()];
        let mut lines = keys.line;
        if let Some(value) = keys.value("words") {
            let lists = match value.get_ref() {
                DeValue::Table(_) => match keys.as_table("words", value) {
                    Some(mut by_language) => {
                        lines = by_language.line;
                        let lists = by_language.entries().into_iter();
                        let list = |(language, value): (Text, _)| {
                            (
                                vec![self.language(&language)],
                                by_language.as_texts(&language.text, value),
                            )
                        };
                        lists.map(list).collect()
                    }
                    None => Vec::new(),
                },
                // The same words in every language.
                _ => vec![(
                    (0..self.languages.len()).collect(),
                    keys.as_texts("words", value),
                )],
            };
            for (languages, texts) in lists {
                for at in languages {
                    given[at] = true;
                    for text in &texts {
                        let phrase = words::normalised(&text.text);
                        if phrase.is_empty() {
                            keys.wrong(
                                text.line,
                                format!("has a phrase without a word: {:?}", text.text),
                            );
                        }
                        let taken = before
                            .iter()
                            .flat_map(|branch: &Branch| &branch.phrases[at]);
                        if taken.chain(&phrases[at]).any(|taken| *taken == phrase) {
                            let language = &self.languages[at];
                            keys.wrong(
                                text.line,
                                format!("takes “{}” ({language}) a second time", text.text),
                            );
                        }
                        phrases[at].push(phrase);
                        written[at].push(text.text.clone());
                    }
                }
            }
            for (language, given) in self.languages.iter().zip(&given) {
                if !given {
                    keys.wrong(lines, format!("has no `words` in {language}"));
                }
            }
        }
        if digits.is_empty() && phrases.iter().all(Vec::is_empty) {
            keys.wrong(
                keys.line,
                "can never be taken: it has neither `digit` nor `words`",
            );
        }
        let to = self.way(&mut keys, "to", None);
        keys.finish();
        Branch {
            digits,
            phrases,
            written,
            to,
        }
    }

    /// `otherwise`, `silence`, `unclear` and `silence_ms`.
    fn patience(&mut self, keys: &mut Keys<'p>) -> Patience {
        let otherwise = self.way_if_any(keys, "otherwise");
        let silence_ms = keys.number("silence_ms", 500..=60_000, 0);
        let mut miss = |key| {
            let Some(mut table) = keys.table(key) else {
                return Miss {
                    limit: 3,
                    prompt: None,
                    repeat: true,
                    to: otherwise.unwrap_or_else(|| {
                        self.lost = true;
                        keys.wrong(
                            keys.line,
                            format!("leads nowhere on `{key}`: give it `otherwise`, where a caller goes who cannot go on"),
                        );
                        0
                    }),
                };
            };
            let prompt = self.prompt(&mut table);
            let repeat = table.flag("repeat", true);
            if !repeat && prompt.is_none() {
                table.wrong(
                    table.line,
                    "says nothing: `repeat = false` needs a `prompt`",
                );
            }
            let limit = table.number("limit", 1..=10, 3);
            let to = self.way(&mut table, "to", otherwise);
            table.finish();
            Miss {
                limit: u32::try_from(limit).unwrap_or(u32::MAX),
                prompt,
                repeat,
                to,
            }
        };
        let silence = miss("silence");
        let unclear = miss("unclear");
        Patience {
            silence,
            unclear,
            silence_ms,
        }
    }

    fn collect(&mut self, keys: &mut Keys<'p>) -> Collect {
        let into = variable(keys, "into", "the variable that the number goes into");
        let min = keys.number("min", 1..=DIGITS_MOST, 1);
        let max = keys.number("max", 1..=DIGITS_MOST, DIGITS_MOST);
        if min > max {
            keys.wrong(
                keys.line,
                format!("can never be done: `min` {min} is more than `max` {max}"),
            );
        }
        let confirm = match keys.value("confirm") {
            None => None,
            Some(value) => match value.get_ref() {
                DeValue::Boolean(false) => None,
                DeValue::Boolean(true) => Some(self.usual_confirm(keys, &into)),
                _ => {
                    let texts = self.texts("confirm", value, keys);
                    texts.map(asked)
                }
            },
        };
        Collect {
            into,
            min: usize::try_from(min).unwrap_or(usize::MAX),
            max: usize::try_from(max).unwrap_or(usize::MAX),
            terminator: terminator(keys),
            digit_ms: keys.number("digit_ms", 500..=30_000, 4000),
            confirm,
            next: self.way(keys, "next", None),
            patience: self.patience(keys),
        }
    }

    /// `confirm = true`.
    fn usual_confirm(&self, keys: &Keys<'_>, into: &str) -> Prompt {
        let text = |language: &String| match words::primary(language) {
            "en" => format!(
                "You said {{{into}:digits}}. Is that right? Say yes or no, or press 1 for yes, 2 for no."
            ),
            "es" => format!(
                "Ha dicho {{{into}:digits}}. ¿Es correcto? Diga sí o no, o marque 1 para sí, 2 para no."
            ),
            _ => {
                keys.wrong(
                    keys.line,
                    format!(
                        "needs the words of `confirm` in {language}: `true` is known in en and es"
                    ),
                );
                String::new()
            }
        };
        // Made of a name that has been checked.
        let read = |text: String| Template::read(&text).unwrap_or_default();
        asked(self.languages.iter().map(text).map(read).collect())
    }

    fn voicemail(&mut self, keys: &mut Keys<'p>) -> Voicemail {
        let next = self.way(keys, "next", None);
        Voicemail {
            into: variable(keys, "into", "the variable that the file's name goes into"),
            beep: keys.flag("beep", true),
            max_secs: keys.number("max_secs", 1..=600, 120),
            silence_ms: keys.number("silence_ms", 500..=30_000, 4000),
            terminator: terminator(keys),
            next,
            empty: self.way(keys, "empty", Some(next)),
        }
    }

    fn webhook(&mut self, keys: &mut Keys<'p>) -> Webhook {
        let url = keys.required("url", "where to send the call's facts");
        let url = url.map_or(String::new(), |url| {
            if let Err(why) = check::url(&url.text) {
                keys.wrong(url.line, format!("has a `url` that {why}"));
            }
            url.text
        });
        let sets = keys.texts("sets");
        for name in &sets {
            if !is_name(&name.text) {
                keys.wrong(
                    name.line,
                    format!("sets {:?}, which is no name of a variable", name.text),
                );
            }
        }
        let may_go = keys.texts("may_go");
        Webhook {
            url,
            timeout_ms: keys.number("timeout_ms", 100..=20_000, 5000),
            sets: sets.into_iter().map(|name| name.text).collect(),
            may_go: may_go
                .iter()
                .map(|label| self.find(label, &format!("{}.may_go", keys.name)))
                .collect(),
            next: self.way(keys, "next", None),
            error: self.way(keys, "error", None),
        }
    }

    fn transfer(&mut self, keys: &mut Keys<'p>) -> Transfer {
        let to = template(keys, "to", "the number to connect to");
        let otherwise = self.way_if_any(keys, "otherwise");
        let mut way = |key| self.way(keys, key, otherwise);
        Transfer {
            to,
            completed: way("completed"),
            busy: way("busy"),
            no_answer: way("no_answer"),
            failed: way("failed"),
        }
    }

    fn choose(&mut self, keys: &mut Keys<'p>) -> Choose {
        let variable = variable(keys, "variable", "the variable that decides");
        let mut cases = Vec::new();
        if let Some(mut table) = keys.table("cases") {
            for (value, label) in table.entries() {
                if let Some(label) = table.as_text(&value.text, label) {
                    let what = format!("{}.{}", table.name, value.text);
                    cases.push((value.text, self.find(&label, &what)));
                }
            }
        }
        if cases.is_empty() {
            keys.wrong(
                keys.line,
                "has no `cases`: cases = { \"value\" = \"label\" }",
            );
        }
        Choose {
            variable,
            cases,
            otherwise: self.way(keys, "otherwise", None),
        }
    }
}

/// A question of the flow's own.
fn asked(texts: Vec<Template>) -> Prompt {
    Prompt {
        texts,
        firm: false,
        each_language: false,
    }
}

fn languages(root: &mut Keys<'_>) -> Vec<String> {
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

fn voices(root: &mut Keys<'_>, languages: &[String]) -> Vec<Option<String>> {
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

fn variables(root: &mut Keys<'_>) -> BTreeMap<String, String> {
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

fn values(keys: &mut Keys<'_>) -> Vec<(String, Template)> {
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

fn variable(keys: &mut Keys<'_>, key: &'static str, why: &str) -> String {
    let Some(name) = keys.required(key, why) else {
        return String::new();
    };
    if key == "into" {
        check::own_name(&name, keys);
    }
    name.text
}

fn template(keys: &mut Keys<'_>, key: &'static str, why: &str) -> Template {
    match keys.required(key, why) {
        Some(text) => read_template(&text, keys),
        None => Template::default(),
    }
}

fn read_template(text: &Text, keys: &Keys<'_>) -> Template {
    Template::read(&text.text).unwrap_or_else(|why| {
        keys.wrong(text.line, format!("{why}: {:?}", text.text));
        Template::default()
    })
}

/// The key that ends a number or a message: `#` unless it says another, or none.
fn terminator(keys: &mut Keys<'_>) -> Option<char> {
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

fn one_key(text: &str) -> Option<char> {
    let mut keys = text.chars();
    let key = keys
        .next()
        .filter(|key| key.is_ascii_digit() || matches!(key, '*' | '#'))?;
    keys.next().is_none().then_some(key)
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
