//! The daemon put together: configuration → plugins → store → media threads → HTTP, and ended in the other order.
//!
//! Anything that is missing is said in a sentence before the first call is answered. The default agent must be whole;
//! another agent whose plugin cannot be loaded is left out, loudly, and its numbers hear the fallback sentence.

mod borrowed;
mod languages;
mod left;
mod plugins;
mod resolved;
mod roles;
mod steward;
mod watchdog;

pub use crate::store::LeftError;
pub use left::LeftBehind;
pub use plugins::{Checked, check_plugins, check_store};
pub use steward::SetLogLevel;

use crate::accounts::{Accounts, Clock, Control};
use crate::call::Why;
use crate::config::{self, Config, Problems, Watch};
use crate::http::{self, Desk, Doors};
use crate::leg::{
    self, Admission, CurrentPatience, CurrentRoster, House, MediaThreads, Phrases, Rests,
};
use crate::metrics::Metrics;
use crate::store::{OpenError, Store};
use arc_swap::{ArcSwap, ArcSwapOption};
use borrowed::borrow_address;
use plugins::{need_default_agent, open_plugins};
use resolved::{bounds, desk_keys, patience, roster};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};
use steward::Steward;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

/// How often calls whose stream never came are looked for.
const SWEEP_SECS: u64 = 5;

/// How long lines may take to say goodbye once their calls have been ended.
pub const GOODBYE_SECS: u64 = 5;

/// How often a drain looks whether the last call has ended.
const DRAIN_LOOK_MS: u64 = 100;

/// Media threads when the configuration leaves the number to us.
const MEDIA_THREADS_AUTO: usize = 8;

/// Where the command line overrules the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub listen: Option<SocketAddr>,
    pub state: Option<PathBuf>,
    /// How `log.level` takes effect while running; nothing if nobody logs.
    pub set_log_level: Option<SetLogLevel>,
    /// The time sessions go by, for tests.
    pub clock: Option<Clock>,
}

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Keys of a plugin or a voice are wrong.
    #[error("the configuration is wrong\n\n{0}")]
    Config(Problems),
    /// A plugin that the default agent needs.
    #[error("the default agent cannot work: {0}")]
    Plugin(String),
    /// `--listen` would let others start calls unsigned.
    #[error("{0}")]
    Unsafe(String),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {error}. {}", what_to_do(error))]
    Listen {
        address: SocketAddr,
        error: io::Error,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// Threads, runtimes.
    #[error("the system does not allow it: {0}")]
    System(#[from] io::Error),
}

fn what_to_do(listening: &io::Error) -> &'static str {
    match listening.kind() {
        io::ErrorKind::PermissionDenied => {
            "Ports below 1024 are the system's: choose a higher one with --listen or http.listen, and have a proxy in front \
             of it, or grant CAP_NET_BIND_SERVICE"
        }
        io::ErrorKind::AddrNotAvailable => {
            "It is none of this machine's addresses: see `ip addr`, or take 0.0.0.0 for all of them"
        }
        _ => "Is another daemon running? Choose another address with --listen or http.listen",
    }
}

/// A running daemon.
pub struct Daemon {
    desk: Arc<Desk>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    sweeping: JoinHandle<()>,
    stewarding: JoinHandle<()>,
    borrowing: JoinHandle<()>,
    feeding: Option<JoinHandle<()>>,
    in_force: Arc<ArcSwap<Config>>,
}

impl Daemon {
    /// Starts everything; when it returns, calls are answered at [`Daemon::address`].
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running then.
    pub async fn start(mut config: Config, overrides: Overrides) -> Result<Daemon, StartError> {
        // The file was read a moment ago; what is written to it from now on will be noticed.
        let read_at = SystemTime::now();
        let state = overrides
            .state
            .clone()
            .unwrap_or_else(|| config.store.path.clone());
        // First: without it nothing works, plugins have their copies beside it, and its lock says whether another daemon
        // is at work here, whose plugins would otherwise be opened twice.
        let store = Store::open(&state, leg::unix_ms())?;
        let opened = open_plugins(&mut config, &state, None).map_err(StartError::Config)?;
        need_default_agent(&config, &opened.failed)?;
        for (name, why) in &opened.failed {
            error!(plugin = %name, "left out: {why}");
        }

        let address = overrides.listen.unwrap_or(config.http.listen);
        config.check_listen(address).map_err(StartError::Unsafe)?;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| StartError::Listen { address, error })?;
        let address = listener.local_addr()?;

        let clock = overrides.clock.unwrap_or_else(Clock::system);
        let accounts = Accounts::open(store.clone(), clock).map_err(io::Error::other)?;
        say_how_the_last_ended(&state);
        accounts.obey(&state, &own_url(address))?;
        let metrics = Arc::new(Metrics::new(leg::unix_ms() as f64 / 1000.0));
        let house = Arc::new(House {
            admission: Admission::new(bounds(&config)),
            roster: CurrentRoster::new(roster(&config, opened.plugins)),
            store,
            metrics,
            phrases: Phrases::new(),
            rests: Rests::new(),
            patience: CurrentPatience::new(patience(&config)),
        });
        let media = MediaThreads::start(media_threads(config.media.threads), &house)?;
        let in_force = Arc::new(ArcSwap::from_pointee(config));
        let config = in_force.load_full();
        let begun = steward::begin(&config, &house, opened.failed)?;
        let desk = Arc::new(Desk {
            house,
            media,
            keys: ArcSwap::from_pointee(desk_keys(&config)),
            configuration: begun.configuration,
            own_url: own_url(address),
            borrowed_url: ArcSwapOption::empty(),
            accounts,
            draining: AtomicBool::new(false),
        });
        say_how_safe(&config, address);

        let doors = Doors {
            connections: config.http.max_connections,
            connections_per_ip: config.http.max_connections_per_ip,
            header: Duration::from_secs(config.http.header_timeout_secs),
        };
        let borrowed_in = state.clone();
        let steward = Steward {
            desk: Arc::clone(&desk),
            in_force: Arc::clone(&in_force),
            state,
            address,
            set_log_level: overrides.set_log_level,
        };
        let mut watch = Watch::new(config::POLL);
        watch.follow(steward::depends_on(&config), read_at).await;
        let hangups = signal(SignalKind::hangup())?;
        let stewarding = tokio::spawn(steward.serve(begun.wishes, hangups, watch));
        let (stop, stopping) = watch::channel(false);
        let serving = tokio::spawn(http::serve(listener, doors, Arc::clone(&desk), stopping));
        let sweeping = tokio::spawn(sweep(Arc::clone(&desk)));
        let borrowing = tokio::spawn(borrow_address(Arc::clone(&desk), borrowed_in));
        let feeding = watchdog::start(&desk);
        desk.house.metrics.ready.set(1);
        Ok(Daemon {
            desk,
            address,
            stop,
            serving,
            sweeping,
            stewarding,
            borrowing,
            feeding,
            in_force,
        })
    }

    /// How long running calls may take to end by themselves, as `limits.drain_secs` says now.
    pub fn drain_patience(&self) -> Duration {
        Duration::from_secs(self.in_force.load().limits.drain_secs)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether nobody can sign in yet.
    pub fn has_no_account(&self) -> bool {
        self.desk.accounts.list().is_empty()
    }

    /// The page that makes the first account, behind a one-time token; `None` once there is one. The last link holds.
    pub fn setup_link(&self) -> Option<String> {
        self.desk.setup_link()
    }

    /// Calls that wait for their stream or talk.
    pub fn calls(&self) -> usize {
        self.desk.house.admission.present()
    }

    /// No new calls; running ones may finish for `patience`, or until `hurry` is ready. Then everything is ended and
    /// everything known is on disk.
    pub async fn drain(self, patience: Duration, hurry: impl Future<Output = ()>) {
        let Daemon {
            desk,
            stop,
            serving,
            sweeping,
            stewarding,
            borrowing,
            feeding,
            ..
        } = self;
        stewarding.abort();
        borrowing.abort();
        desk.draining.store(true, Ordering::Relaxed);
        desk.house.metrics.ready.set(0);
        desk.house.admission.close();
        let finished = async {
            while desk.house.admission.present() > 0 {
                tokio::time::sleep(Duration::from_millis(DRAIN_LOOK_MS)).await;
            }
        };
        tokio::select! {
            () = finished => {}
            () = hurry => warn!(calls = desk.house.admission.present(), "ending the remaining calls now"),
            () = tokio::time::sleep(patience) => {
                warn!(calls = desk.house.admission.present(), "the time to finish is over; ending the remaining calls");
            }
        }
        sweeping.abort();
        desk.media.end(None, Why::Drained).await;
        let gone = async {
            while desk.media.lines() > 0 {
                tokio::time::sleep(Duration::from_millis(DRAIN_LOOK_MS)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(GOODBYE_SECS), gone)
            .await
            .is_err()
        {
            warn!(
                lines = desk.media.lines(),
                "some streams did not say goodbye in time"
            );
        }
        // Nobody listens any more once the channel is gone, which is just as well.
        stop.send_replace(true);
        if let Err(error) = serving.await {
            error!("the listener had failed: {error}");
        }
        if let Some(feeding) = feeding {
            feeding.abort();
        }
        desk.accounts.obey_no_more();
        let store = desk.house.store.clone();
        if tokio::task::spawn_blocking(move || store.close())
            .await
            .is_err()
        {
            error!("closing the store had failed; the records that were acknowledged are on disk");
        }
    }
}

/// Calls whose stream never came are closed in the record, and so are those that nobody came back to.
async fn sweep(desk: Arc<Desk>) {
    let mut every = tokio::time::interval(Duration::from_secs(SWEEP_SECS));
    loop {
        every.tick().await;
        for gone in desk.house.admission.sweep(Instant::now()) {
            if gone.has_leg {
                let sid = Some(gone.guest.call_sid.as_str());
                desk.media.end(sid, Why::StreamLost).await;
            } else {
                leg::no_stream(&desk.house, &gone.guest);
            }
        }
    }
}

fn media_threads(configured: usize) -> usize {
    match configured {
        0 => std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(MEDIA_THREADS_AUTO),
        some => some,
    }
}

/// How this machine reaches a daemon that listens here.
fn own_url(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("http://127.0.0.1:{}", address.port())
    } else {
        format!("http://{address}")
    }
}

/// A daemon that ends in order takes its secret along.
fn say_how_the_last_ended(state: &Path) {
    if let Ok(Some(_)) = Control::find(state) {
        warn!(
            "the daemon that ran here before ended without a farewell: it was killed, it crashed, or the machine lost its power. \
             The calls it left open are closed as failed; if it had time for last words, they stand before this line"
        );
    }
}

/// What an operator must know about who can reach the daemon.
fn say_how_safe(config: &Config, address: SocketAddr) {
    if config.twilio.validate_signature {
        info!(%address, "requests of the carrier are checked against its signature");
        if config.http.public_url.is_none() {
            warn!(
                "http.public_url is not set: the carrier cannot be understood until voice-streamer tunnel start lends an address"
            );
        }
        return;
    }
    let reach = if address.ip().is_loopback() {
        "only this machine can reach it"
    } else {
        "ANYBODY WHO REACHES THIS ADDRESS CAN START CALLS (twilio.allow_unsigned)"
    };
    warn!(%address, "requests are NOT checked against the carrier's signature: {reach}. Set twilio.auth_token and http.public_url for real calls");
}
