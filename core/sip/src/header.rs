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
    AcceptLanguage "Accept-Language", Allow "Allow", AllowEvents "Allow-Events" 'u',
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

/// Names sorted into buckets by length, first letter folded: the look-up compares one or two candidates.
const BUCKETS: usize = 26;
const LONGEST: usize = 32;

static INDEX: [[u8; 4]; LONGEST * BUCKETS] = index();

const fn bucket(length: usize, first: u8) -> Option<usize> {
    let letter = first | 0x20;
    if length >= LONGEST || letter < b'a' || letter > b'z' {
        return None;
    }
    Some(length * BUCKETS + (letter - b'a') as usize)
}

/// For each bucket up to four positions in [`Header::ALL`], one-based, 0 for none.
#[allow(clippy::indexing_slicing)] // evaluated by the compiler: out of range would not build
const fn index() -> [[u8; 4]; LONGEST * BUCKETS] {
    let mut table = [[0u8; 4]; LONGEST * BUCKETS];
    let mut at = 0;
    while at < Header::ALL.len() {
        let name = Header::ALL[at].1.as_bytes();
        if let Some(bucket) = bucket(name.len(), name[0]) {
            let mut slot = 0;
            while table[bucket][slot] != 0 {
                slot += 1;
            }
            table[bucket][slot] = at as u8 + 1;
        }
        at += 1;
    }
    table
}

impl Header {
    /// The header of a name in any case, long or compact (RFC 3261 §7.3.3).
    pub fn of(name: &[u8]) -> Header {
        let (Some(first), length) = (name.first(), name.len()) else { return Header::Other };
        if length == 1 {
            return compact(*first);
        }
        let candidates = bucket(length, *first).and_then(|at| INDEX.get(at));
        for at in candidates.into_iter().flatten().take_while(|at| **at != 0) {
            if let Some((header, long)) = Header::ALL.get(usize::from(*at) - 1)
                && long.as_bytes().eq_ignore_ascii_case(name)
            {
                return *header;
            }
        }
        Header::Other
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
