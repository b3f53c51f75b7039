//! Does a sentence sound finished? Judged by its last sign and its last word, which is all that a text tells of it.

/// How a sentence ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With a sign that ends sentences.
    Finished,
    /// With a sign or a word that more follows.
    Unfinished,
    /// With a word like any other.
    Open,
}

/// How a text ends, if nothing is said with `unfinished_words` last (lower case).
///
/// Such a word beats a full stop, because transcribers put one behind everything they hear no more of. It does not
/// beat a question ("what is it for?").
pub(super) fn ending(text: &str, unfinished_words: &[String]) -> Ending {
    let text = text.trim_end_matches(|c: char| c.is_whitespace() || CLOSING.contains(&c));
    if text.ends_with("..") || text.ends_with(GOES_ON) {
        return Ending::Unfinished;
    }
    if text.ends_with(ENDS_FOR_CERTAIN) {
        return Ending::Finished;
    }
    let last = text.split_whitespace().next_back().map(|word| {
        word.trim_matches(|c: char| !c.is_alphanumeric())
            .to_lowercase()
    });
    if last.is_some_and(|last| unfinished_words.contains(&last)) {
        return Ending::Unfinished;
    }
    if text.ends_with(FULL_STOPS) {
        return Ending::Finished;
    }
    Ending::Open
}

/// Signs behind the one that counts.
const CLOSING: &[char] = &['"', '\'', ')', ']', '}', '»', '”', '’', '」', '』', '）'];

const GOES_ON: &[char] = &[',', ';', ':', '-', '–', '—', '…', '、', '，', '،', '‐'];

const ENDS_FOR_CERTAIN: &[char] = &['!', '?', '！', '？', '؟'];

const FULL_STOPS: &[char] = &['.', '。', '．', '।', '۔'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_sign_and_the_last_word_tell() {
        let words = ["and", "um", "que", "for"].map(str::to_owned);
        for (text, expected) in [
            ("I want a table.", Ending::Finished),
            ("Really?", Ending::Finished),
            ("¡Claro que sí!", Ending::Finished),
            ("he said \"yes.\" ", Ending::Finished),
            ("我要一张桌子。", Ending::Finished),
            ("مرحبا؟", Ending::Finished),
            ("I want a table", Ending::Open),
            ("", Ending::Open),
            ("?!", Ending::Finished),
            ("I want a table,", Ending::Unfinished),
            ("I want –", Ending::Unfinished),
            ("I want...", Ending::Unfinished),
            ("I want…", Ending::Unfinished),
            ("the following:", Ending::Unfinished),
            ("a table and", Ending::Unfinished),
            ("a table And.", Ending::Unfinished),
            ("a sand", Ending::Open),
            ("What is it for?", Ending::Finished),
            ("quiero que", Ending::Unfinished),
            ("Um", Ending::Unfinished),
        ] {
            assert_eq!(ending(text, &words), expected, "{text:?}");
        }
    }

    #[test]
    fn without_words_only_signs_tell() {
        assert_eq!(ending("a table and", &[]), Ending::Open);
        assert_eq!(ending("a table and.", &[]), Ending::Finished);
    }
}
