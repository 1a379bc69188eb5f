//! Header names.

use crate::block::BLOCK;
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

/// The first sixteen bytes of a name as words to compare, zeros behind a shorter one.
#[derive(Clone, Copy)]
struct Words {
    first: u64,
    last: u64,
}

/// The bits of a word that are the case of its letters, where it has letters.
const CASE: u64 = u64::from_ne_bytes([0x20; BLOCK / 2]);

impl Words {
    const NONE: Words = Words { first: 0, last: 0 };

    #[inline(always)]
    const fn of(block: &[u8; BLOCK]) -> Words {
        let all = u128::from_le_bytes(*block);
        Words { first: all as u64, last: (all >> u64::BITS) as u64 }
    }

    #[inline(always)]
    const fn and(self, mask: Words) -> Words {
        Words { first: self.first & mask.first, last: self.last & mask.last }
    }

    /// Where a name of this length stands in the look-up table, the same for each case of its letters.
    #[inline(always)]
    const fn slot(self, length: usize, multiplier: u64) -> usize {
        let key = (self.first ^ self.last.rotate_left(24) ^ length as u64) | CASE;
        (key.wrapping_mul(multiplier) >> 55) as usize % SLOTS
    }
}

/// For each length that is less than a block, the bits of so many bytes.
static LENGTHS: [Words; BLOCK] = {
    let (mut all, mut length) = ([Words::NONE; BLOCK], 0);
    #[allow(clippy::indexing_slicing)] // evaluated by the compiler: out of range would not build
    while length < BLOCK {
        all[length] = Words::of(&((1u128 << (8 * length)) - 1).to_le_bytes());
        length += 1;
    }
    all
};

/// A header as the look-up compares it.
#[derive(Clone, Copy)]
struct Entry {
    words: Words,
    /// The bits that must be the same: not the case of a letter, nor what is behind the name.
    mask: Words,
    name: &'static str,
    header: Header,
}

impl Entry {
    const NONE: Entry = Entry::of(Header::Other, "");

    #[allow(clippy::indexing_slicing)] // evaluated by the compiler: out of range would not build
    const fn of(header: Header, name: &'static str) -> Entry {
        let (bytes, mut block, mut mask, mut at) = (name.as_bytes(), [0; BLOCK], [0xff; BLOCK], 0);
        while at < BLOCK && at < bytes.len() {
            block[at] = bytes[at];
            if bytes[at].is_ascii_alphabetic() {
                mask[at] = !0x20;
            }
            at += 1;
        }
        Entry { words: Words::of(&block), mask: Words::of(&mask), name, header }
    }
}

/// All headers, behind one without a name that is none.
const ALL_ENTRIES: [Entry; Header::ALL.len() + 1] = {
    let mut all = [Entry::NONE; Header::ALL.len() + 1];
    let mut at = 0;
    #[allow(clippy::indexing_slicing)] // evaluated by the compiler: out of range would not build
    while at < Header::ALL.len() {
        let (header, name) = Header::ALL[at];
        all[at + 1] = Entry::of(header, name);
        at += 1;
    }
    all
};

static ENTRIES: [Entry; Header::ALL.len() + 1] = ALL_ENTRIES;

/// A multiplier with which no two names share a slot, and the table: for each slot the position in [`ENTRIES`], 0 for
/// none.
#[allow(clippy::indexing_slicing)] // evaluated by the compiler: out of range would not build
const fn index() -> (u64, [u8; SLOTS]) {
    let mut multiplier = 0x9e37_79b9_7f4a_7c15_u64;
    loop {
        let mut table = [0u8; SLOTS];
        let mut at = 1;
        while at < ALL_ENTRIES.len() {
            let slot = ALL_ENTRIES[at].words.slot(ALL_ENTRIES[at].name.len(), multiplier);
            if table[slot] != 0 {
                break;
            }
            table[slot] = at as u8;
            at += 1;
        }
        if at == ALL_ENTRIES.len() {
            return (multiplier, table);
        }
        multiplier = multiplier.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814e) | 1;
    }
}

const MULTIPLIER: u64 = index().0;
static INDEX: [u8; SLOTS] = index().1;

impl Header {
    /// The header of a name in any case, long or compact (RFC 3261 §7.3.3).
    pub fn of(name: &[u8]) -> Header {
        let (start, rest) = name.split_at_checked(BLOCK).unwrap_or((name, &[]));
        let mut block = [0; BLOCK];
        block.iter_mut().zip(start).for_each(|(to, from)| *to = *from);
        match Header::find(Words::of(&block), name.len()) {
            _ if name.len() == 1 => name.first().map_or(Header::Other, |letter| compact(*letter)),
            Some(entry)
                if entry
                    .name
                    .as_bytes()
                    .get(start.len()..)
                    .is_some_and(|name| name.eq_ignore_ascii_case(rest)) =>
            {
                entry.header
            }
            _ => Header::Other,
        }
    }

    /// The header whose name is the first `length` bytes of a block, and not all of it.
    #[inline(always)] // once for each line of each message
    pub(crate) fn at_start(block: &[u8; BLOCK], length: usize) -> Option<Header> {
        if length < 2 {
            return Some(Header::of(block.get(..length)?)).filter(|header| *header != Header::Other);
        }
        let words = Words::of(block).and(*LENGTHS.get(length)?);
        Header::find(words, length).map(|entry| entry.header)
    }

    /// The entry of the name of this length that begins with these words.
    #[inline(always)]
    fn find(words: Words, length: usize) -> Option<&'static Entry> {
        let at = INDEX.get(words.slot(length, MULTIPLIER)).copied().unwrap_or_default();
        let entry = ENTRIES.get(usize::from(at))?;
        let differs = (words.first ^ entry.words.first) & entry.mask.first
            | (words.last ^ entry.words.last) & entry.mask.last;
        (differs == 0 && length == entry.name.len()).then_some(entry)
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
            for before_value in [": ", ":", "\0\0"] {
                let line = format!("{}{before_value}0123456789abcdef", name.to_lowercase());
                let expected = (name.len() < BLOCK).then_some(*header);
                assert_eq!(Header::at_start(line.as_bytes().first_chunk().unwrap(), name.len()), expected);
            }
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
        for unknown in
            ["", "q", "\0", "X-Own", "Vib", "To\0", "\0To", "Content-Lengthy", "Content-Dispositiom"]
        {
            assert_eq!(Header::of(unknown.as_bytes()), Header::Other);
            let line = format!("{unknown}: 0123456789abcdef");
            let block = line.as_bytes().first_chunk().unwrap();
            assert_eq!(Header::at_start(block, unknown.len()), None);
        }
    }
}
