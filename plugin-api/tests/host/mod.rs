//! A small host for tests: the host's table over plain memory, and plugins driven through their table as the daemon
//! does it. Rings are a list with a byte count instead of shared memory, and nothing here is fast; what it promises a
//! plugin is the same, and what a plugin may get wrong is counted: releases, uses after release, two reservations.
//!
//! Waiting is done on a condition variable with a deadline, which passes only when a plugin is broken.

// Every test file takes this file in as its own module and uses a part of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::ffi::CStr;
use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use voice_plugin::abi::*;

/// When a plugin counts as broken. Far beyond anything a healthy one needs.
const DEADLINE: Duration = Duration::from_secs(20);
/// A ring as the daemon has it.
pub const RING_BYTES: usize = 32 * 1024;
/// What each record costs beside its bytes.
pub const HEAD_BYTES: usize = 16;
/// The last bytes of a ring take DONE, FAILED and ACTION only.
pub const CONTROL_BYTES: usize = 512;

/// One record that a plugin handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub kind: u16,
    pub flags: u16,
    pub turn: u32,
    pub data: Vec<u8>,
}

impl Record {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.data).expect("text of a record is UTF-8")
    }
}

/// One line in the host's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub level: u32,
    pub text: String,
    pub fields: String,
}

/// What stands behind a `VpCtx`.
#[derive(Default)]
struct Log {
    lines: Mutex<Vec<Line>>,
    written: Condvar,
}

/// What stands behind a `VpOut`.
struct Ring {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    capacity: usize,
    used: usize,
    records: Vec<Record>,
    reserved: Option<(u16, u32, Vec<u8>)>,
    /// Turns below this one are answered with CANCELLED.
    least: u32,
    /// A plugin was told AGAIN and waits for WRITABLE.
    full: bool,
    told_full: usize,
    releases: usize,
    used_after_release: usize,
}

impl State {
    /// Turn 0 is outside all turns, and an action stands whatever became of its turn.
    fn is_stale(&self, kind: u16, turn: u32) -> bool {
        turn != 0 && kind != kind::ACTION && turn < self.least
    }
}

unsafe extern "C" fn log_level(_: *mut VpCtx) -> u32 {
    level::DEBUG
}

unsafe extern "C" fn log(ctx: *mut VpCtx, level: u32, text: VpBytes, fields: VpBytes) {
    // SAFETY: the context is the `Log` that `open` lent, which lives until after `close`; the bytes are lent.
    let (log, text, fields) = unsafe { (&*ctx.cast::<Log>(), text.bytes(), fields.bytes()) };
    let text = String::from_utf8(text.to_vec()).expect("log text is UTF-8");
    let fields = String::from_utf8(fields.to_vec()).expect("log fields are UTF-8");
    log.lines.lock().unwrap().push(Line {
        level,
        text,
        fields,
    });
    log.written.notify_all();
}

/// # Safety
/// `out` must come from `start` below. Its memory is kept until the stream's handle is gone, released or not.
unsafe fn ring<'a>(out: *mut VpOut) -> &'a Ring {
    // SAFETY: promised by the caller.
    unsafe { &*out.cast::<Ring>() }
}

unsafe extern "C" fn reserve(
    out: *mut VpOut,
    kind: u16,
    turn: u32,
    want: usize,
    p: *mut *mut u8,
) -> i32 {
    // SAFETY: the plugin passes what `start` gave it.
    let ring = unsafe { ring(out) };
    let mut state = ring.state.lock().unwrap();
    if state.releases > 0 {
        state.used_after_release += 1;
        return status::ERROR;
    }
    let control = matches!(kind, kind::DONE | kind::FAILED | kind::ACTION);
    let keep = if control { 0 } else { CONTROL_BYTES };
    if state.reserved.is_some() || want + HEAD_BYTES + keep > state.capacity {
        return status::ERROR;
    }
    if state.is_stale(kind, turn) {
        return status::CANCELLED;
    }
    if state.used + want + HEAD_BYTES + keep > state.capacity {
        state.full = true;
        state.told_full += 1;
        ring.changed.notify_all();
        return status::AGAIN;
    }
    let mut room = vec![0; want];
    // SAFETY: the plugin's pointer, for the length of this call. Moving the vector does not move its bytes.
    unsafe { *p = room.as_mut_ptr() };
    state.reserved = Some((kind, turn, room));
    status::OK
}

unsafe extern "C" fn commit(out: *mut VpOut, n: usize, flags: u16) -> i32 {
    // SAFETY: the plugin passes what `start` gave it.
    let ring = unsafe { ring(out) };
    let mut state = ring.state.lock().unwrap();
    let Some((kind, turn, mut data)) = state.reserved.take() else {
        return status::ERROR;
    };
    if n > data.len() {
        return status::ERROR;
    }
    if state.is_stale(kind, turn) {
        return status::CANCELLED;
    }
    data.truncate(n);
    if n > 0 || kind != kind::AUDIO {
        state.used += n + HEAD_BYTES;
        state.records.push(Record {
            kind,
            flags,
            turn,
            data,
        });
        ring.changed.notify_all();
    }
    status::OK
}

unsafe extern "C" fn emit(out: *mut VpOut, event: *const VpEvent) -> i32 {
    // SAFETY: lent for this call.
    let (event, data) = unsafe { (&*event, (*event).data.bytes()) };
    let mut room = ptr::null_mut();
    // SAFETY: `room` outlives the call; what is copied fits what was reserved.
    unsafe {
        match reserve(out, event.kind, event.turn, data.len(), &mut room) {
            status::OK => {
                ptr::copy_nonoverlapping(data.as_ptr(), room, data.len());
                commit(out, data.len(), event.flags)
            }
            other => other,
        }
    }
}

unsafe extern "C" fn release(out: *mut VpOut) {
    // SAFETY: the plugin passes what `start` gave it.
    let ring = unsafe { ring(out) };
    ring.state.lock().unwrap().releases += 1;
    ring.changed.notify_all();
}

unsafe extern "C" fn extension(_: *mut VpCtx, _: *const c_char) -> *const c_void {
    ptr::null()
}

static HOST: VpHost = VpHost {
    size: size_of::<VpHost>() as u32,
    abi: ABI,
    log_level,
    log,
    reserve,
    commit,
    emit,
    release,
    extension,
};

/// The description of a plugin, as text.
pub fn describe(table: &VpPlugin) -> String {
    unsafe extern "C" fn put(to: *mut c_void, json: VpBytes) {
        // SAFETY: `to` is the string below; the bytes are lent.
        unsafe { (*to.cast::<String>()).push_str(std::str::from_utf8(json.bytes()).unwrap()) }
    }
    let mut json = String::new();
    // SAFETY: `put` gets back the pointer that fits it.
    let status = unsafe { table.describe.unwrap()(put, ptr::addr_of_mut!(json).cast()) };
    assert_eq!(status, status::OK);
    json
}

/// An opened plugin; closed when dropped.
pub struct Opened {
    table: &'static VpPlugin,
    this: *mut c_void,
    log: Arc<Log>,
}

// SAFETY: an instance may be used from several threads; the table says so.
unsafe impl Sync for Opened {}

/// What a function answered instead of working: its status and its sentence.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    pub status: i32,
    pub text: String,
    pub log: Vec<Line>,
}

fn sentence(error: &VpError) -> String {
    // SAFETY: a callee ends what it writes with NUL, and an empty error is all NUL.
    unsafe { CStr::from_ptr(error.msg.as_ptr()) }
        .to_str()
        .expect("an error is UTF-8")
        .to_owned()
}

/// Opens a plugin with a configuration.
pub fn open(table: &'static VpPlugin, config: &str) -> Result<Opened, Refused> {
    open_with(table, config, &HOST)
}

/// The same with a host's table of one's own making.
pub fn open_with(
    table: &'static VpPlugin,
    config: &str,
    host: &'static VpHost,
) -> Result<Opened, Refused> {
    let (mut this, mut error, log) = (ptr::null_mut(), VpError::empty(), Arc::<Log>::default());
    let ctx = Arc::as_ptr(&log).cast_mut().cast();
    // SAFETY: every pointer outlives the call, and the log outlives `close`.
    let status = unsafe {
        table.open.unwrap()(
            host,
            ctx,
            VpBytes::lend(config.as_bytes()),
            &mut this,
            &mut error,
        )
    };
    if status == status::OK {
        Ok(Opened { table, this, log })
    } else {
        let log = log.lines.lock().unwrap().clone();
        Err(Refused {
            status,
            text: sentence(&error),
            log,
        })
    }
}

/// A host's table like the real one but for its first two numbers.
pub fn host_of_another_version(size: u32, abi: u32) -> &'static VpHost {
    Box::leak(Box::new(VpHost {
        size,
        abi,
        log_level,
        log,
        reserve,
        commit,
        emit,
        release,
        extension,
    }))
}

impl Opened {
    /// What can be chosen from, as the extension puts it; `None` when there is no such extension.
    pub fn catalog(&self) -> Option<Result<String, String>> {
        self.listed(CATALOG_ID)
    }

    /// The languages it can be told, likewise.
    pub fn languages(&self) -> Option<Result<String, String>> {
        self.listed(LANGUAGES_ID)
    }

    fn listed(&self, id: &str) -> Option<Result<String, String>> {
        unsafe extern "C" fn put(to: *mut c_void, json: VpBytes) {
            // SAFETY: `to` is the string below; the bytes are lent.
            unsafe { (*to.cast::<String>()).push_str(std::str::from_utf8(json.bytes()).unwrap()) }
        }
        // SAFETY: an id is lent for the call; what is answered is static and of this type, by contract.
        let found = unsafe {
            let id = std::ffi::CString::new(id).unwrap();
            self.table.extension.unwrap()(id.as_ptr())
                .cast::<VpCatalog>()
                .as_ref()
        };
        let list = found?.list.unwrap();
        let (mut json, mut error) = (String::new(), VpError::empty());
        // SAFETY: every pointer outlives the call, and the instance is open.
        let status = unsafe { list(self.this, put, ptr::addr_of_mut!(json).cast(), &mut error) };
        Some(match status {
            status::OK => Ok(json),
            _ => Err(sentence(&error)),
        })
    }

    /// Starts a stream with a ring of the usual size.
    pub fn start(&self, role: u64, info: &str) -> Result<Stream<'_>, Refused> {
        self.start_with(role, info, RING_BYTES)
    }

    /// Starts a stream with a ring of `capacity` bytes. A refused start has to release its way out.
    pub fn start_with(
        &self,
        role: u64,
        info: &str,
        capacity: usize,
    ) -> Result<Stream<'_>, Refused> {
        let state = State {
            capacity,
            ..State::default()
        };
        let ring = Arc::new(Ring {
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let out = Arc::as_ptr(&ring).cast_mut().cast();
        let (mut stream, mut error) = (ptr::null_mut(), VpError::empty());
        // SAFETY: every pointer outlives the call; the ring is kept until the stream was stopped and released.
        let status = unsafe {
            let info = VpBytes::lend(info.as_bytes());
            self.table.start.unwrap()(self.this, role, info, out, &mut stream, &mut error)
        };
        if status == status::OK {
            return Ok(Stream {
                opened: self,
                stream,
                ring,
            });
        }
        assert_eq!(
            ring.state.lock().unwrap().releases,
            1,
            "a refused start releases its out once"
        );
        Err(Refused {
            status,
            text: sentence(&error),
            log: self.log(),
        })
    }

    pub fn log(&self) -> Vec<Line> {
        self.log.lines.lock().unwrap().clone()
    }

    /// Waits for a line that contains `words`.
    #[track_caller]
    pub fn wait_for_line(&self, words: &str) -> Line {
        let until = Instant::now() + DEADLINE;
        let mut lines = self.log.lines.lock().unwrap();
        loop {
            if let Some(line) = lines.iter().find(|line| line.text.contains(words)) {
                return line.clone();
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // Without the lock, because the plugin's panic hook may want to write a line.
                let said = lines.clone();
                drop(lines);
                panic!("no line says {words:?}: {said:#?}");
            }
            lines = self.log.written.wait_timeout(lines, left).unwrap().0;
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // SAFETY: opened once, closed once; streams borrow self, so none is left.
        unsafe { self.table.close.unwrap()(self.this) }
    }
}

/// One stream; stopped when dropped, and then its way out must be released once.
pub struct Stream<'a> {
    opened: &'a Opened,
    stream: *mut c_void,
    ring: Arc<Ring>,
}

impl Stream<'_> {
    /// Hands events over, in one call; answers the status.
    pub fn send(&self, events: &[VpEvent]) -> i32 {
        // SAFETY: the events and what they lend outlive the call; tests use one thread per stream.
        unsafe { self.opened.table.send.unwrap()(self.stream, events.as_ptr(), events.len()) }
    }

    /// One event with its data.
    pub fn tell(&self, kind: u16, turn: u32, data: &[u8]) -> i32 {
        self.send(&[VpEvent::new(kind, turn, data)])
    }

    /// The caller's turn is over.
    pub fn turn_over(&self, turn: u32) -> i32 {
        let mut event = VpEvent::new(kind::SPEECH_END, turn, &[]);
        event.flags = flag::LAST;
        self.send(&[event])
    }

    /// As a barge-in does it: first the ring refuses, then the plugin is told.
    pub fn cancel(&self, turn: u32) -> i32 {
        self.give_up(turn);
        self.tell(kind::CANCEL, turn, &[])
    }

    /// As when the caller goes on before he has heard a word of the answer.
    pub fn withdraw(&self, turn: u32) -> i32 {
        self.give_up(turn);
        let mut event = VpEvent::new(kind::CANCEL, turn, &[]);
        event.flags = flag::WITHDRAWN;
        self.send(&[event])
    }

    /// Only the first half of that: the plugin learns it at its next write.
    pub fn give_up(&self, turn: u32) {
        let mut state = self.ring.state.lock().unwrap();
        state.least = turn + 1;
        let State { records, used, .. } = &mut *state;
        records.retain(|record| record.turn > turn);
        *used = records
            .iter()
            .map(|record| record.data.len() + HEAD_BYTES)
            .sum();
    }

    /// Everything in the ring, which is empty afterwards. Tells WRITABLE if somebody was told AGAIN.
    pub fn take(&self) -> Vec<Record> {
        let (records, full) = {
            let mut state = self.ring.state.lock().unwrap();
            state.used = 0;
            (
                std::mem::take(&mut state.records),
                std::mem::take(&mut state.full),
            )
        };
        if full {
            self.tell(kind::WRITABLE, 0, &[]);
        }
        records
    }

    /// Takes records until one of this kind has come.
    #[track_caller]
    pub fn take_until(&self, kind: u16) -> Vec<Record> {
        let mut taken: Vec<Record> = Vec::new();
        loop {
            taken.extend(self.take());
            if taken.iter().any(|record| record.kind == kind) {
                return taken;
            }
            self.wait(&taken, |state| !state.records.is_empty() || state.full);
        }
    }

    /// Waits until something is in the ring, and leaves it there.
    #[track_caller]
    pub fn wait_for_record(&self) {
        self.wait(&[], |state| !state.records.is_empty());
    }

    /// Waits until the plugin has been told AGAIN for the `times`th time.
    #[track_caller]
    pub fn wait_until_told_full(&self, times: usize) {
        self.wait(&[], |state| state.told_full >= times);
    }

    #[track_caller]
    fn wait(&self, taken: &[Record], ready: impl Fn(&State) -> bool) {
        let until = Instant::now() + DEADLINE;
        let mut state = self.ring.state.lock().unwrap();
        while !ready(&state) {
            let left = until.saturating_duration_since(Instant::now());
            let log = self.opened.log();
            assert!(
                !left.is_zero(),
                "nothing came; taken: {taken:#?}\nlog: {log:#?}"
            );
            state = self.ring.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Bytes and heads that wait in the ring.
    pub fn used(&self) -> usize {
        self.ring.state.lock().unwrap().used
    }

    pub fn released(&self) -> usize {
        self.ring.state.lock().unwrap().releases
    }

    /// Stops the stream, waits for the release, and hands out a watch over the ring so that a second release, or a
    /// use after it, can be found once the plugin is closed.
    #[track_caller]
    pub fn stop(self) -> Watch {
        Watch(self.ring.clone())
    }
}

impl Drop for Stream<'_> {
    #[track_caller]
    fn drop(&mut self) {
        // SAFETY: started once, stopped once.
        unsafe { self.opened.table.stop.unwrap()(self.stream) }
        if !std::thread::panicking() {
            self.wait(&[], |state| state.releases > 0);
        }
        // The plugin may look at the ring until it is closed; a test's memory is cheap.
        std::mem::forget(self.ring.clone());
    }
}

/// The ring of a stopped stream.
pub struct Watch(Arc<Ring>);

impl Watch {
    /// To be asked after the plugin was closed.
    #[track_caller]
    pub fn assert_released_once(&self) {
        let state = self.0.state.lock().unwrap();
        assert_eq!(
            (state.releases, state.used_after_release),
            (1, 0),
            "releases, uses after release"
        );
    }
}

/// All sound in these records, one after the other.
pub fn sound(records: &[Record]) -> Vec<u8> {
    let audio = records.iter().filter(|record| record.kind == kind::AUDIO);
    audio
        .flat_map(|record| record.data.iter().copied())
        .collect()
}
