//! A line of voices or transcribers as it stood at one moment: who is asked first, and who behind whom. Which place is
//! asked is decided elsewhere; here is also what starting any plugin for a call has in common.

use super::rests::RESTING;
use super::{Guest, Roster, Setup};
use crate::plugin::{Fault, StartError};
use serde_json::{Value, json};
use std::sync::Arc;
use voice_plugin::abi::failure;

/// Names by which the host says why something failed; those of plugins are in the contract.
pub(super) const REFUSALS: [&str; 13] = [
    RESTING,
    "gone",
    "not_loaded",
    "hung",
    "no_voice",
    "no_role",
    "crowded",
    "refused",
    "panicked",
    "broken",
    "no_memory",
    "no_text",
    "bad_action",
];

/// A line as it stood at one moment, each with the build of its plugin that was there.
#[derive(Debug, Default)]
pub(super) struct Lineup(Vec<(Arc<Setup>, Option<u64>)>);

impl Lineup {
    pub(super) fn of(roster: &Roster, line: Vec<Arc<Setup>>) -> Lineup {
        let build = |setup: &Arc<Setup>| {
            roster
                .plugins
                .get(&setup.plugin)
                .map(|plugin| plugin.number())
        };
        Lineup(
            line.into_iter()
                .map(|setup| {
                    let build = build(&setup);
                    (setup, build)
                })
                .collect(),
        )
    }

    pub(super) fn is(&self, other: &Lineup) -> bool {
        let same = |((a, build_a), (b, build_b)): (&(Arc<Setup>, _), &(Arc<Setup>, _))| {
            Arc::ptr_eq(a, b) && build_a == build_b
        };
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(same)
    }

    pub(super) fn at(&self, place: u32) -> Option<&Arc<Setup>> {
        self.0.get(place as usize).map(|(setup, _)| setup)
    }

    /// The place of the last one; 0 also if there is none.
    pub(super) fn last_place(&self) -> u32 {
        u32::try_from(self.0.len().saturating_sub(1)).unwrap_or(0)
    }

    /// The name of the one at this place; empty if there is none.
    pub(super) fn name(&self, place: u32) -> &str {
        self.at(place).map_or("", |setup| &setup.name)
    }
}

/// What a plugin is told of the call when it is started for it: the `call` of the contract's `info_json`.
pub(super) fn facts(guest: &Guest) -> Value {
    let Guest {
        call_sid,
        from,
        to,
        parameters,
        ..
    } = guest;
    json!({"sid": call_sid, "from": from, "to": to, "parameters": parameters})
}

/// Why a plugin was not started, as a sentence that begins with its name; `no_role` names the want of the role.
pub(super) fn not_started(error: &StartError, no_role: &'static str) -> String {
    let name = match error {
        StartError::Role { .. } => no_role,
        StartError::Hung { .. } => "hung",
        StartError::Crowded { .. } => "crowded",
        StartError::Refused { said, .. } => failure::name_of(said).unwrap_or("refused"),
        StartError::Panicked { .. } => "panicked",
        StartError::Memory { .. } => "no_memory",
    };
    format!("{name}: {error}")
}

/// What happened to the stream of one in a line, as a sentence that begins with its name.
pub(super) fn in_words(fault: Fault, step: &str, name: &str) -> String {
    let cause = match fault {
        Fault::Panicked => "panicked",
        Fault::Failed | Fault::Gone => "broken",
    };
    format!("{cause}: the {step} \"{name}\": {fault}")
}
