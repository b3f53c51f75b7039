//! Plugins, seen from the host: a library is loaded once per content ([`Library`]), opened with a configuration
//! ([`Generation`]), and started once per call and role ([`Stream`]). The contract
//! both sides keep is the crate `voice-plugin`; here is what the host does about plugins that do not keep it.
//!
//! ```text
//!  path ─ keep ─ elf ──► private copy ─► Library ─ open ─► Generation
//!         read once      NAME-HASH.so    never unloaded    own thread, 10 s     │ start, per call
//!                                                                              ▼
//!  media thread      events ── send() ──►  plugin  ── reserve/commit ──► ring ── next()/take() ──► media thread
//!                                └ watch: who is inside, since when          └ records carry their turn
//! ```
//!
//! One that crashes takes the process along; `crash` says which it was.
//!
//! This is the only room of the daemon with `unsafe` in it, but for one call in `media/silero/avx2.rs`. It knows no
//! sockets and no turns: that a record is stale it sees from a number the leg raised.

mod checkup;
mod crash;
mod deadline;
mod describe;
mod elf;
mod error;
mod generation;
mod heap;
mod host;
mod keep;
mod library;
mod memory;
mod out;
mod ring;
mod stream;
mod watch;

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;

pub use checkup::{Checkup, Found, checkup};
pub use crash::name_who_crashes;
pub use describe::{Describe, Encoding, Format};
pub use error::{
    CatalogError, CheckError, CheckProblem, Distrust, Fault, LoadError, LoadProblem, OpenError,
    OpenProblem, StartError,
};
pub use generation::{CATALOG_DEADLINE, CLOSE_DEADLINE, Generation, OPEN_DEADLINE, OUTS_MAX};
pub use heap::give_back_whole_blocks;
pub use library::{LOAD_DEADLINE, Library, resident_builds};
pub use stream::{Record, Stream};
