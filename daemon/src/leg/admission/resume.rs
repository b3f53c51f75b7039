//! What the carrier is to do with a call whose stream is over: it asks after each stream, by the `<Redirect>` that follows
//! the stream in our document.
//!
//! It asks for "what comes after stream number N". The number stands in the address, so it is signed with it, and says
//! everything that has to be known: a request for the latest stream is news; one for the stream before is delivered
//! again and gets the same answer; an older one is nobody's. So whoever keeps a signed request and sends it again later
//! gets a document whose token has been spent. The number also goes on when the daemon was restarted meanwhile, so that
//! no call can go round for ever.
//!
//! That the carrier asks is its word that stream N is over, also when we still take it to be alive: a connection that
//! broke somewhere on the way says nothing. The stream is left as it is all the same, and its leg with it, until the
//! next one has come with the token that is given out here.

use super::{Admission, Away, Entry, Guest, State, random_token};
use std::time::{Duration, Instant};

/// Streams of one call, all reasons to begin another taken together; then it is ended with a sentence.
pub const MAX_STREAMS: u32 = 30;

/// Streams in a row that were announced and did not come; then it is ended with a sentence.
const MAX_UNOPENED: u32 = 3;

/// A transfer is over by then: the carrier's own limit is four hours.
pub(super) const LONGEST_TRANSFER: Duration = Duration::from_secs(4 * 3600 + 60);

/// How a transfer went from where nobody can be dialled: the carrier's own word for one that failed.
const FAILED: &str = "failed";

/// A stream that is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    pub token: &'a str,
    /// Its number within the call.
    pub stream: u32,
    /// The thread it has to come to, if there is a leg.
    pub place: Option<usize>,
    /// To be pressed before; mostly none.
    pub keys: &'a str,
}

/// What goes into the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    Connect(Connect<'a>),
    /// The caller is connected to this number; then the carrier asks again, about the same stream.
    Dial {
        number: &'a str,
        stream: u32,
    },
}

/// What becomes of the call.
#[derive(Debug)]
pub enum Next {
    /// It goes on, by this document.
    Document(String),
    /// It has ended as it should.
    Over,
    /// It has ended by a fault: nobody has said goodbye.
    Fault,
    /// It cannot go on; it is ended with this. `has_leg`: its leg has to be ended too, and closes the record.
    GiveUp { guest: Guest, has_leg: bool },
    /// We do not know it.
    Unknown,
}

impl Admission {
    /// The carrier asks how to go on after stream number `stream`; `outcome` is how a transfer went, if that is what is
    /// over. `dials`: whether it can connect the caller elsewhere. `write` makes the document.
    pub fn resume(
        &self,
        call_sid: &str,
        stream: u32,
        outcome: Option<&str>,
        dials: bool,
        now: Instant,
        write: impl FnOnce(Step<'_>) -> String,
    ) -> Next {
        let mut book = self.book();
        let Some(entry) = book.by_sid.get_mut(call_sid) else {
            return Next::Unknown;
        };
        if let State::Ended { by_fault, .. } = entry.state {
            return if by_fault { Next::Fault } else { Next::Over };
        }
        if entry.stream.checked_sub(1) == Some(stream) {
            return Next::Document(entry.answer.clone());
        }
        if entry.stream != stream {
            return Next::Over;
        }
        let mut keys = String::new();
        match (&entry.state, &entry.away, outcome) {
            (State::Dialling { .. }, _, None) => return Next::Document(entry.answer.clone()),
            (State::Dialling { .. }, _, Some(outcome)) => entry.outcome = outcome.to_owned(),
            (State::Away { .. }, Some(Away::Transfer(number)), _) if dials => {
                let number = number.as_str();
                entry.answer = write(Step::Dial { number, stream });
                entry.state = State::Dialling { since: now };
                return Next::Document(entry.answer.clone());
            }
            (State::Away { .. }, Some(Away::Transfer(_)), _) => entry.outcome = FAILED.to_owned(),
            (State::Away { .. }, Some(Away::Keys(wanted)), _) => keys.clone_from(wanted),
            (State::Away { .. }, Some(Away::Lost) | None, _) => {}
            (State::Waiting { .. }, ..) => entry.unopened += 1,
            // It broke, and nothing is told of that if it is not awaited.
            (State::Talking, ..) if entry.patience().is_zero() => return entry.give_up(now),
            (State::Talking, ..) | (State::Ended { .. }, ..) => {}
        }
        if entry.unopened >= MAX_UNOPENED || entry.stream >= MAX_STREAMS {
            return entry.give_up(now);
        }
        let Some(token) = random_token() else {
            return entry.give_up(now);
        };
        entry.stream += 1;
        entry.answer = write(Step::Connect(Connect {
            token: &token,
            stream: entry.stream,
            place: entry.place,
            keys: &keys,
        }));
        entry.state = State::Waiting { since: now };
        let document = entry.answer.clone();
        entry.token.clone_from(&token);
        book.sid_by_token.insert(token, call_sid.to_owned());
        Next::Document(document)
    }
}

impl Entry {
    /// Ends it here; the leg, if there is one, is still to be told.
    fn give_up(&mut self, now: Instant) -> Next {
        self.end(true, now);
        Next::GiveUp {
            guest: self.guest.clone(),
            has_leg: self.place.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{book, fresh, guest, returning};
    use super::*;
    use crate::call::Why;
    use crate::leg::{Back, Refusal};

    /// What comes after a stream, in short: `connect 2 on 0 keys 12`, `dial 3`, `over` …
    fn after(book: &Admission, stream: u32, outcome: Option<&str>, now: Instant) -> String {
        after_on(book, stream, outcome, true, now)
    }

    /// The same of a carrier that may not dial.
    fn after_on(
        book: &Admission,
        stream: u32,
        outcome: Option<&str>,
        dials: bool,
        now: Instant,
    ) -> String {
        let next = book.resume("CA1", stream, outcome, dials, now, |step| match step {
            Step::Connect(connect) => format!(
                "connect {} on {:?} keys {:?} by {}",
                connect.stream, connect.place, connect.keys, connect.token
            ),
            Step::Dial { number, stream } => format!("dial {number} after {stream}"),
        });
        match next {
            Next::Document(document) => document,
            Next::GiveUp { has_leg, .. } => format!("given up, leg {has_leg}"),
            Next::Over => "over".into(),
            Next::Fault => "fault".into(),
            Next::Unknown => "unknown".into(),
        }
    }

    /// The head of a document that connects, and its token.
    #[track_caller]
    fn connects(document: &str, head: &str) -> String {
        let (found, token) = document.split_once(" by ").expect(document);
        assert_eq!(found, head);
        token.to_owned()
    }

    /// CA1, talking on thread 3.
    fn talking(now: Instant) -> Admission {
        let book = book(10, 10);
        let token = fresh(book.admit(returning("CA1"), now, str::to_owned));
        let arrival = book.spend(Some(&token), "CA1", 3, now).unwrap();
        assert_eq!(arrival.back, None);
        book
    }

    #[test]
    fn a_lost_stream_is_followed_by_another_on_the_same_thread() {
        let now = Instant::now();
        let book = talking(now);
        book.departed("CA1", Away::Lost, now);
        let document = after(&book, 1, None, now);
        let token = connects(&document, "connect 2 on Some(3) keys \"\"");
        assert_eq!(after(&book, 1, None, now), document, "delivered again");
        let elsewhere = book.spend(Some(&token), "CA1", 2, now).unwrap_err();
        assert_eq!(elsewhere, Refusal::WrongPlace);
        let arrival = book.spend(Some(&token), "CA1", 3, now).unwrap();
        assert_eq!(arrival.back, Some(Back::Lost));
        assert_eq!(
            after(&book, 1, None, now),
            document,
            "a replay: its token is spent"
        );
        let replayed = book.spend(Some(&token), "CA1", 3, now).unwrap_err();
        assert_eq!(replayed, Refusal::SpentToken);
        book.ended("CA1", Why::ResponderHungUp, now);
        assert_eq!(after(&book, 2, None, now), "over");
        assert_eq!(book.present(), 0);
    }

    #[test]
    fn keys_are_pressed_once() {
        let now = Instant::now();
        let book = talking(now);
        book.departed("CA1", Away::Keys("12#".into()), now);
        let document = after(&book, 1, None, now);
        connects(&document, "connect 2 on Some(3) keys \"12#\"");
        // Its stream could not be opened.
        let document = after(&book, 2, None, now);
        let token = connects(&document, "connect 3 on Some(3) keys \"\"");
        let arrival = book.spend(Some(&token), "CA1", 3, now).unwrap();
        assert_eq!(arrival.back, Some(Back::Keys));
    }

    #[test]
    fn a_transfer_comes_back_with_how_it_went() {
        let now = Instant::now();
        let book = talking(now);
        book.departed("CA1", Away::Transfer("+15550199".into()), now);
        let dial = "dial +15550199 after 1";
        assert_eq!(after(&book, 1, None, now), dial);
        assert_eq!(after(&book, 1, None, now), dial, "delivered again");
        assert_eq!(book.present(), 1, "it counts while it is away");
        let document = after(&book, 1, Some("busy"), now);
        let token = connects(&document, "connect 2 on Some(3) keys \"\"");
        let arrival = book.spend(Some(&token), "CA1", 3, now).unwrap();
        assert_eq!(arrival.back, Some(Back::Transfer("busy".into())));
        book.departed("CA1", Away::Transfer("+15550199".into()), now);
        let token = connects(
            &after_on(&book, 2, None, false, now),
            "connect 3 on Some(3) keys \"\"",
        );
        let arrival = book.spend(Some(&token), "CA1", 3, now).unwrap();
        assert_eq!(arrival.back, Some(Back::Transfer("failed".into())));
    }

    #[test]
    fn a_stream_that_lives_is_not_touched_until_the_next_has_come() {
        let now = Instant::now();
        let book = talking(now);
        let token = connects(
            &after(&book, 1, None, now),
            "connect 2 on Some(3) keys \"\"",
        );
        // It never comes: the call goes on as it was.
        let late = now + Duration::from_secs(61);
        assert!(book.sweep(late).is_empty());
        assert_eq!(
            book.spend(Some(&token), "CA1", 3, late).unwrap_err(),
            Refusal::SpentToken
        );
        assert_eq!(book.present(), 1);
        // It comes.
        let token = connects(
            &after(&book, 2, None, late),
            "connect 3 on Some(3) keys \"\"",
        );
        let arrival = book.spend(Some(&token), "CA1", 3, late).unwrap();
        assert_eq!(arrival.back, Some(Back::Lost));
    }

    #[test]
    fn no_call_goes_round_for_ever() {
        let now = Instant::now();
        let lost = talking(now);
        for stream in 1..MAX_STREAMS {
            lost.departed("CA1", Away::Lost, now);
            let document = after(&lost, stream, None, now);
            let token = connects(
                &document,
                &format!("connect {} on Some(3) keys \"\"", stream + 1),
            );
            lost.spend(Some(&token), "CA1", 3, now).unwrap();
        }
        lost.departed("CA1", Away::Lost, now);
        assert_eq!(after(&lost, MAX_STREAMS, None, now), "given up, leg true");
        assert_eq!(after(&lost, MAX_STREAMS, None, now), "fault");

        let unopened = book(10, 10);
        let first = fresh(unopened.admit(guest("CA1", "+1"), now, str::to_owned));
        connects(
            &after(&unopened, 1, None, now),
            "connect 2 on None keys \"\"",
        );
        let again = unopened.admit(guest("CA1", "+1"), now, |_| panic!("admitted anew"));
        assert_eq!(
            again,
            crate::leg::Admit::Past,
            "no token for who repeats the first webhook"
        );
        assert_eq!(
            unopened.spend(Some(&first), "CA1", 0, now).unwrap_err(),
            Refusal::SpentToken
        );
        connects(
            &after(&unopened, 2, None, now),
            "connect 3 on None keys \"\"",
        );
        assert_eq!(after(&unopened, 3, None, now), "given up, leg false");
        assert_eq!(unopened.present(), 0);
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let now = Instant::now();
        let book = talking(now);
        for stream in [2, 7, u32::MAX] {
            assert_eq!(after(&book, stream, Some("busy"), now), "over");
        }
        assert_eq!(book.present(), 1);
        book.ended("CA1", Why::StreamLost, now);
        assert_eq!(after(&book, 1, None, now), "fault");
        book.sweep(now + Duration::from_secs(61));
        assert_eq!(after(&book, 1, None, now), "unknown");
    }

    #[test]
    fn a_call_that_nobody_comes_back_to_is_ended() {
        let now = Instant::now();
        let at = |secs| now + Duration::from_secs(secs);
        let left = |book: &Admission, secs| -> Vec<bool> {
            let gone = book.sweep(at(secs));
            gone.iter().map(|gone| gone.has_leg).collect()
        };
        let away = talking(now);
        away.departed("CA1", Away::Lost, now);
        assert!(left(&away, 69).is_empty());
        assert_eq!(
            left(&away, 71),
            [true],
            "a token's time, and the time a lost stream is awaited"
        );
        assert_eq!(away.present(), 0);

        let announced = talking(now);
        announced.departed("CA1", Away::Lost, now);
        after(&announced, 1, None, now);
        assert_eq!(left(&announced, 61), [true]);

        let dialling = talking(now);
        dialling.departed("CA1", Away::Transfer("+15550199".into()), now);
        after(&dialling, 1, None, now);
        assert!(left(&dialling, 4 * 3600).is_empty());
        assert_eq!(left(&dialling, 4 * 3600 + 61), [true]);
    }
}
