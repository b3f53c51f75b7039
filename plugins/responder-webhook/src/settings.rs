//! The keys of `[plugins.NAME]`, with their defaults and limits. A value outside its limits cannot be made, so nothing
//! behind this file looks at them again; only what two keys say together is checked later.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use voice_plugin::prelude::*;

/// Header lines that may be sent along.
const MAX_HEADERS: usize = 32;

/// Keys of `[plugins.NAME]`.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where each turn is posted. https, or http to this machine and to private addresses.
    #[schemars(with = "String")]
    url: String,
    /// Allow http to any address: whoever is on the way hears the call.
    #[serde(default)]
    allow_http: bool,
    /// Certificates of authorities that are trusted beside the system's, as PEM: `"${file:company-ca.pem}"`.
    #[serde(default)]
    #[schemars(with = "String")]
    pub(crate) ca: Option<String>,
    /// Lines sent with each request, such as `Authorization: Bearer …`.
    #[serde(default)]
    headers: Headers,
    /// Each body is signed with it, in the header X-Voice-Streamer-Signature.
    #[serde(default)]
    #[schemars(with = "Secret")]
    pub(crate) signing_secret: Option<Secret>,
    /// What is posted beside the turns in which the caller speaks.
    #[serde(default)]
    pub(crate) events: Events,
    /// Milliseconds a connection may take.
    #[serde(default)]
    connect_ms: Millis<100, 30_000, 2_000>,
    /// Milliseconds until an answer begins.
    #[serde(default)]
    timeout_ms: Millis<100, 60_000, 10_000>,
    /// Milliseconds without a further byte after which an answer has failed.
    #[serde(default)]
    stall_ms: Millis<100, 60_000, 10_000>,
}

impl Config {
    /// Where to post.
    ///
    /// # Errors
    /// A sentence: it is no address, or one to which nothing may be sent in clear.
    pub(crate) fn url(&self) -> core::result::Result<Url, String> {
        let url = Url::parse(&self.url)
            .map_err(|e| format!("`url` is no address such as https://example.com/bot: {e}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("`url` has a name or a password in it: use `headers`".to_owned());
        }
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.allow_http || is_near(&url) => Ok(url),
            "http" => Err(format!(
                "`url`: {} would be sent what callers say in clear; use https, or set `allow_http = true`",
                shown(&url)
            )),
            other => Err(format!(
                "`url` begins with {other}: only https and http are possible"
            )),
        }
    }

    /// What is sent along, by name.
    ///
    /// # Errors
    /// A sentence that names the line by its place, because its text may be a secret.
    pub(crate) fn headers(&self) -> core::result::Result<Vec<(HeaderName, HeaderValue)>, String> {
        let lines = &self.headers.0;
        if lines.len() > MAX_HEADERS {
            return Err(format!("`headers` has more than {MAX_HEADERS} lines"));
        }
        let read = |line: &Secret| {
            let (name, value) = line.expose().split_once(':')?;
            let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
            let mut value = HeaderValue::from_str(value.trim()).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        };
        let mut headers = Vec::with_capacity(lines.len());
        for (place, line) in (1..).zip(lines) {
            headers.push(read(line).ok_or_else(|| {
                format!("line {place} of `headers` is no header such as \"X-Key: value\"")
            })?);
        }
        Ok(headers)
    }

    pub(crate) fn connect(&self) -> Duration {
        self.connect_ms.get()
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout_ms.get()
    }

    pub(crate) fn stall(&self) -> Duration {
        self.stall_ms.get()
    }
}

/// Whether the address is on this machine or on a private network.
fn is_near(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse();
    match ip {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
        }
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// An address as it may stand in a log: what follows the path may hold a secret.
pub(crate) fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

/// Header lines; secrets, all of them.
#[derive(Clone, Default, Deserialize)]
struct Headers(Vec<Secret>);

/// By hand, because the list as a whole has to be hidden.
impl JsonSchema for Headers {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Headers".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array", "maxItems": MAX_HEADERS, "writeOnly": true, "default": [],
            "items": { "type": "string", "minLength": 3 }
        })
    }
}

/// What is posted beside the caller's words.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The call has begun; the bot says the first words.
    Start,
    /// A key, as a turn of its own.
    Digit,
    /// Nobody has spoken for a while; without it the agent's own sentences are said.
    Silence,
    /// The call was elsewhere and is back.
    Returned,
    /// The call is over.
    End,
}

/// Those that are wanted.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Events(Vec<Kind>);

impl Events {
    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.0.contains(&kind)
    }
}

impl Default for Events {
    fn default() -> Events {
        Events(vec![Kind::Start, Kind::Digit, Kind::Returned, Kind::End])
    }
}

/// By hand, because a flat list of names makes a complaint about another name list them all.
impl JsonSchema for Events {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Events".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array", "uniqueItems": true, "default": ["start", "digit", "returned", "end"],
            "items": { "type": "string", "enum": ["start", "digit", "silence", "returned", "end"] }
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    fn url(keys: Value) -> core::result::Result<String, String> {
        let config: Config = from_value(keys).map_err(|e| e.to_string())?;
        config.url().map(|url| shown(&url))
    }

    #[test]
    fn what_callers_say_goes_in_clear_only_to_near_machines() {
        for near in [
            "http://127.0.0.1:8000/bot",
            "http://[::1]:8000/bot",
            "http://localhost/bot",
            "http://10.1.2.3/bot",
            "http://192.168.0.9:81/bot",
            "https://bots.example.com/bot",
        ] {
            assert_eq!(url(json!({ "url": near })).as_deref(), Ok(near));
        }
        for far in [
            "http://bots.example.com/",
            "http://8.8.8.8/",
            "http://172.32.0.1/",
        ] {
            let refused = url(json!({ "url": far })).unwrap_err();
            assert!(refused.contains("in clear"), "{refused}");
            assert!(url(json!({ "url": far, "allow_http": true })).is_ok());
        }
        for bad in ["bot", "", "ftp://127.0.0.1/", "https://me:pw@example.com/"] {
            assert!(url(json!({ "url": bad })).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn a_log_never_shows_what_follows_the_path() {
        let shown = url(json!({"url": "https://example.com:81/bot?token=canary#x"})).unwrap();
        assert_eq!(shown, "https://example.com:81/bot");
    }

    #[test]
    fn a_header_that_is_none_is_named_by_its_place() {
        let config: Config = from_value(json!({
            "url": "https://example.com", "headers": ["X-Key: canary", "canary"]
        }))
        .unwrap();
        assert_eq!(
            config.headers().unwrap_err(),
            "line 2 of `headers` is no header such as \"X-Key: value\""
        );
    }

    #[test]
    fn the_schema_says_the_same_and_hides_the_secrets() {
        let schema: Value = schemars::schema_for!(Config).into();
        for secret in ["headers", "signing_secret"] {
            assert_eq!(schema["properties"][secret]["writeOnly"], json!(true));
        }
        assert_eq!(schema["required"], json!(["url"]));
        assert_eq!(schema["additionalProperties"], json!(false));
        assert_eq!(schema["properties"]["timeout_ms"]["default"], json!(10_000));
        let usual = Events::default();
        for name in schema["properties"]["events"]["default"]
            .as_array()
            .unwrap()
        {
            assert!(usual.has(from_value(name.clone()).unwrap()), "{name}");
        }
        assert!(!usual.has(Kind::Silence));
    }
}
