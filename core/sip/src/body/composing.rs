//! application/im-iscomposing+xml (RFC 3994): that somebody is writing.
//!
//! ```
//! use aldis_sip::body::composing::IsComposing;
//!
//! let writing = IsComposing::active(Some(60));
//! assert_eq!(IsComposing::parse(writing.to_xml().as_bytes())?, writing);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::xml::{self, XmlError, escaped};

/// The namespace of the XML (RFC 3994 §6).
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:im-iscomposing";

/// A status message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsComposing {
    /// Whether somebody is writing. States that are not known count as idle (RFC 3994 §3.5).
    pub active: bool,
    /// For how many seconds the state holds.
    pub refresh: Option<u32>,
    /// What is being written: a media type, or its first half.
    pub content_type: Option<String>,
}

impl IsComposing {
    /// Somebody is writing a text, for so many seconds at least.
    pub fn active(refresh: Option<u32>) -> Self {
        IsComposing { active: true, refresh, content_type: Some("text/plain".into()) }
    }

    /// Nobody is writing.
    pub fn idle() -> Self {
        IsComposing { active: false, refresh: None, content_type: None }
    }

    /// Reads a document. A refresh that is no number counts as none.
    ///
    /// # Errors
    /// See [`XmlError`].
    pub fn parse(body: &[u8]) -> Result<Self, XmlError> {
        let root = xml::read(body, NAMESPACE, "isComposing")?;
        let state = root.child("state").ok_or(XmlError::Unexpected { expected: "state" })?;
        Ok(IsComposing {
            active: state.text == "active",
            refresh: root.text_of("refresh").and_then(|seconds| seconds.parse().ok()),
            content_type: root.text_of("contenttype").map(str::to_owned),
        })
    }

    /// The document.
    pub fn to_xml(&self) -> String {
        let state = if self.active { "active" } else { "idle" };
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<isComposing xmlns=\"{NAMESPACE}\">\r\n<state>{state}</state>\r\n"
        );
        if let Some(kind) = &self.content_type {
            out.push_str(&format!("<contenttype>{}</contenttype>\r\n", escaped(kind)));
        }
        if let Some(seconds) = self.refresh {
            out.push_str(&format!("<refresh>{seconds}</refresh>\r\n"));
        }
        out.push_str("</isComposing>\r\n");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_is_read() {
        let example = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<isComposing\n\
            xmlns=\"urn:ietf:params:xml:ns:im-iscomposing\"\n\
            xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"\n\
            xsi:schemaLocation=\"urn:ietf:params:xml:ns:im-composing iscomposing.xsd\">\n\
            <state>active</state>\n<contenttype>text/plain</contenttype>\n<refresh>90</refresh>\n</isComposing>";
        assert_eq!(IsComposing::parse(example.as_bytes()), Ok(IsComposing::active(Some(90))));
    }

    #[test]
    fn states_that_are_not_known_are_idle_comp_04() {
        for state in ["idle", "away", "", "ACTIVE"] {
            let document = format!("<isComposing><state>{state}</state></isComposing>");
            assert!(!IsComposing::parse(document.as_bytes()).unwrap().active, "{state}");
        }
    }

    #[test]
    fn what_is_written_is_read_and_what_has_no_state_is_not() {
        for status in [IsComposing::active(Some(60)), IsComposing::active(None), IsComposing::idle()] {
            assert_eq!(IsComposing::parse(status.to_xml().as_bytes()), Ok(status));
        }
        assert!(IsComposing::parse(b"<isComposing/>").is_err());
        assert!(IsComposing::parse(b"<imdn/>").is_err());
    }
}
