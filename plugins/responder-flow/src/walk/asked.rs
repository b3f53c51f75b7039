//! The caller is asked: what he keys in or says is looked up in a menu, gathered to a number and confirmed, and what is
//! no answer is a miss, asked again or led away.

use std::sync::Arc;

use super::{Action, Input, Waits, Walk};
use crate::flow::{Branch, Collect, Menu, Miss, Patience, Prompt};
use crate::words;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missed {
    Silence,
    Unclear,
}

impl Walk {
    pub(super) fn menu(&mut self, menu: &Menu, input: Input, unheard: bool) {
        let by_digit = |digit: char| {
            let mut branches = menu.branches.iter();
            branches.find(|branch| branch.digits.contains(&digit))
        };
        let branch: Option<&Branch> = match &input {
            Input::Digit(digit) => by_digit(*digit),
            Input::Spoke(Some(text)) => {
                let said = words::normalised(text);
                let phrases = menu.branches.iter().flat_map(|branch| {
                    let phrases = branch.phrases[self.language].iter();
                    phrases.map(move |phrase| (branch, phrase.as_slice()))
                });
                words::find(&said, phrases).or_else(|| {
                    // "Two", "option two", "the number two": but not a two in a whole story.
                    let few = said.len() <= 4;
                    let digits = words::digits(&said, &self.flow.languages[self.language]);
                    let mut digits = digits.chars();
                    match (few, digits.next(), digits.next()) {
                        (true, Some(digit), None) => by_digit(digit),
                        _ => None,
                    }
                })
            }
            Input::Silence => return self.missed(Missed::Silence, &menu.patience, unheard),
            Input::Spoke(None) => None,
            Input::Returned(_) | Input::Answered(_) | Input::Recorded(_) => return,
        };
        match branch {
            Some(branch) => {
                self.in_a_row = 0;
                self.go(branch.to);
            }
            None => self.missed(Missed::Unclear, &menu.patience, unheard),
        }
    }

    pub(super) fn collect(&mut self, collect: &Collect, input: Input, unheard: bool) {
        let have = self.digits.len();
        match input {
            Input::Digit(digit) if Some(digit) == collect.terminator => {
                return if have >= collect.min {
                    self.number(collect)
                } else {
                    self.missed(Missed::Unclear, &collect.patience, unheard)
                };
            }
            // A slip: from the beginning.
            Input::Digit('*') => self.digits.clear(),
            Input::Digit(digit) if digit.is_ascii_digit() => self.digits.push(digit),
            Input::Digit(_) => {}
            Input::Spoke(text) => {
                let said = words::normalised(&text.unwrap_or_default());
                let digits = words::digits(&said, &self.flow.languages[self.language]);
                if digits.is_empty() || have + digits.len() > collect.max {
                    return self.missed(Missed::Unclear, &collect.patience, unheard);
                }
                self.digits.push_str(&digits);
            }
            Input::Silence if have >= collect.min => return self.number(collect),
            Input::Silence if have > 0 => {
                return self.missed(Missed::Unclear, &collect.patience, false);
            }
            Input::Silence => return self.missed(Missed::Silence, &collect.patience, unheard),
            Input::Returned(_) | Input::Answered(_) | Input::Recorded(_) => return,
        }
        self.in_a_row = 0;
        if self.digits.len() >= collect.max {
            return self.number(collect);
        }
        let wait = if self.digits.is_empty() {
            collect.patience.silence_ms
        } else {
            collect.digit_ms
        };
        self.out.push(Action::SilenceAfter(wait));
    }

    /// The number is whole.
    fn number(&mut self, collect: &Collect) {
        let digits = std::mem::take(&mut self.digits);
        match &collect.confirm {
            None => {
                self.set(&collect.into, digits);
                self.in_a_row = 0;
                self.go(collect.next);
            }
            Some(prompt) => {
                // Known, so that the question can name it; set when it is confirmed.
                self.know(&collect.into, digits);
                self.say(prompt);
                self.listen(&collect.patience);
                self.waits = Waits::Confirmation;
            }
        }
    }

    pub(super) fn confirm(&mut self, collect: &Collect, input: Input, unheard: bool) {
        let language = &self.flow.languages[self.language];
        let yes = match &input {
            Input::Digit('1') => Some(true),
            Input::Digit('2') => Some(false),
            Input::Digit(_) | Input::Spoke(None) => None,
            Input::Spoke(Some(text)) => {
                let said = words::normalised(text);
                let digit = || match words::digits(&said, language).as_str() {
                    "1" => Some(true),
                    "2" => Some(false),
                    _ => None,
                };
                words::yes_or_no(&said, language).or_else(digit)
            }
            Input::Silence => None,
            Input::Returned(_) | Input::Answered(_) | Input::Recorded(_) => return,
        };
        match yes {
            Some(true) => {
                let value = self
                    .variables
                    .get(&collect.into)
                    .cloned()
                    .unwrap_or_default();
                self.set(&collect.into, value);
                self.in_a_row = 0;
                self.go(collect.next);
            }
            Some(false) => {
                self.know(&collect.into, String::new());
                self.missed(Missed::Unclear, &collect.patience, false);
            }
            None => {
                let missed = match input {
                    Input::Silence => Missed::Silence,
                    _ => Missed::Unclear,
                };
                let again = collect.confirm.as_ref();
                self.miss(
                    missed,
                    &collect.patience,
                    again,
                    unheard,
                    Waits::Confirmation,
                );
            }
        }
    }

    fn missed(&mut self, missed: Missed, patience: &Patience, unheard: bool) {
        let flow = Arc::clone(&self.flow);
        let prompt = flow.nodes[self.at].prompt.as_ref();
        self.digits.clear();
        self.miss(missed, patience, prompt, unheard, Waits::Caller);
    }

    /// One miss more: asked again with `prompt`, or given up.
    fn miss(
        &mut self,
        missed: Missed,
        patience: &Patience,
        prompt: Option<&Prompt>,
        unheard: bool,
        then: Waits,
    ) {
        self.in_a_row += 1;
        if self.in_a_row >= self.flow.patience {
            return self.go_on(self.at);
        }
        let (count, miss): (&mut u32, &Miss) = match missed {
            Missed::Silence => (&mut self.silences, &patience.silence),
            Missed::Unclear => (&mut self.unclears, &patience.unclear),
        };
        // Who has not heard the question cannot have failed to answer it.
        if !unheard {
            *count += 1;
            if *count >= miss.limit {
                return self.go_on(miss.to);
            }
            if let Some(words) = &miss.prompt {
                self.say(words);
            }
        }
        if let Some(prompt) =
            prompt.filter(|_| miss.repeat || unheard || then == Waits::Confirmation)
        {
            self.say(prompt);
        }
        self.listen(patience);
        self.waits = then;
    }
}
