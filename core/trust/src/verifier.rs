//! The judgement inside a TLS handshake.

use crate::{Code, Crl, Evidence, Policy, Verdict, judge};
use aldis_sip::ReferenceIdentity;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, DnsName, ServerName, UnixTime};
use std::sync::{Arc, Mutex, PoisonError};

/// Judges the chain of one connection attempt and keeps the verdict for the caller.
///
/// Make one for every attempt: the slot holds one verdict, and the identity is that of one account. The identity
/// given here is the one that is proven, whatever name rustls was told to send to the server.
pub struct Verifier {
    identity: ReferenceIdentity,
    policy: Arc<Policy>,
    crls: Vec<Arc<Crl>>,
    connected_to: Option<String>,
    more_may_follow: bool,
    slot: Mutex<Option<Judged>>,
}

/// A verdict with what it was about, so that it can be judged again with more evidence.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Judged {
    /// What was said.
    pub verdict: Verdict,
    /// What the server presented, its own certificate first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The OCSP response that it stapled.
    pub staple: Option<Vec<u8>>,
    /// The time that the judgement was made for.
    pub time: UnixTime,
}

impl Verifier {
    /// A verifier for one connection attempt to the server of `identity`.
    pub fn new(identity: ReferenceIdentity, policy: Arc<Policy>) -> Self {
        Verifier {
            identity,
            policy,
            crls: Vec::new(),
            connected_to: None,
            more_may_follow: false,
            slot: Mutex::new(None),
        }
    }

    /// Adds revocation lists.
    #[must_use]
    pub fn with_crls(mut self, crls: impl IntoIterator<Item = Arc<Crl>>) -> Self {
        self.crls.extend(crls);
        self
    }

    /// The host that DNS said to connect to; it makes a refusal clearer and is never an identity.
    #[must_use]
    pub fn connected_to(mut self, host: impl Into<String>) -> Self {
        self.connected_to = Some(host.into());
        self
    }

    /// The caller fetches what is missing about revocation after the handshake and judges again before it sends
    /// anything; until then what is missing refuses nothing.
    #[must_use]
    pub fn more_may_follow(mut self) -> Self {
        self.more_may_follow = true;
        self
    }

    /// The verdict, once the server has presented a chain.
    pub fn verdict(&self) -> Option<Verdict> {
        self.judged().map(|j| j.verdict)
    }

    /// The verdict with the chain and staple that it was about.
    pub fn judged(&self) -> Option<Judged> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// As [`Verifier::judged`], without keeping a copy: the configuration that holds the verifier lives as long as its
    /// connection.
    pub fn take_judged(&self) -> Option<Judged> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whom the server must prove to be.
    pub fn identity(&self) -> &ReferenceIdentity {
        &self.identity
    }

    /// The name for rustls: a domain becomes the server_name extension (RFC 5922 §7.8), an address sends none
    /// (RFC 6066 §3).
    pub fn server_name(&self) -> Option<ServerName<'static>> {
        match &self.identity {
            ReferenceIdentity::Domain(domain) => {
                DnsName::try_from(domain.as_str().to_owned()).ok().map(ServerName::DnsName)
            }
            ReferenceIdentity::Address(address) => Some(ServerName::IpAddress((*address).into())),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain: Vec<CertificateDer<'static>> =
            std::iter::once(end_entity).chain(intermediates).map(|c| c.clone().into_owned()).collect();
        let staple = (!ocsp_response.is_empty()).then(|| ocsp_response.to_vec());
        let evidence = Evidence {
            crls: &self.crls,
            staple: staple.as_deref(),
            ocsp: &[],
            more_may_follow: self.more_may_follow,
            connected_to: self.connected_to.as_deref(),
        };
        let verdict = judge(&chain, &self.identity, now, &self.policy, &evidence);
        let code = verdict.code();
        tracing::debug!(code = code.map(Code::as_str), certificates = chain.len(), "server judged");
        let accepted = verdict.is_trusted();
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Judged { verdict, chain, staple, time: now });
        if accepted {
            return Ok(ServerCertVerified::assertion());
        }
        Err(alert(code).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.policy.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.policy.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.policy.algorithms.supported_schemes()
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// The error that makes rustls send the fitting alert (RFC 8446 §6.2); the evidence stays in the verdict.
fn alert(code: Option<Code>) -> CertificateError {
    match code {
        Some(Code::Expired) => CertificateError::Expired,
        Some(Code::NotYetValid | Code::ClockWrong) => CertificateError::NotValidYet,
        Some(Code::Revoked) => CertificateError::Revoked,
        // RFC 6066 §8: bad_certificate_status_response.
        Some(
            Code::StapleInvalid
            | Code::StapleExpired
            | Code::StapleFromFuture
            | Code::StapleUnknown
            | Code::StapleMissing,
        ) => CertificateError::InvalidOcspResponse,
        Some(
            Code::UnknownCa
            | Code::SelfSigned
            | Code::ImpostorRoot
            | Code::MissingIntermediate
            | Code::NoTrustedRoots
            | Code::RootOutOfScope,
        ) => CertificateError::UnknownIssuer,
        Some(Code::RevocationUnknown) => CertificateError::UnknownRevocationStatus,
        Some(Code::AlteredCertificate) => CertificateError::BadSignature,
        Some(Code::WrongPurpose | Code::AnyPurpose) => CertificateError::InvalidPurpose,
        Some(Code::UnknownCriticalExtension) => CertificateError::UnhandledCriticalExtension,
        Some(
            Code::NameMismatch
            | Code::NameOfTargetOnly
            | Code::CommonNameOnly
            | Code::WildcardNotAllowed
            | Code::WildcardTooBroad
            | Code::UriFromPublicCa
            | Code::UriTakesPrecedence
            | Code::NoUsableName,
        ) => CertificateError::NotValidForName,
        Some(Code::NoCertificate | Code::MalformedCertificate | Code::TrailingData) => {
            CertificateError::BadEncoding
        }
        _ => CertificateError::ApplicationVerificationFailure,
    }
}
