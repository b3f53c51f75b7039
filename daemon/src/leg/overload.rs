//! Whether a media thread has more to do than there is time for, so that no more calls are let in: what makes of its late
//! ticks a yes or a no that lasts. One long hiccup, and a few seconds of hiccups, are neither: every machine has them.
//!
//! ```text
//! second   1  2  3  4  5  6  7  8  9  10 11 12 13    L: the calls waited for more than a quarter of it
//!          .  L  L  .  L  L  L  L  .  .  .  .  .
//! too late                   ├────────────────┤      from three in a row on, until five in a row are none
//! ```
//!
//! It is the time that counts and not the ticks: a thread that is far behind hardly comes to tick, and a single tick that is
//! eight seconds late stands for them all. Seconds begin and end with a tick, so that such a one is one of them.
//!
//! Pure: it is told the time.

use std::time::{Duration, Instant};

/// Ticks are judged by the second.
const SECOND: Duration = Duration::from_secs(1);

/// More than one part in so many of a second spent waiting makes a bad one. With ten builds beside it on two cores a thread
/// that carries five calls made its calls wait for a hundredth of the time (2026-11-29); one that has too much to do, for
/// nearly all of it.
const ONE_IN: u32 = 4;

/// So many bad seconds in a row, and the thread has too much to do.
const BAD_SECONDS: u32 = 3;

/// So many good ones in a row, and it no longer has.
const GOOD_SECONDS: u32 = 5;

/// Of one thread.
#[derive(Debug, Default)]
pub(super) struct Overload {
    /// When the present second began.
    since: Option<Instant>,
    /// What calls waited in it.
    waited: Duration,
    /// Seconds in a row that speak against what is held now.
    against: u32,
    is_on: bool,
}

impl Overload {
    /// A tick came so late, where more than `bound` is too late; none is if that is zero. `Some` if this changes the
    /// answer: whether the thread has too much to do.
    pub(super) fn tick(&mut self, late: Duration, bound: Duration, now: Instant) -> Option<bool> {
        if bound.is_zero() {
            return self.rest();
        }
        if late > bound {
            self.waited = self.waited.saturating_add(late);
        }
        let took = now.duration_since(*self.since.get_or_insert(now));
        if took < SECOND {
            return None;
        }
        let is_bad = self.waited.saturating_mul(ONE_IN) > took;
        (self.since, self.waited) = (Some(now), Duration::ZERO);
        if is_bad == self.is_on {
            self.against = 0;
            return None;
        }
        self.against += 1;
        let enough = if is_bad { BAD_SECONDS } else { GOOD_SECONDS };
        if self.against < enough {
            return None;
        }
        (self.against, self.is_on) = (0, is_bad);
        Some(is_bad)
    }

    /// There is nothing to do, or nobody minds: what was before says nothing about what comes. Answers as a tick.
    pub(super) fn rest(&mut self) -> Option<bool> {
        std::mem::take(self).is_on.then_some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_millis(20);
    const TICKS: u32 = 20;

    /// What a strip of seconds makes of a thread, each sign a second of twenty ticks: `.` none of them too late, `l` five of
    /// them by 50 ms, `L` six, `A` all; `H` one hiccup of eight seconds; `r` nothing to do; `0` as `A`, while nobody minds.
    /// Below: `(` from here on it has too much to do, `)` it no longer has.
    fn drawn(seconds: &str) -> String {
        let (mut overload, mut now) = (Overload::default(), Instant::now());
        let mut second = |sign| {
            let late = match sign {
                'l' => 5,
                'L' => 6,
                'A' | '0' => TICKS,
                'H' => {
                    now += SECOND * 8;
                    return overload.tick(SECOND * 8, BOUND, now);
                }
                'r' => return overload.rest(),
                _ => 0,
            };
            let bound = if sign == '0' { Duration::ZERO } else { BOUND };
            let mut changed = None;
            for tick in 0..TICKS {
                now += SECOND / TICKS;
                // From the end: a second is judged by the first tick of the next.
                let is_late = tick >= TICKS - late;
                let by = if is_late { SECOND / TICKS } else { BOUND };
                changed = changed.or(overload.tick(by, bound, now));
            }
            changed
        };
        let mark = |sign| match second(sign) {
            Some(true) => '(',
            Some(false) => ')',
            None => ' ',
        };
        let marks: String = seconds.chars().map(mark).collect();
        marks.trim_end().to_owned()
    }

    #[test]
    fn bad_seconds_in_a_row_shut_the_door_and_good_ones_open_it() {
        for (seconds, marks) in [
            ("....................", ""),
            ("llllllllllllllllllll", ""),
            (".LLLL......", "    (     )"),
            // Fewer do neither.
            ("LL.LL.LL.LL.", ""),
            (".AAAA....A....A......", "    (               )"),
        ] {
            assert_eq!(drawn(seconds), marks, "{seconds}");
        }
    }

    #[test]
    fn a_hiccup_is_none_however_long_and_nothing_but_hiccups_is_one() {
        for (seconds, marks) in [("..H...H..H...", ""), (".HHHHH", "   (")] {
            assert_eq!(drawn(seconds), marks, "{seconds}");
        }
    }

    #[test]
    fn who_has_nothing_to_do_or_nobody_who_minds_is_not_late() {
        for (seconds, marks) in [
            (".AAAAr", "    ()"),
            (".AArAA.", ""),
            (".AAAA0", "    ()"),
            ("0000000", ""),
        ] {
            assert_eq!(drawn(seconds), marks, "{seconds}");
        }
    }
}
