//! Data on stdout, a line at a time. Whoever reads it may have enough (`| head -1`): then the command ends, quietly and
//! well, where `println!` would panic.

use super::Failure;
use std::fmt;
use std::io::{self, ErrorKind, Write};

/// `say!("{} calls", 3)`: a line on stdout.
macro_rules! say {
    ($($words:tt)*) => { $crate::cli::stdout::say(format_args!($($words)*)) };
}

/// What `say!` does.
pub(super) fn say(line: fmt::Arguments<'_>) {
    // Whole, so that no reader sees half a line.
    match io::stdout()
        .lock()
        .write_all(format!("{line}\n").as_bytes())
    {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            let failure = Failure::failed(format!("nothing can be written to stdout: {error}"));
            complain(&failure);
            std::process::exit(failure.code.into());
        }
    }
}

/// A message on stderr. That nobody reads it is no reason to stop.
pub(super) fn complain(what: impl fmt::Display) {
    writeln!(io::stderr(), "voice-streamer: {what}").ok();
}
