//! The book of one stream's calls: tokens, caps, repeated webhooks. What comes after a stream is tested beside it.

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

pub(super) fn book(calls: usize, per_caller: usize) -> Admission {
    Admission::new(Bounds {
        calls,
        calls_per_caller: per_caller,
        token: Duration::from_secs(60),
    })
}

pub(super) fn guest(sid: &str, from: &str) -> Guest {
    Guest {
        call_sid: sid.into(),
        from: from.into(),
        to: "+15550100".into(),
        parameters: BTreeMap::new(),
        agent: agent(),
        ip: IpAddr::from([127, 0, 0, 1]),
        first_stream: 1,
    }
}

/// The same, by an agent who awaits lost streams for 10 s.
pub(super) fn returning(sid: &str) -> Guest {
    let agent = Agent {
        settings: call::Settings {
            return_ms: 10_000,
            ..call::Settings::default()
        },
        ..Arc::into_inner(agent()).unwrap()
    };
    Guest {
        agent: Arc::new(agent),
        ..guest(sid, "+1")
    }
}

pub(super) fn fresh(admit: Admit) -> String {
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
    assert!(book.spend(Some(&token), "CA1", 0, now).is_ok());
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
    assert_eq!(
        book.spend(None, "CA1", 0, now).err(),
        Some(Refusal::NoToken)
    );
    assert_eq!(
        book.spend(Some("nonsense"), "CA1", 0, now).err(),
        Some(Refusal::UnknownToken)
    );
    assert_eq!(
        book.spend(Some(&one), "CA2", 0, now).err(),
        Some(Refusal::WrongCall)
    );
    assert_eq!(
        book.spend(Some(&two), "CA2", 0, late).err(),
        Some(Refusal::Expired)
    );
    assert!(book.spend(Some(&one), "CA1", 0, now).is_ok());
    assert_eq!(
        book.spend(Some(&one), "CA1", 0, now).err(),
        Some(Refusal::SpentToken)
    );
    book.ended("CA1", Why::CallerHungUp, now);
    assert_eq!(
        book.spend(Some(&one), "CA1", 0, now).err(),
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
    book.ended("CA1", Why::CallerHungUp, now);
    fresh(book.admit(guest("CA5", "+3"), now, str::to_owned));
    book.close();
    book.ended("CA2", Why::CallerHungUp, now);
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
    assert!(book.spend(Some(&one), "CA1", 0, later).is_ok());
    book.ended("CA2", Why::CallerHungUp, later);
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
            .map(|gone| gone.guest.call_sid.as_str())
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
        book.spend(Some(&token), "CA1", 0, now).unwrap_err(),
        Refusal::SpentToken
    );
    let token = fresh(book.admit(guest("CA2", "+1"), now, str::to_owned));
    book.spend(Some(&token), "CA2", 0, now).unwrap();
    assert!(!book.withdraw("CA2", now) && book.is_present("CA2"));
    assert!(!book.withdraw("CA3", now) && !book.is_present("CA3"));
}

#[test]
fn nobody_is_let_in_while_every_thread_has_too_much_to_do() {
    let book = book(10, 10);
    let now = Instant::now();
    let rings = |sid| book.admit(guest(sid, "+1"), now, str::to_owned);
    book.carried_by(2);
    let token = fresh(rings("CA1"));
    assert_eq!(book.overloaded(true), None, "the other has time for it");
    fresh(rings("CA2"));
    assert_eq!(book.overloaded(true), Some(true));
    assert_eq!(rings("CA3"), Admit::Busy("overload"));
    let mut returns = guest("CA4", "+1");
    returns.first_stream = 2;
    fresh(book.admit(returns, now, str::to_owned));
    // Who was let in before goes on.
    assert_eq!(rings("CA1"), Admit::Repeat(token.clone()));
    assert!(book.spend(Some(&token), "CA1", 0, now).is_ok());
    assert_eq!(book.overloaded(false), Some(false));
    fresh(rings("CA3"));
    assert_eq!(book.overloaded(false), None);
}
