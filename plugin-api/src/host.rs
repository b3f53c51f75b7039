//! The host as a plugin sees it outside of any call: a place to log to. The streams' way out is in `out.rs`.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, RwLock};

use serde_json::{Map, Value};

use crate::abi::{level, VpBytes, VpCtx, VpHost};

tokio::task_local! {
    /// The call whose work is being done, by the carrier's name.
    static CALL: Arc<str>;
}

/// Work for this call: lines that are logged in it carry the call's name.
pub(crate) async fn on_call<W: Future>(sid: &str, work: W) -> W::Output {
    CALL.scope(sid.into(), work).await
}

/// The same for work that does not wait.
pub(crate) fn on_call_at_once<R>(sid: &Arc<str>, work: impl FnOnce() -> R) -> R {
    CALL.sync_scope(Arc::clone(sid), work)
}

/// How important a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Level {
    /// Something failed.
    Error = level::ERROR,
    /// Something is wrong but work goes on.
    Warn = level::WARN,
    /// Worth knowing in production.
    Info = level::INFO,
    /// For finding faults.
    Debug = level::DEBUG,
    /// Everything.
    Trace = level::TRACE,
}

/// The host of one opened plugin: lines given to it appear in the daemon's log under the plugin's name.
///
/// Cheap to clone, may be used from any thread and kept as long as one likes; once the plugin is closed it says
/// nothing more.
#[derive(Clone)]
pub struct Host(Arc<Line>);

/// The line to the host's log, with the lock that ends it.
struct Line {
    table: &'static VpHost,
    ctx: *mut VpCtx,
    /// Read while a line is written, so that `close` can wait for it: the host's context dies with `close`.
    open: RwLock<bool>,
}

// SAFETY: the contract lets any thread call `log` and `log_level`, and nothing else is done with the context.
unsafe impl Send for Line {}
// SAFETY: as above; the functions may be called at the same time.
unsafe impl Sync for Line {}

impl Host {
    /// # Safety
    /// `ctx` must be the host's own, to be used with this table, and stay valid until [`Host::hang_up`].
    pub(crate) unsafe fn new(table: &'static VpHost, ctx: *mut VpCtx) -> Host {
        Host(Arc::new(Line {
            table,
            ctx,
            open: RwLock::new(true),
        }))
    }

    pub(crate) fn table(&self) -> &'static VpHost {
        self.0.table
    }

    /// Ends the line, for all clones; waits for a line that is being written on another thread.
    pub(crate) fn hang_up(&self) {
        *self
            .0
            .open
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = false;
    }

    pub(crate) fn is(&self, other: &Host) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether a line of this level would be written at present; costs one call of a few nanoseconds.
    pub fn wants(&self, level: Level) -> bool {
        self.while_open(|line| {
            // SAFETY: the line is open, so table and context are alive; any thread may call.
            level as u32 <= unsafe { (line.table.log_level)(line.ctx) }
        })
        .unwrap_or(false)
    }

    /// One line: a sentence, and fields beside it (`&[]` for none), which are fields of the daemon's own line. Not for
    /// every frame: the host takes a lock for it.
    ///
    /// In the work for a call the line carries the call's name as the field `call`. What the plugin spawns for itself is
    /// not known to be for one: there it is a field to give.
    pub fn log(&self, level: Level, text: &str, fields: &[(&str, Value)]) {
        if !self.wants(level) {
            return;
        }
        let named = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        let mut named: Map<_, _> = named.collect();
        if let Some(sid) = CALL.try_with(Arc::clone).ok().filter(|sid| !sid.is_empty()) {
            named.entry("call").or_insert_with(|| (*sid).into());
        }
        let fields = if named.is_empty() {
            String::new()
        } else {
            Value::Object(named).to_string()
        };
        self.while_open(|line| {
            let (text, fields) = (
                VpBytes::lend(text.as_bytes()),
                VpBytes::lend(fields.as_bytes()),
            );
            // SAFETY: the line is open, so table and context are alive; the bytes outlive the call.
            unsafe { (line.table.log)(line.ctx, level as u32, text, fields) }
        });
    }

    /// Something failed.
    pub fn error(&self, text: &str) {
        self.log(Level::Error, text, &[]);
    }

    /// Something is wrong but work goes on.
    pub fn warn(&self, text: &str) {
        self.log(Level::Warn, text, &[]);
    }

    /// Worth knowing in production.
    pub fn info(&self, text: &str) {
        self.log(Level::Info, text, &[]);
    }

    /// For finding faults.
    pub fn debug(&self, text: &str) {
        self.log(Level::Debug, text, &[]);
    }

    fn while_open<T>(&self, with: impl FnOnce(&Line) -> T) -> Option<T> {
        let open = self
            .0
            .open
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        open.then(|| with(&self.0))
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host")
    }
}
