//! Who may sign in: accounts with passwords, sessions of browsers, tokens of programs, and the two ways to the very first
//! account. One value for the whole daemon; what it decides stands in memory, what must outlast the process is in the
//! store. What somebody who is signed in may do, `http/access.rs` decides.
//!
//! ```text
//!   sign_in ──→ delay.rs ──→ password.rs ──→ book.rs ──→ store
//!               wait first?  argon2id        a session
//! ```

mod book;
mod clock;
mod control;
mod delay;
mod password;
mod scope;
mod secret;

pub use book::{ABSOLUTE_MS, ACCOUNTS, IDLE_MS, SESSIONS, SETUP_MS};
pub use clock::Clock;
pub use control::Control;
pub use password::{HashError, PASSWORD_BYTES_MOST, PASSWORD_CHARS_LEAST};
pub use scope::Scope;

use crate::store::{
    Account, AccountChange, AccountError, ApiToken, NewEvent, OpenError, ReadError, Store,
};
use book::Book;
use control::ControlFile;
use password::Hashing;
use serde_json::{Value, json};
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tracing::{info, warn};

/// What tokens of programs begin with, so that they are recognised when they turn up where they should not be.
const TOKEN_PREFIX: &str = "vst_";

/// Characters of an account's or a token's name.
const NAME_CHARS: usize = 64;

/// Everybody who may sign in, and everybody who is signed in.
#[derive(Debug)]
pub struct Accounts {
    store: Store,
    clock: Clock,
    book: Mutex<Book>,
    hashing: Hashing,
    control: Mutex<Option<ControlFile>>,
}

/// Why somebody is not signed in.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// Whichever of the two it was, the answer is the same.
    #[error("the name or the password is wrong")]
    Wrong,
    #[error("too many failures; wait {secs} s and try again")]
    Wait { secs: u64 },
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error("the system has no randomness to give; try again")]
    NoRandomness,
}

/// Why accounts or tokens are not changed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    #[error("{0}")]
    Refused(String),
    #[error("there is no account or token \"{0}\"")]
    Unknown(String),
    #[error("\"{0}\" exists already")]
    Exists(String),
    #[error("the link does not work: it is used, too old, or not the last one printed")]
    BadLink,
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error(transparent)]
    Store(#[from] AccountError),
    #[error("the system has no randomness to give; try again")]
    NoRandomness,
}

/// Somebody who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    pub account: String,
    /// What forms have to bring along.
    form_token: String,
}

impl SignedIn {
    /// For the hidden field of a form.
    pub fn form_token(&self) -> &str {
        &self.form_token
    }

    /// Whether a form that brings this was made for this session.
    pub fn made(&self, form_token: &str) -> bool {
        secret::same(&self.form_token, form_token)
    }
}

/// Who carries a bearer token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// A program, by the name of its token, and what that is good for.
    Program { name: String, scope: Scope },
    /// The command line of the daemon's own user.
    CommandLine,
}

/// An account or a token, for lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    /// What a token is good for.
    pub scope: Option<Scope>,
    pub created_at_ms: u64,
}

impl Accounts {
    /// Everything the store has kept.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn open(store: Store, clock: Clock) -> Result<Accounts, ReadError> {
        let book = Book::new(store.accounts()?);
        Ok(Accounts {
            store,
            clock,
            book: Mutex::new(book),
            hashing: Hashing::new(),
            control: Mutex::new(None),
        })
    }

    /// From now on the command line of the same user may rule; see [`Control`].
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn obey(&self, state: &Path, own_url: &str) -> io::Result<()> {
        let file = ControlFile::write(state, own_url)?;
        *self.control() = Some(file);
        Ok(())
    }

    /// The file is gone; to be called before the store is closed and the folder may be another daemon's.
    pub fn obey_no_more(&self) {
        self.control().take();
    }

    /// The time by which sessions live.
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Signs somebody in; returns the id for the browser's cookie, always a new one.
    ///
    /// # Errors
    /// Wrong, too often wrong, or not now. None of them says whether the account exists.
    pub async fn sign_in(
        &self,
        name: &str,
        password: &str,
        ip: IpAddr,
    ) -> Result<String, SignInError> {
        let name = tidy(name);
        let now_ms = self.clock.now_ms();
        let (wait_ms, phc) = {
            let book = self.book();
            let phc = book.accounts.get(&name).map(|one| one.password.clone());
            (book.failures.wait_ms(&name, ip, now_ms), phc)
        };
        if wait_ms > 0 {
            return Err(SignInError::Wait {
                secs: wait_ms.div_ceil(1000),
            });
        }
        // Longer ones cannot be right; they are not worth the hashing of a megabyte, and cost what a short one does.
        let tried = password.get(..PASSWORD_BYTES_MOST).unwrap_or(password);
        let fits = password.len() <= PASSWORD_BYTES_MOST;
        let known = phc.is_some();
        let right = self.hashing.verify(tried, phc.clone()).await? && fits;
        let now_ms = self.clock.now_ms();
        if !right {
            self.book().failures.failed(&name, ip, now_ms);
            // Names that nobody has stay out of the log: a password typed into the wrong field would be one of them.
            let name = known.then_some(&name);
            self.note("admin_sign_in_failed", ip, json!({"account": name}));
            warn!(%ip, account = name, "a sign-in failed");
            return Err(SignInError::Wrong);
        }
        let id = secret::fresh().ok_or(SignInError::NoRandomness)?;
        let changes = {
            let mut book = self.book();
            book.failures.succeeded(&name, ip);
            // The password may have changed while it was being hashed.
            if book.accounts.get(&name).map(|one| &one.password) != phc.as_ref() {
                return Err(SignInError::Wrong);
            }
            book.begin(&name, &secret::digest(&id), now_ms)
        };
        for change in changes {
            self.store.change_accounts_later(change);
        }
        self.note("admin_signed_in", ip, json!({"account": name}));
        info!(%ip, account = %name, "signed in");
        Ok(id)
    }

    /// Who this cookie belongs to, if it is still good.
    pub fn session(&self, id: &str) -> Option<SignedIn> {
        let now_ms = self.clock.now_ms();
        let (account, change) = self.book().seen(&secret::digest(id), now_ms);
        if let Some(change) = change {
            self.store.change_accounts_later(change);
        }
        Some(SignedIn {
            account: account?,
            form_token: secret::form_token(id),
        })
    }

    /// Ends the session of this cookie.
    pub fn sign_out(&self, id: &str) {
        let change = self.book().end(&secret::digest(id));
        if let Some(change) = change {
            self.store.change_accounts_later(change);
        }
    }

    /// Who carries this token. The command line's own counts only from this machine: ask for that first.
    pub fn bearer(&self, token: &str) -> Option<Bearer> {
        let control = self.control();
        if control.as_ref().is_some_and(|file| file.opens(token)) {
            return Some(Bearer::CommandLine);
        }
        drop(control);
        let book = self.book();
        let kept = book.token(token)?;
        Some(Bearer::Program {
            name: kept.name.clone(),
            scope: Scope::kept(&kept.scope)?,
        })
    }

    /// A new link's token, if there is no account yet. The one before is void.
    pub fn offer_setup(&self) -> Option<String> {
        let mut book = self.book();
        if !book.accounts.is_empty() {
            return None;
        }
        let token = secret::fresh()?;
        book.offer_setup(&token, self.clock.now_ms());
        Some(token)
    }

    /// Whether a link still works.
    pub fn may_set_up(&self, token: &str) -> bool {
        self.book().may_set_up(token, self.clock.now_ms())
    }

    /// Makes the first account by the printed link, which works once.
    ///
    /// # Errors
    /// A bad link, name or password. After a bad name or password the link is still good.
    pub async fn set_up(
        &self,
        token: &str,
        name: &str,
        password: &str,
        ip: IpAddr,
    ) -> Result<(), ChangeError> {
        if !self.may_set_up(token) {
            return Err(ChangeError::BadLink);
        }
        let name = checked(name)?;
        let phc = self.hash(password).await?;
        if !self.book().spend_setup(token, self.clock.now_ms()) {
            return Err(ChangeError::BadLink);
        }
        self.keep(&name, phc).await?;
        self.note("admin_account_made", ip, json!({"account": name}));
        Ok(())
    }

    /// Makes an account.
    ///
    /// # Errors
    /// A bad name or password, a name that is taken, too many accounts, or no disk.
    pub async fn add(&self, name: &str, password: &str) -> Result<(), ChangeError> {
        let name = checked(name)?;
        self.room_for(&name)?;
        let phc = self.hash(password).await?;
        self.room_for(&name)?;
        self.keep(&name, phc).await?;
        self.note("admin_account_made", HERE, json!({"account": name}));
        Ok(())
    }

    /// Gives an account a new password; all its sessions are over.
    ///
    /// # Errors
    /// No such account, a bad password, or no disk.
    pub async fn set_password(&self, name: &str, password: &str) -> Result<(), ChangeError> {
        let name = tidy(name);
        let known = |book: MutexGuard<'_, Book>| book.accounts.contains_key(&name);
        if !known(self.book()) {
            return Err(ChangeError::Unknown(name));
        }
        let phc = self.hash(password).await?;
        self.keep(&name, phc).await?;
        self.note("admin_password_changed", HERE, json!({"account": name}));
        Ok(())
    }

    /// As [`Accounts::set_password`] for somebody who knows the old one, with the same waits as at the door.
    ///
    /// # Errors
    /// As both.
    pub async fn change_password(
        &self,
        name: &str,
        old: &str,
        new: &str,
        ip: IpAddr,
    ) -> Result<Result<(), ChangeError>, SignInError> {
        if let Some(why) = password::refused(new) {
            return Ok(Err(ChangeError::Refused(why)));
        }
        let session = self.sign_in(name, old, ip).await?;
        self.sign_out(&session);
        Ok(self.set_password(name, new).await)
    }

    /// Removes an account; its sessions are over.
    ///
    /// # Errors
    /// No such account, or no disk.
    pub async fn remove(&self, name: &str) -> Result<(), ChangeError> {
        let name = tidy(name);
        if !self.book().accounts.contains_key(&name) {
            return Err(ChangeError::Unknown(name));
        }
        let change = AccountChange::Remove { name: name.clone() };
        self.durable(change).await?;
        self.book().remove(&name);
        self.note("admin_account_removed", HERE, json!({"account": name}));
        Ok(())
    }

    /// Whether there is nobody to sign in and no program to let in.
    pub fn is_empty(&self) -> bool {
        let book = self.book();
        book.accounts.is_empty() && book.tokens.is_empty()
    }

    /// Everybody, by name.
    pub fn list(&self) -> Vec<Listed> {
        let book = self.book();
        let accounts = book.accounts.values().map(|one| Listed {
            name: one.name.clone(),
            scope: None,
            created_at_ms: one.created_at_ms,
        });
        accounts.collect()
    }

    /// Makes a token for a program. This is the only time it can be seen.
    ///
    /// # Errors
    /// A bad name, a name that is taken, too many tokens, or no disk.
    pub async fn add_token(&self, name: &str, scope: Scope) -> Result<String, ChangeError> {
        let name = checked(name)?;
        {
            let book = self.book();
            if book.tokens.contains_key(&name) {
                return Err(ChangeError::Exists(name));
            }
            if book.tokens.len() >= ACCOUNTS {
                let why = format!("there are {ACCOUNTS} tokens already; remove one first");
                return Err(ChangeError::Refused(why));
            }
        }
        let secret = secret::fresh().ok_or(ChangeError::NoRandomness)?;
        let token = format!("{TOKEN_PREFIX}{secret}");
        let kept = ApiToken {
            name: name.clone(),
            digest: secret::digest(&token),
            scope: scope.as_str().to_owned(),
            created_at_ms: self.clock.now_ms(),
        };
        self.durable(AccountChange::Token(kept.clone())).await?;
        self.book().tokens.insert(name.clone(), kept);
        let detail = json!({"token": name, "scope": scope.as_str()});
        self.note("api_token_made", HERE, detail);
        Ok(token)
    }

    /// Makes a token worthless.
    ///
    /// # Errors
    /// No such token, or no disk.
    pub async fn remove_token(&self, name: &str) -> Result<(), ChangeError> {
        let name = tidy(name);
        if !self.book().tokens.contains_key(&name) {
            return Err(ChangeError::Unknown(name));
        }
        let change = AccountChange::TokenOver { name: name.clone() };
        self.durable(change).await?;
        self.book().tokens.remove(&name);
        self.note("api_token_removed", HERE, json!({"token": name}));
        Ok(())
    }

    /// The tokens of programs, by name.
    pub fn tokens(&self) -> Vec<Listed> {
        let book = self.book();
        let tokens = book.tokens.values().map(|one| Listed {
            name: one.name.clone(),
            scope: Scope::kept(&one.scope),
            created_at_ms: one.created_at_ms,
        });
        tokens.collect()
    }

    /// The accounts and the tokens, as the command line shows them.
    pub fn as_json(&self) -> Value {
        let rows = |listed: Vec<Listed>| -> Vec<Value> {
            let row = |one: &Listed| {
                let made = i64::try_from(one.created_at_ms).unwrap_or(i64::MAX);
                let made = jiff::Timestamp::from_millisecond(made);
                let made = made.map_or_else(|_| String::new(), |time| format!("{time:.0}"));
                let mut row = json!({"name": one.name, "created_at": made});
                if let Some(scope) = one.scope {
                    row["scope"] = scope.as_str().into();
                }
                row
            };
            listed.iter().map(row).collect()
        };
        json!({"accounts": rows(self.list()), "tokens": rows(self.tokens())})
    }

    fn room_for(&self, name: &str) -> Result<(), ChangeError> {
        let book = self.book();
        if book.accounts.contains_key(name) {
            return Err(ChangeError::Exists(name.to_owned()));
        }
        if book.accounts.len() >= ACCOUNTS {
            let why = format!("there are {ACCOUNTS} accounts already; remove one first");
            return Err(ChangeError::Refused(why));
        }
        Ok(())
    }

    async fn hash(&self, password: &str) -> Result<String, ChangeError> {
        if let Some(why) = password::refused(password) {
            return Err(ChangeError::Refused(why));
        }
        Ok(self.hashing.hash(password).await?)
    }

    /// An account with this password, on disk first.
    async fn keep(&self, name: &str, phc: String) -> Result<(), ChangeError> {
        let now_ms = self.clock.now_ms();
        let created_at_ms = self.book().accounts.get(name).map(|one| one.created_at_ms);
        let account = Account {
            name: name.to_owned(),
            password: phc,
            created_at_ms: created_at_ms.unwrap_or(now_ms),
            changed_at_ms: now_ms,
        };
        self.durable(AccountChange::Put(account.clone())).await?;
        self.book().put(account);
        Ok(())
    }

    /// On disk, or queued behind a slow one: then it holds from now on all the same.
    async fn durable(&self, change: AccountChange) -> Result<(), ChangeError> {
        match self.store.change_accounts(change).await {
            Ok(()) => Ok(()),
            Err(slow @ AccountError::Slow) => {
                warn!("{slow}");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn note(&self, event: &str, ip: IpAddr, detail: Value) {
        self.store.note(NewEvent {
            at_ms: self.clock.now_ms(),
            event: event.to_owned(),
            ip: ip.to_string(),
            detail,
            ..NewEvent::default()
        });
    }

    fn control(&self) -> MutexGuard<'_, Option<ControlFile>> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // No code of others runs under this lock, and every change leaves the book whole.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The command line is on this machine.
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// The accounts of a daemon that does not run. Ending it closes the store.
#[derive(Debug)]
pub struct Alone {
    accounts: Accounts,
    store: Store,
}

/// Why the accounts of a daemon that does not run cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AloneError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Alone {
    /// Opens the store in this folder. Blocks on the disk.
    ///
    /// # Errors
    /// The store is in use by a daemon after all, or cannot be opened.
    pub fn open(state: &Path) -> Result<Alone, AloneError> {
        let clock = Clock::system();
        let store = Store::open(state, clock.now_ms())?;
        let accounts = Accounts::open(store.clone(), clock)?;
        Ok(Alone { accounts, store })
    }

    /// Who may sign in.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Everything is on disk when this returns.
    pub fn close(self) {
        self.store.close();
    }
}

/// Names are compared without regard to case and outer blanks.
fn tidy(name: &str) -> String {
    name.trim()
        .chars()
        .take(NAME_CHARS + 1)
        .collect::<String>()
        .to_lowercase()
}

/// A name for something new.
fn checked(name: &str) -> Result<String, ChangeError> {
    let name = tidy(name);
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
    if name.is_empty() || name.len() > NAME_CHARS || !name.chars().all(good) {
        let why = format!("a name has 1 to {NAME_CHARS} letters a-z, digits, or . _ - @");
        return Err(ChangeError::Refused(why));
    }
    Ok(name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
