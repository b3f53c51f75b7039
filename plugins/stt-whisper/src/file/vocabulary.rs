//! Tokens and what they stand for. Whisper writes bytes in disguise: each byte of a text has a printable letter of its own
//! (GPT-2's table), and tokens are strings of such letters. Tokens between `<|` and `|>` are signals, not text.

use std::collections::HashMap;

/// A token's number: its row in the embeddings.
pub(crate) type Token = usize;

/// Most tokens in a vocabulary; Whisper's have 51,866 at most.
const TOKENS_MAX: usize = 100_000;

/// See the file's head.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    tokens: Vec<String>,
    signals: HashMap<String, Token>,
    bytes: HashMap<char, u8>,
    /// Ends a text. Everything behind it in the vocabulary is a signal.
    pub(crate) end: Token,
    /// Begins every transcript.
    pub(crate) start: Token,
    pub(crate) transcribe: Option<Token>,
    pub(crate) no_timestamps: Token,
    /// The network's way to say that nobody speaks.
    pub(crate) no_speech: Option<Token>,
}

impl Vocabulary {
    /// From `vocabulary.txt`: a token a line.
    pub(crate) fn from_lines(text: &str) -> Result<Vocabulary, String> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        Vocabulary::new(
            text.split('\n')
                .map(|line| line.trim_end_matches('\r').to_owned()),
        )
    }

    /// From `vocabulary.json`: a list of tokens.
    pub(crate) fn from_json(text: &str) -> Result<Vocabulary, String> {
        let tokens: Vec<String> =
            serde_json::from_str(text).map_err(|e| format!("{e}; get the file anew"))?;
        Vocabulary::new(tokens.into_iter())
    }

    fn new(tokens: impl Iterator<Item = String>) -> Result<Vocabulary, String> {
        let tokens: Vec<String> = tokens.take(TOKENS_MAX + 1).collect();
        if tokens.len() > TOKENS_MAX {
            return Err(format!("it has more than {TOKENS_MAX} tokens"));
        }
        let signals: HashMap<String, Token> = tokens
            .iter()
            .enumerate()
            .filter_map(|(number, token)| {
                let name = token.strip_prefix("<|")?.strip_suffix("|>")?;
                Some((name.to_owned(), number))
            })
            .collect();
        let known = |name: &str| {
            signals.get(name).copied().ok_or_else(|| {
                format!("it lacks `<|{name}|>`; take the vocabulary that came with the model")
            })
        };
        Ok(Vocabulary {
            end: known("endoftext")?,
            start: known("startoftranscript")?,
            transcribe: known("transcribe").ok(),
            no_timestamps: known("notimestamps")?,
            no_speech: known("nospeech").or_else(|_| known("nocaptions")).ok(),
            bytes: disguises(),
            signals,
            tokens,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The token that tells a model of many languages which one is spoken: `es`, also for `es-MX`.
    pub(crate) fn language(&self, code: &str) -> Option<Token> {
        let code = code.split(['-', '_']).next()?.to_ascii_lowercase();
        // Other signals are longer words, or numbers with a point.
        let is_code = (2..=3).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase());
        is_code.then(|| self.signals.get(&code).copied()).flatten()
    }

    /// All languages it can be told.
    pub(crate) fn languages(&self) -> Vec<Token> {
        let mut languages: Vec<Token> = self
            .signals
            .keys()
            .filter_map(|name| self.language(name))
            .collect();
        languages.sort_unstable();
        languages.dedup();
        languages
    }

    /// The same as codes, in order.
    pub(crate) fn codes(&self) -> Vec<String> {
        let codes = self
            .signals
            .keys()
            .filter(|name| self.language(name).is_some());
        let mut codes: Vec<String> = codes.cloned().collect();
        codes.sort_unstable();
        codes
    }

    /// The text that tokens stand for; signals and unknown ones are left out.
    pub(crate) fn text(&self, tokens: &[Token]) -> String {
        let written = tokens
            .iter()
            .filter(|token| **token < self.end)
            .filter_map(|token| self.tokens.get(*token));
        let bytes: Vec<u8> = written
            .flat_map(|token| token.chars())
            .filter_map(|letter| self.bytes.get(&letter).copied())
            .collect();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }
}

/// GPT-2's table: printable bytes stand for themselves, the others for the letters from U+0100 on, in order.
fn disguises() -> HashMap<char, u8> {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let mut next = 0x100;
    let mut letter = |byte: u8| {
        if printable(byte) {
            return char::from(byte);
        }
        next += 1;
        char::from_u32(next - 1).unwrap_or(char::REPLACEMENT_CHARACTER)
    };
    (0..=255).map(|byte| (letter(byte), byte)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LINES: &str = "a\n\u{120}S\u{c3}\u{143}\n!\n\u{c3}\n\u{142}\n<|endoftext|>\n<|startoftranscript|>\n<|en|>\n<|es|>\n\
                         <|translate|>\n<|transcribe|>\n<|nocaptions|>\n<|notimestamps|>\n<|0.00|>\n";

    #[test]
    fn letters_in_disguise_become_text() {
        let vocabulary = Vocabulary::from_lines(LINES).unwrap();
        // "Ã" stands for byte c3, the letter 0x143 for ad... together they are an i with an accent.
        assert_eq!(vocabulary.text(&[1]), "S\u{ed}");
        assert_eq!(vocabulary.text(&[1, 2, 5, 8, 0, 99]), "S\u{ed}!a");
        // Half a letter, which a loop may end with.
        assert_eq!(vocabulary.text(&[0, 3]), "a\u{fffd}");
    }

    #[test]
    fn every_byte_has_a_letter_of_its_own() {
        let table = disguises();
        assert_eq!(table.len(), 256);
        for (letter, byte) in [
            ('!', 0x21),
            ('\u{100}', 0),
            ('\u{120}', 0x20),
            ('\u{121}', 0x7f),
            ('\u{143}', 0xad),
        ] {
            assert_eq!(table[&letter], byte, "{letter}");
        }
    }

    #[test]
    fn languages_are_found_by_their_code() {
        let vocabulary = Vocabulary::from_lines(LINES).unwrap();
        assert_eq!(vocabulary.languages(), [7, 8]);
        assert_eq!(vocabulary.codes(), ["en", "es"]);
        for (code, token) in [
            ("es", Some(8)),
            ("es-MX", Some(8)),
            ("EN_us", Some(7)),
            ("fr", None),
            ("", None),
            ("0.00", None),
        ] {
            assert_eq!(vocabulary.language(code), token, "{code}");
        }
        assert_eq!(vocabulary.no_speech, Some(11));
    }

    #[test]
    fn vocabulary_without_its_signals_is_refused_by_name() {
        let refused = Vocabulary::from_lines("a\nb\n<|endoftext|>\n").unwrap_err();
        assert!(
            refused.starts_with("it lacks `<|startoftranscript|>`"),
            "{refused}"
        );
        assert!(
            Vocabulary::from_json("{}")
                .unwrap_err()
                .contains("expected a sequence")
        );
        let json = serde_json::to_string(&LINES.lines().collect::<Vec<_>>()).unwrap();
        assert_eq!(Vocabulary::from_json(&json).unwrap().end, 5);
    }
}
