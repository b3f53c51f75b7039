//! Asking the running daemon over HTTP. Its database is its own: a command reads the file only when nobody answers.

use super::stdout::complain;
use super::{Failure, load};
use crate::config::Config;
use crate::daemon::{LeftBehind, LeftError};
use reqwest::StatusCode;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// A local daemon answers at once; after this it is stuck.
const ANSWER_SECS: u64 = 5;

/// A reload reads libraries and opens plugins, each of which may take 10 s.
const RELOAD_SECS: u64 = 120;

/// Where the daemon of a configuration answers.
#[derive(Debug)]
pub(super) struct Remote {
    base: String,
    client: reqwest::Client,
}

impl Remote {
    /// The daemon at `url`, else the one that the configuration describes.
    pub(super) fn new(path: &Path, url: Option<&str>) -> Result<Remote, Failure> {
        match url {
            Some(url) => Remote::at(url.trim_end_matches('/').to_owned()),
            None => Remote::of(&load(path)?),
        }
    }

    /// The daemon that this configuration describes.
    pub(super) fn of(config: &Config) -> Result<Remote, Failure> {
        Remote::at(base_url(config))
    }

    fn at(base: String) -> Result<Remote, Failure> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(ANSWER_SECS))
            .no_proxy()
            // The daemon speaks in clear, on this machine: the system's certificates need not even be there.
            .tls_certs_only([])
            .build()
            .map_err(|error| Failure::failed(error.to_string()))?;
        Ok(Remote { base, client })
    }

    /// Scheme, host and port.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// `POST path` as JSON, with time for a reload.
    pub(super) async fn post(&self, path: &str) -> Result<Value, Failure> {
        let url = format!("{}{path}", self.base);
        let request = self.client.post(&url);
        self.ask(&url, request.timeout(Duration::from_secs(RELOAD_SECS)))
            .await
    }

    /// `GET path?query` as JSON.
    pub(super) async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Failure> {
        let query: Vec<(&str, &str)> = query
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let query = crate::carrier::twilio::form::encode(&query);
        let url = format!("{}{path}?{query}", self.base);
        self.ask(&url, self.client.get(&url)).await
    }

    fn no_answer(&self, error: &reqwest::Error) -> Failure {
        let (why, what_to_do) = if error.is_timeout() {
            (
                "nothing came in time".to_owned(),
                "It is stuck, or something else listens there: look at its log",
            )
        } else {
            (
                innermost(error),
                "Is it running, with this configuration? Start it with: voice-streamer run",
            )
        };
        Failure::unavailable(format!(
            "no daemon answers at {}: {why}. {what_to_do}",
            self.base
        ))
    }

    async fn ask(&self, url: &str, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        let answer = request
            .send()
            .await
            .map_err(|error| self.no_answer(&error))?;
        let status = answer.status();
        let body = answer
            .text()
            .await
            .map_err(|error| Failure::temporary(error.to_string()))?;
        let value: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
        let detail = || value["detail"].as_str().unwrap_or(&body).to_owned();
        match status {
            StatusCode::OK => Ok(value),
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Err(Failure::permission(detail())),
            StatusCode::SERVICE_UNAVAILABLE => Err(Failure::temporary(detail())),
            _ => Err(Failure::failed(format!("{url}: {status}: {}", detail()))),
        }
    }
}

/// What is at the bottom of an error: the system's own words, without those of the libraries above it.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// The daemon's own address, as this machine reaches it.
pub(super) fn base_url(config: &Config) -> String {
    let listen = config.http.listen;
    if listen.ip().is_unspecified() {
        format!("http://127.0.0.1:{}", listen.port())
    } else {
        format!("http://{listen}")
    }
}

/// A member as text for a table; empty when it is not there.
pub(super) fn field(row: &Value, name: &str) -> String {
    match &row[name] {
        Value::String(text) => text.chars().filter(|c| !c.is_control()).collect(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// What the last daemon left in the store, for when `failure` is that none answers. Says on stderr whose words these are.
///
/// # Errors
/// `failure` itself: if it is something else, if another address was asked, or if a daemon is there and only silent. Also
/// when there is nothing to read.
pub(super) fn left_behind(
    path: &Path,
    url: Option<&str>,
    failure: Failure,
) -> Result<LeftBehind, Failure> {
    if url.is_some() || !failure.is_unavailable() {
        return Err(failure);
    }
    let left = match LeftBehind::open(&load(path)?.store.path) {
        Ok(left) => left,
        Err(LeftError::InUse { .. }) => return Err(failure),
        Err(error) => {
            return Err(Failure::unavailable(format!(
                "{failure}\nwhat an earlier one left is not to be had either: {error}"
            )));
        }
    };
    complain(format_args!(
        "{failure}\nwhat follows is what the last one left in {}",
        left.file().display()
    ));
    Ok(left)
}
