//! `fake-elevenlabs --port N`: the stand-in for ElevenLabs as a process, for its official client and for trying a voice
//! by hand. Says on its first line where it is and with which key and voice; ends with its standard input.

use fakes::elevenlabs::{ElevenLabs, KEY, VOICE};
use std::io::{self, BufRead, Write};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let port = match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => 0,
        (Some("--port"), Some(port)) => port.parse().map_err(io::Error::other)?,
        _ => return Err(io::Error::other("usage: fake-elevenlabs [--port N]")),
    };
    let service = ElevenLabs::start(port)?;
    let mut out = io::stdout();
    writeln!(out, "{} {KEY} {VOICE}", service.base())?;
    out.flush()?;
    for line in io::stdin().lock().lines() {
        line?;
    }
    let violations = service.seen().violations;
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
