//! Names in certificates as text, as `x509-parser` writes them. Its own writing carries the names of all object
//! identifiers that it knows, algorithms and extensions too: twenty kilobytes of a program.

use std::borrow::Cow;
use std::sync::OnceLock;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{Oid, OidEntry, OidRegistry};
use x509_parser::prelude::X509Name;
use x509_parser::utils::format_serial;

/// Types of attributes below 2.5.4 (X.520), by their last number. CN, C, L, ST, O and OU have abbreviations instead, which
/// `x509-parser` knows by itself, as it does DC and Email.
const X520: &[(u8, &str)] = &[
    (0, "objectClass"),
    (1, "aliasedEntryName"),
    (2, "knowledgeInformation"),
    (4, "surname"),
    (5, "serialNumber"),
    (9, "streetAddress"),
    (12, "title"),
    (13, "description"),
    (14, "searchGuide"),
    (15, "businessCategory"),
    (16, "postalAddress"),
    (17, "postalCode"),
    (41, "name"),
    (42, "givenName"),
    (43, "initials"),
    (44, "generationQualifier"),
    (45, "uniqueIdentifier"),
    (46, "dnQualifier"),
];

/// Types of attributes elsewhere, by the content of their DER.
const OTHERS: &[(&[u8], &str)] = &[
    // 0.9.2342.19200300.100.1.1
    (b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01", "uid"),
    // 1.2.840.113549.1.9.2
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x02", "unstructuredName"),
    // 1.3.6.1.4.1.311.60.2.1.1 to .3: where a company is registered, in certificates with extended validation
    (b"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x01", "msJurisdictionLocality"),
    (b"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x02", "msJurisdictionStateOrProvince"),
    (b"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x03", "msJurisdictionCountry"),
];

/// A distinguished name: `C=DE, O=Example, CN=Example Root`.
pub(crate) fn directory(name: &X509Name<'_>) -> String {
    name.to_string_with_registry(attributes()).unwrap_or_else(|_| "<X509Error: Invalid X.509 name>".into())
}

/// A name of any kind, with its kind.
pub(crate) fn general(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::OtherName(oid, _) => format!("OtherName({oid}, [...])"),
        GeneralName::RFC822Name(address) => format!("RFC822Name({address})"),
        GeneralName::DNSName(domain) => format!("DNSName({domain})"),
        GeneralName::X400Address(_) => "X400Address(<unparsed>)".into(),
        GeneralName::DirectoryName(name) => format!("DirectoryName({})", directory(name)),
        GeneralName::EDIPartyName(_) => "EDIPartyName(<unparsed>)".into(),
        GeneralName::URI(uri) => format!("URI({uri})"),
        GeneralName::IPAddress(octets) => format!("IPAddress({})", format_serial(octets)),
        GeneralName::RegisteredID(oid) => format!("RegisteredID({oid})"),
        GeneralName::Invalid(tag, octets) => format!("Invalid(tag={tag}, data={})", format_serial(octets)),
    }
}

fn attributes() -> &'static OidRegistry<'static> {
    static ATTRIBUTES: OnceLock<OidRegistry<'static>> = OnceLock::new();
    ATTRIBUTES.get_or_init(|| {
        let mut known = OidRegistry::default();
        for (number, name) in X520 {
            known.insert(Oid::new(Cow::Owned(vec![0x55, 4, *number])), OidEntry::new(*name, ""));
        }
        for (oid, name) in OTHERS {
            known.insert(Oid::new(Cow::Borrowed(*oid)), OidEntry::new(*name, ""));
        }
        known
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use x509_parser::der_parser::asn1_rs::{Any, Tag};
    use x509_parser::objects::{oid_registry, oid2abbrev};
    use x509_parser::prelude::FromDer;

    #[test]
    fn attributes_are_called_as_the_whole_registry_calls_them() {
        let x520 = (0..=127).map(|number| Oid::new(Cow::Owned(vec![0x55, 4, number])));
        for oid in x520.chain(OTHERS.iter().map(|(oid, _)| Oid::new(Cow::Borrowed(*oid)))) {
            assert_eq!(oid2abbrev(&oid, attributes()).ok(), oid2abbrev(&oid, oid_registry()).ok(), "{oid}");
        }
        let ours: BTreeMap<_, _> =
            attributes().iter().map(|(oid, entry)| (oid.to_id_string(), entry.sn())).collect();
        assert_eq!(ours.len(), X520.len() + OTHERS.len());
        assert_eq!(ours.get("0.9.2342.19200300.100.1.1"), Some(&"uid"));
    }

    #[test]
    fn names_read_as_the_parser_writes_them() {
        // C=DE, serialNumber=7 + uid=u, and 2.5.4.97, which has no name.
        let der = b"\x30\x43\x31\x0b\x30\x09\x06\x03\x55\x04\x06\x13\x02DE\x31\x1f\x30\x08\x06\x03\x55\x04\x05\x13\x01\x37\
            \x30\x13\x06\x0a\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01\x0c\x05alice\
            \x31\x13\x30\x11\x06\x03\x55\x04\x61\x0c\x0aVATDE-1234";
        let (_, name) = X509Name::from_der(der).unwrap();
        assert_eq!(directory(&name), name.to_string());
        assert!(directory(&name).starts_with("C=DE, serialNumber=7 + uid=alice, "), "{name}");
        let oid = Oid::new(Cow::Borrowed(b"\x2a\x03".as_slice()));
        for general in [
            GeneralName::OtherName(oid.clone(), b""),
            GeneralName::RFC822Name("a@example.test"),
            GeneralName::DNSName("example.test"),
            GeneralName::X400Address(Any::from_tag_and_data(Tag(3), b"")),
            GeneralName::DirectoryName(name),
            GeneralName::EDIPartyName(Any::from_tag_and_data(Tag(5), b"")),
            GeneralName::URI("sip:example.test"),
            GeneralName::IPAddress(&[192, 0, 2, 1]),
            GeneralName::RegisteredID(oid),
            GeneralName::Invalid(Tag(2), b"\xff\x00"),
        ] {
            assert_eq!(super::general(&general), general.to_string());
        }
    }
}
