//! Asking the running daemon over HTTP. Its database is its own: a command reads the file only when nobody answers.

use super::stdout::complain;
use super::{Failure, load};
use crate::accounts::Control;
use crate::config::Config;
use crate::daemon::{LeftBehind, LeftError};
use clap::Args;
use reqwest::StatusCode;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A local daemon answers at once; after this it is stuck.
const ANSWER_SECS: u64 = 5;

/// A reload reads libraries and opens plugins, each of which may take 10 s.
const RELOAD_SECS: u64 = 120;

/// Which daemon is asked, where it may also be one that has ended.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The daemon's address instead of the configuration's
    #[arg(long, value_name = "URL", conflicts_with = "state")]
    url: Option<String>,

    /// The daemon's state folder instead of store.path: there stands where it answers, and what it left if it does not run
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl Which {
    /// The daemon that was meant. One that was named by its folder is looked up there, also when it is another one by now.
    ///
    /// # Errors
    /// None runs in that folder; or the configuration is wrong.
    pub(super) fn remote(&self, path: &Path) -> Result<Remote, Failure> {
        let Some(state) = &self.state else {
            return Remote::new(path, self.url.as_deref());
        };
        let folder = state.display();
        match Control::find(state) {
            Ok(Some(control)) => Remote::at(control.url),
            Ok(None) => Err(Failure::unavailable(format!(
                "no daemon keeps its state in {folder} now. Start one with: voice-streamer run --state {folder}"
            ))),
            Err(error) => Err(Failure::permission(format!(
                "cannot read in {folder} where its daemon answers: {error}. Run this as the daemon's own user"
            ))),
        }
    }

    /// Whether the same words may mean another address by now.
    pub(super) fn is_by_folder(&self) -> bool {
        self.state.is_some()
    }

    /// What the last daemon left in the store, for when `failure` is that none answers. Says on stderr whose words these
    /// are.
    ///
    /// # Errors
    /// `failure` itself: if it is something else, if another address was asked, or if a daemon is there and only silent.
    /// Also when there is nothing to read.
    pub(super) fn left_behind(&self, path: &Path, failure: Failure) -> Result<LeftBehind, Failure> {
        if self.url.is_some() || !failure.is_unavailable() {
            return Err(failure);
        }
        let folder = match &self.state {
            Some(state) => state.clone(),
            None => load(path)?.store.path,
        };
        let left = match LeftBehind::open(&folder) {
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
}

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

    /// The daemon at this address, without a `/` at its end.
    pub(super) fn at(base: String) -> Result<Remote, Failure> {
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
                "Is it running, with this configuration? Start it with: voice-streamer run. If http.listen has changed since it \
                 started, say where it listens: --url",
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
        Value::String(text) => printable(text),
        Value::Null => String::new(),
        other => printable(&other.to_string()),
    }
}

/// A stranger's text in one line, without what a terminal would obey: control characters, and those that turn the
/// direction of writing.
pub(super) fn printable(text: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut printable = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let start = printable.len();
        printable.extend(word.chars().filter(|c| !c.is_control() && !turns(*c)));
        if printable.len() > start && start > 0 {
            printable.insert(start, ' ');
        }
    }
    printable
}
