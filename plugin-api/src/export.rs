//! From a trait to the table: one set of `extern "C"` functions for every role, and the macro that makes the static.
//! Here and nowhere else pointers from the host become Rust values; every entry stops panics and marks the thread, so
//! that they are logged with the right host.
//!
//! `this` is a box of `Opened`, made by `open` and taken back by `close`; `stream` is a box of `Running`,
//! made by `start` and taken back by `stop`.

use std::ffi::{c_char, c_void, CStr};
use std::mem::size_of;
use std::ptr;

use schemars::JsonSchema;
use serde_json::{json, Value};

use crate::abi::{
    status, VpBytes, VpCatalog, VpCheck, VpCtx, VpError, VpEvent, VpHost, VpOut, VpPlugin, VpPut,
    ABI, CATALOG_ID, CHECK_ID, LANGUAGES_ID,
};
use crate::catalog::{Catalog, Checked};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::info::{start_info, StartInfo};
use crate::out::OutHandle;
use crate::panics::{self, contain, place, Working};

pub use crate::inline::InlineRole;
pub use crate::responder::ResponderRole;
pub use crate::transcriber::SttRole;
pub use crate::tts::TtsRole;

/// What the table's functions need of a role. Implemented by the four in this crate, for every author's type.
pub trait Role: 'static {
    /// The bit in the table.
    const BIT: u64;
    /// Whether [`Role::catalog`] is worth asking.
    const HAS_CATALOG: bool = false;
    /// The opened plugin.
    type Instance: Send + Sync;
    /// One stream; dropping it ends it and releases its way out.
    type Stream: Send;

    /// The JSON of `describe`.
    fn describe() -> Value;
    /// Opens an instance, on the control thread.
    fn open(name: &'static str, host: Host, config: &[u8]) -> Result<Self::Instance>;
    /// Starts a stream; `out` is dropped on failure, which releases it.
    fn start(
        instance: &Self::Instance,
        host: &Host,
        info: StartInfo,
        out: OutHandle,
    ) -> Result<Self::Stream>;
    /// What can be chosen from; waits for the instance's thread.
    fn catalog(_: &Self::Instance) -> Result<Catalog> {
        Ok(Catalog::default())
    }
    /// What the part is called for which [`Role::languages`] is worth asking.
    const LANGUAGES: Option<&'static str> = None;
    /// The languages it can be told; nothing if that is no matter.
    fn languages(_: &Self::Instance) -> &[String] {
        &[]
    }
    /// Whether [`Role::check`] is worth asking.
    const HAS_CHECK: bool = false;
    /// What a configuration comes to, without opening anything.
    fn check(_config: &[u8]) -> Result<Checked> {
        Ok(Checked::default())
    }
    /// Takes events; answers a status.
    ///
    /// # Safety
    /// The events' data must be readable as the contract says.
    unsafe fn send(stream: &mut Self::Stream, host: &Host, events: &[VpEvent]) -> i32;
}

/// One exported library: made by [`export!`](crate::export!).
pub trait Library: 'static {
    /// What it is.
    type Role: Role;
    /// The package's name.
    const NAME: &'static str;
}

struct Opened<R: Role> {
    instance: R::Instance,
    host: Host,
}

struct Running<R: Role> {
    stream: R::Stream,
    host: Host,
}

/// The table of a library; `name` and `version` are NUL-terminated and static.
pub const fn table<L: Library>(name: &'static str, version: &'static str) -> VpPlugin {
    VpPlugin {
        size: size_of::<VpPlugin>() as u32,
        abi: ABI,
        name: name.as_ptr().cast::<c_char>(),
        version: version.as_ptr().cast::<c_char>(),
        roles: <L::Role as Role>::BIT,
        describe: Some(describe::<L>),
        open: Some(open::<L>),
        close: Some(close::<L>),
        start: Some(start::<L>),
        send: Some(send::<L>),
        stop: Some(stop::<L>),
        extension: Some(extension::<L>),
    }
}

/// A type's JSON Schema, as `describe` writes it.
pub(crate) fn schema<T: JsonSchema>() -> Value {
    schemars::SchemaGenerator::default()
        .into_root_schema_for::<T>()
        .to_value()
}

unsafe extern "C" fn describe<L: Library>(put: VpPut, to: *mut c_void) -> i32 {
    match contain(|| <L::Role as Role>::describe().to_string()) {
        Ok(json) => {
            // SAFETY: the host's function with the host's pointer; the bytes outlive the call.
            unsafe { put(to, VpBytes::lend(json.as_bytes())) };
            status::OK
        }
        Err(_) => status::PANIC,
    }
}

unsafe extern "C" fn open<L: Library>(
    host: *const VpHost,
    ctx: *mut VpCtx,
    config: VpBytes,
    this: *mut *mut c_void,
    error: *mut VpError,
) -> i32 {
    // SAFETY: the contract promises a table that lives as long as the process; its first two numbers are there in
    // every version.
    let (size, abi) = unsafe {
        (
            ptr::addr_of!((*host).size).read(),
            ptr::addr_of!((*host).abi).read(),
        )
    };
    if abi != ABI || (size as usize) < size_of::<VpHost>() {
        let text = format!(
            "the host speaks version {abi} with a table of {size} bytes, this plugin version {ABI} with {}; \
             build the plugin for this host",
            size_of::<VpHost>()
        );
        // SAFETY: `error` is the host's, for the length of this call.
        return unsafe { say(error, status::UNSUPPORTED, &text) };
    }
    // SAFETY: as large as our own table (just compared), and alive for ever.
    let table: &'static VpHost = unsafe { &*host };
    // SAFETY: table and context came together, and the context is valid until `close`, where we hang up.
    let host = unsafe { Host::new(table, ctx) };
    panics::opened(&host);
    let opened = {
        let _working = Working::for_host(&host);
        // SAFETY: lent for the length of this call.
        let json = unsafe { config.bytes() };
        contain(|| <L::Role as Role>::open(L::NAME, host.clone(), json))
    };
    match opened {
        Ok(Ok(instance)) => {
            // SAFETY: `this` is the host's, for the length of this call.
            unsafe { *this = Box::into_raw(Box::new(Opened::<L::Role> { instance, host })).cast() };
            status::OK
        }
        failed => {
            panics::closed(&host);
            host.hang_up();
            // SAFETY: `error` is the host's, for the length of this call.
            unsafe { refuse(error, failed) }
        }
    }
}

unsafe extern "C" fn close<L: Library>(this: *mut c_void) {
    // SAFETY: made in `open`, given back once.
    let Opened { instance, host } = *unsafe { Box::from_raw(this.cast::<Opened<L::Role>>()) };
    {
        let _working = Working::for_host(&host);
        // A panic has been logged by the hook; there is no answer to put it into.
        drop(contain(|| drop(instance)));
    }
    panics::closed(&host);
    host.hang_up();
}

unsafe extern "C" fn start<L: Library>(
    this: *mut c_void,
    role: u64,
    info: VpBytes,
    out: *mut VpOut,
    stream: *mut *mut c_void,
    error: *mut VpError,
) -> i32 {
    // SAFETY: made in `open` and not closed; shared only, because streams start on several threads at once.
    let Opened { instance, host } = unsafe { &*this.cast::<Opened<L::Role>>() };
    let _working = Working::for_host(host);
    // SAFETY: given to this stream and to nobody else; from here on it is released by being dropped.
    let out = unsafe { OutHandle::new(host.table(), out) };
    if role != <L::Role as Role>::BIT {
        // SAFETY: `error` is the host's, for the length of this call.
        return unsafe { say(error, status::UNSUPPORTED, "this plugin has no such role") };
    }
    // SAFETY: lent for the length of this call.
    let json = unsafe { info.bytes() };
    match contain(|| <L::Role as Role>::start(instance, host, start_info(json)?, out)) {
        Ok(Ok(started)) => {
            let running = Box::new(Running::<L::Role> {
                stream: started,
                host: host.clone(),
            });
            // SAFETY: `stream` is the host's, for the length of this call.
            unsafe { *stream = Box::into_raw(running).cast() };
            status::OK
        }
        // SAFETY: `error` is the host's, for the length of this call.
        failed => unsafe { refuse(error, failed) },
    }
}

unsafe extern "C" fn send<L: Library>(
    stream: *mut c_void,
    events: *const VpEvent,
    n: usize,
) -> i32 {
    if n == 0 {
        return status::OK;
    }
    // SAFETY: made in `start` and not stopped; only one thread uses it.
    let Running { stream, host } = unsafe { &mut *stream.cast::<Running<L::Role>>() };
    let _working = Working::for_host(host);
    // SAFETY: `n` events, lent for the length of this call; n is not 0, so the pointer is a real one.
    let events = unsafe { std::slice::from_raw_parts(events, n) };
    // SAFETY: the host promises readable data in each.
    contain(|| unsafe { <L::Role as Role>::send(stream, host, events) }).unwrap_or(status::PANIC)
}

unsafe extern "C" fn stop<L: Library>(stream: *mut c_void) {
    // SAFETY: made in `start`, given back once.
    let Running { stream, host } = *unsafe { Box::from_raw(stream.cast::<Running<L::Role>>()) };
    let _working = Working::for_host(&host);
    // A panic has been logged by the hook; there is no answer to put it into.
    drop(contain(|| drop(stream)));
}

unsafe extern "C" fn extension<L: Library>(id: *const c_char) -> *const c_void {
    /// A place for a constant of `L` that can be pointed at.
    struct Catalogs<L>(L);
    impl<L: Library> Catalogs<L> {
        const TABLE: &'static VpCatalog = &VpCatalog {
            size: size_of::<VpCatalog>() as u32,
            list: Some(list::<L>),
        };
    }
    /// As above.
    struct Languages<L>(L);
    impl<L: Library> Languages<L> {
        const TABLE: &'static VpCatalog = &VpCatalog {
            size: size_of::<VpCatalog>() as u32,
            list: Some(languages::<L>),
        };
    }
    /// As above.
    struct Checks<L>(L);
    impl<L: Library> Checks<L> {
        const TABLE: &'static VpCheck = &VpCheck {
            size: size_of::<VpCheck>() as u32,
            check: Some(check::<L>),
        };
    }
    // SAFETY: an id is a NUL-terminated string, lent for this call.
    let asked = (!id.is_null()).then(|| unsafe { CStr::from_ptr(id) });
    match asked.map(CStr::to_bytes) {
        Some(id) if id == CATALOG_ID.as_bytes() && <L::Role as Role>::HAS_CATALOG => {
            let table: *const VpCatalog = Catalogs::<L>::TABLE;
            table.cast()
        }
        Some(id) if id == LANGUAGES_ID.as_bytes() && <L::Role as Role>::LANGUAGES.is_some() => {
            let table: *const VpCatalog = Languages::<L>::TABLE;
            table.cast()
        }
        Some(id) if id == CHECK_ID.as_bytes() && <L::Role as Role>::HAS_CHECK => {
            let table: *const VpCheck = Checks::<L>::TABLE;
            table.cast()
        }
        _ => ptr::null(),
    }
}

unsafe extern "C" fn check<L: Library>(config: VpBytes, put: VpPut, to: *mut c_void) -> i32 {
    // SAFETY: lent for the length of this call.
    let json = unsafe { config.bytes() };
    let wrong = |sentence: String| Checked {
        problems: vec![sentence.into()],
        ..Checked::default()
    };
    panics::watch();
    // The answer has no place for what a panic said but among the problems.
    let checked = contain(|| <L::Role as Role>::check(json))
        .map(|checked| checked.unwrap_or_else(|why| wrong(why.text().to_owned())))
        .unwrap_or_else(|panic| {
            wrong(format!(
                "the check of the keys panicked: {panic}{}",
                place()
            ))
        });
    let Ok(json) = serde_json::to_string(&checked) else {
        return status::ERROR;
    };
    // SAFETY: the host's function with the host's pointer; the bytes outlive the call.
    unsafe { put(to, VpBytes::lend(json.as_bytes())) };
    status::OK
}

unsafe extern "C" fn list<L: Library>(
    this: *mut c_void,
    put: VpPut,
    to: *mut c_void,
    error: *mut VpError,
) -> i32 {
    // SAFETY: made in `open` and not closed; shared only.
    let Opened { instance, host } = unsafe { &*this.cast::<Opened<L::Role>>() };
    let _working = Working::for_host(host);
    let listed = contain(|| {
        let catalog = <L::Role as Role>::catalog(instance)?;
        Ok(serde_json::to_string(&catalog)?)
    });
    match listed {
        Ok(Ok(json)) => {
            // SAFETY: the host's function with the host's pointer; the bytes outlive the call.
            unsafe { put(to, VpBytes::lend(json.as_bytes())) };
            status::OK
        }
        // SAFETY: `error` is the host's, for the length of this call.
        failed => unsafe { refuse(error, failed) },
    }
}

unsafe extern "C" fn languages<L: Library>(
    this: *mut c_void,
    put: VpPut,
    to: *mut c_void,
    _: *mut VpError,
) -> i32 {
    // SAFETY: made in `open` and not closed; shared only.
    let Opened { instance, .. } = unsafe { &*this.cast::<Opened<L::Role>>() };
    let listed = contain(|| {
        let known = <L::Role as Role>::languages(instance);
        match <L::Role as Role>::LANGUAGES {
            Some(part) if !known.is_empty() => json!({ part: known }).to_string(),
            _ => "{}".to_owned(),
        }
    });
    match listed {
        Ok(json) => {
            // SAFETY: the host's function with the host's pointer; the bytes outlive the call.
            unsafe { put(to, VpBytes::lend(json.as_bytes())) };
            status::OK
        }
        Err(_) => status::PANIC,
    }
}

/// Writes why there is no instance or no stream; answers the status.
///
/// # Safety
/// `error` must be null or writable.
unsafe fn refuse<T>(error: *mut VpError, failed: core::result::Result<Result<T>, String>) -> i32 {
    let why = match failed {
        // Not reached; an answer all the same.
        Ok(Ok(_)) => return status::OK,
        Ok(Err(why)) => why,
        Err(panic) => Error::panicked(&panic),
    };
    let code = if why.is_panic() {
        status::PANIC
    } else {
        status::ERROR
    };
    // SAFETY: passed on.
    unsafe { say(error, code, why.text()) }
}

/// # Safety
/// `error` must be null or writable.
unsafe fn say(error: *mut VpError, code: i32, text: &str) -> i32 {
    // SAFETY: promised by the caller.
    if let Some(error) = unsafe { error.as_mut() } {
        error.say(code, text);
    }
    code
}

/// Makes a library of a type: `export!(tts: T)`, `export!(stt: T)`, `export!(responder: T)` or `export!(inline: T)`,
/// once per library, at the root of the crate.
///
/// It defines the exported symbol `voice_plugin`, and `plugin_table()` for those who link the crate instead of loading
/// it, tests above all. Name and version in the table are the package's.
#[macro_export]
macro_rules! export {
    (tts: $plugin:ty $(,)?) => {
        $crate::__library!($crate::export::TtsRole<$plugin>);
    };
    (stt: $plugin:ty $(,)?) => {
        $crate::__library!($crate::export::SttRole<$plugin>);
    };
    (responder: $plugin:ty $(,)?) => {
        $crate::__library!($crate::export::ResponderRole<$plugin>);
    };
    (inline: $plugin:ty $(,)?) => {
        $crate::__library!($crate::export::InlineRole<$plugin>);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __library {
    ($role:ty) => {
        #[cfg(panic = "abort")]
        compile_error!(
            "a plugin has to be built with panic = \"unwind\": its panics must stop at its own door, not end the host"
        );

        /// The table of this plugin, for a host that links it instead of loading it.
        pub fn plugin_table() -> &'static $crate::abi::VpPlugin {
            struct Exported;
            impl $crate::export::Library for Exported {
                type Role = $role;
                const NAME: &'static str = env!("CARGO_PKG_NAME");
            }
            const NAME: &str = concat!(env!("CARGO_PKG_NAME"), "\0");
            const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
            static TABLE: $crate::abi::VpPlugin = $crate::export::table::<Exported>(NAME, VERSION);
            &TABLE
        }

        /// The symbol that the host looks up; null for a host of another version.
        #[no_mangle]
        pub extern "C" fn voice_plugin(host_abi: u32) -> *const $crate::abi::VpPlugin {
            if host_abi == $crate::abi::ABI {
                plugin_table()
            } else {
                ::core::ptr::null()
            }
        }
    };
}
