//! REGISTER (RFC 3261 §10.3).

use crate::bindings::{Distortion, Registered};
use crate::digest::{Granted, ProvenDigest};
use crate::extensions::Edge;
use crate::faults::Fault;
use crate::machine::Machine;
use crate::options::Options;
use crate::requests::{Asking, Inbound, supported, unknown_tags};
use crate::wire::Reply;
use aldis_sip::auth::Text;
use aldis_sip::fields::{Date, Require};
use aldis_sip::{Header, Message, StatusCode};

impl Machine {
    pub(crate) fn register(&mut self, inbound: &Inbound) {
        let request = &inbound.request;
        let Ok(Some(uri)) = request.request_uri() else { return };
        if !self.is_ours(&uri) {
            return self.reply(inbound, Reply::new(StatusCode::NOT_FOUND));
        }
        // §10.2: "The 'userinfo' and '@' components of the SIP URI MUST NOT be present."
        if uri.raw_user().is_some() {
            return self.reply(inbound, Reply::new(StatusCode::BAD_REQUEST));
        }
        let required = request.all::<Require<'_>>().flatten().map(|tag| tag.as_str());
        if let Some(reply) = unknown_tags(required) {
            return self.reply(inbound, reply);
        }
        let granted = if self.options.register_challenge {
            match self.authenticate(inbound, Asking::REGISTRAR) {
                Some(granted) => Some(granted),
                None => return,
            }
        } else {
            None
        };
        let (Ok(from), Ok(to)) = (request.from(), request.to()) else { return };
        let Some(user) = self.user_of(&to.uri) else {
            return self.reply(inbound, Reply::new(StatusCode::NOT_FOUND));
        };
        // Nobody registers for another: From and the credentials name the user of To.
        let same = self.user_of(&from.uri).as_ref() == Some(&user);
        if !same || granted.as_ref().is_some_and(|granted| granted.user != user) {
            return self.reply(inbound, Reply::new(StatusCode::FORBIDDEN));
        }
        if !self.options.users.contains_key(&user) {
            return self.reply(inbound, Reply::new(StatusCode::NOT_FOUND));
        }
        if let Some(reply) = self.ordered(&inbound.method, true) {
            return self.reply(inbound, reply);
        }
        let options = self.options.clone();
        if let Some(status) = unknown_push_service(&options, request) {
            return self.reply(inbound, Reply::new(status));
        }
        match self.bindings.register(
            &user,
            request,
            inbound.connection,
            &options,
            &mut self.random,
            self.now.mono,
        ) {
            Err(reply) => self.reply(inbound, reply),
            Ok(done) => {
                let reply = self.registered(inbound, &user, &done, granted.as_ref());
                self.reply(inbound, reply);
                if done.bound {
                    self.woken(&user);
                    self.deliver_stored(&user);
                }
                self.bindings_changed(&user);
            }
        }
    }

    fn registered(
        &mut self,
        inbound: &Inbound,
        user: &str,
        done: &Registered,
        granted: Option<&Granted>,
    ) -> Reply {
        let distortion = Distortion {
            without_own: self.faults.has(&Fault::WithoutBinding),
            own_expires_zero: self.faults.has(&Fault::ExpiresZero),
            others_first: self.faults.has(&Fault::OthersFirst),
        };
        let mut reply = Reply::new(StatusCode::OK).with(Header::Date, Date(self.now.wall).to_string());
        for contact in self.bindings.contacts(user, &self.options.domain, done, distortion, self.now.mono) {
            reply = reply.with(Header::Contact, contact);
        }
        reply = reply.with(Header::Supported, supported());
        if done.outbound {
            reply = reply.with(Header::Require, "outbound");
            if let Some(seconds) = self.options.flow_timer {
                reply = reply.with(Header::FlowTimer, seconds.to_string());
            }
        }
        if let Some(caps) = push_capabilities(&self.options, &inbound.request) {
            reply = reply.with(Header::FeatureCaps, caps);
        }
        for uri in &self.options.service_route {
            reply = reply.with(Header::ServiceRoute, format!("<{uri}>"));
        }
        let local = self.local_address(inbound.connection);
        match self.options.edge {
            Edge::None => {}
            Edge::Outbound => {
                reply = reply.with(Header::Path, format!("<sip:edge@{local};transport=tls;lr;ob>"))
            }
            Edge::Plain => reply = reply.with(Header::Path, format!("<sip:edge@{local};transport=tls;lr>")),
        }
        // RFC 3327 §5.3: the Path values of the request come back.
        for field in inbound.request.fields().filter(|field| field.header == Header::Path) {
            reply = reply.with(Header::Path, String::from_utf8_lossy(field.value));
        }
        if let Some(info) = granted.and_then(|granted| self.authentication_info(granted.digest.as_ref()?)) {
            reply = reply.with(Header::AuthenticationInfo, info);
        }
        reply
    }

    fn authentication_info(&mut self, granted: &ProvenDigest) -> Option<String> {
        let next = self.faults.has(&Fault::NextNonce);
        let wrong = self.faults.has(&Fault::WrongRspauth);
        if !self.options.authentication_info && !next && !wrong {
            return None;
        }
        let mut info = granted.authentication_info();
        if wrong {
            // Of the right length, and the digest of nothing.
            let length = granted.credentials.algorithm().response_length();
            info.rspauth = Text::new("rspauth", &"0".repeat(length)).ok();
        }
        if next {
            info.nextnonce = self.authenticator.next_nonce(granted, self.now.mono, &mut self.random);
        }
        Some(info.to_string())
    }
}

/// 555 if the client wants to be woken by a service that is not supported (RFC 8599 §5.6.1.1).
fn unknown_push_service(options: &Options, request: &Message) -> Option<StatusCode> {
    let push = options.push.as_ref()?;
    let provider = pn(request, "pn-provider").filter(|_| pn(request, "pn-prid").is_some())?;
    let known = push.providers.iter().any(|known| known.eq_ignore_ascii_case(&provider));
    (!known).then_some(StatusCode::PUSH_SERVICE_NOT_SUPPORTED)
}

/// Feature-Caps of the 200: the service of the client, all of them if it only asks (RFC 8599 §4.1.5, §5.6.1).
fn push_capabilities(options: &Options, request: &Message) -> Option<String> {
    let push = options.push.as_ref()?;
    let provider = pn(request, "pn-provider")?;
    let asked = |known: &&String| provider.is_empty() || known.eq_ignore_ascii_case(&provider);
    let services: Vec<_> = push.providers.iter().filter(asked).cloned().collect();
    if services.is_empty() {
        return None;
    }
    let wakes_itself = request
        .contacts()
        .flatten()
        .any(|contact| contact.address().is_some_and(|address| address.params.has("+sip.pnsreg")));
    let refresh = push.refresh_before.filter(|_| wakes_itself);
    let refresh = refresh.map(|seconds| format!(";+sip.pnsreg=\"{seconds}\"")).unwrap_or_default();
    Some(format!("*;+sip.pns=\"{}\"{refresh}", services.join(",")))
}

/// A push parameter of the first Contact that has it; empty if it has no value.
fn pn(request: &Message, name: &str) -> Option<String> {
    request.contacts().flatten().find_map(|contact| {
        let value = contact.address()?.uri.param(name)?;
        Some(value.map(|value| value.into_owned()).unwrap_or_default())
    })
}
