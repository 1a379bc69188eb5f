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

/// A name as two words to compare, case aside: its first and last eight bytes; four and four in one word for a name of four to
/// seven bytes, single bytes for a shorter one.
#[derive(Clone, Copy)]
struct Words {
    first: u64,
    last: u64,
}

const WORD: usize = 8;
const HALF: usize = 4;
/// The bits of a word that are the case of its letters, where it has letters.
const CASE: u64 = u64::from_ne_bytes([0x20; WORD]);

impl Words {
    #[inline]
    const fn of(name: &[u8]) -> Words {
        if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
            Words { first: u64::from_le_bytes(*first), last: u64::from_le_bytes(*last) }
        } else if let (Some(first), Some(last)) = (name.first_chunk::<HALF>(), name.last_chunk::<HALF>()) {
            let (first, last) = (u32::from_le_bytes(*first) as u64, u32::from_le_bytes(*last) as u64);
            Words { first: first | last << 32, last: 0 }
        } else {
            let first = match name {
                [a] => *a as u64,
                [a, b] => *a as u64 | (*b as u64) << 8,
                [a, b, c] => *a as u64 | (*b as u64) << 8 | (*c as u64) << 16,
                _ => 0,
            };
            Words { first, last: 0 }
        }
    }

    #[inline]
    const fn slot(self, length: usize, multiplier: u64) -> usize {
        let key = (self.first | CASE) ^ (self.last | CASE).rotate_left(29) ^ length as u64;
        (key.wrapping_mul(multiplier) >> 55) as usize % SLOTS
    }

    /// The bits that are the case of a letter.
    const fn case(self) -> Words {
        const fn of(word: u64) -> u64 {
            let (bytes, mut case, mut at) = (word.to_le_bytes(), [0; WORD], 0);
            while at < WORD {
                #[allow(clippy::indexing_slicing)] // evaluated by the compiler: out of range would not build
                if bytes[at].is_ascii_alphabetic() {
                    case[at] = 0x20;
                }
                at += 1;
            }
            u64::from_le_bytes(case)
        }
        Words { first: of(self.first), last: of(self.last) }
    }
}

/// A header as the look-up compares it.
#[derive(Clone, Copy)]
struct Entry {
    words: Words,
    case: Words,
    name: &'static str,
    header: Header,
}

static ENTRIES: [Entry; Header::ALL.len()] = {
    let none = Words { first: 0, last: 0 };
    let mut all = [Entry { words: none, case: none, name: "", header: Header::Other }; Header::ALL.len()];
    let mut at = 0;
    #[allow(clippy::indexing_slicing)] // evaluated by the compiler: out of range would not build
    while at < all.len() {
        let (header, name) = Header::ALL[at];
        let words = Words::of(name.as_bytes());
        all[at] = Entry { words, case: words.case(), name, header };
        at += 1;
    }
    all
};

/// A multiplier with which no two names share a slot, and the table: for each slot the position in [`ENTRIES`], one-based, 0
/// for none.
#[allow(clippy::indexing_slicing)] // evaluated by the compiler: out of range would not build
const fn index() -> (u64, [u8; SLOTS]) {
    let mut multiplier = 0x9e37_79b9_7f4a_7c15_u64;
    loop {
        let mut table = [0u8; SLOTS];
        let mut at = 0;
        while at < Header::ALL.len() {
            let name = Header::ALL[at].1.as_bytes();
            let slot = Words::of(name).slot(name.len(), multiplier);
            if table[slot] != 0 {
                break;
            }
            table[slot] = at as u8 + 1;
            at += 1;
        }
        if at == Header::ALL.len() {
            return (multiplier, table);
        }
        multiplier = multiplier.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814e) | 1;
    }
}

const MULTIPLIER: u64 = index().0;
static INDEX: [u8; SLOTS] = index().1;

impl Header {
    /// The header of a name in any case, long or compact (RFC 3261 §7.3.3).
    #[inline(always)] // once for each line of each message
    pub fn of(name: &[u8]) -> Header {
        if let [letter] = name {
            return compact(*letter);
        }
        let words = Words::of(name);
        let at = INDEX.get(words.slot(name.len(), MULTIPLIER)).copied().unwrap_or_default();
        match ENTRIES.get(usize::from(at).wrapping_sub(1)) {
            Some(entry) if entry.is(name, words) => entry.header,
            _ => Header::Other,
        }
    }
}

impl Entry {
    #[inline(always)]
    fn is(&self, name: &[u8], words: Words) -> bool {
        let differs = (words.first ^ self.words.first) & !self.case.first
            | (words.last ^ self.words.last) & !self.case.last;
        differs == 0
            && name.len() == self.name.len()
            // The words say all of a name of up to two of them.
            && (name.len() <= 2 * WORD || self.name.as_bytes().eq_ignore_ascii_case(name))
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
