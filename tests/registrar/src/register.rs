//! REGISTER (RFC 3261 §10.3).

use crate::bindings::{Distortion, Registered};
use crate::core::{Asking, Inbound, State, date_now, supported, unknown_tags};
use crate::digest::Granted;
use crate::faults::Fault;
use crate::wire::Reply;
use aldis_sip::auth::Text;
use aldis_sip::fields::Require;
use aldis_sip::{Header, StatusCode};
use tokio::time::Instant;

impl State {
    pub fn register(&mut self, inbound: &Inbound, now: Instant) {
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
            match self.authenticate(inbound, Asking::REGISTRAR, now) {
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
        match self.bindings.register(&user, request, inbound.connection, &options, now) {
            Err(reply) => self.reply(inbound, reply),
            Ok(done) => {
                let reply = self.registered(inbound, &user, &done, granted.as_ref(), now);
                self.reply(inbound, reply);
                if done.bound {
                    self.deliver_stored(&user, now);
                }
            }
        }
    }

    fn registered(
        &mut self,
        inbound: &Inbound,
        user: &str,
        done: &Registered,
        granted: Option<&Granted>,
        now: Instant,
    ) -> Reply {
        let distortion = Distortion {
            without_own: self.faults.has(&Fault::WithoutBinding),
            own_expires_zero: self.faults.has(&Fault::ExpiresZero),
            others_first: self.faults.has(&Fault::OthersFirst),
        };
        let mut reply = Reply::new(StatusCode::OK).with(Header::Date, date_now());
        for contact in self.bindings.contacts(user, done, distortion, now) {
            reply = reply.with(Header::Contact, contact);
        }
        reply = reply.with(Header::Supported, supported());
        if done.outbound {
            reply = reply.with(Header::Require, "outbound");
            if let Some(seconds) = self.options.flow_timer {
                reply = reply.with(Header::FlowTimer, seconds.to_string());
            }
        }
        // RFC 3327 §5.3: the Path values of the request come back.
        for field in inbound.request.fields().filter(|field| field.header == Header::Path) {
            reply = reply.with(Header::Path, String::from_utf8_lossy(field.value));
        }
        if let Some(info) = granted.and_then(|granted| self.authentication_info(granted, now)) {
            reply = reply.with(Header::AuthenticationInfo, info);
        }
        reply
    }

    fn authentication_info(&mut self, granted: &Granted, now: Instant) -> Option<String> {
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
            info.nextnonce = self.authenticator.next_nonce(granted, now, &mut self.random);
        }
        Some(info.to_string())
    }
}
