//! Where a victim may die by its own hand.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Signal, getpid, kill_process};

/// What the phone has its store do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// Takes over what an earlier run left.
    Claim,
    /// Keeps a message of its app.
    Put,
    /// Notes that a message may leave.
    Leave,
    /// Notes what became of a message.
    End,
    /// Keeps a message that came.
    Receive,
    /// Keeps a receipt that it owes.
    Owe,
    /// Notes a receipt that came.
    Receipt,
    /// Notes that its app has a message.
    Acknowledge,
}

/// How far a deed is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The transaction has begun, and nothing of it is done.
    Begun,
    /// It is done, and not committed.
    Done,
    /// It is committed, and nobody was told.
    Committed,
}

/// A place in a victim's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the store.
    Store(Deed, Stage),
    /// A request of ours is about to be written to the connection.
    Request,
    /// An answer of ours is about to be written: the message is stored, and its sender does not know.
    Answer,
    /// A message came, and nothing was done.
    Arrival,
    /// An answer to a message of ours came, and nothing was done.
    Answered,
    /// The app was told that a message is taken, and has done nothing.
    Taken,
    /// The app was given a message, and has done nothing.
    Given,
}

const DEEDS: [(Deed, &str); 8] = [
    (Deed::Claim, "claim"),
    (Deed::Put, "put"),
    (Deed::Leave, "leave"),
    (Deed::End, "end"),
    (Deed::Receive, "receive"),
    (Deed::Owe, "owe"),
    (Deed::Receipt, "receipt"),
    (Deed::Acknowledge, "acknowledge"),
];
const STAGES: [(Stage, &str); 3] =
    [(Stage::Begun, "begun"), (Stage::Done, "done"), (Stage::Committed, "committed")];
const OTHERS: [(Place, &str); 6] = [
    (Place::Request, "request"),
    (Place::Answer, "answer"),
    (Place::Arrival, "arrival"),
    (Place::Answered, "answered"),
    (Place::Taken, "taken"),
    (Place::Given, "given"),
];

impl Place {
    /// All of them.
    pub fn all() -> Vec<Place> {
        let stored =
            DEEDS.iter().flat_map(|(deed, _)| STAGES.iter().map(|(stage, _)| Place::Store(*deed, *stage)));
        stored.chain(OTHERS.iter().map(|(place, _)| *place)).collect()
    }

    /// How often most runs come by.
    pub fn visits(self) -> u64 {
        match self {
            Place::Store(Deed::Claim, _) => 1,
            _ => 3,
        }
    }
}

fn name_of<T: PartialEq>(names: &[(T, &'static str)], wanted: &T) -> &'static str {
    names.iter().find(|(one, _)| one == wanted).map_or("?", |(_, name)| name)
}

fn named<T: Copy>(names: &[(T, &str)], wanted: &str) -> Result<T, String> {
    names
        .iter()
        .find(|(_, name)| *name == wanted)
        .map(|(one, _)| *one)
        .ok_or_else(|| format!("{wanted} is no place"))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Store(deed, stage) => {
                write!(f, "{}-{}", name_of(&DEEDS, deed), name_of(&STAGES, stage))
            }
            other => f.write_str(name_of(&OTHERS, other)),
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('-') {
            Some((deed, stage)) => Ok(Place::Store(named(&DEEDS, deed)?, named(&STAGES, stage)?)),
            None => named(&OTHERS, text),
        }
    }
}

/// Counts how often a place is passed, and kills the process there.
#[derive(Clone, Debug)]
pub struct Fate {
    place: Option<Place>,
    /// How often it may be passed before, and where to note it.
    left: Arc<Mutex<(u64, File)>>,
}

impl Fate {
    /// To die when `place` is passed once more than `before` times; never without one. It is noted in the journal first.
    pub fn new(place: Option<(Place, u64)>, journal: File) -> Self {
        let (place, before) = place.unzip();
        Fate { place, left: Arc::new(Mutex::new((before.unwrap_or_default(), journal))) }
    }

    /// A place is passed.
    ///
    /// # Panics
    /// If the process cannot kill itself.
    pub fn pass(&self, place: Place) {
        if self.place != Some(place) {
            return;
        }
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, journal) = &mut *left;
        if *before > 0 {
            *before -= 1;
            return;
        }
        journal.write_all(format!("died {place}\n").as_bytes()).unwrap();
        kill_process(getpid(), Signal::KILL).unwrap();
        // The signal comes before the next instruction of this thread, or soon; nobody passes meanwhile.
        loop {
            std::thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_a_name_of_its_own() {
        let all = Place::all();
        assert_eq!(all.len(), 30);
        for place in all {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
    }
}
