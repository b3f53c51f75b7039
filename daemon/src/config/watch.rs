//! Notices that a file the configuration depends on says something else: the file itself, its `.env`, secrets, libraries.
//!
//! ```text
//!  kernel: something happened to an entry ──→ settle: 250 ms of quiet,     ──→ look: other content? ──→ changed()
//!  every 15 s, whether it did or not ───────→ and nobody writing any more      hash against hash
//! ```
//!
//! Folders are watched, not files: editors rename, and a mounted ConfigMap swaps a link beside the file. Every folder on
//! the way is, with every link in it. The kernel's word is only a hint; content decides, so a touched file is no change,
//! and a file on NFS, or one inotify has no room for, is found by the look every 15 s.
//!
//! A file that vanishes is not a change: it is on its way back, or somebody will say what he wants by reloading. When it
//! comes back with other content, that is one.
//!
//! Absent on purpose: reading what a file means.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, warn};

/// An editor that writes, renames and tidies up is done when nothing has happened for so long.
pub const SETTLE: Duration = Duration::from_millis(250);

/// How often files are looked at without being told.
pub const POLL: Duration = Duration::from_secs(15);

/// A file that somebody holds open and writes to is waited for, at most so long; then what is there counts.
const WRITING: Duration = Duration::from_secs(3);

/// Longer files are only read again if their inode says that something happened; they are libraries.
const SMALL_BYTES: u64 = 1024 * 1024;

/// Links on the way to one file; the kernel's own limit.
const LINKS: usize = 40;

/// Watches files by content.
#[derive(Debug)]
pub struct Watch {
    poll: Duration,
    next_poll: Instant,
    shared: Arc<Shared>,
    /// None while the system has none for us; tried again at each poll.
    watcher: Option<RecommendedWatcher>,
    /// Whether the lack of one has been told of.
    complained: bool,
    seen: BTreeMap<PathBuf, Option<Seen>>,
    gone: BTreeSet<PathBuf>,
}

/// What the watcher's thread and we have in common.
#[derive(Debug, Default)]
struct Shared {
    woken: Notify,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    /// Files and links that matter, by their whole paths.
    entries: BTreeSet<PathBuf>,
    /// Those written to since they were last closed.
    writing: BTreeSet<PathBuf>,
}

/// A file's content, and what its inode said when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    inode: [i64; 7],
    hash: [u8; 32],
}

impl Watch {
    /// Watches nothing yet. `poll` is [`POLL`] but in tests.
    pub fn new(poll: Duration) -> Watch {
        Watch {
            poll,
            next_poll: Instant::now() + poll,
            shared: Arc::default(),
            watcher: None,
            complained: false,
            seen: BTreeMap::new(),
            gone: BTreeSet::new(),
        }
    }

    /// From now on these files and no others. What is in those not watched before counts as known, unless it was written
    /// after `read_at`, when the caller began to read them.
    pub async fn follow(&mut self, files: BTreeSet<PathBuf>, read_at: SystemTime) {
        self.seen.retain(|file, _| files.contains(file));
        let new: BTreeMap<PathBuf, Option<Seen>> = files
            .into_iter()
            .filter(|file| !self.seen.contains_key(file))
            .map(|file| (file, None))
            .collect();
        self.watch_entries(self.seen.keys().chain(new.keys()).cloned().collect());
        for (file, seen) in look(new).await {
            let written = fs::metadata(&file).and_then(|about| about.modified());
            let known = written.is_ok_and(|written| written < read_at);
            self.seen.insert(file, seen.filter(|_| known));
        }
    }

    /// What is in the files now counts as known: somebody is about to read them.
    pub async fn baseline(&mut self) {
        for (file, now) in look(self.seen.clone()).await {
            if now.is_some() {
                self.seen.insert(file, now);
            }
        }
    }

    /// The files whose content is another than was known; waits until there are any. May be dropped at any time without
    /// losing anything.
    pub async fn changed(&mut self) -> Vec<PathBuf> {
        loop {
            let told = tokio::select! {
                () = self.shared.woken.notified() => true,
                () = sleep_until(self.next_poll) => false,
            };
            if told {
                self.settle().await;
            }
            self.next_poll = Instant::now() + self.poll;
            self.watch_entries(self.seen.keys().cloned().collect());
            let now = look(self.seen.clone()).await;
            let changed = self.compare(now);
            if !changed.is_empty() {
                return changed;
            }
            if told {
                debug!(
                    "something happened to the configuration's files; their content is the same"
                );
            }
        }
    }

    /// Until nothing has happened for a while, and nobody writes; bounded.
    async fn settle(&self) {
        let latest = Instant::now() + WRITING;
        while Instant::now() < latest {
            let quiet = timeout(SETTLE, self.shared.woken.notified()).await.is_err();
            if quiet && self.shared.told().writing.is_empty() {
                break;
            }
        }
        self.shared.told().writing.clear();
    }

    fn compare(&mut self, now: BTreeMap<PathBuf, Option<Seen>>) -> Vec<PathBuf> {
        let mut changed = Vec::new();
        for (file, now) in now {
            let Some(known) = self.seen.get_mut(&file) else {
                continue;
            };
            match now {
                None if known.is_some() && self.gone.insert(file.clone()) => warn!(
                    file = %file.display(),
                    "a file of the configuration is gone; what is in force stays, until it comes back"
                ),
                None => {}
                Some(now) => {
                    self.gone.remove(&file);
                    let same = known.as_ref().is_some_and(|known| known.hash == now.hash);
                    *known = Some(now);
                    if !same {
                        changed.push(file);
                    }
                }
            }
        }
        changed
    }

    /// Asks the kernel about every folder on the way to these files. Asked again and again: a folder that was replaced
    /// is another one under the same name, and links may point elsewhere by now.
    fn watch_entries(&mut self, files: Vec<PathBuf>) {
        let entries: BTreeSet<PathBuf> = files.iter().flat_map(|file| entries(file)).collect();
        let folders: BTreeSet<&Path> = entries.iter().filter_map(|entry| entry.parent()).collect();
        let mut trouble = None;
        if self.watcher.is_none() {
            let shared = Arc::clone(&self.shared);
            match notify::recommended_watcher(move |event| shared.hear(event)) {
                Ok(watcher) => self.watcher = Some(watcher),
                Err(error) => trouble = Some(error.to_string()),
            }
        }
        if let Some(watcher) = &mut self.watcher {
            let before: BTreeSet<PathBuf> = {
                let told = self.shared.told();
                told.entries
                    .iter()
                    .filter_map(|entry| Some(entry.parent()?.to_owned()))
                    .collect()
            };
            for folder in before
                .iter()
                .filter(|folder| !folders.contains(folder.as_path()))
            {
                // It may have gone together with its folder, which is as well.
                watcher.unwatch(folder).ok();
            }
            for folder in folders {
                if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive)
                    && folder.is_dir()
                {
                    trouble = Some(format!("{}: {error}", folder.display()));
                }
            }
        }
        self.shared.told().entries = entries;
        match trouble {
            Some(error) if !self.complained => {
                self.complained = true;
                warn!(
                    "the system does not tell of changed files ({error}): they are looked at every {} s instead",
                    self.poll.as_secs()
                );
            }
            Some(_) => {}
            None => self.complained = false,
        }
    }
}

impl Shared {
    fn told(&self) -> MutexGuard<'_, Told> {
        // Two sets of paths; whole after every change.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On the watcher's own thread.
    fn hear(&self, event: notify::Result<notify::Event>) {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                warn!(
                    "watching the configuration's files had a fault, so they are looked at now: {error}"
                );
                return self.woken.notify_one();
            }
        };
        let mut told = self.told();
        let ours: Vec<&PathBuf> = event
            .paths
            .iter()
            .filter(|path| told.entries.contains(*path))
            .collect();
        if ours.is_empty() && !event.need_rescan() {
            return;
        }
        let ours: Vec<PathBuf> = ours.into_iter().cloned().collect();
        match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
                told.writing.retain(|path| !ours.contains(path));
            }
            // Also our own reading.
            EventKind::Access(_) => return,
            EventKind::Modify(ModifyKind::Data(_)) => told.writing.extend(ours),
            EventKind::Modify(ModifyKind::Metadata(_)) => {}
            // Under this name is another file now, or none.
            _ => told.writing.retain(|path| !ours.contains(path)),
        }
        drop(told);
        self.woken.notify_one();
    }
}

/// Reads every file, on a thread that may block.
async fn look(files: BTreeMap<PathBuf, Option<Seen>>) -> BTreeMap<PathBuf, Option<Seen>> {
    let look = move || {
        let look = |(file, known): (PathBuf, Option<Seen>)| {
            let now = read(&file, known.as_ref()).ok();
            (file, now)
        };
        files.into_iter().map(look).collect()
    };
    match tokio::task::spawn_blocking(look).await {
        Ok(seen) => seen,
        Err(error) => {
            warn!("the configuration's files could not be looked at: {error}");
            BTreeMap::new()
        }
    }
}

fn read(file: &Path, known: Option<&Seen>) -> io::Result<Seen> {
    let about = fs::metadata(file)?;
    if !about.is_file() {
        return Err(io::Error::other("not a plain file"));
    }
    let inode = [
        about.dev().cast_signed(),
        about.ino().cast_signed(),
        about.len().cast_signed(),
        about.mtime(),
        about.mtime_nsec(),
        about.ctime(),
        about.ctime_nsec(),
    ];
    if let Some(known) = known
        && about.len() > SMALL_BYTES
        && known.inode == inode
    {
        return Ok(known.clone());
    }
    let mut file = File::open(file)?;
    let (mut hash, mut part) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        match file.read(&mut part) {
            Ok(0) => break,
            Ok(read) => hash.update(&part[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Seen {
        inode,
        hash: hash.finalize().into(),
    })
}

/// Every name that leads to the file and could be made to lead elsewhere: each link on the way, and the file itself.
fn entries(file: &Path) -> Vec<PathBuf> {
    let Ok(absolute) = std::path::absolute(file) else {
        return Vec::new();
    };
    let mut rest: VecDeque<OsString> = parts(&absolute);
    let (mut at, mut found, mut links) = (PathBuf::from("/"), Vec::new(), 0);
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            at.pop();
            continue;
        }
        at.push(&part);
        if let Ok(target) = fs::read_link(&at) {
            found.push(at.clone());
            links += 1;
            if links > LINKS {
                return found;
            }
            at.pop();
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            for part in parts(&target).into_iter().rev() {
                rest.push_front(part);
            }
        }
    }
    found.push(at);
    found
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let part = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    };
    path.components().filter_map(part).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A file that is followed, in a folder that is watched; and its other name in a folder that is not. What is written
    /// by the other name is the same file's content, and the kernel says nothing of it in the first folder.
    fn two_names(content: &str) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let name = |folder: &Path, part: &str| {
            let folder = folder.join(part);
            fs::create_dir(&folder).unwrap();
            folder.join("config.toml")
        };
        let (followed, other) = (
            name(folder.path(), "watched"),
            name(folder.path(), "silent"),
        );
        fs::write(&followed, content).unwrap();
        fs::hard_link(&followed, &other).unwrap();
        (folder, followed, other)
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_kernel_does_not_tell_of_is_found_by_looking() {
        let (_folder, followed, other) = two_names("one");
        let mut watch = Watch::new(POLL);
        let later = SystemTime::now() + Duration::from_secs(60);
        watch
            .follow(BTreeSet::from([followed.clone()]), later)
            .await;
        fs::write(&other, "two").unwrap();
        let began = Instant::now();
        let found = timeout(POLL * 10, watch.changed()).await;
        assert_eq!(found.as_deref(), Ok([followed.clone()].as_slice()));
        let took = began.elapsed();
        assert!((POLL..POLL + SETTLE).contains(&took), "after {took:?}");
        // Nothing more changes: each look finds the same, and nobody is told.
        let quiet = timeout(POLL * 10, watch.changed()).await;
        assert!(quiet.is_err(), "{quiet:?}");
        fs::write(&other, "three").unwrap();
        assert_eq!(watch.changed().await, [followed.as_path()]);
    }
}
