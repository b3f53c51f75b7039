//! The hand that sends: HTTPS with a bound on everything, waiting when asked to, looking before it repeats a change.
//!
//! The one file of this room that touches a network and a clock. What it may repeat is decided by what the API
//! promises: after a 429 nothing was done; after a time-out or a 5xx a change may have been made, so its result is
//! read before it is tried again.

use super::answer::{self, Call, RestError};
use super::number::{Number, Settings};
use super::request::{self, Request};
use base64_simd::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// For a connection. Twilio's own SDKs wait longer; somebody sits before this one.
const CONNECT_SECS: u64 = 5;

/// For a whole request.
const REQUEST_SECS: u64 = 15;

/// Longest answer taken: a page of a thousand numbers is about 1.5 MB.
const ANSWER_BYTES: usize = 4 << 20;

/// Pages of numbers read, a thousand to a page.
const PAGES: usize = 50;

/// How often a request is tried that the API asked us to repeat, or a change of which we do not know the fate.
const TRIES: usize = 4;

/// Before the second try; doubled before each further one.
const PAUSE: Duration = Duration::from_millis(500);

/// The API may ask for a longer pause than ours, up to this.
const PAUSE_MOST_SECS: u64 = 10;

/// What became of a call that was to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Now,
    /// It was over before, or the account has no such call.
    Already,
}

/// An account at Twilio. `Debug` prints no credentials.
pub struct Rest {
    http: reqwest::Client,
    base: String,
    account_sid: String,
    authorization: HeaderValue,
    pause: Duration,
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest")
            .field("base", &self.base)
            .field("account_sid", &self.account_sid)
            .finish_non_exhaustive()
    }
}

/// Makes ring this process's cryptography. To be called before any HTTP client is built; again does no harm.
pub fn use_ring() {
    // An error says that there is a choice already: ours, from an earlier call.
    drop(rustls::crypto::ring::default_provider().install_default());
}

impl Rest {
    /// For the account `account_sid` at `base`, `https://api.twilio.com` or that of a region, without a slash at the
    /// end. Sends nothing yet.
    ///
    /// # Errors
    /// [`RestError::Tls`]: there are no root certificates on this machine.
    pub fn new(base: &str, account_sid: &str, auth_token: &str) -> Result<Rest, RestError> {
        use_ring();
        let mut http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(CONNECT_SECS))
            .timeout(Duration::from_secs(REQUEST_SECS))
            // A redirect would carry the credentials to an address that nobody configured.
            .redirect(Policy::none())
            .user_agent(concat!("voice-streamer/", env!("CARGO_PKG_VERSION")));
        if base.starts_with("http://") {
            // In clear means this machine: neither certificates nor a proxy have a part in it.
            http = http.tls_certs_only([]).no_proxy();
        } else {
            http = http.https_only(true);
        }
        let http = http
            .build()
            .map_err(|error| RestError::Tls(chain(&error)))?;
        let credentials = STANDARD.encode_to_string(format!("{account_sid}:{auth_token}"));
        let mut authorization = HeaderValue::from_str(&format!("Basic {credentials}"))
            .map_err(|error| RestError::Tls(error.to_string()))?;
        authorization.set_sensitive(true);
        Ok(Rest {
            http,
            base: base.to_owned(),
            account_sid: account_sid.to_owned(),
            authorization,
            pause: PAUSE,
        })
    }

    /// Whose numbers and calls these are.
    pub fn account_sid(&self) -> &str {
        &self.account_sid
    }

    /// All numbers of the account, or those that contain `like`.
    ///
    /// # Errors
    /// See [`RestError`]; nothing is changed.
    pub async fn numbers(&self, like: Option<&str>) -> Result<Vec<Number>, RestError> {
        let mut request = request::numbers(&self.account_sid, like);
        let mut found = Vec::new();
        for _ in 0..PAGES {
            let body = self.send(&request).await?;
            let (numbers, next) = answer::numbers(&request.what, &body)?;
            found.extend(numbers);
            let Some(uri) = next else { return Ok(found) };
            request = request::next_page(&self.account_sid, &uri).ok_or_else(|| {
                let why = "the address of the next page leads elsewhere".to_owned();
                RestError::Unreadable {
                    what: request.what.clone(),
                    why,
                }
            })?;
        }
        let why = format!("there are more than {PAGES} pages; name the number with --number");
        Err(RestError::Unreadable {
            what: request.what,
            why,
        })
    }

    /// One number as it is now.
    ///
    /// # Errors
    /// See [`RestError`]; nothing is changed.
    pub async fn number(&self, sid: &str) -> Result<Number, RestError> {
        let request = request::number(&self.account_sid, sid);
        answer::number(&request.what, &self.send(&request).await?)
    }

    /// Makes `wanted` of a number that was `found` so a moment ago, and returns what it is then.
    ///
    /// # Errors
    /// See [`RestError`]. After [`RestError::Unanswered`] the change may have been made; after the others not.
    pub async fn change_number(
        &self,
        sid: &str,
        found: &Settings,
        wanted: &Settings,
    ) -> Result<Number, RestError> {
        if found == wanted {
            return self.number(sid).await;
        }
        let request = request::change_number(&self.account_sid, sid, found, wanted);
        let mut tries = 1;
        loop {
            let unanswered = match self.send(&request).await {
                Ok(body) => return answer::number(&request.what, &body),
                Err(error @ RestError::Unanswered { .. }) => error,
                Err(error) => return Err(error),
            };
            // Whoever repeats without looking may undo what somebody else did meanwhile.
            let Ok(now) = self.number(sid).await else {
                return Err(unanswered);
            };
            if now.settings == *wanted {
                return Ok(now);
            }
            if now.settings != *found {
                return Err(RestError::Contested { what: request.what });
            }
            if tries == TRIES {
                return Err(unanswered);
            }
            self.wait(tries, None).await;
            tries += 1;
        }
    }

    /// One call as the API knows it.
    ///
    /// # Errors
    /// See [`RestError`]; nothing is changed.
    pub async fn call(&self, sid: &str) -> Result<Call, RestError> {
        let request = request::call(&self.account_sid, sid);
        answer::call(&request.what, &self.send(&request).await?)
    }

    /// Ends a call that rings or talks.
    ///
    /// # Errors
    /// See [`RestError`]. To ask again does no harm.
    pub async fn end_call(&self, sid: &str) -> Result<Ended, RestError> {
        let request = request::end_call(&self.account_sid, sid);
        let mut tries = 1;
        loop {
            match self.send(&request).await {
                Ok(_) => return Ok(Ended::Now),
                Err(error) if error.says_over() => return Ok(Ended::Already),
                Err(RestError::Unanswered { .. }) if tries < TRIES => {}
                Err(error) => return Err(error),
            }
            // A second time would answer "already over" about our own first.
            if self.call(sid).await.is_ok_and(|call| call.is_over()) {
                return Ok(Ended::Now);
            }
            self.wait(tries, None).await;
            tries += 1;
        }
    }

    /// Sends one request; again while the API asks for a pause. The body of a 2xx.
    async fn send(&self, request: &Request) -> Result<Vec<u8>, RestError> {
        let mut tries = 1;
        loop {
            let (status, wait_secs, body) = self.once(request).await?;
            if status != 429 {
                return answer::outcome(&request.what, status, body);
            }
            if tries == TRIES {
                return Err(RestError::Busy {
                    what: request.what.clone(),
                    tries,
                });
            }
            self.wait(tries, wait_secs).await;
            tries += 1;
        }
    }

    async fn once(&self, request: &Request) -> Result<(u16, Option<u64>, Vec<u8>), RestError> {
        let url = format!("{}{}", self.base, request.path);
        let sending = match &request.body {
            None => self.http.get(url),
            Some(form) => self
                .http
                .post(url)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.clone()),
        };
        let sending = sending.header(AUTHORIZATION, self.authorization.clone());
        let lost = |error: reqwest::Error| {
            let (what, why) = (request.what.clone(), chain(&error));
            if error.is_connect() {
                let base = self.base.clone();
                RestError::Unreachable { what, base, why }
            } else {
                RestError::Unanswered { what, why }
            }
        };
        let mut answer = sending.send().await.map_err(lost)?;
        let status = answer.status().as_u16();
        let wait = answer.headers().get(RETRY_AFTER);
        let wait_secs = wait.and_then(|secs| secs.to_str().ok()?.parse().ok());
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > ANSWER_BYTES {
                let why = format!("it is longer than {ANSWER_BYTES} bytes");
                return Err(RestError::Unreadable {
                    what: request.what.clone(),
                    why,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, wait_secs, body))
    }

    /// Before the next try, after `tries` of them.
    async fn wait(&self, tries: usize, asked_secs: Option<u64>) {
        let ours = self.pause.saturating_mul(1 << (tries - 1).min(TRIES));
        let asked = Duration::from_secs(asked_secs.unwrap_or(0).min(PAUSE_MOST_SECS));
        tokio::time::sleep(ours.max(asked)).await;
    }
}

/// An error with the reasons below it; reqwest's own text stops at "error sending request".
fn chain(error: &reqwest::Error) -> String {
    let mut said = match error.is_timeout() {
        true => "no answer in time".to_owned(),
        false => "the exchange failed".to_owned(),
    };
    let mut below = error.source();
    while let Some(reason) = below {
        said.push_str(": ");
        said.push_str(&reason.to_string());
        below = reason.source();
    }
    said
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    const ACCOUNT: &str = "AC00000000000000000000000000000001";
    const TOKEN: &str = "canary-token-4711";

    /// What a scripted server does with one request.
    #[derive(Clone, Copy)]
    enum Does {
        Answers(u16, &'static str),
        /// Closes the connection instead of answering.
        Cuts,
    }

    /// Does one thing after another, for each request in turn, and keeps the requests.
    async fn server(script: &'static [Does]) -> (Rest, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&heard);
        tokio::spawn(async move {
            for does in script {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read_request(&mut stream).await;
                kept.lock().unwrap().push(request);
                if let Does::Answers(status, body) = does {
                    let length = body.len();
                    let answer = format!(
                        "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                    );
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        let mut rest = Rest::new(&base, ACCOUNT, TOKEN).unwrap();
        rest.pause = Duration::ZERO;
        (rest, heard)
    }

    async fn read_request(stream: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .map_or(0, |length| length.parse().unwrap());
                if body.len() >= length {
                    return text;
                }
            }
            let mut chunk = [0; 4096];
            let read = stream.read(&mut chunk).await.unwrap();
            assert!(read > 0, "the request ends early: {text}");
            bytes.extend_from_slice(&chunk[..read]);
        }
    }

    fn urls(voice_url: &str) -> Settings {
        Settings {
            voice_url: voice_url.to_owned(),
            ..Settings::default()
        }
    }

    const OLD: &str = r#"{"sid":"PN1","phone_number":"+15550100","voice_url":"old"}"#;
    const NEW: &str = r#"{"sid":"PN1","phone_number":"+15550100","voice_url":"new"}"#;
    const OTHER: &str = r#"{"sid":"PN1","phone_number":"+15550100","voice_url":"other"}"#;

    /// What a change came to, and the methods of the requests it took.
    async fn change(script: &'static [Does]) -> (Result<Number, RestError>, Vec<String>) {
        let (rest, heard) = server(script).await;
        let changed = rest.change_number("PN1", &urls("old"), &urls("new")).await;
        let heard = heard.lock().unwrap();
        let method = |request: &String| request.split(' ').next().unwrap().to_owned();
        (changed, heard.iter().map(method).collect())
    }

    #[tokio::test]
    async fn a_request_carries_the_credentials_and_nothing_shows_them() {
        let (rest, heard) = server(&[Does::Answers(200, NEW)]).await;
        let number = rest.number("PN1").await.unwrap();
        assert_eq!(number.settings.voice_url, "new");
        let heard = heard.lock().unwrap();
        let basic = STANDARD.encode_to_string(format!("{ACCOUNT}:{TOKEN}"));
        assert!(
            heard[0].contains(&format!("authorization: Basic {basic}")),
            "{}",
            heard[0]
        );
        assert!(heard[0].starts_with(&format!(
            "GET /2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers/PN1.json HTTP/1.1\r\n"
        )));
        let shown = format!("{rest:?}");
        assert!(!shown.contains(TOKEN) && !shown.contains(&basic), "{shown}");
    }

    #[tokio::test]
    async fn a_request_is_repeated_when_the_api_asks_for_it_and_not_for_ever() {
        const BUSY: Does = Does::Answers(429, r#"{"code":20429}"#);
        let (rest, _) = server(&[BUSY, BUSY, Does::Answers(200, OLD)]).await;
        assert!(rest.number("PN1").await.is_ok());
        let (rest, heard) = server(&[BUSY; TRIES + 1]).await;
        let error = rest.number("PN1").await.unwrap_err();
        assert!(
            matches!(error, RestError::Busy { tries: TRIES, .. }),
            "{error}"
        );
        assert_eq!(heard.lock().unwrap().len(), TRIES);
    }

    #[tokio::test]
    async fn a_change_of_unknown_fate_is_looked_at_before_it_is_repeated() {
        const LOST: Does = Does::Answers(500, "");
        let (changed, asked) = change(&[LOST, Does::Answers(200, NEW)]).await;
        assert!(changed.is_ok(), "it had been made");
        assert_eq!(asked, ["POST", "GET"]);

        for fate in [LOST, Does::Cuts] {
            // The script must live as long as the program: a leak of a few bytes in a test.
            let script = vec![fate, Does::Answers(200, OLD), Does::Answers(200, NEW)];
            let (changed, asked) = change(script.leak()).await;
            assert!(changed.is_ok(), "it had not been made");
            assert_eq!(asked, ["POST", "GET", "POST"]);
        }

        let (changed, asked) = change(&[LOST, Does::Answers(200, OTHER)]).await;
        assert!(
            matches!(changed, Err(RestError::Contested { .. })),
            "{changed:?}"
        );
        assert_eq!(
            asked,
            ["POST", "GET"],
            "somebody else's change is not undone"
        );

        let (changed, asked) = change(&[LOST, LOST]).await;
        assert!(
            matches!(changed, Err(RestError::Unanswered { .. })),
            "{changed:?}"
        );
        assert_eq!(asked, ["POST", "GET"]);
    }

    #[tokio::test]
    async fn a_call_that_is_over_need_not_be_ended() {
        let over = r#"{"code":21220,"message":"Call is not in-progress","status":400}"#;
        for (script, ended) in [
            (
                vec![Does::Answers(200, r#"{"sid":"CA1","status":"completed"}"#)],
                Ended::Now,
            ),
            (vec![Does::Answers(400, over)], Ended::Already),
            (vec![Does::Answers(404, "{}")], Ended::Already),
            (
                vec![
                    Does::Cuts,
                    Does::Answers(200, r#"{"sid":"CA1","status":"completed"}"#),
                ],
                Ended::Now,
            ),
        ] {
            let (rest, _) = server(script.leak()).await;
            assert_eq!(rest.end_call("CA1").await, Ok(ended));
        }
    }

    #[tokio::test]
    async fn pages_are_followed_within_the_account_only() {
        let (rest, heard) = server(&[
            Does::Answers(
                200,
                r#"{"incoming_phone_numbers":[{"sid":"PN1","phone_number":"+1"}],
                "next_page_uri":"/2010-04-01/Accounts/AC00000000000000000000000000000001/IncomingPhoneNumbers.json?Page=1"}"#,
            ),
            Does::Answers(
                200,
                r#"{"incoming_phone_numbers":[{"sid":"PN2","phone_number":"+2"}],"next_page_uri":null}"#,
            ),
        ])
        .await;
        let numbers = rest.numbers(None).await.unwrap();
        assert_eq!(
            numbers.iter().map(|n| n.sid.as_str()).collect::<Vec<_>>(),
            ["PN1", "PN2"]
        );
        assert!(heard.lock().unwrap()[1].contains("?Page=1 "));

        let (rest, _) = server(&[Does::Answers(
            200,
            r#"{"incoming_phone_numbers":[],"next_page_uri":"http://evil.example/"}"#,
        )])
        .await;
        assert!(matches!(
            rest.numbers(None).await,
            Err(RestError::Unreadable { .. })
        ));
    }

    #[tokio::test]
    async fn nobody_there_is_told_from_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let rest = Rest::new(&base, ACCOUNT, TOKEN).unwrap();
        let error = rest.number("PN1").await.unwrap_err();
        assert!(matches!(error, RestError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains(&base), "{error}");
    }

    #[tokio::test]
    async fn https_begins_with_tls_and_not_with_the_credentials() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // Machines without root certificates cannot have the client at all, and are told so.
        let rest = match Rest::new(&format!("https://localhost:{port}"), ACCOUNT, TOKEN) {
            Ok(rest) => rest,
            Err(error) => {
                assert!(error.to_string().contains("ca-certificates"), "{error}");
                return;
            }
        };
        let hello = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut first = [0; 3];
            stream.read_exact(&mut first).await.unwrap();
            first
        };
        let (asked, hello) = tokio::join!(rest.number("PN1"), hello);
        assert!(asked.is_err());
        assert_eq!(hello, [0x16, 3, 1], "a TLS handshake");
    }
}
