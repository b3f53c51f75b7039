//! Which voices are not worth asking for a while: a small circuit breaker, one for all calls. It knows names, builds and
//! times; who speaks instead is the core's business.
//!
//! ```text
//!  asked ── failed, 3 times in a row, in whatever calls ──→ resting ── 30 s ──→ one call tries ── failed ──→ resting
//!    ↑                                                                            └── spoke ──┐
//!    └── spoke, or another build, or other keys ──────────────────────────────────────────────┘
//! ```
//!
//! Without it each of a thousand calls would find out for itself, with a second and a half of silence, what the first
//! has learned. Looked at once per utterance.

use super::Setup;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Failures in a row that are no accident: one call alone cannot send a voice to rest with one bad sentence.
const FAILURES: u32 = 3;

/// How long it then rests, and how often one call tries it again.
const REST: Duration = Duration::from_secs(30);

/// Voices that failed and are remembered; the one whose failure is longest ago is forgotten first.
const REMEMBERED: usize = 256;

/// Voices that failed lately. The head of this file says how.
#[derive(Debug, Default)]
pub struct Rests {
    failed: Mutex<BTreeMap<String, Failed>>,
}

#[derive(Debug)]
struct Failed {
    /// A voice of the same name with other keys is another voice.
    voice: Arc<Setup>,
    generation: u64,
    times: u32,
    last: Instant,
    until: Option<Instant>,
}

impl Failed {
    fn is(&self, voice: &Arc<Setup>, generation: u64) -> bool {
        Arc::ptr_eq(&self.voice, voice) && self.generation == generation
    }
}

impl Rests {
    /// None rests yet.
    pub fn new() -> Rests {
        Rests::default()
    }

    /// Whether this voice is to be left alone. Once in 30 s the answer is no: whoever asks then tries for all.
    pub(super) fn rests(&self, voice: &Arc<Setup>, generation: u64, now: Instant) -> bool {
        let mut failed = self.failed();
        let Some(entry) = failed.get_mut(&voice.name) else {
            return false;
        };
        match entry.until {
            Some(until) if entry.is(voice, generation) => {
                if now < until {
                    return true;
                }
                entry.until = Some(now + REST);
                false
            }
            _ => false,
        }
    }

    /// It was asked and failed.
    pub(super) fn failed_now(&self, voice: &Arc<Setup>, generation: u64, now: Instant) {
        let mut failed = self.failed();
        let before = failed.get(&voice.name);
        let times = before
            .filter(|entry| entry.is(voice, generation))
            .map_or(0, |entry| entry.times)
            .saturating_add(1);
        if before.is_none() && failed.len() >= REMEMBERED {
            let oldest = failed.iter().min_by_key(|(_, entry)| entry.last);
            if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                failed.remove(&name);
            }
        }
        let entry = Failed {
            voice: Arc::clone(voice),
            generation,
            times,
            last: now,
            until: (times >= FAILURES).then(|| now + REST),
        };
        failed.insert(voice.name.clone(), entry);
    }

    /// It said an utterance to its end.
    pub(super) fn spoke(&self, voice: &Setup) {
        self.failed().remove(&voice.name);
    }

    fn failed(&self) -> MutexGuard<'_, BTreeMap<String, Failed>> {
        // Nothing foreign runs under the lock, and every entry is whole at every moment.
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn voice(name: &str) -> Arc<Setup> {
        Arc::new(Setup {
            name: name.into(),
            plugin: "pico".into(),
            settings: Value::Null,
            language: None,
            fallback: Some("other".into()),
        })
    }

    #[test]
    fn three_failures_in_a_row_send_a_voice_to_rest_and_a_success_counts_anew() {
        let (rests, a, now) = (Rests::new(), voice("a"), Instant::now());
        for _ in 1..FAILURES {
            rests.failed_now(&a, 1, now);
        }
        assert!(!rests.rests(&a, 1, now));
        rests.spoke(&a);
        for _ in 1..FAILURES {
            rests.failed_now(&a, 1, now);
        }
        assert!(!rests.rests(&a, 1, now), "two and two are not three");
        rests.failed_now(&a, 1, now);
        assert!(rests.rests(&a, 1, now));
        assert!(!rests.rests(&voice("b"), 1, now));
    }

    #[test]
    fn after_the_rest_one_tries_for_all() {
        let (rests, a, then) = (Rests::new(), voice("a"), Instant::now());
        for _ in 0..FAILURES {
            rests.failed_now(&a, 1, then);
        }
        let later = then + REST;
        assert!(!rests.rests(&a, 1, later), "the first who asks may try");
        assert!(rests.rests(&a, 1, later), "the others wait for him");
        rests.failed_now(&a, 1, later);
        assert!(rests.rests(&a, 1, later + REST / 2));
        assert!(!rests.rests(&a, 1, later + REST));
        rests.spoke(&a);
        assert!(!rests.rests(&a, 1, later + REST), "all may ask again");
    }

    #[test]
    fn another_build_or_other_keys_are_another_voice() {
        let (rests, a, now) = (Rests::new(), voice("a"), Instant::now());
        for _ in 0..FAILURES {
            rests.failed_now(&a, 1, now);
        }
        assert!(!rests.rests(&a, 2, now));
        assert!(!rests.rests(&voice("a"), 1, now));
        rests.failed_now(&voice("a"), 1, now);
        assert!(
            !rests.rests(&a, 1, now),
            "the old one's failures are forgotten"
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
                rests.failed_now(voice, 1, now + Duration::from_millis(n));
            }
        }
        let after = now + Duration::from_secs(1);
        assert!(!rests.rests(&voices[0], 1, after));
        assert!(rests.rests(&voices[1], 1, after));
        assert_eq!(rests.failed().len(), REMEMBERED);
    }
}
