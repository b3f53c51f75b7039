//! `run`: start the daemon, wait for a signal, end it in order.

use super::{Failure, load, runtime_workers};
use crate::daemon::{Daemon, Overrides, SetLogLevel, StartError};
use crate::log;
use clap::Args;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

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
    let log = log::start(&config.log).map_err(|error| Failure::config(error.to_string()))?;
    let overrides = Overrides {
        listen: arguments.listen,
        state: arguments.state.clone(),
        set_log_level: Some(SetLogLevel::by({
            let log = log.clone();
            move |level| log.set_level(level)
        })),
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
        log.flush();
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
