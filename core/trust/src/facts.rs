//! What a certificate says, read once, strictly, and kept without its bytes.

use crate::text;
use crate::{CertificateSummary, Role, der, names};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use x509_parser::error::X509Error;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::nom;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

/// Most URLs kept of one extension; more are of no use to anybody.
const MAX_URLS: usize = 16;

/// A certificate, read.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Subject and issuer for people.
    pub(crate) subject: String,
    pub(crate) issuer: String,
    pub(crate) sha256: [u8; 32],
    /// Contents of the SEQUENCE, without its header (as webpki compares names).
    pub(crate) subject_raw: Vec<u8>,
    pub(crate) issuer_raw: Vec<u8>,
    pub(crate) subject_is_empty: bool,
    pub(crate) common_names: Vec<String>,
    pub(crate) organisations: Vec<String>,
    pub(crate) issuer_words: Vec<String>,
    pub(crate) subject_words: Vec<String>,
    /// With the SEQUENCE header.
    pub(crate) spki: Vec<u8>,
    /// The contents of the BIT STRING alone (what OCSP hashes).
    pub(crate) public_key: Vec<u8>,
    pub(crate) key: Key,
    pub(crate) signature_oid: String,
    /// Whether both places name the same signature algorithm (RFC 5280 §4.1.1.2).
    pub(crate) signatures_agree: bool,
    pub(crate) version: u32,
    pub(crate) serial: Vec<u8>,
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
    pub(crate) names: Option<Names>,
    pub(crate) basic_constraints: Option<BasicConstraints>,
    pub(crate) key_usage: Option<KeyUsage>,
    pub(crate) purposes: Option<Purposes>,
    pub(crate) name_constraints: Option<NameConstraints>,
    pub(crate) subject_key_id: Option<KeyId>,
    pub(crate) authority_key_id: Option<AuthorityKeyId>,
    pub(crate) crl_urls: Option<Vec<String>>,
    pub(crate) ocsp_urls: Vec<String>,
    pub(crate) has_issuer_url: bool,
    pub(crate) must_staple: bool,
    pub(crate) access_info_is_empty: bool,
    pub(crate) policy_constraints_not_critical: bool,
    /// Identifiers of extensions that stand there more than once.
    pub(crate) duplicates: Vec<String>,
    /// Extensions that cannot be read: identifier and reason.
    pub(crate) malformed: Vec<(String, String)>,
    /// Critical extensions beyond those that path building processes: identifier, and whether it is known at all.
    pub(crate) critical: Vec<(String, bool)>,
}

/// A public key, as far as rules look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Rsa { bits: usize },
    Ec { curve: String },
    Ed25519,
    Dsa,
    Other { oid: String },
    Broken { why: String },
}

/// subjectAltName.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) critical: bool,
    pub(crate) all: Vec<Name>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Dns(String),
    Uri(String),
    Ip(IpAddr),
    /// Of no use as a server's name: its kind, and it as text.
    Other(&'static str, String),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct BasicConstraints {
    pub(crate) critical: bool,
    pub(crate) authority: bool,
    pub(crate) path_length: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyUsage {
    pub(crate) certificate_sign: bool,
    pub(crate) list_sign: bool,
}

/// extKeyUsage.
#[derive(Clone, Debug)]
pub(crate) struct Purposes {
    pub(crate) critical: bool,
    pub(crate) server: bool,
    pub(crate) any: bool,
    pub(crate) sip_domain: bool,
    /// For people.
    pub(crate) named: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct NameConstraints {
    pub(crate) permitted_dns: Vec<String>,
    pub(crate) excluded_dns: Vec<String>,
    pub(crate) permitted: Vec<String>,
    pub(crate) excluded: Vec<String>,
    pub(crate) has_directory_name: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct KeyId {
    pub(crate) critical: bool,
    pub(crate) id: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct AuthorityKeyId {
    pub(crate) critical: bool,
    pub(crate) id: Option<Vec<u8>>,
    pub(crate) has_issuer: bool,
    pub(crate) has_serial: bool,
}

/// Why bytes are not a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it is not an X.509 certificate ({0})")]
    Malformed(String),
    #[error("{0} bytes follow its end")]
    Trailing(usize),
}

impl Facts {
    /// Reads one certificate and demands that it ends where the bytes end.
    pub(crate) fn read(bytes: &[u8]) -> Result<Facts, Unreadable> {
        let (rest, c) =
            X509Certificate::from_der(bytes).map_err(|e| Unreadable::Malformed(in_words(&e).into()))?;
        if !rest.is_empty() {
            return Err(Unreadable::Trailing(rest.len()));
        }
        // Lengths that are not minimal and other BER have no place in what is compared byte by byte.
        if der::signed(bytes).is_none_or(|s| !s.rest.is_empty()) {
            return Err(Unreadable::Malformed("it is not in DER".into()));
        }
        let mut facts = Facts {
            subject: shown_name(c.subject()),
            issuer: shown_name(c.issuer()),
            sha256: Sha256::digest(bytes).into(),
            subject_raw: name_content(c.subject())?,
            issuer_raw: name_content(c.issuer())?,
            subject_is_empty: c.subject().iter_rdn().next().is_none(),
            common_names: c
                .subject()
                .iter_common_name()
                .map(|cn| String::from_utf8_lossy(cn.as_slice()).into_owned())
                .collect(),
            organisations: c
                .subject()
                .iter_organization()
                .map(|o| String::from_utf8_lossy(o.as_slice()).into_owned())
                .collect(),
            issuer_words: words(c.issuer()),
            subject_words: words(c.subject()),
            spki: c.public_key().raw.to_vec(),
            public_key: c.public_key().subject_public_key.data.to_vec(),
            key: key(c.public_key()),
            signature_oid: c.signature_algorithm.algorithm.to_id_string(),
            signatures_agree: c.tbs_certificate.signature == c.signature_algorithm,
            version: c.version().0.saturating_add(1),
            serial: c.raw_serial().to_vec(),
            not_before: c.validity().not_before.timestamp(),
            not_after: c.validity().not_after.timestamp(),
            names: None,
            basic_constraints: None,
            key_usage: None,
            purposes: None,
            name_constraints: None,
            subject_key_id: None,
            authority_key_id: None,
            crl_urls: None,
            ocsp_urls: Vec::new(),
            has_issuer_url: false,
            must_staple: false,
            access_info_is_empty: false,
            policy_constraints_not_critical: false,
            duplicates: Vec::new(),
            malformed: Vec::new(),
            critical: Vec::new(),
        };
        facts.read_extensions(&c);
        Ok(facts)
    }

    /// For people, with the place that the certificate has in a chain.
    pub(crate) fn summary(&self, position: usize, role: Role) -> CertificateSummary {
        CertificateSummary {
            position,
            role,
            subject: self.subject.clone(),
            issuer: self.issuer.clone(),
            sha256: self.sha256,
            not_before: self.not_before,
            not_after: self.not_after,
        }
    }

    /// Whether issuer and subject are the same name (RFC 5280 §6.1: self-issued).
    pub(crate) fn is_self_issued(&self) -> bool {
        self.subject_raw == self.issuer_raw
    }

    pub(crate) fn is_authority(&self) -> bool {
        self.basic_constraints.is_some_and(|bc| bc.authority)
    }

    fn read_extensions(&mut self, c: &X509Certificate<'_>) {
        let mut seen = Vec::with_capacity(c.extensions().len());
        for e in c.extensions() {
            if seen.contains(&e.oid) {
                self.duplicates.push(e.oid.to_id_string());
                continue;
            }
            seen.push(e.oid.clone());
            let critical = e.critical;
            // Those that RFC 5280 path validation here processes; any other critical one stops it (§4.2).
            let mut processed = false;
            match e.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(san) => {
                    processed = true;
                    self.names = Some(Names { critical, all: san.general_names.iter().map(name).collect() });
                }
                ParsedExtension::BasicConstraints(bc) => {
                    processed = true;
                    self.basic_constraints = Some(BasicConstraints {
                        critical,
                        authority: bc.ca,
                        path_length: bc.path_len_constraint,
                    });
                }
                ParsedExtension::KeyUsage(ku) => {
                    processed = true;
                    self.key_usage =
                        Some(KeyUsage { certificate_sign: ku.key_cert_sign(), list_sign: ku.crl_sign() });
                }
                ParsedExtension::ExtendedKeyUsage(eku) => {
                    processed = true;
                    self.purposes = Some(purposes(critical, eku));
                }
                ParsedExtension::NameConstraints(nc) => {
                    processed = true;
                    self.name_constraints = Some(name_constraints(nc));
                }
                ParsedExtension::SubjectKeyIdentifier(id) => {
                    self.subject_key_id = Some(KeyId { critical, id: id.0.to_vec() });
                }
                ParsedExtension::AuthorityKeyIdentifier(aki) => {
                    self.authority_key_id = Some(AuthorityKeyId {
                        critical,
                        id: aki.key_identifier.as_ref().map(|id| id.0.to_vec()),
                        has_issuer: aki.authority_cert_issuer.is_some(),
                        has_serial: aki.authority_cert_serial.is_some(),
                    });
                }
                ParsedExtension::CRLDistributionPoints(points) => {
                    processed = true;
                    // RFC 5280 §6.3.3: a point of another issuer, or for some reasons only, proves nothing here.
                    let urls = points
                        .iter()
                        .filter(|p| p.crl_issuer.is_none() && p.reasons.is_none())
                        .filter_map(|p| match &p.distribution_point {
                            Some(DistributionPointName::FullName(names)) => Some(names),
                            _ => None,
                        })
                        .flatten();
                    self.crl_urls = Some(urls.filter_map(uri).take(MAX_URLS).collect());
                }
                ParsedExtension::AuthorityInfoAccess(info) => {
                    self.access_info_is_empty = info.accessdescs.is_empty();
                    for d in info.iter() {
                        match d.access_method.to_id_string().as_str() {
                            ACCESS_OCSP if self.ocsp_urls.len() < MAX_URLS => {
                                self.ocsp_urls.extend(uri(&d.access_location));
                            }
                            ACCESS_ISSUER => self.has_issuer_url = true,
                            _ => {}
                        }
                    }
                }
                ParsedExtension::PolicyConstraints(_) => self.policy_constraints_not_critical = !critical,
                ParsedExtension::ParseError { error } => {
                    self.malformed.push((e.oid.to_id_string(), text::shown(&error.to_string())));
                }
                ParsedExtension::UnsupportedExtension { .. } if e.oid.to_id_string() == TLS_FEATURE => {
                    self.must_staple = demands_staple(e.value);
                }
                _ => {}
            }
            if critical && !processed {
                let unknown = matches!(e.parsed_extension(), ParsedExtension::UnsupportedExtension { .. });
                self.critical.push((e.oid.to_id_string(), !unknown));
            }
        }
    }
}

impl Name {
    /// Whether it is of a kind that can name a server, if not this one.
    pub(crate) fn may_be_a_server(&self) -> bool {
        !matches!(self, Self::Other(..))
    }

    /// For people, with its kind.
    pub(crate) fn labelled(&self) -> String {
        let kind = match self {
            Self::Dns(_) => "DNS",
            Self::Uri(_) => "URI",
            Self::Ip(_) => "IP",
            Self::Other(kind, _) => kind,
        };
        format!("{kind} {}", self.shown())
    }

    /// For people.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Dns(name) | Self::Uri(name) | Self::Other(_, name) => text::shown(name),
            Self::Ip(address) => address.to_string(),
        }
    }
}

/// id-ad-ocsp and id-ad-caIssuers (RFC 5280 §4.2.2.1).
const ACCESS_OCSP: &str = "1.3.6.1.5.5.7.48.1";
const ACCESS_ISSUER: &str = "1.3.6.1.5.5.7.48.2";
/// id-pe-tlsfeature (RFC 7633 §6).
const TLS_FEATURE: &str = "1.3.6.1.5.5.7.1.24";
/// status_request (RFC 6066 §1.1).
const STATUS_REQUEST: &[u8] = &[5];
/// id-kp-sipDomain (RFC 5924 §4.1).
const SIP_DOMAIN: &str = "1.3.6.1.5.5.7.3.20";

/// Features ::= SEQUENCE OF INTEGER (RFC 7633 §6); what cannot be read demands.
fn demands_staple(value: &[u8]) -> bool {
    let Some(content) = der::only(value, der::SEQUENCE) else { return true };
    let mut reader = der::Reader::new(content);
    while !reader.is_empty() {
        match reader.expect(der::INTEGER) {
            Some(feature) if feature.content == STATUS_REQUEST => return true,
            Some(_) => {}
            None => return true,
        }
    }
    false
}

/// What the parser could not read, in words for people.
fn in_words(error: &nom::Err<X509Error>) -> &'static str {
    match error {
        nom::Err::Incomplete(_) => "it is cut off",
        nom::Err::Error(inner) | nom::Err::Failure(inner) => match inner {
            X509Error::InvalidVersion => "its version cannot be read",
            X509Error::InvalidSerial => "its serial number cannot be read",
            X509Error::InvalidAlgorithmIdentifier | X509Error::InvalidSignatureValue => {
                "its signature cannot be read"
            }
            X509Error::InvalidX509Name => "a name in it cannot be read",
            X509Error::InvalidDate => "its validity cannot be read",
            X509Error::InvalidSPKI => "its key cannot be read",
            X509Error::InvalidExtensions | X509Error::DuplicateExtensions => "its extensions cannot be read",
            _ => "its bytes are cut off, or of another kind",
        },
    }
}

fn name_content(name: &X509Name<'_>) -> Result<Vec<u8>, Unreadable> {
    der::only(name.as_raw(), der::SEQUENCE)
        .map(<[u8]>::to_vec)
        .ok_or_else(|| Unreadable::Malformed("a name in it is not in DER".into()))
}

fn shown_name(name: &X509Name<'_>) -> String {
    let text = names::directory(name);
    if text.is_empty() { "(no name)".into() } else { text::shown(&text) }
}

/// The words of a name that tell one organisation from another.
fn words(name: &X509Name<'_>) -> Vec<String> {
    const COMMON: &[&str] = &[
        "ca",
        "root",
        "issuing",
        "intermediate",
        "authority",
        "certificate",
        "certification",
        "sub",
        "subordinate",
        "tls",
        "ssl",
        "rsa",
        "ecc",
        "the",
        "of",
        "inc",
        "ltd",
        "llc",
        "gmbh",
        "trust",
        "server",
        "signing",
        "global",
    ];
    name.iter_common_name()
        .chain(name.iter_organization())
        .filter_map(|a| a.as_str().ok())
        .flat_map(|t| t.split(|c: char| !c.is_alphanumeric()))
        .map(str::to_lowercase)
        .filter(|w| w.chars().count() > 2 && !COMMON.contains(&w.as_str()))
        .collect()
}

fn uri(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    }
}

fn name(name: &GeneralName<'_>) -> Name {
    match name {
        GeneralName::DNSName(d) => Name::Dns((*d).to_owned()),
        GeneralName::URI(u) => Name::Uri((*u).to_owned()),
        GeneralName::IPAddress(octets) => match ip(octets) {
            Some(address) => Name::Ip(address),
            None => Name::Other("IP address of a wrong length", text::hex(octets)),
        },
        GeneralName::RFC822Name(m) => Name::Other("e-mail address", (*m).to_owned()),
        GeneralName::DirectoryName(d) => Name::Other("directory name", names::directory(d)),
        GeneralName::Invalid(_, octets) => Name::Other("unreadable name", text::hex(octets)),
        other => Name::Other("name of another kind", names::general(other)),
    }
}

fn ip(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(octets) {
        return Some(IpAddr::from(v4));
    }
    <[u8; 16]>::try_from(octets).ok().map(IpAddr::from)
}

fn purposes(critical: bool, eku: &x509_parser::extensions::ExtendedKeyUsage<'_>) -> Purposes {
    let known = [
        (eku.any, "any purpose"),
        (eku.server_auth, "servers"),
        (eku.client_auth, "clients"),
        (eku.code_signing, "code signing"),
        (eku.email_protection, "e-mail"),
        (eku.time_stamping, "time stamps"),
        (eku.ocsp_signing, "OCSP signing"),
    ];
    let mut named: Vec<String> = known.iter().filter(|(set, _)| *set).map(|(_, n)| (*n).to_owned()).collect();
    let others: Vec<String> = eku.other.iter().map(x509_parser::oid_registry::Oid::to_id_string).collect();
    let sip_domain = others.iter().any(|o| o == SIP_DOMAIN);
    named.extend(others.into_iter().map(|o| if o == SIP_DOMAIN { "SIP domains".to_owned() } else { o }));
    Purposes { critical, server: eku.server_auth, any: eku.any, sip_domain, named }
}

fn name_constraints(nc: &x509_parser::extensions::NameConstraints<'_>) -> NameConstraints {
    let mut facts = NameConstraints::default();
    for (subtrees, dns, all) in [
        (&nc.permitted_subtrees, &mut facts.permitted_dns, &mut facts.permitted),
        (&nc.excluded_subtrees, &mut facts.excluded_dns, &mut facts.excluded),
    ] {
        for subtree in subtrees.iter().flatten() {
            match &subtree.base {
                GeneralName::DNSName(d) => {
                    dns.push((*d).to_owned());
                    all.push((*d).to_owned());
                }
                GeneralName::DirectoryName(d) => {
                    facts.has_directory_name = true;
                    all.push(names::directory(d));
                }
                other => all.push(names::general(other)),
            }
        }
    }
    facts
}

fn key(spki: &SubjectPublicKeyInfo<'_>) -> Key {
    match spki.parsed() {
        Ok(PublicKey::RSA(key)) => {
            let leading = key.modulus.iter().take_while(|b| **b == 0).count();
            let significant = key.modulus.get(leading..).unwrap_or_default();
            let unused = significant.first().map_or(0, |b| b.leading_zeros());
            Key::Rsa { bits: (significant.len() * 8).saturating_sub(usize::try_from(unused).unwrap_or(0)) }
        }
        Ok(PublicKey::EC(_)) => Key::Ec {
            curve: spki
                .algorithm
                .parameters
                .as_ref()
                .and_then(|p| p.as_oid().ok())
                .map(|o| o.to_id_string())
                .unwrap_or_else(|| "explicit parameters".into()),
        },
        Ok(PublicKey::DSA(_)) => Key::Dsa,
        Ok(_) => match spki.algorithm.algorithm.to_id_string() {
            oid if oid == "1.3.101.112" => Key::Ed25519,
            oid => Key::Other { oid },
        },
        Err(error) => Key::Broken { why: text::shown(&error.to_string()) },
    }
}
