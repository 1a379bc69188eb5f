//! Who sent this request? Digest authentication as a server sees it (RFC 3261 §22, RFC 7616, RFC 8760).

use crate::extensions::Bearer;
use crate::options::Options;
use crate::wire::Random;
use aldis_sip::auth::{
    Algorithm, AuthenticationInfo, Credentials, DigestChallenge, DigestCredentials, Exchange, Ha1,
    Protection, Qop, Text,
};
use aldis_sip::{Header, Message, Secret};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

/// Most nonces remembered; the oldest are forgotten and then count as stale.
const MAX_NONCES: usize = 10_000;

/// Why a request was not taken as its user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthRefusal {
    /// There are no credentials for our realm.
    NoCredentials,
    /// The credentials cannot be read; answered with 400.
    Malformed(String),
    /// `uri` is not the Request-URI; answered with 400 (RFC 7616 §3.4.6).
    OtherUri {
        /// The Request-URI.
        expected: String,
        /// What the credentials say.
        found: String,
    },
    /// Nobody has that name.
    UnknownUser,
    /// The algorithm was not offered.
    Algorithm(Algorithm),
    /// The protection was not offered, or one was and none is used.
    Qop(Option<Qop>),
    /// `cnonce` is empty.
    EmptyCnonce,
    /// `opaque` did not come back as it was given.
    Opaque,
    /// The digest is wrong: another password, or another request.
    WrongDigest,
    /// The digest is right, but the nonce is not ours or was forgotten: stale.
    UnknownNonce,
    /// The digest is right, but the nonce is too old: stale.
    ExpiredNonce,
    /// The digest is right, but the nonce was used as often as it may be, or has a successor: stale.
    SpentNonce,
    /// The digest is right, but this nonce count or a higher one was used before: stale.
    Replayed {
        /// The nonce count.
        count: u32,
        /// The highest one before.
        highest: u32,
    },
    /// The bearer token is nobody's (RFC 8898 §2.1.3).
    InvalidToken,
    /// A fault that was asked for.
    Fault,
}

impl AuthRefusal {
    fn is_stale(&self) -> bool {
        use AuthRefusal::{ExpiredNonce, Replayed, SpentNonce, UnknownNonce};
        matches!(self, UnknownNonce | ExpiredNonce | SpentNonce | Replayed { .. })
    }

    pub(crate) fn is_bad_request(&self) -> bool {
        matches!(self, AuthRefusal::Malformed(_) | AuthRefusal::OtherUri { .. })
    }
}

impl fmt::Display for AuthRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuthRefusal::NoCredentials => f.write_str("no credentials"),
            AuthRefusal::Malformed(why) => write!(f, "malformed credentials: {why}"),
            AuthRefusal::OtherUri { .. } => f.write_str("uri is not the Request-URI"),
            AuthRefusal::UnknownUser => f.write_str("unknown user"),
            AuthRefusal::Algorithm(algorithm) => write!(f, "{algorithm} was not offered"),
            AuthRefusal::Qop(qop) => write!(f, "qop {} was not offered", qop.map_or("none", Qop::name)),
            AuthRefusal::EmptyCnonce => f.write_str("empty cnonce"),
            AuthRefusal::Opaque => f.write_str("opaque was changed"),
            AuthRefusal::WrongDigest => f.write_str("wrong digest"),
            AuthRefusal::UnknownNonce => f.write_str("stale: unknown nonce"),
            AuthRefusal::ExpiredNonce => f.write_str("stale: expired nonce"),
            AuthRefusal::SpentNonce => f.write_str("stale: spent nonce"),
            AuthRefusal::Replayed { count, highest } => {
                write!(f, "stale: nonce count {count} is not above {highest}")
            }
            AuthRefusal::InvalidToken => f.write_str("invalid token"),
            AuthRefusal::Fault => f.write_str("by order"),
        }
    }
}

/// A request that is its user's.
#[derive(Debug)]
pub(crate) struct Granted {
    pub user: String,
    /// The digest that proved it; nothing for a token.
    pub digest: Option<ProvenDigest>,
}

/// A digest that is right.
#[derive(Debug)]
pub(crate) struct ProvenDigest {
    pub credentials: DigestCredentials,
    key: Ha1,
}

impl ProvenDigest {
    /// What proves that the server knows the password too, for a response without a body.
    pub fn authentication_info(&self) -> AuthenticationInfo {
        let given = &self.credentials;
        let (nonce, uri) = (given.nonce().text(), given.uri().text());
        let count = given.nc().map(|count| count.to_string()).unwrap_or_default();
        let cnonce = given.cnonce().map(|cnonce| cnonce.text().into_owned()).unwrap_or_default();
        let protection = given.qop().map(|qop| Protection { qop, cnonce: &cnonce, nc: &count });
        let rspauth = self.key.rspauth(&Exchange { nonce: &nonce, uri: &uri, protection }, b"");
        AuthenticationInfo {
            nextnonce: None,
            qop: given.qop(),
            rspauth: Text::new("rspauth", &rspauth).ok(),
            cnonce: given.cnonce().cloned(),
            nc: given.nc(),
        }
    }
}

#[derive(Debug)]
struct Nonce {
    issued: Duration,
    algorithm: Algorithm,
    opaque: String,
    /// The highest nonce count that was accepted.
    highest: u32,
    uses: u32,
    /// Whether a `nextnonce` replaced it.
    replaced: bool,
    /// The key of a `-sess` algorithm, from its first use on (RFC 7616 §3.4.2).
    session: Option<Ha1>,
}

/// Gives challenges and checks what comes back.
#[derive(Debug)]
pub(crate) struct Authenticator {
    realm: String,
    users: BTreeMap<String, Secret>,
    bearer: Option<Bearer>,
    algorithms: Vec<Algorithm>,
    qop: Vec<Qop>,
    userhash: bool,
    utf8: bool,
    lifetime: Duration,
    max_uses: Option<u32>,
    nonces: BTreeMap<String, Nonce>,
    order: VecDeque<String>,
}

impl Authenticator {
    pub fn new(options: &Options) -> Authenticator {
        Authenticator {
            realm: options.domain.clone(),
            users: options.users.clone(),
            bearer: options.bearer.clone(),
            algorithms: options.algorithms.clone(),
            qop: options.qop.clone(),
            userhash: options.userhash,
            utf8: options.utf8,
            lifetime: options.nonce_lifetime,
            max_uses: options.nonce_uses,
            nonces: BTreeMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Forgets all nonces.
    pub fn forget(&mut self) {
        self.nonces.clear();
        self.order.clear();
    }

    pub fn set_password(&mut self, user: &str, password: Secret) {
        self.users.insert(user.to_owned(), password);
    }

    fn issue(&mut self, nonce: Nonce, random: &mut Random) -> String {
        let name = random.token();
        self.nonces.insert(name.clone(), nonce);
        self.order.push_back(name.clone());
        while self.order.len() > MAX_NONCES {
            if let Some(oldest) = self.order.pop_front() {
                self.nonces.remove(&oldest);
            }
        }
        name
    }

    /// Header values, one challenge each, in the order of the options.
    pub fn challenges(
        &mut self,
        stale: bool,
        refused: bool,
        now: Duration,
        random: &mut Random,
    ) -> Vec<String> {
        let mut values = Vec::new();
        if let Some(bearer) = &self.bearer {
            let error = if refused { ", error=\"invalid_token\"" } else { "" };
            let (realm, server) = (&self.realm, &bearer.authz_server);
            values.push(format!("Bearer realm=\"{realm}\", scope=\"sip\", authz_server=\"{server}\"{error}"));
        }
        for algorithm in self.algorithms.clone() {
            let opaque = random.token();
            let nonce = Nonce {
                issued: now,
                algorithm,
                opaque: opaque.clone(),
                highest: 0,
                uses: 0,
                replaced: false,
                session: None,
            };
            let nonce = self.issue(nonce, random);
            let challenge = DigestChallenge::new(&self.realm, &nonce).and_then(|challenge| {
                challenge
                    .with_algorithm(algorithm)
                    .with_qop(&self.qop)
                    .with_stale(stale)
                    .with_userhash(self.userhash)
                    .with_utf8(self.utf8)
                    .with_opaque(&opaque)
            });
            values.extend(challenge.map(|challenge| challenge.to_string()));
        }
        values
    }

    /// The nonce that a client is told to use from now on; the one of `granted` is spent.
    pub fn next_nonce(&mut self, granted: &ProvenDigest, now: Duration, random: &mut Random) -> Option<Text> {
        let old = self.nonces.get_mut(&*granted.credentials.nonce().text())?;
        old.replaced = true;
        let next = Nonce {
            issued: now,
            algorithm: old.algorithm,
            opaque: old.opaque.clone(),
            highest: 0,
            uses: 0,
            replaced: false,
            session: old.session.clone(),
        };
        Text::new("nextnonce", &self.issue(next, random)).ok()
    }

    /// Whose request this is, by its credentials in `header`; else why not, and whether the nonce alone is to blame.
    pub fn check(
        &mut self,
        request: &Message,
        header: Header,
        now: Duration,
    ) -> Result<Granted, (AuthRefusal, bool)> {
        if let Some(result) = self.token(request, header) {
            return result.map_err(|why| (why, false));
        }
        self.examine(request, header, now).map_err(|why| {
            let stale = why.is_stale();
            (why, stale)
        })
    }

    /// Whose token came, if one came and is asked for.
    fn token(&self, request: &Message, header: Header) -> Option<Result<Granted, AuthRefusal>> {
        let bearer = self.bearer.as_ref()?;
        let given = request.fields().filter(|field| field.header == header).find_map(|field| {
            match Credentials::parse(std::str::from_utf8(field.value).ok()?).ok()? {
                Credentials::Other(other) if other.is("Bearer") => other.token68().map(str::to_owned),
                _ => None,
            }
        })?;
        let owner = bearer.tokens.iter().find(|(_, token)| token.expose() == given);
        Some(match owner {
            Some((user, _)) => Ok(Granted { user: user.clone(), digest: None }),
            None => Err(AuthRefusal::InvalidToken),
        })
    }

    pub fn set_token(&mut self, user: &str, token: Secret) {
        if let Some(bearer) = &mut self.bearer {
            bearer.tokens.insert(user.to_owned(), token);
        }
    }

    fn examine(&mut self, request: &Message, header: Header, now: Duration) -> Result<Granted, AuthRefusal> {
        let given = self.credentials(request, header)?;
        let method = request.method().ok_or(AuthRefusal::NoCredentials)?;
        let uri = request.request_uri().ok().flatten().ok_or(AuthRefusal::NoCredentials)?;
        if *given.uri() != uri.as_str() {
            let found = given.uri().text().into_owned();
            return Err(AuthRefusal::OtherUri { expected: uri.as_str().to_owned(), found });
        }
        let algorithm = given.algorithm();
        if !self.algorithms.contains(&algorithm) {
            return Err(AuthRefusal::Algorithm(algorithm));
        }
        match given.qop() {
            None if self.qop.is_empty() => {}
            Some(qop) if self.qop.contains(&qop) => {}
            other => return Err(AuthRefusal::Qop(other)),
        }
        if given.cnonce().is_some_and(|cnonce| cnonce.text().is_empty()) {
            return Err(AuthRefusal::EmptyCnonce);
        }
        let known = self.users.iter().find(|(name, _)| given.is_for(name));
        let (user, password) = known.ok_or(AuthRefusal::UnknownUser)?;
        let user = user.clone();

        let nonce = self.nonces.get_mut(&*given.nonce().text());
        let session = nonce.as_ref().and_then(|nonce| nonce.session.clone());
        let key = session.unwrap_or_else(|| {
            let cnonce = given.cnonce().map(|cnonce| cnonce.text().into_owned()).unwrap_or_default();
            Ha1::new(algorithm, &user, &given.realm().text(), password)
                .into_session(&given.nonce().text(), &cnonce)
        });
        if !given.verify_with(&key, method.as_str(), request.body()) {
            return Err(AuthRefusal::WrongDigest);
        }
        let nonce = nonce.ok_or(AuthRefusal::UnknownNonce)?;
        if nonce.algorithm != algorithm {
            return Err(AuthRefusal::Algorithm(algorithm));
        }
        if given.opaque().is_none_or(|opaque| *opaque != nonce.opaque.as_str()) {
            return Err(AuthRefusal::Opaque);
        }
        if now.saturating_sub(nonce.issued) > self.lifetime {
            return Err(AuthRefusal::ExpiredNonce);
        }
        if nonce.replaced || self.max_uses.is_some_and(|max| nonce.uses >= max) {
            return Err(AuthRefusal::SpentNonce);
        }
        if let Some(count) = given.nc().map(|count| count.get()) {
            if count <= nonce.highest {
                return Err(AuthRefusal::Replayed { count, highest: nonce.highest });
            }
            nonce.highest = count;
        }
        nonce.uses += 1;
        if algorithm.is_session() {
            nonce.session.get_or_insert_with(|| key.clone());
        }
        Ok(Granted { user, digest: Some(ProvenDigest { credentials: given, key }) })
    }

    /// The digest credentials for our realm.
    fn credentials(&self, request: &Message, header: Header) -> Result<DigestCredentials, AuthRefusal> {
        let mut refusal = AuthRefusal::NoCredentials;
        for field in request.fields().filter(|field| field.header == header) {
            let Ok(value) = std::str::from_utf8(field.value) else {
                refusal = AuthRefusal::Malformed("not UTF-8".into());
                continue;
            };
            match Credentials::parse(value) {
                Ok(Credentials::Digest(digest)) if *digest.realm() == self.realm.as_str() => {
                    return Ok(digest);
                }
                Ok(_) => {}
                Err(error) => refusal = AuthRefusal::Malformed(error.to_string()),
            }
        }
        Err(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aldis_sip::auth::{Answer, Challenge, Login, NonceCount, Target};

    const URI: &str = "sip:example.test";

    struct Scene {
        server: Authenticator,
        random: Random,
        now: Duration,
    }

    impl Scene {
        fn new(options: Options) -> Scene {
            let server = Authenticator::new(&options.user("alice", "builder"));
            Scene { server, random: Random::new([7; 32]), now: Duration::from_secs(1000) }
        }

        fn challenge(&mut self) -> DigestChallenge {
            let value = self.server.challenges(false, false, self.now, &mut self.random).remove(0);
            match Challenge::parse_all(&value).unwrap().remove(0) {
                Challenge::Digest(digest) => digest,
                Challenge::Other(other) => panic!("{other:?}"),
            }
        }

        fn check(&mut self, authorization: &str) -> Result<Granted, (AuthRefusal, bool)> {
            let text = format!(
                "REGISTER {URI} SIP/2.0\r\nAuthorization: Digest username=\"x\", realm=\"other\", nonce=\"n\", \
                 uri=\"{URI}\", response=\"\"\r\nAuthorization: {authorization}\r\n\r\nbody"
            );
            let (request, _) = Message::parse(text.into()).unwrap();
            self.server.check(&request, Header::Authorization, self.now)
        }
    }

    fn answer(challenge: &DigestChallenge, password: &str, uri: &str, count: u32) -> Answer {
        let login = Login { username: "alice", password: &Secret::new(password) };
        let target = Target { method: "REGISTER", uri, body: b"body" };
        Answer::new(challenge, login, target, "cnonce", NonceCount::new(count)).unwrap()
    }

    fn refused(result: Result<Granted, (AuthRefusal, bool)>) -> (AuthRefusal, bool) {
        result.expect_err("was granted")
    }

    #[test]
    fn every_algorithm_and_protection_is_checked_and_proven_auth_07_auth_24() {
        for algorithm in Algorithm::ALL {
            for qop in [&[][..], &[Qop::Auth], &[Qop::AuthInt]] {
                if algorithm.is_session() && qop.is_empty() {
                    continue;
                }
                let mut scene = Scene::new(Options::new("example.test").algorithms(&[algorithm]).qop(qop));
                let challenge = scene.challenge();
                let sent = answer(&challenge, "builder", URI, 1);
                let granted = scene.check(&sent.to_string()).unwrap();
                assert_eq!(granted.user, "alice");
                assert!(
                    sent.check(&granted.digest.unwrap().authentication_info(), b"").is_ok(),
                    "{algorithm} {qop:?}"
                );
                let wrong = answer(&challenge, "butcher", URI, 2).to_string();
                assert_eq!(refused(scene.check(&wrong)), (AuthRefusal::WrongDigest, false));
            }
        }
    }

    #[test]
    fn a_nonce_count_is_good_once_auth_12() {
        let mut scene = Scene::new(Options::new("example.test"));
        let challenge = scene.challenge();
        assert!(scene.check(&answer(&challenge, "builder", URI, 1).to_string()).is_ok());
        assert!(scene.check(&answer(&challenge, "builder", URI, 3).to_string()).is_ok());
        for count in [3, 2] {
            let again = refused(scene.check(&answer(&challenge, "builder", URI, count).to_string()));
            assert_eq!(again, (AuthRefusal::Replayed { count, highest: 3 }, true));
        }
    }

    #[test]
    fn an_old_spent_or_foreign_nonce_is_stale_only_with_the_right_password_auth_16() {
        let mut scene = Scene::new(Options::new("example.test").nonce_uses(1));
        let first = scene.challenge();
        assert!(scene.check(&answer(&first, "builder", URI, 1).to_string()).is_ok());
        let spent = refused(scene.check(&answer(&first, "builder", URI, 2).to_string()));
        assert_eq!(spent, (AuthRefusal::SpentNonce, true));
        let second = scene.challenge();
        scene.now += Duration::from_secs(301);
        let late = refused(scene.check(&answer(&second, "builder", URI, 1).to_string()));
        assert_eq!(late, (AuthRefusal::ExpiredNonce, true));
        let mut other = Scene::new(Options::new("example.test"));
        other.random = Random::new([8; 32]);
        let foreign = other.challenge();
        let unknown = refused(scene.check(&answer(&foreign, "builder", URI, 1).to_string()));
        assert_eq!(unknown, (AuthRefusal::UnknownNonce, true));
        let wrong = refused(scene.check(&answer(&foreign, "butcher", URI, 1).to_string()));
        assert_eq!(wrong, (AuthRefusal::WrongDigest, false));
    }

    #[test]
    fn a_next_nonce_replaces_its_predecessor_and_keeps_the_session_auth_17() {
        let mut scene = Scene::new(Options::new("example.test").algorithms(&[Algorithm::Sha256Sess]));
        let challenge = scene.challenge();
        let granted = scene.check(&answer(&challenge, "builder", URI, 1).to_string()).unwrap();
        let next = scene.server.next_nonce(&granted.digest.unwrap(), scene.now, &mut scene.random).unwrap();
        let old = refused(scene.check(&answer(&challenge, "builder", URI, 2).to_string()));
        assert_eq!(old, (AuthRefusal::SpentNonce, true));
        let challenge = challenge.with_next_nonce(next);
        assert!(scene.check(&answer(&challenge, "builder", URI, 1).to_string()).is_ok());
    }

    #[test]
    fn what_was_not_offered_or_was_changed_is_refused() {
        let mut scene = Scene::new(Options::new("example.test").algorithms(&[Algorithm::Sha256]));
        let challenge = scene.challenge();
        let good = answer(&challenge, "builder", URI, 1).to_string();
        let opaque = challenge.opaque().unwrap().raw().to_owned();
        let cases = [
            (good.replace("algorithm=SHA-256", "algorithm=MD5"), AuthRefusal::Algorithm(Algorithm::Md5)),
            (good.replace("qop=auth", "qop=auth-int"), AuthRefusal::Qop(Some(Qop::AuthInt))),
            (good.replace("qop=auth, ", ""), AuthRefusal::Qop(None)),
            (good.replace(&opaque, "other"), AuthRefusal::Opaque),
            (good.replace("\"cnonce\"", "\"\""), AuthRefusal::EmptyCnonce),
            (good.replace("\"alice\"", "\"alicia\""), AuthRefusal::UnknownUser),
            (good.replace("\"example.test\"", "\"example.com\""), AuthRefusal::NoCredentials),
        ];
        for (value, expected) in cases {
            assert_eq!(refused(scene.check(&value)).0, expected, "{value}");
        }
        let other = answer(&challenge, "builder", "sip:example.test:5061", 1).to_string();
        assert!(matches!(refused(scene.check(&other)).0, AuthRefusal::OtherUri { .. }));
        assert!(matches!(refused(scene.check("Digest username")).0, AuthRefusal::Malformed(_)));
        assert!(scene.check(&good).is_ok(), "refusals must not spend the nonce");
    }

    #[test]
    fn the_hashed_name_is_known_auth_18() {
        let mut scene = Scene::new(Options::new("example.test").userhash(true));
        let challenge = scene.challenge();
        let value = answer(&challenge, "builder", URI, 1).to_string();
        assert!(value.contains("userhash=true") && !value.contains("alice"));
        assert_eq!(scene.check(&value).unwrap().user, "alice");
    }
}
