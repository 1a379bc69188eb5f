//! Sixteen bytes at once, or twice as many: where in them a byte stands.

use crate::lex::class;
use wide::{u8x16, u8x32};

/// Bytes of a block.
pub(crate) const BLOCK: usize = 16;

/// For each byte of a block one bit, the first one the lowest: whether it is `byte`.
#[inline(always)]
fn equal(block: &[u8; BLOCK], byte: u8) -> u32 {
    u8x16::new(*block).simd_eq(u8x16::splat(byte)).to_bitmask()
}

/// For each byte of a block one bit: whether it is neither a letter or a digit nor one of `-._`.
#[inline(always)]
fn marks(block: &[u8; BLOCK]) -> u32 {
    let block = u8x16::new(*block);
    // Below the width of its range behind the range's first byte, and so unchanged by the smaller of both.
    let within = |bytes: u8x16, first: u8, last: u8| {
        let above = bytes - u8x16::splat(first);
        above.min(u8x16::splat(last - first)).simd_eq(above)
    };
    let letters = within(block | u8x16::splat(0x20), b'a', b'z');
    let plain =
        letters | within(block, b'0', b'9') | within(block, b'-', b'.') | block.simd_eq(u8x16::splat(b'_'));
    plain.to_bitmask() ^ 0xffff
}

/// How many letters, digits and `-._` the block begins with.
#[inline(always)]
pub(crate) fn plain_length(block: &[u8; BLOCK]) -> usize {
    (marks(block) | 1 << BLOCK).trailing_zeros() as usize
}

/// How long the inside of a quoted string is whose other bytes, and their closing quote, stand in the block; `None` if there is a
/// backslash or a control byte before the quote.
#[inline(always)]
pub(crate) fn plain_quoted(block: &[u8; BLOCK]) -> Option<usize> {
    let bytes = u8x16::new(*block);
    let end = bytes.simd_eq(u8x16::splat(b'"')) | bytes.simd_eq(u8x16::splat(b'\\'));
    let end = end | bytes.simd_eq(u8x16::splat(0x7f)) | bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
    let length = end.to_bitmask().trailing_zeros() as usize;
    (block.get(length) == Some(&b'"')).then_some(length)
}

/// The length of a host name that ends within the block and has no separator (`.` or `-`) at an end or beside another; `None`
/// if the block does not begin with one.
#[inline(always)]
pub(crate) fn plain_name(block: &[u8; BLOCK]) -> Option<usize> {
    let length = plain_length(block);
    if length == 0 || length == BLOCK {
        return None;
    }
    let block = u8x16::new(*block);
    let separators = block.simd_eq(u8x16::splat(b'.')) | block.simd_eq(u8x16::splat(b'-'));
    let separators = separators.to_bitmask() & ((1 << length) - 1);
    let beside = separators << 1 | 1 | 1 << (length - 1);
    (separators & beside == 0).then_some(length)
}

/// Where bytes stand that are neither letters nor digits nor one of `-._`, in order: nearly all between them is token.
#[derive(Debug)]
pub(crate) struct Marks<'a> {
    all: &'a [u8],
    /// Where the block begins that comes next.
    at: usize,
    /// What was found in the block before it, the bit of its first byte the lowest.
    found: u32,
    /// Where that block began.
    base: usize,
}

impl<'a> Marks<'a> {
    /// From `at` on; for less than a block in all there are none.
    #[inline(always)]
    pub fn new(all: &'a [u8], at: usize) -> Self {
        Marks { all, at, found: 0, base: at }
    }

    /// The next mark whose byte is of no class in `mask`, and that byte; the end of the bytes if there is none.
    #[inline(always)]
    pub fn end_of(&mut self, mask: u16) -> (usize, Option<u8>) {
        while let Some(mark) = self.next() {
            match self.all.get(mark) {
                Some(byte) if !class::is(*byte, mask) => return (mark, Some(*byte)),
                _ => {}
            }
        }
        (self.all.len(), None)
    }
}

impl Iterator for Marks<'_> {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        while self.found == 0 {
            self.base = self.at;
            let rest = self.all.get(self.at..)?;
            if let Some(block) = rest.first_chunk() {
                self.found = marks(block);
                self.at += BLOCK;
            } else {
                // The last block, with what has been looked at already shifted out.
                let known = BLOCK - rest.len();
                self.found = marks(self.all.last_chunk()?) >> known;
                self.at = self.all.len() + 1;
            }
        }
        let place = self.base + self.found.trailing_zeros() as usize;
        self.found &= self.found - 1;
        Some(place)
    }
}

/// The first place of `byte` in a block.
#[inline(always)]
pub(crate) fn find_in_block(block: &[u8; BLOCK], byte: u8) -> Option<usize> {
    let found = equal(block, byte);
    (found != 0).then_some(found.trailing_zeros() as usize)
}

/// Bytes that [`Places`] looks at together.
const WIDE_BLOCK: usize = 32;

/// Where a byte stands, in order.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    byte: u8,
    all: &'a [u8],
    /// Where the block begins that comes next.
    at: usize,
    /// What was found in the block before it, the bit of its first byte the lowest.
    found: u32,
    /// Where that block began.
    base: usize,
}

impl<'a> Places<'a> {
    #[inline(always)]
    pub fn new(byte: u8, all: &'a [u8]) -> Self {
        if all.len() < WIDE_BLOCK {
            Places::of_few(byte, all)
        } else {
            Places { byte, all, at: 0, found: 0, base: 0 }
        }
    }

    /// Of fewer bytes than a block.
    #[cold]
    fn of_few(byte: u8, all: &'a [u8]) -> Self {
        let found = all.iter().rev().fold(0, |found, b| found << 1 | u32::from(*b == byte));
        Places { byte, all, at: all.len() + 1, found, base: 0 }
    }

    #[inline(always)]
    fn in_block(&self, block: &[u8; WIDE_BLOCK]) -> u32 {
        u8x32::new(*block).simd_eq(u8x32::splat(self.byte)).to_bitmask()
    }
}

impl Iterator for Places<'_> {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        while self.found == 0 {
            self.base = self.at;
            let rest = self.all.get(self.at..)?;
            if let Some(block) = rest.first_chunk() {
                self.found = self.in_block(block);
                self.at += WIDE_BLOCK;
            } else {
                // The last block, with what has been looked at already shifted out.
                let known = (WIDE_BLOCK - rest.len()) as u32;
                self.found = self.in_block(self.all.last_chunk()?).checked_shr(known).unwrap_or(0);
                self.at = self.all.len() + 1;
            }
        }
        let place = self.base + self.found.trailing_zeros() as usize;
        self.found &= self.found - 1;
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn places_are_those_that_are_there(bytes in proptest::collection::vec(0u8..4, 0..200)) {
            let all: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == 2).collect();
            prop_assert_eq!(Places::new(2, &bytes).collect::<Vec<_>>(), all);
            if let Some(block) = bytes.first_chunk() {
                prop_assert_eq!(find_in_block(block, 2), block.iter().position(|b| *b == 2));
            }
        }

        #[test]
        fn marks_are_what_is_not_plain(bytes in proptest::collection::vec(any::<u8>(), BLOCK..90), from in 0usize..100) {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
            let all: Vec<usize> = (from..bytes.len()).filter(|at| !plain(bytes[*at])).collect();
            prop_assert_eq!(Marks::new(&bytes, from).collect::<Vec<_>>(), all);
        }

        #[test]
        fn a_plain_name_has_words_with_single_separators(block in "[ab0._>-]{16}") {
            let block: [u8; BLOCK] = block.as_bytes().try_into().unwrap();
            let length = block.iter().position(|b| *b == b'>').unwrap_or(0);
            let mut words = block[..length].split(|b| matches!(b, b'.' | b'-'));
            let is_name = length > 0 && words.all(|word| !word.is_empty());
            prop_assert_eq!(plain_name(&block), is_name.then_some(length));
        }

        #[test]
        fn a_plain_quoted_string_has_neither_backslash_nor_control_byte(block in "[a\t\\x00\\x1f\\x7f\\\\\" é]{16}") {
            let block: [u8; BLOCK] = *block.as_bytes().first_chunk().unwrap();
            let end = block.iter().position(|b| matches!(b, b'"' | b'\\') || b.is_ascii_control());
            prop_assert_eq!(plain_quoted(&block), end.filter(|end| block[*end] == b'"'));
        }

        #[test]
        fn every_byte_is_told_from_every_other(block in any::<[u8; BLOCK]>(), byte in any::<u8>()) {
            let bits = (0..BLOCK).filter(|at| block[*at] == byte).fold(0, |bits, at| bits | 1 << at);
            prop_assert_eq!(equal(&block, byte), bits);
        }
    }
}
