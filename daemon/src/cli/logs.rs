//! `logs`: what happened in the calls of the running daemon, newest last, and on as it happens with `--follow`.

use super::remote::{Remote, field};
use super::{Failure, runtime};
use clap::Args;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// How often a follower asks for more.
const FOLLOW_MS: u64 = 500;

#[derive(Debug, Args)]
pub(super) struct LogsArguments {
    /// Go on with what happens from now
    #[arg(long, short)]
    follow: bool,

    /// Only this event (said, turn_ended, barge_in, call_ended …)
    #[arg(long)]
    event: Option<String>,

    /// Only this call
    #[arg(long, value_name = "SID")]
    call: Option<String>,

    /// How many of the past
    #[arg(long, default_value_t = 50)]
    limit: usize,

    /// One JSON object per line
    #[arg(long)]
    json: bool,

    /// The daemon's address instead of the configuration's
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

pub(super) fn logs(path: &Path, arguments: &LogsArguments) -> Result<(), Failure> {
    let remote = Remote::new(path, arguments.url.as_deref())?;
    runtime()?.block_on(async {
        let mut last = print(&ask(&remote, arguments, None).await?, arguments.json).unwrap_or(0);
        if !arguments.follow {
            return Ok(());
        }
        loop {
            tokio::time::sleep(Duration::from_millis(FOLLOW_MS)).await;
            last =
                print(&ask(&remote, arguments, Some(last)).await?, arguments.json).unwrap_or(last);
        }
    })
}

async fn ask(
    remote: &Remote,
    arguments: &LogsArguments,
    after: Option<u64>,
) -> Result<Vec<Value>, Failure> {
    let mut query = Vec::new();
    query.extend(arguments.event.iter().map(|event| ("event", event.clone())));
    query.extend(arguments.call.iter().map(|call| ("call", call.clone())));
    match after {
        Some(after) => query.push(("after", after.to_string())),
        None => query.push(("limit", arguments.limit.to_string())),
    }
    let answer = remote.get("/audio/api/logs/", &query).await?;
    Ok(answer["logs"].as_array().cloned().unwrap_or_default())
}

/// Prints oldest first; returns the newest row's id.
fn print(rows: &[Value], as_json: bool) -> Option<u64> {
    for row in rows.iter().rev() {
        if as_json {
            say!("{row}");
        } else {
            let seconds = row["audio_length"]
                .as_f64()
                .filter(|seconds| *seconds > 0.0);
            let seconds = seconds.map_or(String::new(), |seconds| format!("{seconds:.2} s"));
            let detail = if row["detail"].is_object() {
                field(row, "detail")
            } else {
                String::new()
            };
            say!(
                "{:24}  {:34}  {:15}  {:>8}  {} {detail}",
                field(row, "timestamp"),
                field(row, "twilio_sid"),
                field(row, "event"),
                seconds,
                field(row, "response_text"),
            );
        }
    }
    rows.iter().filter_map(|row| row["id"].as_u64()).max()
}
