//! Protection spaces: which challenges are known, and which answer goes into which request (RFC 3261 §22, RFC 7616).

use crate::account::Account;
use crate::event::CredentialsProblem;
use crate::random::Random;
use aldis_sip::auth::{
    Answer, AuthenticationInfo, Challenge, DigestChallenge, Login, NonceCount, Policy, Target, Unsupported,
    select,
};
use aldis_sip::{FieldText, Header, Message, Method, StatusCode};
use std::collections::BTreeMap;

/// Most challenges that one request answers (AUTH-22).
const MAX_CHALLENGES: u8 = 3;

/// Whose challenge it is: 401 of a user agent or registrar, 407 of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Server,
    Proxy,
}

impl Side {
    fn challenge(self) -> Header {
        match self {
            Side::Server => Header::WwwAuthenticate,
            Side::Proxy => Header::ProxyAuthenticate,
        }
    }

    fn answer(self) -> Header {
        match self {
            Side::Server => Header::Authorization,
            Side::Proxy => Header::ProxyAuthorization,
        }
    }

    fn info(self) -> Header {
        match self {
            Side::Server => Header::AuthenticationInfo,
            Side::Proxy => Header::ProxyAuthenticationInfo,
        }
    }
}

type Key = (Side, String);

/// What is known of one realm.
struct Space {
    challenge: DigestChallenge,
    /// The count that the next request uses (AUTH-12).
    next: Option<NonceCount>,
    /// Kept for a whole -sess session.
    cnonce: String,
    /// A challenge of a REGISTER is answered in later REGISTERs, one of another request in later other requests: an
    /// answer for the registrar must not travel to the recipient of a message (AUTH-20).
    for_register: bool,
    for_others: bool,
}

/// All realms of an account.
#[derive(Default)]
pub(crate) struct Spaces {
    known: BTreeMap<Key, Space>,
    /// The realm whose answer was refused: nothing is sent there again before new credentials come (AUTH-02).
    rejected: Option<String>,
}

/// The authentication of one request, over its retries.
#[derive(Default)]
pub(crate) struct Attempt {
    challenges: u8,
    /// Realms answered from a challenge that this request met: refused again means wrong credentials.
    answered: Vec<Key>,
    /// What was sent last, to check the server's proof by (AUTH-24).
    sent: Vec<(Key, Answer)>,
}

impl Spaces {
    /// New credentials: what was refused may be tried again.
    pub fn forget_rejection(&mut self) {
        self.rejected = None;
    }

    /// The header lines for a request, from the challenges that are known already or that it has just met.
    pub fn answers(
        &mut self,
        account: &Account,
        random: &mut Random,
        attempt: &mut Attempt,
        target: Target<'_>,
    ) -> Vec<(Header, FieldText<'static>)> {
        attempt.sent.clear();
        let Some(password) = &account.password else { return Vec::new() };
        let is_register = target.method == Method::Register.as_str();
        let mut lines = Vec::new();
        for (key, space) in &mut self.known {
            let wanted = if is_register { space.for_register } else { space.for_others };
            let Some(count) = space.next.filter(|_| wanted) else { continue };
            if space.cnonce.is_empty() {
                space.cnonce = random.hex(16);
            }
            let login = Login { username: &account.auth_user, password };
            // A count that has run out leaves the nonce unused: the next challenge brings another.
            space.next = count.next();
            let target = Target { method: target.method, uri: target.uri, body: target.body };
            if let Ok(answer) = Answer::new(&space.challenge, login, target, &space.cnonce, count)
                && let Ok(text) = FieldText::new(answer.to_string())
            {
                lines.push((key.0.answer(), text));
                attempt.sent.push((key.clone(), answer));
            }
        }
        lines
    }

    /// Takes the challenges of a 401 or 407.
    ///
    /// # Errors
    /// Why the request cannot be sent again.
    pub fn challenged(
        &mut self,
        account: &Account,
        attempt: &mut Attempt,
        response: &Message,
        method: &Method<'_>,
    ) -> Result<(), CredentialsProblem> {
        let side = match response.status() {
            Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED) => Side::Proxy,
            _ => Side::Server,
        };
        let challenges: Vec<Challenge> = response
            .fields()
            .filter(|field| field.header == side.challenge())
            .filter_map(|field| Challenge::parse_all(std::str::from_utf8(field.value).ok()?).ok())
            .flatten()
            .collect();
        let selection = select(&challenges, Policy { allow_md5: account.allow_md5 });
        let Some(first) = selection.chosen().first() else {
            return Err(CredentialsProblem::Unsupported { offered: offered(selection.ignored()) });
        };
        let realm = first.realm().text().into_owned();
        let allowed = |challenge: &&&DigestChallenge| account.allows_realm(&challenge.realm().text());
        let mut usable = selection.chosen().iter().filter(allowed).peekable();
        if usable.peek().is_none() {
            return Err(CredentialsProblem::RealmNotAllowed { realm });
        }
        if account.password.is_none() {
            return Err(CredentialsProblem::Missing { realm });
        }
        if attempt.challenges >= MAX_CHALLENGES {
            return Err(CredentialsProblem::Loop);
        }
        attempt.challenges += 1;
        for challenge in usable {
            let realm = challenge.realm().text().into_owned();
            let key = (side, realm.clone());
            let refused = attempt.answered.contains(&key) && !challenge.stale();
            if refused || self.rejected.as_deref() == Some(realm.as_str()) {
                self.known.remove(&key);
                self.rejected = Some(realm.clone());
                return Err(CredentialsProblem::Rejected { realm });
            }
            if !attempt.answered.contains(&key) {
                attempt.answered.push(key.clone());
            }
            self.learn(key, challenge, *method == Method::Register);
        }
        Ok(())
    }

    fn learn(&mut self, key: Key, challenge: &DigestChallenge, register: bool) {
        let before = self.known.remove(&key);
        let same_nonce =
            before.as_ref().filter(|space| space.challenge.nonce().raw() == challenge.nonce().raw());
        let next = same_nonce.map_or(Some(NonceCount::FIRST), |space| space.next);
        let cnonce = same_nonce.map(|space| space.cnonce.clone()).unwrap_or_default();
        let had = |pick: fn(&Space) -> bool| before.as_ref().is_some_and(pick);
        let space = Space {
            challenge: challenge.clone(),
            next,
            cnonce,
            for_register: register || had(|space| space.for_register),
            for_others: !register || had(|space| space.for_others),
        };
        self.known.insert(key, space);
    }

    /// Takes what a final response says of the answers in its request: a nonce for the next one (AUTH-17) and the
    /// server's proof (AUTH-24), whose mismatch is reported.
    pub fn confirmed(&mut self, attempt: &Attempt, response: &Message) {
        for (key, answer) in &attempt.sent {
            let Some(info) =
                response.value(key.0.info()).and_then(|text| AuthenticationInfo::parse(text).ok())
            else {
                continue;
            };
            if let Err(mismatch) = answer.check(&info, response.body()) {
                tracing::warn!(%mismatch, "the server's proof of the password does not match");
            }
            if let Some(space) = self.known.get_mut(key)
                && let Some(nonce) = info.nextnonce
            {
                space.challenge = space.challenge.clone().with_next_nonce(nonce);
                space.next = Some(NonceCount::FIRST);
            }
        }
    }
}

/// What a server offers that is not supported, for people.
fn offered(ignored: &[Unsupported]) -> String {
    if ignored.is_empty() {
        return "no challenge that can be read".into();
    }
    ignored.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
