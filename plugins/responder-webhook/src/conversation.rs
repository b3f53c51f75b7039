//! What one call has been so far, and the body of the next request. Pure; `schema/request.json` says the same for
//! machines.
//!
//! The host tells keys, words and silence before it says that a turn is over; they are kept until then. What the agent
//! has said counts as heard unless an interruption says what of it was.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};
use voice_plugin::prelude::*;

use crate::settings::{Events, Kind};

/// What was said, in bytes of text; the oldest is forgotten first.
const MAX_HISTORY_BYTES: usize = 64 << 10;
/// Entries of the history.
const MAX_HISTORY: usize = 500;
/// Variables of one call.
const MAX_VARIABLES: usize = 64;
/// A variable's name and its value together.
const MAX_VARIABLE_BYTES: usize = 4096;
/// Actions that were not done since the last request; more are not told.
const MAX_REFUSED: usize = 20;
/// Keys that wait for their turn.
const MAX_DIGITS: usize = 64;

/// What the bot is asked, or told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Asked {
    Start,
    /// His words, if anybody wrote them down.
    Turn(Option<String>),
    /// A key, and what he said before it, as far as it is known.
    Digit(char, Option<String>),
    Silence(u32),
    Returned {
        after: String,
        outcome: String,
        /// Empty unless it did not go at all.
        reason: String,
    },
    End,
}

impl Asked {
    /// Whether it is posted at all.
    pub(crate) fn is_wanted(&self, events: &Events) -> bool {
        match self {
            Asked::Turn(_) => true,
            Asked::Start => events.has(Kind::Start),
            Asked::Digit(..) => events.has(Kind::Digit),
            Asked::Silence(_) => events.has(Kind::Silence),
            Asked::Returned { .. } => events.has(Kind::Returned),
            Asked::End => events.has(Kind::End),
        }
    }
}

/// What an event of the host means.
#[derive(Debug, PartialEq)]
pub(crate) enum Learned {
    Nothing,
    /// Answer this.
    Asked(u32, Asked),
    /// Nothing more is wanted for this turn and those before.
    Cancelled(u32),
}

enum Entry {
    Caller(String),
    Digit(char),
    Agent { text: String, interrupted: bool },
}

impl Entry {
    fn bytes(&self) -> usize {
        match self {
            Entry::Caller(text) | Entry::Agent { text, .. } => text.len(),
            Entry::Digit(_) => 1,
        }
    }
}

/// One call.
pub(crate) struct Conversation {
    call: CallInfo,
    language: String,
    starts: bool,
    takes_digits: bool,
    requests: u64,
    history: VecDeque<(u32, Entry)>,
    history_bytes: usize,
    variables: BTreeMap<String, String>,
    text: Option<(u32, String)>,
    /// What he said so far in a turn.
    so_far: Option<(u32, String)>,
    digits: VecDeque<char>,
    silence: Option<u32>,
    returned: Option<Asked>,
    /// What was asked for and not done since the last request: the action, and why.
    refused: VecDeque<(String, String)>,
    spoke: bool,
    /// The turns up to this one were none.
    none_before: u32,
    /// What was heard of an answer that is still being made.
    heard: Option<(u32, String)>,
}

impl Conversation {
    pub(crate) fn new(call: CallInfo, language: String, events: &Events) -> Conversation {
        Conversation {
            call,
            language,
            starts: events.has(Kind::Start),
            takes_digits: events.has(Kind::Digit),
            requests: 0,
            history: VecDeque::new(),
            history_bytes: 0,
            variables: BTreeMap::new(),
            text: None,
            so_far: None,
            digits: VecDeque::new(),
            silence: None,
            returned: None,
            refused: VecDeque::new(),
            spoke: false,
            none_before: 0,
            heard: None,
        }
    }

    /// What was said, and kept, before the bot came to the call.
    pub(crate) fn take_up(&mut self, history: &[Said], variables: &BTreeMap<String, String>) {
        for said in history {
            let entry = match said {
                Said::Caller(text) => Entry::Caller(text.clone()),
                Said::Digit(digit) => Entry::Digit(*digit),
                Said::Agent { text, interrupted } => Entry::Agent {
                    text: text.clone(),
                    interrupted: *interrupted,
                },
                _ => continue,
            };
            self.remember(0, Some(entry));
        }
        for (name, value) in variables {
            if self.set(name, value).is_err() {
                break; // the host keeps no more than fits here
            }
        }
    }

    pub(crate) fn learn(&mut self, event: Event) -> Learned {
        match event {
            Event::TurnOver { turn } => return Learned::Asked(turn, self.turn_over(turn)),
            Event::Cancelled {
                turn,
                heard,
                withdrawn,
            } => {
                if withdrawn {
                    self.forget(turn);
                    self.spoke = false;
                    if turn == self.none_before + 1 {
                        self.none_before = turn;
                    }
                }
                self.interrupted(turn, heard);
                return Learned::Cancelled(turn);
            }
            Event::Text { turn, text } => self.text = Some((turn, text)),
            Event::Partial { turn, text } => self.said_so_far(turn, text),
            Event::SpeechStart => self.spoke = true,
            Event::Digit(digit) if self.takes_digits && self.digits.len() < MAX_DIGITS => {
                self.digits.push_back(digit);
            }
            Event::Silence { count } => self.silence = Some(count),
            // A stream that broke and is back is no turn.
            Event::Returned {
                after,
                outcome,
                reason,
            } if after != "stream" => {
                self.returned = Some(Asked::Returned {
                    after,
                    outcome,
                    reason,
                });
            }
            Event::Refused { action, reason } if self.refused.len() < MAX_REFUSED => {
                self.refused.push_back((action, reason));
            }
            _ => {}
        }
        Learned::Nothing
    }

    fn turn_over(&mut self, turn: u32) -> Asked {
        let spoke = std::mem::take(&mut self.spoke);
        let text = self.text.take().filter(|(of, _)| *of == turn);
        if let Some(count) = self.silence.take() {
            Asked::Silence(count)
        } else if let Some(returned) = self.returned.take() {
            returned
        } else if let Some((_, text)) = text {
            Asked::Turn(Some(text))
        } else if let Some(digit) = self.digits.pop_front() {
            let before = self.so_far.take().filter(|(of, _)| *of == turn);
            Asked::Digit(digit, before.map(|(_, text)| text))
        } else if turn == self.none_before + 1 && self.starts && !spoke {
            Asked::Start
        } else {
            Asked::Turn(None)
        }
    }

    /// The body of a request; what is asked belongs to the history from then on.
    pub(crate) fn body(&mut self, turn: u32, asked: &Asked) -> String {
        self.requests += 1;
        let history: Vec<Value> = self
            .history
            .iter()
            .map(|(_, entry)| match entry {
                Entry::Caller(text) => json!({ "caller": text }),
                Entry::Digit(digit) => json!({ "digit": digit }),
                Entry::Agent { text, interrupted } => {
                    json!({ "agent": text, "interrupted": interrupted })
                }
            })
            .collect();
        let mut body = json!({
            "call": {
                "sid": self.call.sid,
                "from": self.call.from,
                "to": self.call.to,
                "parameters": self.call.parameters,
            },
            "request": self.requests,
            "turn": turn,
            "language": self.language,
            "history": history,
            "variables": self.variables,
        });
        let event = match asked {
            Asked::Start => "start",
            Asked::Turn(text) => {
                body["text"] = json!(text);
                self.remember(turn, text.clone().map(Entry::Caller));
                "turn"
            }
            Asked::Digit(digit, before) => {
                body["digit"] = json!(digit);
                body["text"] = json!(before);
                self.remember(turn, before.clone().map(Entry::Caller));
                self.remember(turn, Some(Entry::Digit(*digit)));
                "digit"
            }
            Asked::Silence(count) => {
                body["silence"] = json!(count);
                "silence"
            }
            Asked::Returned {
                after,
                outcome,
                reason,
            } => {
                body["returned"] = json!({ "after": after, "outcome": outcome });
                if !reason.is_empty() {
                    body["returned"]["reason"] = json!(reason);
                }
                "returned"
            }
            Asked::End => "end",
        };
        body["event"] = json!(event);
        if !self.refused.is_empty() {
            let refused = self.refused.drain(..);
            let refused = refused.map(|(action, reason)| json!({"do": action, "reason": reason}));
            body["refused"] = refused.collect();
        }
        body.to_string()
    }

    /// What was answered to `turn`, as far as it was given to the host.
    pub(crate) fn answered(&mut self, turn: u32, text: String) {
        let heard = self.heard.take().filter(|(of, _)| *of == turn);
        let interrupted = heard.is_some();
        let text = heard.map_or(text, |(_, heard)| heard);
        if !text.trim().is_empty() {
            self.remember(turn, Some(Entry::Agent { text, interrupted }));
        }
    }

    /// The language of what follows.
    pub(crate) fn speaks(&mut self, language: &str) {
        language.clone_into(&mut self.language);
    }

    /// # Errors
    /// A sentence: there are too many, or it is too long.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> core::result::Result<(), String> {
        let bytes = name.len() + value.len();
        if bytes > MAX_VARIABLE_BYTES {
            return Err(format!(
                "a variable of {bytes} bytes is not kept; {MAX_VARIABLE_BYTES} are possible"
            ));
        }
        if self.variables.len() >= MAX_VARIABLES && !self.variables.contains_key(name) {
            return Err(format!("more than {MAX_VARIABLES} variables are not kept"));
        }
        self.variables.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// The caller heard only this of the answer to `turn`.
    fn interrupted(&mut self, turn: u32, heard: String) {
        let of_turn =
            |(of, entry): &(u32, Entry)| *of == turn && matches!(entry, Entry::Agent { .. });
        let Some(at) = self.history.iter().rposition(of_turn) else {
            self.heard = Some((turn, heard));
            return;
        };
        self.history_bytes -= self.history[at].1.bytes();
        if heard.is_empty() {
            self.history.remove(at);
        } else {
            self.history_bytes += heard.len();
            self.history[at].1 = Entry::Agent {
                text: heard,
                interrupted: true,
            };
        }
    }

    /// Before a key it belongs to it, and may be known only when that has been asked about.
    fn said_so_far(&mut self, turn: u32, text: String) {
        let key = |(of, entry): &(u32, Entry)| *of == turn && matches!(entry, Entry::Digit(_));
        let Some(at) = self.history.iter().rposition(key) else {
            self.so_far = Some((turn, text));
            return;
        };
        self.history_bytes += text.len();
        match at.checked_sub(1).map(|before| &mut self.history[before]) {
            Some((of, Entry::Caller(before))) if *of == turn => {
                self.history_bytes -= before.len();
                *before = text;
            }
            _ => self.history.insert(at, (turn, Entry::Caller(text))),
        }
        self.bound();
    }

    /// What he said in this turn comes again in the next.
    fn forget(&mut self, turn: u32) {
        let bytes = &mut self.history_bytes;
        self.history.retain(|(of, entry)| {
            let forgotten = *of == turn && matches!(entry, Entry::Caller(_));
            *bytes -= if forgotten { entry.bytes() } else { 0 };
            !forgotten
        });
    }

    fn remember(&mut self, turn: u32, entry: Option<Entry>) {
        let Some(entry) = entry else { return };
        self.history_bytes += entry.bytes();
        self.history.push_back((turn, entry));
        self.bound();
    }

    fn bound(&mut self) {
        while self.history.len() > MAX_HISTORY || self.history_bytes > MAX_HISTORY_BYTES {
            let Some((_, oldest)) = self.history.pop_front() else {
                break;
            };
            self.history_bytes -= oldest.bytes();
        }
    }
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
