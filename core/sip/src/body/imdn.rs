//! message/imdn+xml (RFC 5438 §11): what became of a message.
//!
//! ```
//! use aldis_sip::body::imdn::{Disposition, Imdn, Status};
//!
//! let receipt = Imdn::new("34jk324j", "2008-04-04T12:16:49-05:00", Disposition::Delivery, Status::Delivered);
//! assert_eq!(Imdn::parse(receipt.to_xml().as_bytes())?, receipt);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::xml::{self, Element, XmlError, escaped};

/// The namespace of the XML (RFC 5438 §11.1).
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:imdn";

/// Characters of a Message-ID that are read: identifiers have 32 or so.
pub const MAX_MESSAGE_ID: usize = 128;

/// What a receipt tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Disposition {
    /// Whether it arrived.
    Delivery,
    /// What a server on the way does with it.
    Processing,
    /// Whether somebody saw it.
    Display,
}

/// What it says (RFC 5438 §11.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It arrived.
    Delivered,
    /// It did not.
    Failed,
    /// A server has passed it on.
    Processed,
    /// A server keeps it.
    Stored,
    /// It was shown.
    Displayed,
    /// That is nobody's business.
    Forbidden,
    /// A server failed, and nobody knows.
    Error,
    /// An extension of ours or others', which says nothing.
    Other,
}

/// A receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imdn {
    /// The Message-ID of the message that it is about.
    pub message_id: String,
    /// When that message was sent, as its DateTime said; empty if it did not.
    pub datetime: String,
    /// Whom the message reached.
    pub recipient_uri: Option<String>,
    /// To whom it was sent at first.
    pub original_recipient_uri: Option<String>,
    /// What is told of.
    pub disposition: Disposition,
    /// What is told.
    pub status: Status,
}

impl Imdn {
    /// A receipt for the message of this Message-ID and DateTime.
    pub fn new(message_id: &str, datetime: &str, disposition: Disposition, status: Status) -> Self {
        Imdn {
            message_id: message_id.to_owned(),
            datetime: datetime.to_owned(),
            recipient_uri: None,
            original_recipient_uri: None,
            disposition,
            status,
        }
    }

    /// Reads a document. A missing datetime is taken, although RFC 5438 wants one; a receipt without Message-ID, or one
    /// of a kind that is not known, is none.
    ///
    /// # Errors
    /// See [`XmlError`].
    pub fn parse(body: &[u8]) -> Result<Self, XmlError> {
        let root = xml::read(body, NAMESPACE, "imdn")?;
        let message_id = root
            .text_of("message-id")
            .filter(|id| id.len() <= MAX_MESSAGE_ID)
            .ok_or(XmlError::Unexpected { expected: "message-id" })?;
        let known = |name| root.child(name).map(|element| (name, element));
        let (kind, element) = ["delivery-notification", "display-notification", "processing-notification"]
            .into_iter()
            .find_map(known)
            .ok_or(XmlError::Unexpected { expected: "delivery-notification" })?;
        let disposition = match kind {
            "delivery-notification" => Disposition::Delivery,
            "display-notification" => Disposition::Display,
            _ => Disposition::Processing,
        };
        let status = element.child("status").ok_or(XmlError::Unexpected { expected: "status" })?;
        let optional = |name| root.text_of(name).map(str::to_owned);
        Ok(Imdn {
            message_id: message_id.to_owned(),
            datetime: optional("datetime").unwrap_or_default(),
            recipient_uri: optional("recipient-uri"),
            original_recipient_uri: optional("original-recipient-uri"),
            disposition,
            status: status.children.first().map_or(Status::Other, Status::of),
        })
    }

    /// The document.
    pub fn to_xml(&self) -> String {
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<imdn xmlns=\"{NAMESPACE}\">\r\n<message-id>{}</message-id>\r\n\
             <datetime>{}</datetime>\r\n",
            escaped(&self.message_id),
            escaped(&self.datetime)
        );
        for (name, uri) in
            [("recipient-uri", &self.recipient_uri), ("original-recipient-uri", &self.original_recipient_uri)]
        {
            if let Some(uri) = uri {
                out.push_str(&format!("<{name}>{}</{name}>\r\n", escaped(uri)));
            }
        }
        let kind = match self.disposition {
            Disposition::Delivery => "delivery-notification",
            Disposition::Processing => "processing-notification",
            Disposition::Display => "display-notification",
        };
        let status = self.status.name();
        out.push_str(&format!("<{kind}><status><{status}/></status></{kind}>\r\n</imdn>\r\n"));
        out
    }
}

impl Status {
    fn of(element: &Element) -> Self {
        match element.name.as_str() {
            "delivered" => Status::Delivered,
            "failed" => Status::Failed,
            "processed" => Status::Processed,
            "stored" => Status::Stored,
            "displayed" => Status::Displayed,
            "forbidden" => Status::Forbidden,
            "error" => Status::Error,
            _ => Status::Other,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Status::Delivered => "delivered",
            Status::Failed => "failed",
            Status::Processed => "processed",
            Status::Stored => "stored",
            Status::Displayed => "displayed",
            Status::Forbidden => "forbidden",
            Status::Error | Status::Other => "error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5438 §7.2.1.1, with its odd line breaks.
    const EXAMPLE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<imdn xmlns=\"urn:ietf:params:xml:ns:imdn\">\n\
        <message-id>34jk324j</message-id>\n<datetime>2008-04-04T12:16:49-05:00</datetime>\n\
        <recipient-uri>im:bob@example.com</recipient-uri>\n<original-recipient-uri\n>im:bob@example.com\
        </original-recipient-uri>\n<delivery-notification>\n<status>\n<delivered/>\n</status>\n</delivery-notification>\n\
        </imdn>";

    #[test]
    fn the_example_of_the_rfc_is_read_imdn_08() {
        let bob = Some("im:bob@example.com".to_owned());
        let mut expected =
            Imdn::new("34jk324j", "2008-04-04T12:16:49-05:00", Disposition::Delivery, Status::Delivered);
        (expected.recipient_uri, expected.original_recipient_uri) = (bob.clone(), bob);
        assert_eq!(Imdn::parse(EXAMPLE.as_bytes()), Ok(expected));
    }

    #[test]
    fn every_status_is_written_as_it_is_read_imdn_03() {
        use Disposition::{Delivery, Display, Processing};
        for (disposition, status) in [
            (Delivery, Status::Delivered),
            (Delivery, Status::Failed),
            (Delivery, Status::Forbidden),
            (Delivery, Status::Error),
            (Display, Status::Displayed),
            (Processing, Status::Processed),
            (Processing, Status::Stored),
        ] {
            let mut receipt = Imdn::new("a<b>&\"", "2008", disposition, status);
            receipt.recipient_uri = Some("sip:a&b@example.test".into());
            assert_eq!(Imdn::parse(receipt.to_xml().as_bytes()), Ok(receipt));
        }
    }

    #[test]
    fn a_status_of_another_namespace_says_nothing() {
        let odd = EXAMPLE.replace("<delivered/>", "<o:read xmlns:o='urn:o'/>");
        assert_eq!(Imdn::parse(odd.as_bytes()).unwrap().status, Status::Other);
    }

    #[test]
    fn a_receipt_without_its_parts_is_none() {
        for part in ["message-id", "delivery-notification", "status"] {
            let without = EXAMPLE.replace(part, "x");
            assert!(Imdn::parse(without.as_bytes()).is_err(), "{part}");
        }
        let long = EXAMPLE.replace("34jk324j", &"x".repeat(MAX_MESSAGE_ID + 1));
        assert!(Imdn::parse(long.as_bytes()).is_err());
    }
}
