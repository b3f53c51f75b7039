//! What an agent says on its own account and what it listens for, by its language: English, Spanish, and English for all
//! others. Every one is the default of a key under `[agents.NAME.turn]`.

/// What an agent says and listens for unless told otherwise.
pub(super) struct Sentences {
    pub(super) no_input: &'static str,
    pub(super) goodbye: &'static str,
    pub(super) apology: &'static str,
    pub(super) one_moment: &'static str,
    /// What one says to show that one listens. None is an answer to a question by itself but for the shortest, and those
    /// are said in the middle of somebody else's sentence more often than at its end.
    pub(super) back_channels: &'static [&'static str],
    /// Words a sentence does not end with: articles, conjunctions, prepositions that want a noun, and the sounds of
    /// somebody who thinks. Not "in" or "that": "I am in", "I want that".
    pub(super) unfinished_words: &'static [&'static str],
}

impl Sentences {
    /// Those of a language such as `es` or `es-MX`.
    pub(super) fn of(language: &str) -> Sentences {
        let primary = language.split('-').next().unwrap_or_default();
        if primary.eq_ignore_ascii_case("es") {
            SPANISH
        } else {
            ENGLISH
        }
    }
}

const ENGLISH: Sentences = Sentences {
    no_input: "Are you still there?",
    goodbye: "I cannot hear you, so I will hang up now. Goodbye!",
    apology: "Sorry, something went wrong. Could you say that again?",
    one_moment: "One moment, please.",
    back_channels: &[
        "mm-hm", "mhm", "uh-huh", "mm", "hm", "hmm", "yeah", "yes", "yep", "ok", "okay", "right",
        "sure",
    ],
    unfinished_words: &[
        "a", "an", "the", "and", "or", "but", "so", "because", "if", "of", "for", "with", "my",
        "your", "um", "uh",
    ],
};

const SPANISH: Sentences = Sentences {
    no_input: "¿Sigue ahí?",
    goodbye: "No le oigo, así que voy a colgar. ¡Hasta pronto!",
    apology: "Perdone, algo ha fallado. ¿Puede repetirlo?",
    one_moment: "Un momento, por favor.",
    back_channels: &[
        "ajá", "mm", "mhm", "hm", "ah", "eh", "sí", "ya", "claro", "vale", "bueno", "ok", "okay",
        "bien",
    ],
    unfinished_words: &[
        "el", "la", "los", "las", "un", "una", "y", "e", "o", "u", "pero", "porque", "si", "que",
        "de", "del", "a", "al", "con", "en", "por", "para", "mi", "su", "eh", "em",
    ],
};
