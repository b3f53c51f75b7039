//! "Did you mean": the name closest to a mistyped one. Only for hints; nothing is taken because it is near.

/// Longer words are near nothing: this bounds the work.
const WORD_CHARS: usize = 64;

/// What ends the name of a key that is a time.
const UNITS: [&str; 2] = ["_ms", "_secs"];

/// The hint, with a space before it, or nothing: one slip in three letters is near, and so is what only lacks its unit
/// (`timeout` for `timeout_ms`).
pub(crate) fn did_you_mean<'c>(word: &str, known: impl IntoIterator<Item = &'c str>) -> String {
    let limit = (word.chars().count() / 3).max(1);
    let lacks_its_unit = |candidate: &str| {
        let unit = candidate.strip_prefix(word);
        unit.is_some_and(|unit| UNITS.contains(&unit)) && !word.is_empty()
    };
    let near = known
        .into_iter()
        .map(|candidate| (slips(word, candidate), candidate))
        .filter(|(slips, candidate)| *slips <= limit || lacks_its_unit(candidate))
        .min();
    match near {
        Some((_, near)) => format!("; did you mean `{near}`?"),
        None => String::new(),
    }
}

/// Letters to add, drop, change or swap with their neighbour.
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
    fn only_what_is_near_is_suggested() {
        let known = ["operator", "sales", "support"];
        assert_eq!(did_you_mean("oprator", known), "; did you mean `operator`?");
        assert_eq!(did_you_mean("slaes", known), "; did you mean `sales`?");
        assert_eq!(did_you_mean("goodbye", known), "");
        let keys = ["timeout_ms", "url"];
        assert_eq!(
            did_you_mean("timeout", keys),
            "; did you mean `timeout_ms`?"
        );
        assert_eq!(did_you_mean("time", keys), "");
        assert_eq!(did_you_mean("", keys), "");
        assert_eq!(did_you_mean(&"x".repeat(100), known), "");
    }
}
