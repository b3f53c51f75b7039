//! The contract between voice-streamer and its plugins.
//!
//! A plugin is a dynamic library: a voice, a transcriber or a responder. It exports one symbol, and behind it a table
//! of functions. This crate is that table ([`abi`], also as a C header in `include/voice_plugin.h`) and, with the
//! feature `sdk` (on by default), a safe side on which an author writes one `impl` and one [`export!`] line and never
//! sees the table. It is not the host's half: rings, loading and threads of the daemon live in the daemon.
//!
//! A responder that counts the caller's turns:
//!
//! ```
//! use voice_plugin::prelude::*;
//!
//! struct Counter;
//!
//! impl Responder for Counter {
//!     type Config = Nothing;
//!
//!     async fn open(_: Nothing, _: Host) -> Result<Self> {
//!         Ok(Counter)
//!     }
//!
//!     async fn run(&self, mut call: Call) -> Result<()> {
//!         let mut turns = 0;
//!         while let Some(event) = call.next().await {
//!             if let Event::TurnOver { .. } = event {
//!                 turns += 1;
//!                 call.say(&format!("That was number {turns}.")).await?;
//!                 call.done().await?;
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//!
//! voice_plugin::export!(responder: Counter);
//! # fn main() { assert_eq!(plugin_table().roles, voice_plugin::abi::role::RESPONDER); }
//! ```
//!
//! **Who runs where.** `open` and `run` and `speak` are futures on the plugin's own thread, `plugin:NAME`, one
//! current-thread tokio runtime per opened instance; they need not be `Send`. The host's media thread only puts events
//! into a bounded queue and goes on. [`Inline`](prelude::Inline) is the exception: plain calls on the media thread.
//!
//! ```text
//! media thread    send ──→ queue ──wake──→ plugin:NAME   speak, run ──→ Audio::write, Call::say
//!      │                                                                       │
//!      └───────────────── reads the ring ←──────── reserve / commit ───────────┘
//! ```
//!
//! **Panics** stop on this side: in `open` and `start` they become the error text, in `speak` a FAILED record, and
//! always a line in the host's log. That needs unwinding, so [`export!`] refuses to build under `panic = "abort"`.
//!
//! **Which compiler.** The tables and the safe side are written for Rust 1.75 and edition 2021. The dependencies of
//! the safe side decide the rest: with tokio 1.38 to 1.47 it builds on 1.75, newer tokio wants 1.85. `export!` itself
//! asks for nothing more, and expands in crates of edition 2021 and 2024 alike.

#![cfg_attr(not(feature = "sdk"), no_std)]
#![warn(missing_docs)]
// Links to the safe side stay words when the tables are documented alone.
#![cfg_attr(not(feature = "sdk"), allow(rustdoc::broken_intra_doc_links))]

pub mod abi;
pub mod dial;

/// The README, tried as a test.
#[cfg(all(doctest, feature = "sdk"))]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(feature = "sdk")]
mod catalog;
#[cfg(feature = "sdk")]
mod error;
#[cfg(feature = "sdk")]
#[doc(hidden)]
pub mod export;
#[cfg(feature = "sdk")]
mod format;
#[cfg(feature = "sdk")]
mod host;
#[cfg(feature = "sdk")]
mod inbox;
#[cfg(feature = "sdk")]
mod info;
#[cfg(feature = "sdk")]
mod inline;
#[cfg(feature = "sdk")]
mod millis;
#[cfg(feature = "sdk")]
mod out;
#[cfg(feature = "sdk")]
mod panics;
#[cfg(feature = "sdk")]
mod responder;
#[cfg(feature = "sdk")]
mod secret;
#[cfg(feature = "sdk")]
mod transcriber;
#[cfg(feature = "sdk")]
mod tts;
#[cfg(feature = "sdk")]
mod worker;

/// Everything a plugin author needs, for `use voice_plugin::prelude::*`.
///
/// The derives of `serde` and `schemars` write those crates' names into the code, so a plugin lists both as
/// dependencies of its own.
#[cfg(feature = "sdk")]
pub mod prelude {
    pub use crate::abi::failure;
    pub use crate::catalog::{Catalog, CatalogModel, CatalogVoice, Checked, Problem};
    pub use crate::error::{Error, Result};
    pub use crate::format::{Encoding, Format};
    pub use crate::host::{Host, Level};
    pub use crate::info::{CallInfo, Nothing, Said, StartInfo};
    pub use crate::inline::{Inline, InlineEvent};
    pub use crate::millis::Millis;
    pub use crate::out::{Out, Sent};
    pub use crate::responder::{Call, Event, Responder, Wants, Wording};
    pub use crate::secret::Secret;
    pub use crate::transcriber::{Heard, Listening, Transcriber};
    pub use crate::tts::{Audio, Say, Tts};
    pub use schemars::JsonSchema;
    pub use serde::Deserialize;
}
