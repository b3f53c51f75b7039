//! From the file in the configuration to a private copy nobody changes: read once, looked at, hashed, compared with its
//! pin, written as `NAME-HASH.so`. What is mapped later is that copy; overwriting a mapped file kills the process, and a
//! rebuilt plugin is a new name, so old and new can run side by side. Files only; nothing here loads anything.

use super::elf;
use super::error::{Distrust, LoadProblem};
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Largest library: a speech model linked in whole stays well below.
const LIBRARY_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Private copies kept per plugin name, so that a developer's edit-build loop does not fill the disk. As many as
/// builds in memory are warned about.
const COPIES_MAX: usize = 20;

/// Hex digits of the hash in a copy's name: enough to tell builds apart, short enough to read.
const NAME_DIGITS: usize = 16;

/// Letters of a plugin's name that go into a copy's name.
const NAME_LETTERS: usize = 64;

/// The content of a library that passed every check.
#[derive(Debug)]
pub(crate) struct Checked {
    bytes: Vec<u8>,
    /// SHA-256 of the content, 64 hex digits.
    pub(crate) hash: String,
}

/// Reads a library once and checks what can be checked without running it.
pub(crate) fn read(path: &Path, pin: Option<&str>) -> Result<Checked, LoadProblem> {
    if pin.is_some_and(|pin| pin.len() != 64 || !pin.bytes().all(|b| b.is_ascii_hexdigit())) {
        return Err(LoadProblem::BadPin);
    }
    // Whether it is a file is asked before it is opened: opening a pipe would wait for its writer.
    if !fs::metadata(path)
        .map_err(LoadProblem::Unreadable)?
        .is_file()
    {
        return Err(LoadProblem::NotAFile);
    }
    let file = File::open(path).map_err(LoadProblem::Unreadable)?;
    let about = file.metadata().map_err(LoadProblem::Unreadable)?;
    trusted("the file", &about)?;
    let real = path.canonicalize().map_err(LoadProblem::Unreadable)?;
    for folder in [path.parent(), real.parent()].into_iter().flatten() {
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        let about = fs::metadata(folder).map_err(LoadProblem::Unreadable)?;
        trusted(&format!("its folder {}", folder.display()), &about)?;
    }
    let bytes = read_bounded(file, about.len(), LIBRARY_BYTES_MAX)?;
    elf::check(&bytes)?;
    let hash = hex(&Sha256::digest(&bytes));
    match pin {
        Some(pin) if !pin.eq_ignore_ascii_case(&hash) => Err(LoadProblem::Pin {
            found: hash,
            pinned: pin.to_owned(),
        }),
        _ => Ok(Checked { bytes, hash }),
    }
}

/// The file may grow while it is read; the bound holds all the same.
fn read_bounded(file: impl Read, said: u64, limit: u64) -> Result<Vec<u8>, LoadProblem> {
    let mut bytes = Vec::new();
    if said <= limit {
        file.take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(LoadProblem::Unreadable)?;
    }
    let bytes_long = said.max(bytes.len() as u64);
    if bytes_long > limit {
        return Err(LoadProblem::TooLarge {
            bytes: bytes_long,
            limit,
        });
    }
    Ok(bytes)
}

/// Writes the private copy of `checked` for the plugin `name` and says where it is.
pub(crate) fn copy(checked: &Checked, name: &str, dir: &Path) -> Result<PathBuf, LoadProblem> {
    let failed = |cause| LoadProblem::Keep {
        dir: dir.to_owned(),
        cause,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(failed)?;
    let about = fs::metadata(dir).map_err(failed)?;
    if let Some(trust) = distrust(about.mode(), about.uid(), about.gid(), Me::now()) {
        return Err(LoadProblem::KeepUntrusted {
            dir: dir.to_owned(),
            trust,
        });
    }
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' {
            c
        } else {
            '-'
        }
    };
    let name: String = name.chars().take(NAME_LETTERS).map(safe).collect();
    let path = dir.join(format!("{name}-{}.so", &checked.hash[..NAME_DIGITS]));
    write_whole(&path, &checked.bytes).map_err(failed)?;
    prune(dir, &name, &path);
    Ok(path)
}

/// Under another name first, then moved into place: whoever finds the name finds all of it, also after a power cut.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut unfinished = OsString::from(path);
    unfinished.push(format!(".{}", std::process::id()));
    match fs::remove_file(&unfinished) {
        Err(no) if no.kind() != io::ErrorKind::NotFound => return Err(no),
        _ => {}
    }
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o500)
        .open(&unfinished)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&unfinished, path));
    if let Err(no) = written {
        // The disk may be full of just this; if it cannot be removed either, the first error says why.
        fs::remove_file(&unfinished).ok();
        return Err(no);
    }
    path.parent()
        .map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// Removes the oldest copies of this plugin beyond the bound, never `latest`. One that is mapped stays in memory and
/// only loses its name, so nothing can go wrong with a running call.
fn prune(dir: &Path, name: &str, latest: &Path) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    let mut copies: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let digits = path
                .file_name()?
                .to_str()?
                .strip_prefix(name)?
                .strip_prefix('-')?;
            let ours = digits.strip_suffix(".so")?.len() == NAME_DIGITS && path != latest;
            ours.then_some((fs::metadata(&path).ok()?.modified().ok()?, path))
        })
        .collect();
    copies.sort();
    let too_many = (copies.len() + 1).saturating_sub(COPIES_MAX);
    for (_, path) in copies.into_iter().take(too_many) {
        if let Err(no) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %no, "an old copy of a plugin could not be removed");
        }
    }
}

/// Who this process is, as far as files care.
#[derive(Clone, Copy)]
struct Me {
    uid: u32,
    gid: u32,
}

impl Me {
    fn now() -> Me {
        // SAFETY: both only ask, and cannot fail.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        Me { uid, gid }
    }
}

fn trusted(what: &str, about: &Metadata) -> Result<(), LoadProblem> {
    match distrust(about.mode(), about.uid(), about.gid(), Me::now()) {
        None => Ok(()),
        Some(trust) => Err(LoadProblem::Untrusted {
            what: what.to_owned(),
            trust,
        }),
    }
}

/// A library runs with all the daemon may do, so only root and the daemon's own user may be able to change it. A group
/// that may is fine if it is the daemon's own: distributions with private groups create files that way.
fn distrust(mode: u32, uid: u32, gid: u32, me: Me) -> Option<Distrust> {
    if mode & 0o002 != 0 {
        Some(Distrust::Everybody)
    } else if uid != 0 && uid != me.uid {
        Some(Distrust::Owner(uid))
    } else if mode & 0o020 != 0 && gid != me.gid {
        Some(Distrust::Group(gid))
    } else {
        None
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing into a String cannot fail.
            write!(text, "{byte:02x}").ok();
            text
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::fixtures::smallest_library;
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    use tempfile::TempDir;

    fn library(dir: &TempDir) -> PathBuf {
        let path = dir.path().join("plugin.so");
        fs::write(&path, smallest_library()).unwrap();
        path
    }

    fn said(path: &Path, pin: Option<&str>) -> String {
        read(path, pin).map_or_else(|no| no.to_string(), |_| "fine".to_owned())
    }

    fn checked(bytes: &[u8]) -> Checked {
        Checked {
            bytes: bytes.to_vec(),
            hash: hex(&Sha256::digest(bytes)),
        }
    }

    #[test]
    fn only_root_and_the_daemons_user_may_be_able_to_change_a_library() {
        let me = Me { uid: 990, gid: 991 };
        for (mode, uid, gid, expected) in [
            (0o100_644, 990, 991, None),
            (0o100_755, 0, 0, None),
            (0o100_664, 990, 991, None),
            (0o100_664, 0, 50, Some(Distrust::Group(50))),
            (0o100_646, 990, 991, Some(Distrust::Everybody)),
            (0o041_777, 0, 0, Some(Distrust::Everybody)),
            (0o100_444, 1000, 991, Some(Distrust::Owner(1000))),
        ] {
            assert_eq!(
                distrust(mode, uid, gid, me),
                expected,
                "{mode:o} {uid} {gid}"
            );
        }
    }

    #[test]
    fn a_file_or_folder_open_to_everybody_is_refused() {
        let dir = TempDir::new().unwrap();
        let path = library(&dir);
        assert_eq!(said(&path, None), "fine");
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        assert!(said(&path, None).starts_with("the file may be written to by every user"));
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(
            said(&path, None).contains("its folder /"),
            "{}",
            said(&path, None)
        );
        let elsewhere = TempDir::new().unwrap();
        let link = elsewhere.path().join("link.so");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(
            said(&link, None).contains("its folder /"),
            "a link hides nothing"
        );
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let dir = TempDir::new().unwrap();
        let no = said(&dir.path().join("absent.so"), None);
        assert!(
            no.contains("cannot be read") && no.contains("build it"),
            "{no}"
        );
        assert!(said(dir.path(), None).contains("not a file"));
        let pipe = dir.path().join("pipe");
        let name = std::ffi::CString::new(pipe.to_str().unwrap()).unwrap();
        // SAFETY: a NUL-terminated path.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        assert!(said(&pipe, None).contains("not a file"));
        let empty = dir.path().join("empty.so");
        File::create(&empty).unwrap();
        assert!(said(&empty, None).contains("the file is empty"));
    }

    #[test]
    fn a_giant_is_refused_whether_it_admits_it_or_grows() {
        let too_large = |said| read_bounded(&[0u8; 20][..], said, 16).is_err();
        assert!(too_large(17) && too_large(16));
        assert_eq!(read_bounded(&[0u8; 16][..], 16, 16).unwrap().len(), 16);
    }

    #[test]
    fn a_pin_holds_in_either_case_of_its_digits() {
        let dir = TempDir::new().unwrap();
        let path = library(&dir);
        let hash = read(&path, None).unwrap().hash;
        assert_eq!(said(&path, Some(&hash)), "fine");
        assert_eq!(said(&path, Some(&hash.to_uppercase())), "fine");
        let no = said(&path, Some(&"0".repeat(64)));
        assert!(no.contains(&hash) && no.contains("change `sha256`"), "{no}");
        assert!(said(&path, Some("sha256:12")).contains("64 hexadecimal"));
    }

    #[test]
    fn the_copy_is_whole_private_and_named_by_content() {
        let dir = TempDir::new().unwrap();
        let keep = dir.path().join("state/plugins");
        let path = copy(&checked(b"code"), "../voice one", &keep).unwrap();
        let digits = &checked(b"code").hash[..16];
        assert_eq!(path, keep.join(format!("---voice-one-{digits}.so")));
        assert_eq!(fs::read(&path).unwrap(), b"code");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o500);
        assert_eq!(fs::metadata(&keep).unwrap().mode() & 0o777, 0o700);
        copy(&checked(b"code"), "../voice one", &keep).unwrap();
        assert_eq!(
            fs::read_dir(&keep).unwrap().count(),
            1,
            "nothing unfinished is left"
        );
    }

    #[test]
    fn copies_are_not_put_where_others_could_change_them() {
        let dir = TempDir::new().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        let no = copy(&checked(b"code"), "a", dir.path())
            .unwrap_err()
            .to_string();
        assert!(
            no.contains("private copies") && no.contains("chmod o-w"),
            "{no}"
        );
        let no = copy(&checked(b"code"), "a", Path::new("/proc/nowhere")).unwrap_err();
        assert!(no.to_string().contains("no private copy"), "{no}");
    }

    #[test]
    fn old_copies_go_and_the_latest_stays() {
        let dir = TempDir::new().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
        let bystander = dir.path().join("voice-notes.so");
        fs::write(&bystander, b"not a copy").unwrap();
        let paths: Vec<PathBuf> = (0..COPIES_MAX + 3)
            .map(|i| {
                copy(
                    &checked(format!("build {i}").as_bytes()),
                    "voice",
                    dir.path(),
                )
                .unwrap()
            })
            .collect();
        let left = paths.iter().filter(|path| path.exists()).count();
        assert_eq!(left, COPIES_MAX);
        assert!(paths[COPIES_MAX + 2].exists() && bystander.exists());
    }
}
