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
        Some("unchanged") => say!("{file} says nothing new"),
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

/// A diff as the daemon sent it.
fn diff(value: &Value) -> Diff {
    serde_json::from_value(value.clone()).unwrap_or_default()
}
