//! The log file: lines go into a bounded queue and one thread writes them, so that a slow or full disk costs lines and
//! never a call. What is lost is counted, and said in the file once there is room again.
//!
//! ```text
//! any thread ── line ──→ [ at most QUEUED_LINES, QUEUED_BYTES ] ──→ writer ──→ file, mode 0600, append only
//!                  └─ no room: counted                                └─ moved or deleted, or asked to: opened anew
//! ```
//!
//! Whether the file still is where it was is looked at once a second at most, and only when there is a line to write.
//! How large it grows is logrotate's business.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Lines that may wait for the disk; at `info` a busy hour, at `trace` a second or two.
const QUEUED_LINES: usize = 8192;

/// Bytes that may wait for the disk.
const QUEUED_BYTES: usize = 4 << 20;

/// How often, at most, the writer looks whether the file was moved away, and tries again after a failure.
const LOOK: Duration = Duration::from_secs(1);

/// How long the end of the process waits for the last lines.
const FLUSH: Duration = Duration::from_secs(1);

/// The log file cannot be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "the log file {} cannot be opened: {error}. Choose another log.file, or take it out to log to stderr only",
    path.display()
)]
pub struct OpenError {
    path: PathBuf,
    error: io::Error,
}

/// A log file with its writer thread. Dropping it writes what is queued.
pub struct LogFile {
    queue: SyncSender<Order>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    queued_bytes: AtomicUsize,
    /// Lines that found no room, or no disk.
    lost: AtomicU64,
    /// Set when the queue had no room for the order itself.
    reopen: AtomicBool,
}

enum Order {
    Line(Vec<u8>),
    Reopen,
    Flush(SyncSender<()>),
}

impl LogFile {
    /// Opens the file, to append; makes it, and its folder, if they are not there.
    ///
    /// # Errors
    /// It cannot be opened for writing, or is not a plain file.
    pub fn open(path: &Path) -> Result<LogFile, OpenError> {
        let failed = |error| OpenError {
            path: path.to_owned(),
            error,
        };
        let file = open(path).map_err(failed)?;
        let (queue, orders) = sync_channel(QUEUED_LINES);
        let shared = Arc::new(Shared::default());
        let mut writer = Writer {
            path: path.to_owned(),
            file: Some(file),
            looked: Instant::now(),
            silent: true,
            shared: Arc::clone(&shared),
        };
        std::thread::Builder::new()
            .name("log-file".into())
            .spawn(move || writer.run(&orders))
            .map_err(failed)?;
        Ok(LogFile { queue, shared })
    }

    /// Opens the file anew: what stands at its path now, or a new one.
    pub fn reopen(&self) {
        if self.queue.try_send(Order::Reopen).is_err() {
            self.shared.reopen.store(true, Ordering::Relaxed);
        }
    }

    /// Returns when every line so far has been written, or after a second.
    pub fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.queue.try_send(Order::Flush(done)).is_ok() {
            // Late or gone: the process ends either way, and the lines are as good as lost.
            written.recv_timeout(FLUSH).ok();
        }
    }

    fn line(&self, line: &[u8]) {
        let shared = &self.shared;
        let room = shared.queued_bytes.fetch_add(line.len(), Ordering::Relaxed) <= QUEUED_BYTES;
        if !room || self.queue.try_send(Order::Line(line.to_vec())).is_err() {
            shared.queued_bytes.fetch_sub(line.len(), Ordering::Relaxed);
            shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// `tracing` writes each line with a single `write_all`.
impl Write for &LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent()
        && !folder.as_os_str().is_empty()
    {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    // Not blocking: to open a named pipe would wait for its reader.
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a plain file"))
    }
}

struct Writer {
    path: PathBuf,
    /// None after a failure, until it can be opened again.
    file: Option<File>,
    looked: Instant,
    /// Whether a failure of now would be news.
    silent: bool,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(&mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            match order {
                Order::Line(line) => self.write(&line),
                Order::Reopen => self.reopen(),
                // Nobody waits any more: its second is over.
                Order::Flush(done) => drop(done.try_send(())),
            }
        }
    }

    fn write(&mut self, line: &[u8]) {
        self.shared
            .queued_bytes
            .fetch_sub(line.len(), Ordering::Relaxed);
        if self.shared.reopen.swap(false, Ordering::Relaxed) {
            self.reopen();
        } else if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            if !self.is_in_place() {
                self.reopen();
            }
        }
        let lost = self.shared.lost.load(Ordering::Relaxed);
        let Some(file) = &mut self.file else {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let written = match lost {
            0 => file.write_all(line),
            _ => file
                .write_all(lost_line(lost, line.starts_with(b"{")).as_bytes())
                .and_then(|()| file.write_all(line)),
        };
        match written {
            Ok(()) => {
                self.shared.lost.fetch_sub(lost, Ordering::Relaxed);
                self.silent = true;
            }
            Err(error) => {
                self.shared.lost.fetch_add(1, Ordering::Relaxed);
                self.fail(&error);
            }
        }
    }

    /// Whether the open file is the one at the path.
    fn is_in_place(&self) -> bool {
        let Some(file) = &self.file else { return false };
        match (file.metadata(), fs::metadata(&self.path)) {
            (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
            _ => false,
        }
    }

    fn reopen(&mut self) {
        self.looked = Instant::now();
        match open(&self.path) {
            Ok(file) => self.file = Some(file),
            Err(error) => {
                self.file = None;
                self.fail(&error);
            }
        }
    }

    /// Said once on stderr, past the log: a line about it would come back here.
    fn fail(&mut self, error: &io::Error) {
        if std::mem::take(&mut self.silent) {
            eprintln!(
                "voice-streamer: the log file {} cannot be written: {error}. Lines are lost there until it can; \
                 stderr has them all",
                self.path.display()
            );
        }
    }
}

/// The line that stands for those that are missing.
fn lost_line(lost: u64, json: bool) -> String {
    let words = format!("{lost} lines are missing here: the disk did not take them in time");
    if json {
        format!("{{\"level\":\"WARN\",\"fields\":{{\"message\":\"{words}\",\"lost\":{lost}}}}}\n")
    } else {
        format!("WARN {words}\n")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_new_file_is_the_owners_alone_and_an_old_one_is_continued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/debug.log");
        let log = LogFile::open(&path).unwrap();
        log.line(b"one\n");
        log.flush();
        drop(log);
        let log = LogFile::open(&path).unwrap();
        log.line(b"two\n");
        log.flush();
        assert_eq!(text(&path), "one\ntwo\n");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    #[test]
    fn a_rotated_file_is_left_and_a_new_one_begun_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
        let log = LogFile::open(&path).unwrap();
        log.line(b"before\n");
        log.flush();
        fs::rename(&path, &old).unwrap();
        log.line(b"between\n");
        log.reopen();
        log.line(b"after\n");
        log.flush();
        assert_eq!(
            (text(&old), text(&path)),
            ("before\nbetween\n".into(), "after\n".into())
        );
    }

    /// The writer's own clock is put back instead of waiting for its second.
    #[test]
    fn a_file_that_was_moved_or_deleted_is_noticed_without_being_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let mut writer = Writer {
            path: path.clone(),
            file: Some(open(&path).unwrap()),
            looked: Instant::now(),
            silent: true,
            shared: Arc::default(),
        };
        for gone in [
            |path: &Path| fs::remove_file(path).unwrap(),
            |path: &Path| fs::rename(path, path.with_extension("old")).unwrap(),
        ] {
            gone(&path);
            writer.write(b"");
            assert!(
                !path.exists(),
                "looked at once a second, not for every line"
            );
            writer.looked = Instant::now().checked_sub(LOOK).unwrap();
            writer.write(b"here\n");
            assert_eq!(text(&path), "here\n");
        }
    }

    #[test]
    fn lines_beyond_the_bound_are_counted_and_said_when_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let (queue, orders) = sync_channel(QUEUED_LINES);
        let shared = Arc::new(Shared::default());
        let log = LogFile {
            queue,
            shared: Arc::clone(&shared),
        };
        for _ in 0..QUEUED_LINES + 7 {
            log.line(b"x\n");
        }
        assert_eq!(shared.lost.load(Ordering::Relaxed), 7);
        let mut writer = Writer {
            path: path.clone(),
            file: Some(open(&path).unwrap()),
            looked: Instant::now(),
            silent: true,
            shared: Arc::clone(&shared),
        };
        drop(log);
        writer.run(&orders);
        let written = text(&path);
        assert!(
            written.starts_with("WARN 7 lines are missing here"),
            "{written}"
        );
        assert_eq!(written.lines().count(), QUEUED_LINES + 1);
        assert_eq!(shared.lost.load(Ordering::Relaxed), 0);
        assert_eq!(shared.queued_bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let (queue, _orders) = sync_channel(QUEUED_LINES);
        let log = LogFile {
            queue,
            shared: Arc::default(),
        };
        let long = vec![b'x'; 1 << 20];
        for _ in 0..9 {
            log.line(&long);
        }
        assert_eq!(
            log.shared.lost.load(Ordering::Relaxed),
            4,
            "4 MiB wait, and the one that filled them"
        );
    }

    #[test]
    fn what_is_no_file_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let said = LogFile::open(folder.path())
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(
            said.contains("cannot be opened") && said.contains("log.file"),
            "{said}"
        );
        let said = LogFile::open(Path::new("/dev/null"))
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(said.contains("not a plain file"), "{said}");
    }

    #[test]
    fn a_disk_that_takes_nothing_costs_lines_and_nothing_else() {
        // Writing to a descriptor opened for reading fails like a full disk does.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        drop(open(&path).unwrap());
        let mut writer = Writer {
            path: path.clone(),
            file: Some(File::open(&path).unwrap()),
            looked: Instant::now(),
            silent: true,
            shared: Arc::default(),
        };
        writer.write(b"one\n");
        writer.write(b"two\n");
        assert_eq!(writer.shared.lost.load(Ordering::Relaxed), 2);
        writer.reopen();
        writer.write(b"three\n");
        let written = text(&path);
        assert!(
            written.starts_with("WARN 2 lines are missing") && written.ends_with("three\n"),
            "{written}"
        );
    }
}
