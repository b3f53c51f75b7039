//! `tunnel status`: what is open, what is owed, and whether the number calls here. Changes nothing.

use super::borrow::{called, pointed};
use super::journal::{Desk, Journal};
use super::{account, now_secs};
use crate::carrier::twilio::rest::Half;
use crate::cli::{Failure, runtime};
use crate::config::Config;
use clap::Args;
use serde_json::{Value, json};
use std::path::Path;

#[derive(Debug, Args)]
pub(super) struct StatusArguments {
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn status(
    config: &Config,
    state: &Path,
    arguments: &StatusArguments,
) -> Result<(), Failure> {
    let desk = Desk::open(state).map_err(Failure::failed)?;
    // Held by nobody, it is let go again at once.
    let alive = desk.lock().map_err(Failure::failed)?.is_none();
    let journal = desk.journal().map_err(Failure::failed)?;
    let Some(journal) = journal else {
        match (arguments.json, alive) {
            (true, _) => say!("{}", json!({"open": false, "stale": false})),
            (false, true) => say!("a tunnel is being opened or closed at this moment"),
            (false, false) => say!("no tunnel is open"),
        }
        return Ok(());
    };
    let points_here = runtime()?.block_on(points_here(config, &journal));
    let points_here = points_here.unwrap_or_else(|failure| {
        eprintln!("voice-streamer: {failure}");
        None
    });
    let left_secs = journal.closes_at_secs.saturating_sub(now_secs());
    if arguments.json {
        let answer = json!({
            "open": alive,
            "stale": !alive,
            "number": journal.number,
            "number_sid": journal.number_sid,
            "public_url": journal.public_url,
            "opened_at": time(journal.opened_at_secs),
            "closes_at": time(journal.closes_at_secs),
            "seconds_left": left_secs,
            "pid": desk.holder().filter(|_| alive),
            "number_points_here": points_here,
            "puts_back": called(&journal.found),
        });
        say!("{answer}");
        return Ok(());
    }
    let points = match points_here {
        Some(true) => "yes",
        Some(false) => "NO: somebody changed it, or it was put back",
        None => "not known",
    };
    if alive {
        say!(
            "a tunnel is open, for {} more",
            super::screen::spelled(std::time::Duration::from_secs(left_secs))
        );
    } else {
        say!(
            "A TUNNEL WAS KILLED and could not put its number back; voice-streamer tunnel stop does it now"
        );
    }
    say!("number      {}", journal.number);
    say!("address     {}", journal.public_url);
    say!("calls here  {points}");
    say!("puts back   {}", called(&journal.found));
    Ok(())
}

/// Whether the number calls the journal's address now; `None` if it is gone.
async fn points_here(config: &Config, journal: &Journal) -> Result<Option<bool>, Failure> {
    let rest = account(config)?;
    let number = rest.number(&journal.number_sid).await;
    let now = number.map_err(super::borrow::failure)?.settings;
    Ok(Some(
        now.agrees(&pointed(&now, &journal.public_url), Half::Voice),
    ))
}

fn time(unix_secs: u64) -> Value {
    let secs = i64::try_from(unix_secs).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(secs).map_or(Value::Null, |time| json!(time.to_string()))
}
