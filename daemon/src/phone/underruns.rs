//! Holes in the agent's speech: stretches in which the carrier had nothing to play although the agent had not finished.
//!
//! Pure: told of sound, marks and clears in the order they came off the wire. A daemon sets a mark behind each
//! utterance, and that tells a hole, however long, from a pause, however short:
//!
//! ```text
//!   sound ─ dry ─ sound ─ mark ─ dry ─ sound ─ mark
//!            ↑ a hole             ↑ a pause
//! ```
//!
//! A hole counts when a mark or a clear stands behind it: sound of an agent that never sets marks (a live echo) comes as
//! it likes and owes nothing. A dry stretch that begins just behind a mark in mid-utterance passes for a pause.

/// The holes of one stream, and whether the agent has said all that he had begun.
#[derive(Debug)]
pub(super) struct Underruns {
    /// Nothing has come since the last mark or clear.
    settled: bool,
    /// This daemon sets marks.
    marks: bool,
    /// Holes since the last mark or clear, and the longest of them.
    open: (u32, u64),
    count: u32,
    longest_ms: u64,
}

impl Default for Underruns {
    fn default() -> Underruns {
        Underruns {
            settled: true,
            marks: false,
            open: (0, 0),
            count: 0,
            longest_ms: 0,
        }
    }
}

impl Underruns {
    /// Sound came; there had been nothing to play for so long before it, or 0.
    pub(super) fn sound(&mut self, dry_ms: u64) {
        if dry_ms > 0 && !self.settled {
            self.open = (self.open.0 + 1, self.open.1.max(dry_ms));
        }
        self.settled = false;
    }

    /// A mark came, behind all sound until now.
    pub(super) fn mark(&mut self) {
        self.marks = true;
        self.settle();
    }

    /// What was not played yet is thrown away, and silence is meant.
    pub(super) fn clear(&mut self) {
        self.settle();
    }

    /// How many, and the longest in milliseconds, once the stream is over.
    pub(super) fn total(mut self) -> (u32, u64) {
        self.settle();
        (self.count, self.longest_ms)
    }

    /// Whether the agent has begun something whose end he has not marked yet.
    pub(super) fn is_more_to_come(&self) -> bool {
        self.marks && !self.settled
    }

    fn settle(&mut self) {
        let (count, longest_ms) = std::mem::take(&mut self.open);
        if self.marks {
            self.count += count;
            self.longest_ms = self.longest_ms.max(longest_ms);
        }
        self.settled = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `s` sound without a hole before it, a digit sound after so many times 40 ms of nothing, `m` a mark, `c` a clear.
    fn heard(drawn: &str) -> (u32, u64) {
        let mut underruns = Underruns::default();
        for what in drawn.chars() {
            match what {
                'm' => underruns.mark(),
                'c' => underruns.clear(),
                's' => underruns.sound(0),
                dry => underruns.sound(u64::from(dry.to_digit(10).unwrap_or(0)) * 40),
            }
        }
        underruns.total()
    }

    #[test]
    fn a_hole_is_what_no_mark_stands_before() {
        for (drawn, holes) in [
            ("9ssm9ssm", (0, 0)), // pauses before, between and behind utterances, however long
            ("ss1sm", (1, 40)),
            ("ss3sm", (1, 120)), // three frames and more are no pause either
            ("s9s2sm1s3sm", (3, 360)),
            ("sm1sm", (0, 0)),     // a short pause is none the less a pause
            ("ms2sc9sm", (1, 80)), // interrupted after a hole; the silence after it was meant
            ("msm s2s", (1, 80)),  // the caller hung up in mid-utterance
            ("s1s2s1s9s", (0, 0)), // a live echo sets no marks
        ] {
            assert_eq!(heard(&drawn.replace(' ', "")), holes, "{drawn}");
        }
    }

    #[test]
    fn more_is_to_come_until_the_mark() {
        let mut underruns = Underruns::default();
        underruns.sound(0);
        assert!(!underruns.is_more_to_come(), "he may be one without marks");
        underruns.mark();
        assert!(!underruns.is_more_to_come());
        underruns.sound(0);
        assert!(underruns.is_more_to_come());
        underruns.clear();
        assert!(!underruns.is_more_to_come());
    }
}
