//! The stage for tests of what a leg owns: a house with one plugin in C and one call in it. No line, no clock.
#![cfg(test)]
#![allow(clippy::unwrap_used)]

use super::{
    Admission, Agent, Bounds, CurrentPatience, CurrentRoster, Guest, House, Patience, Phrases,
    Rests, Roster, Setup, Visit,
};
use crate::call;
use crate::media::detect::Kind;
use crate::metrics::Metrics;
use crate::plugin::Generation;
use crate::plugin::fixtures::Bench;
use crate::store::Store;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(super) struct Stage {
    /// Of the agent "day", who speaks and is told what he hears by the setup "own".
    pub(super) visit: Visit,
    pub(super) now: Instant,
    generation: Arc<Generation>,
    _folder: TempDir,
}

impl Stage {
    /// With the plugin `tests/plugins/PLUGIN.c`, and nobody hired.
    pub(super) fn new(plugin: &str) -> Stage {
        Stage::built(plugin, &[])
    }

    /// The same with the plugin built with these macros set.
    pub(super) fn built(plugin: &str, macros: &[&str]) -> Stage {
        let bench = Bench::new();
        let built = bench.build(plugin, macros, plugin);
        let library = bench.load(&built).unwrap();
        let folder = TempDir::new().unwrap();
        let bounds = Bounds {
            calls: 1,
            calls_per_caller: 1,
            token: Duration::from_secs(1),
        };
        let patience = Patience {
            lateness: Duration::ZERO,
            start: Duration::from_secs(1),
            idle: Duration::from_secs(1),
        };
        let agent = Arc::new(Agent {
            name: "day".into(),
            settings: call::Settings::default(),
            detector: Kind::Off,
            responder: String::new(),
            fallback_responder: None,
            voice: "own".into(),
            transcriber: Some("own".into()),
            endpointer: Some("own".into()),
            language: "en".into(),
        });
        let house = House {
            admission: Admission::new(bounds),
            roster: CurrentRoster::default(),
            store: Store::open(folder.path(), 0).unwrap(),
            metrics: Arc::new(Metrics::new(0.0)),
            phrases: Phrases::new(),
            rests: Rests::new(),
            patience: CurrentPatience::new(patience),
        };
        let guest = Guest {
            call_sid: "CA1".into(),
            from: "+1".into(),
            to: "+2".into(),
            parameters: BTreeMap::new(),
            agent,
            ip: [127, 0, 0, 1].into(),
            first_stream: 1,
        };
        Stage {
            visit: Visit {
                house: Arc::new(house),
                guest,
            },
            now: Instant::now(),
            generation: Generation::open(library, plugin, "{}").unwrap(),
            _folder: folder,
        }
    }

    /// Streams of the plugin that run.
    pub(super) fn streams(&self) -> usize {
        self.generation.streams()
    }

    /// From now on these are there, as voices and as transcribers, beside the plugin and the agent.
    pub(super) fn hire(&self, setups: impl IntoIterator<Item = Setup>) {
        let setups: BTreeMap<String, Arc<Setup>> = setups
            .into_iter()
            .map(|setup| (setup.name.clone(), Arc::new(setup)))
            .collect();
        let plugin = self.generation.name().to_owned();
        self.visit.house.roster.replace(Roster {
            plugins: BTreeMap::from([(plugin, Arc::clone(&self.generation))]),
            agents: BTreeMap::from([("day".into(), Arc::clone(&self.visit.guest.agent))]),
            voices: setups.clone(),
            transcribers: setups,
            ..Roster::default()
        });
    }
}

pub(super) fn setup(plugin: &str, name: &str, settings: Value, fallback: Option<&str>) -> Setup {
    Setup {
        name: name.into(),
        plugin: plugin.into(),
        settings,
        language: None,
        fallback: fallback.map(Into::into),
    }
}
