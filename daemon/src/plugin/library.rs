//! One build of a plugin in memory: loaded from its private copy, its table checked member by member, described. Loaded
//! once per content and never unloaded: a Rust library leaves thread-local destructors, threads and pthread keys behind
//! that would run into unmapped pages (measured: SIGSEGV), so `dlclose` is not called and RTLD_NODELETE makes sure of it.
//! What is opened from it, with which configuration, is `generation.rs`.

use super::crash::{self, Loading, Place};
use super::deadline::{self, NoResult};
use super::describe::{self, DESCRIBE_BYTES, Describe};
use super::error::{LoadError, LoadProblem};
use super::host::TARGET;
use super::keep;
use libloading::os::unix;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::mem::{self, offset_of, size_of};
use std::path::Path;
use std::ptr;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use voice_plugin::abi::{
    ABI, CATALOG_ID, CHECK_ID, ENTRY_SYMBOL, LANGUAGES_ID, VpBytes, VpCatalog, VpCheck, VpCtx,
    VpEntry, VpError, VpEvent, VpHost, VpOut, VpPlugin, VpPut, role, status,
};

/// How long constructors, the entry and `describe` may take together.
pub const LOAD_DEADLINE: Duration = Duration::from_secs(10);

/// Builds in memory from which on every further one is warned about: each keeps some 3.5 MB for ever (measured with a
/// plugin that has an HTTP client and TLS inside).
const RESIDENT_WARN: usize = 20;

/// Longest name and version a plugin may have, in bytes.
const TEXT_BYTES: usize = 128;

/// Held while a library is loaded, so that the same content is never loaded twice. A load that hangs lets go at its
/// deadline.
static LOADING: Mutex<()> = Mutex::new(());

/// Every build in memory, by content. Held for a look or an entry only: metrics read it.
static RESIDENT: LazyLock<Mutex<HashMap<String, Arc<Library>>>> = LazyLock::new(Mutex::default);

fn resident() -> MutexGuard<'static, HashMap<String, Arc<Library>>> {
    RESIDENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Builds of plugins that are in memory, and stay there until the process ends.
pub fn resident_builds() -> usize {
    resident().len()
}

/// The members of a plugin's table that streams are run with: checked, copied, never null.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) open: unsafe extern "C" fn(
        *const VpHost,
        *mut VpCtx,
        VpBytes,
        *mut *mut c_void,
        *mut VpError,
    ) -> i32,
    pub(crate) close: unsafe extern "C" fn(*mut c_void),
    pub(crate) start: unsafe extern "C" fn(
        *mut c_void,
        u64,
        VpBytes,
        *mut VpOut,
        *mut *mut c_void,
        *mut VpError,
    ) -> i32,
    pub(crate) send: unsafe extern "C" fn(*mut c_void, *const VpEvent, usize) -> i32,
    pub(crate) stop: unsafe extern "C" fn(*mut c_void),
    /// Of the extension `catalog/1`; none if the plugin has no such extension.
    pub(crate) list: Option<List>,
    /// Of the extension `languages/1`, as above.
    pub(crate) languages: Option<List>,
    /// Of the extension `check/1`, as above.
    pub(crate) check: Option<Check>,
}

/// `vp_check.check`.
pub(crate) type Check = unsafe extern "C" fn(VpBytes, VpPut, *mut c_void) -> i32;

/// `vp_catalog.list`.
pub(crate) type List = unsafe extern "C" fn(*mut c_void, VpPut, *mut c_void, *mut VpError) -> i32;

/// One build of a plugin, mapped for the rest of the process's life.
pub struct Library {
    hash: String,
    face: Face,
}

/// What a library shows of itself.
struct Face {
    name: String,
    version: String,
    roles: u64,
    describe: Describe,
    table: Table,
    place: &'static Place,
}

impl Library {
    /// Loads the library at `path` for the plugin configured as `name`, by way of a private copy in `keep_dir`, or finds
    /// the same content loaded already. With `pin_sha256` the content has to have that hash.
    ///
    /// Runs the library's constructors: one that crashes takes the process with it.
    pub fn load(
        name: &str,
        path: &Path,
        keep_dir: &Path,
        pin_sha256: Option<&str>,
    ) -> Result<Arc<Library>, LoadError> {
        Library::load_within(LOAD_DEADLINE, name, path, keep_dir, pin_sha256).map_err(|why| {
            LoadError {
                name: name.to_owned(),
                path: path.to_owned(),
                why,
            }
        })
    }

    pub(super) fn load_within(
        limit: Duration,
        name: &str,
        path: &Path,
        keep_dir: &Path,
        pin: Option<&str>,
    ) -> Result<Arc<Library>, LoadProblem> {
        let checked = keep::read(path, pin)?;
        let _alone = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        let known = resident().get(&checked.hash).map(Arc::clone);
        if let Some(library) = known {
            return Ok(library);
        }
        let kept = keep::copy(&checked, name, keep_dir)?;
        // Here a child process should load `kept` first and describe it, so that a constructor that crashes takes the
        // child: that needs the daemon's own `plugin-host` command, which does not exist yet.
        let file = path.display().to_string();
        let map = move || map(&kept, &file);
        let face = match deadline::call("plugin-load", limit, map, drop) {
            Ok(face) => face?,
            Err(NoResult::Overrun) => {
                return Err(LoadProblem::Overrun {
                    secs: limit.as_secs(),
                });
            }
            Err(NoResult::Thread(no)) => return Err(LoadProblem::Thread(no)),
        };
        let library = Arc::new(Library {
            hash: checked.hash.clone(),
            face,
        });
        resident().insert(checked.hash, Arc::clone(&library));
        let builds = resident_builds();
        if builds >= RESIDENT_WARN {
            tracing::warn!(
                target: TARGET,
                plugin = name,
                builds,
                "many builds of plugins are in memory and stay there: restart the daemon when it suits"
            );
        }
        Ok(library)
    }

    /// The plugin's own name.
    pub fn name(&self) -> &str {
        &self.face.name
    }

    /// The plugin's own version: of what is really loaded.
    pub fn version(&self) -> &str {
        &self.face.version
    }

    /// What it can be: bits of [`voice_plugin::abi::role`], also ones this host does not know.
    pub fn roles(&self) -> u64 {
        self.face.roles
    }

    /// SHA-256 of its content, 64 hex digits.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// What it says about itself.
    pub fn describe(&self) -> &Describe {
        &self.face.describe
    }

    /// What it can be used for, with the sound it makes or takes, best first: `voice (mulaw/8000), responder`.
    pub fn does(&self) -> String {
        let describe = self.describe();
        let with = |what: &str, formats: &[super::Format]| {
            let formats: Vec<String> = formats.iter().map(ToString::to_string).collect();
            format!("{what} ({})", formats.join(", "))
        };
        let all = [
            (role::RESPONDER, "responder".to_owned()),
            (role::TTS, with("voice", &describe.tts_produces)),
            (role::STT, with("transcriber", &describe.stt_accepts)),
        ];
        let does = all.into_iter().filter(|(one, _)| self.roles() & one != 0);
        does.map(|(_, what)| what).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn table(&self) -> &Table {
        &self.face.table
    }

    /// Where it lies in memory.
    pub(super) fn place(&self) -> &'static Place {
        self.face.place
    }
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Library({} {} {})",
            self.name(),
            self.version(),
            self.hash
        )
    }
}

/// Maps the private copy of `file` and reads its table. From the first line on, code of the plugin runs.
fn map(kept: &Path, file: &str) -> Result<Face, LoadProblem> {
    let _loading = Loading::from(file);
    let flags = unix::RTLD_NOW | unix::RTLD_LOCAL | libc::RTLD_NODELETE;
    // SAFETY: runs the library's constructors. That they do no harm is what naming the file in the configuration
    // asserts; that the file is the one named, whole, and for this machine was checked.
    let library = unsafe { unix::Library::open(Some(kept), flags) };
    let library = library.map_err(|no| {
        // The linker's own sentence is the source; the error itself only says which function failed.
        let said = std::error::Error::source(&no).map(ToString::to_string);
        LoadProblem::Link(said.unwrap_or_else(|| no.to_string()))
    })?;
    // SAFETY: the contract gives the symbol this type; a symbol of another type is beyond checking.
    let entry = unsafe { library.get::<VpEntry>(ENTRY_SYMBOL.as_bytes()) };
    let entry: VpEntry = *entry.map_err(|_| LoadProblem::NoEntry)?;
    // Never closed, see the head of this file.
    mem::forget(library);
    let place = crash::place(entry as *const () as usize, file);
    // SAFETY: the contract's only function, with the ABI as it wants it.
    let table = unsafe { entry(ABI) };
    // SAFETY: static in the library, which stays mapped.
    unsafe { read(table, place) }
}

/// Reads a plugin's table, believing no more of it than it says there is.
///
/// # Safety
/// `table` is null or points at a table that says its true size and never changes.
unsafe fn read(table: *const VpPlugin, place: &'static Place) -> Result<Face, LoadProblem> {
    if table.is_null() {
        return Err(LoadProblem::Refuses { host: ABI });
    }
    // SAFETY: every table of every ABI begins with these two numbers.
    let (size, abi) = unsafe {
        (
            (&raw const (*table).size).read(),
            (&raw const (*table).abi).read(),
        )
    };
    if abi != ABI {
        return Err(LoadProblem::Abi {
            plugin: abi,
            host: ABI,
        });
    }
    // `stop` is the last member that has to be there.
    let least = offset_of!(VpPlugin, stop) + size_of::<Option<unsafe extern "C" fn(*mut c_void)>>();
    if (size as usize) < least {
        return Err(LoadProblem::SmallTable {
            size,
            least: least as u32,
        });
    }
    /// One member, without making a reference to a table that may be shorter than the type.
    macro_rules! member {
        ($name:ident) => {
            // SAFETY: all members up to `stop` lie within the size just checked.
            unsafe { (&raw const (*table).$name).read() }
        };
    }
    macro_rules! required {
        ($name:ident) => {
            member!($name).ok_or(LoadProblem::NullMember(stringify!($name)))?
        };
    }
    let (name, version) = (member!(name), member!(version));
    // SAFETY: static strings of the plugin, by contract.
    let (name, version) = unsafe { (text(name, "name")?, text(version, "version")?) };
    let roles = member!(roles);
    if roles & (role::TTS | role::RESPONDER | role::STT) == 0 {
        return Err(LoadProblem::NoRole(roles));
    }
    let table = Table {
        open: required!(open),
        close: required!(close),
        start: required!(start),
        send: required!(send),
        stop: required!(stop),
        // SAFETY: the size was read above.
        list: unsafe { list(table, size as usize, CATALOG_ID) },
        // SAFETY: as above.
        languages: unsafe { list(table, size as usize, LANGUAGES_ID) },
        // SAFETY: as above.
        check: unsafe { check(table, size as usize) },
    };
    let describe = match member!(describe) {
        None => describe::of_the_silent(roles),
        Some(describe) => {
            // SAFETY: a function of the plugin's table, called with what it expects.
            let ask = |put, to| unsafe { describe(put, to) };
            let json = match collect(ask) {
                Collected::Json(json) => Ok(json),
                Collected::Panicked => Err("it panicked".to_owned()),
                Collected::Refused(code) => Err(format!("`describe` answered {code}")),
                Collected::Misused(how) => Err(how),
            };
            let json = json.map_err(LoadProblem::Describe)?;
            describe::read(&json, roles).map_err(LoadProblem::Describe)?
        }
    };
    Ok(Face {
        name,
        version,
        roles,
        describe,
        table,
        place,
    })
}

/// # Safety
/// `at` is null or points at a string that ends in a NUL and never changes, or goes on for [`TEXT_BYTES`] at least.
unsafe fn text(at: *const c_char, member: &'static str) -> Result<String, LoadProblem> {
    if at.is_null() {
        return Err(LoadProblem::NullMember(member));
    }
    // SAFETY: looks no further than its end or the bound.
    let len = unsafe { libc::strnlen(at, TEXT_BYTES + 1) };
    if len == 0 || len > TEXT_BYTES {
        return Err(LoadProblem::BadText(member));
    }
    // SAFETY: the NUL was found at `len`.
    let text = unsafe { CStr::from_ptr(at) };
    text.to_str()
        .map(str::to_owned)
        .map_err(|_| LoadProblem::BadText(member))
}

/// The function behind the extension `catalog/1` or `languages/1`, if the plugin has it.
///
/// # Safety
/// `table` is a whole table of our ABI, of `size` bytes.
unsafe fn list(table: *const VpPlugin, size: usize, id: &str) -> Option<List> {
    // SAFETY: passed on.
    let catalog = unsafe { extension(table, size, id) }?.cast::<VpCatalog>();
    // SAFETY: the contract makes it a static table that begins with its size.
    let size = unsafe { (&raw const (*catalog).size).read() };
    if (size as usize) < offset_of!(VpCatalog, list) + size_of::<Option<List>>() {
        return None;
    }
    // SAFETY: the member lies within the size.
    unsafe { (&raw const (*catalog).list).read() }
}

/// The function behind the extension `check/1`, if the plugin has it.
///
/// # Safety
/// As for [`list`].
unsafe fn check(table: *const VpPlugin, size: usize) -> Option<Check> {
    // SAFETY: passed on.
    let found = unsafe { extension(table, size, CHECK_ID) }?.cast::<VpCheck>();
    // SAFETY: the contract makes it a static table that begins with its size.
    let size = unsafe { (&raw const (*found).size).read() };
    if (size as usize) < offset_of!(VpCheck, check) + size_of::<Option<Check>>() {
        return None;
    }
    // SAFETY: the member lies within the size.
    unsafe { (&raw const (*found).check).read() }
}

/// What the plugin has under this name.
///
/// # Safety
/// As for [`list`].
unsafe fn extension(table: *const VpPlugin, size: usize, id: &str) -> Option<*const c_void> {
    type Extension = Option<unsafe extern "C" fn(*const c_char) -> *const c_void>;
    if size < offset_of!(VpPlugin, extension) + size_of::<Extension>() {
        return None;
    }
    // SAFETY: the member lies within the size.
    let extension = unsafe { (&raw const (*table).extension).read() }?;
    let id = CString::new(id).ok()?;
    // SAFETY: the plugin's function with an id that is lent for the call.
    let found = unsafe { extension(id.as_ptr()) };
    (!found.is_null()).then_some(found)
}

/// What became of a function that puts JSON.
pub(crate) enum Collected {
    Json(Vec<u8>),
    /// It answered this, which is neither OK nor a panic.
    Refused(i32),
    Panicked,
    /// It put too much, or more than once; in half a sentence.
    Misused(String),
}

/// Calls a plugin's function that puts JSON once, and keeps what it puts.
pub(crate) fn collect(ask: impl FnOnce(VpPut, *mut c_void) -> i32) -> Collected {
    let mut put = Put::default();
    // `take` gets the pointer it expects, which outlives the call.
    let answer = ask(take, ptr::from_mut(&mut put).cast());
    match (answer, put) {
        (status::PANIC, _) => Collected::Panicked,
        (status::OK, Put { times: 0 | 1, json }) if json.len() <= DESCRIBE_BYTES => {
            Collected::Json(json)
        }
        (status::OK, Put { times: 0 | 1, .. }) => {
            Collected::Misused(format!("it is longer than {DESCRIBE_BYTES} bytes"))
        }
        (status::OK, Put { times, .. }) => {
            Collected::Misused(format!("it was put {times} times, once is allowed"))
        }
        (code, _) => Collected::Refused(code),
    }
}

#[derive(Default)]
struct Put {
    times: u32,
    json: Vec<u8>,
}

unsafe extern "C" fn take(to: *mut c_void, json: VpBytes) {
    // SAFETY: the pointer `collect` gave, used by nobody else until `describe` returns.
    let Some(put) = (unsafe { to.cast::<Put>().as_mut() }) else {
        return;
    };
    put.times = put.times.saturating_add(1);
    if !json.ptr.is_null() && put.times == 1 {
        let cut = VpBytes {
            // One more than allowed is kept, so that too long can be told from just right.
            len: json.len.min(DESCRIBE_BYTES + 1),
            ..json
        };
        // SAFETY: lent for the length of this call, by contract.
        put.json.extend_from_slice(unsafe { cut.bytes() });
    }
}
