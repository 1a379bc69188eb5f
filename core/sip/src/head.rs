//! The head lexer: start line and header lines of one message, as spans of its bytes.

use crate::defect::{Defect, Place, Problem};
use crate::lex::{class, is_wsp, run, run_wsp};
use crate::limits::{MAX_FIELDS, MAX_HEAD};
use crate::{Header, StatusCode};
use bytes::Bytes;
use bytestring::ByteString;
use memchr::memchr;

/// A stretch of the head; heads are at most [`MAX_HEAD`] bytes long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub start: u16,
    pub length: u16,
}

impl Span {
    fn new(start: usize, length: usize) -> Self {
        // Both are below MAX_HEAD, which fits.
        Span { start: start as u16, length: length as u16 }
    }

    pub fn of<'a>(&self, head: &'a [u8]) -> &'a [u8] {
        let start = usize::from(self.start);
        head.get(start..start + usize::from(self.length)).unwrap_or_default()
    }
}

/// The bytes of a head. Nearly every head is UTF-8 throughout, which is found out once; in the others each value is looked at
/// when it is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    Utf8(ByteString),
    Other(Bytes),
}

impl Text {
    #[inline(always)]
    fn new(bytes: Bytes, is_ascii: bool) -> Self {
        // ASCII is UTF-8: there is no second case to keep the bytes for.
        let otherwise = if is_ascii { Bytes::new() } else { bytes.clone() };
        match ByteString::try_from(bytes) {
            Ok(text) => Text::Utf8(text),
            Err(_) => Text::Other(otherwise),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            Text::Utf8(text) => text.as_bytes(),
            Text::Other(bytes) => bytes,
        }
    }

    /// A stretch as text; the error is where it stops being UTF-8.
    #[inline]
    pub fn str(&self, span: &Span) -> Result<&str, usize> {
        match self {
            Text::Utf8(text) => {
                let start = usize::from(span.start);
                // Stretches begin and end at ASCII bytes.
                Ok(text.get(start..start + usize::from(span.length)).unwrap_or_default())
            }
            Text::Other(bytes) => std::str::from_utf8(span.of(bytes)).map_err(|error| error.valid_up_to()),
        }
    }
}

/// One header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub header: Header,
    pub name: Span,
    pub value: Span,
}

/// What the start line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Request {
        method: Span,
        uri: Span,
    },
    Response {
        status: StatusCode,
        reason: Span,
    },
    /// A request line or status line with a defect.
    Bad {
        response: bool,
        defect: Box<Defect>,
    },
}

/// A head taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// The head's bytes: those received, or a copy with its folds replaced if it had any.
    pub text: Text,
    pub start: Start,
    pub lines: Vec<Line>,
    /// Which headers are there.
    pub seen: HeaderSet,
    /// Which headers have more than one line.
    pub repeated: HeaderSet,
    /// The first defect among the header lines.
    pub defect: Option<Box<Defect>>,
    /// Where bytes were left out by unfolding: position in `text`, and how many in all up to there.
    pub folds: Box<[(u16, u16)]>,
}

/// A set of headers, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeaderSet(u64);

impl HeaderSet {
    #[inline]
    fn bit(header: Header) -> u64 {
        1 << (header as u8)
    }

    /// Adds a header; says whether it was there.
    #[inline]
    fn insert(&mut self, header: Header) -> bool {
        let before = self.0;
        self.0 |= Self::bit(header);
        before == self.0
    }

    #[inline]
    pub fn contains(self, header: Header) -> bool {
        self.0 & Self::bit(header) != 0
    }
}

const _: () = assert!((Header::Other as u8) < 64, "HeaderSet has a bit for each header");

impl Head {
    /// The offset, as received, of a position in the head.
    pub fn received_offset(&self, at: usize) -> usize {
        let before = self.folds.partition_point(|(position, _)| usize::from(*position) <= at);
        at + self.left_out(before)
    }

    /// The length of the head as received, with the empty line.
    pub fn received_length(&self) -> usize {
        self.text.bytes().len() + self.left_out(self.folds.len())
    }

    /// How many bytes the first `folds` folds left out.
    fn left_out(&self, folds: usize) -> usize {
        folds.checked_sub(1).and_then(|last| self.folds.get(last)).map_or(0, |(_, sum)| usize::from(*sum))
    }
}

/// Most headers of a message that this crate expects; more cost one growth of the list.
const USUAL_FIELDS: usize = 24;

/// Takes the head at the beginning of `bytes` apart; what follows it is left there.
///
/// # Errors
/// A defect that leaves no lines to speak of: no end of the head, or one over the limit.
#[inline(always)] // a head is large, and made where it stays
pub(crate) fn lex(bytes: &mut Bytes) -> Result<Head, Defect> {
    match lines(bytes, true) {
        Lexed { ended: Some(end), head: Some(mut head), line_ends } => {
            head.keep(bytes.split_to(end), line_ends);
            Ok(head)
        }
        Lexed { head: None, .. } => lex_folded(bytes),
        _ => Err(no_end(bytes)),
    }
}

/// Takes apart what there is of a head that has no end.
pub(crate) fn lex_unterminated(bytes: Bytes) -> Option<Head> {
    if bytes.len() > MAX_HEAD {
        return None;
    }
    match lines(&bytes, true) {
        Lexed { head: Some(mut head), line_ends, .. } => {
            head.keep(bytes, line_ends);
            Some(head)
        }
        _ => unfolded(&bytes),
    }
}

fn no_end(bytes: &Bytes) -> Defect {
    let problem = if bytes.len() > MAX_HEAD { Problem::Limit } else { Problem::Unterminated };
    Defect { place: Place::Head, offset: bytes.len().min(MAX_HEAD), problem }
}

/// A head with folds: they are replaced in a copy first.
#[cold]
fn lex_folded(bytes: &mut Bytes) -> Result<Head, Defect> {
    let window = bytes.get(..bytes.len().min(MAX_HEAD)).unwrap_or_default();
    let end = memchr::memmem::find(window, b"\r\n\r\n").ok_or_else(|| no_end(bytes))? + 4;
    let head = bytes.split_to(end);
    unfolded(&head).ok_or(Defect { place: Place::Head, offset: 0, problem: Problem::NotAHeader })
}

/// Takes a copy without its folds apart. What still looks like a fold then (behind the start line, or behind a line feed alone)
/// is a line that is no header.
fn unfolded(folded: &[u8]) -> Option<Head> {
    let (text, folds) = unfold(folded);
    let Lexed { head: Some(mut head), line_ends, .. } = lines(&text, false) else { return None };
    head.folds = folds.into();
    head.keep(text.into(), line_ends);
    if let Some(mut defect) = head.defect.take() {
        defect.offset = head.received_offset(defect.offset);
        head.defect = Some(defect);
    }
    Some(head)
}

struct Lexed {
    /// `None` if a line begins with white space: the head must be unfolded first.
    head: Option<Head>,
    /// Behind the empty line, if there is one.
    ended: Option<usize>,
    /// How many lines end with CR LF.
    line_ends: usize,
}

/// Splits the head at the beginning of `all` into its lines and those into names and values, in one pass; it stops at a fold
/// if there may be some.
#[inline(always)] // a head is large, and made where it stays
fn lines(all: &[u8], may_fold: bool) -> Lexed {
    let window = all.get(..all.len().min(MAX_HEAD)).unwrap_or_default();
    let mut feeds = memchr::memchr_iter(b'\n', window);
    // A head that was cut may have one line alone, without a line feed.
    let first_feed = feeds.next();
    let first = window.get(..first_feed.unwrap_or(window.len())).unwrap_or_default();
    let (first, mut after_line_end) = without_return(first, first_feed.is_some());
    let mut head = Head {
        text: Text::Other(Bytes::new()),
        start: start_line(first, 0),
        lines: Vec::with_capacity(USUAL_FIELDS),
        seen: HeaderSet::default(),
        repeated: HeaderSet::default(),
        defect: None,
        folds: Box::default(),
    };
    if !after_line_end {
        note(&mut head.defect, Place::Head, first.len(), Problem::BareLineEnd);
    }
    let mut line_ends = usize::from(after_line_end);
    let mut at = first_feed.map_or(window.len(), |feed| feed + 1);
    for feed in feeds {
        let (line, proper) = without_return(window.get(at..feed).unwrap_or_default(), true);
        line_ends += usize::from(proper);
        if proper && after_line_end && line.is_empty() {
            return Lexed { head: Some(head), ended: Some(feed + 1), line_ends };
        }
        match line.first() {
            Some(b' ' | b'\t') if may_fold && !head.lines.is_empty() => {
                return Lexed { head: None, ended: None, line_ends };
            }
            _ if head.lines.len() >= MAX_FIELDS => {
                note(&mut head.defect, Place::Head, at, Problem::Limit);
                let rest = window.get(at..).unwrap_or_default();
                let ended = memchr::memmem::find(rest, b"\r\n\r\n").map(|found| at + found + 4);
                return Lexed { head: Some(head), ended, line_ends };
            }
            _ => head.take_line(line, at),
        }
        if !proper {
            note(&mut head.defect, Place::Head, at + line.len(), Problem::BareLineEnd);
        }
        after_line_end = proper;
        at = feed + 1;
    }
    // What has no line feed is a line too: the last one of a head that was cut.
    let rest = window.get(at..).unwrap_or_default();
    if !rest.is_empty() {
        head.take_line(rest, at);
        note(&mut head.defect, Place::Head, at + rest.len(), Problem::BareLineEnd);
    }
    Lexed { head: Some(head), ended: None, line_ends }
}

/// A line without the CR at its end, and whether it had one and ends as a line should.
#[inline]
fn without_return(line: &[u8], has_feed: bool) -> (&[u8], bool) {
    match line {
        [line @ .., b'\r'] => (line, has_feed),
        line => (line, false),
    }
}

impl Head {
    /// Adds a header line: nearly always `Name: value`, with a name that is known.
    #[inline]
    fn take_line(&mut self, line: &[u8], at: usize) {
        let colon = find_colon(line);
        if let Some((name, [b':', b' ', value @ ..])) = line.split_at_checked(colon)
            && let [first, .., last] = value
            && !is_wsp(*first)
            && !is_wsp(*last)
        {
            // A name that is known is a token, and no white space stands before its colon.
            let header = Header::of(name);
            if header != Header::Other {
                let value = Span::new(at + colon + 2, value.len());
                return self.add(Line { header, name: Span::new(at, colon), value });
            }
        }
        match any_header_line(line, at) {
            Ok(line) => self.add(line),
            Err(offset) => note(&mut self.defect, Place::Head, offset, Problem::NotAHeader),
        }
    }

    #[inline]
    fn add(&mut self, line: Line) {
        if self.seen.insert(line.header) {
            self.repeated.insert(line.header);
        }
        self.lines.push(line);
    }
}

#[cold]
fn note(defect: &mut Option<Box<Defect>>, place: Place, offset: usize, problem: Problem) {
    defect.get_or_insert_with(|| Box::new(Defect { place, offset, problem }));
}

/// How many bytes of the head are control bytes (tabs too) or not ASCII. Sums of bytes over blocks in which they cannot
/// overflow, and one comparison for all of them (0x7f + 1 is below 0): the compiler makes vectors of that.
fn control_bytes(head: &[u8]) -> usize {
    let is_odd = |b: u8| (b.wrapping_add(1) as i8) <= 0x20;
    head.chunks(240).map(|block| usize::from(block.iter().map(|b| u8::from(is_odd(*b))).sum::<u8>())).sum()
}

impl Head {
    /// Keeps the bytes of the lines, and looks for those that no line may hold. There are none if the head has two odd bytes
    /// for each line, those that end it; with more, each line is looked at.
    #[inline(always)]
    fn keep(&mut self, bytes: Bytes, line_ends: usize) {
        let is_plain = control_bytes(&bytes) == 2 * line_ends;
        self.text = Text::new(bytes, is_plain);
        if !is_plain {
            self.find_control_bytes();
        }
    }

    /// The first control byte becomes the defect, if it comes before the one that is known.
    fn find_control_bytes(&mut self) {
        for line in &self.lines {
            let Some((position, problem)) = blame(line.value.of(self.text.bytes())) else { continue };
            let offset = usize::from(line.value.start) + position;
            if self.defect.as_ref().is_none_or(|defect| offset < defect.offset) {
                let name = String::from_utf8_lossy(line.name.of(self.text.bytes())).into_owned();
                self.defect = Some(Box::new(Defect { place: Place::Field(name), offset, problem }));
            }
            return;
        }
    }
}

/// The byte that RFC 3261 §25.1 allows nowhere in a value: a control byte that is not escaped in a quoted string.
fn blame(value: &[u8]) -> Option<(usize, Problem)> {
    let mut escaped = false;
    for (at, byte) in value.iter().enumerate() {
        match byte {
            b'\r' | b'\n' => return Some((at, Problem::BareLineEnd)),
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'\t' => {}
            0..=0x1f | 0x7f => return Some((at, Problem::ControlByte)),
            _ => {}
        }
    }
    None
}

/// `name HCOLON value` with white space anywhere and any name; the error is the offset of what makes it none.
fn any_header_line(line: &[u8], at: usize) -> Result<Line, usize> {
    let length = run(line, 0, class::TOKEN);
    let colon = run_wsp(line, length);
    if length == 0 || line.get(colon) != Some(&b':') {
        return Err(at + colon);
    }
    let header = Header::of(line.get(..length).unwrap_or_default());
    let start = run_wsp(line, colon + 1);
    let mut end = line.len();
    while end > start && line.get(end - 1).copied().is_some_and(is_wsp) {
        end -= 1;
    }
    Ok(Line { header, name: Span::new(at, length), value: Span::new(at + start, end - start) })
}

/// Where the colon stands; the length of the line if it has none. Looks at eight bytes at once: names are short.
#[inline]
fn find_colon(line: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let mut at = 0;
    while let Some(chunk) = line.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        // Bytes that are a colon become 0; the lowest 0 gets its highest bit set.
        let word = u64::from_le_bytes(*chunk) ^ (ONES * b':' as u64);
        let zeros = word.wrapping_sub(ONES) & !word & HIGHS;
        if zeros != 0 {
            return at + (zeros.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = line.get(at..).unwrap_or_default();
    at + rest.iter().position(|b| *b == b':').unwrap_or(rest.len())
}

fn is_version(text: &[u8]) -> bool {
    text.eq_ignore_ascii_case(b"SIP/2.0")
}

/// Whether the text is `SIP/` with a number, dot and number: another version, to be answered with 505.
fn is_other_version(text: &[u8]) -> bool {
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    text.split_at_checked(4).is_some_and(|(name, number)| {
        name.eq_ignore_ascii_case(b"SIP/")
            && memchr(b'.', number)
                .and_then(|dot| number.get(..dot).zip(number.get(dot + 1..)))
                .is_some_and(|(major, minor)| digits(major) && digits(minor))
    })
}

fn start_line(line: &[u8], at: usize) -> Start {
    let response = line.get(..4).is_some_and(|text| text.eq_ignore_ascii_case(b"SIP/"));
    let parsed = if response { status_line(line, at) } else { request_line(line, at) };
    parsed.unwrap_or_else(|(offset, problem)| {
        let defect = Defect { place: Place::StartLine, offset: at + offset, problem };
        Start::Bad { response, defect: Box::new(defect) }
    })
}

/// `SIP-Version SP Status-Code SP Reason-Phrase`; the phrase may be empty, the space before it must be there.
fn status_line(line: &[u8], at: usize) -> Result<Start, (usize, Problem)> {
    let space = memchr(b' ', line).unwrap_or(line.len());
    let (version, rest) = line.split_at_checked(space).unwrap_or_default();
    if !is_version(version) {
        return Err((0, Problem::Version));
    }
    let code = rest.get(1..4).unwrap_or_default();
    let number = std::str::from_utf8(code).ok().filter(|_| code.iter().all(u8::is_ascii_digit));
    let status = number.and_then(|n| n.parse().ok()).and_then(StatusCode::new);
    let reason = match rest.get(4..) {
        Some([]) | None => return Err((line.len(), Problem::NotAStartLine)),
        Some([b' ', reason @ ..]) => Some(reason),
        _ => None,
    };
    let (Some(status), Some(reason)) = (status, reason) else {
        return Err((space + 1, Problem::StatusCode));
    };
    if let Some(byte) = reason.iter().position(|b| (*b < 0x20 && *b != b'\t') || *b == 0x7f) {
        return Err((line.len() - reason.len() + byte, Problem::ControlByte));
    }
    Ok(Start::Response { status, reason: Span::new(at + line.len() - reason.len(), reason.len()) })
}

/// `Method SP Request-URI SP SIP-Version`, one space each.
fn request_line(line: &[u8], at: usize) -> Result<Start, (usize, Problem)> {
    let method = run(line, 0, class::TOKEN);
    if method == 0 || line.get(method) != Some(&b' ') {
        return Err((method, if method == 0 { Problem::NotAStartLine } else { Problem::Method }));
    }
    let last = memchr::memrchr(b' ', line).unwrap_or(method);
    let version = line.get(last + 1..).unwrap_or_default();
    let uri = line.get(method + 1..last).unwrap_or_default();
    if !is_version(version) {
        let problem = if is_other_version(version) { Problem::Version } else { Problem::NotAStartLine };
        return Err((last + 1, problem));
    }
    if uri.is_empty() || !uri.iter().all(u8::is_ascii_graphic) {
        let bad = uri.iter().position(|b| !b.is_ascii_graphic()).unwrap_or(0);
        return Err((method + 1 + bad, Problem::Uri));
    }
    Ok(Start::Request { method: Span::new(at, method), uri: Span::new(at + method + 1, uri.len()) })
}

/// Replaces every fold (white space, CR LF, white space) by one space (RFC 3261 §7.3.1), and says where.
fn unfold(head: &[u8]) -> (Vec<u8>, Vec<(u16, u16)>) {
    let mut out = Vec::with_capacity(head.len());
    let is_fold = |feed: &usize| head.get(feed + 1).copied().is_some_and(is_wsp);
    let mut folds = Vec::with_capacity(memchr::memchr_iter(b'\n', head).filter(is_fold).count());
    let mut left_out = 0;
    let mut at = 0;
    let mut is_start_line = true;
    while let Some(rest) = head.get(at..).filter(|rest| !rest.is_empty()) {
        let end = memchr(b'\n', rest).map_or(rest.len(), |feed| feed + 1);
        let (line, tail) = rest.split_at_checked(end).unwrap_or_default();
        let next_is_folded =
            tail.first().copied().is_some_and(is_wsp) && line.ends_with(b"\r\n") && !is_start_line;
        at += end;
        is_start_line = false;
        if !next_is_folded {
            out.extend_from_slice(line);
            continue;
        }
        let content = line.strip_suffix(b"\r\n").unwrap_or(line);
        let kept = content.iter().rposition(|b| !is_wsp(*b)).map_or(0, |last| last + 1);
        // A line of white space alone continues the fold before it, whose space is written already.
        let joins = kept == 0 && out.last() == Some(&b' ');
        out.extend_from_slice(content.get(..kept).unwrap_or_default());
        let white = tail.iter().position(|b| !is_wsp(*b)).unwrap_or(tail.len());
        at += white;
        if !joins {
            out.push(b' ');
        }
        left_out += line.len() - kept + white - usize::from(!joins);
        // Both are below MAX_HEAD. Folds at one place are one.
        let fold = (out.len() as u16, left_out as u16);
        match folds.last_mut() {
            Some(last) if joins => *last = fold,
            _ => folds.push(fold),
        }
    }
    (out, folds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(Header, String)> {
        let head = lex(&mut Bytes::copy_from_slice(text.as_bytes())).unwrap();
        assert_eq!(head.defect, None);
        let text = |span: &Span| String::from_utf8(span.of(head.text.bytes()).to_vec()).unwrap();
        head.lines.iter().map(|line| (line.header, text(&line.value))).collect()
    }

    #[test]
    fn names_folds_and_spaces_wire_03() {
        let text = "OPTIONS sip:a SIP/2.0\r\nv \t: x\r\nTO :\r\n sip:b \r\n\t;tag=1\r\n  \r\n \r\n ;y\r\nY-:\r\n\r\n";
        let expected = [(Header::Via, "x"), (Header::To, "sip:b ;tag=1 ;y"), (Header::Other, "")];
        assert_eq!(values(text), expected.map(|(h, v)| (h, v.to_owned())));
    }

    #[test]
    fn defects_keep_their_offset_as_received_behind_folds() {
        let text = "OPTIONS sip:a SIP/2.0\r\nTo: a\r\n   b\r\nbroken\r\n\r\n";
        let head = lex(&mut Bytes::from_static(text.as_bytes())).unwrap();
        let defect = head.defect.unwrap();
        assert_eq!(defect.problem, Problem::NotAHeader);
        assert_eq!(defect.offset, text.find("broken").unwrap() + 6);
    }

    #[test]
    fn control_bytes_stand_only_behind_a_backslash() {
        for (value, ok) in
            [("\"a\\\0b\"", true), ("a\0b", false), ("a\x7f", false), ("a\rb", false), ("a\tb", true)]
        {
            let text = format!("OPTIONS sip:a SIP/2.0\r\nSubject: {value}\r\n\r\n");
            assert_eq!(lex(&mut Bytes::from(text)).unwrap().defect.is_none(), ok, "{value:?}");
        }
    }

    #[test]
    fn start_lines_are_exact() {
        let start = |text: &str| lex(&mut Bytes::from(format!("{text}\r\nVia: x\r\n\r\n"))).unwrap().start;
        assert!(matches!(start("OPTIONS sip:a SIP/2.0"), Start::Request { .. }));
        assert!(matches!(start("sip/2.0 200 OK"), Start::Response { .. }));
        assert!(matches!(start("SIP/2.0 100 "), Start::Response { .. }));
        let problem = |text: &str| match start(text) {
            Start::Bad { defect, .. } => defect.problem,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(problem("OPTIONS sip:a SIP/7.0"), Problem::Version);
        assert_eq!(problem("OPTIONS sip:a HTTP/1.1"), Problem::NotAStartLine);
        assert_eq!(problem("OPTIONS  sip:a SIP/2.0"), Problem::Uri);
        assert_eq!(problem("OPTIONS sip:a SIP/2.0 "), Problem::NotAStartLine);
        assert_eq!(problem("OPTIONS sip:a b SIP/2.0"), Problem::Uri);
        assert_eq!(problem("SIP/2.0 4294967301 better not"), Problem::StatusCode);
        assert_eq!(problem("SIP/2.0 099 x"), Problem::StatusCode);
        assert_eq!(problem("SIP/3.0 200 OK"), Problem::Version);
        assert_eq!(problem("SIP/2.0 100"), Problem::NotAStartLine);
    }
}
