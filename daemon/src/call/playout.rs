//! The playout clock: what has been sent to the carrier, what the caller has heard of it by now, and how much may
//! follow. It counts samples of the whole call and does not know which utterance they belong to.
//!
//! A carrier plays in real time for as long as it holds something, so between marks the clock simply runs:
//!
//! ```text
//!   samples    0 ───────── head ───────────────── sent
//!                heard      ↑    lead: on its way   ↑
//!                           └ moves with time,      └ moves with `play`
//!                             put right by marks
//! ```
//!
//! A mark that comes back says where the head is *now*; the clock is set to it, forward or back. One that comes twice,
//! or from before a clear, says nothing.

use super::input::Mark;
use super::settings::Settings;
use super::time::{CallTime, samples};
use std::collections::VecDeque;

/// Marks remembered until they come back. They are a second of sound or an utterance apart and at most `lead_ms` are
/// under way, so only a carrier that loses them gets here; the oldest then count as heard.
const MAX_OPEN_MARKS: usize = 64;

/// The shortest piece that is sent: one frame.
const MIN_PIECE_MS: u64 = 20;

/// The longest lead. It only has to outlive a stall of the sender, and every piece of it is an output that waits.
const MAX_LEAD_MS: u64 = 2000;

#[derive(Debug)]
struct OpenMark {
    mark: Mark,
    position: u64,
    /// The end of an utterance: somebody waits for this one.
    ends: bool,
    /// It has been lost if it is not back by now.
    due: CallTime,
}

#[derive(Debug)]
pub(super) struct Playout {
    sent: u64,
    /// Where the head was at `head_at`.
    head: u64,
    head_at: CallTime,
    epoch: u32,
    open: VecDeque<OpenMark>,
    grace_ms: u64,
}

impl Playout {
    pub(super) fn new(grace_ms: u64) -> Playout {
        let open = VecDeque::new();
        let grace_ms = grace_ms.max(MIN_PIECE_MS); // no mark goes there and back in less than a frame
        Playout {
            sent: 0,
            head: 0,
            head_at: CallTime(0),
            epoch: 0,
            open,
            grace_ms,
        }
    }

    /// Samples sent since the call began, those included that were cleared later.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Samples that have left for the caller's ear by now.
    pub(super) fn head(&self, now: CallTime) -> u64 {
        self.sent.min(self.head + now.samples_since(self.head_at))
    }

    /// Samples sent and not yet heard.
    pub(super) fn lead(&self, now: CallTime) -> u64 {
        self.sent - self.head(now)
    }

    /// When the head gets to `position`, if nothing holds it up.
    pub(super) fn time_of(&self, position: u64) -> CallTime {
        self.head_at
            .plus_samples(position.saturating_sub(self.head))
    }

    /// Has the carrier had nothing to play for a moment?
    pub(super) fn ran_dry(&self, now: CallTime) -> bool {
        self.head(now) == self.sent && self.time_of(self.sent) < now
    }

    /// More was sent.
    pub(super) fn play(&mut self, now: CallTime, samples: u64) {
        if self.head(now) == self.sent {
            self.head = self.sent;
            self.head_at = now;
        }
        self.sent += samples;
    }

    /// A mark is to be sent behind what was played. `ends`: an utterance ends here.
    pub(super) fn mark(&mut self, now: CallTime, mut mark: Mark, ends: bool) -> Mark {
        mark.epoch = self.epoch;
        if self.open.len() == MAX_OPEN_MARKS {
            self.open.pop_front();
        }
        let due = self.time_of(self.sent).max(now).plus_ms(self.grace_ms);
        self.open.push_back(OpenMark {
            mark,
            position: self.sent,
            ends,
            due,
        });
        mark
    }

    /// A mark came back: puts the clock right. Returns the position that has been heard for certain, or `None` if
    /// this mark proves nothing.
    pub(super) fn marked(&mut self, now: CallTime, mark: Mark) -> Option<u64> {
        let at = self.open.iter().position(|open| open.mark == mark)?;
        let position = self.open[at].position;
        self.open.drain(..=at);
        self.head = position;
        self.head_at = now;
        for open in &mut self.open {
            open.due = now
                .plus_samples(open.position - position)
                .plus_ms(self.grace_ms);
        }
        Some(position)
    }

    /// When the next mark that somebody waits for counts as lost.
    pub(super) fn due(&self) -> Option<CallTime> {
        self.open.iter().find(|open| open.ends).map(|open| open.due)
    }

    /// Gives up on marks that are overdue. Returns the position that now counts as heard.
    pub(super) fn overdue(&mut self, now: CallTime) -> Option<u64> {
        let at = self
            .open
            .iter()
            .rposition(|open| open.ends && open.due <= now)?;
        let position = self.open[at].position;
        self.open.drain(..=at);
        Some(position)
    }

    /// Everything that was not heard is thrown away, and every mark under way becomes worthless.
    pub(super) fn clear(&mut self, now: CallTime) {
        self.head = self.sent;
        self.head_at = now;
        self.epoch += 1;
        self.open.clear();
    }

    /// As `clear`, but what was not heard is going to be sent again. Returns how much that is.
    pub(super) fn hold(&mut self, now: CallTime) -> u64 {
        let lead = self.lead(now);
        self.take_back(now, lead);
        self.epoch += 1;
        self.open.clear();
        lead
    }

    /// So much of what was sent counts as not sent, heard or not. The head waits there.
    pub(super) fn take_back(&mut self, now: CallTime, samples: u64) {
        let head = self.head(now);
        self.sent = self.sent.saturating_sub(samples);
        self.head = head.min(self.sent);
        self.head_at = now;
    }

    /// So much of what was taken back is not there, and will never be heard.
    pub(super) fn skip(&mut self, samples: u64) {
        self.sent += samples;
        self.head = self.sent;
    }

    /// The silence until now was meant.
    pub(super) fn rest(&mut self, now: CallTime) {
        self.head = self.head(now);
        self.head_at = now;
    }

    #[cfg(test)]
    pub(super) fn open_marks(&self) -> usize {
        self.open.len()
    }
}

/// What to do with samples that stand ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Send so many.
    Play(u64),
    /// Look again then: the lead has to drop first.
    At(CallTime),
    /// Nothing until more stands ready.
    Wait,
}

/// The sizes of what is sent, in samples: a short first piece, then long ones, never further ahead than the lead.
#[derive(Debug)]
pub(super) struct Pace {
    first: u64,
    piece: u64,
    lead: u64,
    /// When more is to be sent, if something waits for that.
    pub(super) at: Option<CallTime>,
}

/// What there is to send from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    pub(super) samples: u64,
    /// Nothing will be added to it.
    pub(super) last: bool,
    /// Its maker speaks live: waiting for a whole piece would only add to the delay.
    pub(super) live: bool,
}

impl Pace {
    pub(super) fn new(settings: &Settings) -> Pace {
        // A piece shorter than a frame would be a message per sample; one longer than the lead could never be sent.
        let size = |ms: u64| samples(ms.clamp(MIN_PIECE_MS, MAX_LEAD_MS));
        let (first, piece) = (size(settings.first_play_ms), size(settings.play_ms));
        Pace {
            first,
            piece,
            lead: size(settings.lead_ms).max(first).max(piece),
            at: None,
        }
    }

    /// How much of `ready` (which is not empty) goes out now.
    pub(super) fn next(&self, now: CallTime, clock: &Playout, ready: Ready) -> Next {
        let lead = clock.lead(now);
        let whole = if lead == 0 { self.first } else { self.piece };
        let waits = ready.samples < whole && !ready.last && !ready.live;
        if waits && lead == 0 {
            return Next::Wait; // better to begin, or begin again, a little later than to stumble at once
        }
        if waits && lead > self.first {
            return Next::At(clock.time_of(clock.sent() - self.first));
        }
        let piece = whole.min(ready.samples);
        if lead + piece > self.lead {
            return Next::At(clock.time_of(clock.sent() + piece - self.lead));
        }
        Next::Play(piece)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> CallTime {
        CallTime::from_ms(ms)
    }

    fn mark(utterance: u32, ms: u64) -> Mark {
        Mark {
            utterance,
            samples: samples(ms),
            epoch: 0,
        }
    }

    #[test]
    fn the_head_runs_in_real_time_and_stops_at_what_was_sent() {
        let mut clock = Playout::new(2000);
        clock.play(at(1000), samples(100));
        for (ms, head_ms) in [(1000, 0), (1040, 40), (1100, 100), (1500, 100)] {
            assert_eq!(clock.head(at(ms)), samples(head_ms), "at {ms} ms");
        }
        assert!(!clock.ran_dry(at(1100)));
        assert!(clock.ran_dry(at(1101)));
        clock.play(at(1500), samples(60));
        assert_eq!(clock.head(at(1530)), samples(130));
        assert_eq!(clock.lead(at(1530)), samples(30));
    }

    #[test]
    fn a_mark_puts_the_clock_right_forward_and_back() {
        for (back_at, expected_ms) in [(1450, 650), (1550, 550)] {
            let mut clock = Playout::new(2000);
            clock.play(at(1000), samples(500));
            let m = clock.mark(at(1000), mark(1, 500), false);
            clock.play(at(1000), samples(400));
            assert_eq!(clock.marked(at(back_at), m), Some(samples(500)));
            assert_eq!(clock.head(at(1600)), samples(expected_ms));
        }
    }

    #[test]
    fn marks_from_before_a_clear_and_marks_that_come_twice_prove_nothing() {
        let mut clock = Playout::new(2000);
        clock.play(at(0), samples(100));
        let old = clock.mark(at(0), mark(1, 100), true);
        clock.clear(at(50));
        assert_eq!(clock.marked(at(60), old), None);
        clock.play(at(60), samples(100));
        let new = clock.mark(at(60), mark(2, 100), true);
        assert_eq!((old.epoch, new.epoch), (0, 1));
        assert!(clock.marked(at(160), new).is_some());
        clock.play(at(160), samples(100));
        assert_eq!(clock.marked(at(200), new), None);
        assert_eq!(clock.lead(at(200)), samples(60));
    }

    #[test]
    fn after_a_clear_nothing_is_under_way() {
        let mut clock = Playout::new(2000);
        clock.play(at(0), samples(300));
        clock.mark(at(0), mark(1, 300), true);
        clock.clear(at(100));
        assert_eq!((clock.lead(at(100)), clock.open_marks()), (0, 0));
        clock.play(at(100), samples(40));
        assert_eq!(clock.lead(at(110)), samples(30));
    }

    #[test]
    fn a_later_mark_stands_for_the_ones_that_were_lost() {
        let mut clock = Playout::new(2000);
        clock.play(at(0), samples(100));
        clock.mark(at(0), mark(1, 100), true);
        clock.play(at(0), samples(100));
        let second = clock.mark(at(0), mark(2, 100), true);
        assert_eq!(clock.marked(at(200), second), Some(samples(200)));
        assert_eq!(clock.due(), None);
    }

    #[test]
    fn a_mark_is_overdue_a_grace_after_its_sound_should_have_ended() {
        let mut clock = Playout::new(2000);
        clock.play(at(0), samples(300));
        let passing = clock.mark(at(0), mark(1, 300), false);
        assert_eq!(
            clock.due(),
            None,
            "nobody waits for a mark in mid-utterance"
        );
        clock.play(at(0), samples(100));
        clock.mark(at(0), mark(1, 400), true);
        assert_eq!(clock.due(), Some(at(2400)));
        clock.marked(at(350), passing); // the carrier is 50 ms behind
        assert_eq!(clock.due(), Some(at(2450)));
        assert_eq!(clock.overdue(at(2449)), None);
        assert_eq!(clock.overdue(at(2450)), Some(samples(400)));
        assert_eq!(clock.open_marks(), 0);
    }

    #[test]
    fn marks_that_are_overdue_together_are_given_up_together() {
        let mut clock = Playout::new(100);
        clock.play(at(0), samples(100));
        clock.mark(at(0), mark(1, 100), true);
        clock.play(at(0), samples(1));
        clock.mark(at(0), mark(2, 1), true);
        assert_eq!(clock.overdue(at(500)), Some(samples(101)));
        assert_eq!(clock.due(), None);
    }

    #[test]
    fn a_carrier_that_loses_every_mark_does_not_fill_the_list() {
        let mut clock = Playout::new(2000);
        for n in 0..500 {
            clock.play(at(n * 1000), samples(1000));
            clock.mark(at(n * 1000), mark(1, n), false);
        }
        assert_eq!(clock.open_marks(), MAX_OPEN_MARKS);
    }

    #[test]
    fn pieces_keep_the_lead() {
        let pace = Pace::new(&Settings::default());
        // (lead now, ready, last, live) → what happens; all in ms, `At` relative to now
        let table = [
            // from silence: 40 ms at once, not less unless there is no more
            ((0, 1000, false, false), Next::Play(samples(40))),
            ((0, 20, false, false), Next::Wait),
            ((0, 20, true, false), Next::Play(samples(20))),
            // then pieces of 100 ms
            ((40, 1000, false, false), Next::Play(samples(100))),
            ((200, 1000, false, false), Next::Play(samples(100))),
            ((240, 1000, false, false), Next::At(at(40))),
            ((300, 1000, true, false), Next::At(at(100))),
            // what is left at the end
            ((240, 60, true, false), Next::Play(samples(60))),
            // less than a piece: wait while there is time, send before it runs dry
            ((150, 60, false, false), Next::At(at(110))),
            ((40, 60, false, false), Next::Play(samples(60))),
            ((1, 10, false, false), Next::Play(samples(10))),
            // live: everything at once, but never too far ahead
            ((0, 20, false, true), Next::Play(samples(20))),
            ((60, 20, false, true), Next::Play(samples(20))),
            ((290, 20, false, true), Next::At(at(10))),
        ];
        for ((lead, ready, last, live), expected) in table {
            let mut clock = Playout::new(0);
            clock.play(at(0), samples(lead));
            let ready = Ready {
                samples: samples(ready),
                last,
                live,
            };
            assert_eq!(
                pace.next(at(0), &clock, ready),
                expected,
                "lead {lead} ms, {ready:?}"
            );
        }
    }

    #[test]
    fn foolish_sizes_still_send_something() {
        for (first_play_ms, play_ms, lead_ms) in [(0, 0, 0), (500, 900, 100), (u64::MAX, 20, 20)] {
            let settings = Settings {
                first_play_ms,
                play_ms,
                lead_ms,
                ..Settings::default()
            };
            let pace = Pace::new(&settings);
            let ready = Ready {
                samples: 8000,
                last: true,
                live: false,
            };
            assert!(matches!(
                pace.next(at(0), &Playout::new(0), ready),
                Next::Play(1..)
            ));
        }
    }
}
