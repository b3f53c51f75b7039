//! The edge of a word: where speech that was cut off can begin again without cutting another word. Only looks; what is
//! played from there is somebody else's business.

use super::frame::RATE;
use super::mulaw;

/// Samples in so many milliseconds.
const fn samples(ms: usize) -> usize {
    RATE as usize / 1000 * ms
}

/// An edge is looked for so far back: two or three words.
pub const SEARCH: usize = samples(600);

/// The shortest stretch of quiet that is taken for the space between two words.
const GAP: usize = samples(40);

/// Quiet is looked for in steps of so much.
const STEP: usize = samples(10);

/// Without any quiet, speech begins again so much before it was cut: the listener has lost the thread by then.
const BACK: usize = samples(300);

/// Power of a gap against that of all that was looked at, if it is one: 13 dB less.
const QUIETER: u64 = 20;

/// Mean square of a gap in a line without noise, in sample units: about −50 dBFS.
const SILENT: u64 = 100 * 100;

/// What begins again after silence fades in for so long, so that it does not click.
pub const FADE: usize = samples(5);

/// Where in `before`, µ-law that was cut off behind its last sample, speech begins again: in the middle of the quietest
/// stretch within [`SEARCH`] of the end, the latest of them if there are several; `BACK` before the end if there is
/// none, or at the beginning if there is less.
pub fn word_edge(before: &[u8]) -> usize {
    let from = before.len().saturating_sub(SEARCH);
    let looked_at = &before[from..];
    let power = |part: &[u8]| -> u64 {
        let square = |&code: &u8| {
            let sample = i64::from(mulaw::decode_sample(code));
            (sample * sample).unsigned_abs()
        };
        part.iter().map(square).sum::<u64>() / part.len().max(1) as u64
    };
    let all = power(looked_at);
    let gaps = (0..)
        .map(|step| step * STEP)
        .take_while(|at| at + GAP <= looked_at.len())
        .map(|at| (power(&looked_at[at..at + GAP]), at));
    // Powers that differ by noise are the same quiet: the later one repeats less.
    let quietest = gaps.min_by_key(|(power, at)| ((power / SILENT), usize::MAX - at));
    match quietest {
        Some((power, at)) if power <= SILENT || power <= all / QUIETER => from + at + GAP / 2,
        Some(_) | None => before.len().saturating_sub(BACK),
    }
}

/// Fades the beginning of µ-law samples in.
pub fn fade_in(samples: &mut [u8]) {
    for (at, code) in samples.iter_mut().take(FADE).enumerate() {
        let sample = i32::from(mulaw::decode_sample(*code)) * at as i32 / FADE as i32;
        *code = mulaw::encode_sample(sample as i16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Alternates between `loud` and minus that, or a whisper for a gap, so many milliseconds each.
    fn speech(parts: &[(i16, usize)]) -> Vec<u8> {
        let mut all = Vec::new();
        for (loud, ms) in parts {
            for n in 0..samples(*ms) {
                all.push(mulaw::encode_sample(if n % 2 == 0 { *loud } else { -loud }));
            }
        }
        all
    }

    #[track_caller]
    fn begins_again(parts: &[(i16, usize)], before_the_end_ms: usize) {
        let speech = speech(parts);
        assert_eq!(
            word_edge(&speech),
            speech.len() - samples(before_the_end_ms),
            "{parts:?}"
        );
    }

    #[test]
    fn speech_begins_again_between_two_words() {
        begins_again(&[(8000, 800), (20, 40), (8000, 200)], 220);
        // over a noisy line as well
        begins_again(&[(8000, 800), (900, 40), (8000, 200)], 220);
    }

    #[test]
    fn of_several_gaps_the_quietest_is_taken_and_of_equal_ones_the_latest() {
        begins_again(
            &[(8000, 400), (10, 40), (8000, 100), (15, 40), (8000, 100)],
            120,
        );
        begins_again(
            &[(8000, 400), (10, 40), (8000, 100), (1500, 40), (8000, 100)],
            260,
        );
    }

    #[test]
    fn in_a_long_pause_it_begins_shortly_before_the_end() {
        begins_again(&[(8000, 800), (10, 500)], 20);
    }

    #[test]
    fn without_a_gap_it_begins_a_little_earlier() {
        begins_again(&[(8000, 2000)], 300);
        // quieter, but no gap
        begins_again(&[(8000, 800), (4000, 40), (8000, 200)], 300);
        // a gap that is too long ago
        begins_again(&[(10, 100), (8000, 900)], 300);
    }

    #[test]
    fn of_little_sound_all_is_said_again() {
        for ms in [0, 1, 39, 200] {
            begins_again(&[(8000, ms)], ms);
        }
    }

    #[test]
    fn the_beginning_is_faded_in_and_the_rest_left_alone() {
        let mut sound = speech(&[(8000, 20)]);
        let before = sound.clone();
        fade_in(&mut sound);
        assert_eq!(mulaw::decode_sample(sound[0]), 0);
        assert!(mulaw::decode_sample(sound[FADE / 2]).abs() < 4500);
        assert_eq!(sound[FADE..], before[FADE..]);
        fade_in(&mut sound[..3]);
        fade_in(&mut []);
    }
}
