//! `reload`: has the running daemon read its configuration again, and says how that went.

use super::Failure;
use super::remote::Remote;
use super::runtime;
use crate::config::Diff;
use clap::Args;
use serde_json::Value;
use std::path::Path;

#[derive(Debug, Args)]
pub(super) struct ReloadArguments {
    /// The daemon's address instead of the configuration's
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

pub(super) fn reload(path: &Path, arguments: &ReloadArguments) -> Result<(), Failure> {
    let remote = Remote::new(path, arguments.url.as_deref())?;
    let standing = runtime()?.block_on(remote.post("/api/configuration/reload/"))?;
    let file = standing["file"].as_str().unwrap_or("the configuration");
    match standing["last"]["outcome"].as_str() {
        Some("applied") => say!("{file} is in force:\n{}", diff(&standing["last"]["diff"])),
        // The watcher saw the file first, which is what mostly happens.
        Some("unchanged") => match standing["in_force_since_ms"].as_u64().map(clock) {
            Some(since) => say!(
                "{file} is in force already, since {since}: a file that is saved is taken over by itself"
            ),
            None => say!("{file} says nothing new"),
        },
        _ => {
            let error = standing["last"]["error"].as_str().unwrap_or("no reason");
            return Err(Failure::config(format!(
                "{file} was not taken over, the configuration in force stays:\n\n{error}"
            )));
        }
    }
    let waiting = diff(&standing["waiting"]);
    if !waiting.is_empty() {
        say!("waiting for a restart of the daemon:\n{waiting}");
    }
    Ok(())
}

/// A time as the log writes it, in UTC.
fn clock(unix_ms: u64) -> String {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(ms)
        .map_or_else(|_| unix_ms.to_string(), |time| format!("{time:.0}"))
}

/// A diff as the daemon sent it.
fn diff(value: &Value) -> Diff {
    serde_json::from_value(value.clone()).unwrap_or_default()
}
