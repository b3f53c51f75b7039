//! Asking a plugin what it makes of a configuration before it is opened: the contract's extension `check/1`. It may say
//! more than an error of `open` has room for, and draw what would come of it.
//!
//! Whether a plugin is opened is not decided here.

use super::deadline;
use super::generation::{OPEN_DEADLINE, thread_name, wipe};
use super::library::{Collected, Library, collect};
use serde::Deserialize;
use std::sync::Arc;
use voice_plugin::abi::VpBytes;

/// What a plugin says of a configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Checkup {
    /// What is wrong with it, a sentence each.
    pub problems: Vec<String>,
    /// What would come of it, for people; lines.
    pub drawing: String,
}

/// What the plugin configured under `config_name` says of its keys; nothing if it has no such extension, or fails at it:
/// then `open` will tell. Blocks up to [`OPEN_DEADLINE`].
pub fn checkup(library: &Arc<Library>, config_name: &str, config_json: &str) -> Checkup {
    let Some(check) = library.table().check else {
        return Checkup::default();
    };
    let mut config = config_json.as_bytes().to_vec();
    let held = Arc::clone(library);
    let work = move || {
        // SAFETY: the plugin's function with a configuration that is lent for the call; the rest comes with `collect`.
        let said = collect(|put, to| unsafe { check(VpBytes::lend(&config), put, to) });
        wipe(&mut config);
        drop(held);
        match said {
            Collected::Json(json) => serde_json::from_slice(&json).unwrap_or_default(),
            Collected::Refused(_) | Collected::Panicked | Collected::Misused(_) => {
                Checkup::default()
            }
        }
    };
    let thread = thread_name("check", config_name);
    deadline::call(&thread, OPEN_DEADLINE, work, drop).unwrap_or_default()
}
