//! `calls`: the calls of the running daemon as a table, or as JSON lines.

use super::remote::{Remote, field};
use super::{Failure, runtime};
use clap::Args;
use std::path::Path;

#[derive(Debug, Args)]
pub(super) struct CallsArguments {
    /// Only calls in this status (in-progress, completed, failed …)
    #[arg(long)]
    status: Option<String>,

    /// How many
    #[arg(long, default_value_t = 20)]
    limit: usize,

    /// One JSON object per line
    #[arg(long)]
    json: bool,

    /// The daemon's address instead of the configuration's
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

pub(super) fn calls(path: &Path, arguments: &CallsArguments) -> Result<(), Failure> {
    let remote = Remote::new(path, arguments.url.as_deref())?;
    let mut query = vec![("limit", arguments.limit.to_string())];
    query.extend(
        arguments
            .status
            .iter()
            .map(|status| ("status", status.clone())),
    );
    let answer = runtime()?.block_on(remote.get("/api/calls/", &query))?;
    let rows = answer["calls"].as_array().cloned().unwrap_or_default();
    if !arguments.json {
        say!(
            "{:24}  {:34}  {:16}  {:16}  {:11}  {:>8}  ended",
            "created",
            "call",
            "from",
            "to",
            "status",
            "seconds"
        );
    }
    for row in rows {
        if arguments.json {
            say!("{row}");
        } else {
            say!(
                "{:24}  {:34}  {:16}  {:16}  {:11}  {:>8}  {}",
                field(&row, "created_at"),
                field(&row, "call_sid"),
                field(&row, "from_number"),
                field(&row, "to_number"),
                field(&row, "status"),
                field(&row, "duration"),
                field(&row, "ended_reason"),
            );
        }
    }
    Ok(())
}
