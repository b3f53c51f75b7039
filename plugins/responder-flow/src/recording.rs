//! A message the caller leaves, on its way into a file: µ-law as it comes from the line, in a WAV.
//!
//! It is written under another name and gets its own when it is whole, so that nobody plays half a message. Writing
//! happens on the plugin's own thread, a second of sound at a time.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions, remove_file, rename};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes in a second of the line's sound.
const SECOND: usize = 8000;
/// Kept from before the recording began: a detector needs a while to be sure that somebody speaks.
const LEAD_BYTES: usize = SECOND * 4 / 10;
/// The tone: 1000 Hz, so long.
const BEEP_BYTES: usize = SECOND * 4 / 10;
/// Its loudness, of 32767.
const BEEP_PEAK: f64 = 6000.0;
/// RIFF, fmt with its extension, fact, data.
const HEADER_BYTES: u32 = 58;

/// One message.
pub(crate) struct Recording {
    folder: PathBuf,
    /// The file's name when it is whole.
    name: String,
    file: File,
    /// Not written yet; before the recording has begun, its lead.
    kept: VecDeque<u8>,
    written: usize,
    most: usize,
    /// Utterances the caller has to hear before it begins.
    pub(crate) awaited: usize,
    began: bool,
    spoke: bool,
    fault: Option<io::Error>,
}

impl Recording {
    /// A new file in the folder, named for the call. `sid` may hold anything; only letters and digits of it are used.
    ///
    /// # Errors
    /// As of files.
    pub(crate) fn new(folder: &Path, sid: &str, max_secs: u64) -> io::Result<Recording> {
        let mut random = [0; 4];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let name = file_name(sid, u32::from_le_bytes(random));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(folder.join(part(&name)))?;
        file.write_all(&header(0))?;
        Ok(Recording {
            folder: folder.to_owned(),
            name,
            file,
            kept: VecDeque::with_capacity(SECOND + LEAD_BYTES),
            written: 0,
            most: usize::try_from(max_secs)
                .unwrap_or(usize::MAX)
                .saturating_mul(SECOND),
            awaited: 0,
            began: false,
            spoke: false,
            fault: None,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The caller heard one utterance to its end.
    pub(crate) fn heard(&mut self) {
        self.awaited = self.awaited.saturating_sub(1);
        if self.awaited == 0 && !self.began {
            self.kept.clear();
            self.began = true;
        }
    }

    /// He begins to speak, whether the tone has come or not. True for the first time: from now on there is a message.
    pub(crate) fn speech(&mut self) -> bool {
        self.began = true;
        !std::mem::replace(&mut self.spoke, true)
    }

    /// Whether there is no room for more.
    pub(crate) fn is_full(&self) -> bool {
        self.fault.is_some() || self.written + self.kept.len() >= self.most
    }

    /// His sound.
    pub(crate) fn hear(&mut self, mulaw: &[u8]) {
        self.kept.extend(mulaw);
        if !self.began {
            let more = self.kept.len().saturating_sub(LEAD_BYTES);
            self.kept.drain(..more);
        } else if self.kept.len() >= SECOND {
            self.write();
        }
    }

    fn write(&mut self) {
        let room = self.most.saturating_sub(self.written);
        self.kept.truncate(room);
        let bytes = self.kept.make_contiguous();
        if self.fault.is_none()
            && let Err(error) = self.file.write_all(bytes)
        {
            self.fault = Some(error);
        }
        self.written += self.kept.len();
        self.kept.clear();
    }

    /// It is over: the file's name, or `None` if nobody spoke, and then there is no file.
    ///
    /// # Errors
    /// The file could not be written; it is gone.
    pub(crate) fn finish(mut self) -> io::Result<Option<String>> {
        if self.began {
            self.write();
        }
        let part = self.folder.join(part(&self.name));
        let whole = match self.fault.take() {
            Some(error) => Err(error),
            None if !self.spoke || self.written == 0 => Ok(false),
            None => self.close(&part).map(|()| true),
        };
        if !matches!(whole, Ok(true)) {
            // If it cannot be removed either there is nothing more to be done about it.
            drop(remove_file(&part));
        }
        whole.map(|whole| whole.then_some(self.name))
    }

    fn close(&mut self, part: &Path) -> io::Result<()> {
        let length = u32::try_from(self.written).unwrap_or(u32::MAX);
        // Chunks have an even length.
        if length % 2 == 1 {
            self.file.write_all(&[0])?;
        }
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header(length))?;
        rename(part, self.folder.join(&self.name))
    }
}

fn part(name: &str) -> String {
    format!("{name}.part")
}

/// Letters and digits only, whatever the carrier calls the call.
fn file_name(sid: &str, random: u32) -> String {
    let safe: String = sid
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(40)
        .collect();
    let call = if safe.is_empty() { "call" } else { &safe };
    format!("{call}-{random:08x}.wav")
}

/// Of µ-law, 8000 Hz, one channel.
fn header(length: u32) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_BYTES as usize);
    let padded = length + length % 2;
    header.extend(b"RIFF");
    header.extend((HEADER_BYTES - 8 + padded).to_le_bytes());
    header.extend(b"WAVEfmt ");
    header.extend(18u32.to_le_bytes());
    header.extend(7u16.to_le_bytes());
    header.extend(1u16.to_le_bytes());
    header.extend(8000u32.to_le_bytes());
    header.extend(8000u32.to_le_bytes());
    header.extend(1u16.to_le_bytes());
    header.extend(8u16.to_le_bytes());
    header.extend(0u16.to_le_bytes());
    header.extend(b"fact");
    header.extend(4u32.to_le_bytes());
    header.extend(length.to_le_bytes());
    header.extend(b"data");
    header.extend(length.to_le_bytes());
    header
}

/// The tone that asks the caller to speak, with soft ends.
pub(crate) fn beep() -> Vec<u8> {
    let sample = |at: usize| {
        let edge = at.min(BEEP_BYTES - 1 - at).min(80) as f64 / 80.0;
        let angle = at as f64 * std::f64::consts::TAU * 1000.0 / SECOND as f64;
        encode((angle.sin() * BEEP_PEAK * edge) as i16)
    };
    (0..BEEP_BYTES).map(sample).collect()
}

/// One sample as µ-law, by the rule of ITU-T G.711.
fn encode(sample: i16) -> u8 {
    const BIAS: i32 = 0x84;
    const CLIP: i32 = 32_635;
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(CLIP) + BIAS;
    let exponent = (magnitude >> 7).ilog2();
    let mantissa = (magnitude >> (exponent + 3)) & 0x0F;
    !(sign | (exponent as u8) << 4 | mantissa as u8)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_kept_with_its_lead_and_within_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let mut recording = Recording::new(folder.path(), "../CA/1", 2).unwrap();
        recording.awaited = 2;
        recording.hear(&[1; 8000]);
        recording.heard();
        recording.hear(&[2; 160]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        // He speaks before the tone: what came shortly before that is his too.
        recording.speech();
        for _ in 0..200 {
            recording.hear(&[3; 160]);
        }
        let name = recording.finish().unwrap().unwrap();
        assert!(name.starts_with("CA1-") && name.ends_with(".wav"), "{name}");
        let bytes = std::fs::read(folder.path().join(&name)).unwrap();
        assert_eq!(bytes.len(), 58 + 16_000, "two seconds at most");
        let sound = &bytes[58..];
        assert_eq!(
            sound.iter().filter(|byte| **byte == 1).count(),
            LEAD_BYTES - 160
        );
        assert_eq!(bytes[..58], header(16_000)[..]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_tone_ends_the_lead_and_silence_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut recording = Recording::new(folder.path(), "CA1", 10).unwrap();
        recording.awaited = 1;
        recording.hear(&[1; 800]);
        recording.heard();
        recording.hear(&[2; 801]);
        recording.speech();
        let name = recording.finish().unwrap().unwrap();
        let bytes = std::fs::read(folder.path().join(name)).unwrap();
        assert_eq!(bytes.len(), 58 + 802);
        assert_eq!(&bytes[58..60], [2, 2]);

        let mut silent = Recording::new(folder.path(), "CA1", 10).unwrap();
        silent.heard();
        silent.hear(&[2; 80_000]);
        assert_eq!(silent.finish().unwrap(), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_files_name_holds_letters_and_digits_only() {
        assert_eq!(file_name("../../etc/passwd\0", 1), "etcpasswd-00000001.wav");
        assert_eq!(file_name("…", 255), "call-000000ff.wav");
        assert_eq!(file_name(&"x".repeat(1000), 0).len(), 40 + 13);
    }

    #[test]
    fn the_tone_is_a_tone() {
        let beep = beep();
        assert_eq!((beep.len(), beep[0]), (BEEP_BYTES, 0xFF));
        // G.711's own examples: silence, the loudest of both signs.
        assert_eq!(
            [encode(0), encode(32767), encode(-32768)],
            [0xFF, 0x80, 0x00]
        );
        assert!(beep.iter().any(|byte| byte & 0x7F < 0x30));
    }
}
