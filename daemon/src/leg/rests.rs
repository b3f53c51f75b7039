//! Which voices, transcribers and responders are not worth asking for a while: a small circuit breaker, one for all calls.
//! It knows names, builds and times; who is asked instead is the core's business.
//!
//! ```text
//!  asked ── failed, 3 times in a row, in whatever calls ──→ resting ── 30 s ──→ one call tries ── failed ──→ resting
//!    ↑                                                                            └── did well ──┐
//!    └── did well, or another build, or other keys ────────────────────────────────────────────┘
//! ```
//!
//! Without it each of a thousand calls would find out for itself, with a second or two of silence, what the first has
//! learned. Looked at once per utterance, stretch or turn. Voices and responders rest only if another stands behind them,
//! for without them there is no call; those who listen also rest alone, for without them turns end by silence.

use super::Setup;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tracing::warn;

/// The name of the refusal of one that was not even asked.
pub(super) const RESTING: &str = "resting";

/// Failures in a row that are no accident: one call alone cannot send a voice to rest with one bad sentence.
const FAILURES: u32 = 3;

/// How long it then rests, and how often one call tries it again.
const REST: Duration = Duration::from_secs(30);

/// Failures that are remembered; the one that is longest ago is forgotten first.
const REMEMBERED: usize = 256;

/// What somebody is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Voice,
    Transcriber,
    Endpointer,
    Responder,
}

impl Step {
    /// The word for it in sentences, notes and numbers.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Step::Voice => "voice",
            Step::Transcriber => "transcriber",
            Step::Endpointer => "endpointer",
            Step::Responder => "responder",
        }
    }
}

/// Who was asked, and with which build.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    step: Step,
    name: String,
    /// One of the same name with other keys is another. A responder's keys are those of its build.
    setup: Option<Arc<Setup>>,
    generation: u64,
}

impl Asked {
    /// One that has a table of its own.
    pub(super) fn setup(step: Step, setup: &Arc<Setup>, generation: u64) -> Asked {
        Asked {
            step,
            name: setup.name.clone(),
            setup: Some(Arc::clone(setup)),
            generation,
        }
    }

    /// A responder, which is a plugin and nothing else.
    pub(super) fn responder(name: &str, generation: u64) -> Asked {
        Asked {
            step: Step::Responder,
            name: name.to_owned(),
            setup: None,
            generation,
        }
    }

    /// The refusal of one that rests, as a sentence.
    pub(super) fn rests(&self) -> String {
        let (step, name) = (self.step.as_str(), &self.name);
        format!(
            "{RESTING}: the {step} \"{name}\" failed too often lately and is left alone for a while"
        )
    }

    fn is(&self, other: &Asked) -> bool {
        let same = match (&self.setup, &other.setup) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same && self.generation == other.generation
    }

    fn key(&self) -> (Step, String) {
        (self.step, self.name.clone())
    }
}

/// Those that failed lately. The head of this file says how.
#[derive(Debug, Default)]
pub struct Rests {
    failed: Mutex<BTreeMap<(Step, String), Failed>>,
}

#[derive(Debug)]
struct Failed {
    asked: Asked,
    times: u32,
    last: Instant,
    until: Option<Instant>,
}

impl Rests {
    /// None rests yet.
    pub fn new() -> Rests {
        Rests::default()
    }

    /// Whether this one is to be left alone. Once in 30 s the answer is no: whoever asks then tries for all.
    pub(super) fn rests(&self, asked: &Asked, now: Instant) -> bool {
        let mut failed = self.failed();
        let Some(entry) = failed.get_mut(&asked.key()) else {
            return false;
        };
        match entry.until {
            Some(until) if entry.asked.is(asked) => {
                if now < until {
                    return true;
                }
                entry.until = Some(now + REST);
                false
            }
            _ => false,
        }
    }

    /// It was asked and failed. If that was once too often the log says so.
    pub(super) fn failed_now(&self, asked: &Asked, now: Instant) {
        let mut failed = self.failed();
        let before = failed.get(&asked.key());
        let times = before
            .filter(|entry| entry.asked.is(asked))
            .map_or(0, |entry| entry.times)
            .saturating_add(1);
        if before.is_none() && failed.len() >= REMEMBERED {
            let oldest = failed.iter().min_by_key(|(_, entry)| entry.last);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                failed.remove(&key);
            }
        }
        if times >= FAILURES {
            let (step, name, rest_secs) = (asked.step.as_str(), &asked.name, REST.as_secs());
            warn!(
                step,
                name,
                times,
                rest_secs,
                "it failed too often in a row, and no call asks it for a while"
            );
        }
        let entry = Failed {
            asked: asked.clone(),
            times,
            last: now,
            until: (times >= FAILURES).then(|| now + REST),
        };
        failed.insert(asked.key(), entry);
    }

    /// It did what it was asked for, to the end.
    pub(super) fn did_well(&self, asked: &Asked) {
        let mut failed = self.failed();
        if !failed.is_empty() {
            failed.remove(&asked.key());
        }
    }

    fn failed(&self) -> MutexGuard<'_, BTreeMap<(Step, String), Failed>> {
        // Nothing foreign runs under the lock, and every entry is whole at every moment.
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn setup(name: &str) -> Arc<Setup> {
        Arc::new(Setup {
            name: name.into(),
            plugin: "pico".into(),
            settings: Value::Null,
            language: None,
            fallback: Some("other".into()),
        })
    }

    fn voice(name: &str) -> Asked {
        Asked::setup(Step::Voice, &setup(name), 1)
    }

    #[test]
    fn three_failures_in_a_row_send_a_voice_to_rest_and_a_success_counts_anew() {
        let (rests, a, now) = (Rests::new(), voice("a"), Instant::now());
        for _ in 1..FAILURES {
            rests.failed_now(&a, now);
        }
        assert!(!rests.rests(&a, now));
        rests.did_well(&a);
        for _ in 1..FAILURES {
            rests.failed_now(&a, now);
        }
        assert!(!rests.rests(&a, now), "two and two are not three");
        rests.failed_now(&a, now);
        assert!(rests.rests(&a, now));
        assert!(!rests.rests(&voice("b"), now));
    }

    #[test]
    fn after_the_rest_one_tries_for_all() {
        let (rests, a, then) = (Rests::new(), voice("a"), Instant::now());
        for _ in 0..FAILURES {
            rests.failed_now(&a, then);
        }
        let later = then + REST;
        assert!(!rests.rests(&a, later), "the first who asks may try");
        assert!(rests.rests(&a, later), "the others wait for him");
        rests.failed_now(&a, later);
        assert!(rests.rests(&a, later + REST / 2));
        assert!(!rests.rests(&a, later + REST));
        rests.did_well(&a);
        assert!(!rests.rests(&a, later + REST), "all may ask again");
    }

    #[test]
    fn another_build_or_other_keys_or_another_step_is_another() {
        let (rests, a, now) = (Rests::new(), setup("a"), Instant::now());
        let first = Asked::setup(Step::Voice, &a, 1);
        for _ in 0..FAILURES {
            rests.failed_now(&first, now);
        }
        assert!(rests.rests(&first, now));
        assert!(!rests.rests(&Asked::setup(Step::Voice, &a, 2), now));
        assert!(!rests.rests(&Asked::setup(Step::Transcriber, &a, 1), now));
        assert!(!rests.rests(&Asked::responder("a", 1), now));
        assert!(!rests.rests(&voice("a"), now));
        rests.failed_now(&voice("a"), now);
        assert!(
            !rests.rests(&first, now),
            "the old one's failures are forgotten"
        );
    }

    #[test]
    fn a_responder_is_known_by_name_and_build() {
        let (rests, now) = (Rests::new(), Instant::now());
        for _ in 0..FAILURES {
            rests.failed_now(&Asked::responder("bot", 1), now);
        }
        let bot = Asked::responder("bot", 1);
        assert!(rests.rests(&bot, now) && !rests.rests(&Asked::responder("bot", 2), now));
        assert_eq!(
            bot.rests(),
            "resting: the responder \"bot\" failed too often lately and is left alone for a while"
        );
    }

    #[test]
    fn at_the_bound_the_longest_past_failure_is_forgotten() {
        let (rests, now) = (Rests::new(), Instant::now());
        let voices: Vec<_> = (0..=REMEMBERED)
            .map(|n| voice(&format!("{n:03}")))
            .collect();
        for (n, voice) in (0_u64..).zip(&voices) {
            for _ in 0..FAILURES {
                rests.failed_now(voice, now + Duration::from_millis(n));
            }
        }
        let after = now + Duration::from_secs(1);
        assert!(!rests.rests(&voices[0], after));
        assert!(rests.rests(&voices[1], after));
        assert_eq!(rests.failed().len(), REMEMBERED);
    }
}
