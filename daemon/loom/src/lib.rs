//! The ring of the daemon's plugin room, and nothing else of it: its tests under `--cfg loom` try every interleaving of
//! writer and reader. See `daemon/src/plugin/ring.rs`, where the ring is, and `ring_tests.rs` beside it.

// What the daemon uses outside of tests is not used here.
#![allow(dead_code)]

// Without the flag there would be no test to fail.
#[cfg(not(loom))]
compile_error!(
    "--cfg loom is missing: start cargo in daemon/loom, and without RUSTFLAGS in the environment"
);

#[cfg(loom)]
#[path = "../../src/plugin/ring.rs"]
mod ring;
