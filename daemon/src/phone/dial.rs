//! Dialling: the webhook as the carrier sends it, the TwiML it gets, and the websocket that follows from it.
//!
//! Signed with the account's token when there is one. The connection always goes to `base`, also when the TwiML names
//! a public address: that is what a reverse proxy in front of the daemon would do.

use crate::carrier::twilio::form::{self, Params};
use crate::carrier::twilio::signature;
use crate::carrier::twilio::twiml::{self, BadTwiml, Connect};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::{Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

/// Twilio waits so long for a webhook.
const WEBHOOK_SECS: u64 = 15;

/// A TwiML document may be so long; Twilio's limit is 64 kB.
const TWIML_BYTES: usize = 64 << 10;

/// Who rings whom, and how to reach the daemon.
#[derive(Clone, Debug)]
pub struct Line {
    /// `http://host:port` to connect to.
    pub base: String,
    /// What signatures are computed over, when it is not `base`.
    pub public_url: Option<String>,
    /// The account's auth token; without it requests are not signed.
    pub auth_token: Option<String>,
    pub account_sid: String,
    pub from: String,
    pub to: String,
    /// Path of the webhook, and behind it parameters of a user's own, if any.
    pub path: String,
}

/// Why there is no call.
#[derive(Debug, thiserror::Error)]
pub enum PhoneError {
    #[error(
        "nobody answers at {base} ({error}). Is the daemon running? Start it with: voice-streamer run"
    )]
    NoAnswer { base: String, error: String },
    #[error("the daemon refused the {what} ({status}): {detail}")]
    Refused {
        what: &'static str,
        status: StatusCode,
        detail: String,
    },
    #[error(transparent)]
    Twiml(#[from] BadTwiml),
    #[error("the {what} failed: {error}")]
    Broken { what: &'static str, error: String },
}

/// A stream that is open, before its first message.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) stream: TcpStream,
    pub(super) read_ahead: Bytes,
    pub(super) stream_sid: String,
    pub(super) parameters: Vec<(String, String)>,
}

/// A call with its first stream.
#[derive(Debug)]
pub(super) struct Dialled {
    pub(super) call_sid: String,
    pub(super) opened: Opened,
    pub(super) webhook: Duration,
}

impl Line {
    /// A line to a daemon on this machine, unsigned.
    pub fn to(base: impl Into<String>) -> Line {
        Line {
            base: base.into().trim_end_matches('/').to_owned(),
            public_url: None,
            auth_token: None,
            account_sid: format!("AC{}", random_hex()),
            from: "+15550123".into(),
            to: "+15550100".into(),
            path: "/twilio/stream/".into(),
        }
    }

    /// Signs requests: `public_url` is what the daemon knows itself by.
    #[must_use]
    pub fn signed(mut self, auth_token: &str, public_url: &str) -> Line {
        self.auth_token = Some(auth_token.to_owned());
        self.public_url = Some(public_url.trim_end_matches('/').to_owned());
        self
    }

    fn public(&self) -> &str {
        self.public_url.as_deref().unwrap_or(&self.base)
    }

    /// Rings: webhook, TwiML, websocket.
    pub(super) async fn dial(&self) -> Result<Dialled, PhoneError> {
        let call_sid = format!("CA{}", random_hex());
        let began = tokio::time::Instant::now();
        let document = self.webhook(&call_sid).await?;
        let webhook = began.elapsed();
        let connect = twiml::read_connect(&document)?;
        Ok(Dialled {
            opened: self.open(&connect).await?,
            call_sid,
            webhook,
        })
    }

    /// Opens the stream that a document connects to.
    pub(super) async fn open(&self, connect: &Connect) -> Result<Opened, PhoneError> {
        let (stream, read_ahead) = self.upgrade(&connect.url).await?;
        Ok(Opened {
            stream,
            read_ahead,
            stream_sid: format!("MZ{}", random_hex()),
            parameters: connect.parameters.clone(),
        })
    }

    /// The webhook of an incoming call; the TwiML.
    pub async fn webhook(&self, call_sid: &str) -> Result<String, PhoneError> {
        let fields = self.fields(call_sid, "ringing");
        self.post(&self.path, &fields).await
    }

    /// The webhook that a document names for a call under way; how a transfer went, if one is over. The TwiML.
    pub async fn ask(
        &self,
        url: &str,
        call_sid: &str,
        transfer: &str,
    ) -> Result<String, PhoneError> {
        let mut fields = self.fields(call_sid, "in-progress");
        if !transfer.is_empty() {
            fields.push(("DialCallStatus", transfer));
        }
        self.post(path_of(url), &fields).await
    }

    /// The number's status callback.
    pub async fn tell_status(&self, call_sid: &str, status: &str) -> Result<(), PhoneError> {
        let fields = self.fields(call_sid, status);
        self.post("/twilio/status/", &fields).await.map(|_| ())
    }

    /// What every request about a call carries.
    fn fields<'a>(&'a self, call_sid: &'a str, status: &'a str) -> Vec<(&'a str, &'a str)> {
        vec![
            ("AccountSid", self.account_sid.as_str()),
            ("ApiVersion", "2010-04-01"),
            ("CallSid", call_sid),
            ("CallStatus", status),
            ("Called", &self.to),
            ("CalledZip", ""),
            ("Caller", &self.from),
            ("Direction", "inbound"),
            ("From", &self.from),
            ("To", &self.to),
        ]
    }

    /// A signed form as the carrier posts it; the body of the answer.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Result<String, PhoneError> {
        let body = form::encode(fields);
        let broken = |error: String| PhoneError::Broken {
            what: "webhook",
            error,
        };
        let params = form::parse(body.as_bytes()).map_err(|error| broken(error.to_string()))?;
        let mut request = Request::post(path)
            .header(HOST, self.host())
            .header(
                CONTENT_TYPE,
                "application/x-www-form-urlencoded; charset=UTF-8",
            )
            .header("I-Twilio-Idempotency-Token", random_hex());
        if let Some(token) = &self.auth_token {
            let url = format!("{}{path}", self.public());
            request = request.header("X-Twilio-Signature", signature::sign(&url, &params, token));
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| broken(error.to_string()))?;
        let exchange = async {
            let answer = self.send(request, "webhook").await?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), TWIML_BYTES)
                .collect()
                .await;
            let body = body.map_err(|error| broken(error.to_string()))?.to_bytes();
            Ok::<_, PhoneError>((status, String::from_utf8_lossy(&body).into_owned()))
        };
        let (status, text) = tokio::time::timeout(Duration::from_secs(WEBHOOK_SECS), exchange)
            .await
            .map_err(|_| broken(format!("no answer within {WEBHOOK_SECS} s")))??;
        if status.is_success() {
            Ok(text)
        } else {
            Err(PhoneError::Refused {
                what: "webhook",
                status,
                detail: text,
            })
        }
    }

    async fn upgrade(&self, stream_url: &str) -> Result<(TcpStream, Bytes), PhoneError> {
        let broken = |error: String| PhoneError::Broken {
            what: "stream",
            error,
        };
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(|error| broken(error.to_string()))?;
        let mut request = Request::get(path_of(stream_url))
            .header(HOST, self.host())
            .header(UPGRADE, "websocket")
            .header(CONNECTION, "Upgrade")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(
                SEC_WEBSOCKET_KEY,
                base64_simd::STANDARD.encode_to_string(key),
            );
        if let Some(token) = &self.auth_token {
            let signature = signature::sign(stream_url, &Params::default(), token);
            request = request.header("X-Twilio-Signature", signature);
        }
        let request = request
            .body(Full::default())
            .map_err(|error| broken(error.to_string()))?;
        let answer = self.send(request, "stream").await?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            let status = answer.status();
            let body = Limited::new(answer.into_body(), TWIML_BYTES)
                .collect()
                .await;
            let detail = body.map_or_else(
                |error| error.to_string(),
                |body| String::from_utf8_lossy(&body.to_bytes()).into_owned(),
            );
            return Err(PhoneError::Refused {
                what: "stream",
                status,
                detail,
            });
        }
        let upgraded = hyper::upgrade::on(answer)
            .await
            .map_err(|error| broken(error.to_string()))?;
        let parts = upgraded
            .downcast::<TokioIo<TcpStream>>()
            .map_err(|_| broken("the connection below the websocket is not ours".into()))?;
        Ok((parts.io.into_inner(), parts.read_buf))
    }

    async fn send(
        &self,
        request: Request<Full<Bytes>>,
        what: &'static str,
    ) -> Result<Response<Incoming>, PhoneError> {
        let no_answer = |error: io::Error| PhoneError::NoAnswer {
            base: self.base.clone(),
            error: error.to_string(),
        };
        let broken = |error: hyper::Error| PhoneError::Broken {
            what,
            error: error.to_string(),
        };
        let stream = TcpStream::connect(self.host()).await.map_err(no_answer)?;
        stream.set_nodelay(true).map_err(no_answer)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        // Ends by itself when the answer is read or the connection is upgraded; its error is the request's error.
        tokio::spawn(connection.with_upgrades());
        sender.send_request(request).await.map_err(broken)
    }

    /// `host:port` of `base`.
    fn host(&self) -> &str {
        self.base
            .split_once("://")
            .map_or(self.base.as_str(), |(_, host)| host)
    }
}

/// The path of an address, which may be relative to the one of the document.
fn path_of(url: &str) -> &str {
    match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => url,
    }
}

/// 32 hexadecimal digits, as the carrier's sids have them.
pub(super) fn random_hex() -> String {
    let mut bytes = [0_u8; 16];
    // Without randomness the sids repeat and the daemon says so: better than no phone at all.
    if getrandom::fill(&mut bytes).is_err() {
        bytes = [7; 16];
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
