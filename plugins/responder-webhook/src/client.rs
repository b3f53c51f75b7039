//! The hand that asks: signed bodies over connections that are kept, each wait bounded, each failure with its name and
//! the address it happened at.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Response, StatusCode, Url};
use sha2::Sha256;
use tokio::time::timeout;
use voice_plugin::prelude::*;
use voice_plugin_http::{Wire, beginning, distrust};

use crate::answer::{Reader, quoted};
use crate::settings::{Config, shown};

/// `sha256=` and the HMAC of the body, in hexadecimal.
const SIGNATURE: &str = "X-Voice-Streamer-Signature";
/// How long an idle connection is kept: longer than most callers speak.
const IDLE_MOST: Duration = Duration::from_secs(60);
/// So much of a refusal is read, to be quoted.
const REFUSAL_BYTES: usize = 4096;

/// The bot, from here.
pub(crate) struct Client {
    http: reqwest::Client,
    url: Url,
    /// The address as it may be written into a log.
    pub(crate) shown: String,
    secret: Option<Secret>,
    timeout: Duration,
    stall: Duration,
}

impl Client {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// A sentence: an address or a header that cannot be used, or there are no certificates.
    pub(crate) fn new(config: &Config) -> Result<Client> {
        let url = config.url()?;
        let headers: HeaderMap = config.headers()?.into_iter().collect();
        let http = voice_plugin_http::builder(Wire::of(url.as_str()), config.ca.as_deref())?
            .connect_timeout(config.connect())
            .pool_idle_timeout(IDLE_MOST)
            .default_headers(headers);
        let http = voice_plugin_http::build(http)?;
        Ok(Client {
            http,
            shown: shown(&url),
            url,
            secret: config.signing_secret.clone(),
            timeout: config.timeout(),
            stall: config.stall(),
        })
    }

    /// Posts a body and waits until the answer begins.
    ///
    /// # Errors
    /// A failure with its name; `timeout_ms` after the beginning at the latest.
    pub(crate) async fn ask(&self, body: String) -> Result<Answer> {
        let wait = timeout(self.timeout, self.attempts(body));
        let answer = wait.await.map_err(|_| {
            let ms = self.timeout.as_millis();
            Error::named(
                failure::TIMEOUT,
                format!("no answer from {} within {ms} ms", self.shown),
            )
        })??;
        let kind = answer.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let reader = Reader::new(kind).map_err(|why| self.wrong(&why))?;
        Ok(Answer {
            response: answer,
            reader,
            stall: self.stall,
        })
    }

    /// Twice if a connection that had been kept turns out to be closed: the bot has seen nothing of it then, or sees the
    /// same `request` again.
    async fn attempts(&self, body: String) -> Result<Response> {
        let signature = self.secret.as_ref().map(|secret| signature(secret, &body));
        let body = Bytes::from(body);
        let mut first = true;
        loop {
            let mut request = self
                .http
                .post(self.url.clone())
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone());
            if let Some(signature) = &signature {
                request = request.header(SIGNATURE, signature);
            }
            match request.send().await {
                Ok(answer) if answer.status().is_success() => return Ok(answer),
                Ok(answer) => return Err(self.refused(answer).await),
                Err(error) if first && error.is_request() && !error.is_connect() => first = false,
                Err(error) => {
                    let why = distrust(&error)
                        .unwrap_or_else(|| quoted(Error::from(error.without_url()).text()));
                    return Err(Error::named(
                        failure::UNREACHABLE,
                        format!("no answer from {}: {why}", self.shown),
                    ));
                }
            }
        }
    }

    /// An answer that is no success.
    async fn refused(&self, mut answer: Response) -> Error {
        let status = answer.status();
        let name = match status.as_u16() {
            401 | 403 => failure::AUTH,
            404 | 410 => failure::NOT_FOUND,
            429 => failure::BUSY,
            400..500 => failure::BAD_REQUEST,
            _ => failure::SERVER,
        };
        let body = beginning(&mut answer, REFUSAL_BYTES).await;
        let mut sentence = format!("{} answered HTTP {}", self.shown, meaning(status));
        let said = String::from_utf8_lossy(&body);
        if !said.trim().is_empty() {
            sentence.push_str(": ");
            sentence.push_str(&quoted(said.trim()));
        }
        Error::named(name, sentence)
    }

    /// The answer is not one.
    pub(crate) fn wrong(&self, why: &str) -> Error {
        Error::named(
            failure::SERVER,
            format!("the answer of {}: {why}", self.shown),
        )
    }

    /// It broke off, or never went on.
    pub(crate) fn cut(&self, why: &str) -> Error {
        Error::named(
            failure::CUT,
            format!("the answer of {} broke off: {why}", self.shown),
        )
    }
}

fn meaning(status: StatusCode) -> String {
    let code = status.as_u16();
    if status.is_redirection() {
        format!("{code}, and redirects are not followed")
    } else {
        code.to_string()
    }
}

/// An answer that has begun.
pub(crate) struct Answer {
    response: Response,
    pub(crate) reader: Reader,
    stall: Duration,
}

impl Answer {
    /// The next bytes of it; `None` at its end.
    ///
    /// # Errors
    /// Why it broke off.
    pub(crate) async fn bytes(&mut self) -> core::result::Result<Option<Bytes>, String> {
        match timeout(self.stall, self.response.chunk()).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) => Err(quoted(Error::from(error.without_url()).text())),
            Err(_) => Err(format!(
                "nothing more came for {} ms",
                self.stall.as_millis()
            )),
        }
    }
}

fn signature(secret: &Secret, body: &str) -> String {
    // Every length of key is allowed for an HMAC; without one there is no signature, which a bot that asks for it refuses.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else {
        return String::new();
    };
    mac.update(body.as_bytes());
    let mut text = String::from("sha256=");
    for byte in mac.finalize().into_bytes() {
        // Writing into a String cannot fail.
        write!(text, "{byte:02x}").ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_everybody_else_computes() {
        // RFC 4231, test case 2.
        let made = signature(&Secret::new("Jefe"), "what do ya want for nothing?");
        assert_eq!(
            made,
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
