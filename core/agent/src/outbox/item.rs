//! One message, over its retries.

use super::Leaving;
use crate::event::MessageId;
use crate::message::{NewMessage, may_be_target};
use crate::random::Random;
use crate::request::{Draft, Heading, Identifiers, SUPPORTED, with_answers};
use crate::spaces::Attempt;
use crate::time::Now;
use aldis_sip::fields::{Date, Expires};
use aldis_sip::{FieldText, Header, Message, Method, Scheme, Uri};
use bytes::Bytes;
use std::collections::VecDeque;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

/// What an Authorization or Proxy-Authorization may add to a request beside user and URI, in bytes (MSG-04): header name,
/// parameters, a digest of 64 digits, and 300 for the server's realm, nonce and opaque.
const ROOM_FOR_AUTHORIZATION: usize = 560;
/// Most targets that one message is redirected to (GEN-18).
const MAX_REDIRECTS: usize = 5;

pub(super) struct Item {
    pub message: NewMessage,
    /// The Request-URI: the recipient, or where a 3xx sent the message.
    pub target: Uri<'static>,
    /// What counts as one recipient: the address of record.
    pub lane: String,
    /// Its place among all messages.
    pub order: u64,
    pub identifiers: Identifiers,
    pub attempt: Attempt,
    /// The transaction under way.
    pub branch: Option<String>,
    /// The size of the request that was sent last, in bytes.
    pub size: usize,
    /// When the app handed it over, in seconds since 1970.
    date: i64,
    /// Where a 3xx said that the message could go, best first.
    targets: VecDeque<Uri<'static>>,
    /// Where it has gone: no URI is tried twice.
    tried: Vec<Uri<'static>>,
}

impl Item {
    pub fn new(now: Now, order: u64, random: &mut Random, message: NewMessage) -> Self {
        Item {
            target: message.to.clone(),
            lane: message
                .to
                .address_of_record()
                .map_or_else(|| message.to.to_string(), |uri| uri.to_string()),
            order,
            identifiers: Identifiers::new(random),
            attempt: Attempt::default(),
            branch: None,
            size: 0,
            date: i64::try_from(now.wall.as_secs()).unwrap_or(i64::MAX),
            targets: VecDeque::new(),
            tried: Vec::new(),
            message,
        }
    }

    /// Takes the Contacts of a 3xx, those with the highest q first (RFC 3261 §8.1.3.4).
    pub fn take_targets(&mut self, response: &Message) {
        let mut found: Vec<(f32, Uri<'static>)> = response
            .contacts()
            .flatten()
            .filter_map(|contact| {
                let address = contact.address()?;
                let q = address.params.value("q").and_then(|q| q.parse::<f32>().ok());
                let q = q.filter(|q| (0.0..=1.0).contains(q)).unwrap_or(1.0);
                Some((q, address.uri.clone().into_owned()))
            })
            .collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        self.targets.extend(found.into_iter().map(|(_, uri)| uri).take(MAX_REDIRECTS));
    }

    /// Goes on to the next target, if there is one.
    pub fn next_target(&mut self) -> bool {
        while let Some(next) = self.targets.pop_front() {
            // What was asked to go over TLS all the way does not go another way.
            let downgrade = self.target.scheme() == Scheme::Sips && next.scheme() != Scheme::Sips;
            let tried = self.tried.iter().chain([&self.target]).any(|tried| tried.equivalent(&next));
            if downgrade || tried || !may_be_target(&next) || self.tried.len() >= MAX_REDIRECTS {
                continue;
            }
            self.tried.push(std::mem::replace(&mut self.target, next));
            self.identifiers.cseq += 1;
            return true;
        }
        false
    }

    /// Writes the request.
    pub fn write(
        &self,
        Leaving { account, local, .. }: Leaving<'_>,
        heading: &Heading,
        id: &MessageId,
        branch: &str,
        answers: &[(Header, FieldText<'static>)],
    ) -> Bytes {
        let draft = Draft {
            account,
            method: Method::Message,
            target: &heading.target,
            to: &self.message.to,
            routes: &heading.routes,
            identifiers: &self.identifiers,
            local,
            branch,
        };
        let mut writer = draft
            .write()
            .literal(Header::Supported, SUPPORTED)
            .field(Header::ContentType, &self.message.content_type)
            .field(Header::AldisMessageId, &FieldText::hex(&id.0));
        if let Some(expires) = self.message.expires {
            writer = writer.field(Header::Expires, &Expires(expires));
            if expires > 0 {
                // MSG-08
                writer = writer.field(Header::Date, &Date(self.date));
            }
        }
        with_answers(writer, answers).finish(&self.message.body)
    }
}

/// How large the request can become: with the longest address that Via can hold, and the answer to a challenge.
pub(super) fn size(leaving: Leaving<'_>, item: &Item, id: &MessageId, branch: &str) -> usize {
    let longest = SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from([0xff; 16]), u16::MAX, 0, 0));
    let heading = Heading::new(leaving.account, leaving.service_route, &item.target);
    let request = item.write(Leaving { local: longest, ..leaving }, &heading, id, branch, &[]);
    request.len()
        + ROOM_FOR_AUTHORIZATION
        + leaving.account.auth_user.len().max(64)
        + heading.target.as_str().len()
}
