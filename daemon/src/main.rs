//! The binary: arguments in, exit code out. Everything else is in the library.

use std::process::ExitCode;

// The hot path does not allocate; what does (webhooks, plugins' turns) runs on many threads, where glibc's arenas keep
// their peaks for ever.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Blocks of plugins from which on the system has each back the moment it is freed.
///
/// Plugins allocate with the C library, which begins with this rule and gives it up after the first freed block: by its
/// default, engines of a few megabytes each that come and go with the configuration left a hundred behind.
#[cfg(target_env = "gnu")]
const WHOLE_BLOCK_BYTES: i32 = 256 << 10;

fn main() -> ExitCode {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a number in the C library; no other thread runs yet. Where it is refused nothing changes.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, WHOLE_BLOCK_BYTES);
    }
    voice_streamer::cli::main()
}
