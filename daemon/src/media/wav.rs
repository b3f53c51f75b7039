//! WAV files, from bytes and to bytes: prompts that people bring, audio that makers return, recordings we hand out. Whoever
//! has a path reads the file; this only looks at what was in it.
//!
//! One walk over the blocks of the file serves every format, µ-law included, and its bytes are not trusted: sizes may
//! lie, and a block may end early. A stream written to a pipe has a length nobody knew yet (0xFFFFFFFF); then the sound
//! lasts as long as the bytes do.

use thiserror::Error;

use crate::media::resample::{MAX_PHASES, MAX_RATE, MIN_RATE, Resampler};
use crate::media::{RATE, mulaw};

/// Largest file read: over an hour of 8 kHz 16-bit sound, and a bound on the memory one hostile file can take.
pub const MAX_WAV_BYTES: usize = 64 << 20;

/// Bytes before the samples in what [`write()`] makes.
const HEADER_BYTES: usize = 44;

const PCM: u16 = 1;
const FLOAT: u16 = 3;
const MULAW: u16 = 7;
/// "See the sub-format": a longer `fmt ` block whose bytes 24 and 25 hold the real one.
const EXTENSIBLE: u16 = 0xFFFE;

/// Why a file is not a sound we can play.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum WavError {
    /// More than [`MAX_WAV_BYTES`].
    #[error("WAV of {0} bytes not read: at most {MAX_WAV_BYTES} are; cut it into shorter ones")]
    TooLarge(usize),
    /// The first bytes are something else's.
    #[error("not a WAV file: it does not begin with RIFF and WAVE; convert it to 16-bit WAV")]
    NotWav,
    /// A block that must be there is not, or too short, or after the samples.
    #[error(
        "WAV file broken: its `{0}` block is missing, cut short or out of place; export it anew"
    )]
    Broken(&'static str),
    /// A codec or a sample size that is not taken.
    #[error(
        "WAV format {format} with {bits} bits not read: PCM of 8, 16, 24 or 32 bits, float of 32 \
         or 64 and µ-law of 8 are; convert it to 16-bit PCM"
    )]
    Format {
        /// The format's number in the file.
        format: u16,
        /// Bits of one sample.
        bits: u16,
    },
    /// Neither mono nor stereo.
    #[error("WAV with {0} channels not read: mono or stereo is; mix it down first")]
    Channels(u16),
    /// Not a rate of sound.
    #[error("WAV at {0} Hz not read: {MIN_RATE} to {MAX_RATE} Hz is; convert it to 8000 Hz")]
    Rate(u32),
}

/// Mono 16-bit sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wav {
    /// Samples per second.
    pub rate: u32,
    /// One after the other, stereo already mixed down.
    pub samples: Vec<i16>,
}

struct Format {
    codec: u16,
    channels: u16,
    rate: u32,
    bits: u16,
}

/// Reads a whole file. A sample cut in half at the end is dropped; blocks other than format and data are skipped.
///
/// # Errors
/// When the bytes are not a sound in a known format; the message says what to convert it to.
pub fn read(bytes: &[u8]) -> Result<Wav, WavError> {
    if bytes.len() > MAX_WAV_BYTES {
        return Err(WavError::TooLarge(bytes.len()));
    }
    if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
        return Err(WavError::NotWav);
    }
    let mut format = None;
    let mut rest = &bytes[12..];
    while let Some((head, after)) = rest.split_first_chunk::<8>() {
        let (name, size) = (&head[..4], little_endian(&head[4..]) as usize);
        let body = &after[..size.min(after.len())];
        match name {
            b"fmt " => format = Some(read_format(body)?),
            b"data" => {
                let format = format.ok_or(WavError::Broken("fmt "))?;
                return Ok(Wav {
                    rate: format.rate,
                    samples: read_samples(&format, body)?,
                });
            }
            _ => {}
        }
        // Blocks begin at even places.
        rest = after.get(body.len() + (size & 1)..).unwrap_or_default();
    }
    Err(WavError::Broken("data"))
}

fn read_format(block: &[u8]) -> Result<Format, WavError> {
    let block = |from: usize, to: usize| block.get(from..to).map(little_endian);
    let broken = WavError::Broken("fmt ");
    let mut codec = block(0, 2).ok_or(broken)? as u16;
    let channels = block(2, 4).ok_or(broken)? as u16;
    let rate = block(4, 8).ok_or(broken)?;
    let bits = block(14, 16).ok_or(broken)? as u16;
    if codec == EXTENSIBLE {
        codec = block(24, 26).ok_or(broken)? as u16;
    }
    if !(1..=2).contains(&channels) {
        return Err(WavError::Channels(channels));
    }
    if !(MIN_RATE..=MAX_RATE).contains(&rate) {
        return Err(WavError::Rate(rate));
    }
    Ok(Format {
        codec,
        channels,
        rate,
        bits,
    })
}

fn little_endian(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, &byte| value << 8 | u32::from(byte))
}

fn read_samples(format: &Format, data: &[u8]) -> Result<Vec<i16>, WavError> {
    let channels = usize::from(format.channels);
    Ok(match (format.codec, format.bits) {
        (PCM, 8) => mixed(data, channels, |[b]: [u8; 1]| (i16::from(b) - 128) << 8),
        (PCM, 16) => mixed(data, channels, i16::from_le_bytes),
        (PCM, 24) => mixed(data, channels, |[_, low, high]| {
            i16::from_le_bytes([low, high])
        }),
        (PCM, 32) => mixed(data, channels, |[_, _, low, high]| {
            i16::from_le_bytes([low, high])
        }),
        (FLOAT, 32) => mixed(data, channels, |b| whole(f64::from(f32::from_le_bytes(b)))),
        (FLOAT, 64) => mixed(data, channels, |b| whole(f64::from_le_bytes(b))),
        (MULAW, 8) => mixed(data, channels, |[b]: [u8; 1]| mulaw::decode_sample(b)),
        (codec, bits) => {
            return Err(WavError::Format {
                format: codec,
                bits,
            });
        }
    })
}

/// A float sample, whose scale is ±1; louder ones saturate and what is not a number is silence.
fn whole(sample: f64) -> i16 {
    (sample * 32768.0).round() as i16
}

fn mixed<const WIDTH: usize>(
    data: &[u8],
    channels: usize,
    sample: impl Fn([u8; WIDTH]) -> i16,
) -> Vec<i16> {
    let samples = data.as_chunks::<WIDTH>().0;
    let mix = |moment: &[[u8; WIDTH]]| {
        let sum: i32 = moment.iter().map(|&bytes| i32::from(sample(bytes))).sum();
        (sum / moment.len() as i32) as i16
    };
    samples.chunks_exact(channels).map(mix).collect()
}

/// A file of 16-bit mono PCM. Samples beyond [`MAX_WAV_BYTES`] are left out, so whatever is written can be read back.
pub fn write(rate: u32, samples: &[i16]) -> Vec<u8> {
    let samples = &samples[..samples.len().min((MAX_WAV_BYTES - HEADER_BYTES) / 2)];
    let data_bytes = 2 * samples.len() as u32;
    let mut file = Vec::with_capacity(HEADER_BYTES + 2 * samples.len());
    file.extend(b"RIFF");
    file.extend((HEADER_BYTES as u32 - 8 + data_bytes).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    file.extend(PCM.to_le_bytes());
    file.extend(1u16.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend(rate.saturating_mul(2).to_le_bytes());
    file.extend(2u16.to_le_bytes());
    file.extend(16u16.to_le_bytes());
    file.extend(b"data");
    file.extend(data_bytes.to_le_bytes());
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}

/// The sound as the line carries it: 8 kHz µ-law. A rate without a resampler counts as the nearest one that has, which
/// no ear can tell (a twentieth of a semitone).
pub fn to_line(wav: &Wav) -> Vec<u8> {
    let mut resampled = Vec::new();
    let samples = match Resampler::new(playable(wav.rate), RATE) {
        Ok(_) if wav.rate == RATE => &wav.samples,
        Ok(mut resampler) => {
            resampler.push(&wav.samples, &mut resampled);
            resampler.finish(&mut resampled);
            &resampled
        }
        Err(never) => {
            debug_assert!(false, "{never}");
            &resampled
        }
    };
    let mut line = vec![0; samples.len()];
    mulaw::encode(samples, &mut line);
    line
}

/// The nearest rate [`Resampler::new`] takes on the way to the line: multiples of 25 Hz need at most [`MAX_PHASES`].
fn playable(rate: u32) -> u32 {
    const STEP: u32 = RATE / MAX_PHASES;
    (rate.clamp(MIN_RATE, MAX_RATE) + STEP / 2) / STEP * STEP
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;
    use crate::media::{correlate, tone};

    /// A file by hand: format number, channels, rate, bits, samples.
    fn file(codec: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut format = Vec::new();
        format.extend(codec.to_le_bytes());
        format.extend(channels.to_le_bytes());
        format.extend(rate.to_le_bytes());
        format.extend([0; 6]);
        format.extend(bits.to_le_bytes());
        riff(&[(b"fmt ", &format), (b"data", data)])
    }

    fn riff(blocks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WAVE".to_vec();
        for (name, body) in blocks {
            file.extend(*name);
            file.extend((body.len() as u32).to_le_bytes());
            file.extend(*body);
            file.resize(file.len().next_multiple_of(2), 0);
        }
        file
    }

    #[test]
    fn every_format_is_read_as_the_same_sound() {
        let floats: Vec<u8> = [0.5f32, -0.25, 2.0, f32::NAN]
            .map(f32::to_le_bytes)
            .concat();
        let doubles: Vec<u8> = [0.5f64, -0.25, 2.0, f64::NAN]
            .map(f64::to_le_bytes)
            .concat();
        for (codec, bits, data, expected) in [
            (
                PCM,
                8,
                &[0xC0, 0x60, 0xFF, 0x80][..],
                [16384, -8192, 32512, 0],
            ),
            (
                PCM,
                16,
                &[0, 0x40, 0, 0xE0, 0xFF, 0x7F, 0, 0],
                [16384, -8192, 32767, 0],
            ),
            (
                PCM,
                24,
                &[9, 0, 0x40, 9, 0, 0xE0, 9, 0xFF, 0x7F, 9, 0, 0],
                [16384, -8192, 32767, 0],
            ),
            (
                PCM,
                32,
                &[9, 9, 0, 0x40, 9, 9, 0, 0xE0, 9, 9, 0xFF, 0x7F, 9, 9, 0, 0],
                [16384, -8192, 32767, 0],
            ),
            (FLOAT, 32, &floats, [16384, -8192, 32767, 0]),
            (FLOAT, 64, &doubles, [16384, -8192, 32767, 0]),
            (
                MULAW,
                8,
                &[0x8F, 0x1F, 0x80, 0xFF],
                [16764, -8316, 32124, 0],
            ),
        ] {
            let wav = read(&file(codec, 1, 16_000, bits, data)).unwrap();
            assert_eq!(
                wav,
                Wav {
                    rate: 16_000,
                    samples: expected.to_vec()
                },
                "{codec}, {bits} bits"
            );
        }
    }

    #[test]
    fn stereo_is_mixed_down() {
        let data = [1000i16, 3000, -32768, -32768, 32767, 32767, 5, -6].map(i16::to_le_bytes);
        let wav = read(&file(PCM, 2, 8000, 16, &data.concat())).unwrap();
        assert_eq!(wav.samples, [2000, -32768, 32767, 0]);
    }

    #[test]
    fn another_program_s_files_are_read() {
        for (bits, format) in [
            (8, hound::SampleFormat::Int),
            (16, hound::SampleFormat::Int),
            (24, hound::SampleFormat::Int),
            (32, hound::SampleFormat::Int),
            (32, hound::SampleFormat::Float),
        ] {
            let spec = hound::WavSpec {
                channels: 2,
                sample_rate: 22_050,
                bits_per_sample: bits,
                sample_format: format,
            };
            let mut bytes = Vec::new();
            let mut writer = hound::WavWriter::new(Cursor::new(&mut bytes), spec).unwrap();
            for sample in [0i32, 0, 64, 64, -128, -128] {
                match format {
                    hound::SampleFormat::Int => writer.write_sample(sample << (bits - 8)).unwrap(),
                    hound::SampleFormat::Float => {
                        writer.write_sample(sample as f32 / 128.0).unwrap()
                    }
                }
            }
            writer.finalize().unwrap();
            let wav = read(&bytes).unwrap();
            assert_eq!(
                wav,
                Wav {
                    rate: 22_050,
                    samples: vec![0, 16384, -32768]
                },
                "{bits} {format:?}"
            );
        }
    }

    #[test]
    fn another_program_reads_ours() {
        let samples = tone::sine(440.0, 50, -12.0);
        let bytes = write(8000, &samples);
        let mut reader = hound::WavReader::new(Cursor::new(&bytes)).unwrap();
        assert_eq!(
            (reader.spec().sample_rate, reader.spec().channels),
            (8000, 1)
        );
        assert_eq!(
            reader
                .samples::<i16>()
                .collect::<Result<Vec<_>, _>>()
                .unwrap(),
            samples
        );
        assert_eq!(read(&bytes).unwrap().samples, samples);
    }

    #[test]
    fn blocks_we_do_not_know_are_skipped_also_odd_ones() {
        let format = file(PCM, 1, 8000, 16, &[])[20..36].to_vec();
        let bytes = riff(&[
            (b"LIST", b"odd"),
            (b"fmt ", &format),
            (b"fact", &[0; 4]),
            (b"data", &[1, 2]),
        ]);
        assert_eq!(read(&bytes).unwrap().samples, [0x0201]);
    }

    #[test]
    fn stream_of_unknown_length_lasts_as_long_as_its_bytes() {
        for length in [u32::MAX, 0x7FFF_FFFF, 7] {
            let mut bytes = write(8000, &[1, 2, 3]);
            bytes[40..44].copy_from_slice(&length.to_le_bytes());
            assert_eq!(read(&bytes).unwrap().samples, [1, 2, 3]);
        }
    }

    #[test]
    fn what_cannot_be_played_says_why() {
        let whole = file(PCM, 1, 8000, 16, &[0; 4]);
        for (bytes, error) in [
            (&b""[..], WavError::NotWav),
            (b"RIFF....AVI LIST", WavError::NotWav),
            (&whole[..12], WavError::Broken("data")),
            (&whole[..30], WavError::Broken("fmt ")),
            (&whole[..40], WavError::Broken("data")),
            (&riff(&[(b"data", &[0; 4])]), WavError::Broken("fmt ")),
            (
                &file(6, 1, 8000, 8, &[0; 4]),
                WavError::Format { format: 6, bits: 8 },
            ),
            (
                &file(PCM, 1, 8000, 12, &[0; 4]),
                WavError::Format {
                    format: 1,
                    bits: 12,
                },
            ),
            (&file(PCM, 0, 8000, 16, &[0; 4]), WavError::Channels(0)),
            (&file(PCM, 6, 8000, 16, &[0; 12]), WavError::Channels(6)),
            (&file(PCM, 1, 0, 16, &[0; 4]), WavError::Rate(0)),
            (&file(PCM, 1, 192_001, 16, &[0; 4]), WavError::Rate(192_001)),
        ] {
            assert_eq!(read(bytes), Err(error), "{error}");
        }
    }

    #[test]
    fn file_above_the_bound_is_refused_unread() {
        let mut bytes = write(8000, &[1, 2, 3]);
        bytes.resize(MAX_WAV_BYTES, 0);
        assert_eq!(read(&bytes).unwrap().samples.len(), 3);
        bytes.push(0);
        assert_eq!(read(&bytes), Err(WavError::TooLarge(MAX_WAV_BYTES + 1)));
    }

    #[test]
    fn sound_too_long_to_read_back_is_written_as_far_as_the_bound() {
        let bytes = write(8000, &vec![0; MAX_WAV_BYTES / 2]);
        assert_eq!(bytes.len(), MAX_WAV_BYTES);
        assert_eq!(
            read(&bytes).unwrap().samples.len(),
            (MAX_WAV_BYTES - HEADER_BYTES) / 2
        );
    }

    #[test]
    fn line_gets_the_same_sound_from_any_rate() {
        let telephone = tone::sine(1000.0, 200, -12.0);
        for rate in [
            8000u32, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 8001, 23_977,
        ] {
            let step = std::f64::consts::TAU * 1000.0 / f64::from(rate);
            let samples = (0..rate / 5)
                .map(|n| (11_600.0 * (step * f64::from(n)).sin()) as i16)
                .collect();
            let line = to_line(&Wav { rate, samples });
            let heard: Vec<i16> = line
                .iter()
                .map(|&byte| mulaw::decode_sample(byte))
                .collect();
            assert!(
                heard.len().abs_diff(1600) <= 20,
                "{rate} Hz: {} samples",
                heard.len()
            );
            let (_, score) = correlate::correlate(&heard, &telephone[..1200]);
            // The delay is not a whole number of samples; a quarter of one is 11 degrees at this pitch.
            assert!(score > 0.97, "{rate} Hz: {score}");
        }
    }

    #[test]
    fn line_takes_rates_no_file_could_have() {
        for rate in [0, 1, u32::MAX] {
            assert!(
                !to_line(&Wav {
                    rate,
                    samples: vec![0; 192_000]
                })
                .is_empty(),
                "{rate} Hz"
            );
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read(&bytes).is_err() || bytes.starts_with(b"RIFF"));
        }

        #[test]
        fn damaged_file_never_panics_nor_grows(
            codec in proptest::sample::select(&[PCM, FLOAT, MULAW, EXTENSIBLE, 0, 2][..]),
            bits in proptest::sample::select(&[8, 16, 24, 32, 64, 0, 7][..]),
            channels in 0u16..4,
            damage in proptest::collection::vec((0usize..200, any::<u8>()), 0..6),
            cut in 0usize..250,
        ) {
            let mut bytes = file(codec, channels, 8000, bits, &[0x5A; 150]);
            for (place, value) in damage {
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = value;
                }
            }
            bytes.truncate(cut);
            if let Ok(wav) = read(&bytes) {
                prop_assert!(wav.samples.len() <= bytes.len());
                to_line(&wav);
            }
        }

        #[test]
        fn what_is_written_is_read_back(
            rate in MIN_RATE..=MAX_RATE,
            samples in proptest::collection::vec(any::<i16>(), 0..200),
        ) {
            prop_assert_eq!(read(&write(rate, &samples)), Ok(Wav { rate, samples }));
        }
    }
}
