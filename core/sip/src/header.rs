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

/// A name as words to compare: its first and last eight bytes (four for a short name), and which of their bits are the case
/// of a letter.
#[derive(Clone, Copy)]
struct Words {
    first: u64,
    last: u64,
    first_case: u64,
    last_case: u64,
}

/// Names shorter than this are compared by two halves of one word.
const WORD: usize = 8;
const HALF: usize = 4;

static WORDS: [Words; Header::ALL.len()] = words();

#[allow(clippy::indexing_slicing)] // evaluated by the compiler: out of range would not build
const fn words() -> [Words; Header::ALL.len()] {
    const fn word(name: &[u8], start: usize, length: usize) -> (u64, u64) {
        let (mut word, mut case, mut at) = (0u64, 0u64, 0);
        while at < length {
            let byte = name[start + at];
            word |= (byte as u64) << (8 * at);
            if byte.is_ascii_alphabetic() {
                case |= 0x20 << (8 * at);
            }
            at += 1;
        }
        (word, case)
    }
    let mut all = [Words { first: 0, last: 0, first_case: 0, last_case: 0 }; Header::ALL.len()];
    let mut at = 0;
    while at < all.len() {
        let name = Header::ALL[at].1.as_bytes();
        let length = if name.len() >= WORD { WORD } else { HALF };
        if name.len() >= HALF {
            let (first, first_case) = word(name, 0, length);
            let (last, last_case) = word(name, name.len() - length, length);
            all[at] = Words { first, last, first_case, last_case };
        }
        at += 1;
    }
    all
}

/// Whether a name is the one at a position of [`Header::ALL`], case aside.
#[inline]
fn is_name(at: usize, name: &[u8]) -> bool {
    let Some(((_, long), words)) = Header::ALL.get(at).zip(WORDS.get(at)) else { return false };
    if long.len() != name.len() {
        return false;
    }
    let (first, last) = match (name.first_chunk::<WORD>(), name.last_chunk::<WORD>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => match (name.first_chunk::<HALF>(), name.last_chunk::<HALF>()) {
            (Some(first), Some(last)) => {
                (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into())
            }
            _ => return long.as_bytes().eq_ignore_ascii_case(name),
        },
    };
    let differs = ((first ^ words.first) & !words.first_case) | ((last ^ words.last) & !words.last_case);
    differs == 0 && (name.len() <= 2 * WORD || long.as_bytes().eq_ignore_ascii_case(name))
}

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
        let at = usize::from(INDEX.get(slot).copied().unwrap_or_default()).wrapping_sub(1);
        match Header::ALL.get(at) {
            Some((header, _)) if is_name(at, name) => *header,
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
        // A byte that differs from a letter or hyphen in the bit of the case alone is another name.
        for (_, name) in Header::ALL {
            for at in 0..name.len() {
                let mut other = name.as_bytes().to_vec();
                other[at] ^= 0x20;
                let same = name.as_bytes()[at].is_ascii_alphabetic();
                assert_eq!(Header::of(&other) != Header::Other, same, "{name} {at}");
                other[at] ^= 0x21;
                assert_eq!(Header::of(&other), Header::Other, "{name} {at}");
            }
        }
        for unknown in ["", "q", "X-Own", "Vib", "Content-Lengthy"] {
            assert_eq!(Header::of(unknown.as_bytes()), Header::Other);
        }
    }
}
