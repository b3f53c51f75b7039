//! What the ear costs: `cargo bench -p voice-streamer --bench ear`.
//!
//! The network by itself and warm, plain and as this machine computes it, in turn, so that a slower minute does the same
//! to both. What it costs in a call, with the caches of a thousand others around it, is in the bench `echo`.

#![allow(clippy::print_stdout)]

mod cost;

fn main() {
    cost::print();
}
