//! One caller's way through a flow. Pure: no clock, no socket, no file; what happened comes in, what to do comes out.
//!
//! ```text
//! enter ──→ nodes that lead on by themselves: said, set, noted ──→ one that waits ──→ hears(what happened) ──→ …
//!                                          bounded: check.rs lets no way round without listening through
//! ```
//!
//! Waiting is for the caller (menu, collect, voicemail), for a webhook's answer, or for the call to come back from a
//! transfer. Misses are counted per node, and those in a row across all nodes, so that every loop ends.

mod asked;

use std::collections::BTreeMap;
use std::sync::Arc;

use voice_plugin::abi::limit;
use voice_plugin::dial::{DIALABLE, is_dialable};

use crate::flow::{Collect, Flow, Kind, Menu, Node, NodeId, Patience, Prompt, keys_of};
use crate::words;

/// Nodes walked through in one call; a caller who presses keys for hours is thanked and let go.
const STEPS_MOST: u32 = 10_000;
/// Longest value of a variable; more of it is cut.
const VALUE_BYTES: usize = limit::VALUE_BYTES;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The caller spoke; his words, if anybody writes them down. Empty: nobody understood them.
    Spoke(Option<String>),
    /// He pressed a key.
    Digit(char),
    /// Nobody spoke for as long as was asked.
    Silence,
    /// The call is back from a transfer, with how that went in the carrier's word, or from keys that were pressed.
    Returned(String),
    /// A webhook answered, or why not.
    Answered(Result<Answer, String>),
    /// A message is over: the file's name, or `None` if there was nothing in it.
    Recorded(Option<String>),
}

/// What a webhook says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) set: BTreeMap<String, String>,
    pub(crate) next: Option<String>,
}

/// What to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Say {
        text: String,
        firm: bool,
        /// Every caller hears the same.
        fixed: bool,
    },
    /// One of the configuration's voices speaks from now on.
    Voice(String),
    Language(String),
    /// The next silence comes after so long; 0: as the agent says.
    SilenceAfter(u64),
    Set {
        name: String,
        value: String,
    },
    Note(String),
    Transfer(String),
    SendDigits(String),
    /// Ask this node's webhook; to be answered with [`Input::Answered`].
    Ask(NodeId),
    /// Record what the caller says, with this node's bounds; to be answered with [`Input::Recorded`].
    Record(NodeId),
    HangUp,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    Caller,
    /// "You said 1 2 3, is that right?"
    Confirmation,
    Recording,
    Webhook,
    Return,
    /// The call is being ended.
    Nothing,
}

/// A caller's way.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    flow: Arc<Flow>,
    at: NodeId,
    waits: Waits,
    language: usize,
    variables: BTreeMap<String, String>,
    /// The number as far as it has come.
    digits: String,
    silences: u32,
    unclears: u32,
    /// Misses in a row, across all nodes.
    in_a_row: u32,
    steps: u32,
    /// What was said last was not heard: the caller began to speak before it.
    unheard: bool,
    out: Vec<Action>,
}

impl Walk {
    /// At the flow's start, in the agent's language if the flow has it. `given` are the call's own variables.
    pub(crate) fn new(flow: Arc<Flow>, language: &str, given: BTreeMap<String, String>) -> Walk {
        let languages = flow.languages.iter();
        let exact = flow.languages.iter().position(|known| known == language);
        let near = || {
            languages
                .clone()
                .position(|known| words::primary(known) == words::primary(language))
        };
        let language = exact.or_else(near).unwrap_or(0);
        let mut variables = flow.variables.clone();
        variables.extend(given);
        let mut walk = Walk {
            at: flow.start,
            flow,
            waits: Waits::Nothing,
            language,
            variables,
            digits: String::new(),
            silences: 0,
            unclears: 0,
            in_a_row: 0,
            steps: 0,
            unheard: false,
            out: Vec::new(),
        };
        walk.know("language", walk.flow.languages[language].clone());
        walk
    }

    /// The call has begun.
    pub(crate) fn enter(&mut self) -> Vec<Action> {
        self.speak(self.language);
        self.go(self.flow.start);
        std::mem::take(&mut self.out)
    }

    /// The flow comes to a call in which a flow of its name was before: it goes on at the menu or number where the caller was
    /// asked something, if that is still there. What he says next is the answer.
    pub(crate) fn resume(&mut self) -> bool {
        let flow = Arc::clone(&self.flow);
        let kept = flow
            .place
            .as_ref()
            .and_then(|place| self.variables.get(place));
        let asks = |node: &Node| matches!(node.kind, Kind::Menu(_) | Kind::Collect(_));
        let mut nodes = flow.nodes.iter();
        let at = nodes.position(|node| Some(&node.label) == kept && asks(node));
        if let Some(at) = at {
            self.at = at;
            self.waits = Waits::Caller;
        }
        at.is_some()
    }

    /// Something happened.
    pub(crate) fn hears(&mut self, input: Input) -> Vec<Action> {
        let unheard = std::mem::take(&mut self.unheard);
        let flow = Arc::clone(&self.flow);
        match (&flow.nodes[self.at].kind, self.waits) {
            (Kind::Menu(menu), Waits::Caller) => self.menu(menu, input, unheard),
            (Kind::Collect(collect), Waits::Caller) => self.collect(collect, input, unheard),
            (Kind::Collect(collect), Waits::Confirmation) => self.confirm(collect, input, unheard),
            (Kind::Voicemail(voicemail), Waits::Recording) => {
                if let Input::Recorded(file) = input {
                    let to = match &file {
                        Some(_) => voicemail.next,
                        None => voicemail.empty,
                    };
                    match file {
                        // The record has had it since his first word, and has none of a message without a word.
                        Some(file) => {
                            self.in_a_row = 0;
                            self.know(&voicemail.into, file);
                        }
                        None => {
                            self.in_a_row += 1;
                            self.know(&voicemail.into, String::new());
                        }
                    }
                    self.go_on(to);
                }
            }
            (Kind::Webhook(webhook), Waits::Webhook) => match input {
                Input::Answered(Ok(answer)) => {
                    for name in &webhook.sets {
                        if let Some(value) = answer.set.get(name) {
                            self.set(name, value.clone());
                        }
                    }
                    let named =
                        |to: &&NodeId| Some(&flow.nodes[**to].label) == answer.next.as_ref();
                    let may_go = webhook.may_go.iter().find(named).copied();
                    match answer.next {
                        Some(next)
                            if may_go.is_none() && flow.nodes[webhook.next].label != next =>
                        {
                            self.fail(
                                format!("it named `{next}`, which is none of its `may_go`"),
                                webhook.error,
                            );
                        }
                        _ => self.go(may_go.unwrap_or(webhook.next)),
                    }
                }
                Input::Answered(Err(why)) => self.fail(why, webhook.error),
                _ => {}
            },
            (Kind::Transfer(transfer), Waits::Return) => {
                if let Input::Returned(outcome) = input {
                    let to = match outcome.as_str() {
                        "completed" => transfer.completed,
                        "busy" => transfer.busy,
                        "no-answer" => transfer.no_answer,
                        _ => transfer.failed,
                    };
                    self.know("outcome", outcome);
                    self.go(to);
                } else {
                    self.depart_again();
                }
            }
            (Kind::Keys { next, .. }, Waits::Return) => {
                if let Input::Returned(_) = input {
                    self.go(*next);
                } else {
                    self.depart_again();
                }
            }
            (_, Waits::Nothing) => self.out.push(Action::HangUp),
            _ => {}
        }
        std::mem::take(&mut self.out)
    }

    /// What was said last did not reach the caller: he was speaking already.
    pub(crate) fn was_not_heard(&mut self) {
        self.unheard = true;
    }

    pub(crate) fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// Whether a message is being recorded.
    pub(crate) fn records(&self) -> bool {
        self.waits == Waits::Recording
    }

    /// The node the caller is at.
    pub(crate) fn at(&self) -> NodeId {
        self.at
    }

    /// Its label.
    pub(crate) fn label(&self) -> &str {
        &self.flow.nodes[self.at].label
    }

    /// On to a node, and through those that lead on by themselves.
    fn go(&mut self, to: NodeId) {
        let flow = Arc::clone(&self.flow);
        let mut to = to;
        loop {
            self.steps += 1;
            if self.steps > STEPS_MOST {
                return self.end("the call took more steps than a call may");
            }
            let node = &flow.nodes[to];
            self.at = to;
            self.digits.clear();
            (self.silences, self.unclears) = (0, 0);
            // The language's own prompt is in the new language.
            if let Kind::Language { language, .. } = &node.kind {
                self.speak(*language);
            }
            if let Some(prompt) = &node.prompt {
                self.say(prompt);
            }
            to = match &node.kind {
                Kind::Say { next } | Kind::Language { next, .. } => *next,
                Kind::Set { values, next } => {
                    for (name, value) in values {
                        let value = value.filled(&self.variables);
                        self.set(name, value);
                    }
                    *next
                }
                Kind::Note { text, next } => {
                    let text = text.filled(&self.variables);
                    self.out.push(Action::Note(text));
                    *next
                }
                Kind::Choose(choose) => {
                    let value = self
                        .variables
                        .get(&choose.variable)
                        .map_or("", String::as_str);
                    let case = choose.cases.iter().find(|(case, _)| case == value);
                    case.map_or(choose.otherwise, |(_, to)| *to)
                }
                Kind::Menu(Menu { patience, .. }) | Kind::Collect(Collect { patience, .. }) => {
                    self.keep_place();
                    return self.listen(patience);
                }
                Kind::Voicemail(voicemail) => {
                    self.waits = Waits::Recording;
                    self.out.push(Action::SilenceAfter(voicemail.silence_ms));
                    return self.out.push(Action::Record(to));
                }
                Kind::Webhook(_) => {
                    self.waits = Waits::Webhook;
                    return self.out.push(Action::Ask(to));
                }
                Kind::Transfer(transfer) => {
                    let number = transfer.to.filled(&self.variables);
                    let number = number.trim();
                    if is_dialable(number) {
                        self.waits = Waits::Return;
                        return self.out.push(Action::Transfer(number.to_owned()));
                    }
                    let why = match number {
                        "" => "there is no number to connect to".to_owned(),
                        _ => format!("“{number}” is no number to connect to, which is {DIALABLE}"),
                    };
                    self.out
                        .push(Action::Note(format!("{}: {why}", node.label)));
                    self.know("outcome", "failed".to_owned());
                    transfer.failed
                }
                Kind::Keys { digits, next } => {
                    let keys = keys_of(&digits.filled(&self.variables));
                    if keys.is_empty() {
                        *next
                    } else {
                        self.waits = Waits::Return;
                        return self.out.push(Action::SendDigits(keys));
                    }
                }
                Kind::HangUp => {
                    self.waits = Waits::Nothing;
                    return self.out.push(Action::HangUp);
                }
            };
        }
    }

    /// As [`go`](Walk::go), but not when nobody has been there for too long.
    fn go_on(&mut self, to: NodeId) {
        if self.in_a_row >= self.flow.patience {
            return self.end("nobody spoke, or was understood, too often in a row");
        }
        self.go(to);
    }

    /// The caller spoke before he was connected, and so he was not.
    fn depart_again(&mut self) {
        self.in_a_row += 1;
        self.go_on(self.at);
    }

    fn end(&mut self, why: &str) {
        self.waits = Waits::Nothing;
        self.out.push(Action::Note(format!(
            "{}: {why}; the call is ended",
            self.label()
        )));
        self.out.push(Action::HangUp);
    }

    fn keep_place(&mut self) {
        let flow = Arc::clone(&self.flow);
        if let Some(place) = &flow.place {
            let label = &flow.nodes[self.at].label;
            if self.variables.get(place) != Some(label) {
                self.set(place, label.clone());
            }
        }
    }

    fn listen(&mut self, patience: &Patience) {
        self.waits = Waits::Caller;
        self.out.push(Action::SilenceAfter(patience.silence_ms));
    }

    fn say(&mut self, prompt: &Prompt) {
        if !prompt.each_language {
            return self.say_in(self.language, prompt);
        }
        // Its own first, so that nobody waits for a change of voice.
        let own = self.language;
        let others = (0..self.flow.languages.len()).filter(|language| *language != own);
        self.say_in(own, prompt);
        let mut speaking = own;
        for language in others {
            self.tongue(language);
            speaking = language;
            self.say_in(language, prompt);
        }
        if speaking != own {
            self.tongue(own);
        }
    }

    fn say_in(&mut self, language: usize, prompt: &Prompt) {
        let text = prompt.texts[language].filled(&self.variables);
        if !text.trim().is_empty() {
            let firm = prompt.firm;
            // Nothing in it but the flow's own words and what the file says of its variables.
            let fixed = prompt.texts[language].filled(&self.flow.variables) == text;
            self.out.push(Action::Say { text, firm, fixed });
        }
    }

    fn speak(&mut self, language: usize) {
        self.language = language;
        self.know("language", self.flow.languages[language].clone());
        self.tongue(language);
    }

    /// What is said next is in this language.
    fn tongue(&mut self, language: usize) {
        let name = self.flow.languages[language].clone();
        self.out.push(Action::Language(name));
        if let Some(voice) = &self.flow.voices[language] {
            self.out.push(Action::Voice(voice.clone()));
        }
    }

    /// A variable of the flow's: kept with the call's record.
    fn set(&mut self, name: &str, value: String) {
        self.know(name, value);
        let value = self.variables.get(name).cloned().unwrap_or_default();
        let name = name.to_owned();
        self.out.push(Action::Set { name, value });
    }

    /// A variable that the record has anyway.
    fn know(&mut self, name: &str, mut value: String) {
        let mut end = value.len().min(VALUE_BYTES);
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        value.truncate(end);
        self.variables.insert(name.to_owned(), value);
    }

    fn fail(&mut self, why: String, to: NodeId) {
        self.out.push(Action::Note(format!(
            "{}: the webhook failed: {why}",
            self.label()
        )));
        self.know("error", why);
        self.go(to);
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
