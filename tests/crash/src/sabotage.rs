//! Faults put in on purpose: a judge that has never condemned anybody proves nothing.

use std::str::FromStr;

/// What a victim does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// It answers messages that it has not stored.
    AnswersUnstored,
    /// It does not know again what came before.
    ForgetsKeys,
    /// It takes messages of its app that it has not stored.
    TakesUnstored,
    /// It sends again under another identifier what an earlier run may have sent.
    Renames,
    /// It forgets that it owes a receipt as soon as it has answered.
    OwesNothing,
}

/// Their names on a command line.
pub const SABOTAGES: [(Sabotage, &str); 5] = [
    (Sabotage::AnswersUnstored, "answers-unstored"),
    (Sabotage::ForgetsKeys, "forgets-keys"),
    (Sabotage::TakesUnstored, "takes-unstored"),
    (Sabotage::Renames, "renames"),
    (Sabotage::OwesNothing, "owes-nothing"),
];

impl Sabotage {
    /// Its name.
    pub fn name(self) -> &'static str {
        SABOTAGES.iter().find(|(one, _)| *one == self).map_or("?", |(_, name)| name)
    }
}

impl FromStr for Sabotage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = SABOTAGES.iter().find(|(_, name)| *name == text);
        found.map(|(one, _)| *one).ok_or_else(|| format!("{text} is no sabotage"))
    }
}
