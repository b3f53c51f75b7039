//! The bytes of one media websocket on their way out: framed, and given to the kernel as it takes them. Not here: what
//! they say, and what it means when nobody takes them.

use super::moment::Scratch;
use fastwebsockets::{Frame, OpCode, Payload};
use std::io;
use std::time::{Duration, Instant};
use tokio::net::tcp::OwnedWriteHalf;

/// Bytes that may wait for the kernel: over a second of sound, more than the playout's lead.
const OUTBOX_BYTES: usize = 64 << 10;

/// A carrier that takes no byte for so long while some wait is gone.
const STUCK_MS: u64 = 2000;

/// Framed bytes on their way to the kernel. Empty between two steps as long as the kernel takes all, which is nearly
/// always: so the room is lent by the thread for the step, stays in its cache, and is kept only by a line that needs it.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
    since: Option<Instant>,
}

impl Outbox {
    /// Takes the thread's room for this step, unless bytes wait in room of its own.
    pub(super) fn borrow(&mut self, scratch: &mut Scratch) {
        if self.bytes.capacity() == 0 {
            std::mem::swap(&mut self.bytes, &mut scratch.wire);
        }
    }

    /// Gives the room back, unless bytes wait in it.
    pub(super) fn give_back(&mut self, scratch: &mut Scratch) {
        if self.bytes.is_empty() && scratch.wire.capacity() == 0 {
            std::mem::swap(&mut self.bytes, &mut scratch.wire);
        } else if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
    }

    /// Everything has been given to the kernel.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets what nobody will read.
    pub(super) fn discard(&mut self) {
        self.bytes.clear();
        self.sent = 0;
    }

    /// One text message.
    pub(super) fn text(&mut self, text: &[u8]) {
        self.frame(OpCode::Text, text);
    }

    pub(super) fn frame(&mut self, opcode: OpCode, payload: &[u8]) {
        // The longest head of an unmasked frame: two bytes and eight of length.
        let mut head = [0; 10];
        let size = Frame::new(true, opcode, None, Payload::Borrowed(payload)).fmt_head(&mut head);
        self.bytes.extend_from_slice(&head[..size]);
        self.bytes.extend_from_slice(payload);
    }

    /// Gives the kernel what it takes. An error means the carrier is gone.
    pub(super) fn flush(&mut self, write: &OwnedWriteHalf, now: Instant) -> io::Result<()> {
        while self.sent < self.bytes.len() {
            match write.try_write(&self.bytes[self.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    self.sent += n;
                    self.since = None;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let since = *self.since.get_or_insert(now);
                    let waiting = self.bytes.len() - self.sent;
                    if waiting > OUTBOX_BYTES
                        || now.duration_since(since) > Duration::from_millis(STUCK_MS)
                    {
                        return Err(io::Error::new(
                            io::ErrorKind::TimedOut,
                            format!("{waiting} bytes wait and the carrier takes none"),
                        ));
                    }
                    if self.sent > OUTBOX_BYTES {
                        self.bytes.drain(..self.sent);
                        self.sent = 0;
                    }
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        self.bytes.clear();
        self.sent = 0;
        Ok(())
    }
}
