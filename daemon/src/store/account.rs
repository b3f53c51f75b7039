//! Who may sign in, as kept: accounts, their sessions, and the tokens of programs. Only hashes of what people know or carry
//! are in here, so a stolen file signs nobody in. What a hash means, and when a session is over, others decide.
//!
//! ```text
//! accounts     name → JSON
//! sessions     SHA-256 of the session's id → JSON
//! api_tokens   name → JSON
//! ```

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};
use std::fmt;
use tracing::error;

use super::fault::Fault;
use super::table::encode;

const ACCOUNTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("accounts");
const SESSIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("sessions");
const API_TOKENS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("api_tokens");

/// Somebody who may sign in.
#[derive(Serialize, Deserialize, Clone, Default, PartialEq, Eq)]
#[serde(default)]
pub struct Account {
    pub name: String,
    /// The password's hash, a PHC string.
    pub password: String,
    /// Unix ms.
    pub created_at_ms: u64,
    /// When the password was set, unix ms.
    pub changed_at_ms: u64,
}

/// A browser that is signed in.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(default)]
pub struct Session {
    /// SHA-256 of the id in the browser's cookie, hexadecimal.
    pub digest: String,
    /// The account's name.
    pub account: String,
    /// Unix ms.
    pub created_at_ms: u64,
    /// When it was last used, unix ms; written now and then, not at every request.
    pub seen_at_ms: u64,
}

/// A program that may ask.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(default)]
pub struct ApiToken {
    pub name: String,
    /// SHA-256 of the token, hexadecimal.
    pub digest: String,
    /// What it is good for, in the word of whoever made it; empty in tokens from before there were such words.
    pub scope: String,
    /// Unix ms.
    pub created_at_ms: u64,
}

/// What changes. Doing it twice is the same as doing it once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountChange {
    /// A new account or a new password; either way all its sessions end.
    Put(Account),
    /// Gone, with all its sessions.
    Remove { name: String },
    /// A session begins, or was seen again.
    Session(Session),
    /// A session is over.
    SessionOver { digest: String },
    /// A new token.
    Token(ApiToken),
    /// A token no longer holds.
    TokenOver { name: String },
}

/// Everything kept about who may sign in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountBook {
    pub accounts: Vec<Account>,
    pub sessions: Vec<Session>,
    pub tokens: Vec<ApiToken>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Makes what is missing.
pub(crate) fn make_tables(txn: &WriteTransaction) -> Result<(), redb::Error> {
    for table in [ACCOUNTS, SESSIONS, API_TOKENS] {
        txn.open_table(table)?;
    }
    Ok(())
}

/// Makes one change in a transaction that others share.
pub(crate) fn write(txn: &WriteTransaction, change: &AccountChange) -> Result<(), Fault> {
    match change {
        AccountChange::Put(account) => {
            end_sessions(txn, &account.name)?;
            let mut accounts = txn.open_table(ACCOUNTS)?;
            accounts.insert(account.name.as_str(), encode(account)?.as_slice())?;
        }
        AccountChange::Remove { name } => {
            end_sessions(txn, name)?;
            txn.open_table(ACCOUNTS)?.remove(name.as_str())?;
        }
        AccountChange::Session(session) => {
            let mut sessions = txn.open_table(SESSIONS)?;
            sessions.insert(session.digest.as_str(), encode(session)?.as_slice())?;
        }
        AccountChange::SessionOver { digest } => {
            txn.open_table(SESSIONS)?.remove(digest.as_str())?;
        }
        AccountChange::Token(token) => {
            let mut tokens = txn.open_table(API_TOKENS)?;
            tokens.insert(token.name.as_str(), encode(token)?.as_slice())?;
        }
        AccountChange::TokenOver { name } => {
            txn.open_table(API_TOKENS)?.remove(name.as_str())?;
        }
    }
    Ok(())
}

fn end_sessions(txn: &WriteTransaction, account: &str) -> Result<(), Fault> {
    let mut sessions = txn.open_table(SESSIONS)?;
    sessions.retain(|digest, json| {
        row::<Session>("session", digest, json).is_some_and(|session| session.account != account)
    })?;
    Ok(())
}

/// All of it: a few dozen rows.
pub(crate) fn read(db: &Database) -> Result<AccountBook, Fault> {
    let txn = db.begin_read()?;
    Ok(AccountBook {
        accounts: rows("account", &txn.open_table(ACCOUNTS)?)?,
        sessions: rows("session", &txn.open_table(SESSIONS)?)?,
        tokens: rows("API token", &txn.open_table(API_TOKENS)?)?,
    })
}

fn rows<T: for<'a> Deserialize<'a>>(
    kind: &str,
    table: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Vec<T>, Fault> {
    let mut found = vec![];
    for entry in table.iter()? {
        let (key, json) = entry?;
        found.extend(row(kind, key.value(), json.value()));
    }
    Ok(found)
}

/// A row that cannot be read lets nobody in, and hides no other.
fn row<T: for<'a> Deserialize<'a>>(kind: &str, key: &str, json: &[u8]) -> Option<T> {
    serde_json::from_slice(json)
        .inspect_err(
            |reason| error!(kind, key, %reason, "a row of the store cannot be read; it is left out"),
        )
        .ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::schema::prepare;
    use super::*;
    use redb::backends::InMemoryBackend;

    fn session(digest: &str, account: &str) -> AccountChange {
        AccountChange::Session(Session {
            digest: digest.into(),
            account: account.into(),
            ..Session::default()
        })
    }

    fn account(name: &str, password: &str) -> AccountChange {
        AccountChange::Put(Account {
            name: name.into(),
            password: password.into(),
            ..Account::default()
        })
    }

    fn after(changes: &[AccountChange]) -> AccountBook {
        let db = Database::builder()
            .create_with_backend(InMemoryBackend::new())
            .unwrap();
        prepare(&db, Some(1)).unwrap();
        // Twice, as after a commit of unknown outcome.
        for change in changes.iter().flat_map(|change| [change, change]) {
            let txn = db.begin_write().unwrap();
            write(&txn, change).unwrap();
            txn.commit().unwrap();
        }
        read(&db).unwrap()
    }

    #[test]
    fn a_new_password_ends_the_sessions_of_that_account_only() {
        let book = after(&[
            account("ana", "one"),
            account("ben", "two"),
            session("d1", "ana"),
            session("d2", "ben"),
            account("ana", "three"),
        ]);
        let left: Vec<_> = book.sessions.iter().map(|s| s.digest.as_str()).collect();
        assert_eq!(left, ["d2"]);
        assert_eq!(book.accounts.len(), 2);
        assert_eq!(book.accounts[0].password, "three");
    }

    #[test]
    fn what_is_removed_is_gone() {
        let token = ApiToken {
            name: "ci".into(),
            digest: "d".into(),
            scope: "read".into(),
            created_at_ms: 1,
        };
        let book = after(&[
            account("ana", "one"),
            session("d1", "ana"),
            session("d2", "ana"),
            AccountChange::SessionOver {
                digest: "d2".into(),
            },
            AccountChange::Token(token),
            AccountChange::TokenOver { name: "ci".into() },
        ]);
        assert_eq!((book.sessions.len(), book.tokens.len()), (1, 0));
        let gone = after(&[
            account("ana", "one"),
            session("d1", "ana"),
            AccountChange::Remove { name: "ana".into() },
        ]);
        assert_eq!(gone, AccountBook::default());
    }

    #[test]
    fn an_account_prints_without_its_hash() {
        let account = Account {
            name: "ana".into(),
            password: "$argon2id$canary".into(),
            ..Account::default()
        };
        assert!(!format!("{account:?}").contains("canary"));
    }
}
