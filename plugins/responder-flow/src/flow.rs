//! A flow as it is walked: nodes by number, everything resolved, nothing left to go wrong but the caller.
//!
//! What the file looks like is `read.rs`; what a flow must be to be taken is `check.rs`.

use std::collections::BTreeMap;

use voice_plugin::abi::limit;

/// A place in [`Flow::nodes`].
pub(crate) type NodeId = usize;

/// A whole flow.
#[derive(Debug)]
pub(crate) struct Flow {
    /// At least one; the first is the one a call begins with, unless the agent's language is another of them.
    pub(crate) languages: Vec<String>,
    /// The voice of each language, if the flow names one.
    pub(crate) voices: Vec<Option<String>>,
    /// What the variables are at the start.
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) start: NodeId,
    pub(crate) nodes: Vec<Node>,
    /// So often in a row nobody may speak or be understood, across all nodes; then the call ends.
    pub(crate) patience: u32,
    /// The variable that keeps where the caller is, if a flow that comes to the call again is to go on there.
    pub(crate) place: Option<String>,
}

/// One step.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) label: String,
    /// Where it stands in the file.
    pub(crate) line: usize,
    /// Said on the way in.
    pub(crate) prompt: Option<Prompt>,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Say {
        next: NodeId,
    },
    Menu(Menu),
    Collect(Collect),
    Voicemail(Voicemail),
    Webhook(Webhook),
    Transfer(Transfer),
    Keys {
        digits: Template,
        next: NodeId,
    },
    Set {
        values: Vec<(String, Template)>,
        next: NodeId,
    },
    Note {
        text: Template,
        next: NodeId,
    },
    Language {
        language: usize,
        next: NodeId,
    },
    Choose(Choose),
    HangUp,
}

/// The caller chooses.
#[derive(Debug)]
pub(crate) struct Menu {
    pub(crate) branches: Vec<Branch>,
    pub(crate) patience: Patience,
}

#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) digits: Vec<char>,
    /// By language: phrases of normalised words.
    pub(crate) phrases: Vec<Vec<Vec<String>>>,
    /// By language, as written, for the drawing.
    pub(crate) written: Vec<Vec<String>>,
    pub(crate) to: NodeId,
}

/// What happens when the caller says nothing, or nothing that is understood.
#[derive(Debug)]
pub(crate) struct Patience {
    pub(crate) silence: Miss,
    pub(crate) unclear: Miss,
    /// How long nobody speaks before it counts; 0: as the agent says.
    pub(crate) silence_ms: u64,
}

#[derive(Debug)]
pub(crate) struct Miss {
    /// The miss with this number leads to `to`; those before it are asked again.
    pub(crate) limit: u32,
    pub(crate) prompt: Option<Prompt>,
    /// Whether the node's own prompt is said again behind it.
    pub(crate) repeat: bool,
    pub(crate) to: NodeId,
}

/// A number, keyed or spoken.
#[derive(Debug)]
pub(crate) struct Collect {
    pub(crate) into: String,
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) terminator: Option<char>,
    /// After a digit, so long without another ends the number.
    pub(crate) digit_ms: u64,
    /// The question whether it was heard right.
    pub(crate) confirm: Option<Prompt>,
    pub(crate) next: NodeId,
    pub(crate) patience: Patience,
}

/// The caller leaves a message.
#[derive(Debug)]
pub(crate) struct Voicemail {
    pub(crate) into: String,
    pub(crate) beep: bool,
    pub(crate) max_secs: u64,
    pub(crate) silence_ms: u64,
    pub(crate) terminator: Option<char>,
    pub(crate) next: NodeId,
    /// He left none.
    pub(crate) empty: NodeId,
}

/// Somebody's HTTP server is told and asked.
#[derive(Debug)]
pub(crate) struct Webhook {
    pub(crate) url: String,
    pub(crate) timeout_ms: u64,
    /// Variables that its answer may set.
    pub(crate) sets: Vec<String>,
    /// Labels that its answer may name as `next`.
    pub(crate) may_go: Vec<NodeId>,
    pub(crate) next: NodeId,
    pub(crate) error: NodeId,
}

#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) to: Template,
    pub(crate) completed: NodeId,
    pub(crate) busy: NodeId,
    pub(crate) no_answer: NodeId,
    pub(crate) failed: NodeId,
}

/// A variable decides.
#[derive(Debug)]
pub(crate) struct Choose {
    pub(crate) variable: String,
    pub(crate) cases: Vec<(String, NodeId)>,
    pub(crate) otherwise: NodeId,
}

/// What is said, in every language of the flow.
#[derive(Debug, Clone)]
pub(crate) struct Prompt {
    pub(crate) texts: Vec<Template>,
    /// The caller cannot interrupt it.
    pub(crate) firm: bool,
    /// Said in each language, one after another, each with its voice.
    pub(crate) each_language: bool,
}

/// Words with variables in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Template(pub(crate) Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    /// `{name}`, or with `spaced` `{name:digits}`: one sign after another, as a number is read out.
    Variable {
        name: String,
        spaced: bool,
    },
}

/// Longest text that comes out of a template, and longest note that the host keeps; what a variable adds beyond it is cut.
const FILLED_BYTES: usize = limit::NOTE_BYTES;
/// Most keys that the host presses at once.
const KEYS_MOST: usize = 64;

impl Template {
    /// Reads `{name}`, `{name:digits}` and the doubled braces that stand for themselves.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn read(text: &str) -> Result<Template, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text.chars().peekable();
        while let Some(letter) = rest.next() {
            match letter {
                '{' | '}' if rest.peek() == Some(&letter) => {
                    rest.next();
                    plain.push(letter);
                }
                '}' => return Err("has a `}` without a `{`; `}}` says one".into()),
                '{' => {
                    let mut inner = String::new();
                    loop {
                        match rest.next() {
                            Some('}') => break,
                            Some(letter) => inner.push(letter),
                            None => return Err("has a `{` without a `}`; `{{` says one".into()),
                        }
                    }
                    let (name, form) = match inner.split_once(':') {
                        Some((name, form)) => (name, Some(form)),
                        None => (inner.as_str(), None),
                    };
                    let spaced = match form {
                        None => false,
                        Some("digits") => true,
                        Some(other) => {
                            return Err(format!(
                                "asks for `{{{name}:{other}}}`: the only form is `{{{name}:digits}}`"
                            ));
                        }
                    };
                    if !is_name(name) {
                        return Err(format!("has `{{{inner}}}`, which is no name of a variable"));
                    }
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    let name = name.to_owned();
                    pieces.push(Piece::Variable { name, spaced });
                }
                letter => plain.push(letter),
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Template(pieces))
    }

    /// The names of the variables in it.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Variable { name, .. } => Some(name.as_str()),
        })
    }

    /// As it was written, more or less.
    pub(crate) fn written(&self) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(words) => words.clone(),
            Piece::Variable {
                name,
                spaced: false,
            } => format!("{{{name}}}"),
            Piece::Variable { name, spaced: true } => format!("{{{name}:digits}}"),
        };
        self.0.iter().map(piece).collect()
    }

    /// With the variables filled in; one without a value is nothing.
    pub(crate) fn filled(&self, variables: &BTreeMap<String, String>) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(words) => text.push_str(words),
                Piece::Variable { name, spaced } => {
                    let value = variables.get(name).map_or("", String::as_str);
                    if *spaced {
                        let signs: Vec<String> = value.chars().map(String::from).collect();
                        text.push_str(&signs.join(" "));
                    } else {
                        text.push_str(value);
                    }
                }
            }
        }
        let mut end = text.len().min(FILLED_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text
    }
}

/// Letters, digits, `_`, `-` and `.`, and something at all.
pub(crate) fn is_name(name: &str) -> bool {
    let sign = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '_' | '-' | '.');
    !name.is_empty() && name.len() <= 64 && name.chars().all(sign)
}

/// Whether it can be pressed on the line; `w` waits half a second.
pub(crate) fn is_key(key: char) -> bool {
    matches!(key, '0'..='9' | '*' | '#' | 'A'..='D' | 'w')
}

/// What of a text can be pressed on the line.
pub(crate) fn keys_of(text: &str) -> String {
    let keys = text.chars().filter(|key| is_key(*key));
    keys.take(KEYS_MOST).collect()
}

impl Kind {
    /// The word for it in the file.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Kind::Say { .. } => "say",
            Kind::Menu(_) => "menu",
            Kind::Collect(_) => "collect",
            Kind::Voicemail(_) => "voicemail",
            Kind::Webhook(_) => "webhook",
            Kind::Transfer(_) => "transfer",
            Kind::Keys { .. } => "keys",
            Kind::Set { .. } => "set",
            Kind::Note { .. } => "note",
            Kind::Language { .. } => "language",
            Kind::Choose(_) => "choose",
            Kind::HangUp => "hang_up",
        }
    }

    /// Whether it waits for the caller. Others lead on by themselves.
    pub(crate) fn listens(&self) -> bool {
        matches!(self, Kind::Menu(_) | Kind::Collect(_) | Kind::Voicemail(_))
    }

    /// Where it leads, each with the reason in words.
    pub(crate) fn ways(&self, languages: &[String]) -> Vec<(String, NodeId)> {
        let plain = |next: &NodeId| vec![(String::new(), *next)];
        match self {
            Kind::Say { next }
            | Kind::Keys { next, .. }
            | Kind::Set { next, .. }
            | Kind::Note { next, .. }
            | Kind::Language { next, .. } => plain(next),
            Kind::Menu(menu) => {
                let branches = menu.branches.iter();
                let mut ways: Vec<(String, NodeId)> = branches
                    .map(|branch| (branch.in_words(languages), branch.to))
                    .collect();
                ways.extend(menu.patience.ways());
                ways
            }
            Kind::Collect(collect) => {
                let digits = if collect.min == collect.max {
                    format!("{} digits", collect.min)
                } else {
                    format!("{} to {} digits", collect.min, collect.max)
                };
                let confirmed = if collect.confirm.is_some() {
                    ", confirmed"
                } else {
                    ""
                };
                let mut ways = vec![(format!("{digits}{confirmed}"), collect.next)];
                ways.extend(collect.patience.ways());
                ways
            }
            Kind::Voicemail(voicemail) => vec![
                ("recorded".into(), voicemail.next),
                ("nothing said".into(), voicemail.empty),
            ],
            Kind::Webhook(webhook) => {
                let mut ways = vec![("answered".to_owned(), webhook.next)];
                ways.extend(
                    webhook
                        .may_go
                        .iter()
                        .map(|to| ("if it says so".to_owned(), *to)),
                );
                ways.push(("error".into(), webhook.error));
                ways
            }
            Kind::Transfer(transfer) => vec![
                ("completed".into(), transfer.completed),
                ("busy".into(), transfer.busy),
                ("no answer".into(), transfer.no_answer),
                ("failed".into(), transfer.failed),
            ],
            Kind::Choose(choose) => {
                let cases = choose.cases.iter();
                let mut ways: Vec<(String, NodeId)> = cases
                    .map(|(value, to)| (format!("= {value}"), *to))
                    .collect();
                ways.push(("otherwise".into(), choose.otherwise));
                ways
            }
            Kind::HangUp => Vec::new(),
        }
    }
}

impl Patience {
    fn ways(&self) -> [(String, NodeId); 2] {
        let miss = |what: &str, miss: &Miss| (format!("{what} ×{}", miss.limit), miss.to);
        [
            miss("silence", &self.silence),
            miss("not understood", &self.unclear),
        ]
    }
}

impl Branch {
    fn in_words(&self, languages: &[String]) -> String {
        let mut parts: Vec<String> = self.digits.iter().map(char::to_string).collect();
        for (language, phrases) in languages.iter().zip(&self.written) {
            let quoted: Vec<String> = phrases.iter().map(|phrase| format!("“{phrase}”")).collect();
            if !quoted.is_empty() {
                parts.push(format!("{language} {}", quoted.join(" ")));
            }
        }
        parts.join(", ")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_and_read_out_sign_by_sign() {
        let variables = BTreeMap::from([("n".to_owned(), "123".to_owned())]);
        for (text, expected) in [
            ("plain", "plain"),
            ("you said {n}.", "you said 123."),
            ("you said {n:digits}.", "you said 1 2 3."),
            ("{absent}!", "!"),
            ("{{n}}", "{n}"),
        ] {
            assert_eq!(Template::read(text).unwrap().filled(&variables), expected);
        }
        let long = BTreeMap::from([("n".to_owned(), "é".repeat(5000))]);
        assert_eq!(
            Template::read("x{n}").unwrap().filled(&long).len(),
            FILLED_BYTES - 1
        );
    }

    #[test]
    fn only_what_the_host_takes_is_pressed() {
        assert_eq!(keys_of("pin 12-3#, wait w A"), "123#wwA");
        assert_eq!(keys_of(&"1".repeat(100)).len(), KEYS_MOST);
    }

    #[test]
    fn a_broken_template_is_refused_in_words() {
        for (text, why) in [
            ("a {", "has a `{` without a `}`; `{{` says one"),
            ("a }", "has a `}` without a `{`; `}}` says one"),
            ("{}", "has `{}`, which is no name of a variable"),
            ("{a b}", "has `{a b}`, which is no name of a variable"),
            (
                "{a:words}",
                "asks for `{a:words}`: the only form is `{a:digits}`",
            ),
        ] {
            assert_eq!(Template::read(text).unwrap_err(), why);
        }
    }
}
