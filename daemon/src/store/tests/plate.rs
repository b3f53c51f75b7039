//! A disk in memory that misbehaves on request: it fills up, fails once, stalls, loses its power. It keeps apart what was written
//! and what was synced, so a power cut can lose any part of the difference. And the seeds and words the tests on it share.

#![cfg(test)]
#![allow(clippy::unwrap_used)]

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redb::{Builder, Database, DatabaseError, StorageBackend};

use super::super::disk::Disk;
use super::super::writer::Pace;
use super::super::{CallChange, CallQuery, EventQuery, NewCall, NewEvent, Store};

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// What was done to the plate and is not synced yet.
#[derive(Clone)]
pub(super) enum Unsynced {
    Write(usize, Vec<u8>),
    Length(usize),
}

pub(super) struct PlateState {
    pub(super) live: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) unsynced: Vec<Unsynced>,
    /// Bytes the disk has.
    pub(super) room: usize,
    /// Operations until the disk fails, and whether it stays failed (no power) or fails once.
    pub(super) fails_in: Option<u64>,
    pub(super) dead: bool,
    pub(super) for_good: bool,
    /// Says "synced" and does nothing: a planted bug that the power cut test has to find.
    pub(super) lies: bool,
    /// A sync waits here while true.
    pub(super) stalled: bool,
    pub(super) operations: u64,
    pub(super) aside: Option<Vec<u8>>,
}

#[derive(Clone)]
pub(super) struct Plate {
    state: Arc<(Mutex<PlateState>, Condvar)>,
}

impl fmt::Debug for Plate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plate")
    }
}

impl Plate {
    pub(super) fn of(image: Vec<u8>) -> Plate {
        let state = PlateState {
            live: image.clone(),
            durable: image,
            unsynced: vec![],
            room: usize::MAX,
            fails_in: None,
            dead: false,
            for_good: false,
            lies: false,
            stalled: false,
            operations: 0,
            aside: None,
        };
        Plate {
            state: Arc::new((Mutex::new(state), Condvar::new())),
        }
    }

    pub(super) fn new() -> Plate {
        Plate::of(vec![])
    }

    pub(super) fn set(&self, change: impl FnOnce(&mut PlateState)) {
        change(&mut self.lock());
        self.state.1.notify_all();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, PlateState> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn operate(&self) -> io::Result<MutexGuard<'_, PlateState>> {
        let mut state = self.lock();
        state.operations += 1;
        if state.dead {
            return Err(io::Error::other("no power"));
        }
        if let Some(left) = &mut state.fails_in {
            if *left == 0 {
                state.fails_in = None;
                state.dead = state.for_good;
                return Err(io::Error::other("planted"));
            }
            *left -= 1;
        }
        Ok(state)
    }

    /// What a power cut leaves: all that was synced, and of the rest whatever the seed says.
    pub(super) fn after_power_cut(&self, random: &mut Random) -> Vec<u8> {
        let state = self.lock();
        let mut image = state.durable.clone();
        for change in &state.unsynced {
            match change {
                Unsynced::Length(length) if random.below(2) == 0 => image.resize(*length, 0),
                Unsynced::Length(_) => {}
                Unsynced::Write(at, bytes) => {
                    // Disks write sectors whole, in any order: none of this write, all of it, or some from its front.
                    let sectors = bytes.len().div_ceil(SECTOR_BYTES) as u64;
                    let kept = match random.below(4) {
                        0 | 1 => 0,
                        2 => bytes.len(),
                        _ => (random.below(sectors + 1) as usize * SECTOR_BYTES).min(bytes.len()),
                    };
                    if kept > 0 {
                        image.resize(image.len().max(at + kept), 0);
                        image[*at..at + kept].copy_from_slice(&bytes[..kept]);
                    }
                }
            }
        }
        image
    }
}

impl StorageBackend for Plate {
    fn len(&self) -> io::Result<u64> {
        Ok(self.operate()?.live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.operate()?;
        let at = offset as usize;
        let bytes = state
            .live
            .get(at..at + out.len())
            .ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.operate()?;
        let length = length as usize;
        if length > state.room && length > state.live.len() {
            return Err(ErrorKind::StorageFull.into());
        }
        state.live.resize(length, 0);
        state.unsynced.push(Unsynced::Length(length));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.operate()?;
        while state.stalled {
            state = self
                .state
                .1
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if !state.lies {
            state.durable = state.live.clone();
            state.unsynced.clear();
        }
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.operate()?;
        let at = offset as usize;
        if at + bytes.len() > state.room {
            return Err(ErrorKind::StorageFull.into());
        }
        if at + bytes.len() > state.live.len() {
            state.live.resize(at + bytes.len(), 0);
        }
        state.live[at..at + bytes.len()].copy_from_slice(bytes);
        state.unsynced.push(Unsynced::Write(at, bytes.to_vec()));
        Ok(())
    }
}

impl Disk for Plate {
    fn open(&mut self, builder: &Builder) -> Result<Database, DatabaseError> {
        builder.create_with_backend(self.clone())
    }

    fn has_room(&mut self) -> io::Result<()> {
        let state = self.lock();
        if state.dead || state.live.len() + (1 << 20) > state.room {
            return Err(ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn set_aside(&mut self, _now_ms: u64) -> io::Result<PathBuf> {
        let mut state = self.lock();
        state.aside = Some(std::mem::take(&mut state.live));
        Ok(PathBuf::from("plate.damaged"))
    }

    fn size_bytes(&self) -> u64 {
        self.lock().live.len() as u64
    }

    fn path(&self) -> &Path {
        Path::new("plate")
    }
}

/// xorshift64*: the same seed, the same run.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn seeded(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}

pub(super) const HURRY: Pace = Pace {
    linger: Duration::ZERO,
    first_pause: Duration::from_millis(1),
    max_pause: Duration::from_millis(4),
};

pub(super) fn call(sid: &str) -> NewCall {
    NewCall {
        call_sid: sid.into(),
        status: "ringing".into(),
        at_ms: 1,
        ..NewCall::default()
    }
}

pub(super) fn said(sid: &str, text: String) -> NewEvent {
    NewEvent {
        call_sid: sid.into(),
        event: "said".into(),
        text,
        at_ms: 2,
        ..NewEvent::default()
    }
}

pub(super) fn status(word: &str) -> CallChange {
    CallChange {
        status: Some(word.into()),
        at_ms: 3,
        ..CallChange::default()
    }
}

pub(super) fn open(disk: &Plate) -> Store {
    Store::open_with(Box::new(disk.clone()), 9, HURRY).unwrap()
}

pub(super) fn now_ms() -> u64 {
    1_700_000_000_000
}

/// Turns the scheduler's wheel until `done`, or fails after half a minute.
#[track_caller]
pub(super) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

/// All events named "said", oldest first, read page by page.
pub(super) fn texts(store: &Store) -> Vec<String> {
    let mut texts = vec![];
    let mut query = EventQuery {
        event: Some("said".into()),
        limit: 1000,
        ..EventQuery::default()
    };
    loop {
        let page = store.events(query.clone()).unwrap();
        texts.extend(page.rows.into_iter().map(|event| event.text));
        query.before = page.next;
        if page.next.is_none() {
            texts.reverse();
            return texts;
        }
    }
}

pub(super) fn sids(store: &Store) -> Vec<String> {
    let page = store
        .calls(CallQuery {
            limit: 1000,
            ..CallQuery::default()
        })
        .unwrap();
    assert_eq!(page.next, None);
    page.rows
        .into_iter()
        .rev()
        .map(|call| call.call_sid)
        .collect()
}
