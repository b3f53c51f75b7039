//! `fake-twilio --port N`: the stand-in for Twilio's REST API as a process, for its official client and for trying the
//! tunnel by hand. Says on its first line where it is and with which credentials; ends with its standard input.

use fakes::twilio::{ACCOUNT, TOKEN, Twilio};
use std::io::{self, BufRead, Write};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let port = match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => 0,
        (Some("--port"), Some(port)) => port.parse().map_err(io::Error::other)?,
        _ => return Err(io::Error::other("usage: fake-twilio [--port N]")),
    };
    let twilio = Twilio::start(port)?;
    for number in 100..105 {
        twilio.add_number(&format!("+15550{number}"));
    }
    for status in ["ringing", "in-progress", "completed"] {
        twilio.add_call(status);
    }
    let mut out = io::stdout();
    writeln!(out, "{} {ACCOUNT} {TOKEN}", twilio.base())?;
    out.flush()?;
    for line in io::stdin().lock().lines() {
        line?;
    }
    let violations = twilio.violations();
    for violation in &violations {
        writeln!(out, "violation: {violation}")?;
    }
    if violations.is_empty() {
        Ok(())
    } else {
        Err(io::Error::other(
            "requests or answers were not as specified",
        ))
    }
}
