//! Randomness from a seed: tags, branches, identifiers and jitter.

use crate::event::MessageId;
use crate::time::Now;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use std::time::Duration;

/// The agent's only source of randomness; the same seed gives the same run.
pub(crate) struct Random(ChaCha20Rng);

const DIGITS: &[u8; 16] = b"0123456789abcdef";

impl Random {
    pub fn new(seed: [u8; 32]) -> Self {
        Random(ChaCha20Rng::from_seed(seed))
    }

    /// `bytes` random bytes as lower-case hexadecimal digits.
    pub fn hex(&mut self, bytes: usize) -> String {
        let mut out = String::with_capacity(bytes * 2);
        for _ in 0..bytes {
            let byte = self.0.next_u32() as u8;
            for nibble in [byte >> 4, byte & 15] {
                out.extend(DIGITS.get(usize::from(nibble)).copied().map(char::from));
            }
        }
        out
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.0.fill_bytes(&mut out);
        out
    }

    /// An identifier for a message that is handed over now.
    pub fn message_id(&mut self, now: Now) -> MessageId {
        let millis = (now.wall.as_millis() as u64).to_be_bytes();
        let mut id: [u8; 16] = self.bytes();
        // The last six of the eight hold a time until the year 10889.
        for (byte, milli) in id.iter_mut().zip(millis.into_iter().skip(2)) {
            *byte = milli;
        }
        MessageId(id)
    }

    /// A tag for From or To: 64 bits, where RFC 3261 §19.3 asks for 32.
    pub fn tag(&mut self) -> String {
        self.hex(8)
    }

    /// A branch, unique in space and time (RFC 3261 §8.1.1.7).
    pub fn branch(&mut self) -> String {
        format!("z9hG4bK{}", self.hex(12))
    }

    /// A number from `low` to `high`, both possible; `high` is below 2^32 - 1.
    pub fn within(&mut self, low: u32, high: u32) -> u32 {
        low + self.0.next_u32() % (high.saturating_sub(low) + 1)
    }

    /// A duration from `low` to `high` percent of `whole`.
    pub fn percent(&mut self, whole: Duration, low: u32, high: u32) -> Duration {
        let mille = u64::from(self.within(low * 10, high * 10));
        Duration::from_millis((whole.as_millis() as u64).saturating_mul(mille) / 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_values_and_another_does_not() {
        let values = |seed| {
            let mut random = Random::new([seed; 32]);
            (random.branch(), random.tag())
        };
        assert_eq!(values(1), values(1));
        assert_ne!(values(1), values(2));
        assert!(values(1).0.starts_with("z9hG4bK"));
    }

    #[test]
    fn percentages_stay_in_their_range() {
        let mut random = Random::new([7; 32]);
        for _ in 0..1000 {
            let value = random.percent(Duration::from_secs(100), 80, 90);
            assert!((Duration::from_secs(80)..=Duration::from_secs(90)).contains(&value), "{value:?}");
        }
    }
}
