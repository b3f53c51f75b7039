//! Is the caller speaking? Turns the detector's verdicts, one per frame, into speech that starts, pauses, goes on and
//! ends. It knows neither the agent nor whose turn it is.
//!
//! ```text
//!          voice            enough of it            100 ms without          end of turn
//!  Quiet ────────→ Starting ────────────→ Speaking ──────────────→ Stopping ──────────→ Quiet
//!    ↑               │ too little           ↑          any voice      │
//!    └───────────────┘                      └─────────────────────────┘
//! ```
//!
//! How much voice there was is counted in frames, because frames that were held up arrive in a burst and are no less
//! speech for it. How long the silence lasts is counted in time, because some lines send nothing while nobody speaks.

use super::settings::Settings;
use super::time::CallTime;

/// One verdict stands for so much sound.
const FRAME_MS: u64 = 20;

/// Silence that is a pause rather than the closure of a `p` or `t` (those last up to 80 ms or so). Long before the
/// end of the turn, so that a transcriber can finish its words while we make sure that the caller has finished.
const PAUSE_MS: u64 = 100;

/// Verdicts remembered while speech starts: the bits of one word.
const MAX_WINDOW_FRAMES: u64 = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Quiet,
    Starting,
    Speaking,
    Stopping,
}

/// What the ear noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noticed {
    Started,
    Paused,
    WentOn,
    Ended {
        spoke_ms: u64,
        last_voiced: CallTime,
    },
}

#[derive(Debug)]
pub(super) struct Ear {
    phase: Phase,
    /// The latest verdicts, newest in the lowest bit.
    recent: u64,
    last_frame: CallTime,
    last_voiced: CallTime,
    began: CallTime,
    /// Voice since the speech began or last went on.
    run_ms: u64,
    window_mask: u64,
    window_ms: u64,
    enough_frames: u64,
    pause_ms: u64,
    end_ms: u64,
    /// The same for this pause.
    wait_ms: u64,
}

impl Ear {
    pub(super) fn new(settings: &Settings) -> Ear {
        let window = settings
            .start_window_ms
            .div_ceil(FRAME_MS)
            .clamp(1, MAX_WINDOW_FRAMES);
        // Less than a frame of silence cannot be told from the gap between two frames.
        let end_ms = settings.end_of_turn_ms.max(FRAME_MS);
        Ear {
            phase: Phase::Quiet,
            recent: 0,
            last_frame: CallTime(0),
            last_voiced: CallTime(0),
            began: CallTime(0),
            run_ms: 0,
            window_mask: u64::MAX >> (MAX_WINDOW_FRAMES - window),
            window_ms: window * FRAME_MS,
            enough_frames: settings.start_voiced_ms.div_ceil(FRAME_MS).clamp(1, window),
            pause_ms: PAUSE_MS.min(end_ms),
            end_ms,
            wait_ms: end_ms,
        }
    }

    /// A frame was heard.
    pub(super) fn frame(&mut self, now: CallTime, voiced: bool) -> Option<Noticed> {
        if now.ms_since(self.last_frame) > self.window_ms {
            self.recent = 0; // the line was silent without saying so
        }
        self.last_frame = now;
        self.recent = (self.recent << 1) | u64::from(voiced);
        match self.phase {
            Phase::Quiet | Phase::Starting => self.start(now, voiced),
            Phase::Speaking if voiced => {
                self.last_voiced = now;
                self.run_ms += FRAME_MS;
                None
            }
            Phase::Stopping if voiced => {
                self.last_voiced = now;
                self.run_ms = FRAME_MS;
                self.wait_ms = self.end_ms;
                self.phase = Phase::Speaking;
                Some(Noticed::WentOn)
            }
            Phase::Speaking | Phase::Stopping => None, // silence ends by time, see `timeout`
        }
    }

    fn start(&mut self, now: CallTime, voiced: bool) -> Option<Noticed> {
        let seen = self.recent & self.window_mask;
        let frames = u64::from(seen.count_ones());
        if !voiced || frames < self.enough_frames {
            self.phase = if seen == 0 {
                Phase::Quiet
            } else {
                Phase::Starting
            };
            return None;
        }
        let oldest = u64::from(u64::BITS - 1 - seen.leading_zeros());
        self.began = CallTime(now.0.saturating_sub(oldest * FRAME_MS * 1000));
        self.last_voiced = now;
        self.run_ms = frames * FRAME_MS;
        self.wait_ms = self.end_ms;
        self.phase = Phase::Speaking;
        Some(Noticed::Started)
    }

    /// When silence, if it lasts, will mean something.
    pub(super) fn deadline(&self) -> Option<CallTime> {
        match self.phase {
            Phase::Quiet | Phase::Starting => None,
            Phase::Speaking => Some(self.last_voiced.plus_ms(self.pause_ms)),
            Phase::Stopping => Some(self.last_voiced.plus_ms(self.wait_ms)),
        }
    }

    /// This pause, if it lasts so long from the last voice, is the end. Holds until he goes on.
    pub(super) fn wait(&mut self, wait_ms: u64) {
        self.wait_ms = wait_ms.max(FRAME_MS);
    }

    /// Time has passed. To be asked until it notices nothing: a late wake may find a pause and the end behind it.
    pub(super) fn timeout(&mut self, now: CallTime) -> Option<Noticed> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return None;
        }
        if self.phase == Phase::Speaking {
            self.phase = Phase::Stopping;
            return Some(Noticed::Paused);
        }
        self.phase = Phase::Quiet;
        self.recent = 0;
        Some(Noticed::Ended {
            // Times are of arrival, and a frame arrives when it has been spoken.
            spoke_ms: self.last_voiced.ms_since(self.began) + FRAME_MS,
            last_voiced: self.last_voiced,
        })
    }

    /// Has speech begun that has not ended? A pause is not the end.
    pub(super) fn in_speech(&self) -> bool {
        self.phase == Phase::Speaking || self.paused()
    }

    /// From the first to the last voice of the speech that has not ended; 0 if there is none.
    pub(super) fn spoke_ms(&self) -> u64 {
        if self.in_speech() {
            self.last_voiced.ms_since(self.began) + FRAME_MS
        } else {
            0
        }
    }

    /// When voice was last heard in speech.
    pub(super) fn last_voiced(&self) -> CallTime {
        self.last_voiced
    }

    pub(super) fn paused(&self) -> bool {
        self.phase == Phase::Stopping
    }

    /// Voice since the last pause; 0 if nobody speaks at the moment.
    pub(super) fn voiced_ms(&self) -> u64 {
        if self.phase == Phase::Speaking {
            self.run_ms
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a row of frames, 20 ms a column: `s` voiced, `.` not, ` ` nothing arrives. Returns what was noticed, in
    /// the column in which it was: `S`tarted, `p`aused, `w`ent on, `E`nded.
    fn hears(ear: &mut Ear, row: &str) -> String {
        let mut out = String::new();
        for (column, frame) in row.chars().enumerate() {
            let now = CallTime::from_ms(1000 + 20 * column as u64);
            let mut noticed = Vec::new();
            while let Some(n) = ear.timeout(now) {
                noticed.push(n);
            }
            match frame {
                's' => noticed.extend(ear.frame(now, true)),
                '.' => noticed.extend(ear.frame(now, false)),
                _ => {}
            }
            out.push(match noticed.last() {
                None => '.',
                Some(Noticed::Started) => 'S',
                Some(Noticed::Paused) => 'p',
                Some(Noticed::WentOn) => 'w',
                Some(Noticed::Ended { .. }) => 'E',
            });
        }
        out
    }

    #[track_caller]
    fn check(row: &str, expected: &str) {
        let mut ear = Ear::new(&Settings::default());
        let noticed = hears(&mut ear, row);
        assert_eq!(
            noticed, expected,
            "\nheard    {row}\nnoticed  {noticed}\nexpected {expected}"
        );
    }

    #[test]
    fn speech_starts_with_80_ms_of_voice_within_120() {
        check("..ssss", ".....S");
        check("..s.sss", "......S");
        check("..s...sss", "........."); // 3 of the last 6
        check("..s...ssss", ".........S");
    }

    #[test]
    fn clicks_are_not_speech() {
        check(
            "..s.....s.....ss....sss.......s.",
            "................................",
        );
    }

    #[test]
    fn a_pause_is_noticed_after_100_ms_and_the_end_after_400() {
        check(
            "ssss.........................",
            "...S....p..............E.....",
        );
    }

    #[test]
    fn a_voice_in_the_pause_goes_on_and_the_end_is_counted_from_there() {
        check(
            "ssss..........s......................",
            "...S....p.....w....p..............E..",
        );
    }

    #[test]
    fn the_wait_of_a_pause_holds_until_he_goes_on() {
        let mut ear = Ear::new(&Settings::default());
        assert_eq!(hears(&mut ear, "sssss"), "...S.");
        assert_eq!(
            ear.timeout(CallTime::from_ms(1180)),
            Some(Noticed::Paused),
            "100 ms after the last voice"
        );
        ear.wait(160);
        assert_eq!(ear.deadline(), Some(CallTime::from_ms(1240)));
        ear.frame(CallTime::from_ms(1200), true);
        assert!(ear.timeout(CallTime::from_ms(1300)).is_some());
        assert_eq!(ear.deadline(), Some(CallTime::from_ms(1600)));
    }

    #[test]
    fn a_line_that_sends_nothing_in_silence_ends_the_turn_all_the_same() {
        check(
            "ssss                         ",
            "...S....p..............E.....",
        );
    }

    #[test]
    fn voice_before_and_after_a_silent_line_is_not_added_up() {
        check("ss         ss  ", "...............");
    }

    #[test]
    fn the_end_of_one_speech_is_not_the_beginning_of_the_next() {
        let settings = Settings {
            end_of_turn_ms: 40,
            ..Settings::default()
        };
        let mut ear = Ear::new(&settings);
        assert_eq!(hears(&mut ear, "ssss..s.ssss"), "...S.E....S.");
    }

    #[test]
    fn a_burst_of_late_frames_is_speech() {
        let mut ear = Ear::new(&Settings::default());
        let now = CallTime::from_ms(500);
        let noticed: Vec<_> = (0..6).filter_map(|_| ear.frame(now, true)).collect();
        assert_eq!(noticed, [Noticed::Started]);
        assert_eq!(ear.voiced_ms(), 120);
    }

    #[test]
    fn a_late_wake_finds_the_pause_and_the_end() {
        let mut ear = Ear::new(&Settings::default());
        hears(&mut ear, "sssss"); // last voice at 1080 ms
        let late = CallTime::from_ms(2000);
        assert_eq!(ear.timeout(late), Some(Noticed::Paused));
        assert_eq!(
            ear.timeout(late),
            Some(Noticed::Ended {
                spoke_ms: 100,
                last_voiced: CallTime::from_ms(1080)
            })
        );
        assert_eq!(ear.timeout(late), None);
        assert_eq!(ear.deadline(), None);
    }

    #[test]
    fn voice_is_counted_since_the_last_pause() {
        let mut ear = Ear::new(&Settings::default());
        hears(&mut ear, "ssssss");
        assert_eq!(ear.voiced_ms(), 120);
        hears(&mut ear, "ssssss......ss");
        assert_eq!(ear.voiced_ms(), 40);
    }

    #[test]
    fn foolish_settings_are_survived() {
        for (start_voiced_ms, start_window_ms, end_of_turn_ms) in
            [(0, 0, 0), (u64::MAX, u64::MAX, u64::MAX), (500, 20, 1)]
        {
            let settings = Settings {
                start_voiced_ms,
                start_window_ms,
                end_of_turn_ms,
                ..Settings::default()
            };
            let mut ear = Ear::new(&settings);
            let row = "s".repeat(70) + "...........";
            assert!(hears(&mut ear, &row).contains('S'));
        }
    }
}
