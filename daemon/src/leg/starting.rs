//! Starting any plugin for a call, and in words why one could not be had or was lost.

use super::Guest;
use super::rests::RESTING;
use crate::plugin::{Fault, Format, Generation, StartError, Stream};
use serde_json::{Value, json};
use std::sync::Arc;
use voice_plugin::abi::{failure, role};

/// Names by which the host says why something failed; those of plugins are in the contract.
pub(super) const REFUSALS: [&str; 13] = [
    RESTING,
    "gone",
    "not_loaded",
    "hung",
    "no_voice",
    "no_role",
    "crowded",
    "refused",
    "panicked",
    "broken",
    "no_memory",
    "no_text",
    "bad_action",
];

/// Starts one for this call: it is told the contract's `info_json`, of which `own` are the members of its role. The error
/// is a sentence that begins with its name.
pub(super) fn start(
    generation: &Arc<Generation>,
    role: u64,
    guest: &Guest,
    format: Format,
    language: &str,
    own: Value,
) -> Result<Stream, String> {
    let mut info = own;
    info["call"] = facts(guest);
    info["format"] = json!({"encoding": format.encoding.to_string(), "rate": format.rate});
    info["language"] = language.into();
    generation
        .start(role, &info.to_string())
        .map_err(|error| not_started(&error, role))
}

/// What it is told of the call.
fn facts(guest: &Guest) -> Value {
    let Guest {
        call_sid,
        from,
        to,
        parameters,
        ..
    } = guest;
    json!({"sid": call_sid, "from": from, "to": to, "parameters": parameters})
}

/// Why a plugin was not started, as a sentence that begins with its name.
fn not_started(error: &StartError, role: u64) -> String {
    let name = match error {
        StartError::Role { .. } if role == role::TTS => "no_voice",
        StartError::Role { .. } => "no_role",
        StartError::Hung { .. } => "hung",
        StartError::Crowded { .. } => "crowded",
        StartError::Refused { said, .. } => failure::name_of(said).unwrap_or("refused"),
        StartError::Panicked { .. } => "panicked",
        StartError::Memory { .. } => "no_memory",
    };
    format!("{name}: {error}")
}

/// What happened to the stream of one in a line, as a sentence that begins with its name.
pub(super) fn in_words(fault: Fault, step: &str, name: &str) -> String {
    let cause = match fault {
        Fault::Panicked => "panicked",
        Fault::Refused(_) | Fault::Overwrote | Fault::Gone => "broken",
    };
    format!("{cause}: the {step} \"{name}\": {fault}")
}
