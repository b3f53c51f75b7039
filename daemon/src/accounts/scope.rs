//! What a program's token is good for. Which request needs what, `http/access.rs` decides.

use std::fmt;

/// From the least to the most; each includes what is before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The daemon's own numbers: nothing of any call.
    Metrics,
    /// To see calls, events and how the configuration stands.
    Read,
    /// To change calls: hang up, correct a record, begin one from a browser.
    Calls,
    /// To have the configuration read again, too. Accounts and tokens are nobody's but the command line's.
    Admin,
}

impl Scope {
    /// All of them, the least first.
    pub const ALL: [Scope; 4] = [Scope::Metrics, Scope::Read, Scope::Calls, Scope::Admin];

    /// Its word, on the command line and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Metrics => "metrics",
            Scope::Read => "read",
            Scope::Calls => "calls",
            Scope::Admin => "admin",
        }
    }

    /// The one of this word.
    pub fn of(word: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|one| one.as_str() == word)
    }

    /// As the store has kept it: without a word it is a token from before there were scopes, which may everything. A
    /// word that this version does not know is good for nothing.
    pub(super) fn kept(word: &str) -> Option<Scope> {
        match word {
            "" => Some(Scope::Admin),
            word => Scope::of(word),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
