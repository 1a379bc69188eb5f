//! Requests as they leave.

use crate::account::Account;
use aldis_sip::fields::{CSeq, CallId, From, MaxForwards, To, Via};
use aldis_sip::{FieldText, Header, Method, NameAddr, Params, Scheme, Uri, Writer};
use std::net::SocketAddr;

/// Methods that are answered with something else than a refusal, for Allow.
pub(crate) const ALLOW: &str = "ACK, CANCEL, MESSAGE, NOTIFY, OPTIONS";
/// Extensions that are supported (REGISTER names more; OUT-12).
pub(crate) const SUPPORTED: &str = "outbound";
/// Max-Forwards of every request (GEN-01).
const MAX_FORWARDS: MaxForwards = MaxForwards(70);

/// The parts of a request that stay the same over its retries.
#[derive(Clone, Debug)]
pub(crate) struct Identifiers {
    pub call_id: CallId<'static>,
    pub from_tag: String,
    pub cseq: u32,
}

impl Identifiers {
    /// New ones (GEN-02).
    pub fn new(random: &mut crate::random::Random) -> Self {
        Identifiers { call_id: CallId::from_bytes(&random.bytes::<16>()), from_tag: random.tag(), cseq: 1 }
    }
}

/// Where a request goes: its Request-URI and its Route (GEN-07).
pub(crate) struct Heading {
    pub target: Uri<'static>,
    pub routes: Vec<Uri<'static>>,
}

impl Heading {
    /// To `target`, through the flow's proxy and then `service_route` (RT-08).
    pub fn new(proxy: Option<&Uri<'static>>, service_route: &[Uri<'static>], target: &Uri<'static>) -> Self {
        let sips = target.scheme() == Scheme::Sips;
        let through = proxy.into_iter().chain(service_route);
        let mut routes: Vec<_> = through.map(|uri| if sips { secured(uri) } else { uri.clone() }).collect();
        match routes.first().cloned() {
            // A strict router: its URI is the Request-URI, and the target comes last.
            Some(first) if !first.is_loose() => {
                routes.remove(0);
                routes.push(target.clone());
                Heading { target: first, routes }
            }
            _ => Heading { target: target.clone(), routes },
        }
    }
}

/// A sip URI as sips: what carries a request to a sips URI is sips all the way (SIPS-03).
fn secured(uri: &Uri<'static>) -> Uri<'static> {
    match (uri.scheme(), uri.as_str().split_once(':')) {
        (Scheme::Sip, Some((_, rest))) => Uri::parse(format!("sips:{rest}")).unwrap_or_else(|_| uri.clone()),
        _ => uri.clone(),
    }
}

/// The start of a request: request line, Via, Max-Forwards, From, To, Call-ID, CSeq, Route, User-Agent.
pub(crate) struct Draft<'a> {
    pub account: &'a Account,
    pub method: Method<'static>,
    pub target: &'a Uri<'static>,
    pub to: &'a Uri<'static>,
    /// The tag of a dialog.
    pub to_tag: Option<&'a str>,
    pub routes: &'a [Uri<'static>],
    pub identifiers: &'a Identifiers,
    pub local: SocketAddr,
    pub branch: &'a str,
}

impl Draft<'_> {
    pub fn write(&self) -> Writer {
        let account = self.account;
        let tagged = account
            .from
            .clone()
            .with_params(Params::none().with("tag", Some(&self.identifiers.from_tag)).unwrap_or_default());
        let mut via = Params::none().with("branch", Some(self.branch)).unwrap_or_default();
        via = via.with("rport", None).unwrap_or_default();
        if self.method == Method::Register {
            // RFC 6223 §4.2.2: in each REGISTER.
            via = via.with("keep", None).unwrap_or_default();
        }
        let to_tag = self.to_tag.and_then(|tag| Params::none().with("tag", Some(tag)).ok());
        let to_params = to_tag.unwrap_or_default();
        let mut writer = Writer::request(&self.method, self.target)
            .field(Header::Via, &Via::tls(self.local, via))
            .field(Header::MaxForwards, &MAX_FORWARDS)
            .field(Header::From, &From(tagged))
            .field(Header::To, &To(NameAddr::new(self.to.clone()).with_params(to_params)))
            .field(Header::CallId, &self.identifiers.call_id)
            .field(Header::CSeq, &CSeq { number: self.identifiers.cseq, method: self.method.clone() });
        for route in self.routes {
            writer = writer.field(Header::Route, &NameAddr::new(route.clone()));
        }
        if let Some(agent) = &account.user_agent {
            writer = writer.field(Header::UserAgent, agent);
        }
        writer
    }
}

/// Adds the answers to challenges.
pub(crate) fn with_answers(mut writer: Writer, answers: &[(Header, FieldText<'static>)]) -> Writer {
    for (header, text) in answers {
        writer = writer.field(*header, text);
    }
    writer
}
