//! One opened instance of a plugin: a build and one configuration. Opened and closed on threads of their own, because
//! both may block; between the two, media threads start streams from it. Whoever holds an `Arc` of it keeps it open, so a
//! call that began with it ends with it, whatever stands under its name by then.

use super::crash;
use super::deadline::{self, NoResult};
use super::error::{CatalogError, OpenError, OpenProblem, StartError};
use super::host::{Ctx, HOST, TARGET};
use super::library::{Collected, Library, List, collect};
use super::out;
use super::stream::Stream;
use super::watch::{Health, Watched};
use serde_json::Value;
use std::ffi::{CStr, c_void};
use std::hint;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use voice_plugin::abi::{VpBytes, VpError, role, status};

/// How long `open` may take. A plugin that overruns it is left to its thread and reported.
pub const OPEN_DEADLINE: Duration = Duration::from_secs(10);

/// How long `close` may take before it is reported. Nothing waits for it.
pub const CLOSE_DEADLINE: Duration = Duration::from_secs(10);

/// How long a plugin may take to say what can be chosen from.
pub const CATALOG_DEADLINE: Duration = Duration::from_secs(10);

/// Outs one generation may hold: running streams and those it has not released. Each keeps a ring of 32 KiB, so a plugin
/// that never releases stops at 128 MiB instead of taking the daemon along; no machine runs this many calls.
pub const OUTS_MAX: usize = 4096;

/// Handed out once, rising, never 0.
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

/// The plugin's `self`.
struct Instance {
    this: *mut c_void,
    library: Arc<Library>,
}

// SAFETY: the contract lets `start` be called from any thread and `close` from any control thread; the host itself never
// looks behind the pointer.
unsafe impl Send for Instance {}
// SAFETY: as above: `start` for different streams may run on different threads at once.
unsafe impl Sync for Instance {}

impl Instance {
    /// Ends the instance on the thread this is called on.
    fn close(self) {
        // SAFETY: `this` came from `open`, and being consumed here this is its last use; no stream is left, because
        // every stream holds the generation that holds this.
        unsafe { (self.library.table().close)(self.this) };
    }
}

/// One opened instance of a plugin with one configuration.
pub struct Generation {
    /// None only while dropping.
    instance: Option<Instance>,
    library: Arc<Library>,
    ctx: &'static Ctx,
    health: Arc<Health>,
}

impl Generation {
    /// Opens `library` as the plugin configured under `config_name`, with its keys as a JSON object. Blocks up to
    /// [`OPEN_DEADLINE`]: not for media threads. The copy of the configuration made for the plugin is wiped afterwards.
    pub fn open(
        library: Arc<Library>,
        config_name: &str,
        config_json: &str,
    ) -> Result<Arc<Generation>, OpenError> {
        Generation::open_within(OPEN_DEADLINE, library, config_name, config_json)
    }

    pub(crate) fn open_within(
        limit: Duration,
        library: Arc<Library>,
        config_name: &str,
        config_json: &str,
    ) -> Result<Arc<Generation>, OpenError> {
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        let ctx = Ctx::leak(config_name, number);
        // Before anything of it runs.
        crash::remember(number, ctx.name(), library.place());
        let health = Health::new(config_name, number);
        let mut config = config_json.as_bytes().to_vec();
        let opening = Arc::clone(&library);
        let work = move || {
            let opened = open(opening, ctx, &config);
            wipe(&mut config);
            opened
        };
        let late_name = config_name.to_owned();
        let late = move |opened: Result<Instance, Answer>| {
            tracing::warn!(target: TARGET, plugin = late_name, "the plugin opened after all, too late: it is closed again");
            if let Ok(instance) = opened {
                instance.close();
            }
        };
        let why = match deadline::call(&thread_name("open", config_name), limit, work, late) {
            Ok(Ok(instance)) => {
                tracing::info!(
                    target: TARGET,
                    plugin = config_name,
                    generation = number,
                    library = library.name(),
                    version = library.version(),
                    "the plugin is open"
                );
                return Ok(Arc::new(Generation {
                    instance: Some(instance),
                    library,
                    ctx,
                    health,
                }));
            }
            Ok(Err(Answer { code, said })) if code == status::PANIC => {
                health.panics.fetch_add(1, Ordering::Relaxed);
                OpenProblem::Panicked(said)
            }
            Ok(Err(Answer { code, said })) => OpenProblem::Refused { code, said },
            Err(NoResult::Overrun) => OpenProblem::Overrun {
                secs: limit.as_secs(),
            },
            Err(NoResult::Thread(cause)) => OpenProblem::Thread(cause),
        };
        let name = config_name.to_owned();
        Err(OpenError { name, why })
    }

    /// Starts the plugin in one role for one call. To be called on the media thread the stream then stays on.
    pub fn start(self: &Arc<Self>, role: u64, info_json: &str) -> Result<Stream, StartError> {
        let name = || self.name().to_owned();
        if role.count_ones() != 1 || self.library.roles() & role == 0 {
            return Err(StartError::Role {
                name: name(),
                role: role_in_words(role),
            });
        }
        if self.is_hung() {
            return Err(StartError::Hung { name: name() });
        }
        let held = self.ctx.outs_held();
        if held >= OUTS_MAX {
            return Err(StartError::Crowded { name: name(), held });
        }
        let (out, reader) = out::open(self.ctx).map_err(|cause| StartError::Memory {
            name: name(),
            cause,
        })?;
        let watched = Watched::here();
        let this = self
            .instance
            .as_ref()
            .map_or(ptr::null_mut(), |instance| instance.this);
        let mut stream = ptr::null_mut();
        let mut error = VpError::empty();
        let inside = watched.note().enter(self.number());
        // SAFETY: `this` is open as long as we hold the generation; info is lent for the call; `out` is fresh; the other
        // two are ours.
        let answer = unsafe {
            (self.library.table().start)(
                this,
                role,
                VpBytes::lend(info_json.as_bytes()),
                out,
                &mut stream,
                &mut error,
            )
        };
        drop(inside);
        if answer == status::OK {
            return Ok(Stream::new(Arc::clone(self), stream, reader, watched));
        }
        // The out is the plugin's to release all the same; what it writes until then is refused.
        drop(reader);
        let Answer { code, said } = Answer::of(answer, &error);
        if answer == status::PANIC {
            self.count_panic();
            return Err(StartError::Panicked { name: name(), said });
        }
        Err(StartError::Refused {
            name: name(),
            code,
            said,
        })
    }

    /// What can be chosen from, as the plugin says it: the JSON of the contract's `catalog/1`; `None` if the plugin lists
    /// nothing. Blocks up to [`CATALOG_DEADLINE`]: not for media threads.
    pub fn catalog(self: &Arc<Self>) -> Result<Option<Value>, CatalogError> {
        self.listed("voices", self.library.table().list)
    }

    /// The languages it can be told, as the plugin says it: the JSON of the contract's `languages/1`, `None` if it has no
    /// such extension. Blocks as [`Generation::catalog`] does.
    pub fn languages(self: &Arc<Self>) -> Result<Option<Value>, CatalogError> {
        self.listed("languages", self.library.table().languages)
    }

    fn listed(
        self: &Arc<Self>,
        what: &'static str,
        list: Option<List>,
    ) -> Result<Option<Value>, CatalogError> {
        let name = self.name().to_owned();
        let Some(list) = list else {
            return Ok(None);
        };
        // Held by the thread that asks, so that the instance is not closed under it.
        let held = Arc::clone(self);
        let work = move || {
            let this = held.instance.as_ref().map_or(ptr::null_mut(), |i| i.this);
            let mut error = VpError::empty();
            // SAFETY: `this` is open as long as the generation is held; the rest is ours or comes with `collect`.
            let found = collect(|put, to| unsafe { list(this, put, to, &mut error) });
            match found {
                Collected::Json(json) => Ok(json),
                Collected::Panicked => Err(Answer::of(status::PANIC, &error)),
                Collected::Refused(code) => Err(Answer::of(code, &error)),
                Collected::Misused(said) => Err(Answer {
                    code: status::ERROR,
                    said,
                }),
            }
        };
        let refused = |said| CatalogError::Refused {
            name: name.clone(),
            what,
            said,
        };
        match deadline::call(&thread_name("list", &name), CATALOG_DEADLINE, work, drop) {
            Ok(Ok(json)) => match serde_json::from_slice(&json) {
                Ok(json) => Ok(Some(json)),
                Err(no) => Err(refused(format!("what it listed is no JSON: {no}"))),
            },
            Ok(Err(Answer { said, .. })) => Err(refused(said)),
            Err(NoResult::Overrun) => Err(CatalogError::Overrun {
                name,
                what,
                secs: CATALOG_DEADLINE.as_secs(),
            }),
            Err(NoResult::Thread(cause)) => Err(CatalogError::Thread { name, what, cause }),
        }
    }

    /// Unique within the process, and larger than that of any generation opened before.
    pub fn number(&self) -> u64 {
        self.health.number
    }

    /// The plugin's name in the configuration.
    pub fn name(&self) -> &str {
        &self.health.name
    }

    /// The build it was opened from.
    pub fn library(&self) -> &Arc<Library> {
        &self.library
    }

    /// Streams that run, and those the plugin has not released yet.
    pub fn streams(&self) -> usize {
        self.ctx.outs_held()
    }

    /// Whether it keeps a media thread for 250 ms or longer at present, or did so three times: no stream is started.
    pub fn is_hung(&self) -> bool {
        self.health.is_hung()
    }

    /// How often it panicked in `start` or `send`.
    pub fn panics(&self) -> u32 {
        self.health.panics.load(Ordering::Relaxed)
    }

    pub(crate) fn count_panic(&self) {
        self.health.panics.fetch_add(1, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(crate) fn health(&self) -> &Health {
        &self.health
    }
}

impl Drop for Generation {
    /// Closes the instance on a thread of its own: whoever drops the last `Arc` may be a media thread, and `close` waits
    /// for the plugin's threads.
    fn drop(&mut self) {
        let Some(instance) = self.instance.take() else {
            return;
        };
        let name = self.health.name.clone();
        let thread = thread_name("close", &name);
        let watching = thread.clone();
        let close =
            move || match deadline::call(&watching, CLOSE_DEADLINE, move || instance.close(), drop)
            {
                Ok(()) => tracing::info!(target: TARGET, plugin = name, "the plugin is closed"),
                Err(NoResult::Overrun) => tracing::warn!(
                    target: TARGET,
                    plugin = name,
                    "the plugin does not close within {CLOSE_DEADLINE:?} and is left behind"
                ),
                Err(NoResult::Thread(no)) => tracing::warn!(
                    target: TARGET,
                    plugin = name,
                    %no,
                    "no thread to close the plugin on: it is left behind open"
                ),
            };
        if let Err(no) = thread::Builder::new().name(thread).spawn(close) {
            tracing::warn!(target: TARGET, plugin = self.health.name, %no,
                "no thread to close the plugin on: it is left behind open");
        }
    }
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Generation({} #{}, {:?})",
            self.name(),
            self.number(),
            self.library
        )
    }
}

/// A refusal as the plugin gave it.
struct Answer {
    code: i32,
    said: String,
}

impl Answer {
    fn of(answer: i32, error: &VpError) -> Answer {
        // A plugin may have filled all of it; then the last byte is cut off for the NUL that is missing.
        let mut bytes = error.msg.map(|c| c as u8);
        bytes[251] = 0;
        let text = CStr::from_bytes_until_nul(&bytes)
            .unwrap_or_default()
            .to_string_lossy();
        let mut text = text.trim();
        if answer == status::PANIC {
            // Whoever reads this is told that it panicked.
            text = text.strip_prefix("panicked: ").unwrap_or(text);
        }
        let said = match text {
            "" => "it did not say why".to_owned(),
            text => text.to_owned(),
        };
        let code = if error.code == 0 || answer == status::PANIC {
            answer
        } else {
            error.code
        };
        Answer { code, said }
    }
}

fn open(library: Arc<Library>, ctx: &'static Ctx, config: &[u8]) -> Result<Instance, Answer> {
    let mut this = ptr::null_mut();
    let mut error = VpError::empty();
    // SAFETY: the table was checked; host and context live for ever; the configuration is lent for the call; the other
    // two are ours. This is a control thread.
    let answer = unsafe {
        (library.table().open)(
            &HOST,
            ctx.opaque(),
            VpBytes::lend(config),
            &mut this,
            &mut error,
        )
    };
    if answer == status::OK {
        Ok(Instance { this, library })
    } else {
        Err(Answer::of(answer, &error))
    }
}

/// Overwrites a copy of the configuration, which may hold secrets. `black_box` keeps the compiler from seeing that
/// nobody reads it afterwards.
pub(super) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    hint::black_box(bytes);
}

/// The kernel keeps 15 letters of a thread's name; the rest is for debuggers. A NUL would be refused.
pub(super) fn thread_name(doing: &str, plugin: &str) -> String {
    format!("{doing}:{}", plugin.replace('\0', "?"))
}

fn role_in_words(bit: u64) -> &'static str {
    match bit {
        role::TTS => "voice",
        role::RESPONDER => "responder",
        role::STT => "transcriber",
        _ => "player of any known role",
    }
}
