//! Passwords: argon2id with OWASP's least cost (19 MiB, two passes, one lane), kept as PHC strings.
//!
//! Hashing blocks for some 20 ms and takes its 19 MiB, so it happens on threads that may block, at most two at once; who
//! comes when many wait already is sent away.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;

/// Memory of one hash, KiB; passes over it; lanes.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);

/// Hashes at once.
const AT_ONCE: usize = 2;

/// Hashes that may wait for their turn: about a fifth of a second of work.
const WAITING: usize = 16;

/// Characters of a password at least.
pub const PASSWORD_CHARS_LEAST: usize = 10;

/// Bytes of a password at most: a long sentence.
pub const PASSWORD_BYTES_MOST: usize = 256;

/// Why there is no hash or no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    #[error("too many people sign in at once; try again in a moment")]
    Busy,
    #[error("the password could not be hashed; the system is out of memory or randomness")]
    Failed,
}

/// The place where hashing happens.
#[derive(Debug)]
pub(super) struct Hashing {
    turn: Arc<Semaphore>,
    present: AtomicUsize,
}

impl Hashing {
    pub(super) fn new() -> Hashing {
        Hashing {
            turn: Arc::new(Semaphore::new(AT_ONCE)),
            present: AtomicUsize::new(0),
        }
    }

    /// The PHC string of a password.
    pub(super) async fn hash(&self, password: &str) -> Result<String, HashError> {
        let password = password.to_owned();
        self.run(move || hash(&password)).await?
    }

    /// Whether the password is the one of this PHC string. Without one, takes as long and says no.
    pub(super) async fn verify(
        &self,
        password: &str,
        phc: Option<String>,
    ) -> Result<bool, HashError> {
        let password = password.to_owned();
        self.run(move || match phc {
            Some(phc) => verify(&password, &phc),
            None => verify(&password, nobodys()) & false,
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let present = Present::enter(&self.present)?;
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let turn = turn.map_err(|_| HashError::Failed)?;
        let done = tokio::task::spawn_blocking(move || {
            // Held by the work itself: it goes on when the asker does not wait.
            let _turn = turn;
            work()
        });
        let done = done.await.map_err(|_| HashError::Failed);
        drop(present);
        done
    }
}

/// One who hashes or waits for it.
struct Present<'a>(&'a AtomicUsize);

impl Present<'_> {
    fn enter(present: &AtomicUsize) -> Result<Present<'_>, HashError> {
        let before = present.fetch_add(1, Ordering::Relaxed);
        let entered = Present(present);
        if before >= AT_ONCE + WAITING {
            return Err(HashError::Busy);
        }
        Ok(entered)
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn hash(password: &str) -> Result<String, HashError> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).map_err(|_| HashError::Failed)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: PasswordHash = argon2
        .hash_password(password.as_bytes())
        .map_err(|_| HashError::Failed)?;
    Ok(hash.to_string())
}

fn verify(password: &str, phc: &str) -> bool {
    PasswordHash::new(phc).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

/// The hash of a password that nobody has.
fn nobodys() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| {
        super::secret::fresh()
            .and_then(|password| hash(&password).ok())
            .unwrap_or_default()
    })
}

/// Why a password is not taken, if it is not.
pub(super) fn refused(password: &str) -> Option<String> {
    if password.chars().count() < PASSWORD_CHARS_LEAST {
        Some(format!(
            "a password has at least {PASSWORD_CHARS_LEAST} characters"
        ))
    } else if password.len() > PASSWORD_BYTES_MOST {
        Some(format!(
            "a password has at most {PASSWORD_BYTES_MOST} bytes"
        ))
    } else {
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_says_its_cost_and_verifies_its_password_only() {
        let phc = hash("correct horse").unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert_ne!(phc, hash("correct horse").unwrap(), "salted");
        assert!(verify("correct horse", &phc));
        for wrong in ["", "correct hors", "Correct horse"] {
            assert!(!verify(wrong, &phc));
        }
        assert!(!verify("anything", "no PHC string"));
        assert!(
            nobodys().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "as dear as a real one"
        );
    }

    #[tokio::test]
    async fn who_comes_when_many_wait_is_sent_away() {
        let hashing = Hashing::new();
        let all = Arc::clone(&hashing.turn)
            .acquire_many_owned(2)
            .await
            .unwrap();
        let mut waiting: Vec<_> = (0..AT_ONCE + WAITING)
            .map(|_| Box::pin(hashing.verify("x", None)))
            .collect();
        for one in &mut waiting {
            assert!(futures_pending(one.as_mut()));
        }
        assert_eq!(hashing.verify("x", None).await, Err(HashError::Busy));
        drop(waiting);
        drop(all);
        assert_eq!(
            hashing.verify("x", None).await,
            Ok(false),
            "and the place is free again"
        );
    }

    fn futures_pending<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        future.poll(&mut context).is_pending()
    }
}
