//! Whole conversations: drawn by hand, a file for each subject, on the paper of `chart`; or made up by seed
//! (`simulation`). Both in a `world` that plays everybody else. `doors` holds what `Call` lets in and what it refuses,
//! `splitter` where an answer is cut.

mod agents;
mod away;
mod barge_in;
mod barge_in_at_once;
mod chart;
mod doors;
mod early;
mod endings;
mod endpoint;
mod happenings;
mod no_words;
mod own_sound;
mod playout;
mod prompts;
mod reply_failures;
mod responders;
mod simulation;
mod speakers;
mod splitter;
mod turns;
mod unanswered;
mod voice_failures;
mod voice_line;
mod words;
mod words_heard;
mod world;
