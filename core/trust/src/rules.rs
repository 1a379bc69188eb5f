//! What each certificate of a path must be, beyond what webpki's path building looks at. The same rules explain a
//! chain for which no path was found.

use crate::facts::{Facts, Key, Name, Purposes};
use crate::finding::{Sink, advice};
use crate::{Code, Finding, Policy, Profile, Role, Who, identity, text};

/// RFC 9325 §4.5.
const MIN_RSA_BITS: usize = 2048;
/// RFC 5280 §4.1.2.2.
const MAX_SERIAL_OCTETS: usize = 20;
/// P-256, P-384, P-521.
const CURVES: &[&str] = &["1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"];
/// Curves below 224 bits, with their names (RFC 9325 §4.5).
const WEAK_CURVES: &[(&str, &str)] =
    &[("1.2.840.10045.3.1.1", "P-192"), ("1.3.132.0.8", "secp160r1"), ("1.3.132.0.9", "secp160k1")];
/// Signatures with MD2, MD5 and SHA-1.
const WEAK_SIGNATURES: &[(&str, &str)] = &[
    ("1.2.840.113549.1.1.2", "MD2 with RSA"),
    ("1.2.840.113549.1.1.4", "MD5 with RSA"),
    ("1.2.840.113549.1.1.5", "SHA-1 with RSA"),
    ("1.2.840.10045.4.1", "SHA-1 with ECDSA"),
    ("1.2.840.10040.4.3", "SHA-1 with DSA"),
];

/// Judges one certificate in its place.
pub(crate) fn certificate(
    facts: &Facts,
    position: usize,
    role: Role,
    now: i64,
    policy: &Policy,
    sink: &mut Sink,
) {
    let one = One { facts, position, role };
    one.form(sink);
    one.validity(now, sink);
    one.serial(sink);
    one.key(sink);
    one.key_identifiers(sink);
    one.extensions(sink);
    match role {
        Role::Server => one.server(policy, sink),
        Role::Intermediate | Role::Root => one.authority(policy, sink),
    }
}

/// Whether a purpose list lets a certificate stand for a server here.
pub(crate) fn serves(purposes: &Purposes, profile: Profile) -> bool {
    purposes.server || (purposes.sip_domain && profile == Profile::Sip)
}

struct One<'a> {
    facts: &'a Facts,
    position: usize,
    role: Role,
}

impl One<'_> {
    fn finding(
        &self,
        code: Code,
        field: &'static str,
        expected: impl Into<String>,
        found: impl Into<String>,
        advice: &str,
    ) -> Finding {
        let finding = Finding::new(
            code,
            Some(self.facts.summary(self.position, self.role)),
            field,
            expected,
            found,
            advice,
        );
        // A root is ours: nobody at the server's side can change it.
        if self.role == Role::Root { finding.for_whom(Who::Administrator) } else { finding }
    }

    fn renewal(&self) -> &'static str {
        match self.role {
            Role::Server => advice::NEW_CERTIFICATE,
            Role::Intermediate => advice::NEW_INTERMEDIATE,
            Role::Root => advice::REPLACE_ROOT,
        }
    }

    fn form(&self, sink: &mut Sink) {
        let f = self.facts;
        if f.version != 3 && self.role != Role::Root {
            sink.refuse(self.finding(
                Code::UnsupportedVersion,
                "version",
                "version 3",
                format!("version {}", f.version),
                advice::NEW_CERTIFICATE,
            ));
        }
        for oid in &f.duplicates {
            sink.refuse(self.finding(
                Code::DuplicateExtension,
                "extensions",
                "each extension once",
                format!("{oid} more than once"),
                advice::REISSUE,
            ));
        }
        for (oid, why) in &f.malformed {
            sink.refuse(self.finding(
                Code::MalformedExtension,
                "extensions",
                "extensions in the form that their types demand",
                format!("{oid}: {why}"),
                advice::REISSUE,
            ));
        }
        for (oid, known) in &f.critical {
            // Roots keep the extensions that path building does not process, as long as somebody knows them.
            if self.role != Role::Root || !known {
                sink.refuse(self.finding(
                    Code::UnknownCriticalExtension,
                    "extensions",
                    "no critical extension that is unknown here",
                    oid.clone(),
                    "This certificate is made for other programs. Ask its authority for one for TLS servers.",
                ));
            }
        }
        if !f.signatures_agree && self.role != Role::Root {
            sink.refuse(self.finding(
                Code::SignatureMismatch,
                "signature",
                "the same signature method in both places",
                "two different ones",
                advice::REISSUE,
            ));
        }
        if self.role != Role::Root
            && let Some((_, name)) = WEAK_SIGNATURES.iter().find(|(oid, _)| *oid == f.signature_oid)
        {
            sink.refuse(self.finding(
                Code::WeakSignature,
                "signatureAlgorithm",
                "a signature with SHA-256 or better",
                *name,
                advice::NEW_CERTIFICATE,
            ));
        }
    }

    fn validity(&self, now: i64, sink: &mut Sink) {
        let f = self.facts;
        let today = text::when(now);
        if f.not_before > f.not_after {
            sink.refuse(self.finding(
                Code::InvertedValidity,
                "validity",
                "a beginning before the end",
                format!("from {} to {}", text::when(f.not_before), text::when(f.not_after)),
                advice::REISSUE,
            ));
        } else if now > f.not_after {
            let ago = text::span(now.abs_diff(f.not_after));
            sink.refuse(self.finding(
                Code::Expired,
                "notAfter",
                format!("valid on {today} (this device's clock)"),
                format!("expired on {}, {ago} ago", text::when(f.not_after)),
                &format!("{} If {today} is not the time now, set this device's clock.", self.renewal()),
            ));
        } else if now < f.not_before {
            let ahead = text::span(now.abs_diff(f.not_before));
            sink.refuse(self.finding(
                Code::NotYetValid,
                "notBefore",
                format!("valid on {today} (this device's clock)"),
                format!("valid from {}, {ahead} from now", text::when(f.not_before)),
                &format!(
                    "If {today} is not the time now, set this device's clock. Otherwise whoever runs the server has \
                     installed a certificate too early."
                ),
            ));
        }
    }

    fn serial(&self, sink: &mut Sink) {
        let serial = &self.facts.serial;
        if serial.first().is_some_and(|b| b & 0x80 != 0) {
            sink.refuse(self.finding(
                Code::NegativeSerial,
                "serialNumber",
                "a positive number",
                "a negative number",
                advice::REISSUE,
            ));
        }
        if self.role == Role::Root {
            // Six of the public roots have serial number 0, and nobody looks a root up in a list.
            return;
        }
        if serial.iter().all(|b| *b == 0) {
            sink.refuse_if_strict(|| {
                self.finding(Code::OddSerial, "serialNumber", "a positive number", "0", advice::REISSUE)
            });
        }
        if serial.len() > MAX_SERIAL_OCTETS {
            sink.refuse_if_strict(|| {
                let found = format!("{} octets", serial.len());
                self.finding(Code::OddSerial, "serialNumber", "at most 20 octets", found, advice::REISSUE)
            });
        }
    }

    fn key(&self, sink: &mut Sink) {
        let field = "subjectPublicKeyInfo";
        let unsupported = |found: String| {
            self.finding(Code::UnsupportedKey, field, EXPECTED_KEY, found, advice::STRONGER_KEY)
        };
        let weak =
            |found: String| self.finding(Code::WeakKey, field, EXPECTED_KEY, found, advice::STRONGER_KEY);
        match &self.facts.key {
            Key::Rsa { bits } if *bits < MIN_RSA_BITS => sink.refuse(weak(format!("RSA with {bits} bits"))),
            Key::Rsa { bits } if bits % 8 != 0 => sink.refuse_if_strict(|| {
                self.finding(
                    Code::OddKeySize,
                    field,
                    "a multiple of 8 bits",
                    format!("RSA with {bits} bits"),
                    advice::STRONGER_KEY,
                )
            }),
            Key::Ec { curve } if !CURVES.contains(&curve.as_str()) => {
                match WEAK_CURVES.iter().find(|(oid, _)| oid == curve) {
                    Some((_, name)) => sink.refuse(weak(format!("the curve {name}"))),
                    None => sink.refuse(unsupported(format!("the curve {}", text::shown(curve)))),
                }
            }
            Key::Dsa => sink.refuse(unsupported("DSA".into())),
            Key::Other { oid } => sink.refuse(unsupported(format!("a key of kind {oid}"))),
            Key::Broken { why } => sink.refuse(unsupported(format!("a key that cannot be read: {why}"))),
            Key::Rsa { .. } | Key::Ec { .. } | Key::Ed25519 => {}
        }
    }

    fn key_identifiers(&self, sink: &mut Sink) {
        let f = self.facts;
        let mut odd = |field, expected: &str, found: &str| {
            sink.refuse_if_strict(|| {
                self.finding(Code::OddKeyIdentifier, field, expected, found, advice::REISSUE)
            });
        };
        let (ski, aki) = ("subjectKeyIdentifier", "authorityKeyIdentifier");
        match &f.subject_key_id {
            Some(id) if id.critical => odd(ski, "not marked as critical", "marked as critical"),
            None if self.role != Role::Server => odd(ski, "present in an authority", "absent"),
            _ => {}
        }
        if let Some(id) = &f.authority_key_id
            && id.critical
        {
            odd(aki, "not marked as critical", "marked as critical");
        }
        if self.role != Role::Root {
            if f.authority_key_id.as_ref().is_none_or(|a| a.id.is_none()) {
                odd(aki, "the issuer's key identifier", "absent");
            }
            return;
        }
        let Some(authority) = &f.authority_key_id else { return };
        if authority.has_issuer || authority.has_serial {
            odd(aki, "the key identifier alone", "issuer and serial number");
        }
        match (&authority.id, &f.subject_key_id) {
            (None, _) => odd(aki, "the key identifier", "absent"),
            (Some(id), Some(own)) if f.is_self_issued() && *id != own.id => {
                odd(aki, "the same as subjectKeyIdentifier", "another one");
            }
            _ => {}
        }
    }

    fn extensions(&self, sink: &mut Sink) {
        let f = self.facts;
        if f.policy_constraints_not_critical {
            sink.refuse_if_strict(|| {
                self.finding(
                    Code::OddExtension,
                    "policyConstraints",
                    "marked as critical",
                    "not critical",
                    advice::REISSUE,
                )
            });
        }
        if f.access_info_is_empty {
            sink.refuse_if_strict(|| {
                self.finding(Code::OddExtension, "authorityInfoAccess", "an entry", "none", advice::REISSUE)
            });
        }
    }

    fn authority(&self, policy: &Policy, sink: &mut Sink) {
        let f = self.facts;
        let fix = if self.role == Role::Root { advice::REPLACE_ROOT } else { advice::REISSUE };
        if f.subject_is_empty {
            sink.refuse(self.finding(Code::NamelessAuthority, "subject", "a name", "none", fix));
        }
        // Certificates before version 3 cannot carry the extension; some organisations still have such roots.
        if !f.is_authority() && (f.version == 3 || self.role != Role::Root) {
            let found = if f.basic_constraints.is_some() { "cA is false" } else { "absent" };
            sink.refuse(self.finding(
                Code::NotAnAuthority,
                "basicConstraints",
                "marked as an authority (cA)",
                found,
                "Whoever set up the chain has to use a certificate of an authority in this place.",
            ));
        }
        if f.basic_constraints.is_some_and(|bc| !bc.critical) {
            sink.refuse_if_strict(|| {
                self.finding(
                    Code::OddCriticality,
                    "basicConstraints",
                    "marked as critical",
                    "not critical",
                    advice::REISSUE,
                )
            });
        }
        if f.key_usage.is_some_and(|ku| !ku.certificate_sign) {
            sink.refuse(self.finding(
                Code::MayNotSignCertificates,
                "keyUsage",
                "allowed to sign certificates (keyCertSign)",
                "not allowed",
                fix,
            ));
        }
        if let Some(purposes) = &f.purposes {
            if self.role == Role::Root {
                sink.refuse_if_strict(|| {
                    let found = text::list(&purposes.named);
                    self.finding(
                        Code::OddPurpose,
                        "extKeyUsage",
                        "absent in a root",
                        found,
                        advice::REPLACE_ROOT,
                    )
                });
            } else if !serves(purposes, policy.profile) {
                self.wrong_purpose(purposes, sink);
            }
        }
        if let Some(nc) = &f.name_constraints {
            if nc.permitted.is_empty() && nc.excluded.is_empty() {
                sink.refuse(self.finding(
                    Code::UnusableNameConstraints,
                    "nameConstraints",
                    "names that are allowed or excluded",
                    "an empty list",
                    fix,
                ));
            }
            if let Some(dotted) = nc.permitted_dns.iter().chain(&nc.excluded_dns).find(|d| d.starts_with('.'))
            {
                sink.refuse_if_strict(|| {
                    let found = text::shown(dotted);
                    self.finding(
                        Code::OddNameConstraints,
                        "nameConstraints",
                        "domains without a dot",
                        found,
                        fix,
                    )
                });
            }
        }
    }

    fn wrong_purpose(&self, purposes: &Purposes, sink: &mut Sink) {
        sink.refuse(self.finding(
            Code::WrongPurpose,
            "extKeyUsage",
            "for servers (serverAuth) or SIP domains",
            format!("for {}", text::list(&purposes.named)),
            "Whoever runs the server has to get a certificate for a TLS server.",
        ));
    }

    fn server(&self, policy: &Policy, sink: &mut Sink) {
        let f = self.facts;
        if f.is_authority() {
            sink.refuse(self.finding(
                Code::AuthorityAsServer,
                "basicConstraints",
                "the certificate of a server",
                "the certificate of an authority",
                "Whoever runs the server has to issue it a certificate of its own, and keep the authority's key \
                 elsewhere. (A certificate made by \"openssl req -x509\" is an authority's unless told otherwise.)",
            ));
        } else if f.key_usage.is_some_and(|ku| ku.certificate_sign) {
            sink.refuse(self.finding(
                Code::ServerMaySign,
                "keyUsage",
                "not allowed to sign certificates",
                "keyCertSign without cA",
                advice::REISSUE,
            ));
        }
        match &f.purposes {
            None => sink.refuse_if_strict(|| {
                let expected = "for servers (serverAuth)";
                self.finding(Code::PurposeMissing, "extKeyUsage", expected, "absent", advice::REISSUE)
            }),
            Some(purposes) => {
                if purposes.any {
                    sink.refuse(self.finding(
                        Code::AnyPurpose,
                        "extKeyUsage",
                        "for servers (serverAuth), and not for everything",
                        format!("for {}", text::list(&purposes.named)),
                        advice::NEW_CERTIFICATE,
                    ));
                } else if !serves(purposes, policy.profile) {
                    self.wrong_purpose(purposes, sink);
                }
                if purposes.critical {
                    sink.refuse_if_strict(|| {
                        let expected = "not marked as critical";
                        self.finding(
                            Code::OddPurpose,
                            "extKeyUsage",
                            expected,
                            "marked as critical",
                            advice::REISSUE,
                        )
                    });
                }
            }
        }
        if f.name_constraints.is_some() {
            // RFC 5280 §4.2.1.10: only in an authority's. Who puts it here meant another certificate.
            sink.refuse(self.finding(
                Code::OddNameConstraints,
                "nameConstraints",
                "only in authorities",
                "in a server's",
                advice::REISSUE,
            ));
        }
        self.names(policy, sink);
    }

    fn names(&self, policy: &Policy, sink: &mut Sink) {
        let f = self.facts;
        let field = "subjectAltName";
        if let Some(names) = &f.names {
            if names.critical != f.subject_is_empty {
                sink.refuse_if_strict(|| {
                    let (expected, found) = if names.critical {
                        ("not critical beside a subject", "critical")
                    } else {
                        ("critical without a subject", "not critical")
                    };
                    self.finding(Code::OddCriticality, field, expected, found, advice::REISSUE)
                });
            }
            for name in &names.all {
                let Name::Dns(dns) = name else { continue };
                if dns.contains('_') {
                    sink.refuse_if_strict(|| {
                        let found = text::shown(dns);
                        self.finding(
                            Code::OddName,
                            field,
                            "letters, digits and hyphens",
                            found,
                            advice::REISSUE,
                        )
                    });
                }
                if policy.profile == Profile::Web && identity::covers_registry(dns) {
                    sink.refuse(self.finding(
                        Code::WildcardTooBroad,
                        field,
                        "names below one organisation's domain",
                        text::shown(dns),
                        advice::REISSUE,
                    ));
                }
            }
        }
        for cn in &f.common_names {
            let looks_like_a_host = cn.contains('.') || cn.contains(':') || !cn.is_ascii();
            let copied = f.names.iter().flat_map(|n| &n.all).any(|n| match n {
                Name::Dns(dns) => dns == cn,
                Name::Ip(address) => address.to_string() == *cn,
                _ => false,
            });
            if looks_like_a_host && !copied {
                sink.warn(self.finding(
                    Code::CommonNameDiffers,
                    "commonName",
                    "one of the names in subjectAltName",
                    text::shown(cn),
                    "Nothing has to be done: the common name is never looked at.",
                ));
            }
        }
    }
}

const EXPECTED_KEY: &str = "RSA with at least 2048 bits, P-256, P-384, P-521 or Ed25519";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Anchors, Level};

    #[test]
    fn no_bundled_root_breaks_a_rule_of_level_default() {
        let policy = Policy::new(Anchors::bundled());
        for anchor in policy.anchors.iter() {
            let mut sink = Sink::new(Level::Default);
            // In the middle of its own validity: which roots are in force is the bundle's affair.
            let now = i64::midpoint(anchor.facts.not_before, anchor.facts.not_after);
            certificate(&anchor.facts, 1, Role::Root, now, &policy, &mut sink);
            assert!(sink.findings.is_empty(), "{}: {:?}", anchor.subject(), sink.findings);
        }
    }
}
