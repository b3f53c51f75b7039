//! "Did you mean": the name closest to a mistyped one. Only for hints; nothing is taken because it is near.

/// Longer words are near nothing: this bounds the work.
const WORD_CHARS: usize = 64;

/// The hint, with a space before it, or nothing: one slip in three letters is near.
pub(crate) fn did_you_mean<'c>(word: &str, known: impl IntoIterator<Item = &'c str>) -> String {
    let limit = (word.chars().count() / 3).max(1);
    let near = known
        .into_iter()
        .map(|candidate| (slips(word, candidate), candidate))
        .filter(|(slips, _)| *slips <= limit)
        .min();
    match near {
        Some((_, near)) => format!("; did you mean `{near}`?"),
        None => String::new(),
    }
}

/// Letters to add, drop, change or swap with their neighbour.
fn slips(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().flat_map(char::to_lowercase).collect();
    let to: Vec<char> = to.chars().flat_map(char::to_lowercase).collect();
    if from.len() > WORD_CHARS || to.len() > WORD_CHARS {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for i in 1..=from.len() {
        let mut next = vec![i];
        for j in 1..=to.len() {
            let change = row[j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut least = change.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[to.len()]
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
        assert_eq!(did_you_mean(&"x".repeat(100), known), "");
    }
}
