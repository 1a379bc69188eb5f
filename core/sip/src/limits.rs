//! How much is taken from the network.

/// Longest head, in bytes: what a message of RFC 3261 §18.1.1's 65,535 bytes could have.
pub const MAX_HEAD: usize = 65_535;
/// Most header lines of a message.
pub const MAX_FIELDS: usize = 512;
/// Largest body that is kept, in bytes; a larger one is refused with 413.
pub const MAX_BODY: usize = 1 << 20;
/// Largest body that is read past after it was refused, in bytes; beyond it the connection closes.
pub const MAX_SKIPPED: usize = 64 << 20;
