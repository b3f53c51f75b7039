//! One 20 ms frame of µ-law into a plugin through its table and back out: what the contract costs, without any ring
//! (the host here copies into a fixed place and answers OK). Plain timing in batches, so that a busy machine shows in the
//! median and not in the best; `cargo bench -p voice-plugin`.

#![allow(clippy::print_stdout)]

use std::ffi::{c_char, c_void};
use std::hint::black_box;
use std::mem::size_of;
use std::ptr;
use std::sync::Arc;
use std::time::Instant;

use voice_plugin::abi::*;
use voice_plugin::prelude::*;

struct Echo;

impl Inline for Echo {
    type Config = Nothing;
    type Shared = ();
    const HEARS_AUDIO: bool = true;

    fn open(_: Nothing, _: Host) -> Result<()> {
        Ok(())
    }

    fn start(_: &Arc<()>, _: &StartInfo, _: &mut Out<'_>) -> Result<Self> {
        Ok(Echo)
    }

    fn on(&mut self, event: InlineEvent<'_>, out: &mut Out<'_>) {
        if let InlineEvent::Audio { turn, bytes, .. } = event {
            out.audio(turn, bytes);
        }
    }
}

voice_plugin::export!(inline: Echo);

/// The one record that fits.
struct Place {
    bytes: [u8; 160],
    count: u64,
}

unsafe extern "C" fn log_level(_: *mut VpCtx) -> u32 {
    level::WARN
}
unsafe extern "C" fn log(_: *mut VpCtx, _: u32, _: VpBytes, _: VpBytes) {}
unsafe extern "C" fn reserve(_: *mut VpOut, _: u16, _: u32, _: usize, _: *mut *mut u8) -> i32 {
    status::UNSUPPORTED
}
unsafe extern "C" fn commit(_: *mut VpOut, _: usize, _: u16) -> i32 {
    status::UNSUPPORTED
}
unsafe extern "C" fn emit(out: *mut VpOut, event: *const VpEvent) -> i32 {
    // SAFETY: `out` is the place in `main`; event and bytes are lent.
    let (place, data) = unsafe { (&mut *out.cast::<Place>(), (*event).data.bytes()) };
    place.bytes.copy_from_slice(data);
    place.count += 1;
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

fn main() {
    const BATCHES: usize = 101;
    const FRAMES: u32 = 50_000;
    let table = plugin_table();
    let (mut this, mut stream, mut error) = (ptr::null_mut(), ptr::null_mut(), VpError::empty());
    let mut place = Place {
        bytes: [0; 160],
        count: 0,
    };
    let (Some(open), Some(start), Some(send)) = (table.open, table.start, table.send) else {
        return;
    };
    let (Some(stop), Some(close)) = (table.stop, table.close) else {
        return;
    };
    // SAFETY: every pointer outlives the calls, which come in the order of the contract.
    unsafe {
        assert_eq!(
            open(
                &HOST,
                ptr::null_mut(),
                VpBytes::EMPTY,
                &mut this,
                &mut error
            ),
            status::OK
        );
        let out = ptr::addr_of_mut!(place).cast();
        let info = VpBytes::EMPTY;
        assert_eq!(
            start(this, role::RESPONDER, info, out, &mut stream, &mut error),
            status::OK
        );
        let frame = [0xffu8; 160];
        let mut batches = [0.0; BATCHES];
        for batch in &mut batches {
            let began = Instant::now();
            for turn in 0..FRAMES {
                let event = VpEvent::new(kind::AUDIO, turn, &frame);
                black_box(send(stream, black_box(&event), 1));
            }
            *batch = began.elapsed().as_nanos() as f64 / f64::from(FRAMES);
        }
        stop(stream);
        close(this);
        assert_eq!(place.count, u64::from(FRAMES) * BATCHES as u64);
        batches.sort_by(f64::total_cmp);
        let (best, median) = (batches[0], batches[BATCHES / 2]);
        println!(
            "160-byte frame in and back out through the table: {best:.1} ns best, {median:.1} ns median"
        );
    }
}
