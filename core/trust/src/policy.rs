//! What an account demands of a server.

use crate::{Anchors, Crl, Pin};
use aldis_sip::Domain;
use rustls::crypto::WebPkiSupportedAlgorithms;
use std::sync::Arc;

/// What is demanded. Nothing in it accepts a chain that is not valid, a name that does not match, or a certificate
/// that its issuer has withdrawn.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// The roots that are trusted, each with its source and the domains it may speak for.
    pub anchors: Arc<Anchors>,
    /// How much certificate hygiene is demanded.
    pub level: Level,
    /// By which rule names match.
    pub profile: Profile,
    /// The account's named exception from RFC 5922 §7.2: a wildcard may match. Every use is reported.
    pub allow_wildcard: bool,
    /// Names beside the domain that its server may present (the trusted server list).
    pub server_names: Vec<Domain>,
    /// Keys of which one must stand on the verified path; none: no pinning.
    pub pins: Vec<Pin>,
    /// How much must be proven about revocation.
    pub revocation: RevocationMode,
    /// Most intermediates that are not self-issued (RFC 5280 §6.1); never more than six can be followed.
    pub max_depth: Option<usize>,
    /// The signature algorithms of certificates, lists and answers.
    pub algorithms: WebPkiSupportedAlgorithms,
}

/// How much certificate hygiene is demanded. There is nothing below `Default`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// The rules that change what is trusted.
    #[default]
    Default,
    /// Also the form that RFC 5280 and the CA/Browser Forum demand of certificates; home-made chains often break it.
    Strict,
}

/// By which rule names match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// RFC 5922: `sip:` URIs, then dNSNames, no wildcard.
    #[default]
    Sip,
    /// RFC 9525 for web servers: dNSNames, a wildcard for the whole left-most label. For checks only.
    Web,
}

/// How much must be proven about revocation. A proven revocation refuses in every mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RevocationMode {
    /// Every certificate of the path (but the root) must be proven to be in force.
    Require,
    /// What is absent is reported.
    #[default]
    Prefer,
    /// Nothing is looked for; what is given can still prove a revocation.
    Off,
}

/// What is known beside the chain itself.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Evidence<'a> {
    /// Revocation lists, given or fetched.
    pub crls: &'a [Arc<Crl>],
    /// The OCSP response that the server stapled to its certificate (DER). One that is unsatisfactory refuses
    /// (RFC 6066 §8).
    pub staple: Option<&'a [u8]>,
    /// OCSP responses that were fetched (DER). An unsatisfactory one counts as absent.
    pub ocsp: &'a [Vec<u8>],
    /// More evidence about revocation can still be fetched: what is absent refuses nothing yet, and
    /// [`Trusted::unproven`](crate::Trusted::unproven) says what to fetch before the chain is judged again.
    pub more_may_follow: bool,
    /// The host that DNS said to connect to. It explains a refusal and is never an identity.
    pub connected_to: Option<&'a str>,
}

impl Policy {
    /// The default policy (RFC 5922 names, no wildcard, revocation `prefer`) over these roots.
    pub fn new(anchors: Arc<Anchors>) -> Self {
        Policy {
            anchors,
            level: Level::Default,
            profile: Profile::Sip,
            allow_wildcard: false,
            server_names: Vec::new(),
            pins: Vec::new(),
            revocation: RevocationMode::Prefer,
            max_depth: None,
            algorithms: rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms,
        }
    }
}
