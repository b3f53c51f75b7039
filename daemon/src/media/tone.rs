//! A sine, for measuring: what a line, a filter or a recording does to a sound of known pitch and level.

use std::f64::consts::TAU;

use crate::media::RATE;

/// Longest tone made, in milliseconds; a longer wish is cut to it.
pub const MAX_TONE_MS: u32 = 600_000;

/// A sine of `hz` lasting `ms` at the line's rate. Its level is `dbfs` as [`level::dbfs`](crate::media::level::dbfs)
/// measures it, so −3 is as loud as a sine can be; above that it clips.
pub fn sine(hz: f32, ms: u32, dbfs: f32) -> Vec<i16> {
    let samples = u64::from(ms.min(MAX_TONE_MS)) * u64::from(RATE) / 1000;
    let peak = 32768.0 * 2f64.sqrt() * 10f64.powf(f64::from(dbfs) / 20.0);
    let step = TAU * f64::from(hz) / f64::from(RATE);
    (0..samples)
        .map(|n| (peak * (step * n as f64).sin()).round() as i16)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::level;

    #[test]
    fn tone_has_the_pitch_length_and_level_asked_for() {
        for (hz, dbfs) in [(200.0, -10.0), (1000.0, -30.0), (3300.0, -3.02)] {
            let tone = sine(hz, 1000, dbfs);
            assert_eq!(tone.len(), 8000);
            assert!(
                (level::dbfs(&tone) - dbfs).abs() < 0.05,
                "{hz} Hz: {}",
                level::dbfs(&tone)
            );
            let rising = tone.windows(2).filter(|w| w[0] < 0 && w[1] >= 0).count();
            assert!(
                (rising as f32 - hz).abs() <= 1.0,
                "{hz} Hz: {rising} periods"
            );
        }
    }

    #[test]
    fn tone_louder_than_the_scale_clips() {
        let tone = sine(1000.0, 100, 0.0);
        assert!(tone.contains(&i16::MAX) && tone.contains(&i16::MIN));
    }
}
