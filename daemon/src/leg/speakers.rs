//! Who speaks in one call, and in which language: the agent himself, and everybody a responder has asked for. The core
//! knows them by their numbers.

/// Pairs of voice and language in one call. A dialogue has two or three languages; at the bound the latest one's place is
/// taken.
const MAX_SPEAKERS: usize = 16;

/// A voice and a language; what is not said is the agent's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Speaker {
    /// One of `[voices.NAME]`.
    pub(super) voice: Option<String>,
    pub(super) language: Option<String>,
}

/// The speakers of a call. Number 0 is the agent himself.
#[derive(Debug)]
pub(super) struct Speakers {
    all: Vec<Speaker>,
    now: usize,
}

impl Speakers {
    /// The agent himself.
    pub(super) fn new() -> Speakers {
        Speakers {
            all: vec![Speaker::default()],
            now: 0,
        }
    }

    /// From now on this voice speaks, in the language as before. Its number.
    pub(super) fn use_voice(&mut self, voice: &str) -> u32 {
        let mut next = self.current();
        next.voice = Some(voice.to_owned());
        self.choose(next)
    }

    /// From now on this language is spoken, by the voice as before. Its number.
    pub(super) fn use_language(&mut self, language: &str) -> u32 {
        let mut next = self.current();
        next.language = Some(language.to_owned());
        self.choose(next)
    }

    /// The one with this number speaks again.
    pub(super) fn back_to(&mut self, number: u32) {
        let at = usize::try_from(number).unwrap_or(0);
        self.now = if at < self.all.len() { at } else { 0 };
    }

    /// The one with this number; the agent himself if there is none.
    pub(super) fn at(&self, number: u32) -> &Speaker {
        let at = usize::try_from(number).unwrap_or(0);
        self.all.get(at).unwrap_or(&self.all[0])
    }

    fn current(&self) -> Speaker {
        self.all[self.now].clone()
    }

    fn choose(&mut self, speaker: Speaker) -> u32 {
        self.now = match self.all.iter().position(|known| *known == speaker) {
            Some(known) => known,
            None if self.all.len() < MAX_SPEAKERS => {
                self.all.push(speaker);
                self.all.len() - 1
            }
            None => {
                self.all[MAX_SPEAKERS - 1] = speaker;
                MAX_SPEAKERS - 1
            }
        };
        u32::try_from(self.now).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voice_and_language_are_chosen_one_by_one_and_known_again() {
        let mut speakers = Speakers::new();
        let spanish = speakers.use_voice("spanish");
        let in_spain = speakers.use_language("es-ES");
        assert_eq!((spanish, in_spain), (1, 2));
        let voice = Some("spanish".to_owned());
        let language = Some("es-ES".to_owned());
        assert_eq!(
            *speakers.at(1),
            Speaker {
                voice: voice.clone(),
                language: None
            }
        );
        assert_eq!(*speakers.at(2), Speaker { voice, language });
        assert_eq!(*speakers.at(0), Speaker::default());
        assert_eq!(*speakers.at(99), Speaker::default());
        assert_eq!(speakers.use_language("es-ES"), 2, "the same again");
        speakers.back_to(0);
        assert_eq!(speakers.use_voice("spanish"), 1, "without the language");
        speakers.back_to(99);
        assert_eq!(speakers.use_voice("spanish"), 1);
    }

    #[test]
    fn at_the_bound_the_latest_is_replaced() {
        let mut speakers = Speakers::new();
        let numbers: Vec<u32> = (0..40)
            .map(|n| speakers.use_voice(&n.to_string()))
            .collect();
        assert_eq!(numbers[MAX_SPEAKERS - 2], 15);
        assert!(
            numbers[MAX_SPEAKERS - 1..]
                .iter()
                .all(|&number| number == 15)
        );
        assert_eq!(speakers.at(15).voice.as_deref(), Some("39"));
    }
}
