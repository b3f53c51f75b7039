//! The one thread that writes. It takes what waits, commits it durably, answers whoever waited, and when the disk refuses, opens
//! the database again and tries the same batch until it is in. It knows rows, not what they mean.
//!
//! ```text
//!          ┌── take a batch ◄────────────┐
//!          ▼                             │ done: answers, counters
//!        commit ── durable ──────────────┘
//!          │ refused                 ▲
//!          ▼                         │ room
//!        tell whoever waits; close and reopen; look for room ─┐
//!                                    ▲                        │ none: pause 0.1 … 2 s
//!                                    └────────────────────────┘
//! ```
//!
//! After one failed commit redb refuses every other until it is closed and opened again, and may refuse reads too; so it is
//! reopened at once, for the readers, and written to again only when there is room.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use redb::Database;
use tracing::{debug, error, info, warn};

use super::Shared;
use super::disk::{self, Disk};
use super::error::OpenError;
use super::fault::{Fault, shielded};
use super::queue::{Batch, QueuedEvent, What};
use super::record::NewEvent;
use super::schema::{self, DAMAGED_EVENT, Ids};
use super::table::{self, Written, encode};

/// Memory redb may keep pages in. Its default is 1 GiB; the newest pages of our lists fit in this many times over.
pub(super) const CACHE_BYTES: usize = 16 << 20;
/// After a failed commit. Above two seconds a disk that has room again would not be in use within five.
const FIRST_PAUSE_MS: u64 = 100;
const MAX_PAUSE_MS: u64 = 2000;
/// A lone event waits this long for others before a durable commit (4 ms of disk) is spent on it.
const LINGER_MS: u64 = 8;

/// How long the writer waits for this and that; tests shorten it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) linger: Duration,
    pub(crate) first_pause: Duration,
    pub(crate) max_pause: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            linger: Duration::from_millis(LINGER_MS),
            first_pause: Duration::from_millis(FIRST_PAUSE_MS),
            max_pause: Duration::from_millis(MAX_PAUSE_MS),
        }
    }
}

/// An open database, and what it took to open it.
pub(crate) struct Opened {
    pub(crate) db: Database,
    pub(crate) ids: Ids,
    /// Calls and events in it.
    pub(crate) rows: u64,
    /// Where a damaged one went.
    pub(crate) aside: Option<PathBuf>,
}

/// Opens, checks every page, prepares the tables. A damaged database is moved aside, with an error in the log, and a new one says
/// so in its first event.
pub(crate) fn open(disk: &mut dyn Disk, now_ms: u64, restarted: bool) -> Result<Opened, OpenError> {
    let restarted_ms = restarted.then_some(now_ms);
    let reason = match try_open(disk, restarted_ms) {
        Ok(opened) => return Ok(opened),
        Err(Fault::Damaged(reason)) => reason,
        Err(fault) => return Err(explain(disk.path(), fault)),
    };
    let path = disk.path().to_owned();
    let aside = disk
        .set_aside(now_ms)
        .map_err(|source| OpenError::Damaged {
            path: path.clone(),
            reason: reason.clone(),
            source,
        })?;
    error!(
        file = %path.display(), moved_to = %aside.display(), %reason,
        "the store is damaged; it was moved aside and an empty one begun. Earlier calls and events are in the moved file only",
    );
    let fresh = try_open(disk, restarted_ms).map_err(|fault| explain(&path, fault))?;
    let said = shielded(|| {
        let detail =
            serde_json::json!({ "moved_to": aside.display().to_string(), "reason": reason });
        let event = NewEvent {
            at_ms: now_ms,
            event: DAMAGED_EVENT.to_owned(),
            detail,
            ..NewEvent::default()
        }
        .bounded();
        let json = encode(&event)?;
        let events = vec![QueuedEvent {
            call_sid: String::new(),
            json,
        }];
        table::write(
            &fresh.db,
            &Batch {
                control: vec![],
                events,
            },
            fresh.ids,
        )
    });
    let Written { ids, rows, .. } = said.map_err(|fault| explain(&path, fault))?;
    Ok(Opened {
        ids,
        rows,
        aside: Some(aside),
        ..fresh
    })
}

fn try_open(disk: &mut dyn Disk, restarted_ms: Option<u64>) -> Result<Opened, Fault> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    // Without it redb trusts a file that was closed cleanly, and may panic or answer nonsense on a damaged page later.
    builder.set_check_integrity_on_open(true);
    builder.set_repair_callback(|repair| {
        debug!(done = repair.progress(), "checking the store after a crash")
    });
    shielded(|| {
        let db = disk.open(&builder)?;
        // The same process opening again has nothing to write, and its disk may be full.
        if restarted_ms.is_some() || !schema::is_prepared(&db)? {
            schema::prepare(&db, restarted_ms)?;
        }
        let (ids, rows) = (schema::next_ids(&db)?, schema::rows(&db)?);
        Ok(Opened {
            db,
            ids,
            rows,
            aside: None,
        })
    })
}

fn explain(path: &Path, fault: Fault) -> OpenError {
    let path = path.to_owned();
    match fault {
        Fault::Newer { found, known } => OpenError::Newer { path, found, known },
        Fault::Foreign => OpenError::Foreign { path },
        Fault::Refused(error) if matches!(*error, redb::Error::DatabaseAlreadyOpen) => {
            let holder = disk::holder(&path);
            OpenError::InUse { path, holder }
        }
        other => OpenError::Storage {
            path,
            reason: other.to_string(),
        },
    }
}

/// The thread's own things. The database itself lies in [`Shared`], for the readers.
pub(crate) struct Writer {
    pub(crate) shared: std::sync::Arc<Shared>,
    pub(crate) disk: Box<dyn Disk>,
    pub(crate) ids: Ids,
    pub(crate) pace: Pace,
}

impl Writer {
    /// Runs until the queue is closed and everything in it is written, or the disk refuses the last attempt.
    pub(crate) fn run(mut self) {
        let mut batch = Batch::default();
        while self.shared.queue.take(&mut batch) {
            if !self.write(&mut batch) {
                break;
            }
            batch = Batch::default();
        }
        let lost = self.shared.queue.finish();
        if lost > 0 {
            error!(
                file = %self.disk.path().display(), records = lost, reason = self.shared.last_error(),
                "the store was closed while its disk refused to write; these records are lost",
            );
        }
        if let Some(db) = self.shared.take_db()
            && let Err(reason) = db.close()
        {
            warn!(file = %self.disk.path().display(), %reason, "the store was not closed cleanly; the next start checks it");
        }
    }

    /// Until the batch is durable. False only when the store is closing and the disk refuses still.
    fn write(&mut self, batch: &mut Batch) -> bool {
        let mut pause = self.pace.first_pause;
        let mut trouble_since = None;
        let mut last_attempt = false;
        loop {
            let begun = Instant::now();
            match self.commit(batch) {
                Ok(written) => {
                    self.shared
                        .committed(begun.elapsed(), written.rows, self.disk.size_bytes());
                    self.shared.newest_event.send_if_modified(|newest| {
                        let now = written.ids.next_event - 1;
                        std::mem::replace(newest, now) != now
                    });
                    if let Some(since) = trouble_since {
                        self.recovered(since);
                    }
                    self.answer(batch, written);
                    return true;
                }
                Err(fault) => {
                    if trouble_since.is_none() {
                        trouble_since = Some(begun);
                        error!(
                            file = %self.disk.path().display(), reason = %fault,
                            "cannot write to the store; records wait in memory, calls go on. Free some disk: it heals itself",
                        );
                    }
                    self.shared.failed(&fault.to_string());
                    self.shared.queue.trouble(batch);
                }
            }
            if last_attempt {
                return false;
            }
            self.reopen();
            loop {
                last_attempt = self.shared.queue.pause(pause);
                pause = (pause * 2).min(self.pace.max_pause);
                match self.ready() {
                    Ok(()) => break,
                    Err(reason) => {
                        debug!(%reason, "the store still waits for its disk");
                        self.shared.failed(&reason.to_string());
                    }
                }
                if last_attempt {
                    return false;
                }
            }
        }
    }

    fn commit(&mut self, batch: &Batch) -> Result<Written, Fault> {
        let db = self.shared.db();
        let db = db.as_ref().ok_or(Fault::NotOpen)?;
        let written = shielded(|| table::write(db, batch, self.ids))?;
        self.ids = written.ids;
        Ok(written)
    }

    /// Whether another attempt makes sense.
    fn ready(&mut self) -> io::Result<()> {
        self.disk.has_room()?;
        if self.shared.db().is_none() {
            self.reopen();
        }
        match self.shared.db().as_ref() {
            Some(_) => Ok(()),
            None => Err(io::Error::other(self.shared.last_error())),
        }
    }

    /// Closes the database and opens it again. Readers wait meanwhile; if it does not open they are told, and it is tried later.
    fn reopen(&mut self) {
        let mut place = self.shared.db_exclusive();
        if let Some(db) = place.take()
            && let Err(reason) = db.close()
        {
            debug!(%reason, "closing the store after a failed write");
        }
        let now_ms = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |t| t.as_millis());
        match open(
            &mut *self.disk,
            u64::try_from(now_ms).unwrap_or(u64::MAX),
            false,
        ) {
            Ok(opened) => {
                // Our ids stand, whatever the file says: the batch in hand may be in it already and has to meet its own rows, and a
                // new file must not give out the old ids again.
                if let Some(aside) = opened.aside {
                    self.shared.set_aside(&aside);
                }
                *place = Some(opened.db);
            }
            Err(reason) => self.shared.failed(&reason.to_string()),
        }
    }

    fn recovered(&self, since: Instant) {
        let health = self.shared.health();
        info!(
            file = %self.disk.path().display(), seconds = since.elapsed().as_secs_f64(), waiting = health.queued,
            dropped_so_far = health.dropped, "the store can be written to again",
        );
    }

    fn answer(&self, batch: &mut Batch, written: Written) {
        // Before the flushes are answered, so that the next flush waits for the next piece.
        if let Some(before_ms) = written.prune_more {
            self.shared.prune(before_ms);
        }
        self.shared.queue.done(batch);
        for (request, answer) in batch.control.drain(..).zip(written.answers) {
            match (request.waiter, request.what, &answer) {
                // Whoever waited may be gone: its 500 ms were over.
                (Some(waiter), ..) => drop(waiter.send(Ok(answer))),
                (None, What::Change(call, _), None) => {
                    debug!(%call, "a change came for a call that has no record")
                }
                _ => {}
            }
        }
    }
}
