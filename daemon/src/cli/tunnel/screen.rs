//! What the terminal shows while a tunnel is open: sentences, and below them one line that counts down. Plain lines,
//! and no countdown, where nobody watches. No colours at all.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

pub(super) struct Screen {
    countdown: Option<ProgressBar>,
}

impl Screen {
    pub(super) fn new() -> Screen {
        let watched = io::stderr().is_terminal();
        let countdown = watched.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.with_style(
                ProgressStyle::with_template("{msg}").unwrap_or(ProgressStyle::default_bar()),
            )
        });
        Screen { countdown }
    }

    /// A sentence that stays. That nobody reads it is no reason to leave the number where it is.
    pub(super) fn say(&self, line: &str) {
        let write = || writeln!(io::stderr(), "{line}").ok();
        match &self.countdown {
            Some(bar) => bar.suspend(write),
            None => write(),
        };
    }

    /// The line that changes.
    pub(super) fn count(&self, number: &str, left: Duration) {
        if let Some(bar) = &self.countdown {
            bar.set_message(format!(
                "call {number} · open for {} more · Ctrl-C closes",
                clock(left)
            ));
        }
    }

    pub(super) fn stop_counting(&self) {
        if let Some(bar) = &self.countdown {
            bar.finish_and_clear();
        }
    }
}

/// `23:59:59`.
fn clock(left: Duration) -> String {
    let secs = left.as_secs();
    format!("{:02}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60)
}

/// A length of time as it was typed, more or less: `24h`, `90m`, `1m 30s`.
pub(super) fn spelled(length: Duration) -> String {
    let secs = length.as_secs();
    let parts = [(secs / 3600, "h"), (secs / 60 % 60, "m"), (secs % 60, "s")];
    let said: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if said.is_empty() {
        "0s".to_owned()
    } else {
        said.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_people_read_them() {
        for (secs, counted, said) in [
            (0, "00:00:00", "0s"),
            (90, "00:01:30", "1m 30s"),
            (86_400, "24:00:00", "24h"),
            (3661, "01:01:01", "1h 1m 1s"),
        ] {
            let length = Duration::from_secs(secs);
            assert_eq!(clock(length), counted);
            assert_eq!(spelled(length), said);
        }
    }
}
