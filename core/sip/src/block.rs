//! Sixteen bytes at once: where in them a byte stands.

use wide::u8x16;

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

/// The first place of `byte` among the first sixteen bytes; `None` too if there are fewer bytes.
#[inline(always)]
pub(crate) fn find_in_first(bytes: &[u8], byte: u8) -> Option<usize> {
    let found = equal(bytes.first_chunk()?, byte);
    (found != 0).then_some(found.trailing_zeros() as usize)
}

/// Where a byte stands, in order.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    byte: u8,
    /// What has not been looked at.
    rest: &'a [u8],
    /// Where `rest` begins.
    at: usize,
    /// What was found in the block before it, a bit for each byte.
    found: u32,
}

impl<'a> Places<'a> {
    #[inline(always)]
    pub fn new(byte: u8, bytes: &'a [u8]) -> Self {
        Places { byte, rest: bytes, at: 0, found: 0 }
    }
}

impl Iterator for Places<'_> {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        while self.found == 0 {
            let Some((block, rest)) = self.rest.split_first_chunk() else { return self.next_of_few() };
            self.found = equal(block, self.byte);
            (self.rest, self.at) = (rest, self.at + BLOCK);
        }
        let place = self.at - BLOCK + self.found.trailing_zeros() as usize;
        self.found &= self.found - 1;
        Some(place)
    }
}

impl Places<'_> {
    /// The last bytes, which are no whole block, one by one.
    fn next_of_few(&mut self) -> Option<usize> {
        let place = self.rest.iter().position(|byte| *byte == self.byte)?;
        self.rest = self.rest.get(place + 1..).unwrap_or_default();
        self.at += place + 1;
        Some(self.at - 1)
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
            let first = bytes.iter().take(BLOCK).position(|b| *b == 2).filter(|_| bytes.len() >= BLOCK);
            prop_assert_eq!(find_in_first(&bytes, 2), first);
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
        fn every_byte_is_told_from_every_other(block in any::<[u8; BLOCK]>(), byte in any::<u8>()) {
            let bits = (0..BLOCK).filter(|at| block[*at] == byte).fold(0, |bits, at| bits | 1 << at);
            prop_assert_eq!(equal(&block, byte), bits);
        }
    }
}
