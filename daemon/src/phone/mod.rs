//! The simulated telephone: does what the carrier does, over the wire, and hears what a caller would hear.
//!
//! It knows the daemon only by its webhook and its websocket. One call with a script ([`call`]), or thousands that
//! measure ([`swarm()`]).
//!
//! ```text
//!  dial      webhook → TwiML → signed upgrade → a media stream
//!  earpiece  PURE: the carrier's buffer: plays in real time, gives marks back when played, all of them at `clear`
//!  script    PURE: what the caller does and when
//!  handset   one call: a script on one side, an earpiece on the other, 20 ms at a time
//!  swarm     many calls on one thread, each frame tagged, so that every round trip is seen
//! ```
//!
//! Absent on purpose: anything of the daemon's insides. A test that passes here passes on the line.

mod dial;
mod earpiece;
mod handset;
mod script;
mod swarm;

pub use dial::{Line, PhoneError};
pub use earpiece::Earpiece;
pub use handset::{Happening, Report, call};
pub use script::{Script, Step};
pub use swarm::{Progress, Swarm, SwarmReport, swarm};
