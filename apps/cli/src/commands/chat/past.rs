//! What was said before: pages of the store's history, and what a search finds.

use super::words::Words;
use crate::failure::{Exit, Failure};
use crate::output::{Output, Style, To};
use crate::printable::lines;
use crate::{json, tell, when};
use aldis::store::{Entry, Message, Outgoing, Sequence, State, StoreError};
use aldis::{Content, Phone};
use serde_json::json;

/// Most messages that a search shows.
const MAX_FOUND: usize = 50;

/// The conversation as the store has it.
pub(super) struct Past {
    /// The correspondent, as the store names him.
    peer: String,
    /// The oldest message that was shown.
    oldest: Option<Sequence>,
}

impl Past {
    pub fn new(to: &str) -> Self {
        Past { peer: aldis::store::peer_of(to), oldest: None }
    }

    /// Shows the `count` messages before those that were shown. Gives the place of the newest one.
    ///
    /// # Errors
    /// When standard output is gone.
    pub async fn page(
        &mut self,
        phone: &Phone,
        words: &Words,
        count: usize,
        out: &mut Output,
    ) -> Result<Option<Sequence>, Failure> {
        let (peer, before) = (self.peer.clone(), self.oldest);
        let page = phone.store(move |store| store.history(&peer, before, count)).await;
        let page = match page {
            Ok(page) => page,
            Err(error) => return unreadable(&error, out).map(|()| None),
        };
        let newest = page.first().map(|entry| entry.sequence);
        match page.last() {
            Some(oldest) => self.oldest = Some(oldest.sequence),
            None if before.is_some() => out.note("there is nothing before that"),
            None => {}
        }
        show(page, words, out)?;
        Ok(newest)
    }

    /// Shows the newest messages of the conversation that have these words.
    ///
    /// # Errors
    /// When standard output is gone.
    pub async fn search(
        &self,
        phone: &Phone,
        words: &Words,
        wanted: &str,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let (peer, wanted) = (self.peer.clone(), wanted.to_owned());
        let found = phone.store(move |store| store.search(&wanted, Some(&peer), None, MAX_FOUND)).await;
        match found {
            Ok(found) if found.is_empty() => out.note("nothing has these words"),
            Ok(found) => show(found, words, out)?,
            Err(error) => unreadable(&error, out)?,
        }
        Ok(())
    }
}

fn unreadable(error: &StoreError, out: &mut Output) -> Result<(), Failure> {
    out.warning(&format!("what was said before cannot be read: {error}"));
    Ok(())
}

/// Shows entries that came newest first, the oldest first.
fn show(entries: Vec<Entry>, words: &Words, out: &mut Output) -> Result<(), Failure> {
    for entry in entries.into_iter().rev() {
        if out.is_json() {
            let value =
                object(&entry).ok_or_else(|| Failure::new(Exit::Internal, "An entry has no words."))?;
            out.json(&value)?;
        } else {
            let text = line(&entry, words);
            let text = out.styled(To::Results, Style::Dim, &text);
            out.line(&text)?;
        }
    }
    Ok(())
}

/// `2026-11-27 17:01 UTC  you: text (read)`.
fn line(entry: &Entry, words: &Words) -> String {
    let (at, who, content_type, body, state) = match &entry.message {
        Message::Incoming(message) => {
            (message.received_at, words.name(), &message.content_type, &message.body, None)
        }
        Message::Outgoing { message, state, delivered_at, displayed_at } => {
            let Outgoing { created_at, content_type, body, .. } = message;
            let state = match (displayed_at, delivered_at) {
                (Some(_), _) => "read".to_owned(),
                (None, Some(_)) => "delivered".to_owned(),
                (None, None) => state_in_words(state),
            };
            (*created_at, "you", content_type, body, Some(state))
        }
    };
    let content = Content::read(content_type, &body.clone().into());
    let state = state.map_or_else(String::new, |state| format!(" ({state})"));
    format!("{}  {who}: {}{state}", when::minute(at), tell::content(&content))
}

fn state_in_words(state: &State) -> String {
    match state {
        State::Queued => "waits".into(),
        State::Sending => "being sent".into(),
        State::Accepted { status: 202 } => "kept by the server".into(),
        State::Accepted { .. } => "accepted".into(),
        State::Failed { why, .. } => format!("not delivered: {}", lines(why)),
        State::Unknown { .. } => "nobody knows whether it arrived".into(),
    }
}

/// An entry as a JSON line: the event `history`.
fn object(entry: &Entry) -> Option<serde_json::Value> {
    let (mut value, content_type, body) = match &entry.message {
        Message::Incoming(message) => (
            json!({
                "event": "history",
                "direction": "in",
                "id": message.id,
                "peer": entry.peer,
                "from": message.from,
                "to": message.to,
                "content_type": message.content_type,
                "sent_at": message.sent_at.map(json::timestamp),
                "received_at": json::timestamp(message.received_at),
            }),
            &message.content_type,
            &message.body,
        ),
        Message::Outgoing { message, state, delivered_at, displayed_at } => (
            json!({
                "event": "history",
                "direction": "out",
                "id": message.id,
                "peer": entry.peer,
                "to": message.to,
                "content_type": message.content_type,
                "sent_at": json::timestamp(message.created_at),
                "state": match (displayed_at, delivered_at, state) {
                    (Some(_), _, _) => "displayed",
                    (None, Some(_), _) => "delivered",
                    (_, _, State::Queued) => "queued",
                    (_, _, State::Sending) => "sending",
                    (_, _, State::Accepted { .. }) => "accepted",
                    (_, _, State::Failed { .. }) => "failed",
                    (_, _, State::Unknown { .. }) => "unknown",
                },
            }),
            &message.content_type,
            &message.body,
        ),
    };
    let content = Content::read(content_type, &body.clone().into());
    json::extend(&mut value, json::text_or_bytes(content.text().as_deref(), body));
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aldis_sip::Uri;

    fn sent(state: State, displayed_at: Option<i64>) -> Entry {
        let message = Outgoing {
            id: "1".into(),
            call_id: "c".into(),
            from_tag: "t".into(),
            to: "sip:bob@example.test".into(),
            kind: aldis::store::Kind::Message,
            content_type: "text/plain".into(),
            body: b"two\r\nlines\x1b[2J".to_vec(),
            expires: None,
            created_at: 1_800_000_000,
            wants: None,
        };
        let message = Message::Outgoing { message, state, delivered_at: None, displayed_at };
        Entry { sequence: Sequence(1), peer: "sip:bob@example.test".into(), message }
    }

    #[test]
    fn a_line_of_the_past_says_when_who_what_and_what_became_of_it() {
        let words = Words::new(&Uri::parse("sip:bob@example.test").unwrap());
        let read = sent(State::Accepted { status: 200 }, Some(1));
        assert_eq!(line(&read, &words), "2027-01-15 08:00 UTC  you: two\n  lines\\u{1b}[2J (read)");
        let kept = sent(State::Accepted { status: 202 }, None);
        assert!(line(&kept, &words).ends_with("(kept by the server)"));
    }

    #[test]
    fn the_past_is_an_event_for_programs() {
        let value = object(&sent(State::Queued, None)).unwrap();
        assert_eq!(value["event"], "history");
        assert_eq!((&value["direction"], &value["state"]), (&"out".into(), &"queued".into()));
        assert_eq!(value["body"], "two\r\nlines\u{1b}[2J");
    }
}
