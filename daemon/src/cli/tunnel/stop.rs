//! `tunnel stop`: the running tunnel is wished closed and waited for; a dead one's debt is paid.

use super::account;
use super::borrow::{PutBack, called, failure, put_back};
use super::journal::{Desk, Journal, Lock};
use crate::carrier::twilio::rest::{Half, Rest, Settings};
use crate::cli::{Failure, runtime};
use crate::config::Config;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a running tunnel may take to put its number back; Twilio is asked twice for that.
const CLOSE_SECS: u64 = 60;

/// How often it is looked whether it has.
const LOOK_MS: u64 = 100;

pub(super) fn stop(config: &Config, state: &Path) -> Result<(), Failure> {
    let desk = Desk::open(state).map_err(Failure::failed)?;
    runtime()?.block_on(async {
        let (lock, waited) = closed(&desk).await?;
        let paid = settle(config, &desk, &lock).await?;
        desk.forget_stop().map_err(Failure::failed)?;
        match paid {
            Some(said) => eprintln!("{said}"),
            None if waited => eprintln!("The tunnel is closed; its number was put back."),
            None => eprintln!("No tunnel is open, and nothing is owed."),
        }
        Ok(())
    })
}

/// The lock, once the tunnel that has it is closed, and whether there was one.
async fn closed(desk: &Desk) -> Result<(Lock, bool), Failure> {
    let began = Instant::now();
    let mut waited = false;
    loop {
        if let Some(lock) = desk.lock().map_err(Failure::failed)? {
            return Ok((lock, waited));
        }
        if began.elapsed() > Duration::from_secs(CLOSE_SECS) {
            let pid = desk.holder().map_or("?".to_owned(), |pid| pid.to_string());
            return Err(Failure::temporary(format!(
                "the tunnel of process {pid} does not close within {CLOSE_SECS} s. End that process, and run \
                 voice-streamer tunnel stop again: then the number is put back from here"
            )));
        }
        waited = true;
        // Again each time: a tunnel that is only just opening forgets older wishes first.
        desk.wish_stop().map_err(Failure::failed)?;
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
    }
}

/// Pays what a killed tunnel owes; what was done, or `None` if nothing is owed. Needs the lock: a living tunnel pays
/// for itself.
///
/// # Errors
/// The number could not be put back; the debt stands.
pub(super) async fn settle(
    config: &Config,
    desk: &Desk,
    _lock: &Lock,
) -> Result<Option<String>, Failure> {
    let Some(journal) = desk.journal().map_err(Failure::failed)? else {
        // An address may be left of a tunnel that was killed between its two files.
        desk.settle().map_err(Failure::failed)?;
        return Ok(None);
    };
    let rest = account(config)?;
    if rest.account_sid() != journal.account_sid {
        return Err(Failure::config(format!(
            "a tunnel that was killed owes the number {} of the account {}, but twilio.account_sid is {} now. Put the \
             old account into {} and run voice-streamer tunnel stop",
            journal.number,
            journal.account_sid,
            rest.account_sid(),
            config.file.display()
        )));
    }
    let left = pay(&rest, desk, &journal).await?;
    Ok(Some(format!("A tunnel had been killed: {left}")))
}

/// Puts a number back and forgets the debt; how the number was left.
///
/// # Errors
/// The number could not be put back, and the debt stands; or it was, but the journal cannot be removed.
pub(super) async fn pay(rest: &Rest, desk: &Desk, journal: &Journal) -> Result<String, Failure> {
    let left = put_back(rest, journal).await.map_err(failure)?;
    desk.settle().map_err(|why| {
        Failure::failed(format!(
            "the number {} is as it was, but {why}. The next tunnel command finds it so and does no harm",
            journal.number
        ))
    })?;
    Ok(in_words(&left, &journal.number, &journal.found))
}

/// How a number was left, as a sentence.
fn in_words(left: &PutBack, number: &str, found: &Settings) -> String {
    let called = called(found);
    match left {
        PutBack::AsFound => format!("{number} is as it was found: it calls {called}."),
        PutBack::Gone => {
            format!("{number} is no longer in the account; there was nothing to put back.")
        }
        PutBack::LeftAlone(halves) if halves.contains(&Half::Voice) => format!(
            "somebody changed {number} meanwhile, so it was left alone. Before, it called {called}."
        ),
        PutBack::LeftAlone(_) => format!(
            "{number} calls {called} again; its status callback was changed by somebody meanwhile and left alone."
        ),
    }
}
