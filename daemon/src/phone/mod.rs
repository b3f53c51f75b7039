//! The simulated telephone: does what the carrier does, over the wire, and hears what a caller would hear.
//!
//! It knows the daemon only by its webhook and its websocket. One call with a script ([`call`]), or thousands that
//! measure ([`swarm()`]).
//!
//! ```text
//!  dial      webhook → TwiML → signed upgrade → a media stream
//!  earpiece  PURE: the carrier's buffer: plays in real time, gives marks back when played, all of them at `clear`
//!  script    PURE: what the caller does and when
//!  follow    one call: what the carrier does with it, verb by verb
//!  handset   the caller in it: a script on one side, an earpiece on the other, 20 ms at a time
//!  report    what is told of it
//!  underruns PURE: holes in the agent's speech, told from pauses by his marks
//!  swarm     many calls on one thread, each frame tagged, so that every round trip is seen
//! ```
//!
//! Absent on purpose: anything of the daemon's insides. A test that passes here passes on the line.

mod dial;
mod earpiece;
mod follow;
mod handset;
mod report;
mod script;
mod swarm;
mod underruns;

pub use dial::{Line, PhoneError};
pub use earpiece::Earpiece;
pub use follow::call;
pub use report::{Happening, Report};
pub use script::{Script, Step, Transfer};
pub use swarm::{Progress, Swarm, SwarmReport, swarm};
