//! Who may become a call: one-time tokens, caps, and the answers already given.
//!
//! The webhook admits a call and gives it a token; the stream spends the token in its `start` message. A webhook that
//! is delivered again gets the same answer and no second token: its signature carries no time and would verify for
//! ever. Locked a few times per call, never per frame.
//!
//! A call may have several streams, one after the other; each has its own token. What becomes of a call whose stream is
//! over is in [`resume`].
//!
//! ```text
//!  Waiting ── start ──→ Talking ── ended ──────────────────────────────→ Ended
//!     ↑ ↑                  └── stream lost, keys, a transfer ──→ Away ───↗
//!     │ └──── the carrier asks: the next stream, with a new token ┤
//!     └───────────────────── it is over ── Dialling ←── transfer ─┘
//! ```

mod resume;

pub use resume::{Connect, MAX_STREAMS, Next, Step};

use super::Agent;
use crate::call::Why;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an ended call is remembered, so that a late repetition of its webhook does not ring again.
const REMEMBER_ENDED_SECS: u64 = 60;

/// Random bytes in a token; written as twice as many hexadecimal digits.
const TOKEN_BYTES: usize = 16;

/// Limits on admission; all from `[limits]`.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Calls that wait for a stream, talk, or are away.
    pub calls: usize,
    /// The same for one caller's number.
    pub calls_per_caller: usize,
    /// How long a token waits for its stream.
    pub token: Duration,
}

/// Who calls, and who answers him: what a call is from the webhook that asks to let it in to its last stream.
#[derive(Clone, Debug)]
pub struct Guest {
    pub call_sid: String,
    pub from: String,
    pub to: String,
    /// What the webhook was given for this call by whoever set it up, by name; bounded there.
    pub parameters: BTreeMap<String, String>,
    pub agent: Arc<Agent>,
    /// Who delivered the webhook, and then who opened the latest stream; kept for the record.
    pub ip: IpAddr,
    /// The number of its first stream: 1, unless a daemon before this one served some.
    pub first_stream: u32,
}

/// A call whose leg is kept while it has no stream: where it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Away {
    /// The stream broke.
    Lost,
    /// These keys are to be pressed.
    Keys(String),
    /// The caller is to be connected to this number.
    Transfer(String),
}

/// A stream that may begin, and what it begins.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub guest: Guest,
    /// The call has a leg already, on this thread, which the stream is for.
    pub back: Option<Back>,
}

/// How a call comes back to its leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Back {
    /// The stream before had broken.
    Lost,
    /// The keys were pressed.
    Keys,
    /// The transfer is over; how it went, in the carrier's word.
    Transfer(String),
}

/// A call that nobody comes back to.
#[derive(Clone, Debug)]
pub struct Forsaken {
    pub guest: Guest,
    /// It has a leg, which is to be ended and closes the record.
    pub has_leg: bool,
}

/// The webhook's answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Admit {
    /// Let in just now; this is the document to answer with.
    Fresh(String),
    /// Let in before; the same document again.
    Repeat(String),
    /// Let in before, and well past its first stream: whoever repeats that webhook gets no token of a later one.
    Past,
    /// Not now: a word for the metric.
    Busy(&'static str),
}

/// Why a token was not honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The start message brought none.
    NoToken,
    /// We never gave it out, or long ago.
    UnknownToken,
    /// Its stream has begun before.
    SpentToken,
    /// It belongs to another call.
    WrongCall,
    /// The call waited longer than `limits.token_secs`.
    Expired,
    /// Its leg is on another thread than the address said.
    WrongPlace,
}

#[derive(Debug)]
enum State {
    /// The latest stream that was announced has not come.
    Waiting {
        since: Instant,
    },
    Talking,
    /// Its leg is kept, and the carrier has not asked yet how to go on.
    Away {
        since: Instant,
    },
    /// The caller is being connected elsewhere.
    Dialling {
        since: Instant,
    },
    Ended {
        since: Instant,
        by_fault: bool,
    },
}

#[derive(Debug)]
struct Entry {
    guest: Guest,
    /// Of the latest stream that was announced.
    token: String,
    /// The latest document.
    answer: String,
    state: State,
    /// The number of the latest stream that was announced.
    stream: u32,
    /// Streams in a row that were announced and did not come.
    unopened: u32,
    /// The thread its leg lives on, once it has one.
    place: Option<usize>,
    /// Where it is while its leg has no stream.
    away: Option<Away>,
    /// How the transfer went.
    outcome: String,
}

/// The book of admitted calls.
#[derive(Debug)]
pub struct Admission {
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    bounds: Bounds,
    /// Threads that carry the calls, and those of them that have too much to do.
    threads: usize,
    overloaded: usize,
    by_sid: HashMap<String, Entry>,
    sid_by_token: HashMap<String, String>,
    closed: bool,
}

impl Admission {
    /// An empty book.
    pub fn new(bounds: Bounds) -> Admission {
        Admission {
            book: Mutex::new(Book {
                bounds,
                threads: 0,
                overloaded: 0,
                by_sid: HashMap::new(),
                sid_by_token: HashMap::new(),
                closed: false,
            }),
        }
    }

    /// From now on these hold. Calls that were let in stay, also when they are too many now.
    pub fn bound(&self, bounds: Bounds) {
        self.book().bounds = bounds;
    }

    /// The calls are carried by so many threads.
    pub fn carried_by(&self, threads: usize) {
        self.book().threads = threads;
    }

    /// One of them has too much to do, or no longer has. While all have, nobody is let in: a call that would stutter is
    /// none. Answers whether that is so, if this has changed it.
    pub fn overloaded(&self, is: bool) -> Option<bool> {
        let mut book = self.book();
        let before = book.is_overloaded();
        book.overloaded = match is {
            true => book.overloaded + 1,
            false => book.overloaded.saturating_sub(1),
        };
        let now = book.is_overloaded();
        (now != before).then_some(now)
    }

    /// Lets a call in, or says why not. `answer` makes the document from the token.
    pub fn admit(&self, guest: Guest, now: Instant, answer: impl FnOnce(&str) -> String) -> Admit {
        let mut book = self.book();
        if let Some(entry) = book.by_sid.get(&guest.call_sid) {
            return if entry.stream == entry.guest.first_stream {
                Admit::Repeat(entry.answer.clone())
            } else {
                Admit::Past
            };
        }
        if book.closed {
            return Admit::Busy("draining");
        }
        // Who talked with a daemon before this one is on the line already, and after a crash they all come at once.
        if book.is_overloaded() && guest.first_stream == 1 {
            return Admit::Busy("overload");
        }
        let mut present = 0;
        let mut same_caller = 0;
        for entry in book.by_sid.values() {
            if !matches!(entry.state, State::Ended { .. }) {
                present += 1;
                same_caller += usize::from(entry.guest.from == guest.from);
            }
        }
        if present >= book.bounds.calls {
            return Admit::Busy("calls");
        }
        if same_caller >= book.bounds.calls_per_caller {
            return Admit::Busy("calls_per_caller");
        }
        let Some(token) = random_token() else {
            return Admit::Busy("no_randomness");
        };
        let answer = answer(&token);
        book.sid_by_token
            .insert(token.clone(), guest.call_sid.clone());
        book.by_sid.insert(
            guest.call_sid.clone(),
            Entry {
                stream: guest.first_stream,
                guest,
                token,
                answer: answer.clone(),
                state: State::Waiting { since: now },
                unopened: 0,
                place: None,
                away: None,
                outcome: String::new(),
            },
        );
        Admit::Fresh(answer)
    }

    /// Spends a token: from now on the call is talking, until [`Admission::ended`] or [`Admission::departed`]. `place` is
    /// the thread its stream has come to. A call that has a leg has to come to its leg's.
    pub fn spend(
        &self,
        token: Option<&str>,
        call_sid: &str,
        place: usize,
        now: Instant,
    ) -> Result<Arrival, Refusal> {
        let mut book = self.book();
        let token = token.ok_or(Refusal::NoToken)?;
        let sid = book
            .sid_by_token
            .get(token)
            .ok_or(Refusal::UnknownToken)?
            .clone();
        let valid = book.bounds.token;
        let entry = book.by_sid.get_mut(&sid).ok_or(Refusal::UnknownToken)?;
        let State::Waiting { since } = entry.state else {
            return Err(Refusal::SpentToken);
        };
        if entry.token != token {
            return Err(Refusal::SpentToken);
        }
        if sid != call_sid {
            return Err(Refusal::WrongCall);
        }
        if now.duration_since(since) > valid {
            return Err(Refusal::Expired);
        }
        if entry.place.is_some_and(|of_its_leg| of_its_leg != place) {
            return Err(Refusal::WrongPlace);
        }
        let has_leg = entry.place.replace(place).is_some();
        entry.state = State::Talking;
        entry.unopened = 0;
        let back = match entry.away.take() {
            Some(Away::Keys(_)) => Back::Keys,
            Some(Away::Transfer(_)) => Back::Transfer(std::mem::take(&mut entry.outcome)),
            Some(Away::Lost) | None => Back::Lost,
        };
        Ok(Arrival {
            guest: entry.guest.clone(),
            back: has_leg.then_some(back),
        })
    }

    /// The stream of this call is over and its leg is kept.
    pub fn departed(&self, call_sid: &str, to: Away, now: Instant) {
        if let Some(entry) = self.book().by_sid.get_mut(call_sid) {
            match entry.state {
                State::Talking => {
                    entry.away = Some(to);
                    entry.state = State::Away { since: now };
                }
                // The carrier was faster than we: it has been told how to go on, and not to press any keys.
                State::Waiting { .. } => entry.away = Some(Away::Lost),
                State::Away { .. } | State::Dialling { .. } | State::Ended { .. } => {}
            }
        }
    }

    /// The call is over, whether it talked or not. Unknown calls and those that have ended before are left alone.
    pub fn ended(&self, call_sid: &str, why: Why, now: Instant) {
        if let Some(entry) = self.book().by_sid.get_mut(call_sid)
            && !matches!(entry.state, State::Ended { .. })
        {
            entry.end(matches!(why, Why::StreamLost | Why::Failed), now);
        }
    }

    /// Takes back an invitation: the stream of this call will not be let in. False if the call has a leg, which is then
    /// the one to end, or was never invited.
    pub fn withdraw(&self, call_sid: &str, now: Instant) -> bool {
        let mut book = self.book();
        match book.by_sid.get_mut(call_sid) {
            Some(entry) if entry.waits_for_its_first() => {
                entry.end(false, now);
                true
            }
            _ => false,
        }
    }

    /// Forgets what is old; returns the calls whose stream never came, or that nobody came back to.
    pub fn sweep(&self, now: Instant) -> Vec<Forsaken> {
        let mut book = self.book();
        let valid = book.bounds.token;
        let mut forsaken = Vec::new();
        for entry in book.by_sid.values_mut() {
            let late = match entry.state {
                State::Waiting { since } => now.duration_since(since) > valid,
                State::Away { since } => now.duration_since(since) > valid + entry.patience(),
                State::Dialling { since } => now.duration_since(since) > resume::LONGEST_TRANSFER,
                State::Talking | State::Ended { .. } => false,
            };
            if late && entry.place.is_some() && entry.away.is_none() {
                // Another stream was announced while the old one went on: so it does.
                entry.state = State::Talking;
            } else if late {
                forsaken.push(Forsaken {
                    guest: entry.guest.clone(),
                    has_leg: entry.place.is_some(),
                });
                entry.end(true, now);
            }
        }
        let remember = Duration::from_secs(REMEMBER_ENDED_SECS);
        let Book {
            by_sid,
            sid_by_token,
            ..
        } = &mut *book;
        let known = by_sid.len();
        by_sid.retain(|_, entry| match entry.state {
            State::Ended { since, .. } => now.duration_since(since) <= remember,
            _ => true,
        });
        if by_sid.len() < known {
            sid_by_token.retain(|_, sid| by_sid.contains_key(sid));
        }
        forsaken
    }

    /// The call that waits for this token, which is not spent by asking.
    pub fn waiting_for(&self, token: &str) -> Option<String> {
        let book = self.book();
        let sid = book.sid_by_token.get(token)?;
        let entry = book.by_sid.get(sid)?;
        let waits = matches!(entry.state, State::Waiting { .. }) && entry.token == token;
        waits.then(|| sid.clone())
    }

    /// The call that this token was given out for, for whichever of its streams, spent or not.
    pub fn guest_of(&self, token: &str) -> Option<Guest> {
        let book = self.book();
        let entry = book.by_sid.get(book.sid_by_token.get(token)?)?;
        Some(entry.guest.clone())
    }

    /// Whether this call was let in and no stream of it has come yet.
    pub fn waits(&self, call_sid: &str) -> bool {
        let book = self.book();
        let entry = book.by_sid.get(call_sid);
        entry.is_some_and(Entry::waits_for_its_first)
    }

    /// Whether this call waits for a stream, talks, or is away.
    pub fn is_present(&self, call_sid: &str) -> bool {
        let book = self.book();
        let entry = book.by_sid.get(call_sid);
        entry.is_some_and(|entry| !matches!(entry.state, State::Ended { .. }))
    }

    /// Calls that wait for a stream, talk, or are away.
    pub fn present(&self) -> usize {
        let book = self.book();
        book.by_sid
            .values()
            .filter(|entry| !matches!(entry.state, State::Ended { .. }))
            .count()
    }

    /// How many calls are away from their stream, each kind with its name, also those of which there are none.
    pub fn away(&self) -> [(&'static str, usize); 3] {
        let mut counted = [("lost", 0), ("digits", 0), ("transfer", 0)];
        for entry in self.book().by_sid.values() {
            let kind = match entry.away {
                None => continue,
                Some(Away::Lost) => 0,
                Some(Away::Keys(_)) => 1,
                Some(Away::Transfer(_)) => 2,
            };
            counted[kind].1 += 1;
        }
        counted
    }

    /// No new calls from now on; repeated webhooks are still answered.
    pub fn close(&self) {
        self.book().closed = true;
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // No code of others runs under this lock, and every change leaves the book whole.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn is_overloaded(&self) -> bool {
        self.threads > 0 && self.overloaded >= self.threads
    }
}

impl Entry {
    fn waits_for_its_first(&self) -> bool {
        matches!(self.state, State::Waiting { .. }) && self.place.is_none()
    }

    fn end(&mut self, by_fault: bool, now: Instant) {
        self.away = None;
        self.state = State::Ended {
            since: now,
            by_fault,
        };
    }

    /// How long the leg waits for another stream after one broke.
    fn patience(&self) -> Duration {
        Duration::from_millis(self.guest.agent.settings.return_ms)
    }
}

impl Refusal {
    /// One word for a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::NoToken => "no_token",
            Refusal::UnknownToken => "unknown_token",
            Refusal::SpentToken => "spent_token",
            Refusal::WrongCall => "wrong_call",
            Refusal::Expired => "expired_token",
            Refusal::WrongPlace => "wrong_place",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::NoToken => "the start message carried no token; only streams that our webhook announced are served",
            Refusal::UnknownToken => "the token is not one we gave out",
            Refusal::SpentToken => "the token has been used before; each stream needs its own webhook",
            Refusal::WrongCall => "the token belongs to another call",
            Refusal::Expired => "the token is older than limits.token_secs",
            Refusal::WrongPlace => "the call goes on elsewhere; the address of the stream is not the one we gave out",
        })
    }
}

fn random_token() -> Option<String> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests;
