//! Out of file descriptors: the daemon waits for some instead of spinning, and calls that run notice nothing.

#![allow(clippy::unwrap_used)]

mod support;

use std::net::TcpStream;
use support::{Bystander, Daemon, until};

/// Descriptors the daemon may hold, and connections that want one.
const DESCRIPTORS: u64 = 256;
const CLIENTS: usize = 400;

fn limit(daemon: &Daemon) {
    let limit = libc::rlimit {
        rlim_cur: DESCRIPTORS,
        rlim_max: DESCRIPTORS,
    };
    let pid = i32::try_from(daemon.pid()).unwrap();
    // SAFETY: the new limit is read during the call, the old one is not asked for.
    let set = unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, &limit, std::ptr::null_mut()) };
    assert_eq!(set, 0);
}

#[test]
fn running_calls_outlast_a_flood_of_connections() {
    let daemon = Daemon::start("");
    limit(&daemon);
    let bystander = Bystander::call(&daemon);
    let clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| TcpStream::connect(daemon.address).unwrap())
        .collect();
    let refused = || daemon.log().matches("could not be accepted").count();
    // More than once: it went on trying.
    until("descriptors run out", || (refused() > 3).then_some(()));
    drop(clients);
    // Answered through the same listener, as soon as there is room.
    daemon.is_whole();
    bystander.was_untouched();
}

#[test]
fn as_many_descriptors_are_taken_as_the_system_gives() {
    let daemon = Daemon::start("");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let numbers: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(
        numbers[3], numbers[4],
        "the soft limit is the hard one: {line}"
    );
}
