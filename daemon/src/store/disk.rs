//! The one file: where it lies, how it is made, whether there is room beside it, and how a damaged one is put out of the way.
//! Nothing about what is inside. Tests put another [`Disk`] here, one that fills up, loses power or flips bytes.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, StorageError};

/// The database inside the store's folder.
pub(super) const FILE: &str = "calls.redb";
/// Room that must be there before a failed commit is tried again: a batch of 1000 rows is below this.
const ROOM_BYTES: usize = 1 << 20;
/// Longest list of locks that is looked through for who holds the file.
const LOCKS_BYTES: u64 = 1 << 20;
/// Damaged files of one millisecond that can be told apart.
const MAX_SAME_NAME: u32 = 100;

/// Where a database lives. All of it may be called again after a failure.
pub(crate) trait Disk: Send + 'static {
    /// Opens the database, or makes an empty one if there never was one. An emptied file is damage, not a new database.
    fn open(&mut self, builder: &Builder) -> Result<Database, DatabaseError>;
    /// Whether a batch would fit now.
    fn has_room(&mut self) -> io::Result<()>;
    /// Moves a damaged database away and says where to; the next [`Disk::open`] makes a new one.
    fn set_aside(&mut self, now_ms: u64) -> io::Result<PathBuf>;
    /// Size of the database; 0 if it cannot be told.
    fn size_bytes(&self) -> u64;
    /// The database, for error texts.
    fn path(&self) -> &Path;
}

/// A real folder.
#[derive(Debug)]
pub(crate) struct Folder {
    folder: PathBuf,
    file: PathBuf,
}

/// Whether a file can be made in this folder, or, if it is missing, in the one that it would be made in. Leaves nothing
/// behind.
///
/// # Errors
/// What the system says.
pub(crate) fn writable(folder: &Path) -> io::Result<()> {
    let whole = std::path::absolute(folder)?;
    let there = whole.ancestors().find(|folder| folder.exists());
    let probe = there
        .unwrap_or(&whole)
        .join(format!(".voice-streamer-{}", std::process::id()));
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&probe)?;
    fs::remove_file(&probe)
}

/// The process that holds the lock on this file, as Linux lists it.
pub(crate) fn holder(file: &Path) -> Option<u32> {
    let mut locks = String::new();
    let list = File::open("/proc/locks").ok()?;
    list.take(LOCKS_BYTES).read_to_string(&mut locks).ok()?;
    let inode = format!(":{}", fs::metadata(file).ok()?.ino());
    // "1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF"
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(4);
        let (pid, place) = (words.next()?, words.next()?);
        let pid = pid.parse().ok().filter(|pid| *pid != 0)?;
        place.ends_with(&inode).then_some(pid)
    })
}

impl Folder {
    /// Makes the folder if it is missing, for this user alone: it holds phone numbers and what was said.
    pub(crate) fn new(folder: &Path) -> io::Result<Folder> {
        writable(folder)?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        Ok(Folder {
            folder: folder.to_owned(),
            file: folder.join(FILE),
        })
    }

    /// A new name in a folder is durable only when the folder is.
    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn create(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.file)?;
        let made = self
            .sync_folder()
            .map_err(DatabaseError::from)
            .and_then(|()| builder.create_with_backend(FileBackend::new(file)?));
        if made.is_err() {
            // Nothing was in it yet; left behind it would be taken for an emptied one.
            fs::remove_file(&self.file).ok();
        }
        made
    }
}

impl Disk for Folder {
    fn open(&mut self, builder: &Builder) -> Result<Database, DatabaseError> {
        let file = match OpenOptions::new().read(true).write(true).open(&self.file) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.create(builder),
            Err(error) => return Err(error.into()),
        };
        // redb fills an empty file with an empty database. Ours is never empty once made, so somebody emptied it, unless it is
        // being made this moment by another process: then its lock says so.
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DatabaseError::DatabaseAlreadyOpen),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        if file.metadata()?.len() == 0 {
            return Err(StorageError::Corrupted("the file is empty".to_owned()).into());
        }
        file.unlock()?;
        builder.create_with_backend(FileBackend::new(file)?)
    }

    fn has_room(&mut self) -> io::Result<()> {
        let probe = self.file.with_extension("room");
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&probe)
            .and_then(|mut file| {
                file.write_all(&vec![0x55; ROOM_BYTES])
                    .and_then(|()| file.sync_all())
            });
        match fs::remove_file(&probe) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => written.and(Err(error)),
            _ => written,
        }
    }

    fn set_aside(&mut self, now_ms: u64) -> io::Result<PathBuf> {
        for n in 0..MAX_SAME_NAME {
            let more = if n == 0 {
                String::new()
            } else {
                format!("-{n}")
            };
            let aside = self.folder.join(format!("{FILE}.damaged-{now_ms}{more}"));
            // An earlier damaged file may be all that is left of somebody's records.
            if !aside.try_exists()? {
                fs::rename(&self.file, &aside)?;
                self.sync_folder()?;
                return Ok(aside);
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn size_bytes(&self) -> u64 {
        fs::metadata(&self.file).map_or(0, |meta| meta.len())
    }

    fn path(&self) -> &Path {
        &self.file
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let outer = tempfile::tempdir().unwrap();
        let folder = Folder::new(&outer.path().join("state/store")).unwrap();
        (outer, folder)
    }

    #[test]
    fn folder_and_file_are_for_their_owner_alone() {
        let (_outer, mut disk) = folder();
        drop(disk.open(&Builder::new()).unwrap());
        assert_eq!(
            disk.folder.metadata().unwrap().permissions().mode() & 0o777,
            0o700
        );
        assert_eq!(
            disk.file.metadata().unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn an_emptied_file_is_damage_and_not_a_new_database() {
        let (_outer, mut disk) = folder();
        drop(disk.open(&Builder::new()).unwrap());
        File::create(&disk.file).unwrap();
        let refused = disk.open(&Builder::new());
        assert!(
            matches!(
                refused,
                Err(DatabaseError::Storage(StorageError::Corrupted(_)))
            ),
            "{refused:?}"
        );
    }

    #[test]
    fn a_second_opener_is_told_so() {
        let (_outer, mut disk) = folder();
        let held = disk.open(&Builder::new()).unwrap();
        let refused = disk.open(&Builder::new());
        assert!(
            matches!(refused, Err(DatabaseError::DatabaseAlreadyOpen)),
            "{refused:?}"
        );
        drop(held);
        disk.open(&Builder::new()).unwrap();
    }

    #[test]
    fn an_earlier_damaged_file_is_not_overwritten() {
        let (_outer, mut disk) = folder();
        let mut names = vec![];
        for n in 0..3_u8 {
            fs::write(&disk.file, [n]).unwrap();
            names.push(disk.set_aside(1_700_000_000_000).unwrap());
        }
        for (n, name) in (0..).zip(&names) {
            assert_eq!(fs::read(name).unwrap(), [n], "{}", name.display());
        }
        assert!(!disk.file.exists());
    }

    #[test]
    fn looking_for_room_leaves_nothing_behind() {
        let (_outer, mut disk) = folder();
        disk.has_room().unwrap();
        assert_eq!(fs::read_dir(&disk.folder).unwrap().count(), 0);
    }
}
