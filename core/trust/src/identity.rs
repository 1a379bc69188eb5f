//! Whether a certificate names the server that we want (RFC 5922 §7; RFC 9525 for profile `web`).

use crate::facts::{Facts, Name};
use crate::registries::is_registry;
use crate::{Matched, MatchedBy, Policy, Profile, text};
use aldis_sip::{Domain, ReferenceIdentity};

/// What the names of a certificate say about a reference identity.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// One matches; `domain` is the domain that it proves (none for an address).
    Match { matched: Matched, domain: Option<Domain> },
    /// None does.
    NoMatch(NoMatch),
}

/// Why none matches, with everything that was there.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct NoMatch {
    /// Names that count, as text for people.
    pub(crate) counted: Vec<String>,
    /// Names that do not count, and why.
    pub(crate) ignored: Vec<(String, &'static str)>,
    /// What would have matched under another rule.
    pub(crate) near: Option<Near>,
}

/// What would have matched under another rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Near {
    /// A wildcard that is not allowed.
    Wildcard,
    /// A wildcard over a public suffix.
    BroadWildcard,
    /// A sip URI under a public root.
    PublicUri,
    /// A dNSName beside sip URIs of other domains.
    DnsBesideUris,
    /// The common name, and there is no subjectAltName.
    CommonName,
}

/// Why a URI is no SIP domain identity (RFC 5922 §7.1).
const NOT_SIP: &str = "its scheme is not sip";
const HAS_USER: &str = "it names a user, not a domain";
const HAS_PORT: &str = "it has a port";
const NO_DOMAIN: &str = "its host is not a domain name";
const ODD_BYTES: &str = "it has characters that no URI has";

/// Compares the names of `certificate` with what is wanted. `organisation` says whether the path ends at a root of the
/// user's or organisation's own: only there may a certificate carry SIP URIs.
pub(crate) fn identify(
    certificate: &Facts,
    reference: &ReferenceIdentity,
    policy: &Policy,
    organisation: bool,
) -> Identity {
    let names = Presented::read(certificate, policy.profile, organisation);
    if let Some(found) = names.matches(reference, policy) {
        return found;
    }
    for further in &policy.server_names {
        if let Some(Identity::Match { matched, domain }) =
            names.matches(&ReferenceIdentity::Domain(further.clone()), policy)
        {
            // A wildcard stays named as what it is.
            let by = if matched.by == MatchedBy::Wildcard { matched.by } else { MatchedBy::ServerName };
            return Identity::Match { matched: Matched { by, ..matched }, domain };
        }
    }
    Identity::NoMatch(names.explain(certificate, reference, policy))
}

/// Whether the certificate names that host in a dNSName; used only to explain a refusal.
pub(crate) fn names_host(certificate: &Facts, host: &str) -> bool {
    let Ok(host) = Domain::new(host) else { return false };
    certificate
        .names
        .iter()
        .flat_map(|n| &n.all)
        .any(|n| matches!(n, Name::Dns(d) if domain(d).as_ref() == Some(&host)))
}

/// The names sorted by what they are good for.
#[derive(Default)]
struct Presented {
    /// Domains of sip URIs, and the URIs.
    uris: Vec<(Domain, String)>,
    dns: Vec<String>,
    addresses: Vec<std::net::IpAddr>,
    ignored: Vec<(String, &'static str)>,
    public_uris: Vec<Domain>,
}

impl Presented {
    fn read(certificate: &Facts, profile: Profile, organisation: bool) -> Self {
        let mut presented = Presented::default();
        for name in certificate.names.iter().flat_map(|n| &n.all) {
            match name {
                Name::Dns(d) => presented.dns.push(d.clone()),
                Name::Ip(address) => presented.addresses.push(*address),
                Name::Other(kind, value) => presented.ignored.push((value.clone(), kind)),
                Name::Uri(u) if profile == Profile::Web => {
                    presented.ignored.push((u.clone(), "a URI does not name a web server"));
                }
                Name::Uri(u) => match sip_uri_domain(u) {
                    Ok(d) if organisation => presented.uris.push((d, u.clone())),
                    Ok(d) => {
                        presented.public_uris.push(d);
                        presented.ignored.push((u.clone(), "public authorities may not vouch for SIP URIs"));
                    }
                    Err(why) => presented.ignored.push((u.clone(), why)),
                },
            }
        }
        presented
    }

    fn matches(&self, reference: &ReferenceIdentity, policy: &Policy) -> Option<Identity> {
        let found = |by, value: &str, domain| {
            Some(Identity::Match { matched: Matched { by, value: text::shown(value) }, domain })
        };
        let want = match reference {
            ReferenceIdentity::Address(address) => {
                let found_address = self.addresses.iter().find(|a| *a == address)?;
                return found(MatchedBy::Ip, &found_address.to_string(), None);
            }
            ReferenceIdentity::Domain(domain) => domain,
        };
        if let Some((domain, uri)) = self.uris.iter().find(|(d, _)| d == want) {
            return found(MatchedBy::SipUri, uri, Some(domain.clone()));
        }
        if !self.uris.is_empty() {
            // RFC 5922 §7.1: DNS names count if and only if there is no sip URI identity.
            return None;
        }
        if let Some(name) = self.dns.iter().find(|d| domain(d).as_ref() == Some(want)) {
            return found(MatchedBy::Dns, name, Some(want.clone()));
        }
        if policy.profile == Profile::Web || policy.allow_wildcard {
            let name = self.dns.iter().find(|d| wildcard_covers(d, want) && !is_too_broad(d))?;
            return found(MatchedBy::Wildcard, name, Some(want.clone()));
        }
        None
    }

    fn explain(mut self, certificate: &Facts, reference: &ReferenceIdentity, policy: &Policy) -> NoMatch {
        let mut near = None;
        if let ReferenceIdentity::Domain(want) = reference {
            let dns_matches = self.dns.iter().any(|d| domain(d).as_ref() == Some(want));
            let covering: Vec<_> = self.dns.iter().filter(|d| wildcard_covers(d, want)).collect();
            if !self.uris.is_empty() && dns_matches {
                near = Some(Near::DnsBesideUris);
            } else if self.public_uris.contains(want) {
                near = Some(Near::PublicUri);
            } else if covering.iter().any(|d| is_too_broad(d)) {
                near = Some(Near::BroadWildcard);
            } else if !covering.is_empty() && !policy.allow_wildcard {
                near = Some(Near::Wildcard);
            }
        }
        if certificate.names.is_none() && !certificate.common_names.is_empty() {
            near = Some(Near::CommonName);
        }
        // A common name like "Our server" misleads nobody; one like a host needs the word.
        for name in certificate.common_names.iter().filter(|n| n.contains(['.', ':', '@'])) {
            self.ignored.push((format!("CN={name}"), "the common name is never an identity"));
        }
        let mut counted: Vec<String> = self.uris.iter().map(|(_, uri)| text::shown(uri)).collect();
        for name in self.dns {
            if !self.uris.is_empty() {
                self.ignored.push((name, "SIP URIs take precedence"));
            } else if name.contains('*') && policy.profile == Profile::Sip && !policy.allow_wildcard {
                self.ignored.push((name, "a wildcard does not name a SIP domain"));
            } else if domain(&name).is_none() && !name.starts_with("*.") {
                self.ignored.push((name, "it is not a domain name"));
            } else {
                counted.push(text::shown(&name));
            }
        }
        counted.extend(self.addresses.iter().map(ToString::to_string));
        NoMatch { counted, ignored: self.ignored, near }
    }
}

/// A presented DNS name as a domain; the rules of a reference identity hold for it as well, except that it must be
/// in A-labels already.
fn domain(name: &str) -> Option<Domain> {
    if !name.is_ascii() || name.ends_with('.') { None } else { Domain::new(name).ok() }
}

/// The host of a SIP URI that names a domain, or why it names none (RFC 5922 §7.1).
fn sip_uri_domain(uri: &str) -> Result<Domain, &'static str> {
    if !uri.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(ODD_BYTES);
    }
    let (scheme, rest) = uri.split_once(':').ok_or(NOT_SIP)?;
    if !scheme.eq_ignore_ascii_case("sip") {
        return Err(NOT_SIP);
    }
    if rest.contains('@') {
        return Err(HAS_USER);
    }
    let host = rest.split([';', '?']).next().unwrap_or_default();
    if host.contains(':') && !host.starts_with('[') {
        return Err(HAS_PORT);
    }
    domain(host).ok_or(NO_DOMAIN)
}

/// Whether `*.rest` covers the domain: exactly one label more (RFC 9525 §6.3).
fn wildcard_covers(name: &str, want: &Domain) -> bool {
    let Some(rest) = name.strip_prefix("*.").and_then(domain) else { return false };
    want.as_str().split_once('.').is_some_and(|(_, tail)| tail == rest.as_str())
}

/// Whether a wildcard is too broad to match anything: over a single label, or over a registry.
fn is_too_broad(name: &str) -> bool {
    name.strip_prefix("*.").is_some_and(|rest| !rest.contains('.')) || covers_registry(name)
}

/// Whether a wildcard covers every name of a registry: `*.uk`, `*.co.uk`.
pub(crate) fn covers_registry(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("*.") else { return false };
    is_registry(&rest.to_ascii_lowercase())
}

/// RFC 5280 §4.2.1.10 applies dNSName subtrees to dNSNames alone, so a CA limited to `.corp.example` could vouch for
/// `sip:bank.example`. A domain proven by a URI must satisfy every dNSName subtree of the authorities on its path.
/// Returns the subtrees that it does not satisfy.
pub(crate) fn escapes<'a>(authorities: impl Iterator<Item = &'a Facts>, domain: &Domain) -> Option<String> {
    let within = |base: &str| {
        let base = base.strip_prefix('.').unwrap_or(base).to_ascii_lowercase();
        base.is_empty()
            || domain.as_str().strip_suffix(base.as_str()).is_some_and(|b| b.is_empty() || b.ends_with('.'))
    };
    for facts in authorities {
        let Some(nc) = &facts.name_constraints else { continue };
        if !nc.permitted_dns.is_empty() && !nc.permitted_dns.iter().any(|b| within(b)) {
            return Some(format!("only {}", text::list(&nc.permitted_dns)));
        }
        if let Some(excluded) = nc.excluded_dns.iter().find(|b| within(b)) {
            return Some(format!("anything but {}", text::shown(excluded)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sip_uri_names_a_domain_only_without_user_port_and_tricks() {
        for (uri, expected) in [
            ("sip:example.test", Ok("example.test")),
            ("SIP:Example.TEST", Ok("example.test")),
            ("sip:example.test;transport=tls", Ok("example.test")),
            ("sip:example.test?subject=x", Ok("example.test")),
            ("sip:alice@example.test", Err(HAS_USER)),
            ("sip:evil.test;x=@example.test", Err(HAS_USER)),
            ("sips:example.test", Err(NOT_SIP)),
            ("https://example.test", Err(NOT_SIP)),
            ("example.test", Err(NOT_SIP)),
            ("sip:example.test:5061", Err(HAS_PORT)),
            ("sip:[2001:db8::1]", Err(NO_DOMAIN)),
            ("sip:192.0.2.1", Err(NO_DOMAIN)),
            ("sip:example%2etest", Err(NO_DOMAIN)),
            ("sip:example.test.", Err(NO_DOMAIN)),
            ("sip:example.test\0.evil.test", Err(ODD_BYTES)),
            ("sip:bücher.test", Err(ODD_BYTES)),
            ("sip:", Err(NO_DOMAIN)),
        ] {
            let got = sip_uri_domain(uri);
            assert_eq!(got.as_ref().map(Domain::as_str).map_err(|e| *e), expected, "{uri:?}");
        }
    }

    #[test]
    fn a_wildcard_covers_one_label_exactly() {
        let covers = |name: &str, want: &str| wildcard_covers(name, &Domain::new(want).unwrap());
        assert!(covers("*.example.test", "a.example.test"));
        assert!(!covers("*.example.test", "example.test"));
        assert!(!covers("*.example.test", "a.b.example.test"));
        assert!(!covers("a*.example.test", "ab.example.test"));
        assert!(!covers("*.*.test", "a.b.test"));
        assert!(!covers("*", "test"));
    }

    #[test]
    fn a_wildcard_for_a_registry_is_too_broad() {
        for (name, broad) in
            [("*.com", true), ("*.co.uk", true), ("*.example.co.uk", false), ("*.github.io", false)]
        {
            assert_eq!(is_too_broad(name), broad, "{name}");
        }
    }
}
