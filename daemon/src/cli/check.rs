//! `check`: everything the daemon would refuse at start, said before it is started.

use super::{Failure, load};
use crate::daemon;
use clap::Args;
use std::path::Path;

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Do not open the plugins, only read the file
    #[arg(long)]
    no_plugins: bool,
}

#[allow(clippy::print_stdout)]
pub(super) fn check(path: &Path, arguments: &CheckArguments) -> Result<(), Failure> {
    let config = load(path)?;
    if !arguments.no_plugins {
        // Copies of the libraries go where they are thrown away again.
        let state =
            std::env::temp_dir().join(format!("voice-streamer-check-{}", std::process::id()));
        let checked = daemon::check_plugins(config.clone(), &state);
        if let Err(error) = std::fs::remove_dir_all(&state)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            eprintln!(
                "voice-streamer: {} could not be removed: {error}",
                state.display()
            );
        }
        let checked = checked.map_err(|error| Failure::config(error.to_string()))?;
        for line in checked.lines {
            println!("{line}");
        }
    }
    for (name, agent) in &config.agents {
        println!(
            "agent {name}: responder {}, voice {}, language {}",
            agent.responder, agent.voice, agent.language
        );
    }
    println!("{} is right", path.display());
    Ok(())
}
