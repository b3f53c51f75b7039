//! The command line: one file per subcommand, what they share here.
//!
//! Data goes to stdout, messages to stderr. Exit codes are those of sysexits where it has one: 0 done, 1 failed, 2 wrong
//! usage (clap), 69 no daemon answers, 75 try again, 77 not allowed, 78 the configuration is wrong.

#[macro_use]
mod stdout;

mod admin;
mod calls;
mod check;
mod conversation;
mod logs;
mod manual;
mod phone;
mod reload;
mod remote;
mod run;
mod spoken;
mod steps;
mod tunnel;
mod voices;
mod watched;

use crate::carrier::twilio::rest::use_ring;
use crate::config::{self, Config};
use crate::plugin::name_who_crashes;
use clap::{Parser, Subcommand};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Answers phone calls: hears, speaks, and swaps its voice while calls go on.
#[derive(Debug, Parser)]
#[command(name = "voice-streamer", version, long_version = version(), about, max_term_width = 100)]
struct Arguments {
    /// The configuration file [default: ./config.toml, else /etc/voice-streamer/config.toml]
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    run: run::RunArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer calls (the default)
    Run(run::RunArguments),
    /// Check the configuration and every plugin it names, and show what it would change in the running daemon
    Check(check::CheckArguments),
    /// Have the running daemon read its configuration again; calls go on
    Reload(reload::ReloadArguments),
    /// Ring the daemon like a carrier would: one call, or thousands
    Phone(phone::PhoneArguments),
    /// What happened, newest last
    Logs(logs::LogsArguments),
    /// The calls, newest first
    Calls(calls::CallsArguments),
    /// The voices and models that a plugin offers, as its maker lists them; and what sound transcribers take
    Voices(voices::VoicesArguments),
    /// Give the daemon a public address and point a phone number at it
    Tunnel(tunnel::TunnelArguments),
    /// Write the man pages into a folder
    #[command(hide = true)]
    Man(manual::ManArguments),
    /// Print completions for a shell
    #[command(hide = true)]
    Completions(manual::CompletionsArguments),
    /// Who may sign in to the pages, and which programs may ask
    Admin(admin::AdminArguments),
}

/// Why a command ends, and the code it ends with.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// Anything without a code of its own.
    pub(crate) fn failed(message: impl Into<String>) -> Failure {
        Failure {
            code: 1,
            message: message.into(),
        }
    }

    /// The command cannot be meant as it was typed.
    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        Failure {
            code: 2,
            message: message.into(),
        }
    }

    /// Nobody answers where the daemon should.
    pub(crate) fn unavailable(message: impl Into<String>) -> Failure {
        Failure {
            code: UNAVAILABLE,
            message: message.into(),
        }
    }

    /// Not now; the same may work later.
    pub(crate) fn temporary(message: impl Into<String>) -> Failure {
        Failure {
            code: TEMPORARY,
            message: message.into(),
        }
    }

    /// The system or the daemon does not allow it.
    pub(crate) fn permission(message: impl Into<String>) -> Failure {
        Failure {
            code: 77,
            message: message.into(),
        }
    }

    /// The configuration is wrong.
    pub(crate) fn config(message: impl Into<String>) -> Failure {
        Failure {
            code: 78,
            message: message.into(),
        }
    }
}

impl Failure {
    /// Whether nobody answered.
    pub(crate) fn is_unavailable(&self) -> bool {
        self.code == UNAVAILABLE
    }

    /// Whether the same may work later.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self.code, UNAVAILABLE | TEMPORARY)
    }
}

/// Nobody answers.
const UNAVAILABLE: u8 = 69;

/// Not now.
const TEMPORARY: u8 = 75;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What `--version` says; `-V` has the first line. A package's script gives us the commit, a plain build knows of none.
fn version() -> String {
    format!(
        "{}\ncommit {}\nplugin contract {}\n{} {}",
        env!("CARGO_PKG_VERSION"),
        option_env!("VOICE_STREAMER_COMMIT").unwrap_or("unknown"),
        voice_plugin::abi::ABI,
        std::env::consts::ARCH,
        std::env::consts::OS,
    )
}

/// The file here, which is what somebody who tries things out has; else the one of the package.
fn default_config() -> &'static Path {
    let (here, installed) = (
        Path::new("config.toml"),
        Path::new("/etc/voice-streamer/config.toml"),
    );
    if !here.exists() && installed.exists() {
        installed
    } else {
        here
    }
}

/// Parses the arguments and runs the command.
pub fn main() -> ExitCode {
    use_ring();
    let arguments = Arguments::parse();
    name_who_crashes(match &arguments.command {
        None | Some(Command::Run(_)) => run::WHEN_IT_CRASHES,
        Some(_) => "This command ends with it.",
    });
    let config = match &arguments.config {
        Some(config) => config,
        None => default_config(),
    };
    let done = match &arguments.command {
        None => run::run(config, &arguments.run),
        Some(Command::Run(run)) => run::run(config, run),
        Some(Command::Check(check)) => check::check(config, check),
        Some(Command::Reload(reload)) => reload::reload(config, reload),
        Some(Command::Phone(phone)) => phone::phone(config, phone),
        Some(Command::Logs(logs)) => logs::logs(config, logs),
        Some(Command::Calls(calls)) => calls::calls(config, calls),
        Some(Command::Voices(voices)) => voices::voices(config, voices),
        Some(Command::Tunnel(tunnel)) => tunnel::tunnel(config, tunnel),
        Some(Command::Man(man)) => manual::man(man),
        Some(Command::Completions(completions)) => {
            manual::completions(completions);
            Ok(())
        }
        Some(Command::Admin(admin)) => admin::admin(config, admin),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            stdout::complain(&failure);
            ExitCode::from(failure.code)
        }
    }
}

/// The configuration, with `.env` beside the file.
fn load(path: &Path) -> Result<Config, Failure> {
    config::open(path).map_err(|problems| {
        let count = problems.0.len();
        let s = if count == 1 { "" } else { "s" };
        // The file itself, or the `.env` beside it.
        let file = problems.0.first().map_or(path, |problem| &problem.file);
        Failure::config(format!(
            "{} has {count} problem{s}\n\n{problems}",
            file.display()
        ))
    })
}

/// Removes the folder for the copies of libraries that one command opened. There is none if they were open already.
fn throw_away(state: &Path) {
    if let Err(error) = std::fs::remove_dir_all(state)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        eprintln!(
            "voice-streamer: {} could not be removed: {error}",
            state.display()
        );
    }
}

/// A runtime for commands that only ask.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("no runtime: {error}")))
}

/// The runtime of the daemon's control side: HTTP, plugins' lifecycle, the store's answers. Audio has its own threads.
fn runtime_workers() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("no runtime: {error}")))
}

/// Nothing on the control side computes; two threads keep one slow request from blocking the next.
const CONTROL_THREADS: usize = 2;
