//! The path from the server's certificate to a trusted root: webpki builds it, and every candidate has to satisfy our
//! own rules, or another one is tried.

use crate::facts::Facts;
use crate::finding::{Sink, advice};
use crate::identity::{self, Identity};
use crate::judge::Case;
use crate::revocation;
use crate::roots::Anchor;
use crate::{Code, Finding, Matched, MatchedBy, Pin, Profile, Role, Who, rules, text};
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor};
use std::cell::RefCell;
use std::sync::Arc;
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, VerifiedPath};

/// One certificate of a path.
#[derive(Clone, Copy)]
pub(crate) struct Link<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) der: &'a CertificateDer<'a>,
    pub(crate) position: usize,
    pub(crate) role: Role,
}

/// A path that webpki accepts, with what our rules say about it.
pub(crate) struct Candidate<'a> {
    pub(crate) path: Vec<Link<'a>>,
    pub(crate) anchor: &'a Anchor,
    pub(crate) matched: Option<Matched>,
    pub(crate) revocation: revocation::Outcome,
    pub(crate) sink: Sink,
}

/// Why there is no path.
pub(crate) struct NoPath<'a> {
    /// What webpki says.
    pub(crate) error: webpki::Error,
    /// The candidate with the fewest findings, if there was one.
    pub(crate) best: Option<Box<Candidate<'a>>>,
}

/// Finds a path that satisfies everything.
pub(crate) fn find<'a>(case: &'a Case<'a>) -> Result<Box<Candidate<'a>>, NoPath<'a>> {
    let refused = |error| NoPath { error, best: None };
    let (leaf, others) = case.chain.split_first().ok_or_else(|| refused(webpki::Error::BadDer))?;
    let end_entity = EndEntityCert::try_from(leaf).map_err(refused)?;
    let anchors = applicable_anchors(case);
    let trust: Vec<TrustAnchor<'_>> = anchors.iter().map(|a| a.as_trust_anchor()).collect();
    let best: RefCell<Option<Box<Candidate<'a>>>> = RefCell::new(None);
    let examine = |path: &VerifiedPath<'_>| -> Result<(), webpki::Error> {
        let distrusted = webpki::Error::CertDistrusted;
        let anchor = trust
            .iter()
            .position(|t| std::ptr::eq(t, path.anchor()))
            .and_then(|i| anchors.get(i).copied())
            .ok_or_else(|| distrusted.clone())?;
        let links = links(case, path, anchor).ok_or_else(|| distrusted.clone())?;
        let mut candidate = Box::new(examine(case, links, anchor));
        second_opinion(&end_entity, &mut candidate);
        let is_accepted = candidate.sink.findings.is_empty();
        let mut best = best.borrow_mut();
        if best.as_ref().is_none_or(|b| candidate.sink.findings.len() < b.sink.findings.len()) {
            *best = Some(candidate);
        }
        if is_accepted { Ok(()) } else { Err(distrusted) }
    };
    let result = end_entity.verify_for_usage(
        case.policy.algorithms.all,
        &trust,
        others,
        case.time,
        ForServers(case.policy.profile),
        None,
        Some(&examine),
    );
    let best = best.borrow_mut().take();
    match (result, best) {
        (Ok(_), Some(accepted)) if accepted.sink.findings.is_empty() => Ok(accepted),
        (Ok(_), best) => Err(NoPath { error: webpki::Error::CertDistrusted, best }),
        (Err(error), best) => Err(NoPath { error, best }),
    }
}

/// The names were read by one parser, and held against name constraints by another: what both do not read alike is
/// believed by neither.
fn second_opinion(end_entity: &EndEntityCert<'_>, candidate: &mut Candidate<'_>) {
    let (Some(matched), Some(leaf)) = (&candidate.matched, candidate.path.first()) else { return };
    let agrees = if matched.by == MatchedBy::Ip {
        ServerName::try_from(matched.value.as_str())
            .is_ok_and(|name| end_entity.verify_is_valid_for_subject_name(&name).is_ok())
    } else if is_uri(matched) {
        end_entity.valid_uri_names().any(|uri| text::shown(uri) == matched.value)
    } else {
        end_entity.valid_dns_names().any(|name| text::shown(name) == matched.value)
    };
    if !agrees {
        candidate.sink.refuse(Finding::new(
            Code::MalformedExtension,
            Some(leaf.facts.summary(leaf.position, leaf.role)),
            "subjectAltName",
            "names that every program reads alike",
            matched.value.clone(),
            advice::REISSUE,
        ));
    }
}

/// The roots whose name some presented certificate gives as its issuer.
fn applicable_anchors<'a>(case: &'a Case<'a>) -> Vec<&'a Anchor> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in case.facts.iter().map(|f| f.issuer_raw.as_slice()) {
        if let Err(at) = names.binary_search(&name) {
            names.insert(at, name);
        }
    }
    names.into_iter().flat_map(|name| case.policy.anchors.named(name)).map(Arc::as_ref).collect()
}

fn links<'a>(case: &'a Case<'a>, path: &VerifiedPath<'_>, anchor: &'a Anchor) -> Option<Vec<Link<'a>>> {
    let link = |position: usize, role| {
        Some(Link { facts: case.facts.get(position)?, der: case.chain.get(position)?, position, role })
    };
    let mut links = vec![link(0, Role::Server)?];
    for intermediate in path.intermediate_certificates() {
        let der = intermediate.der();
        // The first certificate is the server's; equal ones behind it are the same certificate.
        let position = case.chain.iter().skip(1).position(|c| c.as_ref() == der.as_ref())? + 1;
        links.push(link(position, Role::Intermediate)?);
    }
    links.push(Link { facts: &anchor.facts, der: anchor.der(), position: links.len(), role: Role::Root });
    Some(links)
}

/// Everything that our own rules say about a path.
fn examine<'a>(case: &'a Case<'a>, path: Vec<Link<'a>>, anchor: &'a Anchor) -> Candidate<'a> {
    let mut sink = Sink::new(case.policy.level);
    for link in &path {
        rules::certificate(link.facts, link.position, link.role, case.now, case.policy, &mut sink);
    }
    let revocation = revocation::check(&path, &case.evidence, case.policy, case.now, &mut sink);
    let matched = name(case, &path, !anchor.is_public(), &mut sink);
    reach(case, anchor, &path, &mut sink);
    depth(case, &path, &mut sink);
    pins(case, &path, &mut sink);
    Candidate { path, anchor, matched, revocation, sink }
}

/// Whether the server's certificate names whom we want, as far as the authorities above may vouch for it.
pub(crate) fn name(
    case: &Case<'_>,
    path: &[Link<'_>],
    organisation: bool,
    sink: &mut Sink,
) -> Option<Matched> {
    let (leaf, authorities) = path.split_first()?;
    match identity::identify(leaf.facts, case.identity, case.policy, organisation) {
        Identity::Match { matched, domain } => {
            if matched.by == MatchedBy::Wildcard && case.policy.profile == Profile::Sip {
                sink.warn(Finding::new(
                    Code::WildcardUsed,
                    Some(leaf.facts.summary(leaf.position, leaf.role)),
                    "subjectAltName",
                    format!("the name {} itself (RFC 5922)", case.identity),
                    matched.value.clone(),
                    "The account allows it. Ask the server's operator for a certificate that names the domain.",
                ));
            }
            // What stands in a dNSName was held against the subtrees by the path building.
            if is_uri(&matched)
                && let Some(domain) = domain
                && let Some(allowed) = identity::escapes(authorities.iter().map(|l| l.facts), &domain)
            {
                sink.refuse(Finding::new(
                    Code::NameConstraintEscape,
                    Some(leaf.facts.summary(leaf.position, leaf.role)),
                    "subjectAltName",
                    format!("names that the authorities above may vouch for: {allowed}"),
                    matched.value.clone(),
                    "Do not use this server. The authority that issued this certificate has overstepped its limits, \
                     and whoever gave it its powers should know.",
                ));
            }
            Some(matched)
        }
        Identity::NoMatch(no_match) => {
            sink.refuse(crate::explain::no_match(case, leaf, no_match));
            None
        }
    }
}

fn is_uri(matched: &Matched) -> bool {
    matched.value.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sip:"))
}

/// Whether the root may speak for this domain.
fn reach(case: &Case<'_>, anchor: &Anchor, path: &[Link<'_>], sink: &mut Sink) {
    if anchor.speaks_for(case.identity) {
        return;
    }
    let allowed: Vec<_> = anchor.scope().unwrap_or_default().iter().map(aldis_sip::Domain::as_str).collect();
    sink.refuse(Finding::new(
        Code::RootOutOfScope,
        path.last().map(|l| l.facts.summary(l.position, l.role)),
        "subject",
        format!("a root that is trusted for {}", case.identity),
        format!("this one is trusted for {}", text::list(&allowed)),
        "This partner's authority may not vouch for others. If it should, whoever manages this device has to add the \
         domain to its list.",
    ));
}

/// RFC 5280 §6.1: self-issued certificates do not count.
fn depth(case: &Case<'_>, path: &[Link<'_>], sink: &mut Sink) {
    let Some(max) = case.policy.max_depth else { return };
    let count = path.iter().filter(|l| l.role == Role::Intermediate && !l.facts.is_self_issued()).count();
    if count > max {
        sink.refuse(Finding::new(
            Code::TooDeep,
            None,
            "path",
            format!("at most {max} authorities between the server and the root"),
            count.to_string(),
            "If the chain is as it should be, raise the depth that the policy allows.",
        ));
    }
}

fn pins(case: &Case<'_>, path: &[Link<'_>], sink: &mut Sink) {
    let wanted = &case.policy.pins;
    if wanted.is_empty() {
        return;
    }
    let there: Vec<Pin> = path.iter().map(|l| Pin::of_spki(&l.facts.spki)).collect();
    if there.iter().any(|pin| wanted.contains(pin)) {
        return;
    }
    let show = |pins: &[Pin]| text::list(&pins.iter().map(ToString::to_string).collect::<Vec<_>>());
    sink.refuse(
        Finding::new(
            Code::PinMismatch,
            None,
            "subjectPublicKeyInfo",
            format!("one of the keys {}", show(wanted)),
            show(&there),
            "Do not use this server until its operator confirms that its keys have changed: somebody may be listening \
             in. Then whoever manages this device has to enter the new pin.",
        )
        .for_whom(Who::Administrator),
    );
}

/// extKeyUsage of every certificate on the path: absent, or for servers, or for SIP domains (RFC 5924 §5).
struct ForServers(Profile);

/// id-kp-serverAuth and id-kp-sipDomain as contents of an OBJECT IDENTIFIER.
const SERVER_AUTH: KeyPurposeId<'static> = KeyPurposeId::new(&[0x2b, 6, 1, 5, 5, 7, 3, 1]);
const SIP_DOMAIN: KeyPurposeId<'static> = KeyPurposeId::new(&[0x2b, 6, 1, 5, 5, 7, 3, 20]);

impl ExtendedKeyUsageValidator for ForServers {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let mut present = Vec::new();
        let mut fits = false;
        for purpose in purposes {
            let purpose = purpose?;
            fits |= purpose == SERVER_AUTH || (self.0 == Profile::Sip && purpose == SIP_DOMAIN);
            present.push(purpose.to_decoded_oid());
        }
        if fits || present.is_empty() {
            return Ok(());
        }
        let required = webpki::KeyUsage::server_auth();
        Err(webpki::Error::RequiredEkuNotFoundContext(webpki::RequiredEkuNotFoundContext {
            required,
            present,
        }))
    }
}
