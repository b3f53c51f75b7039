//! Whole conversations: drawn by hand (`rules`, on the paper of `chart`) or made up by seed (`simulation`), in a
//! `world` that plays everybody else. `doors` holds what `Call` lets in and what it refuses,
//! `splitter` where an answer is cut.

mod away;
mod barge_in;
mod chart;
mod doors;
mod early;
mod endpoint;
mod listener;
mod mouth;
mod prompts;
mod responders;
mod rules;
mod simulation;
mod speakers;
mod splitter;
mod words;
mod words_heard;
mod world;
