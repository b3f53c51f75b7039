//! What a daemon left behind, read while none runs: for somebody who wants to know what happened before it died.
//!
//! The file is copied and the copy is read: one that was not closed in order has to be put in order first, and the next
//! daemon shall find it as it was left, and unlocked.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use redb::Database;

use super::disk::FILE;
use super::error::LeftError;
use super::fault::{Fault, shielded};
use super::query::{self, CallQuery, EventQuery, Page};
use super::record::{CallRecord, Event};
use super::writer::CACHE_BYTES;

/// The calls and events of a daemon that does not run.
#[derive(Debug)]
pub struct Left {
    file: PathBuf,
    // Dropped in this order: first whoever reads the copy, then the copy.
    db: Database,
    _copy: Copy,
}

/// A folder of our own, gone when it is dropped.
#[derive(Debug)]
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

impl Left {
    /// Reads the store in this folder. The copy is made under the system's folder for such things (`TMPDIR`), for this user
    /// alone.
    ///
    /// # Errors
    /// There is no store, it may not be read, there is no room for the copy, a daemon holds it, or it is damaged.
    pub fn open(dir: &Path) -> Result<Left, LeftError> {
        let file = dir.join(FILE);
        let failed = |source| LeftError::Unreadable {
            path: file.clone(),
            source,
        };
        let source = File::open(&file).map_err(failed)?;
        match source.try_lock_shared() {
            Ok(()) => source.unlock().map_err(failed)?,
            Err(TryLockError::WouldBlock) => return Err(LeftError::InUse { path: file }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let folder =
            std::env::temp_dir().join(format!("voice-streamer-read-{}", std::process::id()));
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(failed)?;
        let copy = Copy(folder);
        let copied = copy.0.join(FILE);
        fs::copy(&file, &copied).map_err(failed)?;
        let db = shielded(|| {
            let mut builder = Database::builder();
            builder.set_cache_size(CACHE_BYTES);
            Ok(builder.open(&copied)?)
        });
        match db {
            Ok(db) => Ok(Left {
                file,
                db,
                _copy: copy,
            }),
            Err(fault) => Err(damaged(&file, &fault)),
        }
    }

    /// Where the copy is.
    #[cfg(test)]
    pub(crate) fn copy(&self) -> &Path {
        &self._copy.0
    }

    /// The file itself.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// A page of calls, newest first.
    pub fn calls(&self, query: &CallQuery) -> Result<Page<CallRecord>, LeftError> {
        shielded(|| query::calls(&self.db, query)).map_err(|fault| damaged(&self.file, &fault))
    }

    /// A page of events, newest first.
    pub fn events(&self, query: &EventQuery) -> Result<Page<Event>, LeftError> {
        shielded(|| query::events(&self.db, query)).map_err(|fault| damaged(&self.file, &fault))
    }
}

fn damaged(file: &Path, fault: &Fault) -> LeftError {
    LeftError::Damaged {
        path: file.to_owned(),
        reason: fault.to_string(),
    }
}
