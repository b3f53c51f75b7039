//! One of the many callers: what it sends frame by frame, and what it makes of the bytes that come.
//!
//! Not here: when it is due, and what all of them together have seen.

use super::super::handset::mask_into;
use super::super::underruns::Underruns;
use super::tag::{read_tag, write_tag};
use super::{MESSAGE_BYTES, SwarmReport, record};
use crate::carrier::twilio::far_end;
use crate::carrier::twilio::stream::decode_payload;
use crate::media::frame::{FRAME_MS, FRAME_SAMPLES, MULAW_SILENCE};
use fastwebsockets::OpCode;
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Frames whose sending time is remembered: 20 s; what has not come back by then is lost.
pub(super) const REMEMBERED_FRAMES: usize = 1024;

pub(super) struct Caller {
    pub(super) stream: TcpStream,
    pub(super) stream_sid: String,
    pub(super) call_sid: String,
    pub(super) account_sid: String,
    pub(super) sequence: u64,
    /// Frames sent so far, which is also the next tag.
    pub(super) frames: u32,
    pub(super) began: Instant,
    /// When each of the last frames was sent.
    pub(super) sent_at: Vec<Option<Instant>>,
    pub(super) unsent: Vec<u8>,
    pub(super) partial: Vec<u8>,
    pub(super) first_audio: bool,
    /// When the carrier's buffer will have run dry.
    pub(super) playing_until: Option<Instant>,
    pub(super) underruns: Underruns,
    pub(super) marks: VecDeque<(Instant, String)>,
    /// When the caller fell silent and nothing has been answered yet.
    pub(super) asked: Option<Instant>,
    pub(super) over: bool,
}

impl Caller {
    /// The next frame: a tag, and speech or silence behind it. True if the frame remembered in its place has not come
    /// back, and is given up for it.
    pub(super) fn speak(
        &mut self,
        now: Instant,
        speech: Option<&[u8]>,
        text: &mut Vec<u8>,
    ) -> bool {
        let mut samples = [MULAW_SILENCE; FRAME_SAMPLES];
        let number = self.frames;
        if let Some(speech) = speech {
            let frames = u32::try_from(speech.len().div_ceil(FRAME_SAMPLES))
                .unwrap_or(u32::MAX)
                .max(1);
            let at = number % (frames * 2);
            if at < frames {
                let from = at as usize * FRAME_SAMPLES;
                let part = &speech[from..speech.len().min(from + FRAME_SAMPLES)];
                samples[..part.len()].copy_from_slice(part);
            } else if at == frames {
                self.asked = Some(now);
            }
        }
        write_tag(&mut samples, number);
        self.sequence += 1;
        text.clear();
        let at = u64::from(number) * FRAME_MS;
        far_end::write_media(
            text,
            &self.stream_sid,
            self.sequence,
            u64::from(number) + 1,
            at,
            &samples,
        );
        mask_into(&mut self.unsent, OpCode::Text, text);
        self.frames += 1;
        self.sent_at[number as usize % REMEMBERED_FRAMES]
            .replace(now)
            .is_some()
    }

    pub(super) fn give_back(&mut self, name: &str, text: &mut Vec<u8>) {
        self.sequence += 1;
        text.clear();
        far_end::write_mark(text, &self.stream_sid, self.sequence, name);
        mask_into(&mut self.unsent, OpCode::Text, text);
    }

    pub(super) fn flush(&mut self) {
        while !self.unsent.is_empty() {
            match self.stream.try_write(&self.unsent) {
                Ok(0) => self.over = true,
                Ok(sent) => {
                    self.unsent.drain(..sent);
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.over = true,
            }
            return;
        }
    }

    /// Bytes from the daemon: whole frames are looked at, the rest is kept.
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        now: Instant,
        report: &mut SwarmReport,
        samples: &mut [u8],
    ) {
        let mut kept = std::mem::take(&mut self.partial);
        let mut rest: &[u8] = if kept.is_empty() {
            bytes
        } else {
            kept.extend_from_slice(bytes);
            &kept
        };
        while let Some((opcode, payload, after)) = split_frame(rest) {
            match opcode {
                0x1 => self.message(payload, now, report, samples),
                0x8 => self.over = true,
                0x9 => {
                    let mut payload = payload.to_vec();
                    mask_into(&mut self.unsent, OpCode::Pong, &mut payload);
                }
                _ => {}
            }
            rest = after;
        }
        if rest.len() > MESSAGE_BYTES {
            self.over = true;
        }
        self.partial = rest.to_vec();
    }

    fn message(&mut self, text: &[u8], now: Instant, report: &mut SwarmReport, samples: &mut [u8]) {
        let Some(at) = memchr::memmem::find(text, b"\"payload\":\"") else {
            return self.mark_or_clear(text, now);
        };
        let payload = &text[at + 11..];
        let payload = &payload[..memchr::memchr(b'"', payload).unwrap_or(payload.len())];
        let Ok(count) = decode_payload(payload, samples) else {
            return;
        };
        if !self.first_audio {
            self.first_audio = true;
            record(&mut report.first_audio_us, now.duration_since(self.began));
        }
        if let Some(asked) = self.asked.take() {
            let after = u64::try_from(now.duration_since(asked).as_millis()).unwrap_or(u64::MAX);
            report.response_ms.saturating_record(after);
        }
        let mut echoed = false;
        for frame in samples[..count].chunks(FRAME_SAMPLES) {
            if let Some(number) = read_tag(frame) {
                echoed = true;
                if let Some(sent) = self.sent_at[number as usize % REMEMBERED_FRAMES].take() {
                    record(&mut report.round_trip_us, now.duration_since(sent));
                    report.frames_back += 1;
                }
            }
        }
        let length = Duration::from_micros(count as u64 * 125);
        let until = self.playing_until.unwrap_or(now);
        let dry = now.saturating_duration_since(until);
        // A live echo comes frame by frame and has no buffer to run dry.
        if !echoed {
            // Begun milliseconds count: the daemon is 200 ms ahead, or it is dry.
            let dry_ms = u64::try_from(dry.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
            self.underruns.sound(dry_ms);
        }
        self.playing_until = Some(until.max(now) + length);
    }

    fn mark_or_clear(&mut self, text: &[u8], now: Instant) {
        if let Some(at) = memchr::memmem::find(text, b"\"name\":\"") {
            self.underruns.mark();
            let name = &text[at + 8..];
            let name = &name[..memchr::memchr(b'"', name).unwrap_or(name.len())];
            let due = self.playing_until.unwrap_or(now);
            self.marks
                .push_back((due, String::from_utf8_lossy(name).into_owned()));
        } else if memchr::memmem::find(text, b"\"clear\"").is_some() {
            self.underruns.clear();
            self.playing_until = None;
            for (due, _) in &mut self.marks {
                *due = now;
            }
        }
    }
}

/// One unmasked frame at the front of `bytes`: opcode, payload, what follows.
fn split_frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (length, head): (usize, usize) = match second & 0x7F {
        126 => (
            usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
            4,
        ),
        127 => (
            usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?,
            10,
        ),
        short => (usize::from(short), 2),
    };
    let end = head.checked_add(length)?;
    Some((first & 0x0F, bytes.get(head..end)?, &bytes[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_split_wherever_the_kernel_cuts_them() {
        let mut bytes = vec![0x81, 3, b'a', b'b', b'c', 0x81, 126, 0, 200];
        bytes.extend([b'x'; 200]);
        bytes.extend([0x88, 0]);
        for cut in 0..bytes.len() {
            let mut seen = Vec::new();
            let mut kept: Vec<u8> = Vec::new();
            for part in [&bytes[..cut], &bytes[cut..]] {
                kept.extend_from_slice(part);
                let mut rest: &[u8] = &kept;
                while let Some((opcode, payload, after)) = split_frame(rest) {
                    seen.push((opcode, payload.len()));
                    rest = after;
                }
                kept = rest.to_vec();
            }
            assert_eq!(seen, [(1, 3), (1, 200), (8, 0)], "cut at {cut}");
        }
    }
}
