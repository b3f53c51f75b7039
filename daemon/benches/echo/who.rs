//! Who is measured, and how it is configured and started.

use super::support::server::{Server, daemon, pinned};
use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;

/// What the daemon believes to be its address, so that signatures are over something.
pub(crate) const PUBLIC_URL: &str = "https://bench.example.com";

/// What the daemon and the generator sign with.
pub(crate) const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// The plugins that its configurations name.
const PLUGINS: [&str; 2] = ["libresponder_echo.so", "libtts_pico.so"];

/// The daemon that was asked for instead of the one built with the bench.
static ASKED_FOR: OnceLock<PathBuf> = OnceLock::new();

/// From here on this daemon is measured. The first word counts.
pub(crate) fn measure_instead(daemon: PathBuf) {
    ASKED_FOR.get_or_init(|| daemon);
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// [`super::bare`], in a process of its own.
    Bare,
    /// The daemon whose default agent is the live echo.
    Live,
    /// The same with the neural detector, as if it mattered to the echo who speaks.
    Hearing,
    /// The daemon as it is shipped: greeting, neural detector, parrot.
    Shipped,
}

impl Who {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Who::Bare => "bare",
            Who::Live | Who::Shipped => "daemon",
            Who::Hearing => "hearing",
        }
    }

    /// Starts it for so many calls.
    pub(crate) async fn start(self, calls: usize) -> io::Result<Server> {
        let folder = tempfile::tempdir()?;
        if self == Who::Bare {
            let bench = std::env::current_exe()?;
            return Server::start(folder, |address| {
                let mut command = pinned(&bench);
                command.args(["--serve", &address.to_string()]);
                command
            })
            .await;
        }
        let daemon = daemon(ASKED_FOR.get().map(PathBuf::as_path), &PLUGINS)?;
        Server::daemon(&daemon, folder, &configuration(self, calls)).await
    }
}

fn configuration(who: Who, calls: usize) -> String {
    let agent = match who {
        Who::Bare | Who::Live => {
            "responder = \"live\"\nvoice = \"english\"\nturn = { detector = \"off\" }"
        }
        Who::Hearing => "responder = \"live\"\nvoice = \"english\"",
        Who::Shipped => {
            "responder = \"echo\"\nvoice = \"english\"\ngreeting = \"Hello! I am an echo with good manners. Say something.\""
        }
    };
    format!(
        r#"
[http]
public_url = "{PUBLIC_URL}"
max_connections = {connections}
[twilio]
auth_token = "{AUTH_TOKEN}"
[limits]
lateness_ms = 0
calls = {calls}
[media]
threads = 1
[plugins.live]
library = "responder_echo"
mode = "live"
[plugins.echo]
library = "responder_echo"
[plugins.pico]
library = "tts_pico"
[voices.english]
plugin = "pico"
voice = "en-US"
[agents.default]
{agent}
"#,
        connections = calls * 3 + 100,
    )
}
