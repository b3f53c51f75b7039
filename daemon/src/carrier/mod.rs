//! The words of each phone company: what its requests and messages mean, and how ours are spelled.
//!
//! Pure: bytes and strings go in, values come out, and the other way round. The one exception is `rest/client.rs`, which
//! asks the carrier's own API over HTTPS. Absent on purpose: sockets, clocks, the conversation, plugins, the store. A carrier's own names (`streamSid`, `CallStatus`) stay inside its folder and are
//! translated at its door.
//!
//! ```text
//!   webhook, callbacks ──→ form ──→ signature ──→ webhook ──→ who calls whom
//!   our answer         ←── twiml
//!   websocket          ──→ stream::read    Connected, Start, Media, Dtmf, Mark, Stop
//!                      ←── stream::write_  media, mark, clear
//!   their API          ←─→ rest            numbers, calls
//! ```

pub mod twilio;
