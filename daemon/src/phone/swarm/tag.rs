//! The tag in a caller's frames, by which an echo is told from any other sound and its way is timed.

use crate::media::frame::FRAME_SAMPLES;

/// First bytes of a tagged frame; loud enough to be unlikely in speech, short enough to be no speech.
const MAGIC: [u8; 4] = [0x13, 0x9A, 0x2C, 0xA5];

/// Frame number in five bytes of seven bits behind the magic. The high bit is set in each: it is the sign, so the five are
/// of one, as sound hardly ever is that begins like the magic by chance. They may be loud: a click of half a millisecond,
/// which no detector takes for speech.
pub(super) fn write_tag(samples: &mut [u8; FRAME_SAMPLES], number: u32) {
    samples[..4].copy_from_slice(&MAGIC);
    for (place, byte) in samples[4..9].iter_mut().enumerate() {
        *byte = 0x80 | (number >> (7 * place)) as u8 & 0x7F;
    }
}

/// The number in a frame that came back, if it is one of ours.
pub(super) fn read_tag(frame: &[u8]) -> Option<u32> {
    let digits = frame.strip_prefix(&MAGIC)?.get(..5)?;
    digits.iter().all(|byte| byte & 0x80 != 0).then(|| {
        digits.iter().enumerate().fold(0, |number, (place, byte)| {
            number | u32::from(byte & 0x7F) << (7 * place)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::frame::MULAW_SILENCE;

    #[test]
    fn a_tag_survives_the_line() {
        for number in [0, 1, 127, 128, 50 * 3600, u32::MAX >> 4] {
            let mut samples = [MULAW_SILENCE; FRAME_SAMPLES];
            write_tag(&mut samples, number);
            assert_eq!(read_tag(&samples), Some(number));
        }
        assert_eq!(read_tag(&[MULAW_SILENCE; FRAME_SAMPLES]), None);
    }
}
