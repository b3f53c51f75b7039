//! What the caller heard of the agent's words: how much of a text belongs to so much of its sound, and the words of one
//! reply that have reached his ear. Sound is counted elsewhere, and nothing is decided here.
//!
//! Voices do not say when they speak which word, so the sound is taken to be spread evenly over the letters. That is a
//! word or two off at worst, and it errs on the short side: a word counts when all of it was heard.

use super::input::Turn;
use super::time::SAMPLES_PER_SEC;

/// Voices speak about so many letters in a second. Only used while the length of an utterance is not known.
const LETTERS_PER_SEC: u64 = 15;

/// A letter that is a syllable or a word by itself (Chinese, Japanese, Korean) takes as long as so many others.
const SYLLABLE_LETTERS: u64 = 3;

/// So much of the words of one reply is kept to be told, the latest.
pub const MAX_HEARD_BYTES: usize = 8000;

/// How long a letter takes, as a share of the text it stands in.
fn weight(letter: char) -> u64 {
    if letter >= '\u{2E80}' || ('\u{1100}'..='\u{11FF}').contains(&letter) {
        SYLLABLE_LETTERS
    } else {
        1
    }
}

/// Is it a letter of a script that puts no spaces between words?
pub(super) fn stands_alone(letter: char) -> bool {
    matches!(letter,
        '\u{0E00}'..='\u{0EFF}' // Thai, Lao
        | '\u{1000}'..='\u{109F}' // Burmese
        | '\u{1780}'..='\u{17FF}' // Khmer
        | '\u{2E80}'..='\u{A4CF}' // Chinese, Japanese
        | '\u{F900}'..='\u{FAFF}'
        | '\u{FF00}'..='\u{FFEF}'
        | '\u{20000}'..='\u{3FFFF}')
}

/// Samples a text takes to be spoken, more or less.
pub(super) fn estimated_samples(text: &str) -> u64 {
    text.chars().map(weight).sum::<u64>() * SAMPLES_PER_SEC / LETTERS_PER_SEC
}

/// Length of the beginning of `text` that was heard when `heard` of `total` samples were: whole words, or whole letters
/// where words are not kept apart.
pub(super) fn heard_bytes(text: &str, heard: u64, total: u64) -> usize {
    if heard >= total {
        return if heard == 0 { 0 } else { text.trim_end().len() };
    }
    let all: u64 = text.chars().map(weight).sum();
    let share = u128::from(all) * u128::from(heard) / u128::from(total);
    let (mut passed, mut end) = (0, 0);
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        passed += u128::from(weight(letter));
        if passed > share {
            break;
        }
        let next = letters.peek().map(|(_, next)| *next);
        let word_ends = next.is_none_or(|next| next.is_whitespace() || stands_alone(next));
        if !letter.is_whitespace() && (word_ends || stands_alone(letter)) {
            end = at + letter.len_utf8();
        }
    }
    end
}

/// What the caller heard of the answer to one turn, of the utterances that have left his ear.
#[derive(Debug, Default)]
pub(super) struct HeardReply {
    turn: Turn,
    text: String,
    /// Some of it was sound of the responder's own.
    sounded: bool,
}

impl HeardReply {
    /// He heard this of the answer to `turn`. What he heard of another turn's answer is of no use any more.
    pub(super) fn add(&mut self, turn: Turn, text: &str) {
        self.turn_to(turn);
        append(&mut self.text, text);
    }

    /// He heard sound that the responder made itself in answer to `turn`.
    pub(super) fn add_sound(&mut self, turn: Turn) {
        self.turn_to(turn);
        self.sounded = true;
    }

    fn turn_to(&mut self, turn: Turn) {
        if self.turn != turn {
            self.turn = turn;
            self.text.clear();
            self.sounded = false;
        }
    }

    /// Has he heard sound that the responder made itself in answer to `turn`?
    pub(super) fn sounded(&self, turn: Turn) -> bool {
        self.turn == turn && self.sounded
    }

    /// The words heard of the answer to `turn`, and those that follow.
    pub(super) fn with<'t>(&self, turn: Turn, more: impl Iterator<Item = &'t str>) -> String {
        let mut text = if self.turn == turn {
            self.text.clone()
        } else {
            String::new()
        };
        more.for_each(|more| append(&mut text, more));
        text
    }
}

/// Adds words to words; the oldest go first if there are too many.
fn append(text: &mut String, more: &str) {
    let more = more.trim();
    if !text.is_empty() && !more.is_empty() {
        text.push(' ');
    }
    text.push_str(more);
    if text.len() > MAX_HEARD_BYTES {
        let mut from = text.len() - MAX_HEARD_BYTES;
        while !text.is_char_boundary(from) {
            from += 1;
        }
        text.drain(..from);
    }
}

/// The beginning of a text.
pub(super) fn beginning(text: &str, bytes: usize) -> &str {
    text.get(..bytes).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_counts_when_all_of_it_was_heard() {
        let text = "one two three.";
        for (heard, expected) in [
            (0, ""),
            (2, ""),
            (3, "one"),
            (4, "one"),
            (6, "one"),
            (7, "one two"),
            (13, "one two"),
            (14, "one two three."),
            (99, "one two three."),
        ] {
            assert_eq!(&text[..heard_bytes(text, heard, 14)], expected, "{heard}");
        }
    }

    #[test]
    fn scripts_without_spaces_are_cut_between_letters() {
        for (text, heard, expected) in [
            ("你好世界", 50, "你好"),
            ("你好，世界。", 99, "你好，世界"),
            ("สวัสดี", 50, "สวั"),
            // a word of another script among them is not torn
            ("我用 Linux 电脑", 40, "我用"),
            ("안녕하세요 여러분", 90, "안녕하세요"),
        ] {
            let bytes = heard_bytes(text, heard, 100);
            assert_eq!(&text[..bytes], expected, "{heard} % of {text}");
        }
    }

    #[test]
    fn any_text_is_cut_between_letters_and_grows_with_what_was_heard() {
        for text in [
            "",
            " ",
            "é",
            "a  b ",
            "ab 你 cd好 e\u{301}f",
            "🎉🎉 🎉",
            "\n\n",
        ] {
            let mut before = 0;
            for heard in 0..=50 {
                let bytes = heard_bytes(text, heard, 50);
                assert!(text.is_char_boundary(bytes) && bytes >= before, "{text:?}");
                before = bytes;
            }
            assert_eq!(&text[..before], text.trim_end());
            assert_eq!(heard_bytes(text, 0, 0), 0);
        }
    }

    #[test]
    fn a_long_reply_keeps_its_latest_words() {
        let mut heard = HeardReply::default();
        heard.add(1, "of another turn");
        for _ in 0..10 {
            heard.add(2, &"é".repeat(1000));
        }
        let told = heard.with(2, ["the", "", " end "].into_iter());
        assert!(told.len() <= MAX_HEARD_BYTES && told.ends_with("éé the end"));
        assert!(heard.text.len() > MAX_HEARD_BYTES - 2);
        assert_eq!(heard.with(3, ["no"].into_iter()), "no");
    }

    #[test]
    fn an_unknown_length_is_estimated() {
        assert_eq!(estimated_samples("fifteen letters"), SAMPLES_PER_SEC);
        assert_eq!(estimated_samples("五个字五个"), SAMPLES_PER_SEC);
    }
}
