//! Sound of phrases that are the same in every call, kept as µ-law: a greeting said before is sent at once.
//!
//! The key is what makes the sound: the text, the plugin's build and configuration (its generation), the voice's own
//! keys, the language. A changed voice therefore never speaks with an old sound. Looked at once per utterance.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All phrases together; a hundred half-minute greetings.
const PHRASES_BYTES: usize = 24 << 20;

/// One phrase: two minutes of µ-law. Longer ones are synthesised each time.
pub(super) const PHRASE_BYTES: usize = 120 * 8000;

/// What makes a phrase sound as it does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PhraseKey {
    pub text: String,
    pub generation: u64,
    pub settings: String,
    pub language: String,
}

/// The kept phrases. When they are too many, the one unused for longest goes.
#[derive(Debug)]
pub struct Phrases {
    kept: Mutex<Kept>,
    most_bytes: usize,
}

#[derive(Debug, Default)]
struct Kept {
    by_key: HashMap<PhraseKey, (Arc<[u8]>, u64)>,
    bytes: usize,
    uses: u64,
}

impl Phrases {
    /// None yet.
    pub fn new() -> Phrases {
        Phrases::bounded(PHRASES_BYTES)
    }

    fn bounded(most_bytes: usize) -> Phrases {
        Phrases {
            kept: Mutex::default(),
            most_bytes,
        }
    }

    /// The sound of a phrase, if it was said before.
    pub fn get(&self, key: &PhraseKey) -> Option<Arc<[u8]>> {
        let mut kept = self.kept();
        kept.uses += 1;
        let now = kept.uses;
        let (sound, used) = kept.by_key.get_mut(key)?;
        *used = now;
        Some(Arc::clone(sound))
    }

    /// Keeps a phrase; empty or overlong ones are not kept.
    pub fn keep(&self, key: PhraseKey, sound: &[u8]) {
        if sound.is_empty() || sound.len() > PHRASE_BYTES.min(self.most_bytes) {
            return;
        }
        let mut kept = self.kept();
        while kept.bytes + sound.len() > self.most_bytes {
            let Some(oldest) = kept
                .by_key
                .iter()
                .min_by_key(|(_, (_, used))| *used)
                .map(|(key, _)| key.clone())
            else {
                break;
            };
            if let Some((gone, _)) = kept.by_key.remove(&oldest) {
                kept.bytes -= gone.len();
            }
        }
        kept.uses += 1;
        let now = kept.uses;
        kept.bytes += sound.len();
        if let Some((before, _)) = kept.by_key.insert(key, (sound.into(), now)) {
            kept.bytes -= before.len();
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing foreign runs under the lock; a poisoned cache is still a whole one.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Phrases {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str, generation: u64) -> PhraseKey {
        PhraseKey {
            text: text.into(),
            generation,
            settings: "{}".into(),
            language: "en".into(),
        }
    }

    #[test]
    fn another_generation_never_speaks_with_the_old_sound() {
        let phrases = Phrases::new();
        phrases.keep(key("Hello", 1), &[1, 2, 3]);
        assert_eq!(
            phrases.get(&key("Hello", 1)).as_deref(),
            Some(&[1, 2, 3][..])
        );
        assert!(phrases.get(&key("Hello", 2)).is_none());
    }

    #[test]
    fn at_the_bound_the_phrase_unused_for_longest_goes() {
        let phrases = Phrases::bounded(10);
        phrases.keep(key("a", 1), &[0; 4]);
        phrases.keep(key("b", 1), &[0; 4]);
        assert!(phrases.get(&key("a", 1)).is_some());
        phrases.keep(key("c", 1), &[0; 4]);
        assert!(phrases.get(&key("a", 1)).is_some());
        assert!(phrases.get(&key("b", 1)).is_none());
        assert!(phrases.kept().bytes <= 10);
        phrases.keep(key("too long", 1), &[0; 11]);
        assert!(phrases.get(&key("too long", 1)).is_none());
        phrases.keep(key("c", 1), &[0; 5]);
        assert_eq!(phrases.kept().bytes, 9);
    }
}
