//! Whom an encrypted connection trusts beside the system, and why it does not trust: authorities of one's own, and refused
//! certificates in words that say what to do. What is trusted by itself is the system's, or what `SSL_CERT_FILE` and
//! `SSL_CERT_DIR` name instead.

use std::error::Error as _;
use std::io;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CertificateError, RootCertStore};
use voice_plugin::prelude::Result;

const DAY_SECS: u64 = 24 * 60 * 60;

/// Names of a certificate that are said; one for a whole house has a hundred.
const NAMES_SAID: usize = 3;

/// The authorities of the key `ca`, which holds their certificates as PEM.
///
/// # Errors
/// A sentence: there is none in it, or one that cannot be read.
pub(crate) fn authorities(pem: &str) -> Result<Vec<reqwest::Certificate>> {
    let mut found = Vec::new();
    for (place, certificate) in (1..).zip(CertificateDer::pem_slice_iter(pem.as_bytes())) {
        let bad = |why: &dyn std::fmt::Display| {
            format!("certificate {place} of `ca` cannot be read: {why}")
        };
        let certificate = certificate.map_err(|why| bad(&why))?;
        // What the client would refuse too, but as a whole and without saying which.
        let read = RootCertStore::empty().add(certificate.clone());
        read.map_err(|why| bad(&why))?;
        found.push(reqwest::Certificate::from_der(&certificate).map_err(|why| bad(&why))?);
    }
    if found.is_empty() {
        return Err(
            "`ca` holds no certificate in PEM (-----BEGIN CERTIFICATE-----); take it from a file: \
                    ca = \"${file:company-ca.pem}\""
                .into(),
        );
    }
    Ok(found)
}

/// Why nobody is trusted with what was to be asked, and what to do about it; `None` if it is something else that went wrong.
/// A second try would go no better.
pub fn distrust(error: &reqwest::Error) -> Option<String> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return in_words(error);
        }
        // What is inside an I/O error is not its source; the source of that is.
        let inside = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        cause = match inside {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn in_words(error: &rustls::Error) -> Option<String> {
    match error {
        rustls::Error::InvalidCertificate(certificate) => Some(refused(certificate)),
        rustls::Error::InvalidMessage(_) => {
            Some("what answers there does not speak TLS: is http meant, or another port?".into())
        }
        _ => None,
    }
}

fn refused(certificate: &CertificateError) -> String {
    match certificate {
        CertificateError::UnknownIssuer => "nobody who is trusted here has signed its certificate: name your own authority \
             by `ca = \"${file:company-ca.pem}\"` in the plugin's table, or add it to the system's certificates"
            .to_owned(),
        CertificateError::ExpiredContext { time, not_after } => format!(
            "its certificate ran out {} ago: renew it there, or correct this machine's clock",
            days(time.as_secs().saturating_sub(not_after.as_secs()))
        ),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "its certificate is valid only in {}: correct this machine's clock, or the certificate",
            days(not_before.as_secs().saturating_sub(time.as_secs()))
        ),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => format!(
            "its certificate is for {} and not for {}: ask by a name that is in it, or have one made for this name",
            names(presented),
            expected.to_str()
        ),
        // rustls has no name of its own for it. What `openssl req -x509` makes without further words is one.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "its certificate is an authority's own (CA:TRUE), with which no server may speak: sign another one with it, or \
             make it with basicConstraints=CA:FALSE"
                .to_owned()
        }
        other => format!("its certificate is not accepted: {other}"),
    }
}

fn days(secs: u64) -> String {
    match secs / DAY_SECS {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

/// They come as `DnsName("bot.example.com")` and `IpAddress(127.0.0.1)`; what is inside is said.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inside = name
            .split_once('(')
            .map_or(name.as_str(), |(_, inside)| inside);
        inside.trim_matches(['"', ')']).to_owned()
    };
    let said: Vec<String> = presented.iter().take(NAMES_SAID).map(bare).collect();
    match presented.len() {
        0 => "no name at all".to_owned(),
        all if all > NAMES_SAID => format!("{} and {} more", said.join(", "), all - NAMES_SAID),
        _ => said.join(", "),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{Wire, build, builder};
    use fakes::by_hand::Server;
    use fakes::tls::{Authority, Valid, before};
    use std::net::SocketAddr;

    /// What becomes of a question to this address by a client that trusts this authority, too.
    fn asked(address: SocketAddr, ca: &str) -> core::result::Result<String, String> {
        let client = build(builder(Wire::Https, Some(ca)).unwrap()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let request = client.post(format!("https://{address}/")).body("{}");
            match request.send().await {
                Ok(answer) => Ok(answer.text().await.unwrap()),
                Err(error) => Err(distrust(&error).unwrap_or_else(|| format!("{error:?}"))),
            }
        })
    }

    #[test]
    fn an_authority_of_ones_own_is_trusted_and_every_other_certificate_refused_in_words() {
        let server = Server::start();
        let (ours, theirs) = (Authority::new("Ours"), Authority::new("Theirs"));
        let here = ["bot.example.com", "127.0.0.1"];
        let answered = std::thread::spawn({
            let address = before(server.address, ours.certifies(&here, Valid::Now));
            let two = theirs.pem() + &ours.pem();
            move || asked(address, &two)
        });
        server
            .request()
            .answer("200 OK", "text/plain", "Here I am.");
        assert_eq!(answered.join().unwrap().as_deref(), Ok("Here I am."));
        for (identity, words) in [
            (
                theirs.certifies(&here, Valid::Now),
                "nobody who is trusted here has signed its certificate: name your own authority by \
                 `ca = \"${file:company-ca.pem}\"`",
            ),
            (
                ours.certifies(&here, Valid::Before),
                "its certificate ran out ",
            ),
            (
                ours.certifies(&here, Valid::Later),
                "its certificate is valid only in ",
            ),
            (
                ours.certifies(&["bot.example.com", "10.0.0.1"], Valid::Now),
                "its certificate is for bot.example.com, 10.0.0.1 and not for 127.0.0.1: ask by a name that is in it",
            ),
            (
                ours.certifies(
                    &["a.example", "b.example", "c.example", "d.example"],
                    Valid::Now,
                ),
                "its certificate is for a.example, b.example, c.example and 1 more and not for 127.0.0.1",
            ),
            (
                ours.certifies(&[], Valid::Now),
                "its certificate is for no name at all and not for",
            ),
            (
                ours.itself(),
                "its certificate is an authority's own (CA:TRUE)",
            ),
        ] {
            let refused = asked(before(server.address, identity), &ours.pem()).unwrap_err();
            assert!(refused.starts_with(words), "{refused}\n--- wanted: {words}");
            // What the plugins put before it, and the bound of a sentence in the record.
            assert!(refused.len() < 250, "{} bytes: {refused}", refused.len());
        }
        assert!(
            !server.is_asked(),
            "nothing was said to somebody who is not trusted"
        );
    }

    #[test]
    fn a_server_without_tls_is_told_from_one_that_is_not_there() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let plain = std::thread::spawn(move || {
            use std::io::{Read as _, Write as _};
            let (mut stream, _) = server.accept().unwrap();
            stream.read_exact(&mut [0; 16]).unwrap();
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .unwrap();
        });
        let ours = Authority::new("Ours").pem();
        let refused = asked(address, &ours).unwrap_err();
        assert_eq!(
            refused,
            "what answers there does not speak TLS: is http meant, or another port?"
        );
        plain.join().unwrap();
        let nobody = asked(Server::nobody(), &ours).unwrap_err();
        assert!(nobody.contains("ConnectionRefused"), "{nobody}");
    }

    #[test]
    fn what_is_no_authority_is_refused_where_it_is_named() {
        let ours = Authority::new("Ours").pem();
        let broken = ours.replace("MII", "MIJ");
        let cut = "-----BEGIN CERTIFICATE-----\nMIIB\n";
        let no = |pem: &str| builder(Wire::Clear, Some(pem)).map(drop).unwrap_err();
        for nothing in [
            "",
            "/etc/ssl/company.pem",
            "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n",
        ] {
            let no = no(nothing);
            assert!(
                no.text().starts_with("`ca` holds no certificate in PEM"),
                "{no}"
            );
            assert!(
                no.text().ends_with("ca = \"${file:company-ca.pem}\""),
                "{no}"
            );
        }
        for (pem, place) in [
            (broken.clone(), 1),
            (ours.clone() + &broken, 2),
            (ours + cut, 2),
        ] {
            let no = no(&pem);
            let head = format!("certificate {place} of `ca` cannot be read: ");
            assert!(no.text().starts_with(&head), "{no}");
        }
    }
}
