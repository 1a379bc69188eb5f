//! The TLS configuration of a connection. No other file of the project builds one.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use aldis_trust::{ClientCertificate, Verifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::aws_lc_rs::{cipher_suite, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::sign::CertifiedKey;
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, NamedGroup, NoKeyLog, ProtocolVersion, SignatureScheme,
    SupportedCipherSuite, SupportedProtocolVersion, version,
};

use super::clock::WallClock;
use super::tls_failure::TlsCause;

/// The protocol name of SIP in ALPN (RFC 7118's registry entry `sip/2` of IANA).
const ALPN_SIP: &[u8] = b"sip/2";

/// Ephemeral elliptic curves and authenticated encryption only (TLS-12; RFC 9325 §4.2).
const CIPHER_SUITES: [SupportedCipherSuite; 9] = [
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// The post-quantum group and what it is built on (TLS-23).
const POST_QUANTUM: &dyn SupportedKxGroup = kx_group::X25519MLKEM768;
const CLASSICAL: [&dyn SupportedKxGroup; 3] = [kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];

/// A version of TLS that this client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246). There is nothing below it.
    #[default]
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TlsVersion::Tls12 => "1.2",
            TlsVersion::Tls13 => "1.3",
        })
    }
}

/// What an account asks of TLS itself; whom it trusts is the policy's matter.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// The lowest version; TLS 1.2 by default.
    pub min_version: TlsVersion,
    /// Only a post-quantum key exchange (X25519MLKEM768, which takes TLS 1.3) is acceptable.
    pub require_post_quantum: bool,
    /// Whether ALPN offers `sip/2`. A server that knows only other names aborts then, which is why it is off.
    pub alpn: bool,
    /// The client's certificate, if it has one. Unless it may travel in clear, only TLS 1.3 is spoken with it.
    pub client_certificate: Option<ClientCertificate>,
}

impl TlsOptions {
    /// The lowest version that these options allow: with a certificate that may not travel in clear it is TLS 1.3.
    pub fn min_version(&self) -> TlsVersion {
        match &self.client_certificate {
            Some(certificate) if certificate.needs_tls13() => TlsVersion::Tls13,
            _ => self.min_version,
        }
    }
}

/// What became of the server's question for a client certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificateUse {
    /// The server did not ask.
    #[default]
    NotAsked,
    /// It asked, and there was none, or none that it could read. It may accept that.
    NotGiven,
    /// It asked and was shown ours.
    Shown,
}

/// Answers a server's question for a certificate, and remembers that it came.
#[derive(Debug)]
pub(super) struct CertificateRequest {
    own: Option<Arc<dyn ResolvesClientCert>>,
    outcome: Mutex<ClientCertificateUse>,
}

impl CertificateRequest {
    pub fn new(options: &TlsOptions) -> Self {
        let own = options.client_certificate.as_ref().map(ClientCertificate::resolver);
        CertificateRequest { own, outcome: Mutex::default() }
    }

    pub fn outcome(&self) -> ClientCertificateUse {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesClientCert for CertificateRequest {
    fn resolve(&self, roots: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let key = self.own.as_ref().and_then(|own| own.resolve(roots, schemes));
        let outcome =
            if key.is_some() { ClientCertificateUse::Shown } else { ClientCertificateUse::NotGiven };
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = outcome;
        key
    }

    fn has_certs(&self) -> bool {
        self.own.is_some()
    }
}

/// Whether a ClientHello offers the post-quantum group, which makes it larger than one TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    PostQuantum,
    Classical,
}

/// Builds the configuration of one connection attempt.
///
/// `verifier` is no trait object: a configuration that another verifier judges for cannot be made.
pub(super) fn client_config(
    options: &TlsOptions,
    offer: Offer,
    verifier: Arc<Verifier>,
    asked: Arc<CertificateRequest>,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let kx_groups = match (options.require_post_quantum, offer) {
        (true, _) => vec![POST_QUANTUM],
        (false, Offer::PostQuantum) => [POST_QUANTUM].into_iter().chain(CLASSICAL).collect(),
        (false, Offer::Classical) => CLASSICAL.to_vec(),
    };
    // TLS 1.2 has no post-quantum group.
    let only_13 = options.require_post_quantum || options.min_version() == TlsVersion::Tls13;
    let versions: &[&'static SupportedProtocolVersion] =
        if only_13 { &[&version::TLS13] } else { &[&version::TLS13, &version::TLS12] };
    let provider =
        CryptoProvider { cipher_suites: CIPHER_SUITES.to_vec(), kx_groups, ..aws_lc_rs::default_provider() };
    let mut config = ClientConfig::builder_with_details(Arc::new(provider), Arc::new(WallClock))
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(asked);
    // A resumed handshake, and data sent before the handshake's end, would pass the verifier by (TLS-22).
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    // SSLKEYLOGFILE is never honoured.
    config.key_log = Arc::new(NoKeyLog);
    config.enable_sni = true;
    if options.alpn {
        config.alpn_protocols = vec![ALPN_SIP.to_vec()];
    }
    Ok(Arc::new(config))
}

/// What a handshake settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// The version.
    pub version: TlsVersion,
    /// The cipher suite's name in IANA's registry, such as `TLS_AES_256_GCM_SHA384`.
    pub suite: String,
    /// The key exchange group's name in IANA's registry, such as `X25519MLKEM768`.
    pub group: String,
    /// The protocol that ALPN settled, if it was offered and accepted.
    pub alpn: Option<String>,
    /// The address connected to.
    pub address: SocketAddr,
    /// What became of the post-quantum key exchange.
    pub post_quantum: PostQuantum,
    /// Whether the server asked for a client certificate, and got one.
    pub client_certificate: ClientCertificateUse,
}

/// What became of the post-quantum key exchange (TLS-23).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostQuantum {
    /// It is in use.
    Negotiated,
    /// It was offered, and the server chose another group.
    NotSupported,
    /// The handshake that offered it failed, and the one that did not succeeded: something on the way cannot take a
    /// ClientHello of more than one segment, or somebody wants the connection without it. The reason of the failure.
    GivenUp(TlsCause),
}

impl TlsFacts {
    /// Reads what `connection` settled; `None` before the handshake has ended.
    pub(super) fn read(
        connection: &ClientConnection,
        address: SocketAddr,
        given_up: Option<TlsCause>,
        client_certificate: ClientCertificateUse,
    ) -> Option<TlsFacts> {
        let version = match connection.protocol_version()? {
            ProtocolVersion::TLSv1_2 => TlsVersion::Tls12,
            ProtocolVersion::TLSv1_3 => TlsVersion::Tls13,
            _ => return None,
        };
        let group = connection.negotiated_key_exchange_group()?.name();
        let post_quantum = match given_up {
            Some(cause) => PostQuantum::GivenUp(cause),
            None if group == POST_QUANTUM.name() => PostQuantum::Negotiated,
            None => PostQuantum::NotSupported,
        };
        Some(TlsFacts {
            version,
            suite: suite_name(connection.negotiated_cipher_suite()?.suite()),
            group: group_name(group),
            alpn: connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
            address,
            post_quantum,
            client_certificate,
        })
    }
}

/// rustls writes `TLS13_` where the registry writes `TLS_`.
fn suite_name(suite: CipherSuite) -> String {
    format!("{suite:?}").replacen("TLS13_", "TLS_", 1)
}

fn group_name(group: NamedGroup) -> String {
    match group {
        NamedGroup::X25519 => "x25519".into(),
        other => format!("{other:?}"),
    }
}
