//! The header lines of a message, and where to find those of one header.

use crate::Header;
use std::fmt;

/// A stretch of the head; heads are at most [`crate::limits::MAX_HEAD`] bytes long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub start: u16,
    pub length: u16,
}

impl Span {
    pub const fn new(start: usize, length: usize) -> Self {
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

/// Most headers of a message that this crate expects; more cost a list of their own.
const USUAL_FIELDS: usize = 24;

/// The lines of a head, in their order.
#[derive(Clone)]
pub(crate) struct Lines {
    /// The first ones, `length` of them at most.
    usual: [Line; USUAL_FIELDS],
    length: usize,
    /// What has no place there.
    more: Vec<Line>,
    index: Index,
}

impl Lines {
    pub const NEW: Lines = Lines {
        // Nobody reads what stands here.
        usual: [Line { header: Header::Other, name: Span::new(0, 0), value: Span::new(0, 0) }; USUAL_FIELDS],
        length: 0,
        more: Vec::new(),
        index: Index { first: [0; HEADERS], repeated: 0 },
    };

    #[inline(always)]
    pub fn push(&mut self, line: Line) {
        self.index.add(line.header, self.length);
        match self.usual.get_mut(self.length) {
            Some(place) => *place = line,
            None => self.push_more(line),
        }
        self.length += 1;
    }

    #[cold]
    fn push_more(&mut self, line: Line) {
        if self.more.is_empty() {
            self.more.reserve(USUAL_FIELDS);
        }
        self.more.push(line);
    }

    #[inline(always)]
    pub fn count(&self) -> usize {
        self.length
    }

    /// Those from this position on.
    #[inline(always)]
    pub fn from(&self, position: usize) -> impl Iterator<Item = &Line> + Clone {
        let usual = self.usual.get(position..self.length.min(USUAL_FIELDS)).unwrap_or_default();
        let more = self.more.get(position.saturating_sub(USUAL_FIELDS)..).unwrap_or_default();
        usual.iter().chain(more)
    }

    /// The lines of a header; no line is looked at in vain behind the last one.
    #[inline]
    pub fn of(&self, header: Header) -> impl Iterator<Item = &Line> + Clone {
        let (first, count) = match self.index.first(header) {
            None => (self.length, 0),
            Some(first) if self.index.is_repeated(header) => (first, usize::MAX),
            Some(first) => (first, 1),
        };
        self.from(first).filter(move |line| line.header == header).take(count)
    }

    /// The first line of a header.
    #[inline(always)]
    pub fn first(&self, header: Header) -> Option<&Line> {
        match self.usual.get(self.index.first(header)?) {
            Some(line) if line.header == header => Some(line),
            _ => self.of(header).next(),
        }
    }

    /// Whether the header is there at all.
    #[inline(always)]
    pub fn has(&self, header: Header) -> bool {
        self.index.first(header).is_some()
    }

    /// Whether there is more than one line of `header`.
    #[inline(always)]
    pub fn is_repeated(&self, header: Header) -> bool {
        self.index.is_repeated(header)
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.from(0)).finish()
    }
}

/// Where the lines of each header are.
#[derive(Clone)]
struct Index {
    /// For each header the position of its first line, one-based; 0 for none, [`FAR`] for one behind that.
    first: [u8; HEADERS],
    /// The headers with more than one line, one bit each.
    repeated: u64,
}

const HEADERS: usize = 64;
const FAR: u8 = u8::MAX;

impl Index {
    /// Notes that the line at this position is one of `header`.
    #[inline(always)]
    fn add(&mut self, header: Header, position: usize) {
        let Some(first) = self.first.get_mut(header as usize) else { return };
        if *first == 0 {
            *first = u8::try_from(position + 1).unwrap_or(FAR);
        } else {
            self.repeated |= 1 << header as u8;
        }
    }

    /// The position of a line at or before the first one of `header`; `None` if there is none.
    #[inline(always)]
    fn first(&self, header: Header) -> Option<usize> {
        self.first.get(header as usize).and_then(|first| usize::from(*first).checked_sub(1))
    }

    #[inline(always)]
    fn is_repeated(&self, header: Header) -> bool {
        self.repeated & 1 << header as u8 != 0
    }
}

const _: () = assert!((Header::Other as usize) < HEADERS, "the index has a place for each header");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_FIELDS;

    #[test]
    fn headers_are_found_behind_any_number_of_lines() {
        for before in [0, USUAL_FIELDS - 1, USUAL_FIELDS, 253, 254, 255, 300, MAX_FIELDS - 3] {
            let mut lines = Lines::NEW;
            let headers = std::iter::repeat_n(Header::Other, before);
            for (at, header) in headers.chain([Header::To, Header::Via, Header::To]).enumerate() {
                lines.push(Line { header, name: Span::new(at, 1), value: Span::default() });
            }
            let places =
                |header| lines.of(header).map(|line| usize::from(line.name.start)).collect::<Vec<_>>();
            assert_eq!(places(Header::To), [before, before + 2]);
            assert_eq!(places(Header::Via), [before + 1]);
            assert_eq!(places(Header::From), []);
            assert_eq!(places(Header::Other), (0..before).collect::<Vec<_>>());
            assert_eq!(lines.first(Header::Via), lines.of(Header::Via).next());
            assert_eq!(lines.first(Header::From), None);
            assert_eq!(lines.from(0).count(), before + 3);
            let repeated = [Header::To, Header::Via, Header::From].map(|header| lines.is_repeated(header));
            assert_eq!(repeated, [true, false, false]);
        }
    }
}
