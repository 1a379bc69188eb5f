//! The head lexer: start line and header lines of one message, as spans of its bytes.

use crate::defect::{Defect, Place, Problem};
use crate::lex::{class, is_wsp};
use crate::limits::{MAX_FIELDS, MAX_HEAD};
use crate::{Header, StatusCode};
use bytes::Bytes;
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
    Request { method: Span, uri: Span },
    Response { status: StatusCode, reason: Span },
    /// A request line or status line with a defect.
    Bad { response: bool, defect: Defect },
}

/// A head taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// The head's bytes: those received, or a copy with its folds replaced if it had any.
    pub bytes: Bytes,
    pub start: Start,
    pub lines: Vec<Line>,
    /// The first defect among the header lines.
    pub defect: Option<Defect>,
    /// Where bytes were left out by unfolding: position in `bytes`, and how many in all up to there.
    pub folds: Vec<(usize, usize)>,
}

impl Head {
    /// The offset, as received, of a position in the head.
    pub fn received_offset(&self, at: usize) -> usize {
        let before = self.folds.partition_point(|(position, _)| *position <= at);
        let left_out = before.checked_sub(1).and_then(|last| self.folds.get(last)).map_or(0, |(_, sum)| *sum);
        at + left_out
    }
}

/// Most headers of a message that this crate expects; more cost one growth of the list.
const USUAL_FIELDS: usize = 24;

/// Takes a head apart. `bytes` ends with the empty line, or with what there is of the head.
///
/// # Errors
/// A defect that leaves no lines to speak of: a head over the limit.
pub(crate) fn lex(bytes: Bytes) -> Result<Head, Defect> {
    if bytes.len() > MAX_HEAD {
        return Err(Defect { place: Place::Head, offset: MAX_HEAD, problem: Problem::Limit });
    }
    match lines(&bytes) {
        Lexed::Lines { start, lines, defect } => Ok(Head { bytes, start, lines, defect, folds: Vec::new() }),
        Lexed::Folded => {
            let (unfolded, folds) = unfold(&bytes);
            let mut head = match lines(&unfolded) {
                Lexed::Lines { start, lines, defect } => {
                    Head { bytes: unfolded.into(), start, lines, defect, folds }
                }
                // Unfolding leaves no fold but one behind the start line, which `lines` reports as a defect.
                Lexed::Folded => {
                    return Err(Defect { place: Place::Head, offset: 0, problem: Problem::NotAHeader });
                }
            };
            if let Some(mut defect) = head.defect.take() {
                defect.offset = head.received_offset(defect.offset);
                head.defect = Some(defect);
            }
            Ok(head)
        }
    }
}

enum Lexed {
    Lines { start: Start, lines: Vec<Line>, defect: Option<Defect> },
    /// A line begins with white space: the head must be unfolded first.
    Folded,
}

/// Whether the head has a control byte other than those of its line ends and tabs, or a CR or LF that ends no line.
/// One pass without branches; [`blame`] finds the place if there is one.
fn is_suspicious(head: &[u8]) -> bool {
    let (mut control, mut returns, mut feeds) = (false, 0usize, 0usize);
    for byte in head {
        control |= (*byte < 0x20 && !matches!(*byte, b'\r' | b'\n' | b'\t')) | (*byte == 0x7f);
        returns += usize::from(*byte == b'\r');
        feeds += usize::from(*byte == b'\n');
    }
    control || returns != feeds
}

/// Splits a head into its lines and those into names and values.
fn lines(head: &[u8]) -> Lexed {
    let suspicious = is_suspicious(head);
    let mut at = 0;
    let mut start = None;
    let mut lines: Vec<Line> = Vec::with_capacity(USUAL_FIELDS);
    let mut defect = None;
    let mut note = |place: Place, offset: usize, problem: Problem| {
        defect.get_or_insert(Defect { place, offset, problem });
    };
    while let Some(rest) = head.get(at..).filter(|rest| !rest.is_empty()) {
        let feed = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = rest.get(..feed).unwrap_or_default();
        let (line, ended) = match line.strip_suffix(b"\r") {
            Some(line) => (line, feed < rest.len()),
            None => (line, false),
        };
        if !ended {
            note(Place::Head, at + line.len(), Problem::BareLineEnd);
        }
        if start.is_none() {
            start = Some(start_line(line, at));
        } else if line.is_empty() {
            break;
        } else if line.first().copied().is_some_and(is_wsp) && !lines.is_empty() {
            return Lexed::Folded;
        } else if lines.len() >= MAX_FIELDS {
            note(Place::Head, at, Problem::Limit);
            break;
        } else {
            match header_line(line, at) {
                Ok(field) => {
                    if suspicious
                        && let Some((position, problem)) = blame(field.value.of(head))
                    {
                        let name = String::from_utf8_lossy(field.name.of(head)).into_owned();
                        note(Place::Field(name), usize::from(field.value.start) + position, problem);
                    }
                    lines.push(field);
                }
                Err(offset) => note(Place::Head, offset, Problem::NotAHeader),
            }
        }
        at += feed + 1;
    }
    let empty = || {
        let defect = Defect { place: Place::StartLine, offset: 0, problem: Problem::NotAStartLine };
        Start::Bad { response: false, defect }
    };
    Lexed::Lines { start: start.unwrap_or_else(empty), lines, defect }
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

/// `name HCOLON value`; the error is the offset of what makes it none.
fn header_line(line: &[u8], at: usize) -> Result<Line, usize> {
    let name_length = line.iter().position(|b| !class::is(*b, class::TOKEN)).unwrap_or(line.len());
    let mut colon = name_length;
    while line.get(colon).copied().is_some_and(is_wsp) {
        colon += 1;
    }
    if name_length == 0 || line.get(colon) != Some(&b':') {
        return Err(at + colon);
    }
    let name = line.get(..name_length).unwrap_or_default();
    let mut start = colon + 1;
    while line.get(start).copied().is_some_and(is_wsp) {
        start += 1;
    }
    let mut end = line.len();
    while end > start && line.get(end - 1).copied().is_some_and(is_wsp) {
        end -= 1;
    }
    Ok(Line {
        header: Header::of(name),
        name: Span::new(at, name_length),
        value: Span::new(at + start, end - start),
    })
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
    parsed.unwrap_or_else(|(offset, problem)| Start::Bad {
        response,
        defect: Defect { place: Place::StartLine, offset: at + offset, problem },
    })
}

/// `SIP-Version SP Status-Code SP Reason-Phrase`; the second space may be missing, as some servers leave it out.
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
        Some([]) => Some(&[][..]),
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
    let method = line.iter().position(|b| !class::is(*b, class::TOKEN)).unwrap_or(line.len());
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
fn unfold(head: &[u8]) -> (Vec<u8>, Vec<(usize, usize)>) {
    let mut out = Vec::with_capacity(head.len());
    let mut folds = Vec::new();
    let mut left_out = 0;
    let mut at = 0;
    let mut is_start_line = true;
    while let Some(rest) = head.get(at..).filter(|rest| !rest.is_empty()) {
        let end = memchr(b'\n', rest).map_or(rest.len(), |feed| feed + 1);
        let (line, tail) = rest.split_at_checked(end).unwrap_or_default();
        let next_is_folded = tail.first().copied().is_some_and(is_wsp) && line.ends_with(b"\r\n") && !is_start_line;
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
        folds.push((out.len(), left_out));
    }
    (out, folds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(Header, String)> {
        let head = lex(Bytes::copy_from_slice(text.as_bytes())).unwrap();
        assert_eq!(head.defect, None);
        let text = |span: &Span| String::from_utf8(span.of(&head.bytes).to_vec()).unwrap();
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
        let head = lex(Bytes::from_static(text.as_bytes())).unwrap();
        let defect = head.defect.unwrap();
        assert_eq!(defect.problem, Problem::NotAHeader);
        assert_eq!(defect.offset, text.find("broken").unwrap() + 6);
    }

    #[test]
    fn control_bytes_stand_only_behind_a_backslash() {
        for (value, ok) in [("\"a\\\0b\"", true), ("a\0b", false), ("a\x7f", false), ("a\rb", false), ("a\tb", true)] {
            let text = format!("OPTIONS sip:a SIP/2.0\r\nSubject: {value}\r\n\r\n");
            assert_eq!(lex(Bytes::from(text)).unwrap().defect.is_none(), ok, "{value:?}");
        }
    }

    #[test]
    fn start_lines_are_exact() {
        let start = |text: &str| lex(Bytes::from(format!("{text}\r\nVia: x\r\n\r\n"))).unwrap().start;
        assert!(matches!(start("OPTIONS sip:a SIP/2.0"), Start::Request { .. }));
        assert!(matches!(start("sip/2.0 200 OK"), Start::Response { .. }));
        assert!(matches!(start("SIP/2.0 100 "), Start::Response { .. }));
        assert!(matches!(start("SIP/2.0 100"), Start::Response { .. }));
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
    }
}
