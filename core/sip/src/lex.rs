//! The lexical ground of RFC 3261 §25.1: character classes and a cursor over one header value.
//!
//! Everything here works on `&str` with byte positions, never panics, and never allocates.

use crate::block::plain_quoted;

/// The classes of §25.1 that a byte can belong to; one table look-up answers any of them.
pub(crate) mod class {
    /// `token`: alphanumeric or one of ``-.!%*_+`'~``.
    pub const TOKEN: u16 = 1;
    /// `word` of Call-ID, without the `@`: token and ``()<>:\"/[]?{}``.
    pub const WORD: u16 = 2;
    /// `unreserved` of a URI: alphanumeric or a `mark`.
    pub const UNRESERVED: u16 = 4;
    /// What a user part may hold unescaped besides unreserved: `&=+$,;?/`.
    pub const USER_EXTRA: u16 = 8;
    /// What a URI parameter may hold unescaped besides unreserved: `[]/:&+$`.
    pub const PARAM_EXTRA: u16 = 16;
    /// What a URI header may hold unescaped besides unreserved: `[]/?:+$`.
    pub const HEADER_EXTRA: u16 = 32;
    /// A digit.
    pub const DIGIT: u16 = 64;
    /// A hexadecimal digit, either case.
    pub const HEX: u16 = 128;
    /// What an unquoted parameter value may hold: a token or a host, which may be a bracketed IPv6 address.
    pub const VALUE: u16 = 256;
    /// What a host name or IPv4 address may hold. Underscores too: networks have them.
    pub const HOST: u16 = 512;
    /// What a password may hold unescaped besides unreserved: `&=+$,`.
    pub const PASSWORD_EXTRA: u16 = 1024;
    /// What a URI of a scheme that is not read further may hold (RFC 3986 §2), brackets included.
    pub const URI: u16 = 2048;

    /// What a host name holds between its dots and hyphens.
    pub const WORD_OF_HOST: u16 = 4096;

    const fn has(set: &[u8], byte: u8) -> bool {
        let mut at = 0;
        while at < set.len() {
            // A const loop over a literal: in range by its own condition.
            #[allow(clippy::indexing_slicing)]
            if set[at] == byte {
                return true;
            }
            at += 1;
        }
        false
    }

    const fn table() -> [u16; 256] {
        let mut table = [0u16; 256];
        let mut at = 0usize;
        while at < 256 {
            let byte = at as u8;
            let mut bits = 0;
            if byte.is_ascii_alphanumeric() || has(b"-.!%*_+`'~", byte) {
                bits |= TOKEN | WORD;
            }
            if has(b"()<>:\\\"/[]?{}", byte) {
                bits |= WORD;
            }
            if byte.is_ascii_alphanumeric() || has(b"-_.!~*'()", byte) {
                bits |= UNRESERVED;
            }
            if has(b"&=+$,;?/", byte) {
                bits |= USER_EXTRA;
            }
            if has(b"[]/:&+$", byte) {
                bits |= PARAM_EXTRA;
            }
            if has(b"[]/?:+$", byte) {
                bits |= HEADER_EXTRA;
            }
            if byte.is_ascii_digit() {
                bits |= DIGIT;
            }
            if byte.is_ascii_hexdigit() {
                bits |= HEX;
            }
            if bits & TOKEN != 0 || has(b"[]:", byte) {
                bits |= VALUE;
            }
            if byte.is_ascii_alphanumeric() || has(b"-._", byte) {
                bits |= HOST;
            }
            if byte.is_ascii_alphanumeric() || byte == b'_' {
                bits |= WORD_OF_HOST;
            }
            if has(b"&=+$,", byte) {
                bits |= PASSWORD_EXTRA;
            }
            if byte.is_ascii_graphic() && !has(b"\"<>\\^`{|}%", byte) {
                bits |= URI;
            }
            #[allow(clippy::indexing_slicing)]
            {
                table[at] = bits;
            }
            at += 1;
        }
        table
    }

    static TABLE: [u16; 256] = table();

    /// All classes of `byte`.
    #[inline]
    pub fn of(byte: u8) -> u16 {
        // 256 entries, indexed by a u8: always in range, and the compiler sees it.
        #[allow(clippy::indexing_slicing)]
        TABLE[byte as usize]
    }

    /// Whether `byte` belongs to any class in `mask`.
    #[inline]
    pub fn is(byte: u8, mask: u16) -> bool {
        of(byte) & mask != 0
    }
}

/// Where the run of bytes of the classes in `mask` that begins at `at` ends.
#[inline]
pub(crate) fn run(bytes: &[u8], mut at: usize, mask: u16) -> usize {
    let mut rest = bytes.get(at..).unwrap_or_default();
    // Four at a time, so that the end of the bytes is looked for once.
    while let [a, b, c, d, tail @ ..] = rest {
        if !class::is(*a, mask) {
            return at;
        }
        if !class::is(*b, mask) {
            return at + 1;
        }
        if !class::is(*c, mask) {
            return at + 2;
        }
        if !class::is(*d, mask) {
            return at + 3;
        }
        (at, rest) = (at + 4, tail);
    }
    for byte in rest {
        if !class::is(*byte, mask) {
            break;
        }
        at += 1;
    }
    at
}

/// So many digits are a number below 2^64.
const SURE_DIGITS: usize = 19;

#[cold]
fn saturating_number(digits: &[u8]) -> u64 {
    digits.iter().fold(0u64, |n, digit| n.saturating_mul(10).saturating_add(digit.wrapping_sub(b'0').into()))
}

/// Where the white space that begins at `at` ends.
#[inline]
pub(crate) fn run_wsp(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|b| is_wsp(*b)) {
        at += 1;
    }
    at
}

/// Whether all of a non-empty text is a `token`.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| class::is(b, class::TOKEN))
}

/// White space inside a header value after unfolding: space or tab.
#[inline]
pub(crate) fn is_wsp(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Without white space at either end.
#[inline]
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// A place in a header value, moving forwards only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the beginning of `text`.
    pub fn new(text: &'a str) -> Self {
        Cursor { text, at: 0 }
    }

    /// How many bytes have been read.
    #[inline]
    pub fn at(&self) -> usize {
        self.at
    }

    /// What has not been read yet.
    #[inline]
    pub fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Whether all has been read.
    #[inline]
    pub fn is_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// The next byte, not taken.
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes the next byte if it is `byte` (an ASCII one).
    #[inline]
    pub fn eat(&mut self, byte: u8) -> bool {
        let hit = self.peek() == Some(byte);
        self.at += usize::from(hit);
        hit
    }

    /// Skips spaces and tabs.
    #[inline]
    pub fn skip_wsp(&mut self) {
        while self.peek().is_some_and(is_wsp) {
            self.at += 1;
        }
    }

    /// Takes `byte` with the white space around it (SEMI, COMMA, EQUAL, SLASH, COLON of §25.1).
    /// Takes nothing if the byte is not there.
    #[inline]
    pub fn eat_spaced(&mut self, byte: u8) -> bool {
        let mut ahead = *self;
        ahead.skip_wsp();
        if !ahead.eat(byte) {
            return false;
        }
        ahead.skip_wsp();
        *self = ahead;
        true
    }

    /// Takes the longest run of bytes of the classes in `mask` (all of them ASCII), which may be empty.
    #[inline]
    pub fn take_class(&mut self, mask: u16) -> &'a str {
        let from = self.at;
        self.at = run(self.text.as_bytes(), from, mask);
        self.text.get(from..self.at).unwrap_or_default()
    }

    /// Takes digits; the number that they are, above 2^64-1 as that. Takes nothing if there are none.
    #[inline]
    pub fn number(&mut self) -> Option<u64> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let (mut number, mut length) = (0u64, 0);
        for byte in rest {
            let digit = byte.wrapping_sub(b'0');
            if digit >= 10 {
                break;
            }
            number = number.wrapping_mul(10).wrapping_add(digit.into());
            length += 1;
        }
        self.at += length;
        if length > SURE_DIGITS {
            number = rest.get(..length).map_or(0, saturating_number);
        }
        (length > 0).then_some(number)
    }

    /// Takes the longest run of bytes for which `keep` holds, which may be empty. `keep` must treat
    /// all bytes of a non-ASCII character alike.
    #[inline]
    pub fn take_while(&mut self, keep: impl Fn(u8) -> bool) -> &'a str {
        let from = self.at;
        let rest = self.text.as_bytes().get(from..).unwrap_or_default();
        let length = rest.iter().position(|b| !keep(*b)).unwrap_or(rest.len());
        self.at = from + length;
        self.text.get(from..self.at).unwrap_or_default()
    }

    /// Takes a non-empty `token`.
    #[inline]
    pub fn token(&mut self) -> Option<&'a str> {
        let token = self.take_class(class::TOKEN);
        (!token.is_empty()).then_some(token)
    }

    /// Takes a `quoted-string`, quotes included; the cursor must stand on the opening quote.
    /// A backslash may stand before any ASCII byte but CR and LF.
    pub fn quoted(&mut self) -> Option<Quoted<'a>> {
        let from = self.at;
        let end = quoted_end(self.text.as_bytes(), from)?;
        self.at = end;
        self.text.get(from + 1..end - 1).map(|inner| Quoted { inner })
    }

    /// The whole text, read or not.
    #[inline]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Goes on at this byte, which must stand between two characters.
    #[inline]
    pub fn jump(&mut self, at: usize) {
        self.at = at;
    }

    /// Takes `length` bytes of the rest; fewer if they do not end between two characters.
    #[inline]
    pub fn advance(&mut self, length: usize) {
        self.at = self.text.len().min(self.at.saturating_add(length));
    }
}

/// Where the `quoted-string` that begins at `from` ends, behind its closing quote; `None` if there is none.
pub(crate) fn quoted_end(bytes: &[u8], from: usize) -> Option<usize> {
    if bytes.get(from) != Some(&b'"') {
        return None;
    }
    let mut at = from + 1;
    // Nearly every one is short and has no backslash.
    if let Some(length) = bytes.get(at..).and_then(<[u8]>::first_chunk).and_then(plain_quoted) {
        return Some(at + length + 1);
    }
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => {
                let escaped = *bytes.get(at + 1)?;
                if escaped >= 0x80 || escaped == b'\r' || escaped == b'\n' {
                    return None;
                }
                at += 2;
            }
            b'\t' => at += 1,
            0..=0x1f | 0x7f => return None,
            _ => at += 1,
        }
    }
}

/// The inside of a `quoted-string`, escapes still in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quoted<'a> {
    inner: &'a str,
}

impl<'a> Quoted<'a> {
    /// The inside of a quoted string that was checked.
    pub(crate) fn of(inner: &'a str) -> Self {
        Quoted { inner }
    }

    /// What stands between the quotes, as it stands there.
    pub fn raw(&self) -> &'a str {
        self.inner
    }

    /// What it means: each escaped character without its backslash (RFC 3261 §25.1).
    pub fn text(&self) -> std::borrow::Cow<'a, str> {
        unescape(self.inner)
    }
}

/// A quoted string's inside without its backslashes.
pub(crate) fn unescape(inner: &str) -> std::borrow::Cow<'_, str> {
    if !inner.contains('\\') {
        return inner.into();
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out.into()
}

/// Writes `text` as a quoted string, with a backslash before each quote and backslash.
pub(crate) fn quote_into(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}
