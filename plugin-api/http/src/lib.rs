//! HTTP for plugins that ask a service: the client they have in common, and answers that are read no further than a
//! bound. Whom a plugin may ask in clear, how often it tries and how long it waits is its own.
//!
//! Apart from the contract, because reqwest asks for a newer compiler than the contract does.

mod trust;

use std::time::Duration;

pub use trust::distrust;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response};
use voice_plugin::prelude::{Error, Result};

/// How what is asked goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Encrypted; an address that is not is refused.
    Https,
    /// In clear, to a machine that is near: neither certificates nor a proxy have a part in it.
    Clear,
}

impl Wire {
    /// That of an address: [`Clear`](Wire::Clear) for one that begins with `http:`.
    pub fn of(url: &str) -> Wire {
        match url.split_once(':') {
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => Wire::Clear,
            _ => Wire::Https,
        }
    }
}

/// A client to be: it follows no redirect, which would carry keys and callers' words to an address that nobody
/// configured. Waiting is bounded by whoever asks. `ca` is the plugin's key of that name: certificates of authorities that
/// are trusted beside the system's, as PEM.
///
/// # Errors
/// A sentence: what is wrong with `ca`, also where nothing is encrypted.
pub fn builder(wire: Wire, ca: Option<&str>) -> Result<ClientBuilder> {
    // An error says that there is a choice already: ours, from an instance opened before.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = Client::builder()
        .tcp_keepalive(Duration::from_secs(30))
        .tcp_nodelay(true)
        .redirect(Policy::none())
        .user_agent(concat!("voice-streamer/", env!("CARGO_PKG_VERSION")));
    let own = ca.map(trust::authorities).transpose()?.unwrap_or_default();
    Ok(match wire {
        Wire::Https => builder.https_only(true).tls_certs_merge(own),
        Wire::Clear => builder.tls_certs_only([]).no_proxy(),
    })
}

/// The client. Sends nothing yet.
///
/// # Errors
/// A sentence: there are no certificates.
pub fn build(builder: ClientBuilder) -> Result<Client> {
    builder.build().map_err(|error| {
        let why = Error::from(error);
        format!("no HTTPS is possible here ({why}): are root certificates installed (package ca-certificates)?").into()
    })
}

/// The whole body of an answer, or `None` if it is longer than `most` bytes; the rest is left unread then.
///
/// # Errors
/// The connection broke.
pub async fn whole(
    answer: &mut Response,
    most: usize,
) -> core::result::Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > most {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// What a refusal says: some `most` bytes, or what came before the connection broke. A short one is read to its end, so
/// that the connection can be used again.
pub async fn beginning(answer: &mut Response, most: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > most {
            body.truncate(most);
            break;
        }
    }
    body
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use fakes::by_hand::Server;

    fn asked<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(work)
    }

    /// What a client gets of an answer with this status and body.
    fn answered(status: &'static str, body: &'static str) -> (u16, Option<Vec<u8>>, Vec<u8>) {
        let server = Server::start();
        let client = build(builder(Wire::Clear, None).unwrap()).unwrap();
        let url = server.url();
        let answers = std::thread::spawn(move || {
            for _ in 0..2 {
                server.request().answer(status, "text/plain", body);
            }
            assert!(!server.is_asked());
        });
        let got = asked(async {
            let ask = || client.post(&url).body("{}").send();
            let mut first = ask().await.unwrap();
            let all = whole(&mut first, 10).await.unwrap();
            drop(first);
            let mut second = ask().await.unwrap();
            let some = beginning(&mut second, 10).await;
            (second.status().as_u16(), all, some)
        });
        answers.join().unwrap();
        got
    }

    #[test]
    fn answers_are_read_no_further_than_their_bound_and_redirects_not_followed() {
        let text = |text: &str| text.as_bytes().to_vec();
        let fits = (200, Some(text("0123456789")), text("0123456789"));
        assert_eq!(answered("200 OK", "0123456789"), fits);
        let longer = (500, None, text("0123456789"));
        assert_eq!(answered("500 No", "0123456789a"), longer);
        let there = "302 Found\r\nlocation: http://127.0.0.1:1/";
        assert_eq!(answered(there, ""), (302, Some(text("")), text("")));
    }

    #[test]
    fn only_an_encrypted_client_refuses_to_talk_in_clear() {
        for (url, wire) in [
            ("http://127.0.0.1:8000/", Wire::Clear),
            ("HTTP://localhost/", Wire::Clear),
            ("https://example.com/", Wire::Https),
            ("example.com", Wire::Https),
            ("", Wire::Https),
        ] {
            assert_eq!(Wire::of(url), wire, "{url}");
        }
        // Where there are no root certificates there is no such client, and the sentence says so.
        match build(builder(Wire::Https, None).unwrap()) {
            Ok(client) => {
                let url = format!("http://{}/", Server::nobody());
                let no = asked(client.get(url).send()).unwrap_err();
                assert!(no.is_builder(), "{no:?}");
            }
            Err(no) => assert!(no.text().contains("ca-certificates"), "{no}"),
        }
    }
}
