//! Which received messages the app has been given, and which wait in the store.

use aldis_store::{Incoming, Sequence};
use std::collections::BTreeSet;

/// The app's place in what was received.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// Given to the app and not acknowledged.
    given: BTreeSet<Sequence>,
    /// Behind this one the store may hold messages that the app was not given.
    loaded: Sequence,
    behind: bool,
    loading: bool,
}

impl Default for Inbox {
    fn default() -> Self {
        Inbox { given: BTreeSet::new(), loaded: Sequence(0), behind: true, loading: false }
    }
}

impl Inbox {
    /// Messages that are read from the store at once.
    pub const PAGE: usize = 256;

    /// Whether the store holds messages that the app was not given.
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    /// Behind which message to go on reading, if there is anything to read.
    pub fn next_page(&mut self) -> Option<Sequence> {
        if !self.behind || self.loading {
            return None;
        }
        self.loading = true;
        Some(self.loaded)
    }

    /// Another process may have stored something, before or behind what the app was given.
    pub fn look_again(&mut self) {
        (self.loaded, self.behind) = (Sequence(0), true);
    }

    /// A page came; gives what the app does not have yet.
    pub fn take_page(
        &mut self,
        after: Sequence,
        page: Vec<(Sequence, Incoming)>,
    ) -> Vec<(Sequence, Incoming)> {
        self.loading = false;
        if after != self.loaded {
            // It is looked at again from the beginning.
            return Vec::new();
        }
        self.behind = page.len() >= Self::PAGE;
        if let Some((last, _)) = page.last() {
            self.loaded = *last;
        }
        page.into_iter().filter(|(sequence, _)| self.given.insert(*sequence)).collect()
    }

    /// A page could not be read: it is asked for again.
    pub fn page_failed(&mut self) {
        self.loading = false;
    }

    /// A message was stored; whether the app is given it now, or when it has read what is before.
    pub fn comes(&mut self, sequence: Sequence, has_room: bool) -> bool {
        if self.behind || !has_room {
            self.behind = true;
            return false;
        }
        self.loaded = self.loaded.max(sequence);
        self.given.insert(sequence)
    }

    /// The store knows that the app has them.
    pub fn acknowledged(&mut self, sequences: &[Sequence]) {
        for sequence in sequences {
            self.given.remove(sequence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(sequences: impl IntoIterator<Item = u64>) -> Vec<(Sequence, Incoming)> {
        let message = |sequence: u64| Incoming {
            key: String::new(),
            id: sequence.to_string(),
            from: String::new(),
            display_name: None,
            claimed_from: None,
            to: String::new(),
            content_type: String::new(),
            body: Vec::new(),
            sent_at: None,
            received_at: 0,
            expires_at: None,
            wants: None,
            owes_receipt: false,
        };
        sequences.into_iter().map(|sequence| (Sequence(sequence), message(sequence))).collect()
    }

    fn numbers(messages: Vec<(Sequence, Incoming)>) -> Vec<u64> {
        messages.into_iter().map(|(sequence, _)| sequence.0).collect()
    }

    #[test]
    fn what_comes_while_older_messages_wait_waits_behind_them() {
        let mut inbox = Inbox::default();
        let after = inbox.next_page().unwrap();
        assert!(!inbox.comes(Sequence(300), true));
        assert_eq!(inbox.next_page(), None, "one page at a time");
        assert_eq!(numbers(inbox.take_page(after, page(1..=256))).len(), 256);
        let after = inbox.next_page().unwrap();
        assert_eq!(numbers(inbox.take_page(after, page([299, 300]))), [299, 300]);
        assert!(inbox.comes(Sequence(301), true));
        assert_eq!(inbox.next_page(), None);
    }

    #[test]
    fn what_does_not_fit_is_read_later() {
        let mut inbox = Inbox::default();
        let after = inbox.next_page().unwrap();
        inbox.take_page(after, page([]));
        assert!(inbox.comes(Sequence(1), true));
        assert!(!inbox.comes(Sequence(2), false));
        assert!(!inbox.comes(Sequence(3), true), "not before the second");
        let after = inbox.next_page().unwrap();
        assert_eq!(numbers(inbox.take_page(after, page([2, 3]))), [2, 3]);
    }

    #[test]
    fn another_process_s_messages_come_and_ours_do_not_come_twice() {
        let mut inbox = Inbox::default();
        let after = inbox.next_page().unwrap();
        inbox.take_page(after, page([]));
        assert!(inbox.comes(Sequence(11), true));
        inbox.look_again();
        let after = inbox.next_page().unwrap();
        assert_eq!(numbers(inbox.take_page(after, page([10, 11]))), [10]);
        inbox.acknowledged(&[Sequence(10), Sequence(11)]);
    }
}
