//! What lies between the media thread and the plugin's own thread, one per stream: events inwards in a bounded queue,
//! the way out under a lock that `stop` can take it from.
//!
//! The media thread never waits for the plugin here, only for these two short locks: one guards a queue operation, the
//! other one copy into the ring. When the plugin does not keep up, **audio is dropped, oldest first, and counted**;
//! control events are never dropped, and should [`CONTROL_EVENTS`] of them pile up, `send` answers ERROR.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

use crate::abi::{flag, kind, status, VpEvent};
use crate::format::Format;
use crate::host::{Host, Level};
use crate::out::OutHandle;

/// Audio that may wait for a plugin: longer than a garbage collection or a slow request of its own, short enough that
/// what it hears is still about the present.
pub(crate) const AUDIO_MS: u32 = 2000;
/// Audio events that may wait, in case they are tiny; 20 ms each makes 100 in [`AUDIO_MS`].
pub(crate) const AUDIO_EVENTS: usize = 256;
/// Control events that may wait. A call has a handful in a minute; so many mean that the plugin is stuck.
pub(crate) const CONTROL_EVENTS: usize = 1024;

/// One event, owned by the plugin's side.
#[derive(Debug, PartialEq)]
pub(crate) enum Taken {
    Audio {
        turn: u32,
        bytes: Vec<u8>,
    },
    Control {
        kind: u16,
        flags: u16,
        turn: u32,
        text: String,
    },
}

enum Item {
    Audio {
        turn: u32,
        len: usize,
    },
    Control {
        kind: u16,
        flags: u16,
        turn: u32,
        text: String,
    },
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    /// The bytes of all audio items, one behind the other, so that no frame needs an allocation of its own here.
    audio: VecDeque<u8>,
    controls: usize,
    dropped: u64,
    ended: bool,
    /// Whoever drives the stream's work and has to learn that it is no longer wanted.
    driver: Option<Waker>,
}

/// See the file's head.
pub(crate) struct Inbox {
    queue: Mutex<Queue>,
    /// Something to take, or the end. One taker at a time.
    arrived: Notify,
    writable: Notify,
    out: Mutex<Option<OutHandle>>,
    /// Kinds that this role wants to take; the rest is ignored at the door.
    takes: &'static [u16],
    /// Whether AUDIO is taken at present; only if it is among `takes`.
    hears: AtomicBool,
    audio_bytes: usize,
    /// Turns below this one are no longer wanted.
    least: AtomicU64,
    /// The turn of the event taken last.
    turn: AtomicU32,
    /// The turn that is over and not answered to its end yet, plus one; 0 for none.
    unanswered: AtomicU64,
}

/// The media thread's end of a stream whose work is done on the plugin's own thread.
pub struct Stream(pub(crate) Arc<Inbox>);

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The stream is over, so nothing can be sent any more.
#[derive(Debug)]
pub(crate) struct Over;

impl Inbox {
    /// An inbox for events of the kinds `takes`; AUDIO, if it is among them, from the beginning or when
    /// [`hear_audio`](Inbox::hear_audio) says so.
    pub(crate) fn new(
        out: OutHandle,
        takes: &'static [u16],
        format: Format,
        hears_audio: bool,
    ) -> Inbox {
        let inbox = Inbox {
            queue: Mutex::default(),
            arrived: Notify::new(),
            writable: Notify::new(),
            out: Mutex::new(Some(out)),
            takes,
            hears: AtomicBool::new(false),
            audio_bytes: format.bytes_of_ms(AUDIO_MS),
            least: AtomicU64::new(0),
            turn: AtomicU32::new(0),
            unanswered: AtomicU64::new(0),
        };
        inbox.hear_audio(hears_audio);
        inbox
    }

    /// Whether AUDIO is taken from now on; answers whether it is. Room for it is made here, so that the media thread never
    /// has to.
    pub(crate) fn hear_audio(&self, wanted: bool) -> bool {
        let hears = wanted && self.takes.contains(&kind::AUDIO);
        if hears {
            let mut queue = self.queue();
            let (bytes, events) = (queue.audio.len(), queue.items.len());
            queue
                .audio
                .reserve_exact(self.audio_bytes.saturating_sub(bytes));
            queue.items.reserve(AUDIO_EVENTS.saturating_sub(events));
        }
        self.hears.store(hears, SeqCst);
        hears
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it is held; a poisoned lock would say otherwise and the queue is still whole.
        self.queue
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    // The media thread's side.

    /// Takes events over from the media thread; answers a [`status`].
    ///
    /// # Safety
    /// The events' data must be readable as the contract says.
    pub(crate) unsafe fn send(&self, events: &[VpEvent]) -> i32 {
        let mut answer = status::OK;
        for event in events {
            // SAFETY: promised by the caller; the slice is used up before this function returns.
            let data = unsafe { event.data.bytes() };
            match event.kind {
                kind::WRITABLE => self.writable(),
                kind::CANCEL => self.cancel(event.turn),
                _ => {}
            }
            if !self.takes.contains(&event.kind)
                || (event.kind == kind::AUDIO && !self.hears.load(SeqCst))
            {
                continue;
            }
            let mut queue = self.queue();
            if queue.ended {
                return status::CANCELLED;
            }
            if event.kind == kind::AUDIO {
                queue.push_audio(event.turn, data, self.audio_bytes);
            } else if !queue.push_control(event, data) {
                answer = status::ERROR;
            }
            drop(queue);
            self.arrived.notify_one();
        }
        answer
    }

    /// The ring has room again.
    fn writable(&self) {
        // Everybody who waits now, and, should nobody wait yet, whoever comes next: a needless try costs nothing.
        self.writable.notify_waiters();
        self.writable.notify_one();
    }

    /// `turn` and all before it are no longer wanted. Also called by whoever learns it from the ring.
    pub(crate) fn cancel(&self, turn: u32) {
        // Outside all turns: never cancelled.
        if turn == 0 {
            return;
        }
        self.least.fetch_max(u64::from(turn) + 1, SeqCst);
        let driver = {
            let mut queue = self.queue();
            let before = queue.items.len();
            queue.items.retain(|item| {
                !matches!(item, Item::Control { kind: kind::SPEAK, turn: waiting, .. } if *waiting <= turn)
            });
            queue.controls -= before - queue.items.len();
            queue.driver.take()
        };
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// The end of the stream: the way out is released before this returns, and whoever waits is woken.
    pub(crate) fn end(&self) {
        let driver = {
            let mut queue = self.queue();
            queue.ended = true;
            queue.items.clear();
            queue.audio.clear();
            queue.driver.take()
        };
        let out = self
            .out
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .take();
        drop(out);
        if let Some(driver) = driver {
            driver.wake();
        }
        self.arrived.notify_one();
        self.writable();
    }

    // The plugin's side.

    /// The next event, or `None` once the stream is over.
    pub(crate) async fn next(&self, host: &Host) -> Option<Taken> {
        loop {
            let (taken, dropped) = {
                let mut queue = self.queue();
                if queue.ended {
                    return None;
                }
                (queue.pop(), std::mem::take(&mut queue.dropped))
            };
            if dropped > 0 {
                let fields = [("frames", dropped.into())];
                host.log(
                    Level::Warn,
                    "too slow: audio of the caller was dropped",
                    &fields,
                );
            }
            match taken {
                Some(taken) => {
                    self.note(&taken);
                    return Some(taken);
                }
                None => self.arrived.notified().await,
            }
        }
    }

    fn note(&self, taken: &Taken) {
        let turn = match *taken {
            Taken::Audio { turn, .. } => turn,
            Taken::Control {
                kind, flags, turn, ..
            } => {
                if kind == kind::SPEECH_END && flags & flag::LAST != 0 {
                    self.unanswered.store(u64::from(turn) + 1, SeqCst);
                }
                // A mark carries the number of an utterance.
                if kind == kind::MARK {
                    return;
                }
                turn
            }
        };
        self.turn.store(turn, SeqCst);
    }

    /// The turn of the event taken last.
    pub(crate) fn turn(&self) -> u32 {
        self.turn.load(SeqCst)
    }

    /// The turn that waits for the end of its answer.
    pub(crate) fn unanswered(&self) -> Option<u32> {
        self.unanswered
            .load(SeqCst)
            .checked_sub(1)
            .map(|turn| turn as u32)
    }

    pub(crate) fn answered(&self) {
        self.unanswered.store(0, SeqCst);
    }

    pub(crate) fn ended(&self) -> bool {
        self.queue().ended
    }

    /// Whether nobody wants `turn` any more: cancelled, or the stream is over.
    pub(crate) fn unwanted(&self, turn: u32) -> bool {
        (turn != 0 && u64::from(turn) < self.least.load(SeqCst)) || self.ended()
    }

    /// Waits for `work`, unless `stop` says that it is no longer wanted: asked before and after every poll, and
    /// woken by every cancel and by the end.
    pub(crate) async fn unless<F>(
        &self,
        work: &mut F,
        stop: impl Fn(&Inbox) -> bool,
    ) -> Option<F::Output>
    where
        F: std::future::Future + Unpin,
    {
        poll_fn(|cx: &mut Context<'_>| {
            self.queue().driver = Some(cx.waker().clone());
            if stop(self) {
                return Poll::Ready(None);
            }
            match std::pin::Pin::new(&mut *work).poll(cx) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending if stop(self) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// One use of the way out; waits while the ring is full. The answer is OK, CANCELLED or ERROR.
    pub(crate) async fn with_out(
        &self,
        mut using: impl FnMut(&mut OutHandle) -> i32,
    ) -> Result<i32, Over> {
        loop {
            let answer = {
                let mut out = self
                    .out
                    .lock()
                    .unwrap_or_else(|poisoned| poisoned.into_inner());
                using(out.as_mut().ok_or(Over)?)
            };
            if answer != status::AGAIN {
                return Ok(answer);
            }
            self.writable.notified().await;
        }
    }

    /// One record; waits while the ring is full.
    pub(crate) async fn emit(
        &self,
        kind: u16,
        turn: u32,
        flags: u16,
        data: &[u8],
    ) -> Result<i32, Over> {
        self.with_out(|out| out.emit(kind, turn, flags, data)).await
    }
}

impl Queue {
    fn push_audio(&mut self, turn: u32, bytes: &[u8], limit: usize) {
        if bytes.is_empty() {
            return;
        }
        if bytes.len() > limit {
            self.dropped += 1;
            return;
        }
        let mut events = self.items.len() - self.controls;
        while events > 0 && (self.audio.len() + bytes.len() > limit || events >= AUDIO_EVENTS) {
            self.drop_oldest_audio();
            events -= 1;
        }
        self.audio.extend(bytes);
        self.items.push_back(Item::Audio {
            turn,
            len: bytes.len(),
        });
    }

    fn drop_oldest_audio(&mut self) {
        let oldest = self
            .items
            .iter()
            .position(|item| matches!(item, Item::Audio { .. }));
        if let Some(Item::Audio { len, .. }) = oldest.and_then(|at| self.items.remove(at)) {
            self.audio.drain(..len);
            self.dropped += 1;
        }
    }

    fn push_control(&mut self, event: &VpEvent, data: &[u8]) -> bool {
        if self.controls >= CONTROL_EVENTS {
            return false;
        }
        self.controls += 1;
        self.items.push_back(Item::Control {
            kind: event.kind,
            flags: event.flags,
            turn: event.turn,
            text: String::from_utf8_lossy(data).into_owned(),
        });
        true
    }

    fn pop(&mut self) -> Option<Taken> {
        Some(match self.items.pop_front()? {
            Item::Audio { turn, len } => Taken::Audio {
                turn,
                bytes: self.audio.drain(..len).collect(),
            },
            Item::Control {
                kind,
                flags,
                turn,
                text,
            } => {
                self.controls -= 1;
                Taken::Control {
                    kind,
                    flags,
                    turn,
                    text,
                }
            }
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LIMIT: usize = 10;

    fn speak(turn: u32) -> VpEvent {
        VpEvent::new(kind::SPEAK, turn, b"hello")
    }

    /// Everything in the queue, one word each: `a3:xyz` for audio of turn 3, `c7` for control of turn 7.
    fn drawn(queue: &mut Queue) -> String {
        let mut words = Vec::new();
        while let Some(taken) = queue.pop() {
            words.push(match taken {
                Taken::Audio { turn, bytes } => {
                    format!("a{turn}:{}", String::from_utf8(bytes).unwrap())
                }
                Taken::Control { turn, .. } => format!("c{turn}"),
            });
        }
        words.join(" ")
    }

    #[test]
    fn full_queue_drops_oldest_audio_and_no_control() {
        let mut queue = Queue::default();
        queue.push_audio(1, b"aaaa", LIMIT);
        assert!(queue.push_control(&speak(7), b"x"));
        queue.push_audio(2, b"bbbb", LIMIT);
        queue.push_audio(3, b"cccc", LIMIT);
        assert_eq!(queue.dropped, 1);
        assert_eq!(drawn(&mut queue), "c7 a2:bbbb a3:cccc");
        assert_eq!((queue.controls, queue.audio.len()), (0, 0));
    }

    #[test]
    fn audio_longer_than_the_queue_is_counted_and_harmless() {
        let mut queue = Queue::default();
        queue.push_audio(1, b"aaaa", LIMIT);
        queue.push_audio(1, &[0; LIMIT + 1], LIMIT);
        queue.push_audio(1, b"", LIMIT);
        assert_eq!(queue.dropped, 1);
        assert_eq!(drawn(&mut queue), "a1:aaaa");
    }

    #[test]
    fn tiny_audio_is_bounded_by_number() {
        let mut queue = Queue::default();
        for n in 0..AUDIO_EVENTS as u32 + 5 {
            queue.push_audio(n, b"a", usize::MAX);
        }
        assert_eq!((queue.items.len(), queue.dropped), (AUDIO_EVENTS, 5));
        assert_eq!(
            queue.pop(),
            Some(Taken::Audio {
                turn: 5,
                bytes: b"a".to_vec()
            })
        );
    }

    #[test]
    fn control_past_its_bound_is_refused() {
        let mut queue = Queue::default();
        for n in 0..CONTROL_EVENTS as u32 {
            assert!(queue.push_control(&speak(n), b""));
        }
        assert!(!queue.push_control(&speak(0), b""));
        assert!(queue.pop().is_some());
        assert!(queue.push_control(&speak(0), b""));
    }
}
