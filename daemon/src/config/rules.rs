//! What concerns more than one key: names that must be defined, circles, and who may reach the daemon unsigned.
//!
//! `keys.rs` fills this while it reads; it is applied once, when everything is known.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;

use super::nearest::nearest;
use super::page::{Page, Text};
use super::table::did_you_mean;
use super::tree::Config;

/// So many fallbacks one after the other are no plan but a mistake; a caller waits through each.
pub const FALLBACKS: usize = 16;

/// At most so many names are listed in a hint.
const LISTED: usize = 12;

/// What a name refers to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plugin,
    Voice,
    Transcriber,
    Agent,
}

impl Kind {
    fn table(self) -> &'static str {
        match self {
            Kind::Plugin => "plugins",
            Kind::Voice => "voices",
            Kind::Transcriber => "transcribers",
            Kind::Agent => "agents",
        }
    }
}

struct Reference {
    kind: Kind,
    /// Path of the key that holds it.
    from: String,
    text: Text,
}

/// Places and names met on the way.
#[derive(Default)]
pub(super) struct Rules {
    pub(super) listen: Option<Range<usize>>,
    pub(super) auth_token: Option<Range<usize>>,
    pub(super) validate_signature: Option<Range<usize>>,
    /// Headers of the agents.
    pub(super) agents: Vec<Range<usize>>,
    references: Vec<Reference>,
}

impl Rules {
    pub(super) fn refer(&mut self, kind: Kind, from: String, text: Text) {
        self.references.push(Reference { kind, from, text });
    }

    /// Notes what is broken; settles who the default agent is.
    pub(super) fn apply(&self, page: &Page<'_>, config: &mut Config) {
        self.names_are_defined(page, config);
        self.no_circles(
            page,
            Kind::Voice,
            fallbacks(&config.voices, |v| v.fallback.as_deref()),
        );
        let transcribers = fallbacks(&config.transcribers, |t| t.fallback.as_deref());
        self.no_circles(page, Kind::Transcriber, transcribers);
        self.signatures(page, config);
        config.default_agent = self.default_agent(page, config);
    }

    fn names_are_defined(&self, page: &Page<'_>, config: &Config) {
        for Reference { kind, from, text } in &self.references {
            let name = text.text.as_str();
            let (known, defined): (bool, Vec<&String>) = match kind {
                Kind::Plugin => look_up(&config.plugins, name),
                Kind::Voice => look_up(&config.voices, name),
                Kind::Transcriber => look_up(&config.transcribers, name),
                Kind::Agent => look_up(&config.agents, name),
            };
            if known {
                continue;
            }
            let table = kind.table();
            let defined: Vec<&str> = defined.into_iter().map(String::as_str).collect();
            let hint = match nearest(name, defined.iter().copied()) {
                _ if defined.is_empty() => format!("none is defined: add a table [{table}.NAME]"),
                Some(near) => format!("{} Defined: {}", did_you_mean(near), list(&defined)),
                None => format!("defined: {}", list(&defined)),
            };
            let message = format!(
                "{from}: {} is none of the [{table}.NAME] here",
                text.shown()
            );
            page.problem(text.span.clone(), message, Some(hint));
        }
    }

    /// `next` says for each name which one it falls back to.
    fn no_circles(&self, page: &Page<'_>, kind: Kind, next: BTreeMap<&str, Option<&str>>) {
        for &start in next.keys() {
            let mut line = vec![start];
            let mut at = next[start];
            while let Some(name) = at
                && !line.contains(&name)
                && line.len() <= FALLBACKS
            {
                line.push(name);
                at = next.get(name).copied().flatten();
            }
            let from = format!("{}.{start}.fallback", kind.table());
            let what = if line.len() > FALLBACKS {
                format!("{from} starts a line of more than {FALLBACKS} fallbacks")
            // A circle is met once from each of its members: it is reported from the first by name.
            } else if at == Some(start) && line.iter().all(|name| *name >= start) {
                line.push(start);
                format!("{from} goes in a circle: {}", line.join(" → "))
            } else {
                continue;
            };
            if let Some(place) = self
                .references
                .iter()
                .find(|reference| reference.from == from)
            {
                let hint = "the last in the line must have no fallback".to_owned();
                page.problem(place.text.span.clone(), what, Some(hint));
            }
        }
    }

    fn signatures(&self, page: &Page<'_>, config: &Config) {
        let (twilio, http) = (&config.twilio, &config.http);
        // A value that could not be read has been reported; what follows from it has not to be.
        let token_given = twilio.auth_token.is_some();
        if twilio.validate_signature {
            if let Some(place) = &self.validate_signature
                && !token_given
            {
                page.problem(
                    place.clone(),
                    "twilio.validate_signature = true needs twilio.auth_token, the key of the signatures",
                    Some("set auth_token = \"${env:TWILIO_AUTH_TOKEN}\" under [twilio]".to_owned()),
                );
            }
        } else if let Some(place) = &self.listen
            && let Some((message, hint)) = config.exposed_at(http.listen)
        {
            page.problem(place.clone(), message, Some(hint.to_owned()));
        }
    }

    fn default_agent(&self, page: &Page<'_>, config: &Config) -> String {
        let mut names = config.agents.keys();
        match (names.next(), names.next()) {
            _ if config.agents.contains_key("default") => return "default".to_owned(),
            (Some(only), None) => return only.clone(),
            (None, _) => page.whole(
                "nobody answers: there is no agent",
                Some("add a table [agents.default] with `responder` and `voice`".to_owned()),
            ),
            (Some(_), Some(_)) => page.problem(
                self.agents.iter().min_by_key(|place| place.start).cloned().unwrap_or_default(),
                "several agents and none is called `default`: nobody answers numbers that are not listed",
                Some("call one of them [agents.default]".to_owned()),
            ),
        }
        String::new()
    }
}

impl Config {
    /// Whether it is safe to listen at this address. Also for an address that did not come from the file.
    ///
    /// # Errors
    /// Anybody could reach it, requests are not checked, and the operator has not said that this is meant: a sentence
    /// that says so, and what to do.
    pub fn check_listen(&self, address: SocketAddr) -> Result<(), String> {
        match self.exposed_at(address) {
            Some((message, hint)) => Err(format!("{message}: {hint}")),
            None => Ok(()),
        }
    }

    /// What is wrong with listening there, and what to do.
    fn exposed_at(&self, address: SocketAddr) -> Option<(String, &'static str)> {
        let twilio = &self.twilio;
        if twilio.validate_signature
            || twilio.allow_unsigned
            || address.ip().to_canonical().is_loopback()
        {
            return None;
        }
        let message =
            format!("anybody could start calls at {address}, since signatures are not checked");
        let hint = if twilio.auth_token.is_some() {
            "take out validate_signature = false, or listen on 127.0.0.1, or set allow_unsigned = true \
             under [twilio]"
        } else {
            "set auth_token under [twilio], or listen on 127.0.0.1, or set allow_unsigned = true under \
             [twilio]"
        };
        Some((message, hint))
    }
}

/// Whether the name is there, and if not, what is.
fn look_up<'c, T>(named: &'c BTreeMap<String, T>, name: &str) -> (bool, Vec<&'c String>) {
    if named.contains_key(name) {
        (true, Vec::new())
    } else {
        (false, named.keys().collect())
    }
}

fn list(names: &[&str]) -> String {
    let more = if names.len() > LISTED { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(LISTED)].join(", "))
}

fn fallbacks<'c, T>(
    named: &'c BTreeMap<String, T>,
    fallback: impl Fn(&'c T) -> Option<&'c str>,
) -> BTreeMap<&'c str, Option<&'c str>> {
    named
        .iter()
        .map(|(name, item)| (name.as_str(), fallback(item)))
        .collect()
}
