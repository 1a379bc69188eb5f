//! The administrator's policy file.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use aldis_pki::{Ca, RevocationList, Template};
use aldis_sip::ReferenceIdentity;
use aldis_trust::{Anchors, Code, DomainPolicy, Level, PolicyFile, RevocationMode};
use support::{NOW, Question, World};

const FILE: &str = r#"
[default]
roots = ["corp.pem"]
level = "strict"
crls = ["corp.crl"]

[domain."example.test"]
roots = ["own.pem"]
server_names = ["pool.corp.test"]
pins = ["sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "sha256/BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA="]
min_tls = "1.3"
require_pq = true
allow_wildcard = true
revocation = "require"
level = "default"
max_depth = 2

[[partner]]
domains = ["partner.test"]
roots = ["partner.pem"]
"#;

struct Files {
    corp: Ca,
    own: Ca,
    partner: Ca,
}

impl Files {
    fn new() -> Self {
        let ca = |name| Ca::new(name, NOW).unwrap();
        Files { corp: ca("Corp"), own: ca("Own"), partner: ca("Partner") }
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        Ok(match name {
            "corp.pem" => self.corp.root_pem().into_bytes(),
            "own.pem" => self.own.root_pem().into_bytes(),
            "partner.pem" => self.partner.root_pem().into_bytes(),
            "corp.crl" => RevocationList::to_pem(&World::list(&self.corp, &[])).into_bytes(),
            "corp.der" => World::list(&self.corp, &[]),
            "empty.pem" => Vec::new(),
            _ => return Err("no such file".into()),
        })
    }

    fn load(&self, text: &str) -> Result<aldis_trust::PolicyBook, String> {
        let file = PolicyFile::parse(text).map_err(|e| e.to_string())?;
        file.load(&Anchors::default(), |name| self.read(name)).map_err(|e| e.to_string())
    }
}

fn id(name: &str) -> ReferenceIdentity {
    ReferenceIdentity::new(name).unwrap()
}

/// The verdict about a server of that name, issued by `ca`, under that domain's policy.
fn code(of: &DomainPolicy, ca: &Ca, name: &str) -> Option<Code> {
    let chain = ca.issue(Template::server(name)).unwrap().chain();
    let mut question = Question::about(ca, chain).identity(name);
    question.policy = (*of.policy).clone();
    question.crls = of.crls.clone();
    question.ask().code()
}

#[test]
fn every_domain_gets_what_its_table_and_the_default_say() {
    let files = Files::new();
    let book = files.load(FILE).unwrap();
    let own = book.policy_for(&id("example.test"));
    assert_eq!(own.policy.level, Level::Default);
    assert_eq!(own.policy.revocation, RevocationMode::Require);
    assert_eq!(own.policy.max_depth, Some(2));
    assert!(own.policy.allow_wildcard);
    assert_eq!((own.policy.pins.len(), own.policy.server_names.len(), own.crls.len()), (2, 1, 1));
    assert!(own.require_tls13 && own.require_post_quantum);
    for name in ["sub.example.test", "other.test", "192.0.2.1"] {
        let policy = &book.policy_for(&id(name)).policy;
        assert_eq!(policy.level, Level::Strict, "{name}");
        assert!(policy.pins.is_empty() && !policy.allow_wildcard);
    }
}

#[test]
fn roots_of_a_domain_are_exclusive_and_partners_stay_within_their_domains() {
    let files = Files::new();
    let book = files.load(FILE).unwrap();
    let default = book.policy_for(&id("other.test"));
    assert_eq!(code(default, &files.corp, "other.test"), None);
    assert_eq!(code(default, &files.partner, "partner.test"), None);
    assert_eq!(code(default, &files.partner, "sip.partner.test"), None);
    assert_eq!(code(default, &files.partner, "other.test"), Some(Code::RootOutOfScope));
    assert_eq!(code(default, &files.own, "other.test"), Some(Code::UnknownCa));
    let own = book.policy_for(&id("example.test"));
    assert_eq!(code(own, &files.corp, "example.test"), Some(Code::UnknownCa));
    assert_eq!(code(own, &files.partner, "example.test"), Some(Code::UnknownCa));
}

#[test]
fn an_empty_file_is_the_default_policy_over_the_bundled_roots() {
    let book = Files::new().load("").unwrap();
    let policy = &book.policy_for(&id("example.test")).policy;
    assert_eq!(policy.anchors.len(), Anchors::bundled().len());
    assert_eq!(policy.revocation, RevocationMode::Prefer);
}

#[test]
fn lists_may_be_pem_or_der() {
    let files = Files::new();
    for name in ["corp.crl", "corp.der"] {
        let book = files.load(&format!("[default]\ncrls = [\"{name}\"]")).unwrap();
        assert_eq!(book.policy_for(&id("a.test")).crls.len(), 1);
    }
}

#[test]
fn every_mistake_is_named_with_its_line() {
    let files = Files::new();
    for (text, expected) in [
        (
            "[default]\nlevel = \"lax\"",
            "line 2: \"lax\" is not possible here; it has to be one of \"default\" and \"strict\"",
        ),
        ("\n\n[default]\nrevocation = \"soft\"", "line 4: \"soft\" is not possible"),
        ("[default]\nallow_wildcards = true", "line 2: unknown field `allow_wildcards`"),
        ("[defaults]", "line 1: unknown field `defaults`"),
        ("[default]\nlevel = 3", "line 2: invalid type"),
        ("[default]\nroots = []", "line 2: roots must not be empty"),
        ("[default\n", "line 1: "),
        ("[domain.\"exa mple\"]", "line 1: \"exa mple\" is neither a domain name"),
        (
            "\n[default]\nmin_tls = \"1.1\"",
            "line 3: \"1.1\" is not possible here; it has to be one of \"1.2\" and \"1.3\"",
        ),
        (
            "[default]\n\npins = [\"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"]",
            "line 3: one pin is none: name the key of a backup certificate too",
        ),
        ("[domain.\"a.test\"]\npins = [\n  \"sha256/x\",\n]", "line 3: \"sha256/x\" is not a pin"),
        ("[domain.\"a.test\"]\nserver_names = [\"a.test:5061\"]", "line 2: \"a.test:5061\""),
        (
            "[[partner]]\ndomains = [\"p.test\"]\nroots = [\"bundled\"]",
            "line 3: \"bundled\" is not possible here",
        ),
        ("[[partner]]\ndomains = []\nroots = [\"partner.pem\"]", "line 2: domains must not be empty"),
        ("[[partner]]\ndomains = [\"p.test\"]", "missing field `roots`"),
        ("[default]\nroots = [\"bundled\",\n \"gone.pem\"]", "line 3: gone.pem: no such file"),
        ("[default]\nroots = [\"empty.pem\"]", "line 2: empty.pem: there is no certificate in PEM form"),
        ("[default]\ncrls = [\"corp.pem\"]", "line 2: corp.pem: there is no revocation list"),
    ] {
        let error = files.load(text).err().unwrap_or_else(|| panic!("{text:?} was accepted"));
        assert!(error.contains(expected), "{text:?}: {error}");
    }
}

#[test]
fn the_platforms_roots_are_asked_for_only_where_wanted() {
    assert!(!PolicyFile::parse(FILE).unwrap().wants_system_roots());
    assert!(PolicyFile::parse("[default]\nroots = [\"system\"]").unwrap().wants_system_roots());
}
