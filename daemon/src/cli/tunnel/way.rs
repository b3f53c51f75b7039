//! The way from the world to the daemon: an address somebody else takes care of, or ngrok's, opened here; and the proof
//! that it leads to this daemon.
//!
//! The proof is a signed request over the whole way, as Twilio would send it. It names no call, so the daemon answers
//! that it makes no sense (400) if way, token and address are right, and that the signature is wrong (403) if the
//! token or the address is. Nothing is recorded of it.

use crate::carrier::twilio::form::Params;
use crate::carrier::twilio::signature;
use crate::cli::Failure;
use crate::config::Config;
use reqwest::StatusCode;
use reqwest::redirect::Policy;
use std::error::Error;
use std::time::{Duration, Instant};

/// How long the way may take to lead here: a new name has to be known, a daemon has to see the address lent to it.
const PROOF_SECS: u64 = 15;

/// What needs no more patience than the daemon's, which looks for a lent address twice a second: a wrong signature, and
/// an address of this machine.
const NEAR_SECS: u64 = 3;

/// Between two looks.
const AGAIN_MS: u64 = 250;

/// For one request.
const REQUEST_SECS: u64 = 5;

/// A way that is open for as long as this lives.
pub(super) struct Way {
    pub(super) public_url: String,
    #[cfg(feature = "ngrok")]
    ngrok: Option<ngrok_way::Open>,
}

impl Way {
    /// Somebody else's, at this address.
    pub(super) fn given(public_url: String) -> Way {
        Way {
            public_url,
            #[cfg(feature = "ngrok")]
            ngrok: None,
        }
    }

    /// Through ngrok to the daemon at `local`.
    ///
    /// # Errors
    /// ngrok refuses or cannot be reached, or this build does not know it.
    #[cfg(feature = "ngrok")]
    pub(super) async fn through_ngrok(token: &str, local: &str) -> Result<Way, Failure> {
        let open = ngrok_way::open(token, local).await?;
        let public_url = crate::config::public_url(open.url().trim_end_matches('/'))
            .map_err(|why| Failure::failed(format!("ngrok's address {why}")))?;
        Ok(Way {
            public_url,
            ngrok: Some(open),
        })
    }

    /// As above.
    #[cfg(not(feature = "ngrok"))]
    pub(super) async fn through_ngrok(_token: &str, _local: &str) -> Result<Way, Failure> {
        Err(Failure::usage(
            "this build does not know ngrok (it was made without the feature `ngrok`): name the address that leads \
             here, voice-streamer tunnel start https://…",
        ))
    }

    /// Ready when the way is lost for good; a given one is not ours to watch.
    pub(super) async fn lost(&mut self) -> String {
        #[cfg(feature = "ngrok")]
        if let Some(open) = &mut self.ngrok {
            return open.lost().await;
        }
        std::future::pending().await
    }

    /// Gives the address back.
    pub(super) async fn close(self) {
        #[cfg(feature = "ngrok")]
        if let Some(open) = self.ngrok {
            open.close().await;
        }
    }
}

#[cfg(feature = "ngrok")]
mod ngrok_way {
    //! ngrok's own crate, which forwards whole connections, websockets included, and reconnects by itself.

    use super::Failure;
    use ngrok::config::ForwarderBuilder;
    use ngrok::forwarder::Forwarder;
    use ngrok::prelude::{EndpointInfo, TunnelCloser};
    use ngrok::tunnel::HttpTunnel;
    use std::time::Duration;

    /// For connecting; it would try for ever.
    const CONNECT_SECS: u64 = 20;

    pub(super) struct Open(Forwarder<HttpTunnel>);

    pub(super) async fn open(token: &str, local: &str) -> Result<Open, Failure> {
        let local =
            reqwest::Url::parse(local).map_err(|error| Failure::failed(error.to_string()))?;
        let opening = async {
            let session = ngrok::Session::builder()
                .authtoken(token)
                .connect()
                .await
                .map_err(|error| error.to_string())?;
            let endpoint = session.http_endpoint();
            let open = endpoint.listen_and_forward(local).await;
            open.map_err(|error| error.to_string())
        };
        match tokio::time::timeout(Duration::from_secs(CONNECT_SECS), opening).await {
            Ok(Ok(open)) => Ok(Open(open)),
            Ok(Err(why)) => Err(Failure::temporary(format!(
                "ngrok gives no address: {}. Is NGROK_AUTHTOKEN right? It is on the front page of ngrok's dashboard",
                why.replace(token, "•••")
            ))),
            Err(_) => Err(Failure::temporary(format!(
                "ngrok cannot be reached within {CONNECT_SECS} s (connect.ngrok-agent.com:443)"
            ))),
        }
    }

    impl Open {
        pub(super) fn url(&self) -> &str {
            self.0.url()
        }

        pub(super) async fn lost(&mut self) -> String {
            match self.0.join().await {
                Ok(Ok(())) => "ngrok closed it".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            }
        }

        pub(super) async fn close(mut self) {
            // It ends with this process in any case.
            self.0.close().await.ok();
        }
    }
}

/// Whether a daemon answers at `local`, an address of this machine.
///
/// # Errors
/// Nobody does.
pub(super) async fn daemon_answers(local: &str) -> Result<(), Failure> {
    let client = client(local)?;
    match client.get(format!("{local}/healthz")).send().await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(Failure::unavailable(format!(
            "what answers at {local} is no voice-streamer ({}); say where it is with --to",
            answer.status()
        ))),
        Err(error) => Err(Failure::unavailable(format!(
            "no daemon answers at {local} ({}). Start it first, in another terminal: voice-streamer",
            chain(&error)
        ))),
    }
}

/// Proves that `public_url` leads to a daemon that knows this address and this token.
///
/// # Errors
/// A sentence about what lies between.
pub(super) async fn prove(config: &Config, public_url: &str, local: &str) -> Result<(), Failure> {
    let client = client(public_url)?;
    let url = format!("{public_url}/twilio/status/");
    let token = config.twilio.auth_token.as_ref();
    let token = token.map_or("", |token| token.expose());
    let signature = signature::sign(&url, &Params::default(), token);
    let far_secs = match public_url.starts_with("http://") {
        true => NEAR_SECS,
        false => PROOF_SECS,
    };
    let began = Instant::now();
    loop {
        let asked = client
            .post(&url)
            .header("X-Twilio-Signature", &signature)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .send()
            .await;
        let (patience, failure) = match asked {
            Ok(answer) => {
                let kind = answer.headers().get("content-type");
                let ours = kind
                    .is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem+json"));
                match (answer.status(), ours) {
                    (StatusCode::BAD_REQUEST, true) => return Ok(()),
                    (StatusCode::FORBIDDEN, true) => {
                        (NEAR_SECS, wrong_signature(config, public_url))
                    }
                    (status, _) => (
                        far_secs,
                        elsewhere(public_url, local, &format!("it answers {status}")),
                    ),
                }
            }
            Err(error) => (far_secs, elsewhere(public_url, local, &chain(&error))),
        };
        if began.elapsed() > Duration::from_secs(patience) {
            return Err(failure);
        }
        tokio::time::sleep(Duration::from_millis(AGAIN_MS)).await;
    }
}

fn wrong_signature(config: &Config, public_url: &str) -> Failure {
    Failure::permission(format!(
        "{public_url} leads to a daemon that does not take what is signed for this address with this token. Does it run \
         with {} and the same state folder? Restart it if it is older than that file's twilio.auth_token",
        config.file.display()
    ))
}

fn elsewhere(public_url: &str, local: &str, why: &str) -> Failure {
    Failure::unavailable(format!(
        "{public_url} does not lead to the daemon at {local}: {why}. A proxy or a tunnel has to forward it there, \
         websockets too"
    ))
}

fn client(url: &str) -> Result<reqwest::Client, Failure> {
    let mut client = reqwest::Client::builder()
        .timeout(Duration::from_secs(REQUEST_SECS))
        .redirect(Policy::none());
    if url.starts_with("http://") {
        // This machine, in clear: neither certificates nor a proxy have a part in it.
        client = client.tls_certs_only([]).no_proxy();
    }
    client
        .build()
        .map_err(|error| Failure::failed(format!("no HTTP client: {}", chain(&error))))
}

/// An error with the reasons below it.
fn chain(error: &reqwest::Error) -> String {
    let mut reasons = Vec::new();
    let mut below = error.source();
    while let Some(reason) = below {
        reasons.push(reason.to_string());
        below = reason.source();
    }
    match reasons.pop() {
        Some(last) => last,
        None if error.is_timeout() => "no answer in time".to_owned(),
        None => error.to_string(),
    }
}
