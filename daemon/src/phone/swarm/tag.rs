//! The tag in a caller's frames, by which an echo is told from any other sound and its way is timed.

use crate::media::frame::FRAME_SAMPLES;

/// First samples of a tagged frame: ±120 of 32 768 in turn, where a voice begins now and then, ten times in a row never.
/// In µ-law 0xF0 is 120 and 0x70 as much below zero.
const MAGIC: [u8; 10] = [0xF0, 0x70, 0xF0, 0x70, 0x70, 0xF0, 0xF0, 0x70, 0x70, 0x70];

/// Samples behind the magic that hold the number, four bits each: 62 days of frames.
const DIGITS: usize = 7;

/// Frame number in seven samples of four bits behind the magic, lowest first: 0xF0 to 0xFF, which are 120 down to 0. A
/// frame with a tag and nothing else is below −60 dBFS: silence for every detector there is. Louder tags were speech for the
/// one that goes by loudness, and then the noise of the line, out of which the caller's voice no longer stood.
pub(super) fn write_tag(samples: &mut [u8; FRAME_SAMPLES], number: u32) {
    samples[..MAGIC.len()].copy_from_slice(&MAGIC);
    for (place, byte) in samples[MAGIC.len()..][..DIGITS].iter_mut().enumerate() {
        *byte = 0xF0 | (number >> (4 * place)) as u8 & 0x0F;
    }
}

/// The number in a frame that came back, if it is one of ours.
pub(super) fn read_tag(frame: &[u8]) -> Option<u32> {
    let digits = frame.strip_prefix(&MAGIC)?.get(..DIGITS)?;
    digits.iter().all(|byte| byte & 0xF0 == 0xF0).then(|| {
        digits.iter().enumerate().fold(0, |number, (place, byte)| {
            number | u32::from(byte & 0x0F) << (4 * place)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::detect::{Detector, Kind};
    use crate::media::frame::MULAW_SILENCE;
    use crate::media::mulaw;

    #[test]
    fn a_tag_survives_the_line() {
        for number in [0, 1, 15, 16, 50 * 3600, u32::MAX >> 4] {
            let mut samples = [MULAW_SILENCE; FRAME_SAMPLES];
            write_tag(&mut samples, number);
            assert_eq!(read_tag(&samples), Some(number));
        }
        assert_eq!(read_tag(&[MULAW_SILENCE; FRAME_SAMPLES]), None);
    }

    #[test]
    fn a_tag_is_no_speech_and_no_noise_that_hides_it() {
        let speech = include_bytes!("../../../tests/data/speech/good_morning.wav");
        let speech = crate::media::wav::to_line(&crate::media::wav::read(speech).unwrap());
        for kind in [Kind::Neural, Kind::Energy] {
            let mut detector = Detector::new(kind);
            let mut hear = |number: usize, spoken: &[u8]| {
                let mut samples = [MULAW_SILENCE; FRAME_SAMPLES];
                samples[..spoken.len()].copy_from_slice(spoken);
                write_tag(&mut samples, number as u32);
                detector.frame(&samples.map(mulaw::decode_sample))
            };
            // Ten minutes of tags, then somebody speaks.
            let tags: usize = (0..30_000).map(|n| usize::from(hear(n, &[]))).sum();
            assert_eq!(tags, 0, "{kind:?}: tags are taken for speech");
            let frames = speech.chunks(FRAME_SAMPLES).enumerate();
            let voiced: usize = frames.map(|(n, f)| usize::from(hear(30_000 + n, f))).sum();
            assert!(
                voiced > 40,
                "{kind:?}: {voiced} frames of the voice are heard"
            );
        }
    }
}
