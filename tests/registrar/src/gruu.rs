//! URIs that lead to one instance (RFC 5627).

use crate::wire::Random;
use std::collections::BTreeMap;

/// Most temporary GRUUs of one server; the oldest names go first.
const MAX_TEMPORARY: usize = 10_000;
/// How a temporary GRUU begins.
const TEMPORARY: &str = "tgruu.";

/// The temporary GRUUs that were given; the public ones follow from the instance.
#[derive(Debug, Default)]
pub(crate) struct Gruus {
    /// User and instance by the user part of the URI.
    temporary: BTreeMap<String, (String, String)>,
    /// The latest one of an instance, and the Call-ID for which it was given.
    latest: BTreeMap<(String, String), (String, String)>,
}

impl Gruus {
    /// Mints one more for a REGISTER; those of another Call-ID are void (RFC 5627 §5.1).
    pub fn renew(&mut self, user: &str, instance: &str, call_id: &str, random: &mut Random) {
        let key = (user.to_owned(), instance.to_ascii_lowercase());
        if self.latest.get(&key).is_some_and(|(_, before)| before != call_id) {
            self.temporary.retain(|_, owner| *owner != key);
        }
        while self.temporary.len() >= MAX_TEMPORARY {
            self.temporary.pop_first();
        }
        let name = format!("{TEMPORARY}{}", random.token());
        self.temporary.insert(name.clone(), key.clone());
        self.latest.insert(key, (name, call_id.to_owned()));
    }

    /// The Contact parameters that tell them.
    pub fn parameters(&self, user: &str, instance: &str, domain: &str) -> String {
        let key = (user.to_owned(), instance.to_ascii_lowercase());
        let Some((name, _)) = self.latest.get(&key) else { return String::new() };
        let public = instance.trim_start_matches('<').trim_end_matches('>');
        format!(";pub-gruu=\"sip:{user}@{domain};gr={public}\";temp-gruu=\"sip:{name}@{domain};gr\"")
    }

    /// Whose GRUU this is: user and instance.
    pub fn owner(&self, user: &str, gr: Option<&str>) -> Option<(String, String)> {
        match gr {
            Some(instance) => Some((user.to_owned(), format!("<{instance}>"))),
            None => self.temporary.get(user).cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_call_id_voids_the_temporary_gruus_rt_03() {
        let (mut gruus, mut random) = (Gruus::default(), Random::new([7; 32]));
        let name = |gruus: &Gruus| {
            let text = gruus.parameters("alice", "<urn:uuid:1>", "example.test");
            let named = text.split("temp-gruu=\"sip:").nth(1).unwrap();
            named.split('@').next().unwrap().to_owned()
        };
        gruus.renew("alice", "<urn:uuid:1>", "one", &mut random);
        let first = name(&gruus);
        gruus.renew("alice", "<urn:uuid:1>", "one", &mut random);
        let second = name(&gruus);
        assert_ne!(first, second);
        let owner = Some(("alice".to_owned(), "<urn:uuid:1>".to_owned()));
        assert_eq!([gruus.owner(&first, None), gruus.owner(&second, None)], [owner.clone(), owner.clone()]);
        gruus.renew("alice", "<urn:uuid:1>", "two", &mut random);
        assert_eq!(gruus.owner(&second, None), None);
        assert_eq!(gruus.owner("alice", Some("urn:uuid:1")), owner);
    }
}
