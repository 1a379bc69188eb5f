//! Lines of bounded length from standard input.

use std::io::{self, BufRead};

/// Longest line, in bytes. The longest that make sense hold a revocation list of several megabytes.
pub(super) const MAX_LINE: usize = 32 << 20;

/// One line of input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Without its line end.
    Whole(Vec<u8>),
    /// Longer than [`MAX_LINE`]; it was passed over.
    TooLong,
}

/// Reads lines from standard input.
#[derive(Debug, Default)]
pub(super) struct LineReader {
    /// How long the last line was: the next one is mostly as long.
    usual: usize,
}

impl LineReader {
    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// Those of standard input.
    pub fn next(&mut self) -> io::Result<Option<Line>> {
        let line = read(&mut io::stdin().lock(), self.usual, MAX_LINE)?;
        if let Some(Line::Whole(bytes)) = &line {
            self.usual = bytes.len();
        }
        Ok(line)
    }
}

fn read(input: &mut impl BufRead, usual: usize, limit: usize) -> io::Result<Option<Line>> {
    let (mut line, mut length, mut any) = (Vec::with_capacity(usual + 1), 0usize, false);
    loop {
        let piece = match input.fill_buf() {
            Ok(piece) => piece,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if piece.is_empty() {
            break;
        }
        any = true;
        let end = memchr::memchr(b'\n', piece);
        let taken = end.unwrap_or(piece.len());
        length = length.saturating_add(taken);
        if length <= limit {
            line.extend_from_slice(piece.get(..taken).unwrap_or_default());
        } else {
            line = Vec::new();
        }
        input.consume(taken + usize::from(end.is_some()));
        if end.is_some() {
            break;
        }
    }
    let line = if length <= limit { Line::Whole(line) } else { Line::TooLong };
    Ok(any.then_some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, buffer: usize) -> Vec<Line> {
        let mut input = io::BufReader::with_capacity(buffer, text.as_bytes());
        std::iter::from_fn(|| read(&mut input, 0, 5).unwrap()).collect()
    }

    #[test]
    fn lines_are_cut_at_line_ends_and_too_long_ones_are_passed_over() {
        for buffer in [1, 2, 7, 100] {
            let whole = |text: &str| Line::Whole(text.into());
            assert_eq!(lines("", buffer), []);
            assert_eq!(lines("ab\n\ncd", buffer), [whole("ab"), whole(""), whole("cd")]);
            assert_eq!(lines("12345\n123456\nx\n", buffer), [whole("12345"), Line::TooLong, whole("x")]);
            assert_eq!(lines("1234567", buffer), [Line::TooLong]);
        }
    }
}
