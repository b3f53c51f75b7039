//! What the service manager is told, read from a socket of our own in its place.

#![allow(clippy::unwrap_used)]

mod support;

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use support::{CONFIG, DEADLINE, Daemon, Raw, compile_plugin, frame_payload, until};
use tempfile::TempDir;

/// The manager's end of the notify socket. A thread reads it, as a manager would: a full socket blocks who writes.
struct Manager(Receiver<String>);

impl Manager {
    /// A daemon under this manager, watched if a patience is given.
    fn start(folder: &Arc<TempDir>, watchdog_usec: Option<u32>) -> (Manager, Daemon) {
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let (said, heard) = mpsc::channel();
        std::thread::spawn(move || {
            let mut message = [0; 4096];
            while let Ok(length) = socket.recv(&mut message)
                && said
                    .send(String::from_utf8_lossy(&message[..length]).into_owned())
                    .is_ok()
            {}
        });
        let daemon = Daemon::prepared(folder, |run| {
            run.env("NOTIFY_SOCKET", &path);
            if let Some(usec) = watchdog_usec {
                run.env("WATCHDOG_USEC", usec.to_string());
            }
        });
        (Manager(heard), daemon)
    }

    /// The next message with a line that begins like this.
    #[track_caller]
    fn hears(&self, word: &str) -> String {
        loop {
            let message = self.0.recv_timeout(DEADLINE).expect(word);
            if message.lines().any(|line| line.starts_with(word)) {
                return message;
            }
        }
    }

    /// What has been said and not been read yet.
    fn waiting(&self) -> String {
        self.0.try_iter().collect()
    }
}

fn folder(config: &str) -> Arc<TempDir> {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    folder
}

#[test]
fn the_manager_hears_ready_reloading_and_stopping() {
    let config = format!("{CONFIG}\n[limits]\ndrain_secs = 60\n");
    let (manager, daemon) = Manager::start(&folder(&config), None);
    manager.hears("READY=1");
    let status = manager.hears("STATUS=");
    assert!(status.contains(&daemon.address.to_string()), "{status}");
    assert_eq!(daemon.get("/readyz").0, 200, "ready when it says so");

    daemon.signal("HUP");
    let reloading = manager.hears("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    manager.hears("READY=1");

    daemon.signal("TERM");
    let stopping = manager.hears("STOPPING=1");
    let (_, micros) = stopping
        .trim_end()
        .split_once("EXTEND_TIMEOUT_USEC=")
        .expect(&stopping);
    assert!(
        micros.parse::<u64>().unwrap() > 60_000_000,
        "all of the calls' time: {stopping}"
    );
    let (code, log) = daemon.ends();
    assert_eq!(code, Some(0), "{log}");
    assert!(
        !manager.waiting().contains("WATCHDOG=1"),
        "nobody asked for it"
    );
}

#[test]
fn the_watchdog_is_fed_without_calls_and_with_them() {
    let (manager, daemon) = Manager::start(&folder(CONFIG), Some(300_000));
    for _ in 0..3 {
        manager.hears("WATCHDOG=1");
    }
    let mut raw = Raw::call(&daemon, "CA00000000000000000000000000000001");
    raw.echoes(1, &frame_payload(1));
    until("it tells of the call", || {
        manager
            .hears("WATCHDOG=1")
            .contains("STATUS=1 calls")
            .then_some(())
    });
    // Also while it drains: the manager watches until the end.
    daemon.signal("TERM");
    manager.hears("STOPPING=1");
    manager.hears("WATCHDOG=1");
    raw.stop();
    assert_eq!(daemon.ends().0, Some(0));
}

#[test]
fn a_media_thread_that_does_not_come_back_is_not_covered_up() {
    let config = CONFIG.replace(
        "library = \"responder_echo\"\nmode = \"live\"",
        "library = \"./libstuck.so\"",
    );
    let folder = folder(&format!("{config}\n[media]\nthreads = 2\n"));
    // A responder that never comes back.
    compile_plugin("stuck", folder.path());
    let (manager, daemon) = Manager::start(&folder, Some(300_000));
    manager.hears("WATCHDOG=1");
    let mut raw = Raw::call(&daemon, "CA00000000000000000000000000000001");
    raw.media(0, &frame_payload(0));
    let missed = || {
        let log = daemon.log();
        log.matches("the watchdog is not fed").count()
    };
    // One task feeds and complains: once it complains, no food is under way.
    until("the daemon notices", || (missed() > 0).then_some(()));
    manager.waiting();
    until("three times nothing was fed", || {
        (missed() > 3).then_some(())
    });
    assert!(!manager.waiting().contains("WATCHDOG=1"));
    assert_eq!(
        daemon.get("/healthz").0,
        200,
        "one of two threads, and the control side, are well"
    );
}
