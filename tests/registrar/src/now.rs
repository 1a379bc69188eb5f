//! Time as an argument.

use std::time::Duration;

/// The moment of a call. The state machine reads no clock: whoever carries its bytes does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Since some fixed moment; never goes back.
    pub mono: Duration,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub wall: i64,
}
