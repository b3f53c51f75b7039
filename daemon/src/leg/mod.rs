//! One party's connection within a call, and the threads it lives on. Touches everything, decides nothing.
//!
//! ```text
//!  http ── accepted stream ──→ thread (N of them, one runtime each, `!Send` lines, no locks)
//!                                │  one reader task per stream: sole owner of the reading half, never cancelled
//!                                │  one ticker per thread: 5 ms at most; plugin rings, deadlines, unsent bytes
//!                                ▼
//!                              line  (websocket: messages in, frames out, closing)
//!                                ▼
//!                               leg  (one running call: call::Call + detector + plugin streams; outlives its stream in legs)
//!                                ├── mouth       says it: phrases already made, or a voice
//!                                │    ├── voices   starting one that speaks
//!                                │    └── ready    samples that stand ready, and those played last
//!                                ├── listeners   who hears the caller: a transcriber, an endpointer
//!                                │    ├── listener       one of them, through the whole call
//!                                │    └── transcribers   starting one that listens
//!                                ├── responder   who answers
//!                                │    └── history    what one who comes later is told
//!                                ├── deliveries  what all of them put out, into the core
//!                                └── story       what happened, into store, log and metrics
//!
//!  roster    who is there right now: plugins, voices, agents; replaced as a whole when a configuration is applied
//!  lineup    one line of voices or transcribers as it stood at one moment
//!  starting  a plugin of any kind for one call, or why it cannot be had
//!  convert   sound between the line's format and a plugin's
//!  moment    what a thread brings to the line at work: the time, and room to work in
//!  rests     who failed too often lately to be asked, in whatever calls
//!  overload  when a thread has too much to do, and lateness: what is said of it
//! ```
//!
//! The loop is the core's: one input, then drain outputs until there are none, then wait. Everything that decides
//! who speaks is in `call`; there is no `if` about it here.

mod actions;
mod admission;
mod convert;
mod deliveries;
mod history;
mod lateness;
// The room is named after what lives in it.
#[allow(clippy::module_inception)]
mod leg;
#[cfg(test)]
mod leg_tests;
mod legs;
mod line;
mod lineup;
mod listener;
mod listeners;
mod moment;
mod mouth;
mod outbox;
mod overload;
mod phrases;
mod ready;
mod responder;
mod rests;
mod roster;
mod speakers;
#[cfg(test)]
mod stage;
mod starting;
mod story;
mod thread;
mod transcribers;
mod voices;

pub use admission::{
    Admission, Admit, Arrival, Away, Back, Bounds, Connect, Forsaken, Guest, MAX_STREAMS, Next,
    Refusal, Step,
};
pub use phrases::Phrases;
pub use rests::Rests;
pub use roster::{CurrentRoster, Roster};
pub use story::no_stream;
pub(crate) use story::unix_ms;
pub use thread::{Accepted, MediaThreads};

use crate::call;
use crate::media::detect::Kind;
use crate::metrics::Metrics;
use crate::store::Store;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Who answers a call: what the configuration says about one agent, resolved, as handed to a leg.
#[derive(Debug)]
pub struct Agent {
    /// Its name in `[agents.NAME]`.
    pub name: String,
    /// How turns are taken.
    pub settings: call::Settings,
    /// Which detector feeds the ear.
    pub detector: Kind,
    /// The responder's name in `[plugins.NAME]`.
    pub responder: String,
    /// Who answers when it does not, likewise.
    pub fallback_responder: Option<String>,
    /// The voice it speaks with, by its name in `[voices.NAME]`; see [`Roster::voice_of`].
    pub voice: String,
    /// Who writes down what the caller says, by its name in `[transcribers.NAME]`.
    pub transcriber: Option<String>,
    /// Who is asked at pauses whether he has finished, likewise.
    pub endpointer: Option<String>,
    /// Language tag, `en`, `es-ES` …
    pub language: String,
}

impl Agent {
    /// The line of responders: his own, then its fallback.
    pub fn responders(&self) -> impl Iterator<Item = &str> {
        let fallback = self.fallback_responder.as_deref();
        std::iter::once(self.responder.as_str()).chain(fallback)
    }
}

/// A plugin set up one way: a voice as `[voices.NAME]` describes it, or a transcriber as `[transcribers.NAME]` does.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its name in the configuration.
    pub name: String,
    /// The plugin's name in `[plugins.NAME]`.
    pub plugin: String,
    /// The plugin's own keys, as a JSON object.
    pub settings: serde_json::Value,
    /// What it speaks or hears, if not the agent's language.
    pub language: Option<String>,
    /// The one that takes over when this one fails, of the same kind.
    pub fallback: Option<String>,
}

/// What every leg of the daemon works with.
#[derive(Debug)]
pub struct House {
    pub admission: Admission,
    pub roster: CurrentRoster,
    pub store: Store,
    pub metrics: Arc<Metrics>,
    pub phrases: Phrases,
    pub rests: Rests,
    pub patience: CurrentPatience,
}

/// One guest in the house: what every part of his leg works with.
#[derive(Debug)]
struct Visit {
    house: Arc<House>,
    guest: Guest,
}

/// The [`Patience`] that holds now. Asked at every look at a line, so it is two plain numbers.
#[derive(Debug)]
pub struct CurrentPatience {
    start_ms: AtomicU64,
    idle_ms: AtomicU64,
    lateness_ms: AtomicU64,
}

impl CurrentPatience {
    /// Begins with this one.
    pub fn new(patience: Patience) -> CurrentPatience {
        let current = CurrentPatience {
            start_ms: AtomicU64::new(0),
            idle_ms: AtomicU64::new(0),
            lateness_ms: AtomicU64::new(0),
        };
        current.replace(patience);
        current
    }

    /// From now on this one holds, also for streams that wait already.
    pub fn replace(&self, patience: Patience) {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.start_ms.store(ms(patience.start), Ordering::Relaxed);
        self.idle_ms.store(ms(patience.idle), Ordering::Relaxed);
        let lateness_ms = ms(patience.lateness);
        self.lateness_ms.store(lateness_ms, Ordering::Relaxed);
    }

    /// See [`Patience::start`].
    pub fn start(&self) -> Duration {
        Duration::from_millis(self.start_ms.load(Ordering::Relaxed))
    }

    /// See [`Patience::idle`].
    pub fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms.load(Ordering::Relaxed))
    }

    /// See [`Patience::lateness`].
    pub fn lateness(&self) -> Duration {
        Duration::from_millis(self.lateness_ms.load(Ordering::Relaxed))
    }
}

/// How long a stream may keep us waiting, and we the streams.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From the upgrade to the `start` message.
    pub start: Duration,
    /// Without any message at all; we ask with a ping at a third of it.
    pub idle: Duration,
    /// How late a media thread may come to its calls; while all of them come later, no call is let in. Zero: as late as it
    /// likes.
    pub lateness: Duration,
}
