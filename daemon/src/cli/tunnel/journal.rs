//! What the tunnel owes: how a number was found and what was made of it, on disk before the number is touched.
//!
//! ```text
//!   tunnel.lock       held by the process whose tunnel is open; let go by the kernel when it dies
//!   tunnel.json       the debt: written before the first change, removed after the last
//!   tunnel.url        the address lent to the daemon; never outlives the journal
//!   tunnel.stop       somebody wishes the tunnel closed; read by whoever holds the lock
//! ```
//!
//! A journal without a holder of the lock is a tunnel that was killed: whoever finds it pays the debt. Files are for
//! their owner only, since a webhook's address may hold a password. Our own credentials are in none of them.

use crate::carrier::twilio::rest::Settings;
use crate::config::LENT_URL_FILE;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Of the journal's form. A journal of another version is left to the program that wrote it.
pub(super) const VERSION: u32 = 1;

const JOURNAL: &str = "tunnel.json";
const LOCK: &str = "tunnel.lock";
const STOP: &str = "tunnel.stop";

/// A longer journal is none.
const JOURNAL_BYTES: u64 = 64 << 10;

/// One borrowed number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Journal {
    pub(super) version: u32,
    pub(super) account_sid: String,
    pub(super) number_sid: String,
    pub(super) number: String,
    pub(super) public_url: String,
    /// Unix time, like `closes_at_secs`.
    pub(super) opened_at_secs: u64,
    pub(super) closes_at_secs: u64,
    /// What is to be put back.
    pub(super) found: Settings,
    /// What was made of it, by which a change of somebody else's is told.
    pub(super) set: Settings,
}

/// The tunnel's files in the state folder.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    state: PathBuf,
}

/// The right to borrow and to put back. One process has it at a time, and loses it with its life.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Desk {
    /// In this folder, which is made if it is not there.
    ///
    /// # Errors
    /// A sentence: the folder cannot be made.
    pub(super) fn open(state: &Path) -> Result<Desk, String> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(state)
            .map_err(|error| format!("the folder {} cannot be made: {error}", state.display()))?;
        Ok(Desk {
            state: state.to_owned(),
        })
    }

    /// The lock, unless another living process has it.
    ///
    /// # Errors
    /// A sentence: the file cannot be written.
    pub(super) fn lock(&self) -> Result<Option<Lock>, String> {
        let path = self.state.join(LOCK);
        let said = |error: io::Error| format!("{} cannot be locked: {error}", path.display());
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.mode(0o600).open(&path).map_err(said)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(said(error)),
        }
        file.set_len(0).map_err(said)?;
        write!(file, "{}", std::process::id()).map_err(said)?;
        Ok(Some(Lock { _file: file }))
    }

    /// Who holds the lock, as far as the file tells.
    pub(super) fn holder(&self) -> Option<u32> {
        fs::read_to_string(self.state.join(LOCK))
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// The debt, if there is one.
    ///
    /// # Errors
    /// A sentence that says what to do: a journal is there and cannot be understood.
    pub(super) fn journal(&self) -> Result<Option<Journal>, String> {
        let path = self.state.join(JOURNAL);
        let read = || -> io::Result<Journal> {
            let mut bytes = Vec::new();
            File::open(&path)?
                .take(JOURNAL_BYTES)
                .read_to_end(&mut bytes)?;
            let journal: Journal = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
            if journal.version != VERSION {
                let why = format!("it is of version {}, not {VERSION}", journal.version);
                return Err(io::Error::other(why));
            }
            Ok(journal)
        };
        match read() {
            Ok(journal) => Ok(Some(journal)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!(
                "{} cannot be understood ({error}). It says how a number was before a tunnel borrowed it, so nothing is \
                 touched. Look in Twilio's console whom your number calls, set it right, and remove the file",
                path.display()
            )),
        }
    }

    /// Writes the debt down: when this returns, it outlives a crash of the machine.
    ///
    /// # Errors
    /// A sentence; what was written before still stands.
    pub(super) fn write(&self, journal: &Journal) -> Result<(), String> {
        let json = serde_json::to_vec_pretty(journal).map_err(|error| error.to_string())?;
        self.replace(JOURNAL, &json)
    }

    /// Lends the daemon the tunnel's address.
    ///
    /// # Errors
    /// A sentence.
    pub(super) fn lend(&self, url: &str) -> Result<(), String> {
        self.replace(LENT_URL_FILE, format!("{url}\n").as_bytes())
    }

    /// After the number was put back: no address is lent, nothing is owed.
    ///
    /// # Errors
    /// A sentence; the debt then seems to stand, and is found paid the next time.
    pub(super) fn settle(&self) -> Result<(), String> {
        self.remove(LENT_URL_FILE)?;
        self.remove(JOURNAL)?;
        self.sync().map_err(|error| self.said(JOURNAL, &error))
    }

    /// Wishes that the process which holds the lock closes its tunnel.
    ///
    /// # Errors
    /// A sentence.
    pub(super) fn wish_stop(&self) -> Result<(), String> {
        let path = self.state.join(STOP);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        options
            .open(path)
            .map(drop)
            .map_err(|error| self.said(STOP, &error))
    }

    /// Whether somebody wishes so.
    pub(super) fn stop_is_wished(&self) -> bool {
        self.state.join(STOP).exists()
    }

    /// Forgets the wish: it was heard, or was meant for somebody who is gone.
    ///
    /// # Errors
    /// A sentence.
    pub(super) fn forget_stop(&self) -> Result<(), String> {
        self.remove(STOP)
    }

    /// Puts a file in the place of another, whole or not at all.
    fn replace(&self, name: &str, content: &[u8]) -> Result<(), String> {
        let new = format!("{name}.new");
        let write = || -> io::Result<()> {
            let path = self.state.join(&new);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut options = OpenOptions::new();
            let mut file = options
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&path, self.state.join(name))?;
            self.sync()
        };
        write().map_err(|error| self.said(name, &error))
    }

    fn remove(&self, name: &str) -> Result<(), String> {
        match fs::remove_file(self.state.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.said(name, &error)),
            _ => Ok(()),
        }
    }

    /// Makes the folder's list of names durable.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.state)?.sync_all()
    }

    fn said(&self, name: &str, error: &io::Error) -> String {
        let path = self.state.join(name);
        format!("{} cannot be written: {error}", path.display())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn journal() -> Journal {
        Journal {
            version: VERSION,
            account_sid: "AC1".to_owned(),
            number_sid: "PN1".to_owned(),
            number: "+15550100".to_owned(),
            public_url: "https://a.example".to_owned(),
            opened_at_secs: 1,
            closes_at_secs: 2,
            found: Settings {
                voice_url: "https://user:password@old.example/".to_owned(),
                ..Settings::default()
            },
            set: Settings::default(),
        }
    }

    #[test]
    fn a_debt_is_read_as_it_was_written_and_only_by_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::open(&folder.path().join("not/yet/there")).unwrap();
        assert_eq!(desk.journal(), Ok(None));
        desk.write(&journal()).unwrap();
        desk.lend("https://a.example").unwrap();
        assert_eq!(desk.journal(), Ok(Some(journal())));
        for name in [JOURNAL, LENT_URL_FILE] {
            let mode = fs::metadata(desk.state.join(name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        desk.settle().unwrap();
        assert_eq!(desk.journal(), Ok(None));
        assert_eq!(fs::read_dir(&desk.state).unwrap().count(), 0);
        assert_eq!(
            desk.settle(),
            Ok(()),
            "nothing is owed, and that is no mistake"
        );
    }

    #[test]
    fn what_a_crash_left_of_a_half_written_file_does_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::open(folder.path()).unwrap();
        fs::write(folder.path().join("tunnel.json.new"), "{\"version\":").unwrap();
        assert_eq!(desk.journal(), Ok(None));
        desk.write(&journal()).unwrap();
        assert_eq!(desk.journal(), Ok(Some(journal())));
    }

    #[test]
    fn a_damaged_journal_is_said_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::open(folder.path()).unwrap();
        desk.write(&journal()).unwrap();
        let path = folder.path().join(JOURNAL);
        let whole = fs::read(&path).unwrap();
        for damaged in [&b""[..], &whole[..whole.len() / 2], b"[]", b"\xff"] {
            fs::write(&path, damaged).unwrap();
            let said = desk.journal().unwrap_err();
            assert!(
                said.contains("tunnel.json") && said.contains("console"),
                "{said}"
            );
            assert_eq!(fs::read(&path).unwrap(), damaged);
        }
        let newer = String::from_utf8(whole)
            .unwrap()
            .replace("\"version\": 1", "\"version\": 2");
        fs::write(&path, newer).unwrap();
        assert!(desk.journal().unwrap_err().contains("version 2"));
    }

    #[test]
    fn a_disk_that_refuses_is_said_with_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::open(folder.path()).unwrap();
        // Also root cannot write a file where a folder is.
        fs::create_dir(folder.path().join("tunnel.json.new")).unwrap();
        let said = desk.write(&journal()).unwrap_err();
        assert!(said.contains("tunnel.json cannot be written"), "{said}");
        fs::write(folder.path().join("plain"), "").unwrap();
        assert!(Desk::open(&folder.path().join("plain/state")).is_err());
    }

    #[test]
    fn one_process_at_a_time_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::open(folder.path()).unwrap();
        let lock = desk.lock().unwrap();
        assert!(lock.is_some());
        assert!(desk.lock().unwrap().is_none());
        assert_eq!(desk.holder(), Some(std::process::id()));
        drop(lock);
        assert!(desk.lock().unwrap().is_some());
    }

    #[test]
    fn a_wish_to_stop_is_heard_once() {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::open(folder.path()).unwrap();
        assert!(!desk.stop_is_wished());
        desk.wish_stop().unwrap();
        desk.wish_stop().unwrap();
        assert!(desk.stop_is_wished());
        desk.forget_stop().unwrap();
        assert!(!desk.stop_is_wished());
    }
}
