//! Calls into a plugin that may block: on a thread of their own, waited for so long and no longer. A plugin cannot be
//! interrupted, so an overrun call keeps its thread; should it return after all, what it brought is handed to `late`.

use super::host::TARGET;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Why there is no result.
#[derive(Debug)]
pub(crate) enum NoResult {
    /// The deadline came first.
    Overrun,
    /// There was no thread to run on.
    Thread(io::Error),
}

enum Desk<R> {
    Waiting,
    Brought(R),
    /// Nobody waits any more.
    Left,
}

/// Runs `work` on a new thread named `thread` and waits up to `limit` for what it returns. Exactly one of the two gets
/// the result: the caller, or, when it came too late, `late`, on the new thread.
pub(crate) fn call<R: Send + 'static>(
    thread: &str,
    limit: Duration,
    work: impl FnOnce() -> R + Send + 'static,
    late: impl FnOnce(R) + Send + 'static,
) -> Result<R, NoResult> {
    let desk = Arc::new((Mutex::new(Desk::Waiting), Condvar::new()));
    let theirs = Arc::clone(&desk);
    let run = move || {
        let result = work();
        let (desk, bell) = &*theirs;
        let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*desk, Desk::Left) {
            drop(desk);
            late(result);
        } else {
            *desk = Desk::Brought(result);
            bell.notify_one();
        }
    };
    thread::Builder::new()
        .name(thread.to_owned())
        .spawn(run)
        .map_err(NoResult::Thread)?;
    let (desk, bell) = &*desk;
    let waiting = desk.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut desk, _timeout) = bell
        .wait_timeout_while(waiting, limit, |desk| matches!(desk, Desk::Waiting))
        .unwrap_or_else(PoisonError::into_inner);
    match std::mem::replace(&mut *desk, Desk::Left) {
        Desk::Brought(result) => Ok(result),
        Desk::Waiting | Desk::Left => {
            tracing::warn!(target: TARGET, thread, ?limit, "a plugin does not return; its thread is left to it");
            Err(NoResult::Overrun)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::mpsc;

    const AMPLE: Duration = Duration::from_secs(3600);

    #[test]
    fn what_is_brought_in_time_goes_to_the_caller() {
        let got = call("in-time", AMPLE, || 7, |_| unreachable!());
        assert_eq!(got.unwrap(), 7);
    }

    #[test]
    fn what_comes_late_goes_to_the_one_who_tidies_up() {
        let (open, gate) = mpsc::channel::<()>();
        let (tidied, seen) = mpsc::channel();
        let blocked = move || {
            gate.recv().unwrap();
            7
        };
        let got = call("late", Duration::ZERO, blocked, move |result| {
            tidied.send(result).unwrap()
        });
        assert!(matches!(got, Err(NoResult::Overrun)));
        open.send(()).unwrap();
        assert_eq!(seen.recv().unwrap(), 7);
    }
}
