//! From samples to text: how long a window to listen to, which token to take, when to stop, and when not to believe it.
//!
//! The likeliest token is taken each time. Whisper's own program tries again at rising temperatures when a text looks
//! wrong; on the phone that answer would come too late, so there is one other try only, with the full window.

use super::math::softmax;
use super::mel::{HOP, SAMPLE_RATE};
use super::{Model, Stopped, WINDOW_SECS, Watch};
use crate::file::Token;

/// Silence behind the sound, in positions of 20 ms. Whisper learned that a text ends in silence: with one second of it
/// tiny.en has five times the errors in 45 prompts, with two as few as in the whole window; this is three.
const SILENCE_POSITIONS: usize = 150;
/// The shortest window, in positions: 12 s. Below it single words are repeated to the end: of 39, one at 10 s and five at 8 s,
/// but none at 12 s. From there on errors are those of the whole window, for a third of its work.
const WINDOW_MIN_POSITIONS: usize = 600;
/// Tokens a second of speech may have. Fast speakers reach 5; more is a text that repeats itself.
const TOKENS_PER_SEC: usize = 8;
/// Tokens that the shortest sound may have.
const TOKENS_LEAST: usize = 12;
/// Tokens of one window at most, as in Whisper's own program: half of its positions.
const TOKENS_MOST: usize = 224;
/// Times that the same few tokens stand one behind the other before a text counts as a loop.
const REPEATS: usize = 4;
/// Above this likelihood that nobody spoke, and with a text below [`SURE_LEAST`], there were no words. Whisper's own program
/// says 0.6 and -1.0; but it does not hear single coughs, of which both models make laughter ("Ha ha ha") at 0.45 to 0.63
/// and -0.9 or less. Of some 150 prompts and 38 single words of two people none has more than 0.37 with a text below -0.5.
const NO_SPEECH: f32 = 0.4;
/// See [`NO_SPEECH`].
const SURE_LEAST: f32 = -0.8;
/// Above this likelihood there were no words, whatever the text. Digital silence, of which tiny.en makes a confident "you",
/// has 0.99, music on hold, of which it does the same, 0.92; people speaking have 0.55 at most.
const SURELY_NO_SPEECH: f32 = 0.75;

/// What was understood.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Text {
    /// The words; empty when nobody spoke any.
    pub words: String,
    /// How likely the network finds that nobody spoke, from 0 to 1.
    pub no_speech: f32,
    /// How sure it was of its tokens, as the mean of their logarithms: 0 is certain.
    pub sureness: f32,
}

/// A text as it was written, believable or not.
struct Draft {
    tokens: Vec<Token>,
    no_speech: f32,
    sureness: f32,
    /// It came to its end by itself and does not go round in circles.
    sound: bool,
}

impl Model {
    /// Writes down what is said in `samples`, 16,000 a second and between -1 and 1; what is longer than
    /// [`WINDOW_SECS`] is cut. Without a language a model of many finds out itself.
    ///
    /// # Errors
    /// [`Stopped`], soon after `watch` was told to.
    pub fn hear(
        &self,
        samples: &[f32],
        language: Option<&str>,
        watch: &Watch,
    ) -> Result<Text, Stopped> {
        let samples = &samples[..samples.len().min(WINDOW_SECS * SAMPLE_RATE)];
        if samples.is_empty() {
            return Ok(Text::default());
        }
        let mel = self.filter.of(samples);
        let whole = self.encoder.positions();
        let needed = samples.len().div_ceil(2 * HOP) + SILENCE_POSITIONS;
        let window = needed.max(WINDOW_MIN_POSITIONS).min(whole);
        let most = (samples.len() * TOKENS_PER_SEC / SAMPLE_RATE + TOKENS_LEAST).min(TOKENS_MOST);
        let mut draft = self.write(
            &self.encoder.run(&mel, window, watch)?,
            most,
            language,
            watch,
        )?;
        if !draft.sound && window < whole {
            draft = self.write(
                &self.encoder.run(&mel, whole, watch)?,
                most,
                language,
                watch,
            )?;
        }
        if !draft.sound {
            cut_circles(&mut draft.tokens);
        }
        let unsure = draft.sureness < SURE_LEAST;
        let nobody = draft.no_speech > if unsure { NO_SPEECH } else { SURELY_NO_SPEECH };
        Ok(Text {
            words: match nobody {
                true => String::new(),
                false => spoken(&self.vocabulary.text(&draft.tokens)),
            },
            no_speech: draft.no_speech,
            sureness: draft.sureness,
        })
    }

    fn write(
        &self,
        heard: &[f32],
        most: usize,
        language: Option<&str>,
        watch: &Watch,
    ) -> Result<Draft, Stopped> {
        let vocabulary = &self.vocabulary;
        let mut writing = self.decoder.begin(heard);
        let mut state = writing.write(vocabulary.start);
        let mut first = writing.weigh(&state);
        let language = match language {
            _ if !self.multilingual => None,
            Some(code) => vocabulary.language(code),
            None => {
                let likely = |a: &&Token, b: &&Token| first[**a].total_cmp(&first[**b]);
                self.languages.iter().max_by(likely).copied()
            }
        };
        let all = first.len();
        softmax(&mut first, all);
        let no_speech = vocabulary.no_speech.map_or(0.0, |token| first[token]);
        let task = language.and(vocabulary.transcribe);
        for token in [language, task, Some(vocabulary.no_timestamps)]
            .into_iter()
            .flatten()
        {
            state = writing.write(token);
        }
        let mut draft = Draft {
            tokens: Vec::new(),
            no_speech,
            sureness: 0.0,
            sound: false,
        };
        for _ in 0..most.min(writing.room()) {
            watch.look()?;
            let mut logits = writing.weigh(&state);
            let first = draft.tokens.is_empty();
            let unwanted = self
                .never
                .iter()
                .chain(self.not_first.iter().filter(|_| first));
            for token in unwanted {
                logits[*token] = f32::NEG_INFINITY;
            }
            let token = greatest(&logits);
            softmax(&mut logits, all);
            draft.sureness += logits[token].max(1e-10).ln();
            if token == vocabulary.end {
                draft.sound = true;
                break;
            }
            draft.tokens.push(token);
            if circle(&draft.tokens).is_some() {
                break;
            }
            state = writing.write(token);
        }
        draft.sureness /= (draft.tokens.len() + 1) as f32;
        Ok(draft)
    }
}

/// The most likely token.
fn greatest(logits: &[f32]) -> Token {
    let mut best = 0;
    for (token, x) in logits.iter().enumerate() {
        if *x > logits[best] {
            best = token;
        }
    }
    best
}

/// The length of what the tokens end with [`REPEATS`] times over, if they do. A single token may be repeated twice as
/// often: "no, no, no, no" is said, and so is a number with many zeros.
fn circle(tokens: &[Token]) -> Option<usize> {
    (1..=tokens.len() / REPEATS).find(|length| {
        let times = if *length <= 2 { 2 * REPEATS } else { REPEATS };
        tokens.len() >= times * length && {
            let end = &tokens[tokens.len() - times * length..];
            end[*length..] == end[..end.len() - length]
        }
    })
}

/// Leaves of what goes round in circles the first round.
fn cut_circles(tokens: &mut Vec<Token>) {
    if let Some(length) = circle(tokens) {
        let mut keep = tokens.len();
        while keep > 2 * length
            && tokens[keep - length..keep] == tokens[keep - 2 * length..keep - length]
        {
            keep -= length;
        }
        tokens.truncate(keep);
    }
}

/// The words without what is no speech: Whisper was taught by subtitles, which write `(coughs)`, `[music]`, `♪` and laughter,
/// of which it makes coughs, too.
fn spoken(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    let mut depth = 0u32;
    for letter in text.chars() {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '♪' | '♫' => {}
            _ if depth == 0 => words.push(letter),
            _ => {}
        }
    }
    match words.chars().any(char::is_alphanumeric) && !laughter(&words) {
        true => words.split_whitespace().collect::<Vec<_>>().join(" "),
        false => String::new(),
    }
}

/// Nothing but "Ha ha", "hahaha" or "jajaja"; one "ha" alone is Spanish, and "Ja, ja" is German.
fn laughter(text: &str) -> bool {
    let mut syllables = 0;
    for word in text
        .to_lowercase()
        .split(|letter: char| !letter.is_alphanumeric())
    {
        if word.contains(|letter| !matches!(letter, 'h' | 'j' | 'a')) {
            return false;
        }
        syllables += word.matches("ha").count() + word.matches("jaja").count() * 2;
    }
    syllables > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_found_and_cut_to_their_first_round() {
        let mut said = vec![7, 8];
        for _ in 0..REPEATS {
            assert_eq!(circle(&said), None, "{said:?}");
            said.extend([1, 2, 3]);
        }
        assert_eq!(circle(&said), Some(3));
        cut_circles(&mut said);
        assert_eq!(said, [7, 8, 1, 2, 3]);
    }

    #[test]
    fn what_is_said_several_times_is_no_circle() {
        assert_eq!(circle(&[5; 2 * REPEATS - 1]), None);
        assert_eq!(circle(&[1, 2, 1, 2, 1, 2, 1, 2]), None);
        assert_eq!(circle(&[1, 2, 3, 1, 2, 3, 1, 2, 3]), None);
        assert_eq!(circle(&[]), None);
    }

    #[test]
    fn what_subtitles_write_beside_words_is_none() {
        let table = [
            ("(coughs)", ""),
            ("[BLANK_AUDIO]", ""),
            ("♪ ♪", ""),
            (" . . .", ""),
            ("Yes (laughs) please.", "Yes please."),
            ("Extension 42.", "Extension 42."),
            ("¿Sí?", "¿Sí?"),
            ("Ha ha ha!", ""),
            ("Ahahahah", ""),
            ("¡Jajaja!", ""),
            ("Ja, ja.", "Ja, ja."),
            ("Ha.", "Ha."),
            ("Ha ha, 5.", "Ha ha, 5."),
            ("Haha, hello.", "Haha, hello."),
        ];
        for (text, words) in table {
            assert_eq!(spoken(text), words, "{text}");
        }
    }
}
