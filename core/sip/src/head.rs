//! The head lexer: start line and header lines of one message, as spans of its bytes.

use crate::block::{Places, find_in_block};
use crate::defect::{Defect, Place, Problem};
use crate::lex::{class, is_wsp, run, run_wsp};
use crate::limits::{MAX_FIELDS, MAX_HEAD};
use crate::lines::{Line, Lines, Span};
use crate::start::{Start, start_line};
use crate::{Header, StatusCode};
use bytes::Bytes;
use bytestring::ByteString;
use memchr::memchr;

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
        if is_ascii {
            // ASCII is UTF-8: there is no second case to keep the bytes for.
            return ByteString::try_from(bytes).map_or_else(|_| Text::Other(Bytes::new()), Text::Utf8);
        }
        match ByteString::try_from(bytes.clone()) {
            Ok(text) => Text::Utf8(text),
            Err(_) => Text::Other(bytes),
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

/// A head taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// The head's bytes: those received, or a copy with its folds replaced if it had any.
    pub text: Text,
    pub start: Start,
    pub lines: Lines,
    /// The first defect among the header lines.
    pub defect: Option<Box<Defect>>,
    /// Where bytes were left out by unfolding: position in `text`, and how many in all up to there.
    pub folds: Vec<(u16, u16)>,
}

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

/// Takes the head at the beginning of `bytes` apart, into a new `head`; what follows it is left there.
///
/// # Errors
/// A defect that leaves no lines to speak of: no end of the head, or one over the limit.
#[inline(always)]
pub(crate) fn lex(bytes: &mut Bytes, head: &mut Head) -> Result<(), Defect> {
    match head.take_lines(bytes, true) {
        Lexed { is_folded: true, .. } => lex_folded(bytes, head),
        Lexed { ended: Some(end), line_ends, .. } => {
            head.keep(bytes.split_to(end), line_ends);
            Ok(())
        }
        Lexed { ended: None, .. } => Err(no_end(bytes)),
    }
}

/// Takes apart what there is of a head that has no end.
pub(crate) fn lex_unterminated(bytes: Bytes) -> Option<Head> {
    if bytes.len() > MAX_HEAD {
        return None;
    }
    let mut head = Head::NEW;
    let lexed = head.take_lines(&bytes, true);
    if lexed.is_folded {
        return unfolded(&bytes);
    }
    head.keep(bytes, lexed.line_ends);
    Some(head)
}

fn no_end(bytes: &Bytes) -> Defect {
    let problem = if bytes.len() > MAX_HEAD { Problem::Limit } else { Problem::Unterminated };
    Defect { place: Place::Head, offset: bytes.len().min(MAX_HEAD), problem }
}

/// A head with folds: they are replaced in a copy first.
#[cold]
fn lex_folded(bytes: &mut Bytes, head: &mut Head) -> Result<(), Defect> {
    let window = bytes.get(..bytes.len().min(MAX_HEAD)).unwrap_or_default();
    let end = memchr::memmem::find(window, b"\r\n\r\n").ok_or_else(|| no_end(bytes))? + 4;
    *head = unfolded(&bytes.split_to(end)).ok_or(Defect {
        place: Place::Head,
        offset: 0,
        problem: Problem::NotAHeader,
    })?;
    Ok(())
}

/// Takes a copy without its folds apart. What still looks like a fold then (behind the start line, or behind a line feed alone)
/// is a line that is no header.
fn unfolded(folded: &[u8]) -> Option<Head> {
    let (text, folds) = unfold(folded);
    let mut head = Head::NEW;
    let lexed = head.take_lines(&text, false);
    head.folds = folds;
    head.keep(text.into(), lexed.line_ends);
    if let Some(mut defect) = head.defect.take() {
        defect.offset = head.received_offset(defect.offset);
        head.defect = Some(defect);
    }
    Some(head)
}

/// What was found in the bytes of a head.
struct Lexed {
    /// A line begins with white space, and the rest was not looked at: the head must be unfolded first.
    is_folded: bool,
    /// Behind the empty line, if there is one.
    ended: Option<usize>,
    /// How many lines end with CR LF.
    line_ends: usize,
}

impl Head {
    /// A head with nothing in it yet.
    pub const NEW: Head = Head {
        text: Text::Other(Bytes::new()),
        start: Start::Response { status: StatusCode::OK, reason: Span::new(0, 0) },
        lines: Lines::NEW,
        defect: None,
        folds: Vec::new(),
    };

    /// Splits the head at the beginning of `all` into its lines and those into names and values, in one pass; it stops at a fold
    /// if there may be some.
    #[inline(always)]
    fn take_lines(&mut self, all: &[u8], may_fold: bool) -> Lexed {
        let window = all.get(..all.len().min(MAX_HEAD)).unwrap_or_default();
        let mut feeds = Places::new(b'\n', window);
        // A head that was cut may have one line alone, without a line feed.
        let first_feed = feeds.next();
        let first = window.get(..first_feed.unwrap_or(window.len())).unwrap_or_default();
        let (first, mut after_line_end) = without_return(first, first_feed.is_some());
        self.start = start_line(first, 0);
        if !after_line_end {
            note(&mut self.defect, Place::Head, first.len(), Problem::BareLineEnd);
        }
        let mut line_ends = usize::from(after_line_end);
        let mut at = first_feed.map_or(window.len(), |feed| feed + 1);
        for feed in feeds {
            if let Some(line) = usual_line(window, at, feed)
                && self.lines.count() < MAX_FIELDS
            {
                self.lines.push(line);
                line_ends += 1;
                (after_line_end, at) = (true, feed + 1);
                continue;
            }
            let line = window.get(at..feed).unwrap_or_default();
            match self.take_line(line, at, after_line_end, may_fold) {
                Taken::Line { proper } => {
                    line_ends += usize::from(proper);
                    (after_line_end, at) = (proper, feed + 1);
                }
                Taken::Fold => return Lexed { is_folded: true, ended: None, line_ends },
                Taken::End => {
                    return Lexed { is_folded: false, ended: Some(feed + 1), line_ends: line_ends + 1 };
                }
                Taken::Limit => {
                    let rest = window.get(at..).unwrap_or_default();
                    let ended = memchr::memmem::find(rest, b"\r\n\r\n").map(|found| at + found + 4);
                    return Lexed { is_folded: false, ended, line_ends };
                }
            }
        }
        // What has no line feed is a line too: the last one of a head that was cut.
        let rest = window.get(at..).unwrap_or_default();
        if !rest.is_empty() {
            self.take_header_line(rest, at);
            note(&mut self.defect, Place::Head, at + rest.len(), Problem::BareLineEnd);
        }
        Lexed { is_folded: false, ended: None, line_ends }
    }
}

/// A line without the CR at its end, and whether it had one and ends as a line should.
#[inline]
fn without_return(line: &[u8], has_feed: bool) -> (&[u8], bool) {
    match line {
        [line @ .., b'\r'] => (line, has_feed),
        line => (line, false),
    }
}

/// The line from `at` to its line feed if it is as nearly all are: `Name: value` and CR LF, with a short name that is known and
/// no white space around the value.
#[inline(always)] // once for each line of each message
fn usual_line(head: &[u8], at: usize, feed: usize) -> Option<Line> {
    let block = head.get(at..)?.first_chunk()?;
    let colon = find_in_block(block, b':')?;
    let header = Header::at_start(block, colon)?;
    let (separator, value) = head.get(at + colon..feed)?.split_first_chunk()?;
    let value = value.strip_suffix(b"\r")?;
    // All white space is the space or below it.
    if separator == b": " && *value.first()? > b' ' && *value.last()? > b' ' {
        let name = Span::new(at, colon);
        Some(Line { header, name, value: Span::new(at + colon + separator.len(), value.len()) })
    } else {
        None
    }
}

/// What a line of any form was taken for.
enum Taken {
    /// A header line, or one with a defect; `proper` if it ended with CR LF.
    Line { proper: bool },
    /// The empty line at the end.
    End,
    /// A fold.
    Fold,
    /// One line too many.
    Limit,
}

impl Head {
    /// Takes a line of any form, without its line feed.
    #[inline(never)]
    fn take_line(&mut self, line: &[u8], at: usize, after_line_end: bool, may_fold: bool) -> Taken {
        let (line, proper) = without_return(line, true);
        if proper && after_line_end && line.is_empty() {
            return Taken::End;
        }
        if line.first().copied().is_some_and(is_wsp) && may_fold && self.lines.count() > 0 {
            return Taken::Fold;
        }
        if self.lines.count() >= MAX_FIELDS {
            note(&mut self.defect, Place::Head, at, Problem::Limit);
            return Taken::Limit;
        }
        self.take_header_line(line, at);
        if !proper {
            note(&mut self.defect, Place::Head, at + line.len(), Problem::BareLineEnd);
        }
        Taken::Line { proper }
    }

    fn take_header_line(&mut self, line: &[u8], at: usize) {
        match header_line(line, at) {
            Ok(line) => self.lines.push(line),
            Err(offset) => note(&mut self.defect, Place::Head, offset, Problem::NotAHeader),
        }
    }
}

#[cold]
fn note(defect: &mut Option<Box<Defect>>, place: Place, offset: usize, problem: Problem) {
    defect.get_or_insert_with(|| Box::new(Defect { place, offset, problem }));
}

/// How many bytes of the head are control bytes (tabs too) or not ASCII. Sums of bytes over blocks in which they cannot
/// overflow, and which are whole vectors; one comparison for all of them (0x7f + 1 is below 0): the compiler makes vectors of that.
fn control_bytes(head: &[u8]) -> usize {
    let is_odd = |b: u8| (b.wrapping_add(1) as i8) <= 0x20;
    head.chunks(224).map(|block| usize::from(block.iter().map(|b| u8::from(is_odd(*b))).sum::<u8>())).sum()
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
        for line in self.lines.from(0) {
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
fn header_line(line: &[u8], at: usize) -> Result<Line, usize> {
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

    fn lexed(text: &str) -> Head {
        let mut head = Head::NEW;
        lex(&mut Bytes::copy_from_slice(text.as_bytes()), &mut head).unwrap();
        head
    }

    fn values(text: &str) -> Vec<(Header, String)> {
        let head = lexed(text);
        assert_eq!(head.defect, None);
        let text = |span: &Span| String::from_utf8(span.of(head.text.bytes()).to_vec()).unwrap();
        head.lines.from(0).map(|line| (line.header, text(&line.value))).collect()
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
        let head = lexed(text);
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
            assert_eq!(lexed(&text).defect.is_none(), ok, "{value:?}");
        }
    }
}
