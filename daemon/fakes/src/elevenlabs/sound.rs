//! The sound of the stand-in, and the ways in which it can arrive: a tone for each byte of the text, so that its length
//! and its course tell which text it is, sent as a body in chunks.

use std::f64::consts::TAU;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::{Body, Bytes, Frame};
use tokio::time::{Interval, interval};

use super::Desk;

/// How the sound arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Whole, as fast as it is taken.
    Well,
    /// Not even the head of the answer comes.
    BeforeItsHead,
    /// The connection is closed before the head.
    WithoutAHead,
    /// Half of it, then nothing, and the connection stays open.
    Stalled,
    /// Half of it, then the connection is closed.
    Cut,
    /// Nothing at all, and a good end.
    NoAudio,
    /// Whole, 80 bytes every 10 ms: as fast as it is spoken.
    Drip,
    /// Whole, in chunks of odd sizes from 1 on.
    Odd,
    /// It never ends.
    Never,
}

/// Samples, and so bytes, of sound for each byte of text: 60 ms, about as long as a letter takes to say.
const BYTES_PER_LETTER: usize = 480;

/// Bytes in one chunk, where nothing else is asked for.
const CHUNK_BYTES: usize = 1024;

/// Sizes of chunks that fall between frames, pieces and words of memory.
const ODD_SIZES: [usize; 9] = [1, 3, 159, 160, 161, 7, 1601, 2, 333];

const DRIP: (usize, Duration) = (80, Duration::from_millis(10));

/// What is answered to a text, µ-law at 8 kHz, to the byte.
pub fn sound_of(text: &str) -> Vec<u8> {
    let mut phase = 0.0_f64;
    let mut sound = Vec::with_capacity(text.len() * BYTES_PER_LETTER);
    for letter in text.bytes() {
        let hertz = 300.0 + 40.0 * f64::from(letter % 64);
        for _ in 0..BYTES_PER_LETTER {
            phase = (phase + TAU * hertz / 8000.0) % TAU;
            sound.push(mulaw((phase.sin() * 9000.0) as i32));
        }
    }
    sound
}

/// G.711 µ-law of one sample, by the textbook.
fn mulaw(sample: i32) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let biased = sample.abs().min(32635) + 132;
    let exponent = (biased >> 8).checked_ilog2().unwrap_or(0) as i32 + 1;
    let exponent = if biased < 256 { 0 } else { exponent };
    let mantissa = (biased >> (exponent + 3)) & 15;
    !(sign | (exponent << 4) as u8 | mantissa as u8)
}

/// A body of sound.
pub(super) struct Sound {
    left: Bytes,
    ends: Ends,
    chunks: usize,
    pace: Option<Interval>,
    request: usize,
    desk: Arc<Desk>,
    flushed: bool,
    over: bool,
}

impl Sound {
    pub(super) fn new(text: &str, ends: Ends, request: usize, desk: Arc<Desk>) -> Sound {
        let mut sound = sound_of(text);
        match ends {
            Ends::Stalled | Ends::Cut => sound.truncate(sound.len() / 2),
            Ends::NoAudio => sound.clear(),
            _ => {}
        }
        Sound {
            left: sound.into(),
            ends,
            chunks: 0,
            pace: (ends == Ends::Drip).then(|| interval(DRIP.1)),
            request,
            desk,
            flushed: false,
            over: false,
        }
    }

    fn end(&mut self) {
        self.over = true;
        self.desk.note(|seen| seen.finished += 1);
    }
}

impl Body for Sound {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.over {
            return Poll::Ready(None);
        }
        if let Some(pace) = &mut self.pace
            && pace.poll_tick(cx).is_pending()
        {
            return Poll::Pending;
        }
        if self.left.is_empty() {
            return match self.ends {
                Ends::Stalled => Poll::Pending,
                Ends::Never => {
                    let again = vec![0x55; CHUNK_BYTES];
                    Poll::Ready(Some(Ok(Frame::data(again.into()))))
                }
                // What was sent has to leave before the connection is closed, and leaves when nothing more is there.
                Ends::Cut if !self.flushed => {
                    self.flushed = true;
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Ends::Cut => {
                    self.end();
                    Poll::Ready(Some(Err(io::Error::other("cut on demand"))))
                }
                _ => {
                    self.end();
                    Poll::Ready(None)
                }
            };
        }
        let size = match self.ends {
            Ends::Odd => ODD_SIZES[self.chunks % ODD_SIZES.len()],
            Ends::Drip => DRIP.0,
            _ => CHUNK_BYTES,
        };
        if self.chunks == 0 {
            let (request, now) = (self.request, Instant::now());
            self.desk.note(|seen| {
                if let Some(heard) = seen.requests.get_mut(request) {
                    heard.sounded = Some(now);
                }
            });
        }
        self.chunks += 1;
        let size = size.min(self.left.len());
        let chunk = self.left.split_to(size);
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }
}

impl Drop for Sound {
    fn drop(&mut self) {
        if !self.over {
            self.desk.note(|seen| seen.abandoned += 1);
        }
    }
}
