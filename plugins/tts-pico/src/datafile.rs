//! A voice's bytes as a file, for the few milliseconds Pico needs to read them.
//!
//! Pico loads lingware from a path and from nothing else, and it insists that the path ends in `.bin`, so a memory
//! descriptor under `/proc/self/fd` will not do. The file is created anew (never opened if it exists, never through a
//! link), readable by this user only, in memory where the system has a place for that, and removed as soon as it has
//! been read: nothing is left for a cleaner of temporary folders to take away under a running daemon.

use std::ffi::{CStr, CString};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Pico copies the path into an array of 512 bytes without looking at its length.
const PATH_MAX_BYTES: usize = 500;

/// How often a taken name is answered with the next one before giving up.
const NAMES_TRIED_MAX: u32 = 64;

/// Where memory is a file system (Linux); elsewhere the folder is simply not there.
const MEMORY_FOLDER: &str = "/dev/shm";

static NAMES: AtomicU32 = AtomicU32::new(0);

/// A file that disappears with this value.
pub(crate) struct DataFile {
    path: PathBuf,
    c_path: CString,
}

impl DataFile {
    /// Writes `bytes` to a new file in memory, or else in the folder for temporary files.
    pub(crate) fn new(bytes: &[u8]) -> io::Result<DataFile> {
        DataFile::within(Path::new(MEMORY_FOLDER), bytes)
            .or_else(|_| DataFile::within(&std::env::temp_dir(), bytes))
    }

    fn within(folder: &Path, bytes: &[u8]) -> io::Result<DataFile> {
        for _ in 0..NAMES_TRIED_MAX {
            let number = NAMES.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("tts-pico-{}-{number}.bin", std::process::id()));
            if path.as_os_str().len() > PATH_MAX_BYTES {
                return Err(io::Error::other("the folder's name is too long"));
            }
            let c_path = CString::new(path.as_os_str().as_bytes())?;
            match OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
            {
                Ok(mut file) => {
                    // From here on the file is removed whatever happens.
                    let this = DataFile { path, c_path };
                    file.write_all(bytes)?;
                    return Ok(this);
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
        Err(io::Error::from(io::ErrorKind::AlreadyExists))
    }

    /// The path as C wants it; at most 500 bytes, ending in `.bin`.
    pub(crate) fn c_path(&self) -> &CStr {
        &self.c_path
    }
}

impl Drop for DataFile {
    fn drop(&mut self) {
        // A file somebody else has removed already is as gone as it should be.
        std::fs::remove_file(&self.path).ok();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_file_is_private_and_gone_afterwards() {
        let file = DataFile::within(&std::env::temp_dir(), b"lingware").unwrap();
        let path = file.path.clone();
        assert_eq!(std::fs::read(&path).unwrap(), b"lingware");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(file.c_path().to_bytes().ends_with(b".bin"));
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error_not_a_panic() {
        assert!(DataFile::within(Path::new("/nonexistent/folder"), b"x").is_err());
        let long = "n".repeat(PATH_MAX_BYTES);
        assert!(DataFile::within(Path::new(&long), b"x").is_err());
    }
}
