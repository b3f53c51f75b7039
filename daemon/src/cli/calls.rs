//! `calls`: the calls of the running daemon as a table, or as JSON lines; of the last one that ran, if none does.

use super::remote::{Which, field};
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

    #[command(flatten)]
    which: Which,
}

pub(super) fn calls(path: &Path, arguments: &CallsArguments) -> Result<(), Failure> {
    let mut query = vec![("limit", arguments.limit.to_string())];
    query.extend(
        arguments
            .status
            .iter()
            .map(|status| ("status", status.clone())),
    );
    let which = &arguments.which;
    let asked = runtime()?.block_on(async { which.remote(path)?.get("/api/calls/", &query).await });
    let rows = match asked {
        Ok(answer) => answer["calls"].as_array().cloned().unwrap_or_default(),
        Err(failure) => {
            let left = which.left_behind(path, failure)?;
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
