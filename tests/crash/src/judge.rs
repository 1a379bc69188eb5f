//! What must be true at the end.

use crate::place::Place;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A message of one of the others to the victim.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// What it says.
    pub text: String,
    /// The 2xx that came for it: 200 is the victim's own answer, 202 the server's, who keeps it for the victim.
    pub status: Option<u16>,
    /// Whether it has its final state.
    pub is_done: bool,
    /// Whether a receipt was asked for.
    pub wants_receipt: bool,
    /// How many came.
    pub receipts: u32,
}

impl Written {
    /// Whether something is still expected.
    pub fn is_open(&self) -> bool {
        !self.is_done || (self.wants_receipt && self.status.is_some() && self.receipts == 0)
    }
}

/// What everybody around one victim was told and shown.
#[derive(Debug, Default)]
pub struct Judge {
    /// Messages to the victim.
    pub written: Vec<Written>,
    /// Texts of the victim, as each of the others was shown them.
    pub shown: Vec<Vec<String>>,
}

/// The judgement.
#[derive(Debug, Default)]
pub struct Report {
    /// How often victims died.
    pub kills: u32,
    /// How often by their own hand, at which place.
    pub places: BTreeMap<Place, u32>,
    /// Messages that victims had accepted from their apps.
    pub accepted: usize,
    /// Messages of victims that were shown to the others, accepted before the app could be told or not.
    pub shown: usize,
    /// Messages that victims had answered with 200.
    pub answered: usize,
    /// Messages that the server had taken for them, with 202.
    pub kept: usize,
    /// Messages of the others of which nobody knows, because the victim died with them.
    pub unknown: usize,
    /// Messages that were shown to the apps of victims.
    pub received: usize,
    /// Receipts that victims owed and gave.
    pub receipts: usize,
    /// How often a victim was told that its disk fails.
    pub refused: usize,
    /// Accepted, and never shown to the other.
    pub lost: Vec<String>,
    /// Shown to the other more than once, or to the app in two places.
    pub twice: Vec<String>,
    /// Shown to the other behind a later one.
    pub out_of_order: Vec<String>,
    /// Answered with 200, and never shown to the app.
    pub not_stored: Vec<String>,
    /// Taken by the server with 202, and never shown to the app.
    pub not_fetched: Vec<String>,
    /// Shown to the app or to the other, who owes a receipt and never gave it.
    pub unreceipted: Vec<String>,
    /// Whatever else victims complained of.
    pub complaints: Vec<String>,
}

impl Judge {
    /// Judges by the victim's journal. On a disk that fails now and then it may say so.
    pub fn judge(&self, journal: &str, failing_disk: bool) -> Report {
        let mut report = Report::default();
        let mut accepted = BTreeSet::new();
        let mut places: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for line in journal.lines() {
            match line.split_once(' ') {
                Some(("accepted", text)) => drop(accepted.insert(text.to_owned())),
                Some(("shown", rest)) => {
                    let (place, text) = rest.split_once(' ').unwrap_or((rest, ""));
                    places.entry(text).or_default().insert(place);
                }
                Some(("died", place)) if place.parse::<Place>().is_ok() => {
                    *report.places.entry(place.parse().expect("a place")).or_default() += 1;
                }
                Some(("storage", _)) if failing_disk => report.refused += 1,
                Some(("unreceipted", text)) => report.unreceipted.push(text.to_owned()),
                _ => report.complaints.push(line.to_owned()),
            }
        }
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for shown in &self.shown {
            let mut latest = "";
            for text in shown {
                *counts.entry(text).or_default() += 1;
                if text.as_str() < latest {
                    report.out_of_order.push(format!("{text} behind {latest}"));
                }
                latest = latest.max(text);
            }
        }
        (report.accepted, report.shown, report.received) = (accepted.len(), counts.len(), places.len());
        report.lost = accepted.into_iter().filter(|text| !counts.contains_key(text.as_str())).collect();
        let twice = counts.iter().filter(|(_, count)| **count > 1).map(|(text, _)| *text);
        let places_twice = places.iter().filter(|(_, places)| places.len() > 1).map(|(text, _)| *text);
        report.twice = twice.chain(places_twice).map(str::to_owned).collect();
        for written in &self.written {
            let is_shown = places.contains_key(written.text.as_str());
            match written.status {
                Some(202) => report.kept += 1,
                Some(_) => report.answered += 1,
                None => report.unknown += 1,
            }
            match written.status {
                Some(202) if !is_shown => report.not_fetched.push(written.text.clone()),
                Some(_) if !is_shown => report.not_stored.push(written.text.clone()),
                _ => {}
            }
            report.receipts += usize::from(written.receipts > 0);
            if is_shown && written.wants_receipt && written.receipts == 0 {
                report.unreceipted.push(written.text.clone());
            }
            if written.receipts > 1 {
                report.twice.push(format!("the receipt of {}", written.text));
            }
        }
        report
    }
}

impl Report {
    /// Adds what became of another victim.
    pub fn add(&mut self, other: Report) {
        self.kills += other.kills;
        for (place, count) in other.places {
            *self.places.entry(place).or_default() += count;
        }
        self.accepted += other.accepted;
        self.shown += other.shown;
        self.answered += other.answered;
        self.kept += other.kept;
        self.unknown += other.unknown;
        self.received += other.received;
        self.receipts += other.receipts;
        self.refused += other.refused;
        for (all, more) in [
            (&mut self.lost, other.lost),
            (&mut self.twice, other.twice),
            (&mut self.out_of_order, other.out_of_order),
            (&mut self.not_stored, other.not_stored),
            (&mut self.not_fetched, other.not_fetched),
            (&mut self.unreceipted, other.unreceipted),
            (&mut self.complaints, other.complaints),
        ] {
            all.extend(more);
        }
    }

    /// What was wrong, by name.
    pub fn faults(&self) -> [(&'static str, &Vec<String>); 7] {
        [
            ("accepted and lost", &self.lost),
            ("shown twice", &self.twice),
            ("shown out of order", &self.out_of_order),
            ("answered 200 and not stored", &self.not_stored),
            ("kept by the server (202) and not fetched", &self.not_fetched),
            ("receipts owed and not given", &self.unreceipted),
            ("other complaints", &self.complaints),
        ]
    }

    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.faults().iter().all(|(_, list)| list.is_empty())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by_own_hand: u32 = self.places.values().sum();
        writeln!(f, "| kills | |\n| --- | ---: |")?;
        for (place, count) in &self.places {
            writeln!(f, "| at {place} | {count} |")?;
        }
        writeln!(f, "| at a random moment | {} |", self.kills.saturating_sub(by_own_hand))?;
        writeln!(f, "| all | {} |", self.kills)?;
        writeln!(f, "\n| messages of victims | |\n| --- | ---: |")?;
        writeln!(f, "| accepted from the app | {} |", self.accepted)?;
        writeln!(f, "| shown to the other | {} |", self.shown)?;
        writeln!(f, "\n| messages to victims | |\n| --- | ---: |")?;
        writeln!(f, "| answered with 200 | {} |", self.answered)?;
        writeln!(f, "| kept by the server, 202 | {} |", self.kept)?;
        writeln!(f, "| fate unknown to the sender | {} |", self.unknown)?;
        writeln!(f, "| shown to the app | {} |", self.received)?;
        writeln!(f, "| receipts given | {} |", self.receipts)?;
        if self.refused > 0 {
            writeln!(f, "| failures of the disk that victims told | {} |", self.refused)?;
        }
        writeln!(f, "\n| faults | |\n| --- | ---: |")?;
        for (what, list) in self.faults() {
            writeln!(f, "| {what} | {} |", list.len())?;
        }
        for (what, list) in self.faults() {
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

    fn written(text: &str, status: u16) -> Written {
        Written { text: text.into(), status: Some(status), is_done: true, ..Written::default() }
    }

    fn judge(written: Vec<Written>, shown: &[&str], journal: &str) -> Report {
        let shown = vec![shown.iter().map(|text| (*text).to_owned()).collect()];
        Judge { written, shown }.judge(journal, false)
    }

    #[test]
    fn a_place_that_is_given_again_is_no_fault() {
        let report = judge(vec![written("b", 200)], &["a"], "accepted a\nshown 1 b\nshown 1 b\ndied given\n");
        assert!(report.is_clean(), "{report}");
        assert_eq!((report.accepted, report.answered, report.places.len()), (1, 1, 1));
    }

    #[test]
    fn each_fault_is_found() {
        assert_eq!(judge(vec![], &[], "accepted a\n").lost, ["a"]);
        assert_eq!(judge(vec![], &["a", "a"], "accepted a\n").twice, ["a"]);
        assert_eq!(judge(vec![], &["b", "a"], "").out_of_order.len(), 1);
        assert_eq!(judge(vec![written("b", 200)], &[], "shown 1 b\nshown 2 b\n").twice, ["b"]);
        assert_eq!(judge(vec![written("b", 200)], &[], "").not_stored, ["b"]);
        assert_eq!(judge(vec![written("b", 202)], &[], "").not_fetched, ["b"]);
        let asked = Written { wants_receipt: true, ..written("b", 200) };
        assert_eq!(judge(vec![asked.clone()], &[], "shown 1 b\n").unreceipted, ["b"]);
        let twice = Written { receipts: 2, ..asked };
        assert_eq!(judge(vec![twice], &[], "shown 1 b\n").twice.len(), 1);
        assert_eq!(judge(vec![], &["a"], "unreceipted a\n").unreceipted, ["a"]);
        assert_eq!(judge(vec![], &[], "storage it failed\n").complaints.len(), 1);
    }
}
