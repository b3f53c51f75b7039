//! What tests of whole calls stand on: the real daemon as a process on a free port, HTTP asked plainly, and a
//! websocket whose every byte a test decides.
//!
//! Nothing here sleeps: waiting is looking again until a deadline, with a short wait on a channel nobody writes to.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::print_stdout,
    clippy::unwrap_used
)]

mod bystander;
pub mod callers;
mod daemon;
mod dice;
pub mod edited;
mod http;
pub mod operator;
pub mod people;
mod plugins;
mod raw;
mod speech;

pub use self::bystander::Bystander;
pub use self::daemon::{CONFIG, Daemon, binary, token_in};
pub use self::dice::Dice;
pub use self::http::{Reply, request, send};
pub use self::plugins::{compile_plugin, release_library};
pub use self::raw::{Raw, frame_payload, framed};
pub use self::speech::{speech, speech_file, spoken, spoken_as};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Longest anything may take here; only a failing test ever waits so long.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Asks again until there is an answer.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let (_never, wait) = mpsc::channel::<()>();
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            began.elapsed() < DEADLINE,
            "waited {DEADLINE:?} in vain: {what}"
        );
        let timed_out = wait.recv_timeout(Duration::from_millis(10));
        assert_eq!(timed_out, Err(mpsc::RecvTimeoutError::Timeout));
    }
}

/// A runtime for the simulated phone.
pub fn phone<T>(call: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(call)
}

/// The configuration in the repository.
pub fn shipped_config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config.toml")
}

/// A file that cannot be read is told by name.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
}
