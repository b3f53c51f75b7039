//! Takes over a changed configuration while calls go on: all of it, or nothing.
//!
//! ```text
//!  a file changed ─┐                                                            ┌→ in force, standing, metrics, log
//!  SIGHUP ─────────┼→ read → check every key → open what changed → may it be? ──┤
//!  somebody asked ─┘   parse    schemas          new generations                └→ refused: nothing was touched
//! ```
//!
//! One task does it, one attempt after the other; whoever asks while one runs gets the next, which reads the file as it is
//! then. What was asked for in a burst is done once.
//!
//! The whole edit is refused if a plugin in it cannot be opened, with one exception: a plugin that was left out at the
//! start, and would now be left out for the very same reason, may stay so; else a daemon that began without it could never
//! be changed again. The default agent must be whole, as at the start.
//!
//! A generation that nobody needs any more closes when its last stream is gone: of running calls those that are not at
//! work are let go at once, the others when they have finished, and responders with their calls.

use super::plugins::{
    Before, Opened, libraries, need_default_agent, not_to_be_had, open_plugins, sheet,
};
use super::resolved::{bounds, desk_keys, patience, roster};
use crate::config::{self, Config, Diff, Sheet, Takes, Watch};
use crate::http::{
    Asking, Cause, Configuration, Desk, LastReload, Outcome, PluginInForce, Standing,
};
use crate::leg::{self, House};
use crate::plugin::Generation;
use crate::systemd;
use arc_swap::ArcSwap;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

/// Random bytes that the marks of this run's sheets are made with.
const SALT_BYTES: usize = 16;

/// How a changed `log.level` takes effect. Says why if it does not.
#[derive(Clone)]
pub struct SetLogLevel(Arc<LevelSetter>);

type LevelSetter = dyn Fn(&str) -> Result<(), String> + Send + Sync;

impl SetLogLevel {
    /// By calling this with the new value.
    pub fn by(set: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static) -> SetLogLevel {
        SetLogLevel(Arc::new(set))
    }
}

impl fmt::Debug for SetLogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetLogLevel")
    }
}

/// The task that applies configurations.
pub(super) struct Steward {
    pub(super) desk: Arc<Desk>,
    /// The configuration as it was read last without a mistake.
    pub(super) in_force: Arc<ArcSwap<Config>>,
    /// Where private copies of libraries go.
    pub(super) state: PathBuf,
    /// Where we really listen.
    pub(super) address: SocketAddr,
    pub(super) set_log_level: Option<SetLogLevel>,
}

/// The configuration's handle at the start, and where wishes arrive.
pub(super) struct Begun {
    pub(super) configuration: Configuration,
    pub(super) wishes: mpsc::Receiver<Asking>,
}

/// The first standing: what the daemon was started with.
///
/// # Errors
/// The system has no randomness for us.
pub(super) fn begin(
    config: &Config,
    house: &House,
    left_out: BTreeMap<String, String>,
) -> Result<Begun, io::Error> {
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(|error| io::Error::other(error.to_string()))?;
    let salt: String = salt.iter().map(|byte| format!("{byte:02x}")).collect();
    let plugins = &house.roster.now().plugins;
    let now = leg::unix_ms();
    let metrics = &house.metrics;
    metrics.config_last_reload_successful.set(1);
    metrics.config_last_reload_success.set(now as f64 / 1000.0);
    let (configuration, wishes) = Configuration::new(Standing {
        file: config.file.display().to_string(),
        last: LastReload {
            at_ms: now,
            cause: Cause::Start,
            outcome: Outcome::Applied,
            diff: Diff::default(),
            took_ms: 0,
        },
        in_force_since_ms: now,
        waiting: Diff::default(),
        plugins: in_force(plugins),
        left_out,
        sheet: sheet(config, plugins, &salt),
    });
    Ok(Begun {
        configuration,
        wishes,
    })
}

/// A configuration that may be applied, with everything it needs.
struct Ready {
    config: Config,
    opened: Opened,
}

impl Steward {
    /// Until nobody is left who could ask.
    pub(super) async fn serve(
        self,
        mut wishes: mpsc::Receiver<Asking>,
        mut hangups: Signal,
        mut watch: Watch,
    ) {
        loop {
            let mut asking = Vec::new();
            let cause = tokio::select! {
                wish = wishes.recv() => match wish {
                    Some(wish) => {
                        asking.push(wish);
                        Cause::Asked
                    }
                    None => return,
                },
                _ = hangups.recv() => Cause::Signal,
                files = watch.changed() => {
                    debug!(?files, "files of the configuration changed");
                    Cause::File
                }
            };
            asking.extend(std::iter::from_fn(|| wishes.try_recv().ok()));
            systemd::reloading();
            if cause != Cause::File {
                watch.baseline().await;
            }
            let read_at = SystemTime::now();
            let standing = self.reload(cause).await;
            systemd::ready();
            // Also after a refusal: links may lead elsewhere by now.
            let files = depends_on(&self.in_force.load());
            watch.follow(files, read_at).await;
            for wish in asking {
                if wish.tell.send(Arc::clone(&standing)).is_err() {
                    debug!("whoever asked for a reload has gone");
                }
            }
        }
    }

    /// One attempt.
    async fn reload(&self, cause: Cause) -> Arc<Standing> {
        let began = Instant::now();
        let before = self.in_force.load_full();
        let standing = self.desk.configuration.standing();
        let (plugins, state) = (self.desk.house.roster.now(), self.state.clone());
        let left_out = standing.left_out.clone();
        let address = self.address;
        // Libraries are read and plugins opened: not on the threads that answer requests.
        let prepared = tokio::task::spawn_blocking(move || {
            let before = Before {
                config: &before,
                plugins: &plugins.plugins,
            };
            prepare(before, &state, &left_out, address)
        });
        let prepared = match prepared.await {
            Ok(prepared) => prepared,
            Err(error) => Err(format!(
                "reading the configuration failed inside the daemon: {error}"
            )),
        };
        let took = began.elapsed();
        let mut next = Standing::clone(&standing);
        next.last = LastReload {
            at_ms: leg::unix_ms(),
            cause,
            outcome: Outcome::Unchanged,
            diff: Diff::default(),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        };
        match prepared {
            Ok(ready) => {
                self.apply(ready, &mut next);
                self.desk.media.let_go().await;
            }
            Err(error) => next.last.outcome = Outcome::Refused { error },
        }
        let mended = matches!(standing.last.outcome, Outcome::Refused { .. });
        let standing = self.desk.configuration.stands(next);
        // Whoever sees it counted finds it shown.
        self.tell(&standing, mended);
        standing
    }

    /// Cannot fail: everything that could is behind us.
    fn apply(&self, ready: Ready, next: &mut Standing) {
        let Ready { config, opened } = ready;
        let file = sheet(&config, &opened.plugins, &next.sheet.salt);
        let diff = Diff::between(&next.sheet, &file);
        let house = &self.desk.house;
        let before = self.in_force.load_full();
        next.left_out = opened.failed;
        next.plugins = in_force(&opened.plugins);
        // Also when no key differs: a plugin that hung is open again, one that was left out has come.
        house.roster.replace(roster(&config, opened.plugins));
        self.desk.keys.store(Arc::new(desk_keys(&config)));
        house.admission.bound(bounds(&config));
        house.patience.replace(patience(&config));
        if config.log.level != before.log.level
            && let Some(SetLogLevel(set)) = &self.set_log_level
            && let Err(why) = set(&config.log.level)
        {
            error!("log.level stays as it was: {why}");
        }
        self.in_force.store(Arc::new(config));
        next.waiting = diff.waiting();
        let news = Diff(
            diff.0
                .into_iter()
                .filter(|change| {
                    change.takes != Takes::Restart || !waits_already(change, &self.desk)
                })
                .collect(),
        );
        if !news.is_empty() {
            next.last.outcome = Outcome::Applied;
            next.in_force_since_ms = next.last.at_ms;
        }
        next.sheet = merged(&next.sheet, file, &next.waiting);
        next.last.diff = news;
    }

    /// The log and the metrics. `mended`: the attempt before was refused.
    fn tell(&self, next: &Standing, mended: bool) {
        let metrics = &self.desk.house.metrics;
        let LastReload {
            at_ms,
            cause,
            outcome,
            diff,
            took_ms,
        } = &next.last;
        let cause = cause.as_str();
        let word = match outcome {
            Outcome::Applied => "applied",
            Outcome::Unchanged => "unchanged",
            Outcome::Refused { .. } => "refused",
        };
        metrics
            .config_reloads
            .get_or_create(&[("outcome", word)])
            .inc();
        let refused = matches!(outcome, Outcome::Refused { .. });
        metrics
            .config_last_reload_successful
            .set(i64::from(!refused));
        if !refused {
            metrics
                .config_last_reload_success
                .set(*at_ms as f64 / 1000.0);
        }
        match outcome {
            Outcome::Refused { error } => error!(
                file = next.file,
                cause, "the configuration was not taken over, the one in force stays:\n{error}"
            ),
            Outcome::Unchanged if mended => {
                info!(
                    file = next.file,
                    cause, "the configuration is right again, and what is in force"
                );
            }
            Outcome::Unchanged => {
                info!(
                    file = next.file,
                    cause, "the configuration says nothing new"
                );
            }
            Outcome::Applied => {
                info!(
                    file = next.file,
                    cause, took_ms, "a new configuration is in force:\n{diff}"
                );
                if !next.waiting.is_empty() {
                    warn!("these wait for a restart of the daemon:\n{}", next.waiting);
                }
            }
        }
        for (name, why) in &next.left_out {
            warn!(plugin = %name, "still left out: {why}");
        }
    }
}

/// Every file that decides what the configuration means.
pub(super) fn depends_on(config: &Config) -> BTreeSet<PathBuf> {
    let libraries = libraries(config).into_values().filter_map(Result::ok);
    let own = [config.file.clone(), config::dotenv_beside(&config.file)];
    let files = own.into_iter().chain(config.files.iter().cloned());
    files.chain(libraries).collect()
}

/// Whether a key that needs a restart was told of before.
fn waits_already(change: &config::Change, desk: &Desk) -> bool {
    desk.configuration.standing().waiting.0.contains(change)
}

/// What is in force once `file` is: its rows, except those that wait for a restart.
fn merged(before: &Sheet, file: Sheet, waiting: &Diff) -> Sheet {
    let mut sheet = file;
    for change in &waiting.0 {
        match before.rows.get(&change.key) {
            Some(row) => drop(sheet.rows.insert(change.key.clone(), row.clone())),
            None => drop(sheet.rows.remove(&change.key)),
        }
    }
    sheet
}

/// Everything that may go wrong, before anything is touched.
///
/// # Errors
/// What is wrong, for people.
fn prepare(
    before: Before<'_>,
    state: &Path,
    left_out: &BTreeMap<String, String>,
    address: SocketAddr,
) -> Result<Ready, String> {
    let mut config = config::open(&before.config.file).map_err(|problems| problems.to_string())?;
    config.check_listen(address)?;
    let opened = open_plugins(&mut config, state, Some(before)).map_err(|p| p.to_string())?;
    let mut failed = opened.failed.clone();
    failed.retain(|name, why| left_out.get(name) != Some(why));
    if !failed.is_empty() {
        return Err(not_to_be_had(&config, &failed).to_string());
    }
    need_default_agent(&config, &opened.failed).map_err(|error| error.to_string())?;
    Ok(Ready { config, opened })
}

fn in_force(plugins: &BTreeMap<String, Arc<Generation>>) -> BTreeMap<String, PluginInForce> {
    let shown = |generation: &Arc<Generation>| {
        let library = generation.library();
        PluginInForce {
            generation: generation.number(),
            name: library.name().to_owned(),
            version: library.version().to_owned(),
            sha256: library.hash().to_owned(),
        }
    };
    plugins
        .iter()
        .map(|(name, generation)| (name.clone(), shown(generation)))
        .collect()
}
