//! Panics of the plugin, kept on the plugin's side: caught at every door, told to the host's log with their place.
//!
//! Every dynamic library written in Rust carries its own copy of std, and with it its own panic hook; the one set here
//! sees the panics of this plugin only. Linked into a bigger program (tests do that) it sees everybody's, so a panic on
//! a thread that does not work for a plugin is passed on to the hook that was there before.

use std::any::Any;
use std::cell::Cell;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe, Location};
use std::pin::Pin;
use std::ptr;
use std::sync::{Mutex, Once};
use std::task::{Context, Poll};

use crate::host::Host;

thread_local! {
    /// The host for whose plugin this thread works at the moment. No destructor, so nothing is left behind on the
    /// host's threads.
    static WORKING_FOR: Cell<*const Host> = const { Cell::new(ptr::null()) };
}

/// Letters of a place that are kept, the last ones: the file's name is what matters.
const PLACE_BYTES: usize = 120;

thread_local! {
    /// Where this thread panicked last: its length, and its letters. No destructor, as above.
    static PLACE: Cell<(usize, [u8; PLACE_BYTES])> = const { Cell::new((0, [0; PLACE_BYTES])) };
}

/// Hosts of the opened instances of this library: where a panic goes that happens on a thread nobody marked.
static OPEN: Mutex<Vec<Host>> = Mutex::new(Vec::new());

/// Marks this thread as working for a host as long as it lives.
pub(crate) struct Working<'a> {
    before: *const Host,
    _host: &'a Host,
}

impl<'a> Working<'a> {
    pub(crate) fn for_host(host: &'a Host) -> Working<'a> {
        Working {
            before: WORKING_FOR.replace(host),
            _host: host,
        }
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        WORKING_FOR.set(self.before);
    }
}

/// Takes the host into the list of open ones.
pub(crate) fn opened(host: &Host) {
    watch();
    OPEN.lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
        .push(host.clone());
}

/// Sets the hook, the first time; without it nobody learns where a panic was.
pub(crate) fn watch() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !tell(info.location(), info.payload()) {
                before(info);
            }
        }));
    });
}

/// Takes it out again.
pub(crate) fn closed(host: &Host) {
    OPEN.lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
        .retain(|open| !open.is(host));
}

/// Where this thread panicked last, as ` (src/lib.rs:7:9)`; empty if it never did.
pub(crate) fn place() -> String {
    let (length, bytes) = PLACE.get();
    match String::from_utf8_lossy(&bytes[..length]) {
        place if place.is_empty() => String::new(),
        place => format!(" ({place})"),
    }
}

fn keep_place(place: Option<&Location<'_>>) {
    let text = place.map(ToString::to_string).unwrap_or_default();
    let tail = &text.as_bytes()[text.len().saturating_sub(PLACE_BYTES)..];
    let mut bytes = [0; PLACE_BYTES];
    bytes[..tail.len()].copy_from_slice(tail);
    PLACE.set((tail.len(), bytes));
}

/// Writes the panic into a host's log; true when that host is certainly the right one.
fn tell(place: Option<&Location<'_>>, payload: &(dyn Any + Send)) -> bool {
    keep_place(place);
    let marked = WORKING_FOR.get();
    // SAFETY: the mark is taken away by the guard that borrows the host, on this very thread, before the host goes.
    let marked = unsafe { marked.as_ref() };
    let any = || {
        OPEN.lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .first()
            .cloned()
    };
    let Some(host) = marked.cloned().or_else(any) else {
        return false;
    };
    let text = payload_text(payload);
    match place {
        Some(place) => host.error(&format!("panicked at {place}: {text}")),
        None => host.error(&format!("panicked: {text}")),
    }
    marked.is_some()
}

/// Runs `work`; a panic becomes its text.
pub(crate) fn contain<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    // Asserted: whoever panicked may have left its own state half made. What is reached afterwards is only what the
    // author reaches himself, and the host ends a stream that panics too often.
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let text = payload_text(&*payload);
        // Dropping a payload runs the author's code once more, and that may panic again.
        if panic::catch_unwind(AssertUnwindSafe(|| drop(payload))).is_err() {
            return format!("{text} (and again while the panic was put away)");
        }
        text
    })
}

fn payload_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text")
        .to_owned()
}

/// A future whose panics, while it is polled or dropped, become text. A box each, so the inner one can be dropped
/// under guard.
pub(crate) struct Contained<F>(Option<Pin<Box<F>>>);

impl<F: Future> Contained<F> {
    pub(crate) fn new(future: F) -> Contained<F> {
        Contained(Some(Box::pin(future)))
    }
}

impl<F: Future> Future for Contained<F> {
    type Output = Result<F::Output, String>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = self.0.as_mut() else {
            return Poll::Ready(Err("the work had ended before".to_owned()));
        };
        match contain(|| future.as_mut().poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(text) => Poll::Ready(Err(text)),
        }
    }
}

impl<F> Drop for Contained<F> {
    fn drop(&mut self) {
        let future = self.0.take();
        // The hook has told the host; there is nobody else to tell.
        drop(contain(|| drop(future)));
    }
}
