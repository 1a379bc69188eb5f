//! Messages for users who are away.

use crate::options::MAX_STORED;
use aldis_sip::fields::{Date, Expires};
use aldis_sip::{Header, Message};
use std::collections::{BTreeMap, VecDeque};

/// A message that waits for its recipient.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub request: Message,
    /// When it was received, in seconds since 1970.
    pub received: i64,
}

impl Stored {
    /// Its Expires counts from its Date, without one from its receipt (RFC 3428 §7).
    pub fn is_expired(&self, now: i64) -> bool {
        let since = self.date();
        match self.request.get::<Expires>() {
            Ok(Some(Expires(seconds))) => now >= since.saturating_add(i64::from(seconds)),
            _ => false,
        }
    }

    /// When it was sent as far as we know, in seconds since 1970.
    pub fn date(&self) -> i64 {
        match self.request.get::<Date>() {
            Ok(Some(Date(seconds))) => seconds,
            _ => self.received,
        }
    }

    pub fn has_date(&self) -> bool {
        self.request.has(Header::Date)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Store {
    users: BTreeMap<String, VecDeque<Stored>>,
}

impl Store {
    /// Keeps a message; `false` if there is no room or it is already too old.
    pub fn keep(&mut self, user: &str, stored: Stored) -> bool {
        let waiting = self.users.entry(user.to_owned()).or_default();
        if waiting.len() >= MAX_STORED || stored.is_expired(stored.received) {
            return false;
        }
        waiting.push_back(stored);
        true
    }

    /// The oldest message for a user that has not expired; it stays until [`Store::delivered`].
    pub fn next(&mut self, user: &str, now: i64) -> Option<Stored> {
        let waiting = self.users.get_mut(user)?;
        while waiting.front()?.is_expired(now) {
            waiting.pop_front();
        }
        waiting.front().cloned()
    }

    /// The oldest message for a user is done with.
    pub fn delivered(&mut self, user: &str) {
        if let Some(waiting) = self.users.get_mut(user) {
            waiting.pop_front();
        }
    }

    pub fn count(&self, user: &str) -> usize {
        self.users.get(user).map_or(0, VecDeque::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(lines: &str, received: i64) -> Stored {
        let (request, _) = Message::parse(format!("MESSAGE sip:b@t SIP/2.0\r\n{lines}\r\n").into()).unwrap();
        Stored { request, received }
    }

    #[test]
    fn an_expired_message_is_passed_over_msg_11() {
        let mut store = Store::default();
        let date = "Date: Thu, 01 Jan 1970 00:10:00 GMT\r\n";
        assert!(store.keep("bob", stored("Expires: 60\r\nSubject: one\r\n", 1000)));
        assert!(store.keep("bob", stored(&format!("{date}Expires: 460\r\nSubject: two\r\n"), 1000)));
        assert!(store.keep("bob", stored("Subject: three\r\n", 1000)));
        let mut next = |now| Some(store.next("bob", now)?.request.value(Header::Subject)?.to_owned());
        assert_eq!(next(1059).as_deref(), Some("one"));
        assert_eq!(next(1059).as_deref(), Some("one"), "it stays until it was delivered");
        assert_eq!(next(1059 + 1).as_deref(), Some("three"));
    }

    #[test]
    fn what_is_too_old_or_too_many_is_not_kept() {
        let mut store = Store::default();
        assert!(!store.keep("bob", stored("Expires: 0\r\n", 5)));
        for _ in 0..MAX_STORED {
            assert!(store.keep("bob", stored("", 5)));
        }
        assert!(!store.keep("bob", stored("", 5)));
        store.delivered("bob");
        assert_eq!(store.count("bob"), MAX_STORED - 1);
    }
}
