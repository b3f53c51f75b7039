//! What was said in a call so far, for a responder that comes to it late: a fallback that takes over, or one that is started
//! again after it fell. And the variables that were kept for it. Words only; who is told is not known here.
//!
//! The caller is there with what a responder was asked about and was not withdrawn, the agent with what was heard of him.

use super::actions::{MAX_NAME_BYTES, MAX_VALUE_BYTES};
use crate::call::{Prompt, Turn};
use crate::store::MAX_VARIABLES;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// Entries that are kept, the latest: a call of a quarter of an hour.
const MAX_ENTRIES: usize = 200;

/// Bytes of text in all of them. A thousand calls must not come to more than some megabytes.
const MAX_BYTES: usize = 16 << 10;

/// Bytes of the names and values of all variables.
const MAX_VARIABLES_BYTES: usize = 16 << 10;

const _: () = assert!(MAX_NAME_BYTES + MAX_VALUE_BYTES <= MAX_VARIABLES_BYTES);

#[derive(Debug, PartialEq, Eq)]
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

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct History {
    entries: VecDeque<(Turn, Entry)>,
    bytes: usize,
    turn: Turn,
    /// What he said so far in a turn that nobody was asked about yet: a key may end it.
    so_far: (Turn, String),
    variables: BTreeMap<String, String>,
    variables_bytes: usize,
}

impl History {
    /// A responder is asked this.
    pub(super) fn asked(&mut self, turn: Turn, prompt: &Prompt) {
        self.turn = turn;
        let entry = match prompt {
            Prompt::Speech { text: Some(text) } => Entry::Caller(text.clone()),
            Prompt::Digit(digit) => {
                if self.so_far.0 == turn {
                    self.add(Entry::Caller(self.so_far.1.clone()));
                }
                Entry::Digit(*digit)
            }
            Prompt::Speech { text: None }
            | Prompt::Silence { .. }
            | Prompt::Start
            | Prompt::Returned => return,
        };
        self.add(entry);
    }

    /// He has said this so far in a turn. If it was ended by a key, that is what he said before it.
    pub(super) fn said_so_far(&mut self, turn: Turn, text: &str) {
        let key = |(of, entry): &(Turn, Entry)| *of == turn && matches!(entry, Entry::Digit(_));
        self.so_far = (turn, text.to_owned());
        let Some(at) = self.entries.iter().rposition(key) else {
            return;
        };
        let said = Entry::Caller(text.to_owned());
        self.bytes += said.bytes();
        match at.checked_sub(1).map(|before| &mut self.entries[before]) {
            Some((of, before @ Entry::Caller(_))) if *of == turn => {
                self.bytes -= before.bytes();
                *before = said;
            }
            _ => self.entries.insert(at, (turn, said)),
        }
        self.bound();
    }

    /// It was asked in vain: this comes again in another turn, or never.
    pub(super) fn forget(&mut self, turn: Turn) {
        self.entries.retain(|(of, entry)| {
            let forgotten = *of == turn && !matches!(entry, Entry::Agent { .. });
            self.bytes -= if forgotten { entry.bytes() } else { 0 };
            !forgotten
        });
    }

    /// The caller heard this of the agent; `whole`: as far as it went.
    pub(super) fn heard(&mut self, text: &str, whole: bool) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        // Sentences of one answer are one entry.
        if let Some((
            of,
            Entry::Agent {
                text: last,
                interrupted,
            },
        )) = self.entries.back_mut()
            && *of == self.turn
            && !*interrupted
            && last.len() + text.len() < MAX_BYTES / 4
        {
            last.push(' ');
            last.push_str(text);
            *interrupted = !whole;
            self.bytes += 1 + text.len();
            return self.bound();
        }
        self.add(Entry::Agent {
            text: text.to_owned(),
            interrupted: !whole,
        });
    }

    /// Keeps a variable. The error is a sentence that begins with its name: there is no room for it.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let before = self
            .variables
            .get(name)
            .map(|value| name.len() + value.len());
        let bytes = self.variables_bytes - before.unwrap_or(0) + name.len() + value.len();
        if before.is_none() && self.variables.len() >= MAX_VARIABLES {
            return Err(format!(
                "bad_action: \"{name}\" would be more than {MAX_VARIABLES} variables of a call; it is not kept"
            ));
        }
        if bytes > MAX_VARIABLES_BYTES {
            return Err(format!(
                "bad_action: with \"{name}\" the variables of a call would have {bytes} bytes, more than {MAX_VARIABLES_BYTES}; it is not kept"
            ));
        }
        self.variables_bytes = bytes;
        self.variables.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// The `history` of the contract's `info_json`.
    pub(super) fn entries(&self) -> Value {
        let entries = self.entries.iter().map(|(_, entry)| match entry {
            Entry::Caller(text) => json!({ "caller": text }),
            Entry::Digit(digit) => json!({ "digit": digit }),
            Entry::Agent { text, interrupted } => {
                json!({ "agent": text, "interrupted": interrupted })
            }
        });
        entries.collect()
    }

    /// And its `variables`.
    pub(super) fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    fn add(&mut self, entry: Entry) {
        self.bytes += entry.bytes();
        self.entries.push_back((self.turn, entry));
        self.bound();
    }

    fn bound(&mut self) {
        while self.entries.len() > MAX_ENTRIES || self.bytes > MAX_BYTES {
            let Some((_, oldest)) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speech(text: &str) -> Prompt {
        Prompt::Speech {
            text: Some(text.into()),
        }
    }

    #[test]
    fn a_conversation_is_told_as_it_was_heard() {
        let mut history = History::default();
        history.asked(1, &Prompt::Start);
        history.heard("Hello.", true);
        history.heard(" How many? ", true);
        history.asked(2, &speech("for two"));
        history.heard("One", false);
        history.heard("", false);
        history.asked(3, &Prompt::Digit('5'));
        history.asked(4, &Prompt::Speech { text: None });
        history.heard("Sorry?", true);
        assert_eq!(
            history.entries(),
            json!([
                {"agent": "Hello. How many?", "interrupted": false},
                {"caller": "for two"},
                {"agent": "One", "interrupted": true},
                {"digit": "5"},
                {"agent": "Sorry?", "interrupted": false},
            ])
        );
    }

    #[test]
    fn what_he_said_before_a_key_stands_before_it_whenever_it_is_known() {
        let mut history = History::default();
        history.said_so_far(1, "uh");
        history.said_so_far(1, "uh let me");
        history.asked(1, &Prompt::Digit('1'));
        history.heard("Sales.", true);
        history.said_so_far(1, "Uh, let me see.");
        history.asked(2, &Prompt::Digit('2'));
        history.said_so_far(2, "Two.");
        history.said_so_far(3, "and");
        let told = json!([
            {"caller": "Uh, let me see."},
            {"digit": "1"},
            {"agent": "Sales.", "interrupted": false},
            {"caller": "Two."},
            {"digit": "2"},
        ]);
        assert_eq!(history.entries(), told);
        let bytes: usize = history.entries.iter().map(|(_, entry)| entry.bytes()).sum();
        assert_eq!(history.bytes, bytes);
        // Who fell is asked again.
        history.forget(2);
        history.said_so_far(2, "Two!");
        history.asked(2, &Prompt::Digit('2'));
        assert_eq!(history.entries()[3], json!({"caller": "Two!"}));
    }

    #[test]
    fn what_was_withdrawn_is_not_told_twice() {
        let mut history = History::default();
        history.asked(1, &speech("a table"));
        history.heard("One moment.", true);
        history.forget(1);
        history.asked(2, &speech("a table for two"));
        assert_eq!(
            history.entries(),
            json!([{"agent": "One moment.", "interrupted": false}, {"caller": "a table for two"}])
        );
    }

    #[test]
    fn the_oldest_goes_when_there_is_too_much() {
        let mut history = History::default();
        for turn in 1..=MAX_ENTRIES as u32 + 1 {
            history.asked(turn, &Prompt::Digit('1'));
        }
        assert_eq!(history.entries.len(), MAX_ENTRIES);
        for _ in 0..1000 {
            history.heard(&"y".repeat(100), true);
        }
        assert!(history.entries.len() < 10 && history.bytes > MAX_BYTES / 2);
        for turn in 1..=10 {
            history.asked(turn, &speech(&"x".repeat(MAX_BYTES / 4)));
        }
        assert_eq!((history.entries.len(), history.bytes), (4, MAX_BYTES));
        history.forget(10);
        assert_eq!(history.bytes, MAX_BYTES / 4 * 3);
    }

    #[test]
    fn variables_have_a_bound_and_may_change_at_it() {
        let mut history = History::default();
        for n in 0..MAX_VARIABLES {
            history.set(&n.to_string(), "v").unwrap();
        }
        let refused = history.set("one more", "v").unwrap_err();
        assert!(refused.contains("more than 64 variables"), "{refused}");
        history.set("0", "w").unwrap();
        for n in 0..15 {
            history.set(&n.to_string(), &"v".repeat(1000)).unwrap();
        }
        let long = "v".repeat(1000);
        let refused: Vec<_> = (15..20)
            .filter_map(|n| history.set(&n.to_string(), &long).err())
            .collect();
        assert!(refused[0].contains("bytes, more than 16384"), "{refused:?}");
        history.set("1", "short again").unwrap();
        history.set("20", &"v".repeat(900)).unwrap();
        let bytes = |(name, value): (&String, &String)| name.len() + value.len();
        let all: usize = history.variables.iter().map(bytes).sum();
        assert_eq!(history.variables_bytes, all);
    }
}
