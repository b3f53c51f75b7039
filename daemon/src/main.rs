//! The binary: arguments in, exit code out. Everything else is in the library.

use std::process::ExitCode;

// The hot path does not allocate; what does (webhooks, plugins' turns) runs on many threads, where glibc's arenas keep
// their peaks for ever.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    voice_streamer::plugin::give_back_whole_blocks();
    voice_streamer::cli::main()
}
