//! How a conversation reads: the correspondent by name, states of messages as marks on a terminal and as words elsewhere.

use crate::printable::line;
use crate::tell::{self, Told};
use aldis::{ConnectionState, Event, Incoming, OutgoingState, RegistrationState, StatusCode};
use aldis_sip::Uri;

/// The words of one conversation.
#[derive(Clone, Debug)]
pub(super) struct Words {
    /// User and domain of the correspondent.
    peer: (String, String),
    /// What he is called here.
    name: String,
}

impl Words {
    pub fn new(to: &Uri<'_>) -> Self {
        let (user, host) = parts(to);
        let name = if user.is_empty() { host.clone() } else { user.clone() };
        Words { peer: (user, host), name: line(&name).into_owned() }
    }

    /// What he is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether that is the correspondent, whatever a server wrote around him (I-04).
    pub fn is_peer(&self, uri: &Uri<'_>) -> bool {
        parts(uri) == self.peer
    }

    /// The words for an event.
    pub fn event(&self, event: &Event, terminal: bool) -> Option<Told> {
        match event {
            Event::Message(message) if self.is_peer(&message.from) => {
                Some(Told::Result(self.incoming(message)))
            }
            Event::Composing { from, active: true } if self.is_peer(from) => {
                Some(self.aside(&format!("{} is writing …", self.name), terminal))
            }
            Event::Outgoing { to, state, .. } if self.is_peer(to) => self.outgoing(event, state, terminal),
            // A conversation is not the place for what goes as it should.
            Event::Connection {
                state:
                    ConnectionState::Resolving | ConnectionState::Connecting | ConnectionState::Connected(_),
                ..
            }
            | Event::Registration {
                state:
                    RegistrationState::Registering
                    | RegistrationState::Registered { .. }
                    | RegistrationState::Refreshing
                    | RegistrationState::Unregistered,
                ..
            }
            | Event::Composing { .. } => None,
            event => tell::event(event),
        }
    }

    fn incoming(&self, message: &Incoming) -> String {
        format!("{}{}: {}", self.name, tell::late(message), tell::said(message))
    }

    fn outgoing(&self, event: &Event, state: &OutgoingState, terminal: bool) -> Option<Told> {
        let (mark, word) = match state {
            OutgoingState::Queued | OutgoingState::Sending => return None,
            OutgoingState::Accepted { status: StatusCode::ACCEPTED, .. } => {
                ("✓ ", "kept by the server for later")
            }
            // Its receipts say more, and come soon.
            OutgoingState::Accepted { receipts: true, .. } => return None,
            OutgoingState::Accepted { .. } => ("✓ ", "accepted"),
            OutgoingState::Delivered => ("✓✓ ", "delivered"),
            OutgoingState::Displayed => ("✓✓ ", "read"),
            OutgoingState::Failed { .. } | OutgoingState::Unknown { .. } => return tell::event(event),
        };
        Some(self.aside(&format!("{}{word}", if terminal { mark } else { "" }), terminal))
    }

    /// What is no message: dim on a terminal, marked elsewhere.
    fn aside(&self, text: &str, terminal: bool) -> Told {
        if terminal { Told::Step(format!("      {text}")) } else { Told::Result(format!("* {text}")) }
    }
}

fn parts(uri: &Uri<'_>) -> (String, String) {
    let user = line(&uri.user().unwrap_or_default()).into_owned();
    (user, uri.host().unwrap_or_default().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri<'static> {
        Uri::parse(text.to_owned()).unwrap()
    }

    #[test]
    fn the_correspondent_is_known_by_user_and_domain_i_04() {
        let words = Words::new(&uri("sip:bob@example.test"));
        assert!(words.is_peer(&uri("sips:bob@EXAMPLE.test:5061;transport=tls")));
        assert!(!words.is_peer(&uri("sip:bob@example.org")));
        assert!(!words.is_peer(&uri("sip:eve@example.test")));
    }

    #[test]
    fn marks_are_for_people_and_words_for_programs() {
        let words = Words::new(&uri("sip:bob@example.test"));
        let id = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let read = Event::Outgoing { id, to: uri("sip:bob@example.test"), state: OutgoingState::Displayed };
        assert_eq!(words.event(&read, true), Some(Told::Step("      ✓✓ read".into())));
        assert_eq!(words.event(&read, false), Some(Told::Result("* read".into())));
    }

    #[test]
    fn who_is_somebody_else_is_named_in_full() {
        let words = Words::new(&uri("sip:bob@example.test"));
        let typing = |from: &str| words.event(&Event::Composing { from: uri(from), active: true }, false);
        assert_eq!(typing("sip:bob@example.test"), Some(Told::Result("* bob is writing …".into())));
        assert_eq!(typing("sip:eve@example.test"), None);
    }
}
