//! Twilio's REST API, as far as a phone line needs it: which numbers an account has, whom a number calls, and the end
//! of a call.
//!
//! ```text
//!   what is wanted ──→ request.rs ──→ client.rs ──HTTPS──→ api.twilio.com
//!   Number, Call   ←── answer.rs  ←──    │
//!      or RestError                      └─ waits where that is safe, looks where it is not
//! ```
//!
//! Everything but [`Rest`] is pure. Nothing here knows why a number is changed or a call ended, and nothing is kept.

mod answer;
mod client;
mod number;
mod request;

pub use answer::{Call, RestError};
pub use client::{Ended, Rest, use_ring};
pub use number::{Half, Number, Settings};
