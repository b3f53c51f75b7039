//! Time and samples, and the one place where they are turned into each other. No clock is read here or anywhere near.

use std::fmt;

/// Samples per second of everything the core counts: the telephone line's own rate.
pub const SAMPLES_PER_SEC: u64 = 8000;

/// At 8 kHz a sample lasts a whole number of microseconds, so samples become time without rounding.
const SAMPLE_MICROS: u64 = 1_000_000 / SAMPLES_PER_SEC;

/// Time since the carrier's stream started, in microseconds. It prints as `00:03.120` and needs no clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallTime(pub u64);

impl CallTime {
    /// So many milliseconds after the stream started.
    pub const fn from_ms(ms: u64) -> CallTime {
        CallTime(ms.saturating_mul(1000))
    }

    /// Whole milliseconds since the stream started.
    pub const fn as_ms(self) -> u64 {
        self.0 / 1000
    }

    /// Whole milliseconds since `earlier`; 0 if that lies ahead.
    pub const fn ms_since(self, earlier: CallTime) -> u64 {
        self.0.saturating_sub(earlier.0) / 1000
    }

    /// This much later.
    pub const fn plus_ms(self, ms: u64) -> CallTime {
        CallTime(self.0.saturating_add(ms.saturating_mul(1000)))
    }

    /// When this many samples, begun now, have been played to their end.
    pub const fn plus_samples(self, samples: u64) -> CallTime {
        CallTime(self.0.saturating_add(samples.saturating_mul(SAMPLE_MICROS)))
    }

    /// How many whole samples last from `earlier` until now; 0 if that lies ahead.
    pub const fn samples_since(self, earlier: CallTime) -> u64 {
        self.0.saturating_sub(earlier.0) / SAMPLE_MICROS
    }
}

impl fmt::Display for CallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.as_ms();
        write!(
            f,
            "{:02}:{:02}.{:03}",
            ms / 60_000,
            ms / 1000 % 60,
            ms % 1000
        )
    }
}

/// Samples in so many milliseconds.
pub(super) const fn samples(ms: u64) -> u64 {
    ms.saturating_mul(SAMPLES_PER_SEC / 1000)
}

/// Whole milliseconds in so many samples.
pub(super) const fn ms(samples: u64) -> u64 {
    samples / (SAMPLES_PER_SEC / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_prints_as_minutes_seconds_and_milliseconds() {
        for (micros, text) in [
            (0, "00:00.000"),
            (3_120_000, "00:03.120"),
            (61_000_999, "01:01.000"),
            (3_600_000_000, "60:00.000"),
        ] {
            assert_eq!(CallTime(micros).to_string(), text);
        }
    }

    #[test]
    fn samples_become_time_and_back_without_loss() {
        let start = CallTime(1_234_567);
        for n in [0, 1, 7, 159, 160, 8000, 28_800_000] {
            assert_eq!(start.plus_samples(n).samples_since(start), n);
        }
        assert_eq!(start.plus_samples(160), CallTime(start.0 + 20_000));
    }

    #[test]
    fn times_at_the_end_of_the_scale_stay_there() {
        let end = CallTime(u64::MAX);
        assert_eq!(end.plus_ms(1), end);
        assert_eq!(CallTime::from_ms(u64::MAX).plus_samples(u64::MAX), end);
        assert_eq!(CallTime(0).ms_since(end), 0);
    }
}
