//! Who may sign in and who is signed in, as rules without a clock, a disk or a hash: the time is given, and what has to be
//! kept is handed back as changes.
//!
//! ```text
//!  session:  begins ── used within 30 min, again and again ── 12 h ──→ over
//!               └── signed out, new password, account removed, pushed out by newer ones ──→ over
//! ```

use super::delay::Failures;
use super::secret;
use crate::store::{Account, AccountBook, AccountChange, ApiToken, Session};
use std::collections::{BTreeMap, HashMap};

/// A session not used for so long is over.
pub const IDLE_MS: u64 = 30 * 60_000;

/// A session that began so long ago is over.
pub const ABSOLUTE_MS: u64 = 12 * 3_600_000;

/// How long a link to make the first account is good for.
pub const SETUP_MS: u64 = 3_600_000;

/// Sessions of one account; the longest unused one makes room.
pub const SESSIONS: usize = 16;

/// Accounts, and tokens likewise.
pub const ACCOUNTS: usize = 100;

/// A use is written down when the last one written is this old; a restart may take so much off a session's idle time.
const SEEN_MS: u64 = 60_000;

#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) accounts: BTreeMap<String, Account>,
    /// By the digest of their id.
    sessions: HashMap<String, Session>,
    pub(super) tokens: BTreeMap<String, ApiToken>,
    pub(super) failures: Failures,
    setup: Option<Setup>,
}

#[derive(Debug)]
struct Setup {
    digest: String,
    until_ms: u64,
}

impl Book {
    pub(super) fn new(kept: AccountBook) -> Book {
        let accounts = kept.accounts.into_iter();
        let sessions = kept.sessions.into_iter();
        let tokens = kept.tokens.into_iter();
        Book {
            accounts: accounts.map(|one| (one.name.clone(), one)).collect(),
            sessions: sessions.map(|one| (one.digest.clone(), one)).collect(),
            tokens: tokens.map(|one| (one.name.clone(), one)).collect(),
            ..Book::default()
        }
    }

    /// Whose session this is, if it is still one; used now. With what has to be kept of that.
    pub(super) fn seen(
        &mut self,
        digest: &str,
        now_ms: u64,
    ) -> (Option<String>, Option<AccountChange>) {
        let Some(session) = self.sessions.get(digest) else {
            return (None, None);
        };
        if is_over(session, now_ms) || !self.accounts.contains_key(&session.account) {
            let over = self.end(digest);
            return (None, over);
        }
        let account = session.account.clone();
        let mut keep = None;
        if now_ms.saturating_sub(session.seen_at_ms) >= SEEN_MS {
            let seen = Session {
                seen_at_ms: now_ms,
                ..session.clone()
            };
            keep = Some(AccountChange::Session(seen.clone()));
            self.sessions.insert(digest.to_owned(), seen);
        }
        (Some(account), keep)
    }

    /// A session begins. What has to be kept: it, and the end of those that are over or make room.
    pub(super) fn begin(&mut self, account: &str, digest: &str, now_ms: u64) -> Vec<AccountChange> {
        let over = |session: &&Session| is_over(session, now_ms);
        let mut gone: Vec<String> = self
            .sessions
            .values()
            .filter(over)
            .map(|session| session.digest.clone())
            .collect();
        let mut own: Vec<&Session> = self
            .sessions
            .values()
            .filter(|session| session.account == account && !is_over(session, now_ms))
            .collect();
        own.sort_unstable_by_key(|session| session.seen_at_ms);
        let too_many = (own.len() + 1).saturating_sub(SESSIONS);
        gone.extend(own.iter().take(too_many).map(|one| one.digest.clone()));
        let mut changes: Vec<AccountChange> =
            gone.iter().filter_map(|digest| self.end(digest)).collect();
        let session = Session {
            digest: digest.to_owned(),
            account: account.to_owned(),
            created_at_ms: now_ms,
            seen_at_ms: now_ms,
        };
        changes.push(AccountChange::Session(session.clone()));
        self.sessions.insert(session.digest.clone(), session);
        changes
    }

    /// The session is over; what has to be kept, if there was one.
    pub(super) fn end(&mut self, digest: &str) -> Option<AccountChange> {
        let session = self.sessions.remove(digest)?;
        Some(AccountChange::SessionOver {
            digest: session.digest,
        })
    }

    /// A new account or password; the account's sessions are over.
    pub(super) fn put(&mut self, account: Account) {
        self.sessions
            .retain(|_, session| session.account != account.name);
        self.accounts.insert(account.name.clone(), account);
        self.setup = None;
    }

    /// The account and its sessions are gone.
    pub(super) fn remove(&mut self, name: &str) {
        self.sessions.retain(|_, session| session.account != name);
        self.accounts.remove(name);
    }

    /// The program this token belongs to.
    pub(super) fn token(&self, token: &str) -> Option<&ApiToken> {
        let digest = secret::digest(token);
        let mut tokens = self.tokens.values();
        tokens.find(|kept| secret::same(&kept.digest, &digest))
    }

    /// From now on only this link makes the first account.
    pub(super) fn offer_setup(&mut self, token: &str, now_ms: u64) {
        self.setup = Some(Setup {
            digest: secret::digest(token),
            until_ms: now_ms + SETUP_MS,
        });
    }

    /// Whether this link would make the first account now.
    pub(super) fn may_set_up(&self, token: &str, now_ms: u64) -> bool {
        self.accounts.is_empty()
            && self.setup.as_ref().is_some_and(|setup| {
                now_ms < setup.until_ms && secret::same(&setup.digest, &secret::digest(token))
            })
    }

    /// As [`Book::may_set_up`], and never again: of two who come with the link at once, one gets in.
    pub(super) fn spend_setup(&mut self, token: &str, now_ms: u64) -> bool {
        let may = self.may_set_up(token, now_ms);
        if may {
            self.setup = None;
        }
        may
    }
}

fn is_over(session: &Session, now_ms: u64) -> bool {
    now_ms.saturating_sub(session.seen_at_ms) >= IDLE_MS
        || now_ms.saturating_sub(session.created_at_ms) >= ABSOLUTE_MS
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    fn book(names: &[&str]) -> Book {
        let mut book = Book::default();
        for name in names {
            book.put(Account {
                name: (*name).into(),
                ..Account::default()
            });
        }
        book
    }

    fn alive(book: &mut Book, digest: &str, now_ms: u64) -> bool {
        book.seen(digest, now_ms).0.is_some()
    }

    #[test]
    fn an_unused_session_is_over_after_half_an_hour() {
        let mut book = book(&["ana"]);
        book.begin("ana", "d1", 0);
        assert!(alive(&mut book, "d1", 29 * MINUTE));
        assert!(alive(&mut book, "d1", 58 * MINUTE), "used in between");
        let (who, over) = book.seen("d1", 58 * MINUTE + IDLE_MS);
        assert_eq!(who, None);
        assert_eq!(
            over,
            Some(AccountChange::SessionOver {
                digest: "d1".into()
            })
        );
        assert!(!alive(&mut book, "d1", 59 * MINUTE), "and stays so");
    }

    #[test]
    fn a_session_in_constant_use_is_over_after_twelve_hours() {
        let mut book = book(&["ana"]);
        book.begin("ana", "d1", 0);
        let lived = (0..)
            .take_while(|n| alive(&mut book, "d1", n * 10 * MINUTE))
            .count();
        assert_eq!(lived as u64 * 10 * MINUTE, ABSOLUTE_MS);
    }

    #[test]
    fn a_clock_that_runs_backwards_ends_nothing_and_panics_nowhere() {
        let mut book = book(&["ana"]);
        book.begin("ana", "d1", 100 * MINUTE);
        assert!(alive(&mut book, "d1", 0));
    }

    #[test]
    fn uses_are_written_down_once_a_minute() {
        let mut book = book(&["ana"]);
        book.begin("ana", "d1", 0);
        let written = (0..600)
            .filter(|second| book.seen("d1", second * 1000).1.is_some())
            .count();
        assert_eq!(written, 9);
    }

    #[test]
    fn a_new_password_ends_all_sessions_of_its_account() {
        let mut book = book(&["ana", "ben"]);
        for (account, digest) in [("ana", "d1"), ("ana", "d2"), ("ben", "d3")] {
            book.begin(account, digest, 0);
        }
        let account = book.accounts["ana"].clone();
        book.put(account);
        let left = ["d1", "d2", "d3"].map(|digest| alive(&mut book, digest, 1));
        assert_eq!(left, [false, false, true]);
        book.remove("ben");
        assert!(!alive(&mut book, "d3", 1));
    }

    #[test]
    fn the_longest_unused_session_makes_room() {
        let mut book = book(&["ana", "ben"]);
        book.begin("ben", "other", 0);
        for number in 0..SESSIONS as u64 {
            book.begin("ana", &number.to_string(), number);
        }
        assert!(
            alive(&mut book, "0", 2 * MINUTE),
            "used: now 1 is the oldest"
        );
        let changes = book.begin("ana", "new", 2 * MINUTE);
        assert_eq!(
            changes[0],
            AccountChange::SessionOver { digest: "1".into() }
        );
        assert_eq!(changes.len(), 2);
        assert!(alive(&mut book, "other", 2 * MINUTE));
    }

    #[test]
    fn the_setup_link_works_once_and_only_for_the_first_account() {
        let mut book = Book::default();
        assert!(!book.spend_setup("guess", 0));
        book.offer_setup("link", 0);
        assert!(!book.may_set_up("guess", 1) && !book.may_set_up("", 1));
        assert!(book.may_set_up("link", SETUP_MS - 1) && !book.may_set_up("link", SETUP_MS));
        assert!(book.spend_setup("link", 1));
        assert!(!book.spend_setup("link", 1), "a second time");
        book.offer_setup("another", 2);
        book.put(Account {
            name: "ana".into(),
            ..Account::default()
        });
        assert!(!book.may_set_up("another", 3), "there is an account now");
    }

    #[test]
    fn a_token_is_known_by_its_digest() {
        let mut book = Book::default();
        let token = ApiToken {
            name: "ci".into(),
            digest: secret::digest("vst_1"),
            ..ApiToken::default()
        };
        book.tokens.insert("ci".into(), token);
        assert_eq!(book.token("vst_1").map(|one| one.name.as_str()), Some("ci"));
        for wrong in ["", "vst_2", &secret::digest("vst_1")] {
            assert_eq!(book.token(wrong), None);
        }
    }
}
