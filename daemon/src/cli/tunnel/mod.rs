//! `tunnel`: a public address for the daemon, and a phone number that calls it, for as long as the command runs.
//!
//! ```text
//!   start   pay an old debt → is the daemon there? → a way to it (ngrok, or an address you have) → which number?
//!           → journal on disk → lend the address → does the way lead here? → change the number → count down
//!           → put back → journal away
//!   stop    wish the running one closed, wait, and pay what a dead one owes
//!   status  what is open, what is owed, and whether the number calls here
//! ```
//!
//! From the journal on, every way out leads through "put back": the end of the time, Ctrl-C, SIGTERM, a closed terminal,
//! `stop`, an error. What no program can do after `kill -9`, the next `start` or `stop` does.

mod borrow;
mod journal;
mod screen;
mod start;
mod status;
mod stop;
mod way;

use super::{Failure, load};
use crate::carrier::twilio::rest::Rest;
use crate::config::Config;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Debug, Args)]
pub(super) struct TunnelArguments {
    #[command(subcommand)]
    command: TunnelCommand,

    /// The state folder, if the daemon does not keep it at store.path
    #[arg(long, global = true, value_name = "DIR")]
    state: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum TunnelCommand {
    /// Open a way to the daemon and point a number at it, until Ctrl-C or the end of the time
    Start(start::StartArguments),
    /// What is open, and whether the number calls here
    Status(status::StatusArguments),
    /// Close the tunnel of another terminal; put back what a killed one left
    Stop,
}

pub(super) fn tunnel(path: &Path, arguments: &TunnelArguments) -> Result<(), Failure> {
    let config = load(path)?;
    let state = arguments.state.as_ref().unwrap_or(&config.store.path);
    match &arguments.command {
        TunnelCommand::Start(start) => start::start(path, &config, state, start),
        TunnelCommand::Status(status) => status::status(&config, state, status),
        TunnelCommand::Stop => stop::stop(&config, state),
    }
}

/// The account of the configuration.
fn account(config: &Config) -> Result<Rest, Failure> {
    let twilio = &config.twilio;
    let missing = |key: &str, example: &str| {
        Failure::config(format!(
            "{}: twilio.{key} is not set. Write {key} = \"{example}\" under [twilio]; its value is on the front page \
             of Twilio's console",
            config.file.display()
        ))
    };
    let sid = twilio.account_sid.as_deref();
    let sid = sid.ok_or_else(|| missing("account_sid", "AC…"))?;
    let token = twilio.auth_token.as_ref();
    let token = token.ok_or_else(|| missing("auth_token", "${env:TWILIO_AUTH_TOKEN}"))?;
    Rest::new(&twilio.api_url, sid, token.expose()).map_err(borrow::failure)
}

/// Unix time.
fn now_secs() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
