//! The configuration as the rest of the daemon sees it: plain values, checked, with nothing left to look up.
//!
//! Compare two of these to learn what an edit changed. Comments, order and layout of the file make no difference.
//! What each key means to an operator stands in the shipped `config.toml`; the bounds are in `keys.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde_json::Value;

use super::problem::Source;
use super::secret::Secret;

/// Everything an operator can say. Made by [`load`](super::load) and [`parse`](super::parse) only.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file this came from, as it was named.
    pub file: PathBuf,
    pub http: Http,
    pub twilio: Twilio,
    pub store: StoreKeys,
    pub limits: Limits,
    pub media: Media,
    pub log: Log,
    pub plugins: BTreeMap<String, Plugin>,
    pub voices: BTreeMap<String, Setup>,
    pub transcribers: BTreeMap<String, Setup>,
    pub agents: BTreeMap<String, Agent>,
    /// Who answers which number; by the number as the carrier writes it, `+15550100`.
    pub numbers: BTreeMap<String, Number>,
    /// Name of the agent that answers every other number. It is one of `agents`.
    pub default_agent: String,
    /// Paths of keys whose values must not be shown, `plugins.NAME.KEY`: they came out of references, or a schema says so.
    pub secrets: BTreeSet<String>,
    /// Files that references were read from.
    pub files: BTreeSet<PathBuf>,
    pub(super) source: Source,
}

impl Config {
    /// Who answers a call to this number: its own agent, else the default one. Name and agent.
    pub fn agent_for(&self, number: &str) -> Option<(&str, &Agent)> {
        let name = self
            .numbers
            .get(number)
            .map_or(&self.default_agent, |number| &number.agent);
        self.agents
            .get_key_value(name)
            .map(|(name, agent)| (name.as_str(), agent))
    }
}

/// `[http]`: where the daemon listens and how the world reaches it.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    pub listen: SocketAddr,
    /// Whether the file says where to listen, or `listen` is the default.
    pub listen_explicit: bool,
    /// Scheme, host and port by which the carrier reaches us; no path and no slash at the end.
    pub public_url: Option<String>,
    /// Whose `X-Forwarded-…` headers are believed.
    pub trusted_proxies: Vec<Network>,
    pub max_connections: usize,
    pub max_connections_per_ip: usize,
    pub header_timeout_secs: u64,
}

/// `[twilio]`: the account, and what callers hear when nobody can answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Twilio {
    pub account_sid: Option<String>,
    pub auth_token: Option<Secret>,
    /// The carrier's own API; no path and no slash at the end.
    pub api_url: String,
    /// Whether requests must be signed. True needs `auth_token`, which is there then.
    pub validate_signature: bool,
    /// The operator allows unsigned requests from anywhere, not just from this machine.
    pub allow_unsigned: bool,
    pub fallback_text: String,
    pub fallback_language: String,
    pub busy_text: String,
    /// What those see to whom a caller is transferred; without it his own number.
    pub caller_id: Option<String>,
}

/// `[store]`: where records are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreKeys {
    /// Folder of the database and of the private copies of plugins. Relative ones already start at the file's folder.
    pub path: PathBuf,
}

/// `[limits]`: how much at once and how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    pub calls: usize,
    pub calls_per_caller: usize,
    pub call_secs: u64,
    pub drain_secs: u64,
    pub token_secs: u64,
    pub start_secs: u64,
    pub idle_secs: u64,
    /// How long the stream of a call that broke is awaited; 0: it is not.
    pub return_secs: u64,
    /// How late media threads may come before no more calls are let in; 0: as late as they like.
    pub lateness_ms: u64,
}

/// `[media]`: the threads that move audio.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    /// 0: one for each processor core, at most [`MEDIA_THREADS_AUTO`](super::MEDIA_THREADS_AUTO).
    pub threads: usize,
    pub lead_ms: u64,
}

/// `[log]`: what is written to stderr, and where else.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// A level, or a comma-separated list of `target=level`; checked.
    pub level: String,
    pub format: LogFormat,
    /// A file that gets every line too. A relative one already starts at the configuration's folder.
    pub file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    Text,
    Json,
}

/// `[plugins.NAME]`: a library and the keys it is opened with. `Debug` prints the names of its keys, never values.
#[derive(Clone, PartialEq)]
pub struct Plugin {
    /// A bare name or a path; see [`Config::find_library`].
    pub library: String,
    /// 64 lower-case hexadecimal digits: the only content that may be loaded.
    pub sha256: Option<String>,
    /// The plugin's own keys, an object, with secrets put in.
    pub keys: Value,
    /// JSON pointers into `keys` to what came out of `${…}`.
    pub secret_paths: Vec<String>,
}

/// `[voices.NAME]` or `[transcribers.NAME]`: a plugin that speaks or that writes down what it hears, set up one way.
/// `Debug` prints the names of its keys, never values.
#[derive(Clone, PartialEq)]
pub struct Setup {
    /// One of `plugins`.
    pub plugin: String,
    /// The one that takes over when this one fails; of the same table, never in a circle.
    pub fallback: Option<String>,
    /// What it speaks or hears, if not the agent's language.
    pub language: Option<String>,
    /// The plugin's own keys for it, an object, with secrets put in.
    pub keys: Value,
    /// JSON pointers into `keys` to what came out of `${…}`.
    pub secret_paths: Vec<String>,
}

/// `[agents.NAME]`: who answers, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// One of `plugins`.
    pub responder: String,
    /// One of `voices`.
    pub voice: String,
    /// Another of `plugins`: who answers when the responder does not.
    pub fallback_responder: Option<String>,
    /// One of `transcribers`.
    pub transcriber: Option<String>,
    /// One of `transcribers`, asked at each pause whether the caller has finished, and for nothing else.
    pub endpointer: Option<String>,
    /// What it says first; without one the caller speaks first.
    pub greeting: Option<String>,
    /// BCP 47, `en` or `en-US`.
    pub language: String,
    pub turn: Turn,
}

/// `[agents.NAME.turn]`: when to listen, when to speak, what to say into silence.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    pub end_of_turn_ms: u64,
    /// At most `end_of_turn_ms`.
    pub finished_ms: u64,
    /// At least `end_of_turn_ms`.
    pub unfinished_ms: u64,
    /// In small letters, as are `back_channels`.
    pub unfinished_words: Vec<String>,
    pub speculate: bool,
    pub barge_in: bool,
    pub barge_in_ms: u64,
    pub barge_in_words: u32,
    pub barge_in_immune_ms: u64,
    /// 0: an interruption is never taken back.
    pub resume_ms: u64,
    /// At least `barge_in_ms`.
    pub barge_in_certain_ms: u64,
    pub back_channels: Vec<String>,
    /// 0: never asks.
    pub no_input_ms: u64,
    pub no_input_text: String,
    pub no_input_limit: u32,
    pub goodbye_text: String,
    pub apology_text: String,
    /// 0: never says so.
    pub one_moment_ms: u64,
    pub one_moment_text: String,
    pub reply_deadline_ms: u64,
    /// At most `reply_deadline_ms`.
    pub responder_deadline_ms: u64,
    pub transcriber_deadline_ms: u64,
    pub voice_deadline_ms: u64,
    pub detector: Detector,
    /// At most `start_window_ms`.
    pub start_voiced_ms: u64,
    pub start_window_ms: u64,
}

/// What decides whether a frame is speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detector {
    /// The network: right also in noise.
    Neural,
    /// Loudness alone: cheapest, fooled by noise.
    Energy,
    /// Nothing is ever speech; for responders that listen themselves.
    Off,
}

/// `[numbers."+…"]`: who answers this number.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// One of `agents`.
    pub agent: String,
}

/// An address or a range of them, `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u32,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

impl Network {
    /// Whether the address lies in the range. An IPv4 address in IPv6 clothes counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (address, network) = (address.to_canonical(), self.address);
        let (bits, width) = match (address, network) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits() ^ b.to_bits()), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits(), 128),
            _ => return false,
        };
        bits.checked_shr(width - self.prefix_bits).unwrap_or(0) == 0
    }

    pub(super) fn read(text: &str) -> Option<Network> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = prefix.map_or(Some(width), |prefix| prefix.parse().ok())?;
        (prefix_bits <= width).then_some(Network {
            address,
            prefix_bits,
        })
    }
}

/// Prints the names of a plugin's keys. Values stay out: a key may be a secret written out, and only the plugin's own
/// schema could tell.
struct Names<'k>(&'k Value);

impl fmt::Debug for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.as_object().into_iter().flat_map(|keys| keys.keys()))
            .finish()
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("library", &self.library)
            .field("sha256", &self.sha256)
            .field("keys", &Names(&self.keys))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("plugin", &self.plugin)
            .field("fallback", &self.fallback)
            .field("language", &self.language)
            .field("keys", &Names(&self.keys))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        for (network, address, inside) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("::1", "::1", true),
        ] {
            let read = Network::read(network).unwrap();
            assert_eq!(
                read.contains(address.parse().unwrap()),
                inside,
                "{address} in {network}"
            );
        }
        for bad in [
            "",
            "10.0.0",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "localhost",
        ] {
            assert_eq!(Network::read(bad), None, "{bad}");
        }
    }
}
