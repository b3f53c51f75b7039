//! When a media thread is too late, and for how long already: what makes of single late ticks, which every machine has,
//! the one line in the log that says there are too many calls. The metric has each of them.
//!
//! Pure: it is told the time, and says when there is something to tell.

use std::time::{Duration, Instant};

/// A tick that comes so late is missed by somebody's ear: more than half of what the carrier is kept ahead
/// (`media.lead_ms`, 250 ms) is gone with two of them.
const LATE: Duration = Duration::from_millis(80);

/// So many of them in a row are no hiccup: the thread has more to do than there is time for.
const IN_A_ROW: u32 = 5;

/// One that comes so late is told by itself: callers heard nothing meanwhile. A thread with far too much to do hardly
/// comes to tick at all.
const FAR_TOO_LATE: Duration = Duration::from_millis(500);

/// It is told no more often than this.
const AGAIN: Duration = Duration::from_secs(60);

/// Of one thread.
#[derive(Debug, Default)]
pub(super) struct Lateness {
    in_a_row: u32,
    told: Option<Instant>,
}

impl Lateness {
    /// A tick came so late. True if that has to be told now.
    pub(super) fn tick(&mut self, late: Duration, now: Instant) -> bool {
        if late < LATE {
            self.in_a_row = 0;
            return false;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        let lately = self
            .told
            .is_some_and(|told| now.duration_since(told) < AGAIN);
        let grave = self.in_a_row >= IN_A_ROW || late >= FAR_TOO_LATE;
        if !grave || lately {
            return false;
        }
        self.told = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One sign per tick: `.` in time, `L` late, `F` far too late; what is told is marked below it. A tick is 100 ms after
    /// the one before.
    fn told(ticks: &str) -> String {
        let (mut lateness, mut now) = (Lateness::default(), Instant::now());
        let mark = |tick| {
            now += Duration::from_millis(100);
            let late = match tick {
                'L' => FAR_TOO_LATE - Duration::from_micros(1),
                'F' => FAR_TOO_LATE,
                _ => LATE - Duration::from_micros(1),
            };
            if lateness.tick(late, now) { 'x' } else { ' ' }
        };
        let marks: String = ticks.chars().map(mark).collect();
        marks.trim_end().to_owned()
    }

    #[test]
    fn late_ticks_are_told_when_they_do_not_end() {
        for (ticks, marks) in [
            ("..........", ""),
            ("LLLL.LLLL.", ""),
            ("..LLLLLLLL", "      x"),
            ("LLLLL.LLLLL", "    x"),
            ("..F..F", "  x"),
        ] {
            assert_eq!(told(ticks), marks, "{ticks}");
        }
    }

    #[test]
    fn it_is_told_once_a_minute() {
        let marks = told(&"L".repeat(1300));
        let at: Vec<usize> = marks.match_indices('x').map(|(at, _)| at).collect();
        assert_eq!(at, [4, 604, 1204]);
    }
}
