//! The plugins of a configuration, opened: which build stands behind each name, and what cannot be had, in words.
//!
//! ```text
//!  find ─→ load (once per content) ─→ check every key of every table ─→ open, or keep what is open
//!                                      all mistakes at once              nothing was opened before
//! ```

use super::StartError;
use super::languages::wrong_languages;
use super::roles::wrong_roles;
use crate::config::{self, Config, Problem, Problems, Setup, Sheet};
use crate::plugin::{Found, Generation, Library, LoadError, checkup};
use crate::store::Store;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The plugins of a configuration.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) plugins: BTreeMap<String, Arc<Generation>>,
    /// Those that could not be opened, each with a sentence.
    pub(super) failed: BTreeMap<String, String>,
    /// What those that were opened now draw of their configuration.
    drawings: BTreeMap<String, String>,
}

/// What is open already, and the configuration it was opened for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before<'a> {
    pub(super) config: &'a Config,
    pub(super) plugins: &'a BTreeMap<String, Arc<Generation>>,
}

impl Before<'_> {
    /// The generation that would come out again: the same content opened with the same keys. One that hangs is not kept.
    fn same(&self, config: &Config, name: &str, library: &Library) -> Option<&Arc<Generation>> {
        let (old, new) = (self.config.plugins.get(name)?, config.plugins.get(name)?);
        let open = self.plugins.get(name)?;
        let same = open.library().hash() == library.hash() && old.keys == new.keys;
        (same && !open.is_hung()).then_some(open)
    }
}

/// Opens every plugin of the configuration, except those that `before` has open just so. Learns from their schemas which
/// keys are secret. Blocks: libraries are read, and plugins may take their time to open.
///
/// # Errors
/// Plugins named for a part they do not play, keys that a plugin's own schema refuses, and languages that an opened plugin
/// does not know: mistakes in the file, each with its place. Nothing new is open then.
pub(super) fn open_plugins(
    config: &mut Config,
    state: &Path,
    before: Option<Before<'_>>,
) -> Result<Opened, Problems> {
    let (libraries, mut failed) = load(config, state);
    check_tables(config, &libraries)?;
    let (mut plugins, mut drawings) = (BTreeMap::new(), BTreeMap::new());
    let other_voices =
        before.is_some_and(|before| !before.config.voices.keys().eq(config.voices.keys()));
    for (name, library) in libraries {
        let kept = before.and_then(|before| before.same(config, &name, &library).cloned());
        let opened = match (kept, config.plugins.get(&name)) {
            // What it speaks by may be gone.
            (Some(kept), Some(plugin)) if other_voices => {
                check(config, &library, &name, &plugin.keys.to_string())
                    .map(|drawing| (kept, drawing))
            }
            (Some(kept), _) => Ok((kept, String::new())),
            (None, Some(plugin)) => {
                check_and_open(config, library, &name, &plugin.keys.to_string())
            }
            (None, None) => continue,
        };
        match opened {
            Ok((generation, drawing)) => {
                drawings.insert(name.clone(), drawing);
                plugins.insert(name, generation);
            }
            Err(why) => drop(failed.insert(name, why)),
        }
    }
    match wrong_languages(config, &plugins) {
        wrong if wrong.is_empty() => Ok(Opened {
            plugins,
            failed,
            drawings,
        }),
        wrong => Err(Problems(wrong)),
    }
}

/// One plugin, and what it draws of its keys; or why there is none, in words.
fn check_and_open(
    config: &Config,
    library: Arc<Library>,
    name: &str,
    keys: &str,
) -> Result<(Arc<Generation>, String), String> {
    let drawing = check(config, &library, name, keys)?;
    let opened =
        Generation::open(library, name, keys).map_err(|error| format!("it {}", error.why))?;
    Ok((opened, drawing))
}

/// What a plugin draws of its keys; or why it cannot work with them, in words.
fn check(
    config: &Config,
    library: &Arc<Library>,
    name: &str,
    keys: &str,
) -> Result<String, String> {
    // The name stands before it.
    let mut found = checkup(library, name, keys).map_err(|error| format!("it {}", error.why))?;
    let no_voices = found
        .voices
        .iter()
        .filter_map(|voice| config.no_such_voice(voice));
    found.problems.extend(no_voices.map(Found::Sentence));
    if found.problems.is_empty() {
        Ok(found.drawing)
    } else {
        Err(refused(config, name, &found.problems))
    }
}

/// All that a plugin finds wrong with its keys, a line each.
fn refused(config: &Config, name: &str, problems: &[Found]) -> String {
    let line = |found: &Found| match found {
        Found::Sentence(sentence) => format!("\n  {sentence}"),
        Found::InText { key, line, text } => {
            format!("\n  {}: {text}", config.line_of_text(name, key, *line))
        }
    };
    let lines: String = problems.iter().map(line).collect();
    match problems {
        [Found::Sentence(only)] => format!("it refuses its configuration: {only}"),
        _ => format!("it refuses its configuration:{lines}"),
    }
}

/// Where the library of each plugin is, or why it cannot be found.
pub(super) fn libraries(config: &Config) -> BTreeMap<String, Result<PathBuf, String>> {
    let exe = std::env::current_exe().ok();
    let beside = exe
        .as_deref()
        .and_then(Path::parent)
        .unwrap_or(Path::new("."));
    let plugins = config.plugins.iter();
    plugins
        .map(|(name, plugin)| (name.clone(), config.find_library(&plugin.library, beside)))
        .collect()
}

type Loaded = BTreeMap<String, Arc<Library>>;

fn load(config: &Config, state: &Path) -> (Loaded, BTreeMap<String, String>) {
    let keep = state.join("plugins");
    let (mut loaded, mut failed) = (BTreeMap::new(), BTreeMap::new());
    for (name, found) in libraries(config) {
        let pin = config
            .plugins
            .get(&name)
            .and_then(|plugin| plugin.sha256.as_deref());
        let library = found.and_then(|path| {
            Library::load(&name, &path, &keep, pin).map_err(|LoadError { path, why, .. }| {
                format!("library {}: {why}", path.display()) // the name stands before it
            })
        });
        match library {
            Ok(library) => drop(loaded.insert(name, library)),
            Err(why) => drop(failed.insert(name, why)),
        }
    }
    (loaded, failed)
}

/// Every table that a loaded plugin has a say in: that it plays the part it is named for, and the keys against its
/// schema.
fn check_tables(config: &mut Config, libraries: &Loaded) -> Result<(), Problems> {
    let mut wrong = wrong_roles(config, |name| {
        let library = libraries.get(name)?;
        Some(library.roles())
    });
    let mut secrets = Vec::new();
    for (name, library) in libraries {
        let describe = library.describe();
        let mut check = |family, table: &str, schema: &Option<_>, checked: Result<(), Problems>| {
            if let Some(schema) = schema {
                secrets.push((family, table.to_owned(), Clone::clone(schema)));
            }
            if let Err(Problems(problems)) = checked {
                wrong.extend(problems);
            }
        };
        if let Some(schema) = &describe.schema {
            let checked = config.check_plugin_keys(name, schema);
            check("plugins", name, &describe.schema, checked);
        }
        if let Some(schema) = &describe.tts_schema {
            for (voice, _) in config.voices.iter().filter(|(_, v)| v.plugin == *name) {
                let checked = config.check_voice_keys(voice, schema);
                check("voices", voice, &describe.tts_schema, checked);
            }
        }
        if let Some(schema) = &describe.stt_schema {
            for (ear, _) in config
                .transcribers
                .iter()
                .filter(|(_, t)| t.plugin == *name)
            {
                let checked = config.check_transcriber_keys(ear, schema);
                check("transcribers", ear, &describe.stt_schema, checked);
            }
        }
    }
    for (family, table, schema) in secrets {
        config.learn_secrets(family, &table, &schema);
    }
    wrong.sort_by_key(|problem: &Problem| (problem.line, problem.column));
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Problems(wrong))
    }
}

/// What opening every plugin the configuration names has shown, as `check` does it.
#[derive(Debug)]
pub struct Checked {
    /// A line for each plugin, and below it what it draws of its configuration.
    pub lines: Vec<String>,
    /// The configuration, with what the plugins say about which keys are secret.
    pub config: Config,
    /// SHA-256 of each plugin's library.
    pub builds: BTreeMap<String, String>,
}

/// Whether the store could be kept where the configuration says.
///
/// # Errors
/// [`StartError::Store`].
pub fn check_store(config: &Config) -> Result<(), StartError> {
    Ok(Store::writable(&config.store.path)?)
}

/// Opens every plugin the configuration names. Private copies go to `state`.
///
/// # Errors
/// As [`Daemon::start`](super::Daemon::start) would refuse.
pub fn check_plugins(mut config: Config, state: &Path) -> Result<Checked, StartError> {
    let Opened {
        plugins,
        failed,
        drawings,
    } = open_plugins(&mut config, state, None).map_err(StartError::Config)?;
    if !failed.is_empty() {
        return Err(StartError::Config(not_to_be_had(&config, &failed)));
    }
    let lines = plugins.iter().map(|(name, generation)| {
        let library = generation.library();
        let drawing = drawings.get(name).map_or("", String::as_str);
        let drawing = drawing.replace('\n', "\n  ");
        let line = format!(
            "plugin {name}: {} {}, {}",
            library.name(),
            library.version(),
            library.does()
        );
        match drawing.as_str() {
            "" => line,
            drawing => format!("{line}\n  {drawing}"),
        }
    });
    Ok(Checked {
        lines: lines.collect(),
        builds: builds(&plugins),
        config,
    })
}

/// The content behind each opened plugin, for a [`Sheet`].
pub(super) fn builds(plugins: &BTreeMap<String, Arc<Generation>>) -> BTreeMap<String, String> {
    let hash = |generation: &Arc<Generation>| generation.library().hash().to_owned();
    plugins
        .iter()
        .map(|(name, generation)| (name.clone(), hash(generation)))
        .collect()
}

/// The configuration and its builds as a sheet.
pub(super) fn sheet(
    config: &Config,
    plugins: &BTreeMap<String, Arc<Generation>>,
    salt: &str,
) -> Sheet {
    let mut sheet = config.sheet(salt);
    sheet.builds = builds(plugins);
    sheet
}

/// Plugins that could not be opened, as mistakes of the file, each at its `library` key.
pub(super) fn not_to_be_had(config: &Config, failed: &BTreeMap<String, String>) -> Problems {
    let problem = |(name, why): (&String, &String)| config.library_problem(name, why);
    let mut problems: Vec<Problem> = failed.iter().map(problem).collect();
    problems.sort_by_key(|problem| (problem.line, problem.column));
    Problems(problems)
}

/// The default agent must be whole: nobody would answer.
///
/// # Errors
/// Its responder and that one's fallback are among those that failed, or its voice and every fallback of it, or its
/// transcriber and every fallback of that.
pub(super) fn need_default_agent(
    config: &Config,
    failed: &BTreeMap<String, String>,
) -> Result<(), StartError> {
    let Some(agent) = config.agents.get(&config.default_agent) else {
        return Err(StartError::Plugin(
            "no agent is configured; add [agents.default]".into(),
        ));
    };
    let voices = line(Some(&agent.voice), &config.voices);
    let transcribers = line(agent.transcriber.as_ref(), &config.transcribers);
    let own = agent.responder.as_str();
    let responders = std::iter::once(own).chain(agent.fallback_responder.as_deref());
    for line in [responders.collect(), voices, transcribers] {
        if line.iter().any(|plugin| !failed.contains_key(*plugin)) {
            continue;
        }
        let first = line
            .first()
            .and_then(|plugin| failed.get_key_value(*plugin));
        if let Some((plugin, why)) = first {
            return Err(StartError::Plugin(format!("[plugins.{plugin}]: {why}")));
        }
    }
    Ok(())
}

/// The plugins of a line of voices or transcribers.
fn line<'c>(first: Option<&String>, setups: &'c BTreeMap<String, Setup>) -> Vec<&'c str> {
    let mut plugins = Vec::new();
    let mut next = first.and_then(|name| setups.get(name));
    while let Some(setup) = next
        && plugins.len() <= config::FALLBACKS
    {
        plugins.push(setup.plugin.as_str());
        next = setup.fallback.as_ref().and_then(|name| setups.get(name));
    }
    plugins
}
