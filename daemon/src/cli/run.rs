//! `run`: start the daemon, wait for a signal, end it in order.

use super::{Failure, load, runtime_workers};
use crate::config::LogFormat;
use crate::daemon::{Daemon, Overrides, StartError};
use clap::Args;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;
use tracing_subscriber::EnvFilter;

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// Listen here instead of http.listen
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,

    /// Keep calls and plugin copies here instead of store.path
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

pub(super) fn run(path: &Path, arguments: &RunArguments) -> Result<(), Failure> {
    let config = load(path)?;
    start_log(&config.log.level, config.log.format);
    let overrides = Overrides {
        listen: arguments.listen,
        state: arguments.state.clone(),
        set_log_level: None,
    };
    let drain = Duration::from_secs(config.limits.drain_secs);
    runtime_workers()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| Failure::failed(error.to_string()))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| Failure::failed(error.to_string()))?;
        let daemon = Daemon::start(config, overrides).await.map_err(as_failure)?;
        let address = daemon.address();
        info!(
            webhook = %format!("http://{address}/twilio/stream/"),
            "ready for calls; try it from another terminal: voice-streamer phone --say \"Hello\" --record heard.wav"
        );
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!(calls = daemon.calls(), "asked to stop: new calls are turned away, running ones may finish within {} s; ask again to end now", drain.as_secs());
        let again = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        daemon.drain(drain, again).await;
        info!("stopped");
        Ok(())
    })
}

fn as_failure(error: StartError) -> Failure {
    let message = error.to_string();
    match error {
        StartError::Config(_) | StartError::Plugin(_) | StartError::Unsafe(_) => {
            Failure::config(message)
        }
        StartError::Listen { .. } => Failure::temporary(message),
        StartError::Store(_) | StartError::System(_) => Failure::failed(message),
    }
}

/// Log lines on stderr; `RUST_LOG` wins over the file.
fn start_log(level: &str, format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let terminal = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(terminal);
    // A second logger can only be one that a test has set: its choice stays.
    let set = match format {
        LogFormat::Json => log.json().try_init(),
        LogFormat::Auto if !terminal => log.json().try_init(),
        LogFormat::Auto | LogFormat::Text => log.try_init(),
    };
    if set.is_err() {
        info!("logging was set up already");
    }
}
