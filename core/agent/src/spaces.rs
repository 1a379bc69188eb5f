//! Protection spaces: which challenges are known, and which answer goes into which request (RFC 3261 §22, RFC 7616).

mod bearer;

use crate::account::Account;
use crate::event::CredentialsProblem;
use crate::random::Random;
use aldis_sip::auth::{
    Answer, AuthenticationInfo, Challenge, DigestChallenge, Login, NonceCount, Policy, Target, Unsupported,
    select,
};
use aldis_sip::{FieldText, Header, Message, Method, Secret, StatusCode};
use bearer::{Sent, Tokens};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) use bearer::{Demand, MAX_TOKEN};

/// Most challenges that one request answers (AUTH-22).
const MAX_CHALLENGES: u8 = 3;
/// Most challenges that are kept for later requests; an account has one realm, or a proxy's beside it.
const MAX_KNOWN: usize = 16;
/// Most realms remembered as having refused the password.
const MAX_REJECTED: usize = 64;

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
    /// Boxed: a map of one has room for eleven.
    challenge: Box<DigestChallenge>,
    /// The count that the next request uses (AUTH-12).
    next: Option<NonceCount>,
    /// Kept for a whole -sess session.
    cnonce: String,
    /// A challenge of a REGISTER is answered in later REGISTERs, one of another request in later other requests: an
    /// answer for the registrar must not travel to the recipient of a message (AUTH-20).
    for_register: bool,
    for_others: bool,
    /// The account's own realm: once an answer is accepted, other requests may answer the challenge too (AUTH-20).
    own: bool,
}

impl Space {
    fn uses(&self, nonce: &str) -> bool {
        self.challenge.nonce().raw() == nonce
    }
}

/// All realms of an account.
#[derive(Default)]
pub(crate) struct Spaces {
    /// Challenges of our own registrar and proxy, answered unasked from then on.
    known: BTreeMap<Key, Space>,
    /// Realms whose answer was refused: nothing is sent there again before new credentials come (AUTH-02).
    rejected: BTreeSet<String>,
    /// Counts the credentials that were given.
    generation: u32,
    tokens: Tokens,
}

/// The authentication of one request, over its retries.
#[derive(Default)]
pub(crate) struct Attempt {
    challenges: u8,
    /// With which credentials it began.
    generation: u32,
    /// Realms answered from a challenge that this request met: refused again means wrong credentials.
    answered: Vec<Key>,
    /// Challenges that are answered in this request alone: those of other people's realms (AUTH-20), and from the second of a realm on
    /// our own as well, until it is accepted. Where a nonce serves once, another request would use it up before this one arrives.
    alone: BTreeMap<Key, Space>,
    /// What was sent last, to check the server's proof by (AUTH-24).
    sent: Vec<(Key, Answer)>,
    /// The tokens that were sent last.
    tokens: Sent,
}

impl Spaces {
    /// New credentials, or the wish to try the old ones again: what was refused is forgotten.
    pub fn forget_rejections(&mut self) {
        self.rejected.clear();
        self.tokens.forget_refusals();
        self.generation = self.generation.wrapping_add(1);
    }

    /// The app's token for a realm (AUTH-26).
    pub fn set_token(&mut self, realm: &str, token: Secret) {
        self.tokens.set(realm, token);
    }

    /// Tokens that the app is to be asked for.
    pub fn demands(&mut self) -> Vec<Demand> {
        self.tokens.demands()
    }

    /// The header lines for a request, from the challenges that are known already or that it has just met.
    pub fn answers(
        &mut self,
        account: &Account,
        random: &mut Random,
        attempt: &mut Attempt,
        target: Target<'_>,
    ) -> Vec<(Header, FieldText<'static>)> {
        let is_register = target.method == Method::Register.as_str();
        let mut lines = self.tokens.answers(is_register, &mut attempt.tokens);
        let Attempt { alone, sent, .. } = attempt;
        sent.clear();
        let Some(password) = &account.password else { return lines };
        let login = Login { username: &account.auth_user, password };
        let wanted = |(key, space): &(&Key, &Space)| {
            (if is_register { space.for_register } else { space.for_others }) && !alone.contains_key(*key)
        };
        let keys: Vec<Key> = self.known.iter().filter(wanted).map(|(key, _)| key.clone()).collect();
        for key in keys {
            let Some(space) = self.known.get_mut(&key) else { continue };
            sent.extend(answer(space, random, login, target).map(|answer| (key.clone(), answer)));
            // Whatever else uses this nonce counts on from here (AUTH-12).
            let (nonce, next) = (space.challenge.nonce().raw().to_owned(), space.next);
            let same = |(other, space): &(&Key, &mut Space)| other.1 == key.1 && space.uses(&nonce);
            self.known.iter_mut().filter(same).for_each(|(_, other)| other.next = next);
        }
        for (key, space) in alone {
            sent.extend(answer(space, random, login, target).map(|answer| (key.clone(), answer)));
        }
        let line = |(key, answer): &(Key, Answer)| {
            let text = FieldText::new(answer.to_string()).ok()?;
            Some((key.0.answer(), text))
        };
        lines.extend(sent.iter().filter_map(line));
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
        let (side, challenges) = challenges(response);
        let is_register = *method == Method::Register;
        // Who names his authorization servers has tokens in mind; a password, too, answers what no token answers.
        let mut tokens = std::mem::take(&mut self.tokens);
        let own = |realm: &str| account.allows_realm(realm) && self.is_own(account, realm);
        let asked = tokens.challenged(account, side, &challenges, is_register, &attempt.tokens, own);
        self.tokens = tokens;
        if let Some(answer) = asked {
            if answer.is_ok() {
                attempt.challenges += 1;
            }
            return if attempt.challenges > MAX_CHALLENGES { Err(CredentialsProblem::Loop) } else { answer };
        }
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
        if attempt.generation != self.generation {
            // What was refused were credentials that have been replaced meanwhile.
            (attempt.generation, attempt.challenges) = (self.generation, 0);
            attempt.answered.clear();
        }
        if attempt.challenges >= MAX_CHALLENGES {
            return Err(CredentialsProblem::Loop);
        }
        attempt.challenges += 1;
        for challenge in usable {
            let realm = challenge.realm().text().into_owned();
            let key = (side, realm.clone());
            let again = attempt.answered.contains(&key);
            if (again && !challenge.stale()) || self.rejected.contains(&realm) {
                self.known.remove(&key);
                self.reject(realm.clone());
                return Err(CredentialsProblem::Rejected { realm });
            }
            if !again {
                attempt.answered.push(key.clone());
            }
            self.learn(account, attempt, key, challenge, (*method == Method::Register, again));
        }
        Ok(())
    }

    /// Takes what the answer to a request refuses for which nobody waits any more.
    pub fn overheard(&mut self, account: &Account, attempt: &Attempt, response: &Message) {
        if matches!(response.status().map(StatusCode::code), Some(401 | 407)) {
            let (side, challenges) = challenges(response);
            self.tokens.overheard(account, side, &challenges, &attempt.tokens);
        }
    }

    fn reject(&mut self, realm: String) {
        if self.rejected.len() >= MAX_REJECTED {
            self.rejected.pop_first();
        }
        self.rejected.insert(realm);
    }

    fn learn(
        &mut self,
        account: &Account,
        attempt: &mut Attempt,
        key: Key,
        challenge: &DigestChallenge,
        (register, again): (bool, bool),
    ) {
        let own = register || self.is_own(account, &key.1);
        let shared = own && !again;
        let before = if shared { self.known.remove(&key) } else { attempt.alone.remove(&key) };
        let nonce = challenge.nonce().raw();
        let same_nonce = before.as_ref().filter(|space| space.uses(nonce)).or_else(|| {
            self.known
                .iter()
                .find(|(other, space)| other.1 == key.1 && space.uses(nonce))
                .map(|(_, space)| space)
        });
        let had = |pick: fn(&Space) -> bool| before.as_ref().is_some_and(pick);
        let space = Space {
            challenge: Box::new(challenge.clone()),
            next: same_nonce.map_or(Some(NonceCount::FIRST), |space| space.next),
            cnonce: same_nonce.map(|space| space.cnonce.clone()).unwrap_or_default(),
            for_register: register || had(|space| space.for_register),
            for_others: !register || had(|space| space.for_others),
            own,
        };
        if shared || (own && same_nonce.is_some()) {
            self.share(key, space);
        } else {
            attempt.alone.insert(key, space);
        }
    }

    /// From here on other requests answer this challenge too.
    fn share(&mut self, key: Key, mut space: Space) {
        if let Some(before) = self.known.remove(&key) {
            space.for_register |= before.for_register;
            space.for_others |= before.for_others;
        }
        if self.known.len() >= MAX_KNOWN {
            self.known.pop_first();
        }
        self.known.insert(key, space);
    }

    /// Whether a realm is the account's own: named by it, its domain, its proxy, or the registrar's. Answers to any
    /// other do not go into requests that have not met it (AUTH-20).
    fn is_own(&self, account: &Account, realm: &str) -> bool {
        account.realms.as_ref().is_some_and(|realms| realms.iter().any(|own| own == realm))
            || account.address_of_record.host().is_some_and(|host| host.eq_ignore_ascii_case(realm))
            || account.is_proxy(realm)
            || self.known.iter().any(|(key, space)| key.1 == realm && space.for_register)
    }

    /// Takes what a final response says of the answers in its request: a nonce for the next one (AUTH-17) and the
    /// server's proof (AUTH-24), whose mismatch is reported.
    pub fn confirmed(&mut self, attempt: &mut Attempt, response: &Message) {
        self.tokens.confirmed(&attempt.tokens);
        let accepted = std::mem::take(&mut attempt.alone).into_iter().filter(|(_, space)| space.own);
        accepted.for_each(|(key, space)| self.share(key, space));
        for (key, answer) in &attempt.sent {
            let Some(info) =
                response.value(key.0.info()).and_then(|text| AuthenticationInfo::parse(text).ok())
            else {
                continue;
            };
            if let Err(mismatch) = answer.check(&info, response.body()) {
                tracing::warn!(%mismatch, "the server's proof of the password does not match");
            }
            // The same nonce again is no new one: its count goes on. And what follows another challenge than the present one,
            // which a second flow may have brought meanwhile, does not belong to its opaque and algorithm.
            if let Some(space) = self.known.get_mut(key)
                && let Some(nonce) = info.nextnonce
                && space.uses(answer.credentials().nonce().raw())
                && !space.uses(nonce.raw())
            {
                *space.challenge = space.challenge.as_ref().clone().with_next_nonce(nonce);
                space.next = Some(NonceCount::FIRST);
            }
        }
    }
}

/// The challenges of a 401 or 407, and whose they are.
fn challenges(response: &Message) -> (Side, Vec<Challenge>) {
    let side = match response.status() {
        Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED) => Side::Proxy,
        _ => Side::Server,
    };
    let all = response
        .fields()
        .filter(|field| field.header == side.challenge())
        .filter_map(|field| Challenge::parse_all(std::str::from_utf8(field.value).ok()?).ok())
        .flatten()
        .collect();
    (side, all)
}

/// Answers one challenge and counts it.
fn answer(space: &mut Space, random: &mut Random, login: Login<'_>, target: Target<'_>) -> Option<Answer> {
    let count = space.next?;
    if space.cnonce.is_empty() {
        space.cnonce = random.hex(16);
    }
    // A count that has run out leaves the nonce unused: the next challenge brings another.
    space.next = count.next();
    Answer::new(&space.challenge, login, target, &space.cnonce, count).ok()
}

/// What a server offers that is not supported, for people.
fn offered(ignored: &[Unsupported]) -> String {
    if ignored.is_empty() {
        return "no challenge that can be read".into();
    }
    ignored.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
