//! The configuration as the routes see it: how it stands, and the wish that the file be read again. Who reads, opens and
//! applies sits behind a channel, so nothing here knows how it is done.
//!
//! ```text
//!  route ── reload() ──→ channel ──→ the one task that applies, one attempt after the other
//!    └────── standing() ←── replaced by it after each attempt
//! ```

use super::access::{Visitor, Wish, admit};
use super::answer::{self, Answer};
use super::desk::Desk;
use super::update::Actor;
use crate::config::{Diff, Sheet};
use hyper::{Request, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Those who wait at once; one more waits outside.
const ASKING: usize = 64;

/// What made us read the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The daemon started.
    Start,
    /// A file changed: the configuration, its `.env`, a secret, or a plugin's library.
    File,
    /// SIGHUP.
    Signal,
    /// Somebody asked, by command or on a page.
    Asked,
}

impl Cause {
    /// One word, as in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Start => "start",
            Cause::File => "file",
            Cause::Signal => "signal",
            Cause::Asked => "asked",
        }
    }
}

/// How an attempt went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// The file holds from now on; what changed is in [`LastReload::diff`].
    Applied,
    /// It says what was in force already.
    Unchanged,
    /// It is wrong, or a plugin in it cannot be had: what was in force stays, all of it.
    Refused {
        /// What is wrong, as drawn for people: file, line, column, the line itself and a caret. Secrets are dots.
        error: String,
    },
}

/// The last attempt to take over the file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LastReload {
    /// When it was done, in milliseconds since 1970.
    pub at_ms: u64,
    pub cause: Cause,
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What it changed; nothing if it was refused.
    pub diff: Diff,
    /// How long it took.
    pub took_ms: u64,
}

/// A plugin in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PluginInForce {
    /// Larger than that of any opened before.
    pub generation: u64,
    /// The plugin's own name and version, of what is really loaded.
    pub name: String,
    pub version: String,
    /// SHA-256 of the library's content.
    pub sha256: String,
}

/// How the configuration stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// The file, as it was named.
    pub file: String,
    /// The last attempt, be it the start.
    pub last: LastReload,
    /// When the configuration in force was taken over, in milliseconds since 1970.
    pub in_force_since_ms: u64,
    /// What the file in force says and only a restart will bring.
    pub waiting: Diff,
    /// Opened plugins by their names in the configuration.
    pub plugins: BTreeMap<String, PluginInForce>,
    /// Plugins the configuration names and that could not be opened at the start, with the reason.
    pub left_out: BTreeMap<String, String>,
    /// Everything in force, key by key, secrets as dots.
    pub sheet: Sheet,
}

impl Standing {
    /// As JSON without the sheet.
    pub(super) fn in_short(&self) -> Value {
        let Standing {
            file,
            last,
            in_force_since_ms,
            waiting,
            plugins,
            left_out,
            sheet: _,
        } = self;
        json!({
            "file": file,
            "last": last,
            "in_force_since_ms": in_force_since_ms,
            "waiting": waiting,
            "plugins": plugins,
            "left_out": left_out,
        })
    }
}

/// `GET /api/configuration/`. The sheet, whose marks would let a weak secret be guessed at leisure, is for this machine
/// only, where `check` compares it.
pub(super) fn shown<B>(desk: &Desk, peer: SocketAddr, request: &Request<B>) -> Answer {
    match admit(desk, peer, request, Wish::Look) {
        Ok(Visitor::ThisMachine | Visitor::CommandLine) => {
            answer::json(&*desk.configuration.standing())
        }
        Ok(Visitor::SignedIn(_) | Visitor::Program(_)) => {
            answer::json(&desk.configuration.standing().in_short())
        }
        Err(answer) => *answer,
    }
}

/// `POST /api/configuration/reload/`: answers when it is done. A refused edit is no failure of the request: the answer
/// says so in `last.outcome`.
pub(super) async fn reload<B>(desk: &Arc<Desk>, peer: SocketAddr, request: &Request<B>) -> Answer {
    let visitor = match admit(desk, peer, request, Wish::Reload) {
        Ok(visitor) => visitor,
        Err(answer) => return *answer,
    };
    let ip = desk.client_ip(peer, request);
    match reload_for(desk, &Actor { visitor, ip }).await {
        Some(standing) => answer::json(&standing.in_short()),
        None => answer::problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "the daemon is shutting down and reads no configuration any more",
        ),
    }
}

/// Reloads, and keeps in the event log who asked and how it went.
pub(super) async fn reload_for(desk: &Desk, actor: &Actor) -> Option<Arc<Standing>> {
    let standing = desk.configuration.reload().await?;
    let outcome = match &standing.last.outcome {
        Outcome::Applied => "applied",
        Outcome::Unchanged => "unchanged",
        Outcome::Refused { .. } => "refused",
    };
    actor.note(desk, "reloaded_by", "", json!({"outcome": outcome}));
    Some(standing)
}

/// The routes' handle.
pub struct Configuration {
    wishes: mpsc::Sender<Asking>,
    standing: watch::Sender<Arc<Standing>>,
}

/// Somebody waits for a reload.
#[derive(Debug)]
pub struct Asking {
    /// Whom to tell how it went. He may be gone by then, which does not matter.
    pub tell: oneshot::Sender<Arc<Standing>>,
}

impl Configuration {
    /// A handle that shows this, and the end at which wishes arrive.
    pub fn new(standing: Standing) -> (Configuration, mpsc::Receiver<Asking>) {
        let (wishes, arriving) = mpsc::channel(ASKING);
        let configuration = Configuration {
            wishes,
            standing: watch::Sender::new(Arc::new(standing)),
        };
        (configuration, arriving)
    }

    /// How it stands now.
    pub fn standing(&self) -> Arc<Standing> {
        Arc::clone(&self.standing.borrow())
    }

    /// The same, for whoever wants to be told of each attempt.
    pub fn standings(&self) -> watch::Receiver<Arc<Standing>> {
        self.standing.subscribe()
    }

    /// Reads the file again and applies it, or not; how it stands then. Attempts come one after the other, so this is
    /// about the file as it is now, not as it was when somebody else asked. `None` once the daemon is ending.
    pub async fn reload(&self) -> Option<Arc<Standing>> {
        let (tell, told) = oneshot::channel();
        self.wishes.send(Asking { tell }).await.ok()?;
        told.await.ok()
    }

    /// Shows this from now on; for whoever applies.
    pub fn stands(&self, standing: Standing) -> Arc<Standing> {
        let standing = Arc::new(standing);
        self.standing.send_replace(Arc::clone(&standing));
        standing
    }
}

impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Configuration({:?})", self.standing().last.outcome)
    }
}
