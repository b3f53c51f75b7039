//! What the benches stand on: a server as a process of its own on a core of its own, the bare wire beside it, whether
//! the machine has other things to do, and human beings.
//!
//! ```text
//!  core 0  the server, a process of its own
//!  core 1  everything else: the bench, its phones, its stand-ins
//! ```

#![allow(dead_code)] // no bench needs all of it

pub(crate) mod figures;
pub(crate) mod machine;
pub(crate) mod recordings;
pub(crate) mod server;
pub(crate) mod voice;
pub(crate) mod wire;
