//! `calls`: the calls of the running daemon as a table, or as JSON lines; of the last one that ran, if none does.

use super::remote::{Remote, field, left_behind};
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
    let rows = match runtime()?.block_on(remote.get("/api/calls/", &query)) {
        Ok(answer) => answer["calls"].as_array().cloned().unwrap_or_default(),
        Err(failure) => {
            let left = left_behind(path, arguments.url.as_deref(), failure)?;
            let rows = left.calls(arguments.status.as_deref(), arguments.limit);
            rows.map_err(|error| Failure::failed(error.to_string()))?
        }
    };
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
