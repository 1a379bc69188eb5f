//! Why there is no path: webpki's errors never say which certificate, and five different troubles come out as "unknown
//! issuer". So the chain is walked as it was sent, from the server upwards: who issued this, was that one sent, is it
//! trusted by name, and did its key really make the signature?

use crate::facts::{Facts, Name};
use crate::finding::Sink;
use crate::identity::{Near, NoMatch, names_host};
use crate::judge::Case;
use crate::path::{self, Link};
use crate::roots::Anchor;
use crate::signature::{self, Signature};
use crate::{Code, Finding, Role, Who, der, rules, text};
use std::cell::Cell;
use std::sync::Arc;

/// How much of the future every certificate must lie in before the clock is blamed, in seconds.
const CLOCK_BLAMED: u64 = 86_400;
/// Longest walk; no path is longer.
const MAX_WALK: usize = 16;
/// Most signatures that are checked for an explanation: a hostile chain must not cost more than a sound one.
const MAX_CHECKS: usize = 48;

/// Everything that can be said about a chain without a path.
pub(crate) fn no_path(case: &Case<'_>, error: &webpki::Error) -> Sink {
    let mut sink = Sink::new(case.policy.level);
    let walk = Walk::through(case);
    for link in &walk.path {
        rules::certificate(link.facts, link.position, link.role, case.now, case.policy, &mut sink);
    }
    walk.path_lengths(&mut sink);
    walk.clock(case, &mut sink);
    if let Some(finding) = walk.end(case) {
        sink.refuse(finding);
    }
    if !sink.explains_path() {
        sink.refuse(from_webpki(case, &walk, error));
    }
    // With the root unknown, SIP URIs are read as an organisation's would be: they explain, and change nothing.
    path::name(case, &walk.path, walk.anchor.is_none_or(|a| !a.is_public()), &mut sink);
    sink
}

/// Why the names do not match, for people.
pub(crate) fn no_match(case: &Case<'_>, leaf: &Link<'_>, no_match: NoMatch) -> Finding {
    let want = case.identity;
    let NoMatch { counted, ignored, near } = no_match;
    let ignored: Vec<_> =
        ignored.iter().map(|(name, why)| format!("{} ({why})", text::shown(name))).collect();
    let ignored = text::list_as_is(&ignored);
    let found = match (counted.is_empty(), ignored.is_empty()) {
        (true, true) => "no name of a server".to_owned(),
        (true, false) => format!("only {ignored}"),
        (false, true) => text::list(&counted),
        (false, false) => format!("{}; not counted: {ignored}", text::list(&counted)),
    };
    let target = case
        .evidence
        .connected_to
        .filter(|host| !host.eq_ignore_ascii_case(&want.to_string()) && names_host(leaf.facts, host));
    let (code, advice) = match (near, target) {
        (Some(Near::Wildcard), _) => (
            Code::WildcardNotAllowed,
            format!(
                "The standard for SIP (RFC 5922) allows no wildcards. Ask the server's operator for a certificate that \
                 names {want}. If the operator is known to have only this one, the account can allow wildcards."
            ),
        ),
        (Some(Near::BroadWildcard), _) => (
            Code::WildcardTooBroad,
            "Do not use this server: no authority may issue a certificate for everybody's domains."
                .to_owned(),
        ),
        (Some(Near::PublicUri), _) => (
            Code::UriFromPublicCa,
            format!("Ask the server's operator for a certificate with {want} as a DNS name."),
        ),
        (Some(Near::DnsBesideUris), _) => (
            Code::UriTakesPrecedence,
            format!(
                "Ask the server's operator for a certificate with the URI sip:{want} added, or without SIP URIs."
            ),
        ),
        (Some(Near::CommonName), _) => (
            Code::CommonNameOnly,
            format!(
                "Ask the server's operator for a certificate that has {want} among its alternative names \
                 (subjectAltName). The common name alone no longer counts (RFC 9525)."
            ),
        ),
        (None, Some(host)) => (
            Code::NameOfTargetOnly,
            format!(
                "DNS pointed to {}, and the certificate names that host. DNS can be forged, so the certificate has to \
                 name {want} itself. Ask the server's operator for one that does; or, if your organisation vouches \
                 for that host, add it to the account's server names.",
                text::shown(host)
            ),
        ),
        (None, None) if !leaf.facts.names.iter().flat_map(|names| &names.all).any(Name::may_be_a_server) => (
            Code::NoUsableName,
            format!("Ask the server's operator for a certificate that names {want} (in subjectAltName)."),
        ),
        (None, None) => (
            Code::NameMismatch,
            format!(
                "Check the address for typing errors. If it is right, this server is not the one for {want}: somebody \
                 may have redirected the connection, or its operator has to install a certificate for {want}."
            ),
        ),
    };
    let summary = leaf.facts.summary(leaf.position, leaf.role);
    Finding::new(code, Some(summary), "subjectAltName", want.to_string(), found, advice)
}

/// The chain as far as it holds together.
struct Walk<'a> {
    path: Vec<Link<'a>>,
    anchor: Option<&'a Anchor>,
    end: End<'a>,
}

/// Why the walk ended.
enum End<'a> {
    /// At a trusted root whose key made the last signature.
    Trusted,
    /// The issuer is neither sent nor trusted.
    NoIssuer,
    /// At a certificate that is signed by itself, and not trusted.
    OwnSignature,
    /// A root of that name is trusted, and its key did not make the signature.
    OtherKey(&'a Anchor),
    /// The issuer was sent, and its key did not make the signature.
    Altered(&'a Facts),
    /// With a method that is not supported, or that is weak.
    Unsupported,
    /// Too long or in a circle.
    Endless,
}

impl<'a> Walk<'a> {
    fn through(case: &'a Case<'a>) -> Self {
        let mut walk = Walk { path: Vec::new(), anchor: None, end: End::Endless };
        let checks_left = Cell::new(MAX_CHECKS);
        let mut position = 0;
        while walk.path.len() < MAX_WALK {
            let (Some(facts), Some(der)) = (case.facts.get(position), case.chain.get(position)) else {
                break;
            };
            let role = if position == 0 { Role::Server } else { Role::Intermediate };
            walk.path.push(Link { facts, der, position, role });
            match walk.step(case, position, &checks_left) {
                Ok(next) => position = next,
                Err(end) => {
                    walk.end = end;
                    break;
                }
            }
        }
        walk
    }

    /// The place of the certificate that issued the one at `position`, or the end.
    fn step(
        &mut self,
        case: &'a Case<'a>,
        position: usize,
        checks_left: &Cell<usize>,
    ) -> Result<usize, End<'a>> {
        let (Some(facts), Some(bytes)) = (case.facts.get(position), case.chain.get(position)) else {
            return Err(End::Endless);
        };
        let Some(signed) = der::signed(bytes) else { return Err(End::Endless) };
        let check = |issuer: &Facts| match checks_left.get().checked_sub(1) {
            Some(left) => {
                checks_left.set(left);
                signature::verify(&case.policy.algorithms, &issuer.spki, &signed)
            }
            None => Signature::Invalid,
        };
        let mut other_key = None;
        let mut unsupported = false;
        for anchor in case.policy.anchors.named(&facts.issuer_raw).map(Arc::as_ref) {
            match check(&anchor.facts) {
                Signature::Valid => {
                    self.anchor = Some(anchor);
                    let position = self.path.len();
                    self.path.push(Link {
                        facts: &anchor.facts,
                        der: anchor.der(),
                        position,
                        role: Role::Root,
                    });
                    return Err(End::Trusted);
                }
                Signature::Unsupported => unsupported = true,
                Signature::Invalid => {}
            }
            other_key = Some(anchor);
        }
        let mut altered = None;
        for (next, issuer) in case.facts.iter().enumerate() {
            let seen = self.path.iter().any(|l| l.position == next);
            if issuer.subject_raw != facts.issuer_raw || (seen && next != position) {
                continue;
            }
            match check(issuer) {
                Signature::Valid if next == position => {
                    return Err(other_key.map_or(End::OwnSignature, End::OtherKey));
                }
                Signature::Valid => return Ok(next),
                Signature::Unsupported => unsupported = true,
                Signature::Invalid if next != position => altered = Some(issuer),
                Signature::Invalid => {}
            }
        }
        Err(if checks_left.get() == 0 {
            End::Endless
        } else if unsupported {
            End::Unsupported
        } else if let Some(anchor) = other_key {
            // Without the key's identifier an altered certificate looks the same; then that is the likelier story.
            if names_other_key(facts, &anchor.facts) || altered.is_some() {
                End::OtherKey(anchor)
            } else {
                End::Altered(&anchor.facts)
            }
        } else if let Some(issuer) = altered {
            End::Altered(issuer)
        } else {
            End::NoIssuer
        })
    }

    /// What the end of the walk means.
    fn end(&self, case: &Case<'_>) -> Option<Finding> {
        let last = self.path.last()?;
        let f = last.facts;
        let finding = |code, field, expected: String, found: String, advice: String| {
            let summary = f.summary(last.position, last.role);
            Some(Finding::new(code, Some(summary), field, expected, found, advice))
        };
        let trusted = "an authority that is trusted on this device".to_owned();
        if case.policy.anchors.is_empty() {
            return finding(
                Code::NoTrustedRoots,
                "roots",
                "at least one root certificate".into(),
                "none".into(),
                "Whoever manages this device has to give the root certificates to trust, or use the bundled ones."
                    .into(),
            );
        }
        match &self.end {
            End::Trusted => None,
            End::OwnSignature if last.role == Role::Server => finding(
                Code::SelfSigned,
                "issuer",
                trusted,
                "a certificate that the server has signed for itself".into(),
                "Anybody can make such a certificate. Whoever runs the server has to get one from an authority; an \
                 organisation can make an authority of its own and install its root on this device."
                    .into(),
            ),
            End::OwnSignature => finding(
                Code::UnknownCa,
                "issuer",
                trusted,
                format!("the root \"{}\", which is not trusted here", text::called(&f.subject)),
                "If this is your organisation's authority, whoever manages this device has to install its root \
                 certificate (get it from them, not from this connection). Otherwise do not use this server."
                    .into(),
            ),
            End::NoIssuer => self.no_issuer(case, last),
            End::OtherKey(anchor) => finding(
                Code::ImpostorRoot,
                "signature",
                format!("a signature by the trusted root \"{}\"", text::called(&anchor.facts.subject)),
                "a signature by another key under the same name".into(),
                "Somebody may be intercepting this connection: do not use this network for it. If your organisation \
                 has renewed its root under the same name, whoever manages this device has to install the new one."
                    .into(),
            ),
            End::Altered(issuer) => finding(
                Code::AlteredCertificate,
                "signature",
                format!("a signature by \"{}\"", text::called(&issuer.subject)),
                "a signature that its key did not make".into(),
                "The certificate was damaged or changed after it was signed. Whoever runs the server has to install \
                 the certificates again, as the authority delivered them."
                    .into(),
            ),
            End::Unsupported if last.role != Role::Root => {
                let weak = self.path.iter().any(|l| l.facts.signature_oid == f.signature_oid);
                finding(
                    Code::UnsupportedSignature,
                    "signatureAlgorithm",
                    "RSA with SHA-256 or better, ECDSA on P-256, P-384 or P-521, or Ed25519".into(),
                    if weak { f.signature_oid.clone() } else { String::new() },
                    "Whoever runs the server has to get a certificate that is signed with a current method.".into(),
                )
            }
            End::Unsupported | End::Endless => None,
        }
    }

    /// The issuer is neither sent nor trusted: left out by the server, or not known here? Both look alike; what the
    /// certificate says about its issuer tells which is likelier.
    fn no_issuer(&self, case: &Case<'_>, last: &Link<'_>) -> Option<Finding> {
        let f = last.facts;
        let relative = case.policy.anchors.iter().find(|a| is_related(f, &a.facts));
        let left_out = last.role == Role::Server && (f.has_issuer_url || relative.is_some());
        let summary = Some(f.summary(last.position, last.role));
        let issuer = text::called(&f.issuer);
        let expected = format!("the certificate of \"{issuer}\"");
        Some(if left_out || relative.is_some() {
            let hint = relative
                .map(|a| {
                    format!("; it probably leads to the trusted root \"{}\"", text::called(&a.facts.subject))
                })
                .unwrap_or_default();
            Finding::new(
                Code::MissingIntermediate,
                summary,
                "issuer",
                expected,
                format!("it was not sent, and is no trusted root{hint}"),
                format!(
                    "Whoever runs the server has to install the whole chain: the server's certificate followed by that \
                     of \"{issuer}\". (Browsers hide this by fetching it themselves.)"
                ),
            )
        } else {
            Finding::new(
                Code::UnknownCa,
                summary,
                "issuer",
                "an authority that is trusted on this device",
                format!("\"{issuer}\", which is not trusted here"),
                format!(
                    "If \"{issuer}\" is your organisation's authority, whoever manages this device has to install its \
                     root certificate (get it from them, not from this connection). If it stands below a root that is \
                     trusted here, the server has to send its certificate along. Otherwise do not use this server."
                ),
            )
        })
    }

    fn path_lengths(&self, sink: &mut Sink) {
        for (index, link) in self.path.iter().enumerate() {
            if link.role != Role::Intermediate {
                continue;
            }
            let below = index.saturating_sub(1);
            let Some(max) = link.facts.basic_constraints.and_then(|bc| bc.path_length) else { continue };
            if usize::try_from(max).is_ok_and(|max| below > max) {
                sink.refuse(Finding::new(
                    Code::PathLengthExceeded,
                    Some(link.facts.summary(link.position, link.role)),
                    "pathLenConstraint",
                    format!("at most {max} authorities below it"),
                    below.to_string(),
                    "The authorities below were not entitled to issue this. Whoever runs the server has to get a \
                     certificate from one that is.",
                ));
            }
        }
    }

    /// When the whole chain lies in the future (or far in the past), the clock is the likelier culprit.
    fn clock(&self, case: &Case<'_>, sink: &mut Sink) {
        let now = case.now;
        let all_ahead = self
            .path
            .iter()
            .all(|l| now < l.facts.not_before && now.abs_diff(l.facts.not_before) > CLOCK_BLAMED);
        let all_past = self.path.iter().all(|l| now > l.facts.not_after)
            && self.anchor.is_some_and(|a| now.abs_diff(a.facts.not_after) > 365 * CLOCK_BLAMED);
        if self.path.len() < 2 || !(all_ahead || all_past) {
            return;
        }
        let (direction, bound) = if all_ahead {
            ("after", self.path.iter().map(|l| l.facts.not_before).max())
        } else {
            ("before", self.path.iter().map(|l| l.facts.not_after).min())
        };
        sink.refuse(
            Finding::new(
                Code::ClockWrong,
                None,
                "clock",
                format!("a time {direction} {}", text::when(bound.unwrap_or(now))),
                format!("{} (this device's clock)", text::when(now)),
                "Set the date and time of this device, best from the network, and try again.",
            )
            .for_whom(Who::User),
        );
    }
}

/// Whether a certificate names, by its key's identifier, another issuer than this one.
fn names_other_key(facts: &Facts, issuer: &Facts) -> bool {
    let wanted = facts.authority_key_id.as_ref().and_then(|a| a.id.as_ref());
    let there = issuer.subject_key_id.as_ref().map(|s| &s.id);
    matches!((wanted, there), (Some(w), Some(t)) if w != t)
}

/// Whether the issuer of a certificate seems to belong to the organisation of a root.
fn is_related(facts: &Facts, root: &Facts) -> bool {
    facts.issuer_words.iter().any(|w| root.subject_words.contains(w))
        || root.organisations.iter().any(|o| !o.is_empty() && facts.issuer.contains(o.as_str()))
}

/// When the walk has found nothing wrong: what webpki said.
fn from_webpki(case: &Case<'_>, walk: &Walk<'_>, error: &webpki::Error) -> Finding {
    use webpki::Error;
    let (code, field) = match error {
        Error::NameConstraintViolation => (Code::NameNotPermitted, "nameConstraints"),
        Error::MalformedNameConstraint | Error::InvalidNetworkMaskConstraint => {
            (Code::UnusableNameConstraints, "nameConstraints")
        }
        Error::PathLenConstraintViolated => (Code::PathLengthExceeded, "pathLenConstraint"),
        Error::MaximumPathDepthExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumSignatureChecksExceeded
        | Error::MaximumNameConstraintComparisonsExceeded => (Code::PathTooComplex, "path"),
        Error::SignatureAlgorithmMismatch => (Code::SignatureMismatch, "signature"),
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            (Code::UnsupportedSignature, "signatureAlgorithm")
        }
        Error::UnknownIssuer => (Code::UnknownCa, "issuer"),
        Error::UnsupportedCriticalExtension => (Code::UnknownCriticalExtension, "extensions"),
        Error::UnsupportedCertVersion => (Code::UnsupportedVersion, "version"),
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
            (Code::WrongPurpose, "extKeyUsage")
        }
        Error::BadDer | Error::BadDerTime | Error::TrailingData(_) | Error::InvalidSerialNumber => {
            (Code::MalformedCertificate, "certificate")
        }
        Error::MalformedExtensions | Error::ExtensionValueInvalid | Error::MalformedDnsIdentifier => {
            (Code::MalformedExtension, "extensions")
        }
        Error::InvalidCertValidity => (Code::InvertedValidity, "validity"),
        // A signature that does not fit was one of another issuer of the same name: the walk has seen one that fits.
        _ => (Code::PathRefused, "path"),
    };
    let limits = walk.path.iter().rev().find(|l| {
        l.facts
            .name_constraints
            .as_ref()
            .is_some_and(|nc| !nc.permitted.is_empty() || !nc.excluded.is_empty())
    });
    if code == Code::NameNotPermitted
        && let Some(link) = limits
        && let Some(nc) = &link.facts.name_constraints
    {
        return name_not_permitted(case, walk, link, nc);
    }
    let leaf = walk.path.first().map(|l| l.facts.summary(l.position, l.role));
    Finding::new(
        code,
        leaf,
        field,
        "a valid path to a trusted root (RFC 5280)",
        text::shown(&error.to_string()),
        "Whoever runs the server has to check the chain that it sends, best with its authority.",
    )
}

fn name_not_permitted(
    case: &Case<'_>,
    walk: &Walk<'_>,
    link: &Link<'_>,
    nc: &crate::facts::NameConstraints,
) -> Finding {
    let mut allowed = Vec::new();
    if !nc.permitted.is_empty() {
        allowed.push(format!("only {}", text::list(&nc.permitted)));
    }
    if !nc.excluded.is_empty() {
        allowed.push(format!("not {}", text::list(&nc.excluded)));
    }
    let names: Vec<String> = walk
        .path
        .first()
        .and_then(|l| l.facts.names.as_ref())
        .map(|n| n.all.iter().map(Name::shown).collect())
        .unwrap_or_default();
    let advice = if nc.has_directory_name {
        "This authority is limited by directory names, a kind of limit that this program cannot apply, so it trusts \
         nothing below it. Use a certificate of another authority."
            .to_owned()
    } else {
        format!(
            "Whoever runs the server has to get a certificate from an authority that may vouch for {}.",
            case.identity
        )
    };
    Finding::new(
        Code::NameNotPermitted,
        Some(link.facts.summary(link.position, link.role)),
        "nameConstraints",
        format!("names that this authority may vouch for: {}", allowed.join(", ")),
        text::list(&names),
        advice,
    )
}
