//! `X-Twilio-Signature`: was this request made by someone who knows the account's auth token, and is it unchanged?
//!
//! ```text
//!   base64( HMAC-SHA1( auth token, URL + name value name value … ) )      names sorted, equal pairs once, form bodies only
//! ```
//!
//! The URL is the public one from our configuration plus the request's raw path and query. It is never built from `Host`
//! or `X-Forwarded-…`, which a client can forge, and its query is never re-encoded. Some spellings of a URL cannot be
//! predicted (port dropped or written out, a last `/` on upgrades), so a few are tried; all are compared in constant time.
//!
//! Beside it stands the newer shared-key scheme: the header `X-Twilio-Webhooks-Signature-Settings` names a key, and only
//! a key that is configured is believed.

use super::form::Params;
use super::url::{port_forms, signed_part};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What is to be checked. `..Request::default()` fills in what a request does not have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// Configured public URL with the raw path and query of the request. Fragment and user info are not signed and may stay.
    pub url: &'a str,
    /// All fields of a form body, none dropped; `None` for `GET`, upgrades and JSON.
    pub params: Option<&'a Params>,
    /// Body as received, looked at only without `params`: it must then be empty or covered by `bodySHA256` in the URL.
    pub raw_body: &'a [u8],
    /// `X-Twilio-Signature`.
    pub signature: Option<&'a str>,
    /// `X-Twilio-Webhooks-Signature-Settings`.
    pub settings: Option<&'a str>,
}

/// What a signature may be made with. An auth token alone converts into it: `verify(request, token)`.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    pub auth_token: &'a str,
    pub shared: Option<SharedKey<'a>>,
}

/// A key of Twilio's shared-key signing (public beta).
#[derive(Clone, Copy)]
pub struct SharedKey<'a> {
    /// The `key=` of the settings header.
    pub id: &'a str,
    pub secret: &'a str,
}

impl<'a> From<&'a str> for Keys<'a> {
    fn from(auth_token: &'a str) -> Self {
        Keys {
            auth_token,
            shared: None,
        }
    }
}

impl<'a> From<&'a String> for Keys<'a> {
    fn from(auth_token: &'a String) -> Self {
        auth_token.as_str().into()
    }
}

/// Why a request is not believed. Twilio's own server package answers [`Refused::NoSignature`] with 400, the rest with 403.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error(
        "the request has no X-Twilio-Signature; refused. Twilio always sends one: is a proxy dropping it?"
    )]
    NoSignature,
    #[error(
        "the signature does not fit {url}; refused. Compare http.public_url with the URL in Twilio's console, letter by \
         letter, and twilio.auth_token with the account's primary token"
    )]
    Mismatch {
        /// The URL it was checked against, without its query.
        url: String,
    },
    #[error("the body is not covered by the signature (no bodySHA256 in the URL); refused")]
    BodyNotSigned,
    #[error("the body is not the one that was signed (bodySHA256 differs); refused")]
    BodyChanged,
    #[error("the request is signed with a shared key that is not configured; refused")]
    UnknownKey,
    #[error(
        "the request is signed with an algorithm that is not HMAC_SHA1 or HMAC_SHA256; refused"
    )]
    UnknownAlgorithm,
    #[error(
        "there is no key to check the signature with (an empty one proves nothing); refused. Set twilio.auth_token"
    )]
    NoKey,
}

impl Refused {
    /// The reason as a label for a counter.
    pub fn as_str(&self) -> &'static str {
        match self {
            Refused::NoSignature => "no_signature",
            Refused::Mismatch { .. } => "mismatch",
            Refused::BodyNotSigned => "body_not_signed",
            Refused::BodyChanged => "body_changed",
            Refused::UnknownKey => "unknown_key",
            Refused::UnknownAlgorithm => "unknown_algorithm",
            Refused::NoKey => "no_key",
        }
    }
}

/// Signs as Twilio does, with the auth token. The URL is taken as it stands; no parameters for `GET`, JSON and upgrades.
pub fn sign(url: &str, params: &Params, token: &str) -> String {
    mac(Algorithm::Sha1, token, url, &sorted(Some(params)))
}

/// Checks a webhook or callback, or an upgrade whose URL is known to the letter.
///
/// Tried are the URL as given, without its port, and with the port of its scheme if it has none.
///
/// # Errors
/// Any [`Refused`]: the request must not be acted on.
pub fn verify<'k>(request: Request<'_>, keys: impl Into<Keys<'k>>) -> Result<(), Refused> {
    if request.params.is_none() {
        check_body(request.url, request.raw_body)?;
    }
    check(&request, &port_forms(request.url), keys.into())
}

/// Checks the upgrade request of a media websocket.
///
/// Twilio signs the `wss://` URL of `<Stream url>` and advises to try it with a `/` at its end; by which rule it appends
/// one is not documented. Tried are the URL with and without the last `/`, each with and without `:443`. Whether
/// shared-key signing covers upgrades is not documented either: here it is the auth token.
///
/// # Errors
/// Any [`Refused`]: answer 403 and do not upgrade. The carrier then runs what follows `<Connect>`.
pub fn verify_upgrade<'k>(
    wss_url: &str,
    signature: Option<&str>,
    keys: impl Into<Keys<'k>>,
) -> Result<(), Refused> {
    let request = Request {
        url: wss_url,
        signature,
        ..Request::default()
    };
    let mut forms = port_forms(wss_url);
    for at in 0..forms.len() {
        let form = &forms[at];
        let other = match form.strip_suffix('/') {
            Some(without) => without.to_owned(),
            None => format!("{form}/"),
        };
        forms.push(other);
    }
    check(&request, &forms, keys.into())
}

fn check(request: &Request<'_>, urls: &[String], keys: Keys<'_>) -> Result<(), Refused> {
    let signature = request.signature.ok_or(Refused::NoSignature)?;
    let settings = Settings::read(request.settings);
    let algorithm = match settings.algorithm {
        "HMAC_SHA1" => Algorithm::Sha1,
        "HMAC_SHA256" => Algorithm::Sha256,
        _ => return Err(Refused::UnknownAlgorithm),
    };
    let key = match (settings.key, keys.shared) {
        (Some(id), Some(shared)) if shared.id == id => shared.secret,
        (Some(_), _) => return Err(Refused::UnknownKey),
        // The auth token signs with SHA-1 only.
        (None, _) if algorithm == Algorithm::Sha256 => return Err(Refused::UnknownKey),
        (None, _) => keys.auth_token,
    };
    if key.is_empty() {
        return Err(Refused::NoKey);
    }
    let pairs = sorted(request.params);
    // No short cut after a hit: the time says nothing about which form fitted.
    let mut fits = subtle::Choice::from(0);
    for url in urls {
        let expected = mac(algorithm, key, url, &pairs);
        fits |= expected.as_bytes().ct_eq(signature.as_bytes());
    }
    if fits.into() {
        return Ok(());
    }
    let url = urls
        .first()
        .map_or("", |url| url.split('?').next().unwrap_or_default());
    Err(Refused::Mismatch {
        url: url.to_owned(),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Sha1,
    Sha256,
}

/// The settings header: `key=<id>,algorithm=HMAC_SHA256`, both optional, as Twilio's package reads it.
struct Settings<'a> {
    key: Option<&'a str>,
    algorithm: &'a str,
}

impl<'a> Settings<'a> {
    fn read(header: Option<&'a str>) -> Settings<'a> {
        let mut settings = Settings {
            key: None,
            algorithm: "HMAC_SHA1",
        };
        for (name, value) in header
            .unwrap_or_default()
            .split(',')
            .filter_map(|item| item.split_once('='))
        {
            match (name.trim(), value.trim()) {
                (_, "") => {}
                ("key", id) => settings.key = Some(id),
                ("algorithm", algorithm) => settings.algorithm = algorithm,
                _ => {}
            }
        }
        settings
    }
}

/// Pairs in the order they are signed in: by name, then by value, in byte order, equal pairs once.
fn sorted(params: Option<&Params>) -> Vec<(&str, &str)> {
    let mut pairs: Vec<_> = params.into_iter().flat_map(Params::pairs).collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

fn mac(algorithm: Algorithm, key: &str, url: &str, pairs: &[(&str, &str)]) -> String {
    fn over<M: Mac + KeyInit>(key: &str, url: &str, pairs: &[(&str, &str)]) -> String {
        let mut mac =
            <M as KeyInit>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(url.as_bytes());
        for (name, value) in pairs {
            mac.update(name.as_bytes());
            mac.update(value.as_bytes());
        }
        base64_simd::STANDARD.encode_to_string(mac.finalize().into_bytes())
    }
    match algorithm {
        Algorithm::Sha1 => over::<Hmac<Sha1>>(key, url, pairs),
        Algorithm::Sha256 => over::<Hmac<Sha256>>(key, url, pairs),
    }
}

/// A body that is no form is covered by its SHA-256 in the query, which the signed URL includes.
fn check_body(url: &str, body: &[u8]) -> Result<(), Refused> {
    let url = signed_part(url);
    let query = url.split_once('?').map_or("", |(_, query)| query);
    // Twilio appends it, so the last one is Twilio's.
    let signed = query
        .rsplit('&')
        .find_map(|item| item.strip_prefix("bodySHA256="));
    let Some(signed) = signed else {
        return if body.is_empty() {
            Ok(())
        } else {
            Err(Refused::BodyNotSigned)
        };
    };
    let actual: String = Sha256::digest(body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if actual.as_bytes().ct_eq(signed.as_bytes()).into() {
        Ok(())
    } else {
        Err(Refused::BodyChanged)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::form;
    use super::*;
    use serde_json::Value;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../../tests/data/twilio/signature.json")).unwrap()
    }

    fn params(value: &Value) -> Option<Params> {
        let pairs = value.as_array()?;
        Some(
            pairs
                .iter()
                .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
                .collect(),
        )
    }

    fn algorithm(name: &Value) -> Algorithm {
        match name.as_str().unwrap() {
            "HMAC_SHA1" => Algorithm::Sha1,
            "HMAC_SHA256" => Algorithm::Sha256,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn every_vector_is_signed_to_the_same_letters() {
        let vectors = vectors();
        let vectors = vectors["vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), 60);
        for vector in vectors {
            let name = vector["name"].as_str().unwrap();
            let (url, token) = (
                vector["signed_url"].as_str().unwrap(),
                vector["auth_token"].as_str().unwrap(),
            );
            let params = params(&vector["params"]).unwrap();
            let signature = mac(
                algorithm(&vector["algorithm"]),
                token,
                url,
                &sorted(Some(&params)),
            );
            assert_eq!(signature, vector["signature"].as_str().unwrap(), "{name}");
            if vector["algorithm"] == "HMAC_SHA1" {
                assert_eq!(sign(url, &params, token), signature, "{name}");
            }
        }
    }

    #[test]
    fn every_form_body_is_read_into_the_signed_parameters() {
        let vectors = vectors();
        let mut seen = 0;
        for vector in vectors["vectors"].as_array().unwrap() {
            let content_type = vector["content_type"].as_str().unwrap_or_default();
            if content_type.starts_with("application/x-www-form-urlencoded") {
                let read = form::parse(vector["raw_body"].as_str().unwrap().as_bytes()).unwrap();
                assert_eq!(Some(read), params(&vector["params"]), "{}", vector["name"]);
                seen += 1;
            }
        }
        assert!(seen > 40, "{seen}");
    }

    #[test]
    fn every_vector_is_believed_or_refused_as_it_says() {
        let vectors = vectors();
        for vector in vectors["vectors"].as_array().unwrap() {
            let name = vector["name"].as_str().unwrap();
            let verify_with = &vector["verify"];
            let params = params(&verify_with["params"]);
            let request = Request {
                url: verify_with["url"].as_str().unwrap(),
                params: params.as_ref(),
                raw_body: verify_with["raw_body"]
                    .as_str()
                    .unwrap_or_default()
                    .as_bytes(),
                signature: vector["signature"].as_str(),
                settings: vector["settings_header"].as_str(),
            };
            let token = verify_with["auth_token"].as_str().unwrap();
            let keys = match request.settings {
                None => Keys::from(token),
                Some(_) => Keys {
                    auth_token: TOKEN,
                    shared: Some(SharedKey {
                        id: "webhooks_sharedkey_01hx3v9p8ze0yk1y2m3n4p5q6r",
                        secret: token,
                    }),
                },
            };
            let result = verify(request, keys);
            assert_eq!(
                result.is_ok(),
                vector["expect_valid"].as_bool().unwrap(),
                "{name}: {result:?}"
            );

            if request.settings.is_some() {
                // Refused without the key, and with another one, even if the auth token were the shared secret.
                let result = verify(request, token);
                assert!(
                    matches!(result, Err(Refused::UnknownKey | Refused::UnknownAlgorithm)),
                    "{name}"
                );
                let other = SharedKey {
                    id: "another",
                    secret: token,
                };
                let result = verify(
                    request,
                    Keys {
                        auth_token: token,
                        shared: Some(other),
                    },
                );
                assert!(
                    matches!(result, Err(Refused::UnknownKey | Refused::UnknownAlgorithm)),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn settings_header_is_read_as_twilio_reads_it() {
        let vectors = vectors();
        for case in vectors["settings_header_parsing"].as_array().unwrap() {
            let settings = Settings::read(case["header"].as_str());
            assert_eq!(
                settings.algorithm,
                case["algorithm"].as_str().unwrap(),
                "{case}"
            );
        }
        assert_eq!(
            Settings::read(Some("key=abc, algorithm=HMAC_SHA256")).key,
            Some("abc")
        );
        assert_eq!(Settings::read(Some("key=,algorithm=HMAC_SHA256")).key, None);
    }

    #[test]
    fn signature_header_is_taken_to_the_letter() {
        let vectors = vectors();
        let forms = &vectors["signature_header_forms"];
        let params = params(&forms["params"]);
        for case in forms["cases"].as_array().unwrap() {
            let request = Request {
                url: forms["url"].as_str().unwrap(),
                params: params.as_ref(),
                signature: case["signature_header"].as_str(),
                ..Request::default()
            };
            let result = verify(request, forms["auth_token"].as_str().unwrap());
            assert_eq!(
                result.is_ok(),
                case["expect_valid"].as_bool().unwrap(),
                "{case}"
            );
        }
    }

    #[test]
    fn upgrade_is_believed_in_each_of_its_four_spellings() {
        let vectors = vectors();
        let cases = &vectors["upgrade_url_candidates"];
        let token = cases["auth_token"].as_str().unwrap();
        let candidates = cases["candidates"].as_array().unwrap();
        assert_eq!(candidates.len(), 4);
        for configured in candidates {
            for signed in candidates {
                let (url, signature) = (
                    configured["url"].as_str().unwrap(),
                    signed["signature"].as_str(),
                );
                assert_eq!(
                    verify_upgrade(url, signature, token),
                    Ok(()),
                    "{url} signed as {}",
                    signed["url"]
                );
            }
        }
    }

    #[test]
    fn upgrade_signed_for_another_url_is_refused() {
        let url = "wss://voice.example.com/twilio/media";
        for signed in [
            "https://voice.example.com/twilio/media",
            "ws://voice.example.com/twilio/media",
            "wss://voice.example.com/twilio/media//",
            "wss://voice.example.com/twilio/",
            "wss://voice.example.com:80/twilio/media",
            "wss://other.example.com/twilio/media",
        ] {
            let signature = sign(signed, &Params::default(), TOKEN);
            let refused = Err(Refused::Mismatch { url: url.into() });
            assert_eq!(
                verify_upgrade(url, Some(&signature), TOKEN),
                refused,
                "{signed}"
            );
        }
        assert_eq!(verify_upgrade(url, None, TOKEN), Err(Refused::NoSignature));
        let signature = sign(url, &Params::default(), TOKEN);
        assert_eq!(
            verify_upgrade(url, Some(&signature), "other"),
            Err(Refused::Mismatch { url: url.into() })
        );
    }

    #[test]
    fn empty_key_proves_nothing() {
        let signature = sign("https://h/p", &Params::default(), "");
        let request = Request {
            url: "https://h/p",
            signature: Some(&signature),
            ..Request::default()
        };
        assert_eq!(verify(request, ""), Err(Refused::NoKey));
        let shared = Some(SharedKey {
            id: "k",
            secret: "",
        });
        let request = Request {
            settings: Some("key=k"),
            ..request
        };
        assert_eq!(
            verify(
                request,
                Keys {
                    auth_token: TOKEN,
                    shared
                }
            ),
            Err(Refused::NoKey)
        );
    }

    #[test]
    fn auth_token_signs_with_sha1_only() {
        let signature = mac(Algorithm::Sha256, TOKEN, "https://h/p", &[]);
        let request = Request {
            url: "https://h/p",
            signature: Some(&signature),
            settings: Some("algorithm=HMAC_SHA256"),
            ..Request::default()
        };
        assert_eq!(verify(request, TOKEN), Err(Refused::UnknownKey));
        let signature = sign("https://h/p", &Params::default(), TOKEN);
        let request = Request {
            signature: Some(&signature),
            settings: Some("algorithm=HMAC_SHA1"),
            ..request
        };
        assert_eq!(verify(request, TOKEN), Ok(()));
    }

    #[test]
    fn body_without_its_hash_in_the_url_is_refused() {
        let url = "https://voice.example.com/twilio/json";
        let signature = sign(url, &Params::default(), TOKEN);
        let request = Request {
            url,
            signature: Some(&signature),
            raw_body: b"{}",
            ..Request::default()
        };
        assert_eq!(verify(request, TOKEN), Err(Refused::BodyNotSigned));
        assert_eq!(
            verify(
                Request {
                    raw_body: b"",
                    ..request
                },
                TOKEN
            ),
            Ok(())
        );
    }

    #[test]
    fn refusal_names_the_url_but_not_its_query() {
        let request = Request {
            url: "https://u:secret@h/p?From=%2B1",
            signature: Some("x"),
            ..Request::default()
        };
        let refused = verify(request, TOKEN).unwrap_err();
        assert_eq!(
            refused,
            Refused::Mismatch {
                url: "https://h/p".into()
            }
        );
        assert!(refused.to_string().contains("https://h/p;"), "{refused}");
    }
}
