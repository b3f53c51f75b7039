//! The store: what calls and events there were, kept in one redb file by one thread. It knows nothing about audio, carriers or
//! HTTP, and not what the words inside its records mean.
//!
//! ```text
//! legs, webhooks ── note, change_call, open_call ─→ queue ─→ writer ──→ calls.redb
//!                       (never wait for the disk)   bounded   one thread,   ▲
//! http ──────────── calls, events, call ───────────────────── 1 commit for  │
//!                       (blocking reads, copied out)          up to 1000 rows
//! ```
//!
//! What it promises:
//! - What was acknowledged (`open_call`, `update_call`, `flush` returned well) is there after a `kill -9`, a power cut, a full
//!   disk. What was only queued may be lost with the process.
//! - A call never waits for the disk: pushing takes microseconds, `open_call` gives up waiting after half a second and the
//!   record stays queued.
//! - A full disk heals: records wait in a bounded queue, the file is reopened, and all are written once there is room.
//! - A damaged file never becomes an empty one in silence: it is moved aside, and the log, the health and an event say so.
//! - A call that a dead daemon left open is closed as failed at the next start.

mod account;
mod disk;
mod error;
mod fault;
mod left;
mod query;
mod queue;
mod record;
mod schema;
mod table;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use redb::Database;
use serde::Serialize;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

pub use account::{Account, AccountBook, AccountChange, ApiToken, Session};
pub use error::{AccountError, LeftError, OpenError, ReadError, WriteError};
pub use left::Left;
pub use query::{CallQuery, EventQuery, MAX_PAGE_ROWS, MAX_SCAN_ROWS, Page};
pub use queue::{QUEUE_CONTROL, QUEUE_EVENTS, QUEUE_EVENTS_BYTES, QUEUE_OPENS};
pub use record::{
    CallChange, CallRecord, Event, MAX_DETAIL_BYTES, MAX_NAME_BYTES, MAX_TEXT_BYTES, MAX_VARIABLES,
    NewCall, NewEvent, is_final,
};
pub use schema::{DAMAGED_EVENT, RESTARTED, RESTARTED_EVENT};

use disk::{Disk, Folder};
use fault::{Fault, shielded};
use queue::{Queue, QueuedEvent, Refused, Request, What};
use table::encode;
use writer::{Pace, Writer};

/// Longest that `open_call` and `update_call` wait for the disk. A webhook has 15 s at Twilio, but a caller hears every one of them.
pub const OPEN_CALL_WAIT_MS: u64 = 500;
/// Longest that `flush` waits: a batch of everything the queue can hold takes less than a second on a disk that works.
pub const FLUSH_WAIT_MS: u64 = 10_000;

/// Called after each durable commit with the time it took, on the writer's thread.
pub type OnCommit = Box<dyn Fn(Duration) + Send + Sync>;

/// How the store is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The last commit succeeded, or none was needed yet.
    pub ok: bool,
    /// Records accepted and not yet durable.
    pub queued: usize,
    /// Events and changes lost at the bound of the queue, or because the store was closed.
    pub dropped: u64,
    /// Of these, changes and openings of calls.
    pub dropped_changes: u64,
    /// Why the last commit failed; empty while `ok`.
    pub last_error: String,
    /// Durable commits since the start.
    pub commits: u64,
    /// Calls and events in the file.
    pub rows: u64,
    /// Size of the file. It seldom shrinks; freed space is used again.
    pub size_bytes: u64,
    /// Where a damaged file was moved to since the start; empty if none was.
    pub set_aside: String,
}

/// What handles, readers and the writer share.
struct Shared {
    queue: Queue,
    /// `None` while it is being reopened and after the end. Readers and the committing writer hold it shared; it is held
    /// exclusively only to reopen.
    db: RwLock<Option<Database>>,
    healthy: AtomicBool,
    dropped_events: AtomicU64,
    dropped_changes: AtomicU64,
    commits: AtomicU64,
    rows: AtomicU64,
    size_bytes: AtomicU64,
    last_error: Mutex<String>,
    set_aside: Mutex<String>,
    on_commit: OnceLock<OnCommit>,
    /// Id of the newest durable event; rung after the commit that brought it.
    newest_event: watch::Sender<u64>,
}

/// A handle on the store; cheap to clone, for every leg its own. The file is closed when [`Store::close`] is called or the last
/// handle is dropped, both of which wait for what is queued.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    thread: Arc<Thread>,
}

/// Ends the writer with the last handle.
struct Thread {
    shared: Arc<Shared>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// Opens the store in this folder, making both when they are missing, and closes the calls that a dead daemon left open
    /// with the time `now_ms` (unix ms). Every page of the file is checked: about two seconds per gigabyte on a busy
    /// machine.
    pub fn open(dir: &Path, now_ms: u64) -> Result<Store, OpenError> {
        let folder = Folder::new(dir).map_err(|source| OpenError::Folder {
            path: dir.to_owned(),
            source,
        })?;
        Store::open_with(Box::new(folder), now_ms, Pace::default())
    }

    /// Whether [`Store::open`] could make its file here. Changes nothing, and takes no lock: a daemon may be at work in it.
    ///
    /// # Errors
    /// [`OpenError::Folder`].
    pub fn writable(dir: &Path) -> Result<(), OpenError> {
        disk::writable(dir).map_err(|source| OpenError::Folder {
            path: dir.to_owned(),
            source,
        })
    }

    fn open_with(mut disk: Box<dyn Disk>, now_ms: u64, pace: Pace) -> Result<Store, OpenError> {
        let opened = writer::open(&mut *disk, now_ms, true)?;
        let shared = Arc::new(Shared {
            queue: Queue::new(pace.linger),
            db: RwLock::new(None),
            healthy: AtomicBool::new(true),
            dropped_events: AtomicU64::new(0),
            dropped_changes: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            rows: AtomicU64::new(opened.rows),
            size_bytes: AtomicU64::new(disk.size_bytes()),
            last_error: Mutex::default(),
            set_aside: Mutex::default(),
            on_commit: OnceLock::new(),
            newest_event: watch::Sender::new(opened.ids.next_event - 1),
        });
        if let Some(aside) = opened.aside {
            shared.set_aside(&aside);
        }
        *shared.db_exclusive() = Some(opened.db);
        let writer = Writer {
            shared: Arc::clone(&shared),
            disk,
            ids: opened.ids,
            pace,
        };
        let handle = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run())
            .map_err(OpenError::Thread)?;
        let thread = Arc::new(Thread {
            shared: Arc::clone(&shared),
            handle: Mutex::new(Some(handle)),
        });
        Ok(Store { shared, thread })
    }

    /// Opens a call; durable when it returns `Ok`. A name that is known already returns the record that is there, unchanged.
    ///
    /// Waits at most [`OPEN_CALL_WAIT_MS`], and not at all while the disk is known to refuse: then it is
    /// [`WriteError::Slow`], and the record is written later. Above [`QUEUE_OPENS`] it is [`WriteError::Full`].
    pub async fn open_call(&self, new: NewCall) -> Result<CallRecord, WriteError> {
        let new = new.bounded();
        let call_sid = new.call_sid.clone();
        self.ask(What::Open(new), &call_sid)
            .await?
            .ok_or(WriteError::Slow { call_sid })
    }

    /// Changes a call; durable when it returns `Ok`. `None` if there is no such call. A final status never becomes a running one.
    /// Waits and fails like [`Store::open_call`].
    pub async fn update_call(
        &self,
        sid: &str,
        change: CallChange,
    ) -> Result<Option<CallRecord>, WriteError> {
        let sid = record::name(sid);
        self.ask(What::Change(sid.clone(), change.bounded()), &sid)
            .await
    }

    /// Changes a call, without waiting and without an answer. Changes have a lane of their own that new calls may fill only to
    /// half; beyond [`QUEUE_CONTROL`] waiting requests the change is lost and counted, and the next start closes the call.
    pub fn change_call(&self, sid: &str, change: CallChange) {
        self.push_later(What::Change(record::name(sid), change.bounded()));
    }

    /// Keeps an event. Never blocks and never waits for the disk: it is encoded here and put into a queue, about 1 µs (measured). Above
    /// [`QUEUE_EVENTS`] or [`QUEUE_EVENTS_BYTES`] it is dropped and counted.
    pub fn note(&self, event: NewEvent) {
        let event = event.bounded();
        let kept = match encode(&event) {
            Ok(json) => self
                .shared
                .queue
                .push_event(QueuedEvent {
                    call_sid: event.call_sid,
                    json,
                })
                .is_ok(),
            Err(_) => false,
        };
        if !kept {
            self.shared.dropped_events.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Changes who may sign in; durable when it returns `Ok`. Waits like [`Store::open_call`].
    pub async fn change_accounts(&self, change: AccountChange) -> Result<(), AccountError> {
        let (waiter, answer) = oneshot::channel();
        let pushed = self.shared.queue.push_request(Request {
            what: What::Account(change),
            waiter: Some(waiter),
        });
        pushed.map_err(|refused| match refused {
            Refused::Full => AccountError::Full,
            Refused::Closed => AccountError::Closed,
        })?;
        match timeout(Duration::from_millis(OPEN_CALL_WAIT_MS), answer).await {
            Ok(Ok(Ok(_))) => Ok(()),
            Ok(Ok(Err(queue::Postponed))) | Err(_) => Err(AccountError::Slow),
            Ok(Err(_)) => Err(AccountError::Closed),
        }
    }

    /// As [`Store::change_accounts`], without waiting: for what may be lost with the process, such as when a session was last seen.
    pub fn change_accounts_later(&self, change: AccountChange) {
        self.push_later(What::Account(change));
    }

    fn push_later(&self, what: What) {
        let request = Request { what, waiter: None };
        if self.shared.queue.push_request(request).is_err() {
            self.shared.dropped_changes.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Who may sign in. Blocks on the disk.
    pub fn accounts(&self) -> Result<AccountBook, ReadError> {
        self.read(account::read)
    }

    /// Forgets events and finished calls from before this time (unix ms), in the background and in pieces.
    pub fn prune(&self, before_ms: u64) {
        self.shared.prune(before_ms);
    }

    /// A page of calls, newest first. Blocks on the disk: call it where blocking is allowed.
    pub fn calls(&self, query: CallQuery) -> Result<Page<CallRecord>, ReadError> {
        self.read(|db| query::calls(db, &query))
    }

    /// The call of this name. Blocks on the disk.
    pub fn call(&self, sid: &str) -> Result<Option<CallRecord>, ReadError> {
        self.read(|db| query::call(db, sid))
    }

    /// A page of events, newest first. Blocks on the disk.
    pub fn events(&self, query: EventQuery) -> Result<Page<Event>, ReadError> {
        self.read(|db| query::events(db, &query))
    }

    /// The id of the newest event that [`Store::events`] can find, 0 while there is none; changes after each commit that
    /// brought some. Whoever follows reads again at each change and misses nothing.
    pub fn newest_event(&self) -> watch::Receiver<u64> {
        self.shared.newest_event.subscribe()
    }

    /// How the store is doing. Cheap, and never waits for the disk.
    pub fn health(&self) -> Health {
        self.shared.health()
    }

    /// Asks to be told the time of each durable commit. The first one to ask is told; a later one is not.
    pub fn on_commit(&self, told: OnCommit) {
        self.shared.on_commit.set(told).ok();
    }

    /// Waits until everything given so far is durable, at most [`FLUSH_WAIT_MS`]. True if it is.
    pub async fn flush(&self) -> bool {
        let flushed = self.shared.queue.flushed();
        matches!(
            timeout(Duration::from_millis(FLUSH_WAIT_MS), flushed).await,
            Ok(Ok(()))
        )
    }

    /// Writes what is queued, closes the file and ends the thread; other handles then count what they are given as dropped.
    /// Blocks for a commit or two. A disk that refuses gets one more attempt; what is lost then is in the log.
    pub fn close(self) {
        self.thread.end();
    }

    async fn ask(&self, what: What, call_sid: &str) -> Result<Option<CallRecord>, WriteError> {
        let (waiter, answer) = oneshot::channel();
        let call_sid = call_sid.to_owned();
        let pushed = self.shared.queue.push_request(Request {
            what,
            waiter: Some(waiter),
        });
        if let Err(refused) = pushed {
            self.shared.dropped_changes.fetch_add(1, Ordering::Relaxed);
            return Err(match refused {
                Refused::Full => WriteError::Full { call_sid },
                Refused::Closed => WriteError::Closed { call_sid },
            });
        }
        match timeout(Duration::from_millis(OPEN_CALL_WAIT_MS), answer).await {
            Ok(Ok(Ok(record))) => Ok(record),
            Ok(Ok(Err(queue::Postponed))) | Err(_) => Err(WriteError::Slow { call_sid }),
            Ok(Err(_)) => Err(WriteError::Closed { call_sid }),
        }
    }

    fn read<T>(&self, work: impl FnOnce(&Database) -> Result<T, Fault>) -> Result<T, ReadError> {
        let db = self.shared.db();
        let db = db.as_ref().ok_or(ReadError::NotOpen)?;
        shielded(|| work(db)).map_err(|fault| ReadError::Storage(fault.to_string()))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("health", &self.health())
            .finish()
    }
}

impl Shared {
    // A panic while one of these locks is held leaves a whole value behind, so a poisoned one is used on.

    fn db(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.db.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn db_exclusive(&self) -> RwLockWriteGuard<'_, Option<Database>> {
        self.db.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_db(&self) -> Option<Database> {
        self.db_exclusive().take()
    }

    fn prune(&self, before_ms: u64) {
        // Refused only when the queue is full or closed; the next prune, a day later, covers the same ground.
        self.queue
            .push_request(Request {
                what: What::Prune(before_ms),
                waiter: None,
            })
            .ok();
    }

    fn committed(&self, took: Duration, rows: u64, size_bytes: u64) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.rows.store(rows, Ordering::Relaxed);
        self.size_bytes.store(size_bytes, Ordering::Relaxed);
        if !self.healthy.swap(true, Ordering::Relaxed) {
            self.last_error
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clear();
        }
        if let Some(told) = self.on_commit.get() {
            told(took);
        }
    }

    fn failed(&self, reason: &str) {
        self.healthy.store(false, Ordering::Relaxed);
        reason.clone_into(
            &mut self
                .last_error
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    fn last_error(&self) -> String {
        self.last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_aside(&self, aside: &Path) {
        *self
            .set_aside
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = aside.display().to_string();
    }

    fn health(&self) -> Health {
        let dropped_changes = self.dropped_changes.load(Ordering::Relaxed);
        Health {
            ok: self.healthy.load(Ordering::Relaxed),
            queued: self.queue.len(),
            dropped: self.dropped_events.load(Ordering::Relaxed) + dropped_changes,
            dropped_changes,
            last_error: self.last_error(),
            commits: self.commits.load(Ordering::Relaxed),
            rows: self.rows.load(Ordering::Relaxed),
            size_bytes: self.size_bytes.load(Ordering::Relaxed),
            set_aside: self
                .set_aside
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }
}

impl Thread {
    fn end(&self) {
        self.shared.queue.close();
        let handle = self
            .handle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if handle.is_some_and(|handle| handle.join().is_err()) {
            tracing::error!("the store's writer had died; what was queued is lost");
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.end();
    }
}
