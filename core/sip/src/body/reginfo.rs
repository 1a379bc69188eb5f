//! application/reginfo+xml (RFC 3680): what a registrar says of the bindings of an address.

use super::xml::{self, Element, XmlError};

/// The namespace of the XML (RFC 3680 §5.2).
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:reginfo";

/// A document: what has changed, or all there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegInfo {
    /// Whether it says everything; else only what has changed.
    pub full: bool,
    /// Counts up with each document of a subscription.
    pub version: u32,
    /// The bindings, each with its address.
    pub contacts: Vec<ContactInfo>,
}

/// One binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactInfo {
    /// The address of record that it belongs to, as it stands there.
    pub address: String,
    /// The Contact's URI, as it stands there.
    pub uri: String,
    /// Whether it holds.
    pub active: bool,
    /// Why it changed.
    pub event: ContactEvent,
    /// For how many seconds it still holds, if that is said.
    pub expires: Option<u32>,
    /// After how many seconds to register again, if that is said.
    pub retry_after: Option<u32>,
    /// The device (`+sip.instance`), if that is said.
    pub instance: Option<String>,
}

/// What happened to a binding (RFC 3680 §4.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContactEvent {
    /// Made by a REGISTER.
    Registered,
    /// Made by somebody else.
    Created,
    /// Renewed.
    Refreshed,
    /// Cut short, so that the device registers again.
    Shortened,
    /// Its time is over.
    Expired,
    /// Removed; the device is to register again at once.
    Deactivated,
    /// Removed; the device is to register again later.
    Probation,
    /// Removed by a REGISTER.
    Unregistered,
    /// Removed, and registering again is of no use.
    Rejected,
    /// Something that is not known.
    Other,
}

impl RegInfo {
    /// Reads a document. Bindings without a URI are passed over.
    ///
    /// # Errors
    /// See [`XmlError`].
    pub fn parse(body: &[u8]) -> Result<Self, XmlError> {
        let root = xml::read(body, NAMESPACE, "reginfo")?;
        let contacts =
            root.children.iter().filter(|child| child.name == "registration").flat_map(|registration| {
                let address = registration.attribute("aor").unwrap_or_default();
                let ours = registration.children.iter().filter(|child| child.name == "contact");
                ours.filter_map(move |contact| ContactInfo::read(address, contact))
            });
        Ok(RegInfo {
            full: root.attribute("state").is_none_or(|state| state == "full"),
            version: root.attribute("version").and_then(|version| version.parse().ok()).unwrap_or(0),
            contacts: contacts.collect(),
        })
    }
}

impl ContactInfo {
    fn read(address: &str, contact: &Element) -> Option<Self> {
        let seconds = |name: &str| contact.attribute(name).and_then(|text| text.parse().ok());
        let named = |child: &&Element| {
            child.name == "unknown-param"
                && child.attribute("name").is_some_and(|name| name.eq_ignore_ascii_case("+sip.instance"))
        };
        let instance =
            contact.children.iter().find(named).map(|child| child.text.trim_matches('"').to_owned());
        Some(ContactInfo {
            address: address.to_owned(),
            uri: contact.text_of("uri")?.to_owned(),
            active: contact.attribute("state") == Some("active"),
            event: ContactEvent::read(contact.attribute("event").unwrap_or_default()),
            expires: seconds("expires"),
            retry_after: seconds("retry-after"),
            instance,
        })
    }
}

impl ContactEvent {
    fn read(text: &str) -> Self {
        match text {
            "registered" => ContactEvent::Registered,
            "created" => ContactEvent::Created,
            "refreshed" => ContactEvent::Refreshed,
            "shortened" => ContactEvent::Shortened,
            "expired" => ContactEvent::Expired,
            "deactivated" => ContactEvent::Deactivated,
            "probation" => ContactEvent::Probation,
            "unregistered" => ContactEvent::Unregistered,
            "rejected" => ContactEvent::Rejected,
            _ => ContactEvent::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The document of RFC 3680 §7, with a device added.
    const DOCUMENT: &str = r#"<?xml version="1.0"?>
      <reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="1" state="partial">
        <registration aor="sip:joe@example.com" id="a7" state="active">
          <contact id="76" state="active" event="shortened" duration-registered="7322" expires="60">
            <uri>sip:joe@pc34.example.com</uri>
            <unknown-param name="+sip.instance">"&lt;urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF&gt;"</unknown-param>
          </contact>
          <contact id="77" state="terminated" event="probation" retry-after="30"><uri>sip:joe@pc35.example.com</uri></contact>
          <contact id="78" state="active" event="odd"/>
        </registration>
      </reginfo>"#;

    #[test]
    fn bindings_and_what_happened_to_them_are_read() {
        let info = RegInfo::parse(DOCUMENT.as_bytes()).unwrap();
        assert_eq!((info.full, info.version, info.contacts.len()), (false, 1, 2));
        let first = &info.contacts[0];
        assert_eq!(
            (first.address.as_str(), first.uri.as_str()),
            ("sip:joe@example.com", "sip:joe@pc34.example.com")
        );
        assert_eq!((first.active, first.event, first.expires), (true, ContactEvent::Shortened, Some(60)));
        assert_eq!(first.instance.as_deref(), Some("<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"));
        let second = &info.contacts[1];
        assert_eq!(
            (second.active, second.event, second.retry_after),
            (false, ContactEvent::Probation, Some(30))
        );
    }

    #[test]
    fn what_is_no_reginfo_is_refused() {
        assert!(RegInfo::parse(b"").is_err());
        assert!(RegInfo::parse(b"<presence/>").is_err());
        assert_eq!(
            RegInfo::parse(b"<!DOCTYPE r [<!ENTITY a \"b\">]><reginfo/>"),
            Err(XmlError::Declarations)
        );
    }
}
