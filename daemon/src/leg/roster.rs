//! Who is there right now: which agent answers which number, with which voice, made by which opened plugin. One value,
//! replaced as a whole by whoever applies a configuration: a reader sees the old one or the new one, never something
//! between, and waits for nobody. Looked at once per call and once per utterance, never per frame.
//!
//! What a running call keeps of an old roster: its agent's responder and settings, and every stream it has started. What
//! it takes from the new one: the voice, with the next utterance.

use super::{Agent, Setup};
use crate::plugin::{self, Generation};
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Voices in one line: the agent's own and its fallbacks. The configuration allows no more, and no circles; a roster made
/// by anybody else is cut here.
const LINE: usize = 17;

/// Everybody who can be asked for something, by their names in the configuration.
#[derive(Debug, Default)]
pub struct Roster {
    /// Opened plugins.
    pub plugins: BTreeMap<String, Arc<Generation>>,
    /// Voices; the plugin of one may be missing if it could not be loaded.
    pub voices: BTreeMap<String, Arc<Setup>>,
    /// Agents.
    pub agents: BTreeMap<String, Arc<Agent>>,
    /// The agent of each number that has one of its own.
    pub numbers: BTreeMap<String, String>,
    /// The agent that answers every other number.
    pub default_agent: String,
}

impl Roster {
    /// Who answers calls to this number; `None` only before anybody was hired.
    pub fn agent_for(&self, number: &str) -> Option<&Arc<Agent>> {
        let name = self.numbers.get(number).unwrap_or(&self.default_agent);
        self.agents.get(name)
    }

    /// The voice an agent speaks with now. An agent that is no longer there keeps the name of the voice it had.
    pub fn voice_of(&self, agent: &Agent) -> Option<&Arc<Setup>> {
        let now = self.agents.get(&agent.name);
        let name = now.map_or(&agent.voice, |agent| &agent.voice);
        self.voices
            .get(name)
            .or_else(|| self.voices.get(&agent.voice))
    }

    /// The line of voices an agent speaks with now: his own, its fallback, and so on.
    pub fn line_of(&self, agent: &Agent) -> Vec<Arc<Setup>> {
        let mut line: Vec<Arc<Setup>> = Vec::new();
        let mut next = self.voice_of(agent);
        while let Some(voice) = next
            && line.len() < LINE
            && !line.iter().any(|before| before.name == voice.name)
        {
            line.push(Arc::clone(voice));
            next = voice
                .fallback
                .as_ref()
                .and_then(|name| self.voices.get(name));
        }
        line
    }

    /// Plugins that agents cannot do without, and that nobody has opened, or that hang; in order, each once. The plugin
    /// of a voice is one if no voice of the whole line can speak.
    pub fn missing_plugins(&self) -> Vec<&str> {
        let there = |name: &str| {
            self.plugins
                .get(name)
                .is_some_and(|plugin| !plugin.is_hung())
        };
        let voices = |agent: &Arc<Agent>| {
            let line = self.line_of(agent);
            if line.iter().any(|voice| there(&voice.plugin)) {
                return None;
            }
            self.voice_of(agent).map(|voice| voice.plugin.as_str())
        };
        let named = self
            .agents
            .values()
            .flat_map(|agent| [Some(agent.responder.as_str()), voices(agent)])
            .flatten();
        let mut missing: Vec<&str> = named.filter(|name| !there(name)).collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// Builds of plugins in memory, in use or not: they stay until the process ends.
    pub fn resident_builds(&self) -> usize {
        plugin::resident_builds()
    }
}

/// The current [`Roster`].
#[derive(Debug, Default)]
pub struct CurrentRoster(ArcSwap<Roster>);

impl CurrentRoster {
    /// Begins with this one.
    pub fn new(roster: Roster) -> CurrentRoster {
        CurrentRoster(ArcSwap::from_pointee(roster))
    }

    /// The one that holds now. Ask again for the next call or utterance.
    pub fn now(&self) -> Arc<Roster> {
        self.0.load_full()
    }

    /// From the next [`CurrentRoster::now`] on, this one holds; the one before is returned.
    pub fn replace(&self, roster: Roster) -> Arc<Roster> {
        self.0.swap(Arc::new(roster))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call;
    use crate::media::detect::Kind;
    use serde_json::Value;

    fn agent(name: &str, voice: &str) -> Arc<Agent> {
        Arc::new(Agent {
            name: name.into(),
            settings: call::Settings::default(),
            detector: Kind::Off,
            responder: "echo".into(),
            voice: voice.into(),
            language: "en".into(),
        })
    }

    fn roster(agents: &[(&str, &str)], voices: &[&str]) -> Roster {
        let voice = |name: &&str| {
            let voice = Setup {
                name: (*name).into(),
                plugin: "pico".into(),
                settings: Value::Null,
                language: None,
                fallback: None,
            };
            ((*name).into(), Arc::new(voice))
        };
        Roster {
            voices: voices.iter().map(voice).collect(),
            agents: agents
                .iter()
                .map(|(name, voice)| ((*name).into(), agent(name, voice)))
                .collect(),
            numbers: BTreeMap::from([("+1".into(), "night".into())]),
            default_agent: "day".into(),
            ..Roster::default()
        }
    }

    #[test]
    fn a_number_has_its_agent_and_the_others_the_default() {
        let roster = roster(&[("day", "a"), ("night", "b")], &["a", "b"]);
        let name = |number| roster.agent_for(number).map(|agent| agent.name.as_str());
        assert_eq!((name("+1"), name("+2")), (Some("night"), Some("day")));
        assert!(Roster::default().agent_for("+1").is_none());
    }

    #[test]
    fn a_running_call_takes_the_voice_its_agent_has_now() {
        let current = CurrentRoster::new(roster(&[("day", "a")], &["a"]));
        let guest = Arc::clone(
            current
                .now()
                .agent_for("+2")
                .unwrap_or(&agent("nobody", "")),
        );
        let voice = || {
            current
                .now()
                .voice_of(&guest)
                .map(|voice| voice.name.clone())
        };
        assert_eq!(voice().as_deref(), Some("a"));
        current.replace(roster(&[("day", "b")], &["a", "b"]));
        assert_eq!(voice().as_deref(), Some("b"), "the agent has another voice");
        current.replace(roster(&[("night", "b")], &["a", "b"]));
        assert_eq!(voice().as_deref(), Some("a"), "the agent is gone");
        current.replace(roster(&[("day", "c")], &["a"]));
        assert_eq!(voice().as_deref(), Some("a"), "its new voice is none");
    }

    #[test]
    fn a_line_goes_from_fallback_to_fallback_and_ends() {
        let mut roster = roster(&[("day", "a")], &["a", "b", "c"]);
        let fall_back = |roster: &mut Roster, from: &str, to: &str| {
            let voice = Setup {
                fallback: Some(to.into()),
                ..(*roster.voices[from]).clone()
            };
            roster.voices.insert(from.into(), Arc::new(voice));
        };
        let names = |roster: &Roster| -> Vec<String> {
            let line = roster.line_of(&roster.agents["day"]);
            line.iter().map(|voice| voice.name.clone()).collect()
        };
        assert_eq!(names(&roster), ["a"]);
        fall_back(&mut roster, "a", "b");
        fall_back(&mut roster, "b", "nobody");
        assert_eq!(names(&roster), ["a", "b"]);
        fall_back(&mut roster, "b", "c");
        fall_back(&mut roster, "c", "a");
        assert_eq!(names(&roster), ["a", "b", "c"], "a circle is cut");
        for n in 0..2 * LINE {
            let name = format!("n{n}");
            let voice = Setup {
                name: name.clone(),
                ..(*roster.voices["a"]).clone()
            };
            roster.voices.insert(name.clone(), Arc::new(voice));
            fall_back(&mut roster, &name, &format!("n{}", n + 1));
        }
        fall_back(&mut roster, "a", "n0");
        assert_eq!(names(&roster).len(), LINE);
    }

    #[test]
    fn what_nobody_opened_is_missing_once() {
        let roster = roster(&[("day", "a"), ("night", "a")], &["a"]);
        assert_eq!(roster.missing_plugins(), ["echo", "pico"]);
    }
}
