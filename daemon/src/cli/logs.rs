//! `logs`: what happened in the calls of the running daemon, newest last, and on as it happens with `--follow`; in those of
//! the last one that ran, if none does. A follower outlives the daemon and goes on with the next.

use super::remote::{Remote, Which, field};
use super::stdout::complain;
use super::{Failure, runtime};
use clap::Args;
use serde_json::{Value, json};
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

    #[command(flatten)]
    which: Which,
}

pub(super) fn logs(path: &Path, arguments: &LogsArguments) -> Result<(), Failure> {
    let which = &arguments.which;
    runtime()?.block_on(async {
        let mut remote = which.remote(path);
        let (rows, mut answers) = match ask(&remote, arguments, None).await {
            Ok(rows) => (rows, true),
            Err(failure) => {
                let left = which.left_behind(path, failure)?;
                let (event, call) = (arguments.event.as_deref(), arguments.call.as_deref());
                let rows = left.events(event, call, arguments.limit);
                (
                    rows.map_err(|error| Failure::failed(error.to_string()))?,
                    false,
                )
            }
        };
        let mut last = print(&rows, arguments.json).unwrap_or(0);
        if !arguments.follow {
            return Ok(());
        }
        loop {
            tokio::time::sleep(Duration::from_millis(FOLLOW_MS)).await;
            if !answers && which.is_by_folder() {
                remote = which.remote(path);
            }
            match ask(&remote, arguments, Some(last)).await {
                Ok(rows) => {
                    if !std::mem::replace(&mut answers, true) {
                        complain("the daemon answers again");
                    }
                    last = print(&rows, arguments.json).unwrap_or(last);
                }
                // It is being restarted, or too busy to tell: said once.
                Err(failure) if failure.may_pass() => {
                    if std::mem::replace(&mut answers, false) {
                        complain(format_args!("{failure}\nwaiting for it"));
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
    })
}

async fn ask(
    remote: &Result<Remote, Failure>,
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
    let remote = remote.as_ref().map_err(Failure::clone)?;
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
            say!(
                "{:24}  {:34}  {:15}  {:>8}  {} {detail}",
                field(row, "timestamp"),
                field(row, "twilio_sid"),
                field(row, "event"),
                seconds,
                field(row, "response_text"),
                detail = detail(row),
            );
        }
    }
    rows.iter().filter_map(|row| row["id"].as_u64()).max()
}

/// What else is known, without what the text has said already.
fn detail(row: &Value) -> String {
    let Value::Object(mut detail) = row["detail"].clone() else {
        return String::new();
    };
    detail.retain(|name, value| name != "heard" || *value != row["response_text"]);
    if detail.is_empty() {
        String::new()
    } else {
        field(&json!({"detail": detail}), "detail")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_is_shown_where_it_is_not_what_was_said() {
        let whole =
            json!({"response_text": "Hello.", "detail": {"heard": "Hello.", "whole": true}});
        assert_eq!(detail(&whole), r#"{"whole":true}"#);
        let cut = json!({"response_text": "Hello there.", "detail": {"heard": "Hello"}});
        assert_eq!(detail(&cut), r#"{"heard":"Hello"}"#);
        let nothing = json!({"response_text": "", "detail": {"heard": ""}});
        assert_eq!(detail(&nothing), "");
        assert_eq!(detail(&json!({"detail": null})), "");
    }
}
