//! A line of voices or transcribers as it stood at one moment: who is asked first, and who behind whom. Which place is
//! asked is decided elsewhere.

use super::{Roster, Setup};
use std::sync::Arc;

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
