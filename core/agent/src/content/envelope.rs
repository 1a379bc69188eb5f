//! What stands around a message/cpim: who claims to have written it, when, and what he wants to know.

use aldis_sip::Uri;
use aldis_sip::body::cpim::{Address, CORE, Cpim, Header, IMDN, read_date_time};
use aldis_sip::body::imdn::MAX_MESSAGE_ID;
use std::fmt;

/// Most addresses of IMDN-Record-Route that are read; each is a server that wants to see the receipts.
const MAX_ROUTES: usize = 8;

/// The receipts that a sender asks for (RFC 5438 §6.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiptsWanted {
    /// When it has arrived (`positive-delivery`).
    pub delivery: bool,
    /// When it did not arrive (`negative-delivery`).
    pub failure: bool,
    /// When somebody has seen it (`display`).
    pub display: bool,
}

impl ReceiptsWanted {
    /// All three.
    pub const ALL: ReceiptsWanted = ReceiptsWanted { delivery: true, failure: true, display: true };

    /// Whether any is wanted.
    pub fn any(self) -> bool {
        self.delivery || self.failure || self.display
    }

    pub(crate) fn to_field(self) -> String {
        let names = [
            (self.delivery, "positive-delivery"),
            (self.failure, "negative-delivery"),
            (self.display, "display"),
        ];
        names.iter().filter(|(wanted, _)| *wanted).map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    }

    /// What is not known is ignored (RFC 5438 §7.2.1).
    fn of(field: &str) -> Self {
        let mut wanted = ReceiptsWanted::default();
        for name in field.split(',') {
            match name.split(';').next().unwrap_or_default().trim() {
                "positive-delivery" => wanted.delivery = true,
                "negative-delivery" => wanted.failure = true,
                "display" => wanted.display = true,
                _ => {}
            }
        }
        wanted
    }
}

/// The header fields of a message/cpim. All are claims of the sender: SIP vouches for From of the request alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Who is said to have written it.
    pub from: Option<Address>,
    /// To whom it is said to have been written.
    pub to: Vec<Address>,
    /// To whom a list sent it at first (RFC 5438 §6.6).
    pub original_to: Option<Address>,
    /// When it is said to have been written, as it stands there.
    pub date_time: Option<String>,
    /// The subject.
    pub subject: Option<String>,
    /// What receipts name it by.
    pub message_id: Option<String>,
    /// The receipts that are wanted.
    pub receipts: ReceiptsWanted,
    /// Servers that its receipts go through, the first first.
    pub record_route: Vec<String>,
}

impl Envelope {
    pub(super) fn of(cpim: &Cpim) -> Self {
        let text = |namespace, name| cpim.get(namespace, name).map(|header| header.value().into_owned());
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        Envelope {
            from: cpim.from(),
            to: cpim.to().collect(),
            original_to: cpim.get(IMDN, "Original-To").and_then(Header::address),
            date_time: filled(text(CORE, "DateTime")),
            subject: filled(text(CORE, "Subject")),
            message_id: filled(text(IMDN, "Message-ID")).filter(|id| id.len() <= MAX_MESSAGE_ID),
            receipts: text(IMDN, "Disposition-Notification")
                .map_or_else(Default::default, |field| ReceiptsWanted::of(&field)),
            record_route: cpim
                .all(IMDN, "IMDN-Record-Route")
                .map(|header| header.value().into_owned())
                .take(MAX_ROUTES)
                .collect(),
        }
    }

    /// Its date in seconds since 1970.
    pub fn sent_at(&self) -> Option<i64> {
        self.date_time.as_deref().and_then(read_date_time)
    }

    /// Who is said to have written it, if that is somebody else than who sent it: an app shows that as a claim (CPIM-05).
    /// Compared by user and domain, as servers rewrite the rest (I-04).
    pub fn claimed_from(&self, sip_from: &Uri<'_>) -> Option<&Address> {
        let claim = self.from.as_ref()?;
        let same = |claimed: &Uri<'_>| {
            let parts = |uri: &Uri<'_>| {
                let host = uri.host().unwrap_or_default().to_ascii_lowercase();
                (uri.user().unwrap_or_default().into_owned(), host)
            };
            parts(claimed) == parts(sip_from)
        };
        // `im:` of RFC 3860 names the same user.
        let text = match claim.uri().split_once(':') {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("im") => format!("sip:{rest}"),
            _ => claim.uri().to_owned(),
        };
        match Uri::parse(text) {
            Ok(uri) if same(&uri) => None,
            _ => Some(claim),
        }
    }
}

/// The CPIM headers that a Require may name.
pub(super) fn understands(namespace: &str, name: &str) -> bool {
    match namespace {
        CORE => matches!(name, "From" | "To" | "cc" | "DateTime" | "Subject" | "NS" | "Require"),
        IMDN => matches!(
            name,
            "Message-ID" | "Disposition-Notification" | "Original-To" | "IMDN-Record-Route" | "IMDN-Route"
        ),
        _ => false,
    }
}

impl fmt::Debug for Envelope {
    /// Without names and addresses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("date_time", &self.date_time)
            .field("message_id", &self.message_id)
            .field("receipts", &self.receipts)
            .finish_non_exhaustive()
    }
}
