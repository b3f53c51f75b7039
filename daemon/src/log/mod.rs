//! Log lines: to stderr, and into a file when one is asked for.
//!
//! ```text
//! tracing ──→ filter (RUST_LOG, else log.level; the level can change while we run)
//!               ├──→ stderr: text on a terminal, JSON elsewhere
//!               └──→ file.rs: a bounded queue, one writer thread; reopened when the file was rotated away
//! ```
//!
//! Not here: rotation and size, which belong to journald and logrotate.

mod file;
mod spread;

pub use file::{LogFile, OpenError};

use crate::config::{self, LogFormat};
use spread::Spread;
use std::io::IsTerminal;
use std::sync::Arc;
use tracing::info;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// The running log, to be told of changes.
#[derive(Clone)]
pub struct Log {
    /// None when the level is not ours to change: `RUST_LOG` is set, or somebody else set up logging.
    filter: Option<reload::Handle<EnvFilter, Registry>>,
    file: Option<Arc<LogFile>>,
}

/// Starts logging as the configuration says; `RUST_LOG` wins over its level.
///
/// # Errors
/// The file that was asked for cannot be opened.
pub fn start(keys: &config::Log) -> Result<Log, OpenError> {
    let file = match &keys.file {
        Some(path) => Some(Arc::new(LogFile::open(path)?)),
        None => None,
    };
    let from_environment = EnvFilter::try_from_default_env().ok();
    let fixed = from_environment.is_some();
    let filter = from_environment.unwrap_or_else(|| EnvFilter::new(&keys.level));
    let (filter, handle) = reload::Layer::new(filter);
    let terminal = std::io::stderr().is_terminal();
    let to_file = file.clone().map(|file| {
        let lines = fmt::layer().with_writer(file).with_ansi(false);
        shaped(lines, keys.format, false)
    });
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(terminal);
    let set = tracing_subscriber::registry()
        .with(filter)
        .with(to_file)
        .with(shaped(lines, keys.format, terminal))
        .try_init()
        .is_ok();
    if !set {
        // A second logger can only be one that a test has set: its choice stays.
        info!("logging was set up already");
    }
    Ok(Log {
        filter: Some(handle).filter(|_| set && !fixed),
        file,
    })
}

/// Lines in the format that was asked for.
fn shaped<S, W>(
    lines: fmt::Layer<S, fmt::format::DefaultFields, fmt::format::Format, W>,
    format: LogFormat,
    terminal: bool,
) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    W: for<'w> fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = lines.with_target(false);
    match format {
        LogFormat::Auto if terminal => lines.boxed(),
        LogFormat::Text => lines.boxed(),
        LogFormat::Json | LogFormat::Auto => lines.json().map_event_format(Spread).boxed(),
    }
}

impl Log {
    /// From now on lines of this level, as `log.level` has it.
    ///
    /// # Errors
    /// Why the level stays as it is: `RUST_LOG` says otherwise, mostly.
    pub fn set_level(&self, level: &str) -> Result<(), String> {
        let Some(filter) = &self.filter else {
            return Err("RUST_LOG was set when the daemon was started, and wins".into());
        };
        filter
            .reload(EnvFilter::new(level))
            .map_err(|error| error.to_string())
    }

    /// Opens the file anew, as after a rotation. Nothing happens without one.
    pub fn reopen(&self) {
        if let Some(file) = &self.file {
            file.reopen();
        }
    }

    /// Returns when every line so far is in the file, or after a second.
    pub fn flush(&self) {
        if let Some(file) = &self.file {
            file.flush();
        }
    }
}
