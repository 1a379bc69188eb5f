//! What a certificate shall say.

use crate::PkiError;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, CrlDistributionPoint, CustomExtension,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyUsagePurpose,
    NameConstraints, SanType, SerialNumber,
};
use std::net::IpAddr;
use time::OffsetDateTime;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// What a certificate shall say; whatever is not said is as a sound certificate of that kind has it.
#[derive(Clone, Debug)]
pub struct Template {
    organisation: Option<String>,
    common_name: Option<String>,
    names: Vec<SanName>,
    validity: Option<(i64, i64)>,
    authority: Authority,
    usages: Option<Vec<Usage>>,
    purposes: Vec<Purpose>,
    permitted_dns: Vec<String>,
    excluded_dns: Vec<String>,
    permitted_addresses: Vec<(IpAddr, u8)>,
    crl_urls: Vec<String>,
    extensions: Vec<(Vec<u64>, bool, Vec<u8>)>,
    serial: Option<Vec<u8>>,
    pub(crate) key: KeyKind,
    key_identifier: bool,
}

#[derive(Clone, Debug)]
enum SanName {
    Dns(String),
    Uri(String),
    Email(String),
    Ip(IpAddr),
}

/// basicConstraints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Authority {
    /// The extension is absent.
    Unsaid,
    /// cA false.
    No,
    Yes(Option<u8>),
}

/// The kind of key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256.
    #[default]
    P256,
    /// ECDSA on P-384.
    P384,
    /// ECDSA on P-521.
    P521,
    /// Ed25519.
    Ed25519,
    /// RSA with 2048 bits; takes a moment to make.
    Rsa2048,
}

/// extKeyUsage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// serverAuth.
    Server,
    /// clientAuth.
    Client,
    /// anyExtendedKeyUsage.
    Any,
    /// id-kp-sipDomain (RFC 5924).
    SipDomain,
    /// OCSPSigning.
    OcspSigning,
    /// Another one, by its identifier.
    Other(Vec<u64>),
}

/// keyUsage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// digitalSignature.
    DigitalSignature,
    /// keyCertSign.
    CertificateSign,
    /// cRLSign.
    ListSign,
}

impl Template {
    /// A server's certificate with one dNSName: valid from an hour before its authority's "now" for 90 days.
    pub fn server(domain: &str) -> Self {
        let mut template = Template::empty();
        template.names.push(SanName::Dns(domain.to_owned()));
        template.common_name = Some("Aldis test server".to_owned());
        template.usages = Some(vec![Usage::DigitalSignature]);
        template.purposes = vec![Purpose::Server];
        template
    }

    /// A client's certificate.
    pub fn client(name: &str) -> Self {
        let mut template = Template::empty();
        template.common_name = Some(name.to_owned());
        template.usages = Some(vec![Usage::DigitalSignature]);
        template.purposes = vec![Purpose::Client];
        template
    }

    /// An authority's certificate: valid from a day before its authority's "now" for ten years.
    pub fn authority(name: &str) -> Self {
        let mut template = Template::empty();
        template.common_name = Some(name.to_owned());
        template.authority = Authority::Yes(None);
        template.usages = Some(vec![Usage::CertificateSign, Usage::ListSign, Usage::DigitalSignature]);
        template
    }

    fn empty() -> Self {
        Template {
            organisation: None,
            common_name: None,
            names: Vec::new(),
            validity: None,
            authority: Authority::Unsaid,
            usages: None,
            purposes: Vec::new(),
            permitted_dns: Vec::new(),
            excluded_dns: Vec::new(),
            permitted_addresses: Vec::new(),
            crl_urls: Vec::new(),
            extensions: Vec::new(),
            serial: None,
            key: KeyKind::P256,
            key_identifier: true,
        }
    }

    /// Removes every subjectAltName.
    #[must_use]
    pub fn no_names(mut self) -> Self {
        self.names.clear();
        self
    }

    /// Adds a dNSName, checked only to be ASCII.
    #[must_use]
    pub fn dns(mut self, name: &str) -> Self {
        self.names.push(SanName::Dns(name.to_owned()));
        self
    }

    /// Adds a URI, checked only to be ASCII.
    #[must_use]
    pub fn uri(mut self, uri: &str) -> Self {
        self.names.push(SanName::Uri(uri.to_owned()));
        self
    }

    /// Adds an e-mail address.
    #[must_use]
    pub fn email(mut self, address: &str) -> Self {
        self.names.push(SanName::Email(address.to_owned()));
        self
    }

    /// Adds an IP address.
    #[must_use]
    pub fn ip(mut self, address: IpAddr) -> Self {
        self.names.push(SanName::Ip(address));
        self
    }

    /// Sets the common name.
    #[must_use]
    pub fn common_name(mut self, name: &str) -> Self {
        self.common_name = Some(name.to_owned());
        self
    }

    /// Sets the organisation.
    #[must_use]
    pub fn organisation(mut self, name: &str) -> Self {
        self.organisation = Some(name.to_owned());
        self
    }

    /// Leaves the subject empty.
    #[must_use]
    pub fn no_subject(mut self) -> Self {
        self.common_name = None;
        self.organisation = None;
        self
    }

    /// Sets the validity, in seconds since 1970.
    #[must_use]
    pub fn valid(mut self, from: i64, to: i64) -> Self {
        self.validity = Some((from, to));
        self
    }

    /// Valid for a year that ended a day ago.
    #[must_use]
    pub fn expired(self, now: i64) -> Self {
        self.valid(now - YEAR, now - DAY)
    }

    /// Valid from tomorrow.
    #[must_use]
    pub fn not_yet(self, now: i64) -> Self {
        self.valid(now + DAY, now + YEAR)
    }

    /// Marks it as an authority's, or takes the mark away; an authority's path length is then not limited.
    #[must_use]
    pub fn is_authority(mut self, yes: bool) -> Self {
        self.authority = if yes { Authority::Yes(None) } else { Authority::No };
        self
    }

    /// Leaves basicConstraints out.
    #[must_use]
    pub fn no_basic_constraints(mut self) -> Self {
        self.authority = Authority::Unsaid;
        self
    }

    /// Makes it an authority with that many authorities below it at most.
    #[must_use]
    pub fn path_length(mut self, length: u8) -> Self {
        self.authority = Authority::Yes(Some(length));
        self
    }

    /// Sets keyUsage.
    #[must_use]
    pub fn usages(mut self, usages: &[Usage]) -> Self {
        self.usages = Some(usages.to_vec());
        self
    }

    /// Leaves keyUsage out.
    #[must_use]
    pub fn no_usages(mut self) -> Self {
        self.usages = None;
        self
    }

    /// Sets extKeyUsage.
    #[must_use]
    pub fn purposes(mut self, purposes: &[Purpose]) -> Self {
        self.purposes = purposes.to_vec();
        self
    }

    /// Leaves extKeyUsage out.
    #[must_use]
    pub fn no_purposes(mut self) -> Self {
        self.purposes.clear();
        self
    }

    /// Adds a domain to those that it may vouch for (nameConstraints).
    #[must_use]
    pub fn permit_dns(mut self, domain: &str) -> Self {
        self.permitted_dns.push(domain.to_owned());
        self
    }

    /// Adds a domain to those that it may not vouch for.
    #[must_use]
    pub fn exclude_dns(mut self, domain: &str) -> Self {
        self.excluded_dns.push(domain.to_owned());
        self
    }

    /// Adds a range of addresses to those that it may vouch for.
    #[must_use]
    pub fn permit_addresses(mut self, address: IpAddr, prefix: u8) -> Self {
        self.permitted_addresses.push((address, prefix));
        self
    }

    /// Adds a cRLDistributionPoint.
    #[must_use]
    pub fn crl_url(mut self, url: &str) -> Self {
        self.crl_urls.push(url.to_owned());
        self
    }

    /// Demands a stapled OCSP answer (RFC 7633).
    #[must_use]
    pub fn must_staple(self) -> Self {
        self.extension(&[1, 3, 6, 1, 5, 5, 7, 1, 24], false, vec![0x30, 0x03, 0x02, 0x01, 0x05])
    }

    /// Adds an extension with these contents (DER), also a second one of a kind that is there already.
    #[must_use]
    pub fn extension(mut self, oid: &[u64], critical: bool, content: Vec<u8>) -> Self {
        self.extensions.push((oid.to_vec(), critical, content));
        self
    }

    /// Sets the serial number (big-endian, positive).
    #[must_use]
    pub fn serial(mut self, serial: &[u8]) -> Self {
        self.serial = Some(serial.to_vec());
        self
    }

    /// Sets the kind of key.
    #[must_use]
    pub fn key(mut self, kind: KeyKind) -> Self {
        self.key = kind;
        self
    }

    /// Leaves authorityKeyIdentifier out.
    #[must_use]
    pub fn no_authority_key_identifier(mut self) -> Self {
        self.key_identifier = false;
        self
    }

    /// The parameters, with validity around `now` and that serial number where the template does not say.
    pub(crate) fn parameters(&self, now: i64, serial: Vec<u8>) -> Result<CertificateParams, PkiError> {
        let mut params = CertificateParams::default();
        let (from, to) = self.validity.unwrap_or(match self.authority {
            Authority::Yes(_) => (now - DAY, now + 10 * YEAR),
            Authority::No | Authority::Unsaid => (now - HOUR, now + 90 * DAY),
        });
        params.not_before = moment(from)?;
        params.not_after = moment(to)?;
        params.serial_number = Some(SerialNumber::from(self.serial.clone().unwrap_or(serial)));
        params.distinguished_name = self.distinguished_name();
        params.subject_alt_names = self.names.iter().map(SanName::parameter).collect::<Result<_, _>>()?;
        params.is_ca = match self.authority {
            Authority::Unsaid => IsCa::NoCa,
            Authority::No => IsCa::ExplicitNoCa,
            Authority::Yes(None) => IsCa::Ca(BasicConstraints::Unconstrained),
            Authority::Yes(Some(length)) => IsCa::Ca(BasicConstraints::Constrained(length)),
        };
        params.key_usages = self.usages.iter().flatten().map(Usage::parameter).collect();
        params.extended_key_usages = self.purposes.iter().map(Purpose::parameter).collect();
        params.name_constraints = self.name_constraints();
        if !self.crl_urls.is_empty() {
            params.crl_distribution_points = vec![CrlDistributionPoint { uris: self.crl_urls.clone() }];
        }
        params.custom_extensions = self
            .extensions
            .iter()
            .map(|(oid, critical, content)| {
                let mut extension = CustomExtension::from_oid_content(oid, content.clone());
                extension.set_criticality(*critical);
                extension
            })
            .collect();
        params.use_authority_key_identifier_extension = self.key_identifier;
        Ok(params)
    }

    /// The serial number, if the template sets it.
    pub(crate) fn said_serial(&self) -> Option<Vec<u8>> {
        self.serial.clone()
    }

    fn distinguished_name(&self) -> DistinguishedName {
        let mut name = DistinguishedName::new();
        if let Some(organisation) = &self.organisation {
            name.push(DnType::OrganizationName, organisation.as_str());
        }
        if let Some(common_name) = &self.common_name {
            name.push(DnType::CommonName, common_name.as_str());
        }
        name
    }

    fn name_constraints(&self) -> Option<NameConstraints> {
        let permitted = self.permitted_dns.iter().cloned().map(GeneralSubtree::DnsName);
        let addresses = self.permitted_addresses.iter();
        let addresses =
            addresses.map(|(a, p)| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*a, *p)));
        let excluded = self.excluded_dns.iter().cloned().map(GeneralSubtree::DnsName);
        let constraints = NameConstraints {
            permitted_subtrees: permitted.chain(addresses).collect(),
            excluded_subtrees: excluded.collect(),
        };
        let is_empty = constraints.permitted_subtrees.is_empty() && constraints.excluded_subtrees.is_empty();
        (!is_empty).then_some(constraints)
    }
}

impl SanName {
    fn parameter(&self) -> Result<SanType, PkiError> {
        let ascii = |text: &String| text.as_str().try_into().map_err(|_| PkiError::Name(text.clone()));
        Ok(match self {
            Self::Dns(name) => SanType::DnsName(ascii(name)?),
            Self::Uri(uri) => SanType::URI(ascii(uri)?),
            Self::Email(address) => SanType::Rfc822Name(ascii(address)?),
            Self::Ip(address) => SanType::IpAddress(*address),
        })
    }
}

impl Usage {
    fn parameter(&self) -> KeyUsagePurpose {
        match self {
            Self::DigitalSignature => KeyUsagePurpose::DigitalSignature,
            Self::CertificateSign => KeyUsagePurpose::KeyCertSign,
            Self::ListSign => KeyUsagePurpose::CrlSign,
        }
    }
}

impl Purpose {
    fn parameter(&self) -> ExtendedKeyUsagePurpose {
        match self {
            Self::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Self::Client => ExtendedKeyUsagePurpose::ClientAuth,
            Self::Any => ExtendedKeyUsagePurpose::Any,
            Self::SipDomain => ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 20]),
            Self::OcspSigning => ExtendedKeyUsagePurpose::OcspSigning,
            Self::Other(oid) => ExtendedKeyUsagePurpose::Other(oid.clone()),
        }
    }
}

pub(crate) fn moment(seconds: i64) -> Result<OffsetDateTime, PkiError> {
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| PkiError::Time(seconds))
}
