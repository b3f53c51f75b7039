//! The plugins of a configuration, opened: which build stands behind each name, and what cannot be had, in words.

use super::StartError;
use crate::config::{Config, Problems};
use crate::plugin::{Generation, Library};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The plugins of a configuration.
pub(super) struct Opened {
    pub(super) plugins: BTreeMap<String, Arc<Generation>>,
    /// Those that could not be opened, each with a sentence.
    pub(super) failed: BTreeMap<String, String>,
}

/// Opens every plugin of the configuration.
///
/// # Errors
/// Keys that a plugin's own schema refuses: a mistake in the file, with its place.
pub(super) fn open_plugins(config: &Config, state: &Path) -> Result<Opened, Problems> {
    let exe = std::env::current_exe().ok();
    let beside = exe
        .as_deref()
        .and_then(Path::parent)
        .unwrap_or(Path::new("."));
    let keep = state.join("plugins");
    let (mut plugins, mut failed) = (BTreeMap::new(), BTreeMap::new());
    for (name, plugin) in &config.plugins {
        let loaded = config
            .find_library(&plugin.library, beside)
            .and_then(|path| {
                Library::load(name, &path, &keep, plugin.sha256.as_deref())
                    .map_err(|error| error.to_string())
            });
        let library = match loaded {
            Ok(library) => library,
            Err(why) => {
                failed.insert(name.clone(), why);
                continue;
            }
        };
        let describe = library.describe();
        if let Some(schema) = &describe.schema {
            config.check_plugin_keys(name, schema)?;
        }
        for (voice, keys) in &config.voices {
            if let (true, Some(schema)) = (keys.plugin == *name, &describe.tts_schema) {
                config.check_voice_keys(voice, schema)?;
            }
        }
        match Generation::open(library, name, &plugin.keys.to_string()) {
            Ok(generation) => drop(plugins.insert(name.clone(), generation)),
            Err(error) => drop(failed.insert(name.clone(), error.to_string())),
        }
    }
    Ok(Opened { plugins, failed })
}

/// Opens every plugin the configuration names, as `check` does; a line for each.
///
/// # Errors
/// As [`Daemon::start`] would refuse.
pub fn check_plugins(config: &Config, state: &Path) -> Result<Vec<String>, StartError> {
    let Opened { plugins, failed } = open_plugins(config, state).map_err(StartError::Config)?;
    if let Some((name, why)) = failed.iter().next() {
        return Err(StartError::Plugin(format!("[plugins.{name}]: {why}")));
    }
    let lines = plugins.iter().map(|(name, generation)| {
        let library = generation.library();
        format!("plugin {name}: {} {}", library.name(), library.version())
    });
    Ok(lines.collect())
}

pub(super) fn need_default_agent(
    config: &Config,
    failed: &BTreeMap<String, String>,
) -> Result<(), StartError> {
    let Some(agent) = config.agents.get(&config.default_agent) else {
        return Err(StartError::Plugin(
            "no agent is configured; add [agents.default]".into(),
        ));
    };
    let voice = config.voices.get(&agent.voice).map(|voice| &voice.plugin);
    for plugin in [Some(&agent.responder), voice].into_iter().flatten() {
        if let Some(why) = failed.get(plugin) {
            return Err(StartError::Plugin(format!("[plugins.{plugin}]: {why}")));
        }
    }
    Ok(())
}
