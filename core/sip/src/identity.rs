//! Whom a server must prove to be.

use std::fmt;
use std::net::IpAddr;

/// The reference identity: the domain (or, in a closed network, the address) that the user typed and that a
/// server must prove to speak for (RFC 5922 §7.3, RFC 9525).
///
/// It comes from the account's address of record or from the outbound proxy that the user named, and from nowhere
/// else: what DNS, a redirect or a Contact says never becomes one. Domains are kept as lower-case A-labels without a
/// trailing dot.
///
/// ```
/// use aldis_sip::ReferenceIdentity;
/// let identity = ReferenceIdentity::new("Example.TEST.").unwrap();
/// assert_eq!(identity.to_string(), "example.test");
/// assert!(ReferenceIdentity::new("sip.example.test:5061").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReferenceIdentity {
    /// A DNS domain, as lower-case A-labels.
    Domain(Domain),
    /// An IP address.
    Address(IpAddr),
}

/// A DNS domain name as lower-case A-labels, without a trailing dot; letters, digits, hyphens and underscores only.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(String);

/// Why a text is not a reference identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIdentity {
    /// Nothing was given.
    #[error("no domain was given")]
    Empty,
    /// A port stands behind the host; an identity has none.
    #[error("{0:?} has a port; a server's identity is a name without one")]
    HasPort(String),
    /// A URI; an identity is the domain alone.
    #[error("{0:?} is a URI; a server's identity is its domain alone")]
    IsUri(String),
    /// Not a domain name and not an IP address.
    #[error("{0:?} is neither a domain name nor an IP address")]
    NotAName(String),
}

impl ReferenceIdentity {
    /// Reads a domain name (international ones are converted to A-labels), an IPv4 address, or an IPv6 address with
    /// or without brackets.
    ///
    /// # Errors
    /// [`InvalidIdentity`] if the text is neither.
    pub fn new(text: &str) -> Result<Self, InvalidIdentity> {
        if text.is_empty() {
            return Err(InvalidIdentity::Empty);
        }
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        if let Some(inner) = bare {
            return match inner.parse() {
                Ok(address) => Ok(Self::Address(IpAddr::V6(address))),
                Err(_) => Err(InvalidIdentity::NotAName(text.into())),
            };
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        if let Some((scheme, _)) = text.split_once(':') {
            let is_uri =
                ["sip", "sips", "tel", "http", "https"].iter().any(|uri| scheme.eq_ignore_ascii_case(uri));
            let wrong = if is_uri { InvalidIdentity::IsUri } else { InvalidIdentity::HasPort };
            return Err(wrong(text.into()));
        }
        Domain::new(text).map(Self::Domain)
    }
}

impl Domain {
    /// Longest name in octets (RFC 1035 §2.3.4, as text without the trailing dot).
    const MAX_NAME: usize = 253;
    /// Longest label in octets.
    const MAX_LABEL: usize = 63;

    /// Reads a domain name; international labels become A-labels (UTS #46).
    ///
    /// # Errors
    /// [`InvalidIdentity`] if it is not one; a last label of digits alone is an address in disguise and refused.
    pub fn new(text: &str) -> Result<Self, InvalidIdentity> {
        let wrong = || InvalidIdentity::NotAName(text.into());
        let name = text.strip_suffix('.').unwrap_or(text);
        let name = if name.is_ascii() {
            name.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii(name).map_err(|_| wrong())?
        };
        let label_fits = |label: &str| {
            !label.is_empty()
                && label.len() <= Self::MAX_LABEL
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let digits_last = name.rsplit('.').next().is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
        if name.len() > Self::MAX_NAME || digits_last || !name.split('.').all(label_fits) {
            return Err(wrong());
        }
        Ok(Domain(name))
    }

    /// The name as lower-case A-labels.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ReferenceIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_kept_as_lower_case_a_labels() {
        for (text, expected) in [
            ("example.test", "example.test"),
            ("EXAMPLE.Test.", "example.test"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:DB8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(ReferenceIdentity::new(text).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_is_not_a_name_is_refused() {
        for text in
            ["", "a..b", "-a.test", "a-.test", "exa mple.test", "1.2.3.4.5", "[192.0.2.1]", "[::1", "a\0b"]
        {
            assert!(ReferenceIdentity::new(text).is_err(), "{text:?}");
        }
        assert!(matches!(ReferenceIdentity::new("a.test:5061"), Err(InvalidIdentity::HasPort(_))));
        assert!(matches!(ReferenceIdentity::new("SIP:a.test"), Err(InvalidIdentity::IsUri(_))));
    }
}
