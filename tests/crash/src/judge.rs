//! What must be true at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What both sides were told and shown.
#[derive(Debug, Default)]
pub struct Judge {
    /// Texts of the other, which the victim answered with 200 or the server took for it.
    pub answered: BTreeSet<String>,
    /// Texts of the victim as the other was shown them.
    pub shown: Vec<String>,
}

/// The judgement.
#[derive(Debug, Default)]
pub struct Report {
    /// How often the victim died.
    pub kills: u32,
    /// Messages that the victim had accepted from its app.
    pub accepted: usize,
    /// Messages that it had answered.
    pub answered: usize,
    /// Accepted, and never shown to the other.
    pub lost: Vec<String>,
    /// Shown to the other more than once, or to the app in two places.
    pub twice: Vec<String>,
    /// Answered, and never shown to the app.
    pub not_stored: Vec<String>,
    /// Whatever else the victim complained of.
    pub complaints: Vec<String>,
}

impl Judge {
    /// Judges by the victim's journal.
    pub fn judge(&self, kills: u32, journal: &str) -> Report {
        let mut accepted = BTreeSet::new();
        let mut places: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut report = Report { kills, answered: self.answered.len(), ..Report::default() };
        for line in journal.lines() {
            match line.split_once(' ') {
                Some(("accepted", text)) => {
                    accepted.insert(text.to_owned());
                }
                Some(("shown", rest)) => {
                    let (place, text) = rest.split_once(' ').unwrap_or((rest, ""));
                    places.entry(text).or_default().insert(place);
                }
                _ => report.complaints.push(line.to_owned()),
            }
        }
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for text in &self.shown {
            *counts.entry(text).or_default() += 1;
        }
        report.accepted = accepted.len();
        report.lost = accepted.into_iter().filter(|text| !counts.contains_key(text.as_str())).collect();
        report.twice =
            counts.iter().filter(|(_, count)| **count > 1).map(|(text, _)| (*text).to_owned()).collect();
        report
            .twice
            .extend(places.iter().filter(|(_, places)| places.len() > 1).map(|(text, _)| (*text).to_owned()));
        report.not_stored =
            self.answered.iter().filter(|text| !places.contains_key(text.as_str())).cloned().collect();
        report
    }
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.lost.is_empty()
            && self.twice.is_empty()
            && self.not_stored.is_empty()
            && self.complaints.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} kills; {} messages accepted, {} answered", self.kills, self.accepted, self.answered)?;
        write!(
            f,
            "{} lost, {} shown twice, {} answered and not stored",
            self.lost.len(),
            self.twice.len(),
            self.not_stored.len()
        )?;
        for (what, list) in [
            ("lost", &self.lost),
            ("twice", &self.twice),
            ("not stored", &self.not_stored),
            ("complaint", &self.complaints),
        ] {
            for text in list.iter().take(20) {
                write!(f, "\n{what}: {text}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(answered: &[&str], shown: &[&str], journal: &str) -> Report {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Judge { answered: own(answered).into_iter().collect(), shown: own(shown) }.judge(1, journal)
    }

    #[test]
    fn a_place_that_is_given_again_is_no_fault() {
        assert!(judge(&["b"], &["a"], "accepted a\nshown 1 b\nshown 1 b\n").is_clean());
    }

    #[test]
    fn each_fault_is_found() {
        assert_eq!(judge(&[], &[], "accepted a\n").lost, ["a"]);
        assert_eq!(judge(&[], &["a", "a"], "accepted a\n").twice, ["a"]);
        assert_eq!(judge(&["b"], &[], "shown 1 b\nshown 2 b\n").twice, ["b"]);
        assert_eq!(judge(&["b"], &[], "").not_stored, ["b"]);
        assert_eq!(judge(&[], &[], "storage it failed\n").complaints.len(), 1);
    }
}
