//! The last words of a process that a plugin takes with it: which signal, on which thread, in whose code, and what to do.
//! Then the signal does what it would have done: the exit status and the core dump are those of the crash itself, and
//! Rust's own handler still says when a stack has overflowed.
//!
//! ```text
//! SIGSEGV … ──→ handler ──→ one line on stderr ──→ whoever handled it before ──→ the default: core dump, end
//!                 │ the instruction lies in a library of ours      "in the code of"
//!                 │ the thread's note (watch.rs) says who is in    "in a call into"
//!                 └ a return address on the stack lies in one      "called by"
//! ```
//!
//! The handler runs in the middle of anything, a held allocator's lock included. So it calls nothing but system calls,
//! allocates nothing, locks nothing, and reads only what was put down for it before and never changes again: the list of
//! all openings, and each thread's note. It stands on the small alternate stack that Rust gives each thread of ours, so it
//! keeps its text elsewhere; on a thread that a plugin made in C it stands on that thread's own stack, and if that very
//! stack has overflowed nothing can be said.

use super::watch;
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_void};
use std::mem;
use std::ops::Range;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

/// The signals by which code that went wrong ends a process, and their names.
const SIGNALS: [(c_int, &str); 5] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGABRT, "SIGABRT"),
];

/// Longest line. A pipe takes so much at once.
const LINE_BYTES: usize = 2048;

/// How long somebody who does not read stderr may keep us from ending.
const STDERR_MS: c_int = 1000;

/// How much of the stack is looked through for a plugin's return address.
const STACK_BYTES: usize = 32 << 10;

/// … so much at a time.
const PIECE_BYTES: usize = 1024;

/// Names that are given for one library: as many plugins of the configuration may share it as like.
const NAMES: usize = 4;

/// Where a library lies in memory, and from which file it came. Never changes and never goes, as the library.
#[derive(Debug)]
pub(super) struct Place {
    file: String,
    code: Range<usize>,
}

/// One opening of a plugin, for the handler to find.
struct Opening {
    number: u64,
    name: &'static str,
    place: &'static Place,
    before: *const Opening,
}

/// The latest opening; each knows the one before it. They are never freed: so much is left of every opening anyway.
static OPENINGS: AtomicPtr<Opening> = AtomicPtr::new(ptr::null_mut());

thread_local! {
    /// The file whose constructors and descriptions run on this thread.
    static LOADING: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// What happens when the process has ended, in a sentence; set once.
static THEN: AtomicPtr<&'static str> = AtomicPtr::new(ptr::null_mut());

/// Thread that speaks; 0 while none does.
static SPEAKER: AtomicI32 = AtomicI32::new(0);

/// Both ends of a pipe: what is written to it from memory that is not there is refused, not a crash of its own.
static PROBE: [AtomicI32; 2] = [const { AtomicI32::new(-1) }; 2];

/// What only the one thread that speaks may touch, or nobody but [`name_who_crashes`] before there is a handler.
struct Alone<T>(UnsafeCell<T>);

// SAFETY: see the type: whoever touches it is alone.
unsafe impl<T> Sync for Alone<T> {}

static LINE: Alone<Line> = Alone(UnsafeCell::new(Line {
    bytes: [0; LINE_BYTES],
    len: 0,
}));
static PIECE: Alone<[usize; PIECE_BYTES / size_of::<usize>()]> =
    Alone(UnsafeCell::new([0; PIECE_BYTES / size_of::<usize>()]));
static BEFORE: Alone<[Option<libc::sigaction>; SIGNALS.len()]> =
    Alone(UnsafeCell::new([None; SIGNALS.len()]));

/// From now on this process says who took it down. `then` is what happens afterwards, a whole sentence. The first caller's
/// holds.
pub fn name_who_crashes(then: &'static str) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        THEN.store(Box::into_raw(Box::new(then)), Ordering::Relaxed);
        let mut ends = [-1; 2];
        // SAFETY: two descriptors of ours to be filled in. Without them no stack is looked through.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } == 0 {
            for (end, kept) in ends.into_iter().zip(&PROBE) {
                kept.store(end, Ordering::Relaxed);
            }
        }
        for (at, (signal, _)) in SIGNALS.into_iter().enumerate() {
            // SAFETY: a sigaction of zeros is a whole one: the default action with an empty mask.
            let (mut ours, mut theirs) = unsafe {
                (
                    mem::zeroed::<libc::sigaction>(),
                    mem::zeroed::<libc::sigaction>(),
                )
            };
            ours.sa_sigaction = handler as *const () as usize;
            ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            // SAFETY: the handler calls only what a handler may. Until it stands, nobody else looks at `BEFORE`; the
            // signal cannot have come between the two calls and find it empty, for then the first leaves it as it was.
            unsafe {
                if libc::sigaction(signal, ptr::null(), &mut theirs) == 0 {
                    (*BEFORE.0.get())[at] = Some(theirs);
                    libc::sigaction(signal, &ours, ptr::null_mut());
                }
            }
        }
    });
}

/// A thread that loads a library from this file, until this is dropped.
pub(super) struct Loading(());

impl Loading {
    /// The file's name is kept for ever, as the library is.
    pub(super) fn from(file: &str) -> Loading {
        LOADING.set(Some(String::leak(file.to_owned())));
        Loading(())
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        LOADING.set(None);
    }
}

/// Where the library lies that has this address in it, to be known for ever by the name of `file`.
pub(super) fn place(address: usize, file: &str) -> &'static Place {
    struct Search {
        address: usize,
        code: Range<usize>,
    }
    unsafe extern "C" fn look(
        object: *mut libc::dl_phdr_info,
        _: libc::size_t,
        search: *mut c_void,
    ) -> c_int {
        // SAFETY: both pointers are what the linker and the caller below have given for this call.
        let (object, search) = unsafe { (&*object, &mut *search.cast::<Search>()) };
        // SAFETY: the linker's table of so many headers; null only if there are none.
        let headers = (0..usize::from(object.dlpi_phnum))
            .map(|at| unsafe { &*object.dlpi_phdr.add(at) })
            .filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0);
        let (mut first, mut end) = (usize::MAX, 0);
        for header in headers {
            let start = (object.dlpi_addr as usize).wrapping_add(header.p_vaddr as usize);
            first = first.min(start);
            end = end.max(start.saturating_add(header.p_memsz as usize));
        }
        let found = (first..end).contains(&search.address);
        if found {
            search.code = first..end;
        }
        c_int::from(found)
    }
    let mut search = Search {
        address,
        code: 0..0,
    };
    // SAFETY: `look` does not unwind and touches nothing but what it is given.
    unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut search).cast()) };
    Box::leak(Box::new(Place {
        file: file.to_owned(),
        code: search.code,
    }))
}

/// Generation `number` of the plugin configured as `name` is opened from the library there.
pub(super) fn remember(number: u64, name: &'static str, place: &'static Place) {
    let opening = Box::leak(Box::new(Opening {
        number,
        name,
        place,
        before: ptr::null(),
    }));
    let mut latest = OPENINGS.load(Ordering::Acquire);
    loop {
        opening.before = latest;
        let swapped =
            OPENINGS.compare_exchange_weak(latest, opening, Ordering::AcqRel, Ordering::Acquire);
        match swapped {
            Ok(_) => return,
            Err(other) => latest = other,
        }
    }
}

/// Every opening, latest first.
fn openings() -> impl Iterator<Item = &'static Opening> {
    let mut next = OPENINGS.load(Ordering::Acquire).cast_const();
    std::iter::from_fn(move || {
        // SAFETY: null, or an opening that was whole before it was put here, and is never freed.
        let opening = unsafe { next.as_ref() }?;
        next = opening.before;
        Some(opening)
    })
}

/// The library that has this address in its code.
fn library_at(address: usize) -> Option<&'static Place> {
    openings()
        .map(|opening| opening.place)
        .find(|place| place.code.contains(&address))
}

/// Who is behind a crash, the surest first.
enum Behind {
    /// Somebody else sent the signal.
    Sender(libc::pid_t),
    /// The instruction is this library's.
    Code(&'static Place),
    /// The thread is in a call into this opening.
    Call(&'static Opening),
    /// Constructors of this file run, or it describes itself.
    Loading(&'static str),
    /// The instruction is somebody's whom this library has called.
    CalledBy(&'static Place),
    Nobody,
}

extern "C" fn handler(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: a system call without arguments.
    let me = unsafe { libc::gettid() };
    match SPEAKER.compare_exchange(0, me, Ordering::Relaxed, Ordering::Relaxed) {
        // SAFETY: of all threads only this one has come here; the pointers are the kernel's.
        Ok(_) => unsafe { speak(signal, info, context) },
        // Rust has said that the stack has overflowed and aborts; or speaking itself has crashed.
        Err(speaker) if speaker == me => {}
        // Two at once: who ends first must not cut off who speaks.
        Err(_) => {
            let pause = libc::timespec {
                tv_sec: 0,
                tv_nsec: 10_000_000,
            };
            for _ in 0..STDERR_MS / 10 {
                // SAFETY: sleeps a moment.
                unsafe { libc::nanosleep(&pause, ptr::null_mut()) };
            }
        }
    }
    // SAFETY: as it was called itself.
    unsafe { hand_over(signal, info, context) };
}

/// Lets happen what would have happened.
///
/// # Safety
/// To be called by a handler with what the kernel has given it.
unsafe fn hand_over(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let at = SIGNALS.iter().position(|(known, _)| *known == signal);
    // SAFETY: was written before there was a handler, and never since.
    let before = at.and_then(|at| unsafe { (*BEFORE.0.get())[at] });
    match before {
        Some(theirs) if !matches!(theirs.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) => {
            if theirs.sa_flags & libc::SA_SIGINFO != 0 {
                type Full = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
                // SAFETY: the flag says that it is one of these.
                let theirs = unsafe { mem::transmute::<usize, Full>(theirs.sa_sigaction) };
                theirs(signal, info, context);
            } else {
                // SAFETY: without the flag it is one of these.
                let theirs =
                    unsafe { mem::transmute::<usize, extern "C" fn(c_int)>(theirs.sa_sigaction) };
                theirs(signal);
            }
        }
        // SAFETY: a sigaction of zeros is the default action.
        _ => unsafe {
            let default = mem::zeroed::<libc::sigaction>();
            libc::sigaction(signal, &default, ptr::null_mut());
        },
    }
    // An instruction that crashed does so again when we return, with all of its state for the dump. A signal that was
    // sent has to be sent again; it waits until then.
    // SAFETY: the kernel's own record of the signal.
    if unsafe { (*info).si_code } <= 0 {
        // SAFETY: a system call.
        unsafe { libc::raise(signal) };
    }
}

/// Writes the line.
///
/// # Safety
/// To be called by one thread once, with what the kernel has given its handler.
unsafe fn speak(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: nobody else touches them, says the caller.
    let (line, piece) = unsafe { (&mut *LINE.0.get(), &mut *PIECE.0.get()) };
    // SAFETY: of a signal that was sent, the kernel says by whom; of one that an instruction made, where.
    let sent = unsafe { (*info).si_code } <= 0;
    // SAFETY: as above, and as the kernel gave it.
    let behind = unsafe { behind(sent.then(|| (*info).si_pid()), context, piece) };
    line.text("voice-streamer: ");
    let name = SIGNALS.iter().find(|(known, _)| *known == signal);
    line.text(name.map_or("a signal", |(_, name)| name));
    if !sent {
        line.text(" at address 0x");
        // SAFETY: as above.
        line.number(unsafe { (*info).si_addr() } as usize, 16);
    }
    line.text(" on the thread \"");
    let mut thread = [0; 16];
    // SAFETY: writes at most 16 bytes, the last of them a NUL.
    unsafe { libc::prctl(libc::PR_GET_NAME, thread.as_mut_ptr()) };
    let len = thread.iter().position(|byte| *byte == 0).unwrap_or(0);
    line.bytes(&thread[..len]);
    line.text("\" (");
    line.number(SPEAKER.load(Ordering::Relaxed).unsigned_abs() as usize, 10);
    line.text("), ");
    line.behind(&behind);
    line.text(". ");
    // SAFETY: null, or leaked by `name_who_crashes`.
    if let Some(then) = unsafe { THEN.load(Ordering::Relaxed).as_ref() } {
        line.text(then);
        line.text(" ");
    }
    line.text(match behind {
        Behind::Sender(_) => "Whoever sent it knows why.",
        Behind::Nobody => "Please report this line, with the core dump if there is one.",
        Behind::Code(_) | Behind::Call(_) | Behind::Loading(_) | Behind::CalledBy(_) => {
            "If it happens again, take the plugin out of the configuration or put its last build back; whoever makes it wants \
             this line, and the core dump if there is one."
        }
    });
    line.write();
}

/// Who is behind it: `sender` has sent it, or what the processor stood at says so.
///
/// # Safety
/// `context` is what the kernel has given a handler.
unsafe fn behind(sender: Option<libc::pid_t>, context: *mut c_void, piece: &mut [usize]) -> Behind {
    // SAFETY: a system call without arguments. An abort is sent by the process to itself.
    if let Some(sender) = sender.filter(|sender| *sender != unsafe { libc::getpid() }) {
        return Behind::Sender(sender);
    }
    // SAFETY: passed on.
    let (instruction, stack) = unsafe { registers(context) };
    if let Some(place) = library_at(instruction) {
        return Behind::Code(place);
    }
    let inside = watch::inside_here();
    let called = openings().find(|opening| inside != 0 && opening.number as u32 == inside);
    if let Some(opening) = called {
        return Behind::Call(opening);
    }
    if let Some(file) = LOADING.get() {
        return Behind::Loading(file);
    }
    match returns_to(stack, piece) {
        Some(place) => Behind::CalledBy(place),
        None => Behind::Nobody,
    }
}

/// Where the processor stood, and the top of its stack.
///
/// # Safety
/// `context` is what the kernel has given a handler.
#[allow(clippy::unnecessary_cast)]
unsafe fn registers(context: *mut c_void) -> (usize, usize) {
    // SAFETY: says the caller.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    let machine = &context.uc_mcontext;
    #[cfg(target_arch = "x86_64")]
    return (
        machine.gregs[libc::REG_RIP as usize] as usize,
        machine.gregs[libc::REG_RSP as usize] as usize,
    );
    #[cfg(target_arch = "aarch64")]
    return (machine.pc as usize, machine.sp as usize);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        let _unknown = machine;
        (0, 0)
    }
}

/// The library that the innermost return address of a plugin on the stack leads to. What lies on a stack may be left over
/// from a call before, so this is the last resort.
fn returns_to(stack: usize, piece: &mut [usize]) -> Option<&'static Place> {
    let [from, to] = [0, 1].map(|end| PROBE[end].load(Ordering::Relaxed));
    let mut at = stack;
    while at.wrapping_sub(stack) < STACK_BYTES && at != 0 {
        // SAFETY: the kernel reads there for us, and says so if there is nothing to read.
        let found = unsafe { libc::write(to, at as *const c_void, PIECE_BYTES) };
        let Ok(found @ 1..) = usize::try_from(found) else {
            return None;
        };
        // SAFETY: the buffer has this size.
        let read = unsafe { libc::read(from, piece.as_mut_ptr().cast(), PIECE_BYTES) };
        if usize::try_from(read) != Ok(found) {
            return None;
        }
        let words = &piece[..found / size_of::<usize>()];
        // The call ends before the address that it returns to.
        let called = words
            .iter()
            .find_map(|word| library_at(word.wrapping_sub(1)));
        if called.is_some() {
            return called;
        }
        at = at.wrapping_add(PIECE_BYTES);
    }
    None
}

/// A line that is put together where it is, without memory of anybody's.
struct Line {
    bytes: [u8; LINE_BYTES],
    len: usize,
}

impl Line {
    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// What does not fit is left out, and what a terminal would obey is not shown.
    fn bytes(&mut self, bytes: &[u8]) {
        // The last place is the line's end.
        let room = self.bytes[..LINE_BYTES - 1].iter_mut().skip(self.len);
        for (to, from) in room.zip(bytes) {
            *to = if from.is_ascii_control() { b'?' } else { *from };
            self.len += 1;
        }
    }

    fn number(&mut self, mut number: usize, base: usize) {
        let mut digits = [b'0'; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b"0123456789abcdef"[number % base];
            number /= base;
            if number == 0 || at == 0 {
                break;
            }
        }
        self.bytes(&digits[at..]);
    }

    fn behind(&mut self, behind: &Behind) {
        match behind {
            Behind::Sender(sender) => {
                self.text("sent by process ");
                self.number(sender.unsigned_abs() as usize, 10);
            }
            Behind::Code(place) => {
                self.text("in the code of ");
                self.plugin(place);
            }
            Behind::Call(opening) => {
                self.text("in a call into ");
                self.name(opening.name);
                self.file(opening.place);
            }
            Behind::Loading(file) => {
                self.text("while the library ");
                self.text(file);
                self.text(" was loaded");
            }
            Behind::CalledBy(place) => {
                self.text("as it seems called by ");
                self.plugin(place);
            }
            Behind::Nobody => self.text("in the code of no plugin"),
        }
    }

    /// The plugins that a library is opened for.
    fn plugin(&mut self, place: &'static Place) {
        let of_it = || openings().filter(|opening| ptr::eq(opening.place, place));
        let names = of_it()
            .enumerate()
            .filter(|(at, opening)| !of_it().take(*at).any(|later| later.name == opening.name));
        for (at, (_, opening)) in names.take(NAMES).enumerate() {
            if at > 0 {
                self.text(" or ");
            }
            self.name(opening.name);
        }
        self.file(place);
    }

    fn name(&mut self, name: &str) {
        self.text("[plugins.");
        self.text(name);
        self.text("]");
    }

    fn file(&mut self, place: &Place) {
        self.text(" (");
        self.text(&place.file);
        self.text(")");
    }

    /// Writes it, unless nobody reads.
    fn write(&mut self) {
        self.bytes[self.len] = b'\n';
        let line = &self.bytes[..=self.len];
        let mut ready = libc::pollfd {
            fd: libc::STDERR_FILENO,
            events: libc::POLLOUT,
            revents: 0,
        };
        // SAFETY: one descriptor to wait for; then bytes of ours to write.
        unsafe {
            if libc::poll(&mut ready, 1, STDERR_MS) == 1 {
                libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Line {
        Line {
            bytes: [0; LINE_BYTES],
            len: 0,
        }
    }

    fn written(line: &Line) -> &[u8] {
        &line.bytes[..line.len]
    }

    #[test]
    fn numbers_are_written_without_help() {
        for (number, base, is) in [
            (0, 10, "0"),
            (4096, 10, "4096"),
            (usize::MAX, 10, "18446744073709551615"),
            (0xdead_beef, 16, "deadbeef"),
        ] {
            let mut line = empty();
            line.number(number, base);
            assert_eq!(written(&line), is.as_bytes());
        }
    }

    #[test]
    fn a_line_is_one_line_and_ends_where_its_room_does() {
        let mut line = empty();
        line.text("a\u{1b}[2J\nb");
        assert_eq!(written(&line), b"a?[2J?b");
        line.text(&"x".repeat(LINE_BYTES));
        line.text("no more");
        assert_eq!(line.len, LINE_BYTES - 1, "the last place is the line's end");
    }

    /// A library of one's own, at addresses where nothing is.
    fn library(file: &str, code: Range<usize>) -> &'static Place {
        Box::leak(Box::new(Place {
            file: file.to_owned(),
            code,
        }))
    }

    #[test]
    fn a_library_is_told_with_the_names_it_is_opened_by_the_latest_first_and_not_all_of_many() {
        let shared = library("/lib/shared.so", 16..32);
        for (number, name) in (1..).zip(["one", "two", "one", "3", "4", "5"]) {
            remember(u64::MAX - number, name, shared);
        }
        assert!(library_at(31).is_some_and(|place| ptr::eq(place, shared)));
        assert!(library_at(32).is_none());
        let mut line = empty();
        line.behind(&Behind::Code(shared));
        assert_eq!(
            String::from_utf8_lossy(written(&line)),
            "in the code of [plugins.5] or [plugins.4] or [plugins.3] or [plugins.one] (/lib/shared.so)"
        );
    }

    #[test]
    fn a_function_lies_in_the_code_of_its_own_library() {
        let address = libc::getpid as *const () as usize;
        let place = place(address, "libc.so");
        assert!(place.code.contains(&address));
        assert!(!place.code.contains(&(place as *const Place as usize)));
    }
}
