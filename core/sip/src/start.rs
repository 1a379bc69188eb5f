//! The start line: a request line or a status line (RFC 3261 §7.1, §7.2).

use crate::StatusCode;
use crate::defect::{Defect, Place, Problem};
use crate::lex::{class, run};
use crate::lines::Span;
use memchr::memchr;

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

const VERSION: &[u8; 7] = b"SIP/2.0";

#[inline]
fn is_version(text: &[u8]) -> bool {
    text == VERSION || text.eq_ignore_ascii_case(VERSION)
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

/// Reads a start line, which begins `at` that byte of the head.
pub(crate) fn start_line(line: &[u8], at: usize) -> Start {
    let response = line.get(..4).is_some_and(|text| text.eq_ignore_ascii_case(b"SIP/"));
    let parsed = if response { status_line(line, at) } else { request_line(line, at) };
    parsed.unwrap_or_else(|(offset, problem)| {
        let defect = Defect { place: Place::StartLine, offset: at + offset, problem };
        Start::Bad { response, defect: Box::new(defect) }
    })
}

/// `SIP-Version SP Status-Code SP Reason-Phrase`; the phrase may be empty, the space before it must be there.
#[inline]
fn status_line(line: &[u8], at: usize) -> Result<Start, (usize, Problem)> {
    let rest = match line.split_at_checked(VERSION.len()) {
        Some((version, [b' ', rest @ ..])) if is_version(version) => rest,
        _ => return Err((0, Problem::Version)),
    };
    let (code, reason) = match rest.split_first_chunk() {
        None | Some((_, [])) => return Err((line.len(), Problem::NotAStartLine)),
        Some((code, [b' ', reason @ ..])) => (code, reason),
        Some(_) => return Err((VERSION.len() + 1, Problem::StatusCode)),
    };
    let status = three_digits(code).and_then(StatusCode::new);
    let status = status.ok_or((VERSION.len() + 1, Problem::StatusCode))?;
    let start = line.len() - reason.len();
    if let Some(byte) = reason.iter().position(|b| (*b < 0x20 && *b != b'\t') || *b == 0x7f) {
        return Err((start + byte, Problem::ControlByte));
    }
    Ok(Start::Response { status, reason: Span::new(at + start, reason.len()) })
}

fn three_digits(code: &[u8; 3]) -> Option<u16> {
    let [a, b, c] = code.map(|byte| u16::from(byte.wrapping_sub(b'0')));
    (a < 10 && b < 10 && c < 10).then_some(100 * a + 10 * b + c)
}

/// `Method SP Request-URI SP SIP-Version`, one space each.
#[inline]
fn request_line(line: &[u8], at: usize) -> Result<Start, (usize, Problem)> {
    let method = run(line, 0, class::TOKEN);
    if method == 0 || line.get(method) != Some(&b' ') {
        return Err((method, if method == 0 { Problem::NotAStartLine } else { Problem::Method }));
    }
    let last = match line.split_last_chunk() {
        Some((before @ [.., b' '], version)) if is_version(version as &[u8; VERSION.len()]) => {
            before.len() - 1
        }
        _ => return Err(not_our_version(line, method)),
    };
    let uri = line.get(method + 1..last).unwrap_or_default();
    // All of them, without looking for the first that is not: the compiler makes vectors of that.
    let is_graphic = uri.iter().fold(true, |graphic, byte| graphic & byte.is_ascii_graphic());
    if uri.is_empty() || !is_graphic {
        let bad = uri.iter().position(|b| !b.is_ascii_graphic()).unwrap_or(0);
        return Err((method + 1 + bad, Problem::Uri));
    }
    Ok(Start::Request { method: Span::new(at, method), uri: Span::new(at + method + 1, uri.len()) })
}

/// What is wrong with a request line that does not end with our version.
#[cold]
fn not_our_version(line: &[u8], method: usize) -> (usize, Problem) {
    let last = memchr::memrchr(b' ', line).unwrap_or(method);
    let version = line.get(last + 1..).unwrap_or_default();
    (last + 1, if is_other_version(version) { Problem::Version } else { Problem::NotAStartLine })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_lines_are_exact() {
        let start = |text: &str| start_line(text.as_bytes(), 0);
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
