//! Receipts (RFC 5438): those that come for messages of ours, and those that senders want from us.

use crate::account::Account;
use crate::event::MessageId;
use crate::message::may_be_target;
use aldis_sip::Uri;
use aldis_sip::body::MimeHeaders;
use aldis_sip::body::cpim::{Address, Cpim, CpimError, IMDN, write_date_time};
use aldis_sip::body::imdn::{Disposition, Imdn, Status};
use std::fmt;

/// What a receipt tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReceiptKind {
    /// The message is stored at its recipient's.
    Delivered,
    /// Somebody has seen it. We say so with the user's consent alone (IMDN-07).
    Displayed,
    /// It did not arrive after all. Never ours: what we do not take is refused at once.
    Failed,
}

/// A receipt that came.
#[derive(Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The message that it is about, by the identifier that its sender gave it.
    pub message_id: String,
    /// Who sent the receipt.
    pub from: Uri<'static>,
    /// What it tells.
    pub kind: ReceiptKind,
}

/// What a receipt of ours needs to say.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceiptFor {
    /// The sender of the message: From of the request, whatever its message/cpim claimed (IMDN-06).
    pub from: Uri<'static>,
    /// The message's identifier.
    pub message_id: String,
    /// Its DateTime, as it stood there.
    pub date_time: Option<String>,
    /// To whom it says that it was sent; the account's own address without one.
    pub recipient: Option<String>,
    /// To whom a list sent it at first.
    pub original_recipient: Option<String>,
    /// IMDN-Record-Route, the first first.
    pub route: Vec<String>,
}

impl Receipt {
    /// What a receipt tells that is of interest: nothing of what a server on the way does, or will not say.
    pub(crate) fn of(from: Uri<'static>, receipt: &Imdn) -> Option<Self> {
        let kind = match (receipt.disposition, receipt.status) {
            (Disposition::Delivery, Status::Delivered) => ReceiptKind::Delivered,
            (Disposition::Display, Status::Displayed) => ReceiptKind::Displayed,
            (Disposition::Delivery, Status::Failed) => ReceiptKind::Failed,
            _ => return None,
        };
        Some(Receipt { message_id: receipt.message_id.clone(), from, kind })
    }
}

/// Whether a receipt can reach the sender of a message: an anonymous one has no address (IMDN-07).
pub(crate) fn can_be_told(from: &Uri<'_>) -> bool {
    let anonymous = from.host().is_none_or(|host| host.eq_ignore_ascii_case("anonymous.invalid"));
    !anonymous && may_be_target(from)
}

/// Where a receipt goes, and its body: a message/cpim with an identifier of its own (IMDN-03). `None` if the sender cannot
/// be told.
pub(crate) fn compose(
    account: &Account,
    about: &ReceiptFor,
    kind: ReceiptKind,
    id: &MessageId,
    now: i64,
) -> Option<(Uri<'static>, Vec<u8>)> {
    if !can_be_told(&about.from) {
        return None;
    }
    // Servers that kept themselves on the way see the receipts first (IMDN-06).
    let first = about.route.first().and_then(|route| {
        let route = route.trim().trim_start_matches('<').trim_end_matches('>');
        Uri::parse(route.to_owned()).ok().filter(may_be_target)
    });
    let to = first.unwrap_or_else(|| about.from.clone());
    let body = write(account, about, kind, id, now).ok()?;
    Some((to, body))
}

fn write(
    account: &Account,
    about: &ReceiptFor,
    kind: ReceiptKind,
    id: &MessageId,
    now: i64,
) -> Result<Vec<u8>, CpimError> {
    let (disposition, status) = match kind {
        ReceiptKind::Delivered => (Disposition::Delivery, Status::Delivered),
        ReceiptKind::Displayed => (Disposition::Display, Status::Displayed),
        ReceiptKind::Failed => (Disposition::Delivery, Status::Failed),
    };
    // The element is mandatory (RFC 5438 §11.1.2).
    let date_time = about.date_time.clone().unwrap_or_else(|| write_date_time(now));
    let mut receipt = Imdn::new(&about.message_id, &date_time, disposition, status);
    let own = account.address_of_record.to_string();
    let recipient = about.recipient.clone().unwrap_or_else(|| own.clone());
    receipt.original_recipient_uri =
        Some(about.original_recipient.clone().unwrap_or_else(|| recipient.clone()));
    receipt.recipient_uri = Some(recipient);
    let headers = MimeHeaders::new()
        .with("Content-Type", "message/imdn+xml")?
        .with("Content-Disposition", "notification")?;
    let mut cpim = Cpim::new(headers, receipt.to_xml().into_bytes())?;
    cpim.push_address("From", &Address::new("", &own)?)?;
    cpim.push_address("To", &Address::new("", about.from.as_str())?)?;
    cpim.push("DateTime", &write_date_time(now))?;
    cpim.declare("imdn", IMDN)?;
    cpim.push("imdn.Message-ID", &id.to_string())?;
    for route in &about.route {
        cpim.push("imdn.IMDN-Route", route)?;
    }
    Ok(cpim.to_bytes())
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("message_id", &self.message_id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ReceiptFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiptFor").field("message_id", &self.message_id).finish_non_exhaustive()
    }
}
