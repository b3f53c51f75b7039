//! The two agents most drawings are about, and the voice they have. Files with a subject that needs other settings
//! have agents of their own.

use super::world::Manner;
use crate::call::settings::Settings;

/// An agent that greets for a second, and has a sentence for everything.
pub(super) fn agent() -> Settings {
    Settings {
        greeting: Some("0123456789".into()),
        no_input_text: Some("hello".into()),
        goodbye_text: Some("bye".into()),
        apology_text: Some("sorry".into()),
        no_input_ms: 1000,
        no_input_limit: 1,
        reply_deadline_ms: 1000,
        mark_grace_ms: 500,
        resume_ms: 0,
        ..Settings::default()
    }
}

/// The same, but it listens first.
pub(super) fn listener() -> Settings {
    Settings {
        greeting: None,
        ..agent()
    }
}

/// A voice that delivers everything at once, as it does when a test says nothing else.
pub(super) const WHOLE: Manner = Manner::Speaks {
    after_ms: 100,
    piece_ms: 10_000,
    every_ms: 0,
};
