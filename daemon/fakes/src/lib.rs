//! Loopback stand-ins for outside services: each checks every request against the service's own published
//! specification, answers from it, and misbehaves on demand. Tests only; nothing here is part of the daemon.
//!
//! That a stand-in is true is shown by the service's official client, which CI runs against it. `by_hand` stands for no
//! service: it is the user's own server, which answers what a test writes. `tls` stands before any of them.

pub mod by_hand;
pub mod elevenlabs;
pub mod openapi;
pub mod tls;
pub mod twilio;
