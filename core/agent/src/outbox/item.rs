//! One message, over its retries.

use super::form::{Form, accepted, as_plain_text, is_accepted, wrap};
use super::{Leaving, MAX_RESENDS};
use crate::account::Account;
use crate::event::MessageId;
use crate::message::{Kind, NewMessage, peer_of};
use crate::peers::{PeerFacts, Peers};
use crate::random::Random;
use crate::redirects::Redirects;
use crate::request::{Draft, Heading, Identifiers, SUPPORTED, with_answers};
use crate::spaces::Attempt;
use crate::time::Now;
use aldis_sip::fields::{Date, Expires};
use aldis_sip::{FieldText, Header, Message, Method, Uri};
use bytes::Bytes;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

/// What an Authorization or Proxy-Authorization may add to a request beside user and URI, in bytes (MSG-04): header name,
/// parameters, a digest of 64 digits, and 300 for the server's realm, nonce and opaque.
const ROOM_FOR_AUTHORIZATION: usize = 560;

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
    /// Bytes of it may have left.
    pub may_have_left: bool,
    /// How often it was sent again because its answer was lost.
    pub resends: u8,
    /// The size of the request that was sent last, in bytes.
    pub size: usize,
    pub form: Form,
    /// Whether a 415 has changed its form or type: that is done once (GEN-15).
    repaired: bool,
    /// When the app handed it over, in seconds since 1970.
    pub date: i64,
    /// Where 3xx said that the message could go.
    pub redirects: Redirects,
}

impl Item {
    pub fn new(now: Now, order: u64, random: &mut Random, facts: PeerFacts, message: NewMessage) -> Self {
        let date = i64::try_from(now.wall.as_secs()).unwrap_or(i64::MAX);
        Item::restored(order, message, Identifiers::new(random), date, facts)
    }

    /// One of an earlier run.
    pub fn restored(
        order: u64,
        message: NewMessage,
        identifiers: Identifiers,
        date: i64,
        facts: PeerFacts,
    ) -> Self {
        Item {
            target: message.to.clone(),
            lane: peer_of(&message.to),
            order,
            identifiers,
            attempt: Attempt::default(),
            branch: None,
            may_have_left: false,
            resends: 0,
            size: 0,
            form: Form::of(&message, facts),
            repaired: false,
            date,
            redirects: Redirects::default(),
            message,
        }
    }

    /// Counts another time that it is sent because its answer was lost; whether that is allowed.
    pub fn may_go_again(&mut self) -> bool {
        self.resends += 1;
        self.resends <= MAX_RESENDS
    }

    /// Goes on to the next target, if there is one.
    pub fn next_target(&mut self) -> bool {
        let Some(next) = self.redirects.next(&self.target) else { return false };
        self.target = next;
        self.identifiers.cseq += 1;
        true
    }

    /// Whether receipts can come: they were asked for, and the request said so.
    pub fn awaits_receipts(&self) -> bool {
        self.form == Form::Cpim && self.message.receipts.any()
    }

    /// After a 415: gives up the message/cpim, or makes plain text of another text, if that will be taken as far as the
    /// response says (GEN-14); without an Accept whatever is simplest (I-01). Once (GEN-15).
    ///
    /// # Errors
    /// The types that would be taken, as far as the response names them.
    pub fn repair(&mut self, response: &Message, peers: &mut Peers) -> Result<(), Vec<String>> {
        let types = accepted(response);
        let taken = |kind: &str| types.as_ref().is_none_or(|types| is_accepted(types, kind));
        let unwraps = self.form == Form::Cpim && (types.is_none() || !taken("message/cpim"));
        if unwraps {
            peers.learn(&self.lane, |facts| (facts.refuses_cpim, facts.reads_cpim) = (true, false));
        }
        let kind = self.message.content_type.as_str();
        let plain = as_plain_text(kind).filter(|plain| taken(plain.as_str()));
        let stays = unwraps && taken(kind);
        if self.repaired || (plain.is_none() && !stays) {
            return Err(types.unwrap_or_default());
        }
        if unwraps {
            self.form = Form::Bare;
        }
        if let Some(plain) = plain.filter(|_| !stays || types.is_none()) {
            self.message.content_type = plain;
        }
        self.repaired = true;
        self.identifiers.cseq += 1;
        Ok(())
    }

    /// The body of the request.
    pub fn body(&self, account: &Account, id: &MessageId) -> Bytes {
        match self.form {
            Form::Bare => self.message.body.clone(),
            Form::Cpim => wrap(account, &self.message, id, self.date),
        }
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
            to_tag: None,
            routes: &heading.routes,
            identifiers: &self.identifiers,
            local,
            branch,
        };
        let mut writer = draft.write().literal(Header::Supported, SUPPORTED);
        writer = match self.form {
            Form::Cpim => writer.literal(Header::ContentType, "message/cpim"),
            Form::Bare => writer.field(Header::ContentType, &self.message.content_type),
        };
        // In a message/cpim the identifier stands among its own headers (MSG-15); a status of typing needs none.
        if self.form == Form::Bare && self.message.kind == Kind::Message {
            writer = writer.field(Header::AldisMessageId, &FieldText::hex(&id.0));
        }
        if let Some(expires) = self.message.expires {
            writer = writer.field(Header::Expires, &Expires(expires));
            if expires > 0 {
                // MSG-08
                writer = writer.field(Header::Date, &Date(self.date));
            }
        }
        with_answers(writer, answers).finish(&self.body(account, id))
    }
}

/// How many bytes a request may have to this recipient: what the account allows, its body limit counted with all that
/// stands around the body, and what the recipient's server was found to take.
pub(super) fn limit(account: &Account, item: &Item, id: &MessageId, size: usize, facts: PeerFacts) -> usize {
    let body = item.body(account, id).len();
    let by_body = account.max_body.map_or(usize::MAX, |most| size.saturating_sub(body).saturating_add(most));
    account.max_message.min(by_body).min(facts.max_request.unwrap_or(usize::MAX))
}

/// How large the request can become: with the longest address that Via can hold, and the answer to a challenge.
pub(super) fn size(leaving: Leaving<'_>, item: &Item, id: &MessageId, branch: &str) -> usize {
    let longest = SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from([0xff; 16]), u16::MAX, 0, 0));
    let heading = Heading::new(leaving.proxy, leaving.service_route, &item.target);
    let request = item.write(Leaving { local: longest, ..leaving }, &heading, id, branch, &[]);
    request.len()
        + ROOM_FOR_AUTHORIZATION
        + leaving.account.auth_user.len().max(64)
        + heading.target.as_str().len()
}
