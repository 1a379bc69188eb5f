//! The form in which a message leaves: as it is, or in a message/cpim that carries more than the text.

use crate::account::Account;
use crate::event::MessageId;
use crate::message::{Kind, NewMessage};
use crate::peers::PeerFacts;
use aldis_sip::FieldText;
use aldis_sip::body::cpim::{Address, Cpim, CpimError, IMDN, write_date_time};
use aldis_sip::body::{MediaType, MimeHeaders};
use aldis_sip::fields::Accept;
use aldis_sip::{Header, Message};
use bytes::Bytes;

/// How a message leaves (MSG-15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As the app gave it: everybody reads it.
    Bare,
    /// In a message/cpim, with its identifier, its date and the receipts that it asks for.
    Cpim,
}

impl Form {
    /// CPIM where receipts are asked for or the peer is known to read it, unless it refused it.
    pub fn of(message: &NewMessage, facts: PeerFacts) -> Self {
        let can_be_wrapped = message.kind == Kind::Message
            && MediaType::parse(message.content_type.as_str())
                .is_some_and(|kind| !kind.is("message", "cpim"));
        let worth_it = message.receipts.any() || facts.reads_cpim;
        if can_be_wrapped && worth_it && !facts.refuses_cpim { Form::Cpim } else { Form::Bare }
    }
}

/// The message in a message/cpim.
pub(super) fn wrap(account: &Account, message: &NewMessage, id: &MessageId, date: i64) -> Bytes {
    // Addresses and content type were read as such before: only a URI with characters that CPIM's brackets cannot hold
    // is left out, and the request's own From and To stand for it.
    write(account, message, id, date, true)
        .or_else(|_| write(account, message, id, date, false))
        .unwrap_or_else(|_| message.body.clone())
}

fn write(
    account: &Account,
    message: &NewMessage,
    id: &MessageId,
    date: i64,
    addresses: bool,
) -> Result<Bytes, CpimError> {
    let name = account.from.display().unwrap_or_default();
    let headers = MimeHeaders::new().with("Content-Type", message.content_type.as_str())?;
    let mut cpim = Cpim::new(headers, message.body.clone())?;
    if addresses {
        cpim.push_address("From", &Address::new(&name, account.address_of_record.as_str())?)?;
        cpim.push_address("To", &Address::new("", message.to.as_str())?)?;
    }
    cpim.push("DateTime", &write_date_time(date))?;
    cpim.declare("imdn", IMDN)?;
    cpim.push("imdn.Message-ID", &id.to_string())?;
    if message.receipts.any() {
        cpim.push("imdn.Disposition-Notification", &message.receipts.to_field())?;
    }
    Ok(cpim.to_bytes().into())
}

/// The types that a 415 says would be taken; `None` if it does not say (Asterisk, I-01).
pub(super) fn accepted(response: &Message) -> Option<Vec<String>> {
    response.has(Header::Accept).then(|| {
        let named =
            response.all::<Accept<'_>>().flatten().map(|range| format!("{}/{}", range.kind, range.subtype));
        named.take(MAX_ACCEPTED).collect()
    })
}

/// Most types of an Accept that are read.
const MAX_ACCEPTED: usize = 64;

/// Whether a type is among those that are taken.
pub(super) fn is_accepted(accepted: &[String], content_type: &str) -> bool {
    let Some(kind) = MediaType::parse(content_type) else { return false };
    accepted.iter().any(|range| {
        let (main, sub) = range.split_once('/').unwrap_or((range, ""));
        (main == "*" || main.eq_ignore_ascii_case(kind.kind()))
            && (sub == "*" || sub.eq_ignore_ascii_case(kind.subtype()))
    })
}

/// A text of another type as plain text, if it can be read as such.
pub(super) fn as_plain_text(content_type: &str) -> Option<FieldText<'static>> {
    let kind = MediaType::parse(content_type)?;
    let readable =
        kind.kind() == "text" && !matches!(kind.subtype(), "plain" | "html" | "enriched" | "rtf" | "xml");
    let plain = match kind.parameter("charset") {
        Some(charset) => FieldText::new(format!("text/plain;charset={charset}")),
        None => FieldText::new("text/plain"),
    };
    plain.ok().filter(|_| readable)
}
