//! Whether every voice and transcriber knows the language it is to speak or hear: asked of the opened plugins, because a
//! model's weights decide. Of a plugin that does not say which it knows nothing is said here.

use crate::config::{Config, Problem, Setup};
use crate::plugin::Generation;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many languages are listed whole; of more, the near ones.
const LISTED: usize = 12;

/// What is known of a plugin's languages, asked when it is first needed.
type Asked<'p> = BTreeMap<&'p str, Result<Value, String>>;

/// Every key that gives a plugin a language it does not know, with its place; and plugins that cannot say.
pub(super) fn wrong_languages(
    config: &Config,
    plugins: &BTreeMap<String, Arc<Generation>>,
) -> Vec<Problem> {
    wrong(config, |name| {
        let known = plugins.get(name)?.languages();
        known.map_err(|error| error.to_string()).transpose()
    })
}

/// The same, by whoever says what a plugin puts for its languages.
fn wrong(config: &Config, ask: impl Fn(&str) -> Option<Result<Value, String>>) -> Vec<Problem> {
    let mut asked = Asked::new();
    let mut wrong = Vec::new();
    let given = |setup: &'_ Setup| setup.language.is_some();
    for (name, voice) in config.voices.iter().filter(|(_, voice)| given(voice)) {
        let language = voice.language.as_deref().unwrap_or_default();
        let key = ["voices", name.as_str(), "language"];
        let lacks = lacks(&mut asked, &ask, voice, "tts", language);
        wrong.extend(lacks.map(|(message, hint)| at(config, key, &message, hint)));
    }
    for (name, ears) in config.transcribers.iter().filter(|(_, ears)| given(ears)) {
        let language = ears.language.as_deref().unwrap_or_default();
        let key = ["transcribers", name.as_str(), "language"];
        let lacks = lacks(&mut asked, &ask, ears, "stt", language);
        wrong.extend(lacks.map(|(message, hint)| at(config, key, &message, hint)));
    }
    for (name, agent) in &config.agents {
        for (key, ears) in [
            ("transcriber", &agent.transcriber),
            ("endpointer", &agent.endpointer),
        ] {
            let setup = ears.as_ref().and_then(|ears| config.transcribers.get(ears));
            let Some(setup) = setup.filter(|setup| !given(setup)) else {
                continue;
            };
            if let Some((message, hint)) = lacks(&mut asked, &ask, setup, "stt", &agent.language) {
                let message = format!(
                    "the agent's language is \"{}\", and {message}",
                    agent.language
                );
                wrong.push(at(config, ["agents", name.as_str(), key], &message, hint));
            }
        }
    }
    for (name, failed) in &asked {
        if let Err(why) = failed {
            wrong.push(config.library_problem(name, why));
        }
    }
    wrong.sort_by_key(|problem| (problem.line, problem.column));
    wrong
}

fn at(config: &Config, key: [&str; 3], message: &str, hint: String) -> Problem {
    config.problem_at(key, format!("{}: {message}", key.join(".")), Some(hint))
}

/// What is wrong with this language for this part of its plugin, and what it knows instead.
fn lacks<'p>(
    asked: &mut Asked<'p>,
    ask: impl Fn(&str) -> Option<Result<Value, String>>,
    setup: &'p Setup,
    part: &str,
    language: &str,
) -> Option<(String, String)> {
    let plugin = setup.plugin.as_str();
    let said = asked
        .entry(plugin)
        .or_insert_with(|| ask(plugin).unwrap_or(Ok(Value::Null)));
    let known: Vec<&str> = said.as_ref().ok()?[part]
        .as_array()?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let same = |tag: &&str| primary(tag).eq_ignore_ascii_case(primary(language));
    if known.is_empty() || known.iter().any(same) {
        return None;
    }
    let near = |tag: &&&str| strsim::osa_distance(primary(tag), primary(language)) <= 1;
    let near: Vec<&str> = known.iter().filter(near).copied().collect();
    let hint = match (known.len(), near.as_slice()) {
        (..=LISTED, _) => format!("it knows {}", known.join(", ")),
        (many, []) => format!(
            "it knows {many} languages, by tags such as {}",
            known[..3].join(", ")
        ),
        (many, near) => format!("it knows {many} languages; near are {}", near.join(", ")),
    };
    Some((
        format!("the plugin \"{plugin}\" does not know \"{language}\""),
        hint,
    ))
}

/// `es` of `es-MX`.
fn primary(tag: &str) -> &str {
    tag.split(['-', '_']).next().unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::{Env, parse};
    use serde_json::json;
    use std::path::Path;

    fn said(languages: [&str; 3]) -> Vec<String> {
        let [voice, ears, agent] = languages;
        let file = format!(
            r#"[plugins.pico]
library = "tts_pico"
[plugins.whisper]
library = "stt_whisper"
[plugins.many]
library = "many"
[voices.v]
plugin = "pico"
language = "{voice}"
[transcribers.given]
plugin = "many"
language = "{ears}"
[transcribers.agents]
plugin = "whisper"
[agents.default]
responder = "pico"
voice = "v"
transcriber = "agents"
language = "{agent}"
"#
        );
        let config = parse(&file, Path::new("c.toml"), &Env::default()).unwrap();
        let many: Vec<&str> = "af am ar az ba be bg bn de en es et fr"
            .split(' ')
            .collect();
        let problems = wrong(&config, |plugin| match plugin {
            "pico" => Some(Ok(json!({"tts": ["en-US", "es-ES"]}))),
            "whisper" => Some(Ok(json!({"stt": ["en"]}))),
            _ => Some(Ok(json!({ "stt": many }))),
        });
        let lines = problems.iter().map(ToString::to_string);
        lines
            .map(|drawn| {
                drawn
                    .lines()
                    .filter(|line| line.contains(": ") || line.contains("= "))
                    .map(str::trim)
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect()
    }

    #[test]
    fn a_language_that_nobody_knows_is_drawn_at_its_key() {
        assert_eq!(said(["es-MX", "ES", "en-GB"]), [""; 0]);
        assert_eq!(
            said(["ja", "ex", "es-ES"]),
            [
                "c.toml:9:12: voices.v.language: the plugin \"pico\" does not know \"ja\" 9 | language = \"ja\" = it knows en-US, es-ES",
                "c.toml:12:12: transcribers.given.language: the plugin \"many\" does not know \"ex\" 12 | language = \"ex\" \
                 = it knows 13 languages; near are en, es, et",
                "c.toml:18:15: agents.default.transcriber: the agent's language is \"es-ES\", and the plugin \"whisper\" does not \
                 know \"es-ES\" 18 | transcriber = \"agents\" = it knows en",
            ]
        );
        let far = said(["es", "xx", "en"]);
        assert!(
            far[0].ends_with("= it knows 13 languages, by tags such as af, am, ar"),
            "{far:?}"
        );
    }

    #[test]
    fn a_plugin_that_cannot_say_is_named_and_one_that_says_nothing_knows_all() {
        let file = "[plugins.ears]\nlibrary = \"ears\"\n[transcribers.a]\nplugin = \"ears\"\nlanguage = \"xx\"\n\
                    [voices.v]\nplugin = \"ears\"\n[agents.default]\nresponder = \"ears\"\nvoice = \"v\"\n";
        let config = parse(file, Path::new("c.toml"), &Env::default()).unwrap();
        for nothing in [
            None,
            Some(Ok(Value::Null)),
            Some(Ok(json!({"tts": ["en"]}))),
        ] {
            assert!(wrong(&config, |_| nothing.clone()).is_empty());
        }
        let problems = wrong(&config, |_| Some(Err("it panicked".to_owned())));
        assert_eq!(problems.len(), 1);
        let drawn = problems[0].to_string();
        assert!(
            drawn.starts_with("c.toml:2:11: [plugins.ears]: it panicked"),
            "{drawn}"
        );
    }
}
