//! Whether every plugin plays the part it is named for: who answers has to be a responder, the plugin of a voice a voice.
//! Of a plugin that could not be loaded nothing is known, and nothing is said here.

use crate::config::{Config, Problem};
use voice_plugin::abi::role;

/// A key that names a plugin for a part.
struct Named<'c> {
    key: [&'c str; 3],
    plugin: &'c str,
    wants: u64,
}

/// Every key whose plugin does not play its part, with its place. `roles` are the parts a plugin plays, if it is known.
pub(super) fn wrong_roles(config: &Config, roles: impl Fn(&str) -> Option<u64>) -> Vec<Problem> {
    let mut wrong = Vec::new();
    for Named { key, plugin, wants } in named(config) {
        let Some(plays) = roles(plugin).filter(|plays| plays & wants == 0) else {
            continue;
        };
        let message = format!(
            "{}: the plugin \"{plugin}\" is a {}, but this names a {}",
            key.join("."),
            parts(plays).join(" and a "),
            parts(wants).join(" and a "),
        );
        let fit = |name: &&String| roles(name).is_some_and(|plays| plays & wants != 0);
        let fitting: Vec<&str> = config
            .plugins
            .keys()
            .filter(fit)
            .map(String::as_str)
            .collect();
        let hint = match fitting.as_slice() {
            [] => "none of the [plugins.NAME] here is one".to_owned(),
            fitting => format!("among the [plugins.NAME] here: {}", fitting.join(", ")),
        };
        wrong.push(config.problem_at(key, message, Some(hint)));
    }
    wrong
}

fn named(config: &Config) -> Vec<Named<'_>> {
    let mut named = Vec::new();
    for (name, voice) in &config.voices {
        named.push(Named {
            key: ["voices", name, "plugin"],
            plugin: &voice.plugin,
            wants: role::TTS,
        });
    }
    for (name, transcriber) in &config.transcribers {
        named.push(Named {
            key: ["transcribers", name, "plugin"],
            plugin: &transcriber.plugin,
            wants: role::STT,
        });
    }
    for (name, agent) in &config.agents {
        let own = Some(("responder", &agent.responder));
        let fallback = (agent.fallback_responder.as_ref()).map(|name| ("fallback_responder", name));
        for (key, plugin) in own.into_iter().chain(fallback) {
            named.push(Named {
                key: ["agents", name, key],
                plugin,
                wants: role::RESPONDER,
            });
        }
    }
    named
}

/// The parts in words, as the keys of the configuration call them.
fn parts(roles: u64) -> Vec<&'static str> {
    let known = [
        (role::RESPONDER, "responder"),
        (role::TTS, "voice"),
        (role::STT, "transcriber"),
    ];
    let played = known.iter().filter(|(one, _)| roles & one != 0);
    played.map(|(_, word)| *word).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::{Env, parse};
    use std::path::Path;

    const FILE: &str = r#"
[plugins.beep]
library = "tts_beep"
[plugins.quiz]
library = "responder_quiz"
[plugins.both]
library = "both"
[plugins.gone]
library = "gone"

[voices.tone]
plugin = "beep"
[voices.asks]
plugin = "quiz"
[voices.lost]
plugin = "gone"
[transcribers.ear]
plugin = "both"

[agents.default]
responder = "beep"
fallback_responder = "both"
voice = "tone"
"#;

    fn said(file: &str) -> Vec<String> {
        let config = parse(file, Path::new("c.toml"), &Env::default()).unwrap();
        let roles = |name: &str| match name {
            "beep" => Some(role::TTS),
            "quiz" => Some(role::RESPONDER),
            "both" => Some(role::RESPONDER | role::TTS),
            _ => None,
        };
        let wrong = wrong_roles(&config, roles);
        wrong.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_plugin_in_a_part_it_does_not_play_is_drawn_at_its_key() {
        assert_eq!(
            said(FILE),
            [
                "c.toml:14:10: voices.asks.plugin: the plugin \"quiz\" is a responder, but this names a voice
   |
14 | plugin = \"quiz\"
   |          ^^^^^^
   = among the [plugins.NAME] here: beep, both",
                "c.toml:18:10: transcribers.ear.plugin: the plugin \"both\" is a responder and a voice, but this names a transcriber
   |
18 | plugin = \"both\"
   |          ^^^^^^
   = none of the [plugins.NAME] here is one",
                "c.toml:21:13: agents.default.responder: the plugin \"beep\" is a voice, but this names a responder
   |
21 | responder = \"beep\"
   |             ^^^^^^
   = among the [plugins.NAME] here: both, quiz",
            ]
        );
    }

    #[test]
    fn the_right_part_is_nothing_to_speak_of() {
        let right = FILE
            .replace("responder = \"beep\"", "responder = \"quiz\"")
            .replace(
                "[voices.asks]\nplugin = \"quiz\"",
                "[voices.asks]\nplugin = \"both\"",
            )
            .replace("[transcribers.ear]\nplugin = \"both\"", "");
        assert!(said(&right).is_empty(), "{:?}", said(&right));
    }
}
