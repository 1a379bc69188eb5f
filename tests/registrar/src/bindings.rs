//! Which contacts stand for a user (RFC 3261 §10.3 steps 6 and 7, RFC 5626 §6).

use crate::entry::ConnectionId;
use crate::extensions::{Edge, Grant, Push};
use crate::gruu::Gruus;
use crate::options::{MAX_BINDINGS, Options};
use crate::wire::{Random, Reply, written};
use aldis_sip::fields::{Contact, Expires, FieldValue, Path, Require, Supported};
use aldis_sip::{Header, Message, NameAddr, StatusCode, Uri};
use std::collections::BTreeMap;
use std::time::Duration;

/// In seconds. RFC 3261 §10.3: only less than an hour may be too brief.
const HOUR: u32 = 3600;

/// One binding, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The contact URI.
    pub contact: String,
    /// The parameters of the Contact as they were written, without `expires`.
    pub parameters: String,
    /// `+sip.instance` without quotes.
    pub instance: Option<String>,
    /// `reg-id`, if the binding is of RFC 5626.
    pub reg_id: Option<u32>,
    /// Call-ID of the REGISTER that made or refreshed it last.
    pub call_id: String,
    /// Its CSeq number.
    pub cseq: u32,
    /// Seconds until it expires, rounded up.
    pub expires_in: u32,
    /// The connection over which it came.
    pub connection: ConnectionId,
}

#[derive(Clone, Debug)]
struct Bound {
    uri: Uri<'static>,
    parameters: String,
    instance: Option<String>,
    reg_id: Option<u32>,
    call_id: String,
    cseq: u32,
    expires: Duration,
    connection: ConnectionId,
    /// Grows with each REGISTER: the newest flow has the highest.
    age: u64,
    /// Push service and the device's address there.
    push: Option<(String, String)>,
    /// Whether it is to be told its GRUUs.
    gruu: bool,
}

/// Where a request for a user may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub uri: String,
    pub connection: ConnectionId,
}

/// What a REGISTER changed.
#[derive(Debug, Default)]
pub(crate) struct Registered {
    /// Whether RFC 5626 was applied, so that the answer says `Require: outbound`.
    pub outbound: bool,
    /// The contacts of this request that are bound now.
    pub own: Vec<Uri<'static>>,
    /// Whether a contact was bound or refreshed.
    pub bound: bool,
}

/// How a fault changes the list of contacts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Distortion {
    pub without_own: bool,
    pub own_expires_zero: bool,
    pub others_first: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Bindings {
    users: BTreeMap<String, Vec<Bound>>,
    pub gruus: Gruus,
    registers: u64,
}

/// A Contact of the request with what it asks for.
struct Asked {
    bound: Bound,
    seconds: u32,
}

impl Bindings {
    fn purge(&mut self, user: &str, now: Duration) -> &mut Vec<Bound> {
        let bound = self.users.entry(user.to_owned()).or_default();
        bound.retain(|binding| binding.expires > now);
        bound
    }

    /// Does what a REGISTER asks for, all of it or nothing.
    ///
    /// # Errors
    /// The refusal to answer with.
    pub fn register(
        &mut self,
        user: &str,
        request: &Message,
        connection: ConnectionId,
        options: &Options,
        random: &mut Random,
        now: Duration,
    ) -> Result<Registered, Reply> {
        let bad = |_| Reply::new(StatusCode::BAD_REQUEST);
        let call_id = request.call_id().map_err(bad)?.as_str().to_owned();
        let cseq = request.cseq().map_err(bad)?.number;
        let contacts = request.contacts().collect::<Result<Vec<_>, _>>().map_err(bad)?;
        self.registers += 1;
        let age = self.registers;

        let mut bindings = self.purge(user, now).clone();
        let in_order = |old: &Bound| old.call_id != call_id || cseq > old.cseq;
        // RFC 3261 §10.3: "the update MUST be aborted and the request fails", with 500 as for any failed update.
        let aborted = || Reply::new(StatusCode::SERVER_INTERNAL_ERROR);
        if contacts.iter().any(|contact| matches!(contact, Contact::Star)) {
            if contacts.len() > 1 || expires_header(request) != Some(0) {
                return Err(Reply::new(StatusCode::BAD_REQUEST));
            }
            if !bindings.iter().all(in_order) {
                return Err(aborted());
            }
            self.users.remove(user);
            return Ok(Registered::default());
        }

        let applies = outbound_applies(request, options)?;
        let template = |uri| Bound {
            uri,
            parameters: String::new(),
            instance: None,
            reg_id: None,
            call_id: call_id.clone(),
            cseq,
            expires: now,
            connection,
            age,
            push: None,
            gruu: false,
        };
        let mut asked = Vec::new();
        for contact in &contacts {
            let Some(address) = contact.address() else { continue };
            if address.uri.has_headers() {
                return Err(Reply::new(StatusCode::BAD_REQUEST));
            }
            let seconds = granted(contact, request, options, random)?;
            let mut bound = template(address.uri.clone().into_owned());
            bound.expires = now + Duration::from_secs(u64::from(seconds));
            bound.parameters = written(&address.params, |name| !name.eq_ignore_ascii_case("expires"));
            bound.instance = address.params.value("+sip.instance").map(|text| text.into_owned());
            bound.push = options.push.as_ref().and_then(|push| push_address(push, &address.uri));
            bound.gruu = options.gruu && names(request, "gruu") && bound.instance.is_some();
            bound.reg_id = reg_id(address).filter(|_| applies && bound.instance.is_some());
            asked.push(Asked { bound, seconds });
        }
        let outbound = asked.iter().any(|asked| asked.bound.reg_id.is_some());
        if outbound && asked.iter().filter(|asked| asked.seconds > 0).count() > 1 {
            return Err(Reply::new(StatusCode::BAD_REQUEST));
        }

        let mut done =
            Registered { outbound: outbound && names(request, "outbound"), ..Registered::default() };
        for Asked { bound, seconds } in asked {
            let found = bindings.iter().position(|old| same(old, &bound));
            if found.and_then(|at| bindings.get(at)).is_some_and(|old| !in_order(old)) {
                return Err(aborted());
            }
            if let Some(at) = found {
                bindings.remove(at);
            }
            if seconds > 0 {
                if let Some(instance) = bound.instance.as_deref().filter(|_| bound.gruu) {
                    self.gruus.renew(user, instance, &bound.call_id, random);
                }
                done.own.push(bound.uri.clone());
                done.bound = true;
                bindings.insert(found.unwrap_or(bindings.len()), bound);
            }
        }
        if bindings.len() > MAX_BINDINGS {
            return Err(Reply::new(StatusCode::FORBIDDEN));
        }
        self.users.insert(user.to_owned(), bindings);
        Ok(done)
    }

    /// Contact values for the 200, all bindings with their remaining time.
    pub fn contacts(
        &mut self,
        user: &str,
        domain: &str,
        done: &Registered,
        distortion: Distortion,
        now: Duration,
    ) -> Vec<String> {
        let mut values = Vec::new();
        if distortion.others_first {
            for host in ["192.0.2.1", "192.0.2.2"] {
                values.push(format!("<sip:{user}@{host}:5061;transport=tls>;expires=7200"));
            }
        }
        let gruus = std::mem::take(&mut self.gruus);
        for binding in self.purge(user, now).iter() {
            let own = done.own.contains(&binding.uri);
            if own && distortion.without_own {
                continue;
            }
            let expires = if own && distortion.own_expires_zero { 0 } else { remaining(binding, now) };
            let gruus = match &binding.instance {
                Some(instance) if binding.gruu => gruus.parameters(user, instance, domain),
                _ => String::new(),
            };
            values.push(format!("<{}>{};expires={expires}{gruus}", binding.uri, binding.parameters));
        }
        self.gruus = gruus;
        values
    }

    /// The bindings of a user.
    pub fn of(&mut self, user: &str, now: Duration) -> Vec<Binding> {
        self.purge(user, now).iter().map(|bound| shown(bound, now)).collect()
    }

    /// Where a request for this user goes: to every group, and within one to the first that can be reached. A group
    /// is an instance with its flows, the newest first (RFC 5626 §7), unless `every_flow` sets each apart.
    pub fn targets(
        &mut self,
        user: &str,
        instance: Option<&str>,
        every_flow: bool,
        now: Duration,
    ) -> Vec<Vec<Target>> {
        let wanted = |binding: &&Bound| {
            instance.is_none_or(|wanted| {
                binding.instance.as_ref().is_some_and(|found| found.eq_ignore_ascii_case(wanted))
            })
        };
        let mut bound: Vec<_> = self.purge(user, now).iter().filter(wanted).collect();
        bound.sort_by_key(|binding| std::cmp::Reverse(binding.age));
        let mut groups: Vec<(Option<&String>, Vec<Target>)> = Vec::new();
        for binding in bound {
            let target = Target { uri: binding.uri.as_str().to_owned(), connection: binding.connection };
            let instance = binding.instance.as_ref().filter(|_| !every_flow && binding.reg_id.is_some());
            let group = groups.iter_mut().find(|(known, _)| {
                known.zip(instance).is_some_and(|(known, instance)| known.eq_ignore_ascii_case(instance))
            });
            match group {
                Some((_, targets)) => targets.push(target),
                None => groups.push((instance, vec![target])),
            }
        }
        groups.into_iter().map(|(_, targets)| targets).collect()
    }

    /// Forgets what was bound to a connection.
    pub fn disconnected(&mut self, connection: ConnectionId) {
        for bound in self.users.values_mut() {
            // A device that can be woken stays bound.
            bound.retain(|binding| binding.connection != connection || binding.push.is_some());
        }
    }

    /// Where devices of a user can be woken: push service and address.
    pub fn sleepers(&mut self, user: &str, now: Duration) -> Vec<(String, String)> {
        let mut found: Vec<_> =
            self.purge(user, now).iter().filter_map(|binding| binding.push.clone()).collect();
        found.sort();
        found.dedup();
        found
    }

    /// Takes a binding away, as an administrator does; it was the one to this contact URI.
    pub fn take(&mut self, user: &str, contact: &str, now: Duration) -> Option<Binding> {
        let bound = self.purge(user, now);
        let at = bound.iter().position(|binding| binding.uri.as_str() == contact)?;
        Some(shown(&bound.remove(at), now))
    }
}

fn remaining(binding: &Bound, now: Duration) -> u32 {
    let left = binding.expires.saturating_sub(now);
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

fn shown(bound: &Bound, now: Duration) -> Binding {
    Binding {
        contact: bound.uri.as_str().to_owned(),
        parameters: bound.parameters.clone(),
        instance: bound.instance.clone(),
        reg_id: bound.reg_id,
        call_id: bound.call_id.clone(),
        cseq: bound.cseq,
        expires_in: remaining(bound, now),
        connection: bound.connection,
    }
}

/// Whether two are one binding: by instance and reg-id if both have them (RFC 5626 §6), else by comparing the URIs.
fn same(old: &Bound, new: &Bound) -> bool {
    match ((&old.instance, old.reg_id), (&new.instance, new.reg_id)) {
        ((Some(a), Some(one)), (Some(b), Some(other))) => a.eq_ignore_ascii_case(b) && one == other,
        ((_, Some(_)), _) | (_, (_, Some(_))) => false,
        _ => old.uri.equivalent(&new.uri),
    }
}

/// `reg-id`: 1 to 2^31-1 (RFC 5626 §4.2.1).
fn reg_id(address: &NameAddr<'_>) -> Option<u32> {
    address.params.value("reg-id")?.parse().ok().filter(|id| (1..1 << 31).contains(id))
}

/// Whether Supported or Require has this option tag.
fn names(request: &Message, wanted: &str) -> bool {
    let is = |tag: &str| tag.eq_ignore_ascii_case(wanted);
    request.all::<Supported<'_>>().flatten().any(|tag| is(tag.as_str()))
        || request.all::<Require<'_>>().flatten().any(|tag| is(tag.as_str()))
}

/// Whether outbound processing applies: the registrar is the first hop, or the first hop put itself into Path with `ob`.
/// Else a client that asks for it gets 439 (RFC 5626 §6).
fn outbound_applies(request: &Message, options: &Options) -> Result<bool, Reply> {
    let first_hop = request.all::<aldis_sip::fields::Via<'_>>().count() == 1;
    let path = request.value(Header::Path).and_then(|_| request.get::<Path<'_>>().ok().flatten());
    let by_path = path.is_some_and(|path| path.uri.param("ob").is_some());
    let (first_hop, by_path) = match options.edge {
        Edge::None => (first_hop, by_path),
        Edge::Outbound => (false, true),
        Edge::Plain => (false, false),
    };
    if !options.outbound || first_hop || by_path {
        return Ok(options.outbound);
    }
    let asks =
        request.contacts().flatten().any(|contact| contact.address().is_some_and(|a| a.params.has("reg-id")));
    if asks && names(request, "outbound") {
        return Err(Reply::new(StatusCode::FIRST_HOP_LACKS_OUTBOUND));
    }
    Ok(false)
}

/// The Expires header in seconds; a malformed one counts as an hour (RFC 3261 §10.2, §20.19).
fn expires_header(request: &Message) -> Option<u32> {
    let text = request.fields().find(|field| field.header == Header::Expires)?.value;
    let parsed = std::str::from_utf8(text).ok().and_then(|text| Expires::parse(text).ok());
    Some(parsed.map_or(HOUR, |Expires(seconds)| seconds))
}

/// The time that a contact gets, in seconds; 0 removes it.
fn granted(
    contact: &Contact<'_>,
    request: &Message,
    options: &Options,
    random: &mut Random,
) -> Result<u32, Reply> {
    let seconds = contact.expires().or(expires_header(request)).unwrap_or(options.default_expires);
    if seconds > 0 && seconds < HOUR && seconds < options.min_expires {
        let minimum = options.min_expires.to_string();
        return Err(Reply::new(StatusCode::INTERVAL_TOO_BRIEF).with(Header::MinExpires, minimum));
    }
    Ok(match options.grant {
        _ if seconds == 0 => 0,
        Grant::Asked => seconds.min(options.max_expires),
        Grant::Exactly(seconds) => seconds,
        Grant::Between(least, most) => random.between(least, most),
    })
}

/// The device's address at a push service that is supported (RFC 8599 §4.1.1).
fn push_address(push: &Push, uri: &Uri<'_>) -> Option<(String, String)> {
    let provider = uri.param("pn-provider")??.into_owned();
    let prid = uri.param("pn-prid")??.into_owned();
    let known = push.providers.iter().any(|known| known.eq_ignore_ascii_case(&provider));
    known.then_some((provider, prid))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scene {
        bindings: Bindings,
        options: Options,
        random: Random,
        now: Duration,
        connection: u64,
    }

    fn scene() -> Scene {
        let options = Options::new("example.test");
        Scene {
            bindings: Bindings::default(),
            options,
            random: Random::new([7; 32]),
            now: Duration::from_secs(1000),
            connection: 1,
        }
    }

    impl Scene {
        /// A REGISTER by Call-ID and CSeq with these lines; the status, and the bindings as `uri expires`.
        fn register(&mut self, call_id: &str, cseq: u32, lines: &str) -> (u16, Vec<String>) {
            let text = format!(
                "REGISTER sip:example.test SIP/2.0\r\nVia: SIP/2.0/TLS a;branch=z9hG4bK1\r\nCall-ID: {call_id}\r\n\
                 CSeq: {cseq} REGISTER\r\nSupported: path, outbound\r\n{lines}\r\n\r\n"
            );
            let (request, _) = Message::parse(text.into()).unwrap();
            let connection = ConnectionId(self.connection);
            let result = self.bindings.register(
                "alice",
                &request,
                connection,
                &self.options,
                &mut self.random,
                self.now,
            );
            let status = match &result {
                Ok(done) if done.outbound => 299,
                Ok(_) => 200,
                Err(reply) => reply.status.code(),
            };
            let done = result.unwrap_or_default();
            let list =
                self.bindings.contacts("alice", "example.test", &done, Distortion::default(), self.now);
            (status, list)
        }
    }

    #[test]
    fn a_binding_lives_as_long_as_was_granted_reg_07() {
        let mut scene = scene();
        let line = "Contact: <sip:alice@1.invalid;transport=tls>;methods=\"MESSAGE\";expires=90";
        let own = |left: u32| {
            vec![format!("<sip:alice@1.invalid;transport=tls>;methods=\"MESSAGE\";expires={left}")]
        };
        assert_eq!(scene.register("c", 1, line), (200, own(90)));
        scene.now += Duration::from_millis(30_500);
        assert_eq!(scene.register("c", 2, "X: fetch"), (200, own(60)));
        scene.now += Duration::from_millis(59_499);
        assert_eq!(scene.register("c", 3, "X: fetch"), (200, own(1)));
        scene.now += Duration::from_millis(1);
        assert_eq!(scene.register("c", 4, "X: fetch"), (200, vec![]));
    }

    #[test]
    fn the_expiry_comes_from_the_contact_then_the_header_then_the_registrar() {
        let mut scene = scene();
        let mut granted = |lines: &str, cseq| {
            let (status, list) = scene.register("c", cseq, lines);
            (status, list.first().and_then(|c| Some(c.rsplit_once('=')?.1.to_owned())))
        };
        let yes = |seconds: &str| (200, Some(seconds.to_owned()));
        assert_eq!(granted("Contact: <sip:a@b>;expires=100\r\nExpires: 200", 1), yes("100"));
        assert_eq!(granted("Contact: <sip:a@b>\r\nExpires: 200", 2), yes("200"));
        assert_eq!(granted("Contact: <sip:a@b>", 3), yes("3600"));
        assert_eq!(granted("Contact: <sip:a@b>;expires=86400", 4), yes("3600"));
        assert_eq!(granted("Contact: <sip:a@b>;expires=x", 5), yes("3600"));
        assert_eq!(granted("Contact: <sip:a@b>;expires=59", 6).0, 423);
        scene.options = Options::new("example.test").default_expires(300);
        let mut granted = |lines: &str, cseq| scene.register("c", cseq, lines).1;
        assert!(granted("Contact: <sip:a@b>", 7)[0].ends_with("expires=300"));
        assert!(granted("Contact: <sip:a@b>\r\nExpires: soon", 8)[0].ends_with("expires=3600"));
    }

    #[test]
    fn an_hour_is_never_too_brief_reg_15() {
        let mut scene = scene();
        scene.options = Options::new("example.test").min_expires(7200).max_expires(86400);
        assert_eq!(scene.register("c", 1, "Contact: <sip:a@b>;expires=3599").0, 423);
        assert_eq!(scene.register("c", 2, "Contact: <sip:a@b>;expires=3600").0, 200);
    }

    #[test]
    fn an_older_cseq_of_the_same_call_id_changes_nothing() {
        let mut scene = scene();
        let both = "Contact: <sip:a@b>, <sip:a@c>";
        let list = scene.register("c", 5, both).1;
        assert_eq!(list.len(), 2);
        for (lines, cseq) in [
            ("Contact: <sip:new@b>, <sip:a@b>;expires=0", 5),
            ("Contact: <sip:a@b>;expires=0", 4),
            ("Contact: *\r\nExpires: 0", 5),
        ] {
            assert_eq!(scene.register("c", cseq, lines), (500, list.clone()), "{lines}");
        }
        for lines in ["Contact: *", "Contact: *\r\nExpires: 1", "Contact: *, <sip:a@b>\r\nExpires: 0"] {
            assert_eq!(scene.register("c", 9, lines), (400, list.clone()), "{lines}");
        }
        assert_eq!(scene.register("other", 1, "Contact: <sip:a@b>;expires=0").1.len(), 1);
        assert_eq!(scene.register("c", 6, "Contact: *\r\nExpires: 0"), (200, vec![]));
    }

    #[test]
    fn contacts_are_the_same_by_uri_comparison_wire_07() {
        let mut scene = scene();
        scene.register("c", 1, "Contact: <sip:%61lice@HOST.test;x=y>");
        assert_eq!(scene.register("c", 2, "Contact: <sip:alice@host.test>").1.len(), 1);
        assert_eq!(scene.register("c", 3, "Contact: <sip:alice@host.test:5060>").1.len(), 2);
    }

    #[test]
    fn instance_and_reg_id_make_the_binding_whatever_the_uri_out_08() {
        let mut scene = scene();
        let contact = |host: &str, id: u32| {
            format!("Contact: <sip:alice@{host}>;+sip.instance=\"<urn:uuid:AB>\";reg-id={id}")
        };
        assert_eq!(scene.register("c", 1, &contact("one.invalid", 1)).0, 299);
        scene.connection = 2;
        let list = scene.register("d", 1, &contact("two.invalid", 1).replace("AB", "ab")).1;
        assert_eq!(list.len(), 1);
        assert!(list[0].contains("two.invalid") && list[0].contains("reg-id=1"), "{list:?}");
        assert_eq!(scene.register("e", 1, &contact("two.invalid", 2)).1.len(), 2);
        let groups = scene.bindings.targets("alice", None, false, scene.now);
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [2], "{groups:?}");
        assert_eq!(scene.bindings.targets("alice", None, true, scene.now).len(), 2);
    }

    #[test]
    fn outbound_needs_instance_reg_id_and_the_option_tag_out_05() {
        let mut scene = scene();
        let instance = ";+sip.instance=\"<urn:uuid:1>\"";
        assert_eq!(scene.register("c", 1, &format!("Contact: <sip:a@b>{instance}")).0, 200);
        assert_eq!(scene.register("c", 2, "Contact: <sip:a@b>;reg-id=1").0, 200);
        let two = format!("Contact: <sip:a@b>{instance};reg-id=1, <sip:a@c>");
        assert_eq!(scene.register("c", 3, &two).0, 400);
        let moved = format!("Contact: <sip:a@b>{instance};reg-id=1, <sip:a@b>;expires=0");
        assert_eq!(scene.register("c", 4, &moved).0, 299);
        scene.options = Options::new("example.test").outbound(false);
        assert_eq!(scene.register("c", 5, &format!("Contact: <sip:a@d>{instance};reg-id=1")).0, 200);
    }

    #[test]
    fn behind_a_proxy_without_outbound_the_client_is_told_out_06() {
        let mut scene = scene();
        let contact = "Contact: <sip:a@b>;+sip.instance=\"<urn:uuid:1>\";reg-id=1";
        let via = "Via: SIP/2.0/TLS b;branch=z9hG4bK2";
        assert_eq!(scene.register("c", 1, &format!("{via}\r\n{contact}")).0, 439);
        let path = "Path: <sip:p.test;lr;ob>";
        assert_eq!(scene.register("c", 2, &format!("{via}\r\n{path}\r\n{contact}")).0, 299);
        assert_eq!(scene.register("c", 3, &format!("{via}\r\nContact: <sip:a@b>")).0, 200);
    }

    #[test]
    fn bindings_go_with_their_connection() {
        let mut scene = scene();
        scene.register("c", 1, "Contact: <sip:a@b>");
        scene.connection = 2;
        scene.register("d", 1, "Contact: <sip:a@c>");
        scene.bindings.disconnected(ConnectionId(1));
        let left = scene.bindings.of("alice", scene.now);
        assert_eq!(left.iter().map(|b| b.contact.as_str()).collect::<Vec<_>>(), ["sip:a@c"]);
    }

    #[test]
    fn a_user_has_no_endless_list() {
        let mut scene = scene();
        for n in 0..MAX_BINDINGS {
            assert_eq!(scene.register("c", n as u32 + 1, &format!("Contact: <sip:a@h{n}.test>")).0, 200);
        }
        let (status, list) = scene.register("c", 1000, "Contact: <sip:a@more.test>");
        assert_eq!((status, list.len()), (403, MAX_BINDINGS));
    }
}
