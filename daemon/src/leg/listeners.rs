//! Who listens to a caller beside the core: a transcriber, an endpointer, both, or nobody. One who does both is there
//! once, as the transcriber.

use super::Visit;
use super::listener::Listener;
use super::moment::Moment;
use super::rests::Step;
use std::task::Waker;

/// Boxed: most calls have none, and a leg is moved about.
#[derive(Default)]
pub(super) struct Listeners {
    pub(super) transcriber: Option<Box<Listener>>,
    pub(super) endpointer: Option<Box<Listener>>,
}

impl Listeners {
    /// Whoever is to hear the caller's words, from the first one on.
    pub(super) fn begin(visit: &Visit, bell: Option<&Waker>, moment: &mut Moment<'_>) -> Listeners {
        let agent = &visit.guest.agent;
        let listener = |step, name: &Option<String>| {
            name.as_ref()
                .map(|_| Box::new(Listener::new(step, bell.cloned())))
        };
        let one_does_both = agent.endpointer == agent.transcriber;
        let mut listeners = Listeners {
            transcriber: listener(Step::Transcriber, &agent.transcriber),
            endpointer: listener(Step::Endpointer, &agent.endpointer).filter(|_| !one_does_both),
        };
        for listener in listeners.each() {
            listener.begin(visit, moment);
        }
        listeners
    }

    /// Each of them.
    pub(super) fn each(&mut self) -> impl Iterator<Item = &mut Listener> {
        let both = [&mut self.transcriber, &mut self.endpointer];
        both.into_iter().flatten().map(|listener| &mut **listener)
    }

    /// Whether a look would find nothing.
    pub(super) fn are_idle(&self) -> bool {
        let both = [&self.transcriber, &self.endpointer];
        both.into_iter()
            .flatten()
            .all(|listener| listener.is_idle())
    }
}
