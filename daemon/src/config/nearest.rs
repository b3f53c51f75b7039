//! "Did you mean": the name closest to a mistyped one.
//!
//! Only for hints. Nothing is ever accepted because it is close.

/// The candidate that the word was most likely meant to be, or `None` if none is near enough to suggest.
///
/// Near enough is one slip in three letters; swapped neighbours count as one slip. So is what only lacks its unit.
pub(super) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let limit = (word.chars().count() / 3).max(1);
    let lacks_its_unit = |candidate: &str| {
        let unit = candidate.strip_prefix(word);
        unit.is_some_and(|unit| UNITS.contains(&unit)) && !word.is_empty()
    };
    candidates
        .into_iter()
        .map(|candidate| (slips(word, candidate), candidate))
        .filter(|&(slips, candidate)| slips <= limit || lacks_its_unit(candidate))
        .min()
        .map(|(_, candidate)| candidate)
}

/// What ends the name of a key that is a time.
const UNITS: [&str; 2] = ["_ms", "_secs"];

/// Longer words are never near anything: this bounds the work, which grows with the product of the lengths.
const WORD_CHARS: usize = 64;

/// How many letters must be added, dropped, changed or swapped with their neighbour (optimal string alignment).
fn slips(from: &str, to: &str) -> usize {
    if from.chars().count() > WORD_CHARS || to.chars().count() > WORD_CHARS {
        return usize::MAX;
    }
    strsim::osa_distance(&from.to_lowercase(), &to.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted_like_a_typist_counts_them() {
        for (from, to, count) in [
            ("", "", 0),
            ("", "abc", 3),
            ("voice", "voice", 0),
            ("voice", "voices", 1),
            ("vioce", "voice", 1),
            ("Voice", "voice", 0),
            ("agent", "number", 6),
            ("zürich", "zurich", 1),
        ] {
            assert_eq!(slips(from, to), count, "{from} → {to}");
            assert_eq!(slips(to, from), count, "{to} → {from}");
        }
    }

    #[test]
    fn only_a_near_word_is_suggested() {
        let keys = ["end_of_turn_ms", "barge_in", "barge_in_ms", "no_input_ms"];
        assert_eq!(nearest("end_of_turn", keys), Some("end_of_turn_ms"));
        assert_eq!(nearest("barge-in", keys), Some("barge_in"));
        assert_eq!(nearest("greeting", keys), None);
        assert_eq!(
            nearest("drain", ["calls", "drain_secs"]),
            Some("drain_secs")
        );
        assert_eq!(nearest("voice", ["voice_deadline_ms"]), None);
        assert_eq!(nearest("", keys), None);
        assert_eq!(nearest(&"e".repeat(100_000), keys), None);
    }
}
