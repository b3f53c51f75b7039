//! Sound of words that are the same in every call, kept as µ-law: a greeting or a menu said before is sent at once, and
//! paid for once.
//!
//! The key is what makes the sound: the text, the plugin's build and configuration (its generation), the voice's own
//! keys, the language. A changed voice therefore never speaks with an old sound. Looked at once per utterance.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All phrases together, with their keys; a hundred half-minute greetings.
const PHRASES_BYTES: usize = 24 << 20;

/// One phrase: two minutes of µ-law. Longer ones are synthesised each time.
pub(super) const PHRASE_BYTES: usize = 120 * 8000;

/// What a phrase takes beside its sound and its words. Without it a voice that gives next to no sound, and a responder
/// that marks all it says, would have us keep phrases without number.
const ENTRY_BYTES: usize = 256;

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
    by_key: HashMap<Arc<PhraseKey>, Phrase>,
    /// The same by when they were used; the oldest first.
    by_use: BTreeMap<u64, Arc<PhraseKey>>,
    bytes: usize,
    uses: u64,
}

#[derive(Debug)]
struct Phrase {
    sound: Arc<[u8]>,
    used: u64,
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
        let now = kept.next_use();
        let Kept { by_key, by_use, .. } = &mut *kept;
        let phrase = by_key.get_mut(key)?;
        if let Some(key) = by_use.remove(&phrase.used) {
            by_use.insert(now, key);
        }
        phrase.used = now;
        Some(Arc::clone(&phrase.sound))
    }

    /// Keeps a phrase; empty or overlong ones are not kept. Answers the bytes of all that are.
    pub fn keep(&self, key: PhraseKey, sound: &[u8]) -> usize {
        let bytes = bytes_of(&key, sound);
        let mut kept = self.kept();
        if sound.is_empty() || sound.len() > PHRASE_BYTES || bytes > self.most_bytes {
            return kept.bytes;
        }
        kept.forget(&key);
        while kept.bytes + bytes > self.most_bytes
            && let Some((_, oldest)) = kept.by_use.first_key_value()
        {
            let oldest = Arc::clone(oldest);
            kept.forget(&oldest);
        }
        let (key, used) = (Arc::new(key), kept.next_use());
        kept.by_use.insert(used, Arc::clone(&key));
        let sound = sound.into();
        kept.by_key.insert(key, Phrase { sound, used });
        kept.bytes += bytes;
        kept.bytes
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing foreign runs under the lock; a poisoned cache is still a whole one.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn next_use(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }

    fn forget(&mut self, key: &PhraseKey) {
        if let Some((key, phrase)) = self.by_key.remove_entry(key) {
            self.by_use.remove(&phrase.used);
            self.bytes -= bytes_of(&key, &phrase.sound);
        }
    }
}

fn bytes_of(key: &PhraseKey, sound: &[u8]) -> usize {
    ENTRY_BYTES + key.text.len() + key.settings.len() + key.language.len() + sound.len()
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
        let one = bytes_of(&key("a", 1), &[0; 4]);
        let phrases = Phrases::bounded(2 * one + 3);
        phrases.keep(key("a", 1), &[0; 4]);
        assert_eq!(phrases.keep(key("b", 1), &[0; 4]), 2 * one);
        assert!(phrases.get(&key("a", 1)).is_some());
        assert_eq!(phrases.keep(key("c", 1), &[0; 4]), 2 * one);
        assert!(phrases.get(&key("a", 1)).is_some());
        assert!(phrases.get(&key("b", 1)).is_none());
        // Made by two calls at once, it is kept once.
        assert_eq!(phrases.keep(key("c", 1), &[0; 5]), 2 * one + 1);
        let kept = phrases.kept();
        assert_eq!(kept.by_use.len(), kept.by_key.len());
    }

    #[test]
    fn what_is_empty_or_longer_than_the_bound_pushes_nobody_out() {
        let phrases = Phrases::bounded(2000);
        let bytes = phrases.keep(key("a", 1), &[0; 4]);
        assert_eq!(phrases.keep(key("long", 1), &[0; 2000]), bytes);
        assert_eq!(phrases.keep(key("", 1), &[]), bytes);
        let whole = Phrases::new();
        assert_eq!(whole.keep(key("long", 1), &vec![0; PHRASE_BYTES + 1]), 0);
        assert!(whole.keep(key("long", 1), &vec![0; PHRASE_BYTES]) > 0);
    }

    #[test]
    fn phrases_of_next_to_no_sound_have_a_bound_too() {
        let phrases = Phrases::bounded(100 * ENTRY_BYTES);
        for n in 0..1000 {
            phrases.keep(key(&n.to_string(), 1), &[0]);
        }
        let kept = phrases.kept();
        assert!(kept.by_key.len() < 100 && kept.by_use.len() < 100);
        assert!(kept.bytes <= phrases.most_bytes);
    }
}
