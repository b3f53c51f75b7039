//! `phone`'s `--say`, `--press` and `--wait`: what the caller does, in the order in which it was typed. After each he
//! listens to what the agent has to say.

use super::Failure;
use crate::phone::Step;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use std::sync::Arc;
use std::time::Duration;

/// How long the caller waits for a greeting before he does anything.
const GREETING_MS: u64 = 15_000;

/// How long he waits for the answer.
const ANSWER_MS: u64 = 30_000;

/// A pause between keys, as fingers make it.
const BETWEEN_KEYS_MS: u64 = 300;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Typed {
    Say(String),
    Press(String),
    Wait(Duration),
}

/// All of them, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Steps(Vec<Typed>);

impl Steps {
    /// What he says first.
    pub(super) fn first_words(&self) -> Option<&str> {
        self.0.iter().find_map(|typed| match typed {
            Typed::Say(what) => Some(what.as_str()),
            Typed::Press(_) | Typed::Wait(_) => None,
        })
    }

    /// The script of it, from the greeting to the last answer; `sound` makes µ-law of a `--say`.
    ///
    /// # Errors
    /// Those of `sound`.
    pub(super) fn script(
        &self,
        mut sound: impl FnMut(&str) -> Result<Arc<[u8]>, Failure>,
    ) -> Result<Vec<Step>, Failure> {
        let answer = || Step::WaitForAgent { most_ms: ANSWER_MS };
        let mut steps = vec![Step::WaitForAgent {
            most_ms: GREETING_MS,
        }];
        for typed in &self.0 {
            match typed {
                Typed::Say(what) => steps.extend([Step::Say(sound(what)?), answer()]),
                Typed::Press(keys) => {
                    for key in keys.chars() {
                        match key {
                            ',' => steps.push(answer()),
                            key => steps.extend([
                                Step::Press(key),
                                Step::Pause {
                                    ms: BETWEEN_KEYS_MS,
                                },
                            ]),
                        }
                    }
                    steps.push(answer());
                }
                Typed::Wait(length) => steps.push(Step::Pause {
                    ms: u64::try_from(length.as_millis()).unwrap_or(u64::MAX),
                }),
            }
        }
        Ok(steps)
    }
}

impl Args for Steps {
    fn augment_args(command: Command) -> Command {
        command.args([
            Arg::new("say")
                .long("say")
                .value_name("FILE|TEXT")
                .action(ArgAction::Append)
                .help("What the caller says: a WAV file, or a text for the agent's own voice to say. This, --press and --wait may be repeated and are done in their order, the first after the greeting, each when the agent has finished"),
            Arg::new("press")
                .long("press")
                .value_name("KEYS")
                .action(ArgAction::Append)
                .value_parser(keys)
                .help("Keys the caller presses; at a comma he listens to what the agent says first (1,2)"),
            Arg::new("wait")
                .long("wait")
                .value_name("TIME")
                .action(ArgAction::Append)
                .value_parser(super::phone::duration)
                .help("For so long the caller does nothing (5s)"),
        ])
    }

    fn augment_args_for_update(command: Command) -> Command {
        Steps::augment_args(command)
    }
}

impl FromArgMatches for Steps {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Steps, Error> {
        fn placed<'a, T: Clone + Send + Sync + 'static>(
            matches: &'a ArgMatches,
            name: &str,
            typed: fn(T) -> Typed,
        ) -> impl Iterator<Item = (usize, Typed)> + 'a {
            let places = matches.indices_of(name).into_iter().flatten();
            let values = matches.get_many::<T>(name).into_iter().flatten();
            places.zip(values.cloned().map(typed).collect::<Vec<_>>())
        }
        let mut all: Vec<(usize, Typed)> = placed(matches, "say", Typed::Say)
            .chain(placed(matches, "press", Typed::Press))
            .chain(placed(matches, "wait", Typed::Wait))
            .collect();
        all.sort_by_key(|(place, _)| *place);
        Ok(Steps(all.into_iter().map(|(_, typed)| typed).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Steps::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Keys of a phone, and commas between them.
fn keys(text: &str) -> Result<String, String> {
    match text
        .chars()
        .find(|key| !matches!(key, '0'..='9' | '*' | '#' | 'A'..='D' | ','))
    {
        None => Ok(text.to_owned()),
        Some(key) => Err(format!(
            "\"{key}\" is not a key of a phone (0-9, *, #, A-D), and no comma, which waits for the agent"
        )),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        steps: Steps,
    }

    #[test]
    fn steps_are_done_in_the_order_in_which_they_were_typed() {
        let line = "phone --say one.wav --press 1,# --say hours.wav --wait 5s --press 2";
        let steps = Line::try_parse_from(line.split(' ')).unwrap().steps;
        assert_eq!(steps.first_words(), Some("one.wav"));
        let script = steps.script(|what| Ok(what.as_bytes().into())).unwrap();
        let drawn: Vec<String> = script
            .iter()
            .map(|step| match step {
                Step::WaitForAgent { .. } => "listen".into(),
                Step::Say(sound) => String::from_utf8_lossy(sound).into_owned(),
                Step::Press(key) => key.to_string(),
                Step::Pause { ms } => format!("{ms}"),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(
            drawn.join(" "),
            "listen one.wav listen 1 300 listen # 300 listen hours.wav listen 5000 2 300 listen"
        );
    }

    #[test]
    fn what_is_no_key_is_refused_by_name() {
        let refused = Line::try_parse_from(["phone", "--press", "1x"]).unwrap_err();
        assert!(
            refused.to_string().contains("\"x\" is not a key"),
            "{refused}"
        );
    }
}
