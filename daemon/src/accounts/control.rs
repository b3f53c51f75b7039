//! How the command line proves to the running daemon that it may rule: by a secret in a file that only the daemon's own
//! user can read. Being on this machine is not enough for that: other users are too, and so is every page in a browser.
//!
//! `STATE/control.json`, mode 0600: `{"url":"http://127.0.0.1:8080","secret":"…"}`. Written at every start with a new
//! secret, removed at the end; after a `kill -9` it stays behind, and nobody answers there.

use super::secret;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file in the state folder.
const FILE: &str = "control.json";

/// Where the daemon answers, and what it wants to hear.
#[derive(Clone, Serialize, Deserialize)]
pub struct Control {
    /// `http://address:port`
    pub url: String,
    /// For `Authorization: Bearer`.
    pub secret: String,
}

impl Control {
    /// Reads the file of a daemon that keeps its state in this folder; `None` if none has been there.
    ///
    /// # Errors
    /// The file cannot be read or is not one of ours.
    pub fn find(state: &Path) -> io::Result<Option<Control>> {
        match fs::read(state.join(FILE)) {
            Ok(json) => Ok(Some(serde_json::from_slice(&json)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// The daemon's side: the file is there as long as this is.
#[derive(Debug)]
pub(super) struct ControlFile {
    path: PathBuf,
    digest: String,
}

impl ControlFile {
    /// Writes the file for a daemon that answers there.
    pub(super) fn write(state: &Path, own_url: &str) -> io::Result<ControlFile> {
        let secret = secret::fresh().ok_or_else(|| io::Error::other("no randomness"))?;
        let digest = secret::digest(&secret);
        let control = Control {
            url: own_url.to_owned(),
            secret,
        };
        let path = state.join(FILE);
        let new = path.with_extension("json.new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // A new file, so that nobody who had opened the old one can read this one.
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&serde_json::to_vec(&control)?)?;
        fs::rename(&new, &path)?;
        Ok(ControlFile { path, digest })
    }

    pub(super) fn opens(&self, secret: &str) -> bool {
        secret::same(&self.digest, &secret::digest(secret))
    }
}

impl Drop for ControlFile {
    fn drop(&mut self) {
        // If it is gone already, so much the better.
        fs::remove_file(&self.path).ok();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_the_daemons_user_can_read_the_secret_and_it_changes_each_time() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Control::find(folder.path()).unwrap().is_none());
        let address = "http://127.0.0.1:8080";
        let first = ControlFile::write(folder.path(), address).unwrap();
        let found = Control::find(folder.path()).unwrap().unwrap();
        assert_eq!(found.url, address);
        assert!(first.opens(&found.secret) && !first.opens(""));
        assert!(!format!("{found:?}").contains(&found.secret));
        let mode = fs::metadata(&first.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let second = ControlFile::write(folder.path(), address).unwrap();
        assert!(!second.opens(&found.secret));
        drop(second);
        assert!(Control::find(folder.path()).unwrap().is_none());
    }
}
