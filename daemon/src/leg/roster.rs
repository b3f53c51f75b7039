//! Who is there right now: which agent answers which number, with which voice, made by which opened plugin. One value,
//! replaced as a whole by whoever applies a configuration: a reader sees the old one or the new one, never something
//! between, and waits for nobody. Looked at once per call and once per utterance, never per frame.
//!
//! What a running call keeps of an old roster: its agent's responders and settings, and every stream it has started. What
//! it takes from the new one: the voice with the next utterance, the transcriber with the next stretch of speech. What it has
//! of neither at work is let go when the new one comes.

use super::{Agent, Setup};
use crate::plugin::{self, Generation};
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Voices or transcribers in one line: the agent's own and its fallbacks. The configuration allows no more, and no circles; a roster made
/// by anybody else is cut here.
const LINE: usize = 17;

/// Everybody who can be asked for something, by their names in the configuration.
#[derive(Debug, Default)]
pub struct Roster {
    /// Opened plugins.
    pub plugins: BTreeMap<String, Arc<Generation>>,
    /// Voices; the plugin of one may be missing if it could not be loaded.
    pub voices: BTreeMap<String, Arc<Setup>>,
    /// Transcribers, likewise.
    pub transcribers: BTreeMap<String, Arc<Setup>>,
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
        line(&self.voices, self.voice_of(agent))
    }

    /// The line of voices that begins with this one, if it is there; else the agent's own.
    pub fn line_by(&self, agent: &Agent, voice: Option<&str>) -> Vec<Arc<Setup>> {
        let asked_for = voice.and_then(|name| self.voices.get(name));
        line(&self.voices, asked_for.or_else(|| self.voice_of(agent)))
    }

    /// The line of transcribers that write down what an agent's callers say; empty if there is none. As for
    /// [`Roster::voice_of`], an agent that is gone or has none now keeps those it had.
    pub fn transcribers_of(&self, agent: &Agent) -> Vec<Arc<Setup>> {
        self.listeners(agent, |agent| agent.transcriber.as_ref())
    }

    /// The same for the endpointer.
    pub fn endpointers_of(&self, agent: &Agent) -> Vec<Arc<Setup>> {
        self.listeners(agent, |agent| agent.endpointer.as_ref())
    }

    fn listeners(&self, agent: &Agent, of: fn(&Agent) -> Option<&String>) -> Vec<Arc<Setup>> {
        let now = self.agents.get(&agent.name).and_then(|agent| of(agent));
        let names = [now, of(agent)];
        let mut found = names.iter().flatten();
        line(
            &self.transcribers,
            found.find_map(|name| self.transcribers.get(*name)),
        )
    }

    /// Whether anybody could answer an agent's callers: a responder of his that is there and does not hang.
    pub fn is_answered(&self, agent: &Agent) -> bool {
        agent.responders().any(|name| self.is_there(name))
    }

    fn is_there(&self, plugin: &str) -> bool {
        let plugin = self.plugins.get(plugin);
        plugin.is_some_and(|plugin| !plugin.is_hung())
    }

    /// Whether this one is what stands under its name.
    pub fn has(&self, generation: &Generation) -> bool {
        let now = self.plugins.get(generation.name());
        now.is_some_and(|now| now.number() == generation.number())
    }

    /// Plugins that agents cannot do without, and that nobody has opened, or that hang; in order, each once. The first of
    /// a line is one if nobody in the whole line can be asked.
    pub fn missing_plugins(&self) -> Vec<&str> {
        let broken = |line: Vec<Arc<Setup>>| {
            let first = line.first()?.name.clone();
            let whole = line.iter().any(|setup| self.is_there(&setup.plugin));
            (!whole).then_some(first)
        };
        let mut missing = Vec::new();
        for agent in self.agents.values() {
            if !self.is_answered(agent) {
                missing.push(agent.responder.as_str());
            }
            for (all, line) in [
                (&self.voices, self.line_of(agent)),
                (&self.transcribers, self.transcribers_of(agent)),
            ] {
                let first = broken(line).and_then(|first| all.get(&first));
                missing.extend(first.map(|setup| setup.plugin.as_str()));
            }
        }
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// Builds of plugins in memory, in use or not: they stay until the process ends.
    pub fn resident_builds(&self) -> usize {
        plugin::resident_builds()
    }
}

/// From the first to its fallback, and so on.
fn line(all: &BTreeMap<String, Arc<Setup>>, first: Option<&Arc<Setup>>) -> Vec<Arc<Setup>> {
    let mut line: Vec<Arc<Setup>> = Vec::new();
    let mut next = first;
    while let Some(setup) = next
        && line.len() < LINE
        && !line.iter().any(|before| before.name == setup.name)
    {
        line.push(Arc::clone(setup));
        next = setup.fallback.as_ref().and_then(|name| all.get(name));
    }
    line
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
            fallback_responder: None,
            voice: voice.into(),
            transcriber: None,
            endpointer: None,
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

    #[test]
    fn transcribers_stand_in_a_line_of_their_own_and_are_missed_too() {
        let mut roster = roster(&[("day", "a")], &["a", "b"]);
        let day = Arc::clone(&roster.agents["day"]);
        assert!(roster.transcribers_of(&day).is_empty() && roster.endpointers_of(&day).is_empty());
        for (name, fallback) in [("fast", Some("sure")), ("sure", None)] {
            let ears = Setup {
                name: name.into(),
                plugin: format!("{name}-ears"),
                fallback: fallback.map(str::to_owned),
                ..(*roster.voices["a"]).clone()
            };
            roster.transcribers.insert(name.into(), Arc::new(ears));
        }
        let listening = |transcriber: &str| Agent {
            name: day.name.clone(),
            settings: day.settings.clone(),
            detector: day.detector,
            responder: day.responder.clone(),
            fallback_responder: Some("other".into()),
            voice: day.voice.clone(),
            transcriber: Some(transcriber.into()),
            endpointer: Some("sure".into()),
            language: day.language.clone(),
        };
        let names = |line: Vec<Arc<Setup>>| -> Vec<String> {
            line.iter().map(|ears| ears.name.clone()).collect()
        };
        let guest = listening("fast");
        assert_eq!(
            names(roster.transcribers_of(&guest)),
            ["fast", "sure"],
            "as when the call began, since the agent has none now"
        );
        assert_eq!(names(roster.endpointers_of(&guest)), ["sure"]);
        roster
            .agents
            .insert("day".into(), Arc::new(listening("sure")));
        assert_eq!(names(roster.transcribers_of(&guest)), ["sure"]);
        roster
            .agents
            .insert("day".into(), Arc::new(listening("fast")));
        assert_eq!(roster.missing_plugins(), ["echo", "fast-ears", "pico"]);
        assert!(!roster.is_answered(&guest));
    }
}
