//! The plugin contract, version 1: the tables both sides fill and the one event that travels between them.
//!
//! This file is the contract for Rust; `include/voice_plugin.h` is the same contract for C, written by hand, and a
//! test compares the two struct by struct. Nothing here allocates, locks or decides; nothing here depends on anything
//! but `core`. The safe side for Rust authors is built on top, in the other files of this crate.
//!
//! **Ownership, whole.** Bytes passed in belong to the caller and die when the call returns. Nobody frees the other
//! side's memory; there is no allocator in the contract. Each [`VpOut`] is released exactly once, by the plugin, by
//! the time `stop` of its stream has returned or soon after (a worker thread may hold it a little longer), and also
//! when `start` has failed. `this` dies with `close`, `stream` with `stop`; the [`VpCtx`] given to `open` when `close`
//! returns, or when an `open` that failed returns.
//!
//! **Threads, whole.** `start`, `send` and `stop` of one stream: always the same media thread, never two at once;
//! different streams: different threads at once. `open` and `close`: a control thread, with a deadline. Host
//! functions: from any thread, one caller at a time per [`VpOut`]. `send` never blocks and aims at under 100 µs.
//!
//! **Growth.** [`ABI`] changes only on a break. New members are appended to the tables; a member is present if it
//! lies within the other side's `size` and is not null. A new event kind is not a break: unknown kinds are ignored.

use core::ffi::{c_char, c_void};

/// The version of the contract this crate was built for.
pub const ABI: u32 = 1;

/// Bytes lent for the length of one call. `ptr` may be null when `len` is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct VpBytes {
    /// First byte, or null when there are none.
    pub ptr: *const u8,
    /// How many bytes.
    pub len: usize,
}

/// One thing that happens on a stream; the same struct in both directions.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct VpEvent {
    /// One of the constants in [`kind`]. Unknown kinds are ignored by both sides.
    pub kind: u16,
    /// Bits of [`flag`].
    pub flags: u16,
    /// The utterance (voices) or the turn (responders, transcribers) this belongs to: from 1 on, and the host only ever
    /// raises it. 0 is the time outside all turns, which is never cancelled.
    pub turn: u32,
    /// The media clock: samples at 8 kHz since the carrier's stream began. 0 in records from the plugin.
    pub at: u64,
    /// Audio bytes, UTF-8 text or JSON, by kind. Borrowed: valid only during the call.
    pub data: VpBytes,
}

/// What happened: values of [`VpEvent::kind`]. The comment says who may send it and what `data` holds.
pub mod kind {
    /// Both ways: audio in the format agreed at `start`; whole samples only.
    pub const AUDIO: u16 = 1;
    /// To a responder: what the caller said, final. From a responder: words to say. From a transcriber: final text.
    pub const TEXT: u16 = 2;
    /// To a responder, from a transcriber: words so far, to be replaced by what follows. From a responder: a piece of
    /// what it says; the host joins the pieces, cuts utterances at the ends of sentences, and says the rest with DONE
    /// or before the next TEXT. To a responder that takes digits also what the caller said before the key that is this
    /// turn: once more between DTMF and SPEECH_END, and again later if more of it becomes known.
    pub const PARTIAL: u16 = 3;
    /// To a voice: say `data` (UTF-8) as utterance `turn`; answer with AUDIO records and one DONE or FAILED.
    pub const SPEAK: u16 = 4;
    /// To a plugin: `turn` and everything before it is no longer wanted (barge-in). To a responder `data` is what the
    /// caller heard of the answer to `turn`, UTF-8; empty if he heard nothing of it.
    pub const CANCEL: u16 = 5;
    /// To a responder: utterance `turn` has been heard to its end by the caller.
    pub const MARK: u16 = 6;
    /// To a responder: the caller pressed a key; `data` is one of `0-9 * # A-D`. To one that takes digits each key is a
    /// turn of its own: SPEECH_END with [`flag::LAST`](super::flag::LAST) follows.
    pub const DTMF: u16 = 7;
    /// To a responder or transcriber: the caller began to speak.
    pub const SPEECH_START: u16 = 8;
    /// To a responder or transcriber: the caller paused; with [`flag::LAST`](super::flag::LAST) his turn `turn` is over: answer it.
    pub const SPEECH_END: u16 = 9;
    /// To a plugin: the ring that said [`status::AGAIN`](super::status::AGAIN) is half empty again.
    pub const WRITABLE: u16 = 10;
    /// From a responder: a JSON object that says what to do, `{"do":"hang_up"}` (after what was said was heard). The
    /// header has them all.
    pub const ACTION: u16 = 11;
    /// From a plugin: turn `turn` is complete. A voice that says DONE without any AUDIO has failed.
    pub const DONE: u16 = 12;
    /// From a plugin: turn `turn` failed; `data` is a sentence for the log, with a name of [`failure`](super::failure)
    /// before it where one fits. To a responder: an ACTION was not done; `data` is a JSON object,
    /// `{"do":"voice","reason":"not_found: …"}`.
    pub const FAILED: u16 = 13;
    /// To a responder that takes silence: nobody has spoken for a while; `data` is how often in a row, in decimal. It is
    /// a turn: SPEECH_END with [`flag::LAST`](super::flag::LAST) follows.
    pub const SILENCE: u16 = 14;
    /// From a transcriber, at a pause: how likely the caller has finished, `data` is a number from 0 to 1 in decimal.
    pub const FINISHED: u16 = 15;
    /// To a responder: the call was elsewhere and is back, or could not go there and why (`reason`); `data` is a JSON
    /// object, `{"after":"transfer","outcome":"busy"}`.
    /// It is a turn, as SILENCE is, unless the stream had only broken.
    pub const RETURNED: u16 = 16;
    /// First of the kinds that a pair of host and plugin may agree on between themselves.
    pub const PRIVATE: u16 = 0x8000;
}

/// Bits of [`VpEvent::flags`].
pub mod flag {
    /// Closes a turn: nothing more of this kind follows in it.
    pub const LAST: u16 = 1;
    /// On TEXT from a responder: the caller cannot interrupt it.
    pub const FIRM: u16 = 2;
    /// On CANCEL to a responder: the turn is none, and nothing of its answer was heard. What the caller said in it comes
    /// again with what he goes on to say, unless he presses a key instead; what was done about it is to be forgotten.
    pub const WITHDRAWN: u16 = 4;
    /// On TEXT or PARTIAL from a responder: the words are the same in other calls, as those of a menu are. The host may
    /// keep their sound, and then asks no voice. Never on what was made of the caller's words, name or number. A sentence
    /// of several PARTIALs is fixed if all of it is.
    pub const FIXED: u16 = 8;
}

/// What a function answers: values of the `i32` that most of the tables' functions return.
pub mod status {
    /// Done.
    pub const OK: i32 = 0;
    /// The ring is full: wait for WRITABLE, then try again.
    pub const AGAIN: i32 = 1;
    /// The turn is no longer wanted: stop working on it.
    pub const CANCELLED: i32 = 2;
    /// This side does not offer what was asked for.
    pub const UNSUPPORTED: i32 = 3;
    /// It failed; where there is a [`VpError`](super::VpError) it holds a sentence.
    pub const ERROR: i32 = -1;
    /// The plugin panicked inside the call; the panic was stopped on its side.
    pub const PANIC: i32 = -2;
}

/// How much the host takes at once. What is longer is refused, whole.
pub mod limit {
    /// Bytes of one text of a responder, which is one utterance; longer answers come in several, or in pieces.
    pub const TEXT_BYTES: usize = 4000;
    /// Bytes of one record of any kind: what a stream's ring holds.
    pub const RECORD_BYTES: usize = 32 * 1024 - 512 - 16;
    /// Bytes of a name in an ACTION: of a variable, a voice, a language.
    pub const NAME_BYTES: usize = 64;
    /// Bytes of a variable's value.
    pub const VALUE_BYTES: usize = 1000;
    /// Bytes of a note.
    pub const NOTE_BYTES: usize = 4000;
}

/// Why something failed: names that stay the same whatever the sentence says, to be counted and looked for.
///
/// A sentence about a failure (of FAILED, of a [`VpError`]) may begin with one of them and `": "`, as in
/// `quota: the account has no characters left`. Without one it is a failure that has no name.
pub mod failure {
    /// The maker does not accept the key.
    pub const AUTH: &str = "auth";
    /// What the account may use is used up.
    pub const QUOTA: &str = "quota";
    /// Too much at once, of ours or of everybody's: later it works again.
    pub const BUSY: &str = "busy";
    /// The maker refuses what was asked: the text, a setting, a model.
    pub const BAD_REQUEST: &str = "bad_request";
    /// There is no such voice, or the account may not use it.
    pub const NOT_FOUND: &str = "not_found";
    /// No connection to the maker.
    pub const UNREACHABLE: &str = "unreachable";
    /// It took too long to begin, or to go on.
    pub const TIMEOUT: &str = "timeout";
    /// It ended well and without any sound.
    pub const NO_AUDIO: &str = "no_audio";
    /// The sound broke off.
    pub const CUT: &str = "cut";
    /// The maker says that it is its own fault, or answers what nobody understands.
    pub const SERVER: &str = "server";

    /// All of them.
    pub const ALL: [&str; 10] = [
        AUTH,
        QUOTA,
        BUSY,
        BAD_REQUEST,
        NOT_FOUND,
        UNREACHABLE,
        TIMEOUT,
        NO_AUDIO,
        CUT,
        SERVER,
    ];

    /// The name at the beginning of a sentence, if it begins with one.
    pub fn name_of(sentence: &str) -> Option<&'static str> {
        let (name, _) = sentence.split_once(": ")?;
        ALL.into_iter().find(|known| *known == name)
    }
}

/// What a library can be: bits of [`VpPlugin::roles`], and the one bit passed to `start`.
pub mod role {
    /// A voice: text in, audio out.
    pub const TTS: u64 = 1;
    /// A responder: the caller's turns in, words or audio out.
    pub const RESPONDER: u64 = 2;
    /// A transcriber: audio in, words out.
    pub const STT: u64 = 4;
}

/// Levels of the log functions.
pub mod level {
    /// Something failed.
    pub const ERROR: u32 = 1;
    /// Something is wrong but work goes on.
    pub const WARN: u32 = 2;
    /// Worth knowing in production.
    pub const INFO: u32 = 3;
    /// For finding faults.
    pub const DEBUG: u32 = 4;
    /// Everything.
    pub const TRACE: u32 = 5;
}

/// A sentence about what went wrong, in the caller's memory, filled by the callee.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct VpError {
    /// A number of the plugin's own, or one of [`status`].
    pub code: i32,
    /// UTF-8, ended by a NUL; cut at a character's edge when it does not fit.
    pub msg: [c_char; 252],
}

/// The host's side of one opened plugin; opaque to the plugin.
#[repr(C)]
pub struct VpCtx {
    _opaque: [u8; 0],
}

/// The host's side of one stream's way out; opaque to the plugin.
#[repr(C)]
pub struct VpOut {
    _opaque: [u8; 0],
}

/// What the host offers. Lives as long as the process.
#[repr(C)]
pub struct VpHost {
    /// `sizeof` as the host was built.
    pub size: u32,
    /// [`ABI`] as the host was built.
    pub abi: u32,
    /// `[any thread]` The highest of [`level`] that is written at present.
    pub log_level: unsafe extern "C" fn(*mut VpCtx) -> u32,
    /// `[any thread]` One line into the host's log: a sentence, and fields as a JSON object (may be empty). They become
    /// fields of the line; `call` with the name that `start` was given is what the host's own lines about a call carry.
    pub log: unsafe extern "C" fn(*mut VpCtx, level: u32, text: VpBytes, fields_json: VpBytes),
    /// `[any thread, one caller per out]` Room for a record of `want` bytes; `*p` is where to write them. Answers OK,
    /// AGAIN (full), CANCELLED (turn given up), ERROR (`want` larger than the ring takes, or one is reserved already).
    pub reserve:
        unsafe extern "C" fn(*mut VpOut, kind: u16, turn: u32, want: usize, p: *mut *mut u8) -> i32,
    /// `[as reserve]` Hands over the first `n` bytes of the reservation (`n <= want`); 0 bytes of AUDIO gives it up.
    /// Answers OK, CANCELLED (turn given up meanwhile, nothing handed over), ERROR (nothing reserved, `n` too large).
    pub commit: unsafe extern "C" fn(*mut VpOut, n: usize, flags: u16) -> i32,
    /// `[as reserve]` reserve, copy, commit in one.
    pub emit: unsafe extern "C" fn(*mut VpOut, *const VpEvent) -> i32,
    /// `[any thread]` The last use of this out, exactly once.
    pub release: unsafe extern "C" fn(*mut VpOut),
    /// `[any thread]` Something by name that came after version 1, or null.
    pub extension: unsafe extern "C" fn(*mut VpCtx, id: *const c_char) -> *const c_void,
}

/// What `describe` calls with the description, once, as JSON bytes.
pub type VpPut = unsafe extern "C" fn(*mut c_void, VpBytes);

/// What the plugin offers. Static in the plugin.
///
/// The functions are `Option` because a table from C may hold NULL; a null where it is not allowed makes the library
/// unusable and is said at load.
#[repr(C)]
pub struct VpPlugin {
    /// `sizeof` as the plugin was built.
    pub size: u32,
    /// [`ABI`] as the plugin was built.
    pub abi: u32,
    /// Name, UTF-8, NUL-terminated, static.
    pub name: *const c_char,
    /// Version, UTF-8, NUL-terminated, static.
    pub version: *const c_char,
    /// Bits of [`role`].
    pub roles: u64,
    /// `[any thread]` Formats, traits and the JSON Schema of the configuration; may be null. See the header for the
    /// shape of the JSON.
    pub describe: Option<unsafe extern "C" fn(put: VpPut, to: *mut c_void) -> i32>,
    /// `[control, may block, 10 s]` Makes an instance from its configuration (a JSON object).
    pub open: Option<
        unsafe extern "C" fn(
            *const VpHost,
            *mut VpCtx,
            config_json: VpBytes,
            this: *mut *mut c_void,
            *mut VpError,
        ) -> i32,
    >,
    /// `[control, may block, 10 s]` Ends the instance: join your threads. No stream is left when it is called.
    pub close: Option<unsafe extern "C" fn(this: *mut c_void)>,
    /// `[media]` One stream for one call, in one role. `info_json` says format, call and settings (see the header).
    pub start: Option<
        unsafe extern "C" fn(
            this: *mut c_void,
            role: u64,
            info_json: VpBytes,
            *mut VpOut,
            stream: *mut *mut c_void,
            *mut VpError,
        ) -> i32,
    >,
    /// `[media]` `n` events in order. Never blocks.
    pub send: Option<unsafe extern "C" fn(stream: *mut c_void, *const VpEvent, n: usize) -> i32>,
    /// `[media]` Ends the stream; its pointer dies here.
    pub stop: Option<unsafe extern "C" fn(stream: *mut c_void)>,
    /// `[any thread]` Something by name that came after version 1, or null; may itself be null.
    pub extension: Option<unsafe extern "C" fn(id: *const c_char) -> *const c_void>,
}

/// The extension of a plugin that says what can be chosen from: a pointer to this, static in the plugin.
///
/// Its JSON is in the header: the voices and models of the account behind one opened instance.
#[repr(C)]
pub struct VpCatalog {
    /// `sizeof` as the plugin was built.
    pub size: u32,
    /// `[control, may block, 10 s]` Calls `put` once with the list; may be null, which is as good as no extension. Never
    /// called for an instance that is closing.
    pub list: Option<
        unsafe extern "C" fn(
            this: *mut c_void,
            put: VpPut,
            to: *mut c_void,
            error: *mut VpError,
        ) -> i32,
    >,
}

/// What [`VpPlugin::extension`] is asked for to get a [`VpCatalog`].
pub const CATALOG_ID: &str = "catalog/1";

/// What [`VpPlugin::extension`] is asked for to get a [`VpCatalog`] whose `list` puts the languages that the opened plugin
/// can be told, if these are not all. Asked for whenever a configuration is checked, so it asks no service.
pub const LANGUAGES_ID: &str = "languages/1";

/// The extension of a plugin that can say before it is opened what is wrong with a configuration, however much it is,
/// and what would come of it: a pointer to this, static in the plugin. Its JSON is in the header.
#[repr(C)]
pub struct VpCheck {
    /// `sizeof` as the plugin was built.
    pub size: u32,
    /// `[control, may block, 10 s]` Looks at the JSON that `open` would get, changes nothing, and calls `put` once; may be
    /// null, which is as good as no extension.
    pub check: Option<unsafe extern "C" fn(config: VpBytes, put: VpPut, to: *mut c_void) -> i32>,
}

/// What [`VpPlugin::extension`] is asked for to get a [`VpCheck`].
pub const CHECK_ID: &str = "check/1";

// SAFETY: the table holds function pointers and pointers to static, immutable strings; sharing it between threads
// shares nothing that changes.
unsafe impl Sync for VpPlugin {}

// SAFETY: function pointers only.
unsafe impl Sync for VpHost {}

/// The only symbol a library exports: `voice_plugin`. Null means "I cannot serve this host".
pub type VpEntry = unsafe extern "C" fn(host_abi: u32) -> *const VpPlugin;

/// The name of that symbol.
pub const ENTRY_SYMBOL: &str = "voice_plugin";

impl VpBytes {
    /// No bytes.
    pub const EMPTY: VpBytes = VpBytes {
        ptr: core::ptr::null(),
        len: 0,
    };

    /// Lends a slice: valid as long as the slice is, which the caller has to see to.
    pub const fn lend(bytes: &[u8]) -> VpBytes {
        VpBytes {
            ptr: bytes.as_ptr(),
            len: bytes.len(),
        }
    }

    /// The bytes as a slice.
    ///
    /// # Safety
    /// `ptr` must point at `len` readable bytes that stay unchanged for `'a`, or `len` must be 0.
    pub unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.len == 0 {
            &[]
        } else {
            // SAFETY: promised by the caller; len is not 0, so the pointer is a real one.
            unsafe { core::slice::from_raw_parts(self.ptr, self.len) }
        }
    }
}

impl VpEvent {
    /// An event with the bytes lent to it.
    pub const fn new(kind: u16, turn: u32, data: &[u8]) -> VpEvent {
        VpEvent {
            kind,
            flags: 0,
            turn,
            at: 0,
            data: VpBytes::lend(data),
        }
    }
}

impl VpError {
    /// An empty error for a callee to fill.
    pub const fn empty() -> VpError {
        VpError {
            code: 0,
            msg: [0; 252],
        }
    }

    /// Fills in a sentence, cut at a character's edge to what fits.
    pub fn say(&mut self, code: i32, text: &str) {
        let mut end = text.len().min(self.msg.len() - 1);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.code = code;
        for (to, from) in self.msg.iter_mut().zip(text.as_bytes()[..end].iter()) {
            *to = *from as c_char;
        }
        self.msg[end] = 0;
    }
}
