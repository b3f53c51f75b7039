//! Secrets made here and given away: session ids, tokens, links. 256 random bits each; what is kept of them is the
//! SHA-256, which for random bits needs neither salt nor slowness.

use sha2::{Digest, Sha256};
use std::fmt::Write;
use subtle::ConstantTimeEq;

/// Random bytes in a secret; written as twice as many hexadecimal digits.
const SECRET_BYTES: usize = 32;

/// A new secret; `None` if the system has no randomness to give.
pub(super) fn fresh() -> Option<String> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).ok()?;
    Some(hex(&bytes))
}

/// What is kept of a secret.
pub(super) fn digest(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

/// The token that forms of a session carry: whoever has the id can compute it, nobody else can.
pub(super) fn form_token(session_id: &str) -> String {
    digest(&format!("form of {session_id}"))
}

/// Compares in a time that tells nothing about where they differ.
pub(super) fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String does not fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_their_digest_is_sha256() {
        let (one, other) = (fresh().unwrap(), fresh().unwrap());
        assert_eq!(one.len(), 64);
        assert_ne!(one, other);
        assert_eq!(
            digest("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_ne!(
            form_token(&one),
            digest(&one),
            "the kept digest is no form token"
        );
        assert!(
            same(&one, &one) && !same(&one, &other) && !same(&one, "") && !same(&one, &one[1..])
        );
    }
}
