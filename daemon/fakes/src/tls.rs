//! TLS before any server of these: a listener that shows a certificate, and hands what was said to it on in clear. With it
//! an authority like a company's own, which nobody trusts who was not told to. Certificates are made when they are asked
//! for: none in a repository that runs out one day.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key: what a server is known by.
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Valid {
    /// Now, and for long.
    Now,
    /// Until the end of 2020.
    Before,
    /// From 3000 on.
    Later,
}

impl Authority {
    /// Another one each time, with a key of its own.
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Its own certificate, which is trusted by whoever is to trust it.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these host names and addresses.
    pub fn certifies(&self, names: &[&str], valid: Valid) -> Identity {
        let names: Vec<String> = names.iter().copied().map(str::to_owned).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "a server");
        match valid {
            Valid::Now => {}
            Valid::Before => params.not_after = rcgen::date_time_ymd(2020, 12, 31),
            Valid::Later => params.not_before = rcgen::date_time_ymd(3000, 1, 1),
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            certificate: certificate.der().clone(),
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        }
    }

    /// The authority itself as a server, as those come to it who make one certificate and no second.
    pub fn itself(&self) -> Identity {
        Identity {
            certificate: self.0.der().clone(),
            key: PrivateKeyDer::Pkcs8(self.0.key().serialize_der().into()),
        }
    }
}

/// A port of this machine that speaks TLS for the server at this address, as long as the test runs.
pub fn before(server: SocketAddr, identity: Identity) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate], identity.key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    std::thread::spawn(move || {
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(hand_on(acceptor.clone(), stream, server));
            }
        });
    });
    address
}

/// One connection; a client that does not like the certificate ends it.
async fn hand_on(acceptor: TlsAcceptor, stream: TcpStream, server: SocketAddr) {
    let Ok(mut stream) = acceptor.accept(stream).await else {
        return;
    };
    if let Ok(mut server) = TcpStream::connect(server).await {
        // Whichever side ends it has its reasons, and the test its own.
        copy_bidirectional(&mut stream, &mut server).await.ok();
    }
}
