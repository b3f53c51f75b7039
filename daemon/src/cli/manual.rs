//! `man` and `completions`: what a package ships beside the binary, made from the same definition as `--help`. Hidden:
//! whoever installs the package has both already.

use super::{Arguments, Failure};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct ManArguments {
    /// Folder for the pages, one for each command
    folder: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// The shell whose completions go to stdout
    shell: Shell,
}

pub(super) fn man(arguments: &ManArguments) -> Result<(), Failure> {
    clap_mangen::generate_to(Arguments::command(), &arguments.folder).map_err(|error| {
        Failure::failed(format!(
            "no man pages in {}: {error}",
            arguments.folder.display()
        ))
    })
}

pub(super) fn completions(arguments: &CompletionsArguments) {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Arguments::command(),
        "voice-streamer",
        &mut script,
    );
    say!("{}", String::from_utf8_lossy(&script).trim_end());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_command_that_is_shown_has_a_page_and_hidden_ones_have_none() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ManArguments {
            folder: folder.path().to_owned(),
        };
        man(&arguments).unwrap();
        let command = Arguments::command();
        for subcommand in command.get_subcommands() {
            let page = folder
                .path()
                .join(format!("voice-streamer-{}.1", subcommand.get_name()));
            assert_eq!(
                page.exists(),
                !subcommand.is_hide_set(),
                "{}",
                page.display()
            );
        }
        let page = std::fs::read_to_string(folder.path().join("voice-streamer.1")).unwrap();
        assert!(
            page.contains(".TH") && page.contains("\\-\\-config"),
            "{page}"
        );
    }
}
