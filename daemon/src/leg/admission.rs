//! Who may become a call: one-time tokens, caps, and the answers already given.
//!
//! The webhook admits a call and gives it a token; the stream spends the token in its `start` message. A webhook that
//! is delivered again gets the same answer and no second token: its signature carries no time and would verify for
//! ever. Locked a few times per call, never per frame.

use super::Agent;
use std::collections::HashMap;
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
    /// Calls that wait for their stream or talk.
    pub calls: usize,
    /// The same for one caller's number.
    pub calls_per_caller: usize,
    /// How long a token waits for its stream.
    pub token: Duration,
}

/// A call that asks to be let in.
#[derive(Debug)]
pub struct NewGuest {
    pub call_sid: String,
    pub from: String,
    pub to: String,
    pub agent: Arc<Agent>,
    /// Who delivered the webhook; kept for the record.
    pub ip: IpAddr,
}

/// The webhook's answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Admit {
    /// Let in just now; this is the document to answer with.
    Fresh(String),
    /// Let in before; the same document again.
    Repeat(String),
    /// Not now: a word for the metric.
    Busy(&'static str),
}

/// A call whose token has been spent.
#[derive(Clone, Debug)]
pub struct Guest {
    pub call_sid: String,
    pub from: String,
    pub to: String,
    pub agent: Arc<Agent>,
    pub ip: IpAddr,
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
}

#[derive(Debug)]
enum State {
    Waiting { since: Instant },
    Talking,
    Ended { since: Instant },
}

#[derive(Debug)]
struct Entry {
    guest: Guest,
    token: String,
    answer: String,
    state: State,
}

/// The book of admitted calls.
#[derive(Debug)]
pub struct Admission {
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    bounds: Bounds,
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

    /// Lets a call in, or says why not. `answer` makes the document from the token.
    pub fn admit(&self, new: NewGuest, now: Instant, answer: impl FnOnce(&str) -> String) -> Admit {
        let mut book = self.book();
        if let Some(entry) = book.by_sid.get(&new.call_sid) {
            return Admit::Repeat(entry.answer.clone());
        }
        if book.closed {
            return Admit::Busy("draining");
        }
        let mut present = 0;
        let mut same_caller = 0;
        for entry in book.by_sid.values() {
            if !matches!(entry.state, State::Ended { .. }) {
                present += 1;
                same_caller += usize::from(entry.guest.from == new.from);
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
            .insert(token.clone(), new.call_sid.clone());
        let guest = Guest {
            call_sid: new.call_sid,
            from: new.from,
            to: new.to,
            agent: new.agent,
            ip: new.ip,
        };
        book.by_sid.insert(
            guest.call_sid.clone(),
            Entry {
                guest,
                token,
                answer: answer.clone(),
                state: State::Waiting { since: now },
            },
        );
        Admit::Fresh(answer)
    }

    /// Spends a token: from now on the call is talking, until [`Admission::ended`].
    pub fn spend(
        &self,
        token: Option<&str>,
        call_sid: &str,
        now: Instant,
    ) -> Result<Guest, Refusal> {
        let mut book = self.book();
        let token = token.ok_or(Refusal::NoToken)?;
        let sid = book
            .sid_by_token
            .get(token)
            .ok_or(Refusal::UnknownToken)?
            .clone();
        let valid = book.bounds.token;
        let entry = book.by_sid.get_mut(&sid).ok_or(Refusal::UnknownToken)?;
        match entry.state {
            State::Talking | State::Ended { .. } => Err(Refusal::SpentToken),
            State::Waiting { .. } if sid != call_sid => Err(Refusal::WrongCall),
            State::Waiting { since } if now.duration_since(since) > valid => Err(Refusal::Expired),
            State::Waiting { .. } => {
                entry.state = State::Talking;
                Ok(entry.guest.clone())
            }
        }
    }

    /// The call is over, whether it talked or not. Unknown calls are ignored.
    pub fn ended(&self, call_sid: &str, now: Instant) {
        if let Some(entry) = self.book().by_sid.get_mut(call_sid) {
            entry.state = State::Ended { since: now };
        }
    }

    /// Takes back an invitation: the stream of this call will not be let in. False if it has come already, or was never
    /// invited.
    pub fn withdraw(&self, call_sid: &str, now: Instant) -> bool {
        let mut book = self.book();
        match book.by_sid.get_mut(call_sid) {
            Some(entry) if matches!(entry.state, State::Waiting { .. }) => {
                entry.state = State::Ended { since: now };
                true
            }
            _ => false,
        }
    }

    /// Forgets what is old; returns the calls whose stream never came.
    pub fn sweep(&self, now: Instant) -> Vec<Guest> {
        let mut book = self.book();
        let valid = book.bounds.token;
        let mut never_came = Vec::new();
        for entry in book.by_sid.values_mut() {
            if let State::Waiting { since } = entry.state
                && now.duration_since(since) > valid
            {
                entry.state = State::Ended { since: now };
                never_came.push(entry.guest.clone());
            }
        }
        let remember = Duration::from_secs(REMEMBER_ENDED_SECS);
        let Book {
            by_sid,
            sid_by_token,
            ..
        } = &mut *book;
        by_sid.retain(|_, entry| {
            let keep = match entry.state {
                State::Ended { since } => now.duration_since(since) <= remember,
                State::Waiting { .. } | State::Talking => true,
            };
            if !keep {
                sid_by_token.remove(&entry.token);
            }
            keep
        });
        never_came
    }

    /// The call that waits for this token, which is not spent by asking.
    pub fn waiting_for(&self, token: &str) -> Option<String> {
        let book = self.book();
        let sid = book.sid_by_token.get(token)?;
        let waits = matches!(book.by_sid.get(sid)?.state, State::Waiting { .. });
        waits.then(|| sid.clone())
    }

    /// Whether this call was let in and its stream has not come yet.
    pub fn waits(&self, call_sid: &str) -> bool {
        let book = self.book();
        let entry = book.by_sid.get(call_sid);
        entry.is_some_and(|entry| matches!(entry.state, State::Waiting { .. }))
    }

    /// Whether this call waits for its stream or talks.
    pub fn is_present(&self, call_sid: &str) -> bool {
        let book = self.book();
        let entry = book.by_sid.get(call_sid);
        entry.is_some_and(|entry| !matches!(entry.state, State::Ended { .. }))
    }

    /// Calls that wait for their stream or talk.
    pub fn present(&self) -> usize {
        let book = self.book();
        book.by_sid
            .values()
            .filter(|entry| !matches!(entry.state, State::Ended { .. }))
            .count()
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

impl Refusal {
    /// One word for a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::NoToken => "no_token",
            Refusal::UnknownToken => "unknown_token",
            Refusal::SpentToken => "spent_token",
            Refusal::WrongCall => "wrong_call",
            Refusal::Expired => "expired_token",
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
        })
    }
}

fn random_token() -> Option<String> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call;
    use crate::media::detect::Kind;

    fn agent() -> Arc<Agent> {
        Arc::new(Agent {
            name: "default".into(),
            settings: call::Settings::default(),
            detector: Kind::Off,
            responder: "echo".into(),
            fallback_responder: None,
            voice: "v".into(),
            transcriber: None,
            endpointer: None,
            language: "en".into(),
        })
    }

    fn book(calls: usize, per_caller: usize) -> Admission {
        Admission::new(Bounds {
            calls,
            calls_per_caller: per_caller,
            token: Duration::from_secs(60),
        })
    }

    fn guest(sid: &str, from: &str) -> NewGuest {
        NewGuest {
            call_sid: sid.into(),
            from: from.into(),
            to: "+15550100".into(),
            agent: agent(),
            ip: IpAddr::from([127, 0, 0, 1]),
        }
    }

    fn fresh(admit: Admit) -> String {
        match admit {
            Admit::Fresh(token) => token,
            other => panic!("expected a fresh admission, got {other:?}"),
        }
    }

    #[test]
    fn a_repeated_webhook_gets_the_same_answer_and_no_second_token() {
        let book = book(10, 10);
        let now = Instant::now();
        let token = fresh(book.admit(guest("CA1", "+1"), now, str::to_owned));
        let again = book.admit(guest("CA1", "+1"), now, |_| {
            panic!("a second token was made")
        });
        assert_eq!(again, Admit::Repeat(token.clone()));
        assert!(book.spend(Some(&token), "CA1", now).is_ok());
        let again = book.admit(guest("CA1", "+1"), now, |_| {
            panic!("a second token was made")
        });
        assert_eq!(again, Admit::Repeat(token));
    }

    #[test]
    fn a_token_opens_its_own_call_once_and_in_time() {
        let book = book(10, 10);
        let now = Instant::now();
        let one = fresh(book.admit(guest("CA1", "+1"), now, str::to_owned));
        let two = fresh(book.admit(guest("CA2", "+1"), now, str::to_owned));
        let late = now + Duration::from_secs(61);
        assert_eq!(book.spend(None, "CA1", now).err(), Some(Refusal::NoToken));
        assert_eq!(
            book.spend(Some("nonsense"), "CA1", now).err(),
            Some(Refusal::UnknownToken)
        );
        assert_eq!(
            book.spend(Some(&one), "CA2", now).err(),
            Some(Refusal::WrongCall)
        );
        assert_eq!(
            book.spend(Some(&two), "CA2", late).err(),
            Some(Refusal::Expired)
        );
        assert!(book.spend(Some(&one), "CA1", now).is_ok());
        assert_eq!(
            book.spend(Some(&one), "CA1", now).err(),
            Some(Refusal::SpentToken)
        );
        book.ended("CA1", now);
        assert_eq!(
            book.spend(Some(&one), "CA1", now).err(),
            Some(Refusal::SpentToken)
        );
    }

    #[test]
    fn caps_turn_calls_away_until_others_end() {
        let book = book(3, 2);
        let now = Instant::now();
        fresh(book.admit(guest("CA1", "+1"), now, str::to_owned));
        fresh(book.admit(guest("CA2", "+1"), now, str::to_owned));
        assert_eq!(
            book.admit(guest("CA3", "+1"), now, str::to_owned),
            Admit::Busy("calls_per_caller")
        );
        fresh(book.admit(guest("CA4", "+2"), now, str::to_owned));
        assert_eq!(
            book.admit(guest("CA5", "+3"), now, str::to_owned),
            Admit::Busy("calls")
        );
        book.ended("CA1", now);
        fresh(book.admit(guest("CA5", "+3"), now, str::to_owned));
        book.close();
        book.ended("CA2", now);
        assert_eq!(
            book.admit(guest("CA6", "+4"), now, str::to_owned),
            Admit::Busy("draining")
        );
    }

    #[test]
    fn new_bounds_hold_for_those_who_come_and_end_nobody() {
        let book = book(2, 2);
        let now = Instant::now();
        let one = fresh(book.admit(guest("CA1", "+1"), now, str::to_owned));
        fresh(book.admit(guest("CA2", "+2"), now, str::to_owned));
        let bounds = |calls| Bounds {
            calls,
            calls_per_caller: 2,
            token: Duration::from_secs(600),
        };
        book.bound(bounds(1));
        assert_eq!(book.present(), 2);
        let later = now + Duration::from_secs(500);
        assert!(book.spend(Some(&one), "CA1", later).is_ok());
        book.ended("CA2", later);
        assert_eq!(
            book.admit(guest("CA3", "+3"), later, str::to_owned),
            Admit::Busy("calls")
        );
        book.bound(bounds(2));
        fresh(book.admit(guest("CA3", "+3"), later, str::to_owned));
    }

    #[test]
    fn a_call_whose_stream_never_comes_is_reported_once_and_forgotten() {
        let book = book(10, 10);
        let now = Instant::now();
        fresh(book.admit(guest("CA1", "+1"), now, str::to_owned));
        assert!(book.sweep(now + Duration::from_secs(59)).is_empty());
        let gone = book.sweep(now + Duration::from_secs(61));
        assert_eq!(
            gone.iter()
                .map(|guest| guest.call_sid.as_str())
                .collect::<Vec<_>>(),
            ["CA1"]
        );
        assert!(book.sweep(now + Duration::from_secs(62)).is_empty());
        assert_eq!(book.present(), 0);
        book.sweep(now + Duration::from_secs(200));
        assert!(book.book().by_sid.is_empty() && book.book().sid_by_token.is_empty());
    }

    #[test]
    fn an_invitation_can_be_taken_back_until_the_stream_has_come() {
        let book = book(10, 10);
        let now = Instant::now();
        let token = fresh(book.admit(guest("CA1", "+1"), now, str::to_owned));
        assert!(book.withdraw("CA1", now) && !book.is_present("CA1"));
        assert_eq!(
            book.spend(Some(&token), "CA1", now).unwrap_err(),
            Refusal::SpentToken
        );
        let token = fresh(book.admit(guest("CA2", "+1"), now, str::to_owned));
        book.spend(Some(&token), "CA2", now).unwrap();
        assert!(!book.withdraw("CA2", now) && book.is_present("CA2"));
        assert!(!book.withdraw("CA3", now) && !book.is_present("CA3"));
    }
}
