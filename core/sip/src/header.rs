//! Header names.

use std::fmt;

macro_rules! headers {
    ($($variant:ident $name:literal $($compact:literal)?),* $(,)?) => {
        /// A header name that the crate knows (RFC 3261 §20 and the documents of the extensions).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Header {
            $(#[doc = concat!("`", $name, "`", $(", compact `", $compact, "`")?)] $variant,)*
            /// Any other name.
            Other,
        }

        impl Header {
            /// The long form; empty for [`Header::Other`].
            pub const fn name(self) -> &'static str {
                match self {
                    $(Header::$variant => $name,)*
                    Header::Other => "",
                }
            }

            const ALL: &'static [(Header, &'static str)] = &[$((Header::$variant, $name),)*];
        }

        const fn compact(byte: u8) -> Header {
            match byte.to_ascii_lowercase() as char {
                $($($compact => Header::$variant,)?)*
                _ => Header::Other,
            }
        }
    };
}

headers! {
    Accept "Accept", AcceptContact "Accept-Contact" 'a', AcceptEncoding "Accept-Encoding",
    AcceptLanguage "Accept-Language", AldisMessageId "Aldis-Message-ID", Allow "Allow", AllowEvents "Allow-Events" 'u',
    AuthenticationInfo "Authentication-Info", Authorization "Authorization", CallId "Call-ID" 'i', CallInfo "Call-Info",
    Contact "Contact" 'm', ContentDisposition "Content-Disposition", ContentEncoding "Content-Encoding" 'e',
    ContentLanguage "Content-Language", ContentLength "Content-Length" 'l', ContentType "Content-Type" 'c', CSeq "CSeq",
    Date "Date", ErrorInfo "Error-Info", Event "Event" 'o', Expires "Expires", FeatureCaps "Feature-Caps",
    FlowTimer "Flow-Timer", From "From" 'f', Identity "Identity" 'y', MaxForwards "Max-Forwards",
    MimeVersion "MIME-Version", MinExpires "Min-Expires", Organization "Organization",
    PAssertedIdentity "P-Asserted-Identity", Path "Path", Priority "Priority", ProxyAuthenticate "Proxy-Authenticate",
    ProxyAuthenticationInfo "Proxy-Authentication-Info", ProxyAuthorization "Proxy-Authorization",
    ProxyRequire "Proxy-Require", Reason "Reason", RecordRoute "Record-Route", ReferTo "Refer-To" 'r',
    ReferredBy "Referred-By" 'b', RejectContact "Reject-Contact" 'j', ReplyTo "Reply-To",
    RequestDisposition "Request-Disposition" 'd', Require "Require", RetryAfter "Retry-After", Route "Route",
    Server "Server", ServiceRoute "Service-Route", SessionExpires "Session-Expires" 'x', SessionId "Session-ID",
    Subject "Subject" 's', SubscriptionState "Subscription-State", Supported "Supported" 'k', Timestamp "Timestamp",
    To "To" 't', Unsupported "Unsupported", UserAgent "User-Agent", Via "Via" 'v', Warning "Warning",
    WwwAuthenticate "WWW-Authenticate",
}

/// Slots of the look-up table; enough that a multiplier without collisions is found after a few tries.
const SLOTS: usize = 512;

/// The slot of a name by its length, first, middle and last byte, letters folded.
#[inline]
const fn slot(length: usize, first: u8, middle: u8, last: u8, multiplier: u32) -> usize {
    let key = (length as u32) << 24
        | ((first | 0x20) as u32) << 16
        | ((middle | 0x20) as u32) << 8
        | (last | 0x20) as u32;
    (key.wrapping_mul(multiplier) >> 23) as usize % SLOTS
}

/// A multiplier with which no two names share a slot, and the table: for each slot the position in [`Header::ALL`],
/// one-based, 0 for none.
#[allow(clippy::indexing_slicing)] // evaluated by the compiler: out of range would not build
const fn index() -> (u32, [u8; SLOTS]) {
    let mut multiplier = 0x9e37_79b1_u32;
    loop {
        let mut table = [0u8; SLOTS];
        let mut at = 0;
        while at < Header::ALL.len() {
            let name = Header::ALL[at].1.as_bytes();
            let slot = slot(name.len(), name[0], name[name.len() / 2], name[name.len() - 1], multiplier);
            if table[slot] != 0 {
                break;
            }
            table[slot] = at as u8 + 1;
            at += 1;
        }
        if at == Header::ALL.len() {
            return (multiplier, table);
        }
        multiplier = multiplier.wrapping_mul(0x01_93_43_fd).wrapping_add(0x26_9e_c3) | 1;
    }
}

const MULTIPLIER: u32 = index().0;
static INDEX: [u8; SLOTS] = index().1;

impl Header {
    /// The header of a name in any case, long or compact (RFC 3261 §7.3.3).
    #[inline]
    pub fn of(name: &[u8]) -> Header {
        let (Some(first), Some(last)) = (name.first(), name.last()) else { return Header::Other };
        if name.len() == 1 {
            return compact(*first);
        }
        let middle = name.get(name.len() / 2).copied().unwrap_or_default();
        let slot = slot(name.len(), *first, middle, *last, MULTIPLIER);
        let candidate = INDEX.get(slot).and_then(|at| Header::ALL.get(usize::from(*at).wrapping_sub(1)));
        match candidate {
            Some((header, long)) if long.as_bytes() == name || long.as_bytes().eq_ignore_ascii_case(name) => {
                *header
            }
            _ => Header::Other,
        }
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_compact_wire_03() {
        for (header, name) in Header::ALL {
            assert_eq!(Header::of(name.as_bytes()), *header);
            assert_eq!(Header::of(name.to_uppercase().as_bytes()), *header);
        }
        for (name, header) in [("v", Header::Via), ("L", Header::ContentLength), ("i", Header::CallId)] {
            assert_eq!(Header::of(name.as_bytes()), header);
        }
        for unknown in ["", "q", "X-Own", "Vib", "Content-Lengthy"] {
            assert_eq!(Header::of(unknown.as_bytes()), Header::Other);
        }
    }
}
