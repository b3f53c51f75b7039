//! `tunnel start`: opens, counts down, and puts back on every way out.

use super::borrow::{called, failure, pick, pointed};
use super::journal::{Desk, Journal, VERSION};
use super::screen::{Screen, spelled};
use super::stop::{pay, settle};
use super::way::{Way, daemon_answers, prove};
use super::{account, now_secs};
use crate::carrier::twilio::rest::Rest;
use crate::cli::phone::duration;
use crate::cli::remote::base_url;
use crate::cli::{Failure, runtime};
use crate::config::{self, Config, Env};
use clap::Args;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A tunnel is for trying, not for ever: a month at most.
const LONGEST: Duration = Duration::from_secs(31 * 24 * 3600);

/// How often the countdown moves, and a wish to stop is looked for.
const TICK_MS: u64 = 250;

/// How often putting back is tried before it is left to the next start.
const PUT_BACK_TRIES: usize = 3;

/// Before the next of these.
const PUT_BACK_PAUSE_SECS: u64 = 2;

#[derive(Debug, Args)]
pub(super) struct StartArguments {
    /// An https:// address that leads to the daemon already; without it http.public_url, or else a new one from ngrok
    /// (NGROK_AUTHTOKEN in the environment or in .env)
    url: Option<String>,

    /// How long (30m, 24h)
    #[arg(short, long = "duration", value_name = "TIME", default_value = "24h", value_parser = length)]
    duration: Duration,

    /// Which of the account's numbers; without it the only one, or the one that `numbers` names
    #[arg(long, value_name = "NUMBER")]
    number: Option<String>,

    /// Where the daemon answers on this machine, instead of the configuration's http.listen
    #[arg(long, value_name = "URL")]
    to: Option<String>,
}

fn length(text: &str) -> Result<Duration, String> {
    let length = duration(text)?;
    if length < Duration::from_secs(1) || length > LONGEST {
        return Err(format!("between 1s and {}", spelled(LONGEST)));
    }
    Ok(length)
}

pub(super) fn start(
    path: &Path,
    config: &Config,
    state: &Path,
    arguments: &StartArguments,
) -> Result<(), Failure> {
    let rest = account(config)?;
    let given = given(config, arguments.url.as_deref())?;
    may_be_open(config)?;
    let local = arguments.to.clone().unwrap_or_else(|| base_url(config));
    let local = local.trim_end_matches('/');
    let desk = Desk::open(state).map_err(Failure::failed)?;
    runtime()?.block_on(async {
        let mut ends = Ends::listen().map_err(|error| Failure::failed(error.to_string()))?;
        let Some(lock) = desk.lock().map_err(Failure::failed)? else {
            let pid = desk.holder().map_or("?".to_owned(), |pid| pid.to_string());
            return Err(Failure::temporary(format!(
                "a tunnel is open already, in process {pid}; see voice-streamer tunnel status, or close it with \
                 voice-streamer tunnel stop"
            )));
        };
        desk.forget_stop().map_err(Failure::failed)?;
        let screen = Screen::new();
        if let Some(said) = settle(config, &desk, &lock).await? {
            screen.say(&said);
        }
        let opened = async {
            daemon_answers(local).await?;
            let number = pick(&rest, arguments.number.as_deref(), config).await?;
            let way = match given {
                Some(url) => Way::given(url),
                None => Way::through_ngrok(&ngrok_token(path)?, local).await?,
            };
            Ok::<_, Failure>((number, way))
        };
        let (number, way) = tokio::select! {
            opened = opened => opened?,
            end = ends.next(&desk) => {
                screen.say(&format!("{end}; nothing was changed."));
                return Ok(());
            }
        };
        let opened_at_secs = now_secs();
        let journal = Journal {
            version: VERSION,
            account_sid: rest.account_sid().to_owned(),
            number_sid: number.sid,
            number: number.phone_number,
            opened_at_secs,
            closes_at_secs: opened_at_secs + arguments.duration.as_secs(),
            set: pointed(&number.settings, &way.public_url),
            found: number.settings,
            public_url: way.public_url.clone(),
        };
        let written = desk.write(&journal);
        written.map_err(|why| Failure::failed(format!("{why}. Nothing was changed")))?;
        let mut tunnel = Tunnel {
            config,
            rest: &rest,
            desk: &desk,
            screen: &screen,
            local,
            way,
            journal,
        };
        let ended = tunnel.open(&mut ends, arguments.duration).await;
        screen.stop_counting();
        if let Ok(end) = &ended {
            screen.say(&format!("{end}: putting the number back"));
        }
        let paid = tunnel.put_back(&mut ends).await;
        tunnel.way.close().await;
        // Whoever is told of both should read first what went wrong first.
        if let (Err(failure), Err(unpaid)) = (&ended, &paid) {
            return Err(Failure::failed(format!("{failure}\n{unpaid}")));
        }
        screen.say(&paid?);
        ended.map(drop)
    })
}

/// The address to use, if ngrok is not to give one.
fn given(config: &Config, url: Option<&str>) -> Result<Option<String>, Failure> {
    let configured = config.http.public_url.as_deref();
    let Some(url) = url else {
        return Ok(configured.map(str::to_owned));
    };
    let url =
        config::public_url(url).map_err(|why| Failure::usage(format!("the address {why}")))?;
    if let Some(configured) = configured
        && configured != url
    {
        return Err(Failure::config(format!(
            "{}: http.public_url is {configured}, and the daemon takes requests signed for that address only. Take the \
             line out to use another with each tunnel, or change it to \"{url}\"",
            config.file.display()
        )));
    }
    if url.starts_with("http://") && config.twilio.api_url.starts_with("https://") {
        return Err(Failure::usage(format!(
            "{url} is an address of this machine, which Twilio cannot reach; name the https:// address that leads here"
        )));
    }
    Ok(Some(url))
}

/// Whether the world may be let in at all.
fn may_be_open(config: &Config) -> Result<(), Failure> {
    let twilio = &config.twilio;
    if twilio.validate_signature || twilio.allow_unsigned {
        return Ok(());
    }
    Err(Failure::config(format!(
        "{}: twilio.validate_signature is false, so that anybody could start calls through a tunnel. Take the line out, \
         or set allow_unsigned = true if that is meant",
        config.file.display()
    )))
}

fn ngrok_token(path: &Path) -> Result<String, Failure> {
    let dotenv = config::dotenv_beside(path);
    let env = Env::read(dotenv.exists().then_some(dotenv.as_path()));
    let env = env.map_err(|problems| Failure::config(problems.to_string()))?;
    let token = env.get("NGROK_AUTHTOKEN").map(|token| token.expose());
    token.filter(|token| !token.is_empty()).map(str::to_owned).ok_or_else(|| {
        Failure::usage(format!(
            "no address is given, and NGROK_AUTHTOKEN is set neither in the environment nor in {}: get one at \
             https://dashboard.ngrok.com, or name an address that leads here: voice-streamer tunnel start https://…",
            dotenv.display()
        ))
    })
}

/// A tunnel between its journal's first word and its last.
struct Tunnel<'t> {
    config: &'t Config,
    rest: &'t Rest,
    desk: &'t Desk,
    screen: &'t Screen,
    local: &'t str,
    way: Way,
    journal: Journal,
}

impl Tunnel<'_> {
    /// Opens and stays open; why it ends. Puts nothing back.
    async fn open(&mut self, ends: &mut Ends, length: Duration) -> Result<End, Failure> {
        let url = self.way.public_url.clone();
        self.desk.lend(&url).map_err(Failure::failed)?;
        tokio::select! {
            proved = prove(self.config, &url, self.local) => proved?,
            end = ends.next(self.desk) => return Ok(end),
        }
        // Not given up half-way: a change that was sent may still arrive after we have looked whether it did.
        let (found, set) = (&self.journal.found, &self.journal.set);
        let changed = self
            .rest
            .change_number(&self.journal.number_sid, found, set);
        let changed = changed.await.map_err(failure)?;
        if changed.settings != self.journal.set {
            // Twilio spells a setting in its own way; by that it is known again.
            self.journal.set = changed.settings;
            self.desk.write(&self.journal).map_err(Failure::failed)?;
        }
        let number = self.journal.number.as_str();
        self.screen.say(&format!(
            "{number} calls {url} now, for {}. Before: {}; that is put back at the end, and by the next tunnel command \
             after a crash.\nCheck it: call {number}, and see voice-streamer tunnel status, voice-streamer logs --follow",
            spelled(length),
            called(&self.journal.found),
        ));
        let closes = Instant::now() + length;
        let countdown = async {
            let mut tick = tokio::time::interval(Duration::from_millis(TICK_MS));
            loop {
                tick.tick().await;
                // The machine may sleep, and its clock may be set: whichever says first that the time is over.
                let left = closes.saturating_duration_since(Instant::now());
                let wall_secs = self.journal.closes_at_secs.saturating_sub(now_secs());
                if left.is_zero() || wall_secs == 0 {
                    return End::Time;
                }
                self.screen
                    .count(number, left.min(Duration::from_secs(wall_secs)));
            }
        };
        tokio::select! {
            end = countdown => Ok(end),
            end = ends.next(self.desk) => Ok(end),
            why = self.way.lost() => Err(Failure::temporary(format!("the tunnel is lost: {why}"))),
        }
    }

    /// Puts the number back, trying again while Twilio cannot be asked; another signal gives up.
    async fn put_back(&self, ends: &mut Ends) -> Result<String, Failure> {
        let mut tries = 1;
        loop {
            let failure = match pay(self.rest, self.desk, &self.journal).await {
                Ok(said) => return Ok(said),
                Err(failure) => failure,
            };
            let owed = Failure::temporary(format!(
                "{failure}\n{} STILL CALLS {}: run voice-streamer tunnel stop to put it back",
                self.journal.number, self.journal.public_url
            ));
            if tries == PUT_BACK_TRIES {
                return Err(owed);
            }
            self.screen.say(&format!("{failure}; trying again"));
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(PUT_BACK_PAUSE_SECS)) => {}
                _ = ends.signal() => return Err(owed),
            }
            tries += 1;
        }
    }
}

/// What ends a tunnel in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Time,
    Interrupt,
    Terminate,
    HangUp,
    Wish,
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            End::Time => "The time is over",
            End::Interrupt => "Interrupted",
            End::Terminate => "Asked to end",
            End::HangUp => "The terminal is gone",
            End::Wish => "Closed by tunnel stop",
        })
    }
}

/// Signals and wishes.
struct Ends {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Ends {
    fn listen() -> io::Result<Ends> {
        Ok(Ends {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal.
    async fn signal(&mut self) -> End {
        tokio::select! {
            _ = self.interrupt.recv() => End::Interrupt,
            _ = self.terminate.recv() => End::Terminate,
            _ = self.hang_up.recv() => End::HangUp,
        }
    }

    /// The next signal, or the wish of `tunnel stop`.
    async fn next(&mut self, desk: &Desk) -> End {
        let wished = async {
            let mut tick = tokio::time::interval(Duration::from_millis(TICK_MS));
            while !desk.stop_is_wished() {
                tick.tick().await;
            }
            End::Wish
        };
        tokio::select! {
            end = self.signal() => end,
            end = wished => end,
        }
    }
}
