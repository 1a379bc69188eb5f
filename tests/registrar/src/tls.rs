//! The TLS side: certificates, versions, groups, and what was agreed on.

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{HandshakeKind, NamedGroup, ProtocolVersion, ServerConfig, ServerConnection, version};
use std::io;
use std::sync::Arc;

/// What a server shows and signs with.
#[derive(Debug)]
pub struct ServerCertificate {
    /// The certificate, then those above it, without the root.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the first certificate.
    pub key: PrivateKeyDer<'static>,
    /// A stapled OCSP response in DER; empty for none.
    pub ocsp: Vec<u8>,
}

impl ServerCertificate {
    /// A chain and its key, without a stapled response.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Self {
        ServerCertificate { chain, key, ocsp: Vec::new() }
    }

    /// The same with a stapled OCSP response in DER.
    pub fn with_ocsp(mut self, response: Vec<u8>) -> Self {
        self.ocsp = response;
        self
    }
}

impl Clone for ServerCertificate {
    fn clone(&self) -> Self {
        ServerCertificate { chain: self.chain.clone(), key: self.key.clone_key(), ocsp: self.ocsp.clone() }
    }
}

/// Which TLS versions a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersions {
    /// 1.2 and 1.3.
    Both,
    /// 1.2 alone.
    Tls12,
    /// 1.3 alone.
    Tls13,
}

/// What a handshake agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// `1.2` or `1.3`.
    pub version: &'static str,
    /// The cipher suite by its IANA name.
    pub suite: String,
    /// The key exchange group, `X25519MLKEM768` for one; `None` for a resumed session of TLS 1.2.
    pub group: Option<String>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
}

impl TlsFacts {
    pub(crate) fn of(connection: &ServerConnection) -> TlsFacts {
        TlsFacts {
            version: match connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => "1.3",
                _ => "1.2",
            },
            suite: connection
                .negotiated_cipher_suite()
                .map(|suite| format!("{:?}", suite.suite()))
                .unwrap_or_default(),
            group: connection.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name())),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }
}

/// The server's TLS configuration.
pub(crate) fn server_config(
    certificate: &ServerCertificate,
    versions: TlsVersions,
    post_quantum: bool,
) -> io::Result<Arc<ServerConfig>> {
    let mut provider: CryptoProvider = aws_lc_rs::default_provider();
    provider.kx_groups.retain(|group| post_quantum || group.name() != NamedGroup::X25519MLKEM768);
    let versions: &[_] = match versions {
        TlsVersions::Both => &[&version::TLS13, &version::TLS12],
        TlsVersions::Tls12 => &[&version::TLS12],
        TlsVersions::Tls13 => &[&version::TLS13],
    };
    let ServerCertificate { chain, key, ocsp } = certificate.clone();
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert_with_ocsp(chain, key, ocsp)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    Ok(Arc::new(config))
}
