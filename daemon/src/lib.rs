//! voice-streamer: a daemon that answers phone calls.
//!
//! # Life of a call
//!
//! 1. **Webhook.** The carrier asks `POST /twilio/stream/` what to do ([`http`]). The signature is checked, the call
//!    gets a one-time token ([`leg::Admission`]) and a record ([`store`]); the answer is TwiML ([`carrier`]).
//! 2. **Stream.** The carrier opens a websocket. After the handshake the bare connection goes to the media thread with
//!    the fewest lines; the `start` message spends the token, and a [`leg`] begins.
//! 3. **In.** Each media message becomes samples for whoever hears (a [`plugin`]) and a verdict, voiced or not
//!    ([`media`]), for the core.
//! 4. **Decide.** The core ([`call`]) turns verdicts into turns and says what to do. It touches nothing.
//! 5. **Answer.** The responder streams words or sound, the voice makes sound of words.
//! 6. **Out.** The core's playout clock says how much of what stands ready is sent; marks say what was heard.
//! 7. **Barge-in, end.** `clear` at once when the caller takes the floor; hang-up on the mark of the last frame.
//!
//! # The arrow
//!
//! Uses go right; nothing points back. `tests/tidy.rs` keeps it so.
//!
//! ```text
//! main → cli → daemon → http → leg → call ─────→ (std only)
//!         │      │        │     ├──→ media ────→ (no I/O, no allocation per frame)
//!         │      │        │     ├──→ carrier ──→ media
//!         │      │        │     └──→ plugin ───→ voice-plugin ←── plugins/*
//!         │      │        ├──→ accounts ─→ store   (leg and http hold a handle; the store knows none of them)
//!         │      ├──→ config  (handed down as a snapshot, never fetched)
//!         │      └──→ metrics (counters, held by whoever counts)
//!         │      ├──→ systemd (words to the service manager)
//!         ├──→ log     (also at hand for the daemon: levels change while it runs)
//!         └──→ phone → carrier, media
//! ```

pub mod accounts;
pub mod call;
pub mod carrier;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod http;
pub mod leg;
pub mod log;
pub mod media;
pub mod metrics;
pub mod phone;
pub mod plugin;
pub mod store;
pub mod systemd;
