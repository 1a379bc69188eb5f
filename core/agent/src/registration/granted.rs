//! What the 200 to a REGISTER grants.

use super::Registration;
use crate::account::Account;
use crate::event::Gruus;
use crate::message::may_be_target;
use aldis_sip::fields::{Expires, FlowTimer, Path, Require, ServiceRoute};
use aldis_sip::{Message, Uri};
use std::time::Duration;

/// Most values of a Service-Route that are used; a path through more proxies is no path.
const MAX_SERVICE_ROUTE: usize = 8;

/// Our binding, and what goes with it.
pub(super) struct Granted {
    pub contact: Uri<'static>,
    pub expires_in: Duration,
    pub requires_outbound: bool,
    pub service_route: Vec<Uri<'static>>,
    /// Seconds within which a ping must come (OUT-16, OUT-21).
    pub flow_timer: Option<u32>,
    /// Whether pings will be answered (OUT-19).
    pub pongs: bool,
    pub gruus: Gruus,
}

impl Granted {
    /// `None` if the registrar holds no binding of ours. `asked` is the Contact that was asked for.
    pub fn read(
        registration: &Registration,
        account: &Account,
        response: &Message,
        asked: &Uri<'_>,
    ) -> Option<Self> {
        let Binding { contact, seconds, gruus, .. } = own_binding(registration, account, response, asked)?;
        if seconds == 0 {
            return None;
        }
        let mut required = response.all::<Require<'_>>().flatten();
        let requires_outbound = required.any(|tag| tag.as_str().eq_ignore_ascii_case("outbound"));
        let kept: Option<u32> = response.via().ok().and_then(|via| via.params.value("keep")?.parse().ok());
        let flow_timer = response.get::<FlowTimer>().ok().flatten().map(|FlowTimer(seconds)| seconds);
        let path_has_ob = response.all::<Path<'_>>().flatten().any(|path| path.uri.param("ob").is_some());
        let routes = response.all::<ServiceRoute<'_>>().flatten().map(|route| route.0.uri.into_owned());
        Some(Granted {
            contact,
            expires_in: Duration::from_secs(u64::from(seconds)),
            requires_outbound,
            service_route: routes.filter(may_be_target).take(MAX_SERVICE_ROUTE).collect(),
            flow_timer: flow_timer.or(kept.filter(|seconds| *seconds > 0)),
            pongs: requires_outbound || kept.is_some() || path_has_ob,
            gruus,
        })
    }
}

/// A Contact in the answer that may be ours.
struct Binding {
    /// How much speaks for it.
    likeness: u8,
    contact: Uri<'static>,
    /// The time granted.
    seconds: u32,
    gruus: Gruus,
}

/// Our binding (REG-07): by instance and reg-id where they are echoed, else by the URI; never the first one or another's.
/// A registrar without outbound may hold an older binding of this very device beside the new one, so the Contact that was
/// asked for comes first.
fn own_binding(
    registration: &Registration,
    account: &Account,
    response: &Message,
    asked: &Uri<'_>,
) -> Option<Binding> {
    let (user, reg_id) = (account.contact_user(), registration.reg_id());
    let common = response.get::<Expires>().ok().flatten().map(|Expires(seconds)| seconds);
    let instance = format!("<urn:uuid:{}>", account.instance);
    let mut best: Option<Binding> = None;
    for contact in response.contacts().flatten() {
        let Some(address) = contact.address() else { continue };
        let echoed = address.params.value("+sip.instance");
        let same_device = echoed.map(|echoed| echoed.eq_ignore_ascii_case(&instance));
        let other_flow = address.params.value("reg-id").is_some_and(|id| id != reg_id);
        let likeness = match same_device {
            Some(false) => continue,
            _ if other_flow => continue,
            _ if address.uri.equivalent(asked) => 3,
            Some(true) => 2,
            None if address.uri.user().is_some_and(|found| found == user) => 1,
            None => continue,
        };
        if best.as_ref().is_none_or(|best| best.likeness < likeness) {
            let gruu = |name| {
                let uri = Uri::parse(address.params.value(name)?.into_owned()).ok()?;
                may_be_target(&uri).then_some(uri)
            };
            best = Some(Binding {
                likeness,
                contact: address.uri.clone().into_owned(),
                seconds: contact.expires().or(common).unwrap_or(registration.expires),
                gruus: Gruus { public: gruu("pub-gruu"), temporary: gruu("temp-gruu") },
            });
        }
    }
    best
}
