//! `check`: everything the daemon would refuse, said before it is started or before it reloads; and, if one is running,
//! what this file would change in it.

use super::remote::Remote;
use super::stdout::complain;
use super::{Failure, load, runtime};
use crate::config::{self, Config, Diff, Setup, Sheet};
use crate::daemon;
use clap::Args;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Do not open the plugins, only read the file
    #[arg(long)]
    no_plugins: bool,

    /// Compare with the daemon at this address instead of the configuration's
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

pub(super) fn check(path: &Path, arguments: &CheckArguments) -> Result<(), Failure> {
    let mut config = load(path)?;
    daemon::check_store(&config).map_err(|error| Failure::config(error.to_string()))?;
    let mut builds = BTreeMap::new();
    if !arguments.no_plugins {
        // Copies of the libraries go where they are thrown away again.
        let state =
            std::env::temp_dir().join(format!("voice-streamer-check-{}", std::process::id()));
        let checked = daemon::check_plugins(config, &state);
        super::throw_away(&state);
        let checked = checked.map_err(|error| Failure::config(error.to_string()))?;
        for line in checked.lines {
            say!("{line}");
        }
        config = checked.config;
        builds = checked.builds;
    }
    for line in people(&config) {
        say!("{line}");
    }
    if let Some(exposed) = config::exposed(&config::dotenv_beside(path)) {
        complain(exposed);
    }
    say!("{} is right", path.display());
    say!("{}", compared(path, arguments, &config, builds)?);
    Ok(())
}

/// Who there is: voices, transcribers, agents, a line each.
fn people(config: &Config) -> Vec<String> {
    let also = |what: &str, name: Option<&String>| {
        name.map_or(String::new(), |name| format!(", {what} {name}"))
    };
    let set_up = |kind: &str, name: &str, setup: &Setup| {
        let language = also("language", setup.language.as_ref());
        let fallback = also("fallback", setup.fallback.as_ref());
        format!("{kind} {name}: plugin {}{language}{fallback}", setup.plugin)
    };
    let voices = config.voices.iter();
    let voices = voices.map(|(name, voice)| set_up("voice", name, voice));
    let transcribers = config.transcribers.iter();
    let transcribers = transcribers.map(|(name, setup)| set_up("transcriber", name, setup));
    let agents = config.agents.iter().map(|(name, agent)| {
        format!(
            "agent {name}: responder {}{}, voice {}{}{}, language {}",
            agent.responder,
            also("fallback", agent.fallback_responder.as_ref()),
            agent.voice,
            also("transcriber", agent.transcriber.as_ref()),
            also("endpointer", agent.endpointer.as_ref()),
            agent.language
        )
    });
    voices.chain(transcribers).chain(agents).collect()
}

/// What the file would change in the running daemon.
fn compared(
    path: &Path,
    arguments: &CheckArguments,
    config: &Config,
    builds: BTreeMap<String, String>,
) -> Result<String, Failure> {
    let remote = match &arguments.url {
        Some(url) => Remote::new(path, Some(url))?,
        None => Remote::of(config)?,
    };
    let standing = match runtime()?.block_on(remote.get("/api/configuration/", &[])) {
        Ok(standing) => standing,
        // Without a daemon the file is just as right.
        Err(failure) if arguments.url.is_none() => {
            return Ok(format!("not compared with a running daemon: {failure}"));
        }
        Err(failure) => return Err(failure),
    };
    let in_force: Sheet = serde_json::from_value(standing["sheet"].clone()).map_err(|error| {
        Failure::failed(format!(
            "the daemon at {} shows its configuration in another way than this version expects: {error}",
            remote.base()
        ))
    })?;
    let mut sheet = config.sheet(&in_force.salt);
    sheet.builds = builds;
    let diff = Diff::between(&in_force, &sheet);
    Ok(if diff.is_empty() {
        format!("the daemon at {} has it in force already", remote.base())
    } else {
        format!("the daemon at {} would change:\n{diff}", remote.base())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::{Env, parse};

    #[test]
    fn whoever_hears_is_listed_beside_who_speaks() {
        let text = r#"
[plugins.echo]
library = "responder_echo"
[plugins.pico]
library = "tts_pico"
[plugins.whisper]
library = "stt_whisper"
[plugins.smart]
library = "endpoint_smart_turn"
[voices.spanish]
plugin = "pico"
language = "es"
[transcribers.words]
plugin = "whisper"
language = "es"
fallback = "others"
[transcribers.others]
plugin = "whisper"
[transcribers.pauses]
plugin = "smart"
[agents.default]
responder = "echo"
voice = "spanish"
transcriber = "words"
endpointer = "pauses"
"#;
        let config = parse(text, Path::new("config.toml"), &Env::default()).unwrap();
        assert_eq!(
            people(&config),
            [
                "voice spanish: plugin pico, language es",
                "transcriber others: plugin whisper",
                "transcriber pauses: plugin smart",
                "transcriber words: plugin whisper, language es, fallback others",
                "agent default: responder echo, voice spanish, transcriber words, endpointer pauses, language en-US",
            ]
        );
    }
}
