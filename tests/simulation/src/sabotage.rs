//! Faults put between an agent and the world, as if the agent had them: the model has to notice each.

use std::fmt;

/// A fault of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A timer for the registration or a reconnection is forgotten.
    LostTimer,
    /// A message that was stored is not known when it comes again.
    MissedDuplicate,
    /// A failed attempt does not count.
    BackOffReset,
    /// A REGISTER is sent again while the first is in flight.
    SecondRegister,
    /// A MESSAGE is sent while one to the same recipient is under way.
    SecondMessage,
    /// An access token is sent that was refused.
    OldToken,
    /// The nonce count stays.
    SameNonceCount,
    /// A message that was under way on a lost flow is forgotten.
    ForgottenMessage,
    /// Bytes go to a server that was not trusted.
    Trusting,
    /// A message is answered before it is stored.
    EarlyAnswer,
    /// A branch is used twice.
    SameBranch,
    /// A deadline is in the past.
    BusyLoop,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Sabotage; 12] = [
        Sabotage::LostTimer,
        Sabotage::MissedDuplicate,
        Sabotage::BackOffReset,
        Sabotage::SecondRegister,
        Sabotage::SecondMessage,
        Sabotage::OldToken,
        Sabotage::SameNonceCount,
        Sabotage::ForgottenMessage,
        Sabotage::Trusting,
        Sabotage::EarlyAnswer,
        Sabotage::SameBranch,
        Sabotage::BusyLoop,
    ];
}

impl fmt::Display for Sabotage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
