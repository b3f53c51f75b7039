//! Which generation a name stands for right now. Read by every call that needs a plugin, replaced as a whole by whoever
//! applies a configuration: a reader sees the old one or the new one, never something between, and waits for nobody.

use super::generation::Generation;
use super::library;
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::Arc;

type Generations = BTreeMap<String, Arc<Generation>>;

/// The current generation of each plugin, by its name in the configuration.
#[derive(Debug, Default)]
pub struct Shelf {
    current: ArcSwap<Generations>,
}

impl Shelf {
    /// Nothing on it yet.
    pub fn new() -> Shelf {
        Shelf::default()
    }

    /// The current generation under this name. Running streams keep the one they were started from.
    pub fn get(&self, name: &str) -> Option<Arc<Generation>> {
        self.current.load().get(name).map(Arc::clone)
    }

    /// Makes `generation` the current one under this name, from the next [`Shelf::get`] on.
    pub fn put(&self, name: &str, generation: Arc<Generation>) {
        self.change(|all| {
            all.insert(name.to_owned(), Arc::clone(&generation));
        });
    }

    /// Takes away what a new configuration no longer names.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.change(|all| all.retain(|name, _| keep(name)));
    }

    /// The names on it, in order.
    pub fn names(&self) -> Vec<String> {
        self.current.load().keys().cloned().collect()
    }

    /// Builds of plugins in memory, current or not: they stay until the process ends.
    pub fn resident_builds(&self) -> usize {
        library::resident_builds()
    }

    fn change(&self, edit: impl Fn(&mut Generations)) {
        self.current.rcu(|current| {
            let mut changed = Generations::clone(current);
            edit(&mut changed);
            changed
        });
    }
}
