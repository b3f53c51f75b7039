//! Everything that can keep this voice silent, in words for the person who reads the log.

use crate::engine::EngineError;
use crate::pool::{PIECE_MAX_SECS, QUEUE_MAX_TEXTS};
use crate::text::TextError;

/// Why there is no sound, or no more of it.
#[derive(Debug, thiserror::Error)]
pub enum PicoError {
    /// The text cannot be spoken; another one can.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Pico itself did not do what was asked of it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Too many texts are waiting; later there is room again.
    #[error(
        "all voices are busy: {QUEUE_MAX_TEXTS} texts wait for {workers} workers already; the utterance is dropped: \
         raise `workers` of this plugin or take fewer calls"
    )]
    Busy {
        /// How many there are.
        workers: usize,
    },
    /// A short text made very much sound.
    #[error(
        "a piece of text made more than {PIECE_MAX_SECS} s of speech; the rest of the utterance is dropped: \
         it was probably not meant to be read aloud"
    )]
    Endless,
    /// The worker panicked, which is a fault in this plugin, or the plugin closes.
    #[error(
        "the voice's worker gave up on this text; the rest of the utterance is dropped, the next one is tried"
    )]
    GaveUp,
    /// The system refused a thread.
    #[error("the thread of a voice could not be started: {0}; the plugin is not opened")]
    NoThread(std::io::Error),
}
