//! What a frame costs in memory: nothing in live mode, one allocation in two seconds of speech in parrot mode. Counted
//! on this thread, with a host that copies nothing.

#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::ptr;

use voice_plugin::abi::*;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

unsafe extern "C" fn log_level(_: *mut VpCtx) -> u32 {
    level::ERROR
}
unsafe extern "C" fn log(_: *mut VpCtx, _: u32, _: VpBytes, _: VpBytes) {}
unsafe extern "C" fn reserve(_: *mut VpOut, _: u16, _: u32, _: usize, _: *mut *mut u8) -> i32 {
    status::AGAIN
}
unsafe extern "C" fn commit(_: *mut VpOut, _: usize, _: u16) -> i32 {
    status::ERROR
}
/// Counts the bytes of sound in the number that the out points at.
unsafe extern "C" fn emit(out: *mut VpOut, event: *const VpEvent) -> i32 {
    // SAFETY: the out is the number in `sounds`; the event is lent.
    unsafe {
        if (*event).kind == kind::AUDIO {
            *out.cast::<usize>() += (*event).data.len;
        }
    }
    status::OK
}
unsafe extern "C" fn release(_: *mut VpOut) {}
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

/// Plays `frames` frames of speech and the end of the turn; answers allocations meanwhile and bytes that came back.
fn speech(config: &str, frames: usize) -> (usize, usize) {
    let table = responder_echo::plugin_table();
    let (mut this, mut stream, mut error) = (ptr::null_mut(), ptr::null_mut(), VpError::empty());
    let mut back = 0usize;
    // SAFETY: every pointer outlives the calls, which come in the order of the contract, on one thread.
    unsafe {
        let config = VpBytes::lend(config.as_bytes());
        let opened = table.open.unwrap()(&HOST, ptr::null_mut(), config, &mut this, &mut error);
        assert_eq!(opened, status::OK);
        let out = ptr::addr_of_mut!(back).cast();
        let info = VpBytes::EMPTY;
        let started =
            table.start.unwrap()(this, role::RESPONDER, info, out, &mut stream, &mut error);
        assert_eq!(started, status::OK);
        let send = |event: VpEvent| assert_eq!(table.send.unwrap()(stream, &event, 1), status::OK);
        let before = ALLOCATIONS.get();
        send(VpEvent::new(kind::SPEECH_START, 1, b""));
        for _ in 0..frames {
            send(VpEvent::new(kind::AUDIO, 1, &[0x80; 160]));
        }
        let mut over = VpEvent::new(kind::SPEECH_END, 1, b"");
        over.flags = flag::LAST;
        send(over);
        let allocations = ALLOCATIONS.get() - before;
        table.stop.unwrap()(stream);
        table.close.unwrap()(this);
        (allocations, back)
    }
}

#[test]
fn live_frame_allocates_nothing() {
    assert_eq!(speech(r#"{"mode":"live"}"#, 5000), (0, 5000 * 160));
}

#[test]
fn parrot_allocates_once_in_two_seconds() {
    // 30 s are kept of the 100 s.
    assert_eq!(speech(r#"{"mode":"parrot"}"#, 5000), (15, 30 * 8000));
}
