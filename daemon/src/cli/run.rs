//! `run`: start the daemon, wait for a signal, end it in order.

use super::{Failure, load, runtime_workers};
use crate::config;
use crate::daemon::{Daemon, GOODBYE_SECS, Overrides, SetLogLevel, StartError};
use crate::log::{self, Log};
use crate::systemd;
use clap::Args;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{debug, info, warn};

/// What the service manager grants beyond the calls, to bring the last records to the disk.
const CLOSING: Duration = Duration::from_secs(30);

/// Said when a plugin, or we, have made the processor stop.
pub(super) const WHEN_IT_CRASHES: &str = "The daemon ends, and its calls with it; if it is started again at once, as a service manager does, callers still on the \
     line are connected anew.";

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// Listen here instead of http.listen
    #[arg(long, value_name = "ADDR", value_parser = address)]
    listen: Option<SocketAddr>,

    /// Keep calls and plugin copies here instead of store.path
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let wanted = "an address and a port, such as 127.0.0.1:8080 or 0.0.0.0:8080";
    text.parse().map_err(|_| wanted.to_owned())
}

pub(super) fn run(path: &Path, arguments: &RunArguments) -> Result<(), Failure> {
    let config = load(path)?;
    let log = log::start(&config.log).map_err(|error| Failure::config(error.to_string()))?;
    take_descriptors();
    if let Some(exposed) = config::exposed(&config::dotenv_beside(path)) {
        warn!("{exposed}");
    }
    let overrides = Overrides {
        listen: arguments.listen,
        state: arguments.state.clone(),
        set_log_level: Some(SetLogLevel::by({
            let log = log.clone();
            move |level| log.set_level(level)
        })),
        clock: None,
    };
    runtime_workers()?.block_on(async {
        let signalled = |kind| signal(kind).map_err(|error| Failure::failed(error.to_string()));
        let mut terminate = signalled(SignalKind::terminate())?;
        let mut interrupt = signalled(SignalKind::interrupt())?;
        let daemon = Daemon::start(config, overrides)
            .await
            .map_err(as_failure)?;
        tokio::spawn(reopen(log.clone(), signalled(SignalKind::hangup())?));
        let address = daemon.address();
        info!(
            webhook = %format!("http://{address}/twilio/stream/"),
            "ready for calls; try it from another terminal: voice-streamer phone --say \"Hello\" --record heard.wav"
        );
        systemd::ready();
        systemd::status(&format!("ready for calls at {address}"));
        say_how_to_sign_in(&daemon);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let patience = daemon.drain_patience();
        let calls = daemon.calls();
        info!(
            calls,
            "asked to stop: new calls are turned away, running ones may finish within {} s; ask again to end now",
            patience.as_secs()
        );
        systemd::stopping(patience + Duration::from_secs(GOODBYE_SECS) + CLOSING);
        systemd::status(&format!(
            "stopping: {calls} calls may finish within {} s",
            patience.as_secs()
        ));
        let again = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        daemon.drain(patience, again).await;
        info!("stopped");
        log.flush();
        Ok(())
    })
}

/// As many descriptors as the system gives us: a call is one, and a shell's usual 1024 are fewer than `limits.calls`.
fn take_descriptors() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(descriptors) => debug!(
            descriptors,
            "files and connections that may be open at once"
        ),
        Err(error) => {
            warn!("as few descriptors as before: the limit could not be raised ({error})")
        }
    }
}

/// SIGHUP also means that the log file was rotated; the daemon reads its configuration again for itself.
async fn reopen(log: Log, mut hangups: Signal) {
    while hangups.recv().await.is_some() {
        log.reopen();
    }
}

/// The way to the first account. The link is for whoever started the daemon: it is printed on a terminal, and kept out of
/// logs that others may read.
fn say_how_to_sign_in(daemon: &Daemon) {
    if !std::io::stderr().is_terminal() {
        if daemon.has_no_account() {
            info!(
                "nobody can sign in to /admin/ yet; print a one-time link with: voice-streamer admin link"
            );
        }
    } else if let Some(link) = daemon.setup_link() {
        eprintln!("\nMake the first account for /admin/ (works once, for an hour):\n  {link}\n");
    }
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
