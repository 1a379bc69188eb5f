//! Bearer tokens (RFC 8898): from whom they may come, and into which requests they go.

use super::Side;
use crate::account::Account;
use crate::event::CredentialsProblem;
use aldis_sip::auth::{Challenge, OtherScheme};
use aldis_sip::{FieldText, Header, Secret};
use std::collections::BTreeMap;

/// Longest token, in bytes: it must fit into a request with all the rest.
pub(crate) const MAX_TOKEN: usize = 16_384;
/// Most realms that are remembered; an account has one, or a proxy's beside it.
const MAX_REALMS: usize = 16;
/// Most bytes of a server's scope that are passed on.
const MAX_SCOPE: usize = 1024;

/// A token is wanted from the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    pub realm: String,
    pub authz_server: String,
    pub scope: Option<String>,
    pub refused: bool,
}

#[derive(Default)]
struct Realm {
    token: Option<Secret>,
    /// Counts the tokens that were given.
    generation: u32,
    /// Whether the app was asked and has not answered.
    asked: bool,
    /// Tokens in a row that were refused (AUTH-28).
    refusals: u32,
    /// Who asked, and whether in answer to a REGISTER: later requests of the kind carry the token unasked (AUTH-26).
    asking: Vec<(Side, bool)>,
}

impl Realm {
    /// Whether a request with these tokens had the present one. Given to the server, it says nothing to a proxy that asks for
    /// itself.
    fn was_sent(&self, realm: &str, side: Side, sent: &Sent) -> bool {
        self.token.is_some()
            && sent
                .iter()
                .any(|(name, generation, to)| *to == side && name == realm && *generation == self.generation)
    }
}

/// The tokens of an account, by realm.
#[derive(Default)]
pub(crate) struct Tokens {
    realms: BTreeMap<String, Realm>,
    demands: Vec<Demand>,
}

/// The tokens in a request: realm, which one, and whom it answers.
pub(crate) type Sent = Vec<(String, u32, Side)>;

impl Tokens {
    /// Takes the app's token for a realm.
    pub fn set(&mut self, realm: &str, token: Secret) {
        if self.realms.len() >= MAX_REALMS && !self.realms.contains_key(realm) {
            self.realms.pop_first();
        }
        let known = self.realms.entry(realm.into()).or_default();
        known.asked = false;
        // The same once more is no other: what refuses a request with it refuses it (AUTH-28).
        if known.token.as_ref().is_none_or(|before| before.expose() != token.expose()) {
            known.generation = known.generation.wrapping_add(1);
        }
        known.token = Some(token);
    }

    /// What to ask the app for.
    pub fn demands(&mut self) -> Vec<Demand> {
        std::mem::take(&mut self.demands)
    }

    /// The app wants it tried again: it may be asked again too.
    pub fn forget_refusals(&mut self) {
        for realm in self.realms.values_mut() {
            (realm.asked, realm.refusals) = (false, 0);
        }
    }

    /// The header lines for a request.
    pub fn answers(&self, is_register: bool, sent: &mut Sent) -> Vec<(Header, FieldText<'static>)> {
        sent.clear();
        let mut lines = Vec::new();
        for (name, realm) in &self.realms {
            let Some(token) = &realm.token else { continue };
            for (side, register) in &realm.asking {
                // Checked when it was given: it can stand in a line.
                if *register == is_register
                    && let Ok(text) = FieldText::new(format!("Bearer {}", token.expose()))
                {
                    lines.push((side.answer(), text));
                    sent.push((name.clone(), realm.generation, *side));
                }
            }
        }
        lines
    }

    /// Takes the Bearer challenges of a 401 or 407: whether the request may go again with a token, or why not. `None` if
    /// there is none from an authorization server that the account trusts (AUTH-25).
    pub fn challenged(
        &mut self,
        account: &Account,
        side: Side,
        challenges: &[Challenge],
        is_register: bool,
        sent: &Sent,
        is_own: impl Fn(&str) -> bool,
    ) -> Option<Result<(), CredentialsProblem>> {
        let trusted = |bearer: &Bearer| account.trusts_authorization_server(&bearer.authz_server);
        let bearer = challenges.iter().filter_map(Bearer::read).find(trusted)?;
        // An answer to another's challenge would hand our token to whoever a message went to (AUTH-28), and a challenge
        // can name any realm.
        let of_registrar = |realm: &Realm| realm.asking.iter().any(|(_, register)| *register);
        let is_ours = || self.realms.get(&bearer.realm).is_some_and(of_registrar) || is_own(&bearer.realm);
        if !(is_register || account.tokens_everywhere && is_ours()) {
            return None;
        }
        if !self.realms.contains_key(&bearer.realm) && self.realms.len() >= MAX_REALMS {
            self.realms.pop_first();
        }
        let realm = self.realms.entry(bearer.realm.clone()).or_default();
        if !realm.asking.contains(&(side, is_register)) {
            realm.asking.push((side, is_register));
        }
        if realm.was_sent(&bearer.realm, side, sent) {
            realm.token = None;
            realm.refusals += 1;
        } else if realm.token.is_some() {
            return Some(Ok(()));
        }
        if realm.refusals > 1 {
            return Some(Err(CredentialsProblem::Rejected { realm: bearer.realm }));
        }
        let problem = CredentialsProblem::TokenNeeded { realm: bearer.realm.clone() };
        if !std::mem::replace(&mut realm.asked, true) {
            let refused = realm.refusals > 0;
            let Bearer { realm, authz_server, scope } = bearer;
            self.demands.push(Demand { realm, authz_server, scope, refused });
        }
        Some(Err(problem))
    }

    /// A request for whose answer nobody waits any more was refused, with these tokens in it: they go nowhere else (AUTH-28).
    pub fn overheard(&mut self, account: &Account, side: Side, challenges: &[Challenge], sent: &Sent) {
        let trusted = |bearer: &Bearer| account.trusts_authorization_server(&bearer.authz_server);
        let Some(bearer) = challenges.iter().filter_map(Bearer::read).find(trusted) else { return };
        let Some(realm) = self.realms.get_mut(&bearer.realm) else { return };
        if realm.was_sent(&bearer.realm, side, sent) {
            realm.token = None;
            realm.refusals += 1;
        }
    }

    /// A request with these tokens succeeded.
    pub fn confirmed(&mut self, sent: &Sent) {
        for (name, generation, _) in sent {
            if let Some(realm) = self.realms.get_mut(name).filter(|realm| realm.generation == *generation) {
                realm.refusals = 0;
            }
        }
    }
}

/// A challenge of the Bearer scheme (RFC 8898 §4).
struct Bearer {
    realm: String,
    authz_server: String,
    scope: Option<String>,
}

impl Bearer {
    fn read(challenge: &Challenge) -> Option<Self> {
        let Challenge::Other(other) = challenge else { return None };
        let value = |name: &str| other.parameter(name).map(|text| text.text().into_owned());
        let is_bearer = OtherScheme::is(other, "Bearer");
        let scope = value("scope").filter(|scope| scope.len() <= MAX_SCOPE);
        is_bearer.then_some(())?;
        Some(Bearer { realm: value("realm")?, authz_server: value("authz_server")?, scope })
    }
}
