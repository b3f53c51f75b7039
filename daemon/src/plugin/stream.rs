//! One plugin at work for one call, on one media thread. Events go in by a plain function call; records come out of the
//! ring, which the media ticker reads in place. No allocation, lock, clock or log per frame. What the records mean for the
//! call is not known here.

use super::error::Fault;
use super::generation::Generation;
use super::memory::Pages;
use super::ring::Reader;
use super::watch::Watched;
use std::ffi::c_void;
use std::sync::Arc;
use std::task::Waker;
use voice_plugin::abi::{VpBytes, VpEvent, kind, status};

/// One plugin at work for one call. Stays on the thread it was started on; dropping it stops the plugin's side.
pub struct Stream {
    generation: Arc<Generation>,
    /// The plugin's; a raw pointer, which also keeps the stream on its thread.
    stream: *mut c_void,
    reader: Reader<Pages>,
    watched: Watched,
    life: Life,
}

#[derive(Clone, Copy, PartialEq)]
enum Life {
    Well,
    /// A fault nobody has been told of yet.
    Struck(Fault),
    Dead,
}

/// One thing the plugin put out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// One of [`voice_plugin::abi::kind`]; unknown ones are to be ignored.
    pub kind: u16,
    /// Bits of [`voice_plugin::abi::flag`]; they hold for the end of the record.
    pub flags: u16,
    /// The utterance or turn it belongs to.
    pub turn: u32,
    /// Audio, text or JSON, by kind: in the ring itself.
    pub data: &'a [u8],
}

impl Stream {
    pub(crate) fn new(
        generation: Arc<Generation>,
        stream: *mut c_void,
        reader: Reader<Pages>,
        watched: Watched,
    ) -> Stream {
        Stream {
            generation,
            stream,
            reader,
            watched,
            life: Life::Well,
        }
    }

    /// Gives the plugin one event; `at` is the media clock in samples at 8 kHz. After a fault the stream is dead: it
    /// gives no more records, and every later `send` answers [`Fault::Gone`].
    pub fn send(
        &mut self,
        kind: u16,
        flags: u16,
        turn: u32,
        at: u64,
        data: &[u8],
    ) -> Result<(), Fault> {
        if self.life == Life::Well {
            self.deliver(&VpEvent {
                kind,
                flags,
                turn,
                at,
                data: VpBytes::lend(data),
            });
        }
        match self.life {
            Life::Well => Ok(()),
            Life::Struck(fault) => {
                self.life = Life::Dead;
                Err(fault)
            }
            Life::Dead => Err(Fault::Gone),
        }
    }

    /// `turn` and every turn before it is no longer wanted: nothing more of them comes out, and the plugin is told;
    /// `flags` and `data` go with it. Turn 0 is outside all turns and never cancelled.
    pub fn cancel(&mut self, turn: u32, flags: u16, data: &[u8]) {
        if turn != 0 {
            // First the ring, then the plugin: what it says in answer is already refused.
            self.reader.cancel(turn);
            if self.life == Life::Well {
                let mut event = VpEvent::new(kind::CANCEL, turn, data);
                event.flags = flags;
                self.deliver(&event);
            }
        }
    }

    /// The oldest record that is still wanted, in place. The same one again until [`Stream::take`]; stale ones are
    /// dropped as they are met. None when there is nothing, or the stream is dead.
    #[allow(clippy::should_implement_trait)] // lends from the stream, which Iterator cannot
    pub fn next(&mut self) -> Option<Record<'_>> {
        self.pump();
        if self.life != Life::Well {
            return None;
        }
        let next = self.reader.next();
        if self.reader.is_broken() {
            self.strike(Fault::Overwrote);
            return None;
        }
        let (head, at) = next?;
        // SAFETY: a record the reader has open: the writer keeps away from it until it is taken, which needs the
        // stream, which the record borrows.
        let data = unsafe { self.reader.ring().memory().bytes(at, head.len as usize) };
        Some(Record {
            kind: head.kind,
            flags: head.flags,
            turn: head.turn,
            data,
        })
    }

    /// Frees the record [`Stream::next`] showed last. Tells the plugin if it waits for room.
    pub fn take(&mut self) {
        self.reader.take();
        self.pump();
    }

    /// Frees the first `n` bytes of the record [`Stream::next`] showed last; what is left comes next. All of it, or
    /// more, is [`Stream::take`].
    pub fn take_part(&mut self, n: usize) {
        self.reader.take_part(n);
        self.pump();
    }

    /// Wakes this one, once, when the plugin next puts something out, instead of leaving it to the next look. False if
    /// there is something already: look now. For the few records that a caller waits for; each costs the plugin's thread
    /// a system call. Always the same waker: one that is still to be woken is not replaced.
    pub fn wake_at_record(&mut self, waker: &Waker) -> bool {
        self.life != Life::Well || self.reader.wake_at_commit(waker)
    }

    /// Whether there is nothing to do here: no record, nobody waiting for room, no fault to be told of. Two atomic loads.
    pub fn is_idle(&self) -> bool {
        match self.life {
            Life::Well => self.reader.is_idle(),
            Life::Struck(_) => false,
            Life::Dead => true,
        }
    }

    /// A fault that no `send` has reported yet: the plugin may also fail while it is told that there is room.
    pub fn fault(&self) -> Option<Fault> {
        match self.life {
            Life::Well => None,
            Life::Struck(fault) => Some(fault),
            Life::Dead => Some(Fault::Gone),
        }
    }

    /// What it was started from; stays open as long as the stream runs.
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// Tells a plugin that was refused for want of room that there is room again.
    fn pump(&mut self) {
        if self.reader.owes_writable() && self.life == Life::Well {
            self.deliver(&VpEvent::new(kind::WRITABLE, 0, &[]));
        }
    }

    fn deliver(&mut self, event: &VpEvent) {
        let inside = self.watched.note().enter(self.generation.number());
        // SAFETY: `stream` lives until `stop`, which only Drop calls; this is the thread it was started on, because the
        // type is not Send; `&mut self` lets nobody else in; the event and its bytes are lent for the call.
        let answer = unsafe { (self.generation.library().table().send)(self.stream, event, 1) };
        drop(inside);
        match answer {
            status::PANIC => {
                self.generation.count_panic();
                self.strike(Fault::Panicked);
            }
            // AGAIN, CANCELLED and UNSUPPORTED are about one event; an unsupported one is an ignored one.
            0.. => {}
            code => self.strike(Fault::Refused(code)),
        }
    }

    /// From here on the plugin's writes are refused, and what it wrote is not shown: half an answer after the fallback
    /// began would be two voices.
    fn strike(&mut self, fault: Fault) {
        self.life = Life::Struck(fault);
        self.reader.stop();
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Threads of the plugin that wait for room learn it at their next write.
        self.reader.stop();
        let _inside = self.watched.note().enter(self.generation.number());
        // SAFETY: as in `deliver`; this is the pointer's last use.
        unsafe { (self.generation.library().table().stop)(self.stream) };
    }
}
