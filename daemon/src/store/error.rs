//! What can go wrong in this room, one family per thing that was attempted: opening, writing, reading. Each sentence says what
//! happens now and what to do; nothing in here decides anything.

use std::io;
use std::path::PathBuf;

/// Why the store could not be opened. The daemon has no records then and should not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder could not be made, or not written to.
    #[error("the folder of the store (store.path), {}, cannot be written: {source}; make it writable for this user or name another", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process holds the file.
    #[error("{} is in use by {}; stop that daemon, or give this one another folder (store.path)", path.display(),
        .holder.map_or("another process".to_owned(), |pid| format!("process {pid}")))]
    InUse {
        /// The database file.
        path: PathBuf,
        /// That process, if the system tells.
        holder: Option<u32>,
    },
    /// A newer daemon has written this file.
    #[error(
        "{} was written by a newer version (schema {found}, this one knows {known}); \
         nothing was changed: start the newer version again, or give this one another folder",
        path.display()
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The schema version in the file.
        found: u64,
        /// The newest schema version this build knows.
        known: u64,
    },
    /// The file is a database, but not one of ours.
    #[error("{} is a redb file that was not made by this program; nothing was changed: move it away, or name another folder", path.display())]
    Foreign {
        /// The database file.
        path: PathBuf,
    },
    /// The file is damaged, and moving it out of the way failed too.
    #[error("{} is damaged ({reason}) and could not be moved aside: {source}; move it by hand and start again", path.display())]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What the check found.
        reason: String,
        /// Why the move failed.
        source: io::Error,
    },
    /// Anything else the disk or the database said: no room, no permission, an I/O error.
    #[error("cannot open {}: {reason}; nothing was changed: see to the disk, and that this user may write the file, and start again", path.display())]
    Storage {
        /// The database file.
        path: PathBuf,
        /// What was said.
        reason: String,
    },
    /// No thread for the writer.
    #[error(
        "cannot start the store's writer thread: {0}; raise the limit on threads and start again"
    )]
    Thread(io::Error),
}

/// Why a write gives no answer. The call goes on in every case: it never waits for the disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Not on the disk yet, because the disk is slow, full or gone. The record is queued and will be written when it can be.
    #[error(
        "the record of call {call_sid} is not on the disk yet; it is queued, and the call goes on"
    )]
    Slow {
        /// The carrier's name of the call.
        call_sid: String,
    },
    /// The queue is full: the disk has been away for a long time. The record is not queued and will never be written.
    #[error(
        "the record of call {call_sid} is lost: the queue behind the disk is full; free some disk, the call goes on without a record"
    )]
    Full {
        /// The carrier's name of the call.
        call_sid: String,
    },
    /// The store was closed; the record is not written.
    #[error("the record of call {call_sid} is not written: the store is closed")]
    Closed {
        /// The carrier's name of the call.
        call_sid: String,
    },
}

/// Why a change of who may sign in gives no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// The disk is slow, full or gone. The change is queued and will be written when it can be.
    #[error(
        "the change is not on the disk yet; it is queued and will be written when the disk can be written to again"
    )]
    Slow,
    /// The change is not queued and will never be written.
    #[error(
        "the change was not made: the queue behind the disk is full; free some disk and try again"
    )]
    Full,
    /// The store was closed.
    #[error("the change was not made: the store is closed")]
    Closed,
}

/// Why records could not be read. Nothing was changed; asking again later is right for every one of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The database is being opened again after a failed write, or the store was closed.
    #[error("the store is not open just now (closed, or waiting for its disk); ask again later")]
    NotOpen,
    /// The database refused.
    #[error("cannot read the store: {0}; ask again later, and look at the store's health")]
    Storage(String),
}

/// Why what a daemon left behind could not be read. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeftError {
    /// A daemon holds the file: ask that one.
    #[error("{} is in use by a daemon", path.display())]
    InUse {
        /// The database file.
        path: PathBuf,
    },
    /// There is none, it may not be read, or there is no room for a copy.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database in it gives no answer.
    #[error("{} cannot be read: {reason}; the daemon checks it, and says more, when it is started", path.display())]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What was said.
        reason: String,
    },
}
