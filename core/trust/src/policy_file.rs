//! A file in which an administrator says, domain by domain, what is trusted.

use crate::{Anchors, AnchorsBuilder, Crl, Level, Pin, Policy, RevocationMode, Source, text};
use aldis_sip::{Domain, ReferenceIdentity};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use toml::Spanned;

/// A policy file (TOML), read and checked; the files that it names are not read yet.
///
/// ```toml
/// # What holds for every domain without a table of its own. Everything is optional.
/// [default]
/// roots = ["bundled", "corp-root.pem"]   # "bundled", "system", or PEM files
/// level = "strict"                       # "default" or "strict"
/// revocation = "prefer"                  # "require", "prefer" or "off"
/// max_depth = 3                          # most authorities between the server and the root
/// crls = ["corp.crl"]                    # revocation lists (PEM or DER)
///
/// # What holds for one domain (not its subdomains): what it says replaces what [default] says.
/// [domain."example.com"]
/// roots = ["corp-root.pem"]              # these and no others
/// server_names = ["pool01.corp.example.com"]
/// pins = ["sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "sha256/BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA="]
/// allow_wildcard = false
/// min_tls = "1.3"                        # "1.2" or "1.3"
/// require_pq = true                      # only a post-quantum key exchange
///
/// # Federated partners: these roots vouch for these domains (and their subdomains), and for nobody else.
/// [[partner]]
/// domains = ["partner.example"]
/// roots = ["partner-root.pem"]
/// ```
///
/// Names of files are relative to whatever the program takes them from. A key or a value that is not known is an
/// error with its line, so that a typing error never loosens anything silently.
#[derive(Clone, Debug)]
pub struct PolicyFile {
    text: String,
    tables: Tables,
}

/// What every domain demands, ready for use.
#[derive(Clone, Debug)]
pub struct PolicyBook {
    default: DomainPolicy,
    domains: BTreeMap<Domain, DomainPolicy>,
}

/// What one domain demands of its server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DomainPolicy {
    /// The policy.
    pub policy: Arc<Policy>,
    /// The revocation lists that were given.
    pub crls: Vec<Arc<Crl>>,
    /// Whether only TLS 1.3 will do.
    pub require_tls13: bool,
    /// Whether only a post-quantum key exchange will do.
    pub require_post_quantum: bool,
}

/// What is wrong with a policy file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct PolicyFileError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: PolicyFileProblem,
}

/// The kinds of mistakes in a policy file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyFileProblem {
    /// Not TOML, a key that is not known, or a value of the wrong type.
    #[error("{0}")]
    Syntax(String),
    /// A value that is none of those possible.
    #[error("{found:?} is not possible here; it has to be one of {possible}")]
    Value {
        /// What stands there.
        found: String,
        /// What may stand there.
        possible: &'static str,
    },
    /// Not a domain name.
    #[error("{0}")]
    Domain(String),
    /// Not a pin.
    #[error("{0}")]
    Pin(String),
    /// A key alone: when it is lost or stolen, nobody connects any more before every device has a new file.
    #[error("one pin is none: name the key of a backup certificate too")]
    NoBackupPin,
    /// A list that must not be empty.
    #[error("{0} must not be empty")]
    Empty(&'static str),
    /// A file that it names cannot be read or used.
    #[error("{name}: {why}")]
    File {
        /// The file's name, as it stands.
        name: String,
        /// Why it cannot be used.
        why: String,
    },
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    #[serde(default)]
    default: Table,
    #[serde(default)]
    domain: BTreeMap<Spanned<String>, Table>,
    #[serde(default)]
    partner: Vec<Partner>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    roots: Option<Spanned<Vec<Spanned<String>>>>,
    level: Option<Spanned<String>>,
    revocation: Option<Spanned<String>>,
    max_depth: Option<usize>,
    crls: Option<Vec<Spanned<String>>>,
    server_names: Option<Vec<Spanned<String>>>,
    pins: Option<Spanned<Vec<Spanned<String>>>>,
    allow_wildcard: Option<bool>,
    min_tls: Option<Spanned<String>>,
    require_pq: Option<bool>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Partner {
    domains: Spanned<Vec<Spanned<String>>>,
    roots: Spanned<Vec<Spanned<String>>>,
}

/// The words in a list of roots that are not files.
const BUNDLED: &str = "bundled";
const SYSTEM: &str = "system";

impl PolicyFile {
    /// Reads the text of a policy file and checks everything that needs no other file.
    ///
    /// # Errors
    /// [`PolicyFileError`], with the line.
    pub fn parse(text: &str) -> Result<PolicyFile, PolicyFileError> {
        let tables: Tables = toml::from_str(text).map_err(|error| PolicyFileError {
            line: error.span().map_or(1, |span| line_of(text, span.start)),
            problem: PolicyFileProblem::Syntax(text::shown(error.message())),
        })?;
        let file = PolicyFile { text: text.to_owned(), tables };
        file.check()?;
        Ok(file)
    }

    /// Whether some domain wants the platform's roots.
    pub fn wants_system_roots(&self) -> bool {
        let tables = std::iter::once(&self.tables.default).chain(self.tables.domain.values());
        tables.filter_map(|t| t.roots.as_ref()).flat_map(Spanned::get_ref).any(|r| r.get_ref() == SYSTEM)
    }

    /// Reads the files that it names, through `read`, and makes the policies. `system` are the platform's roots; pass
    /// an empty set if [`PolicyFile::wants_system_roots`] says no.
    ///
    /// # Errors
    /// [`PolicyFileError`] names the line and the file that cannot be used. A file of roots in which a single one
    /// cannot be used is an error too: an administrator wants to know.
    pub fn load(
        &self,
        system: &Anchors,
        mut read: impl FnMut(&str) -> Result<Vec<u8>, String>,
    ) -> Result<PolicyBook, PolicyFileError> {
        let mut loader = Loader { file: self, system, read: &mut read };
        let default = loader.domain(&Table::default())?;
        let mut domains = BTreeMap::new();
        for (name, table) in &self.tables.domain {
            domains.insert(self.domain(name)?, loader.domain(table)?);
        }
        Ok(PolicyBook { default, domains })
    }

    fn check(&self) -> Result<(), PolicyFileError> {
        for (name, table) in &self.tables.domain {
            self.domain(name)?;
            self.check_table(table)?;
        }
        self.check_table(&self.tables.default)?;
        for partner in &self.tables.partner {
            self.not_empty(&partner.domains, "domains")?;
            self.not_empty(&partner.roots, "roots")?;
            for domain in partner.domains.get_ref() {
                self.domain(domain)?;
            }
            for root in partner.roots.get_ref() {
                if [BUNDLED, SYSTEM].contains(&root.get_ref().as_str()) {
                    return Err(self.error(
                        root,
                        PolicyFileProblem::Value {
                            found: root.get_ref().clone(),
                            possible: "PEM files of the partner's own roots",
                        },
                    ));
                }
            }
        }
        Ok(())
    }

    fn check_table(&self, table: &Table) -> Result<(), PolicyFileError> {
        self.level(table)?;
        self.revocation(table)?;
        if let Some(roots) = &table.roots {
            self.not_empty(roots, "roots")?;
        }
        for name in table.server_names.iter().flatten() {
            self.domain(name)?;
        }
        self.min_tls(table)?;
        if let Some(pins) = &table.pins {
            for pin in pins.get_ref() {
                self.pin(pin)?;
            }
            if pins.get_ref().len() == 1 {
                return Err(self.error(pins, PolicyFileProblem::NoBackupPin));
            }
        }
        Ok(())
    }

    fn not_empty(
        &self,
        list: &Spanned<Vec<Spanned<String>>>,
        name: &'static str,
    ) -> Result<(), PolicyFileError> {
        if list.get_ref().is_empty() { Err(self.error(list, PolicyFileProblem::Empty(name))) } else { Ok(()) }
    }

    fn level(&self, table: &Table) -> Result<Option<Level>, PolicyFileError> {
        self.word(&table.level, "\"default\" and \"strict\"", |word| match word {
            "default" => Some(Level::Default),
            "strict" => Some(Level::Strict),
            _ => None,
        })
    }

    fn revocation(&self, table: &Table) -> Result<Option<RevocationMode>, PolicyFileError> {
        self.word(&table.revocation, "\"require\", \"prefer\" and \"off\"", |word| match word {
            "require" => Some(RevocationMode::Require),
            "prefer" => Some(RevocationMode::Prefer),
            "off" => Some(RevocationMode::Off),
            _ => None,
        })
    }

    /// Whether only TLS 1.3 will do.
    fn min_tls(&self, table: &Table) -> Result<Option<bool>, PolicyFileError> {
        self.word(&table.min_tls, "\"1.2\" and \"1.3\"", |word| match word {
            "1.2" => Some(false),
            "1.3" => Some(true),
            _ => None,
        })
    }

    fn word<T>(
        &self,
        value: &Option<Spanned<String>>,
        possible: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, PolicyFileError> {
        let Some(value) = value else { return Ok(None) };
        let wrong = || {
            let found = value.get_ref().clone();
            self.error(value, PolicyFileProblem::Value { found, possible })
        };
        read(value.get_ref()).map(Some).ok_or_else(wrong)
    }

    fn domain(&self, name: &Spanned<String>) -> Result<Domain, PolicyFileError> {
        Domain::new(name.get_ref()).map_err(|e| self.error(name, PolicyFileProblem::Domain(e.to_string())))
    }

    fn pin(&self, pin: &Spanned<String>) -> Result<Pin, PolicyFileError> {
        pin.get_ref()
            .parse()
            .map_err(|e: crate::InvalidPin| self.error(pin, PolicyFileProblem::Pin(e.to_string())))
    }

    fn error<T>(&self, at: &Spanned<T>, problem: PolicyFileProblem) -> PolicyFileError {
        PolicyFileError { line: line_of(&self.text, at.span().start), problem }
    }
}

impl PolicyBook {
    /// What the server of that identity has to satisfy.
    pub fn policy_for(&self, identity: &ReferenceIdentity) -> &DomainPolicy {
        match identity {
            ReferenceIdentity::Domain(domain) => self.domains.get(domain).unwrap_or(&self.default),
            ReferenceIdentity::Address(_) => &self.default,
        }
    }
}

struct Loader<'a, R> {
    file: &'a PolicyFile,
    system: &'a Anchors,
    read: &'a mut R,
}

impl<R: FnMut(&str) -> Result<Vec<u8>, String>> Loader<'_, R> {
    /// The policy of a table over that of `[default]`.
    fn domain(&mut self, table: &Table) -> Result<DomainPolicy, PolicyFileError> {
        let (file, default) = (self.file, &self.file.tables.default);
        let mut policy = Policy::new(Arc::new(self.anchors(table)?));
        policy.level = file.level(table)?.or(file.level(default)?).unwrap_or_default();
        policy.revocation = file.revocation(table)?.or(file.revocation(default)?).unwrap_or_default();
        policy.max_depth = table.max_depth.or(default.max_depth);
        policy.allow_wildcard = table.allow_wildcard.or(default.allow_wildcard).unwrap_or(false);
        for name in table.server_names.as_ref().or(default.server_names.as_ref()).into_iter().flatten() {
            policy.server_names.push(file.domain(name)?);
        }
        let pins = table.pins.as_ref().or(default.pins.as_ref());
        for pin in pins.into_iter().flat_map(|pins| pins.get_ref()) {
            policy.pins.push(file.pin(pin)?);
        }
        let mut crls = Vec::new();
        for name in table.crls.as_ref().or(default.crls.as_ref()).into_iter().flatten() {
            crls.extend(self.lists(name)?);
        }
        Ok(DomainPolicy {
            policy: Arc::new(policy),
            crls,
            require_tls13: file.min_tls(table)?.or(file.min_tls(default)?).unwrap_or(false),
            require_post_quantum: table.require_pq.or(default.require_pq).unwrap_or(false),
        })
    }

    fn anchors(&mut self, table: &Table) -> Result<Anchors, PolicyFileError> {
        let mut builder = Anchors::builder();
        match table.roots.as_ref().or(self.file.tables.default.roots.as_ref()) {
            None => builder = builder.bundled(),
            Some(roots) => {
                for name in roots.get_ref() {
                    builder = match name.get_ref().as_str() {
                        BUNDLED => builder.bundled(),
                        SYSTEM => builder.all_of(self.system),
                        _ => self.roots(name, builder, |b, pem| b.pem(pem, Source::Organisation))?,
                    };
                }
            }
        }
        // A domain with roots of its own has these and no others.
        if table.roots.is_none() {
            for partner in &self.file.tables.partner {
                let domains = partner.domains.get_ref().iter();
                let domains = domains.map(|d| self.file.domain(d)).collect::<Result<Vec<_>, _>>()?;
                for name in partner.roots.get_ref() {
                    builder = self.roots(name, builder, |b, pem| b.partner_pem(pem, &domains))?;
                }
            }
        }
        Ok(builder.build())
    }

    fn roots(
        &mut self,
        name: &Spanned<String>,
        builder: AnchorsBuilder,
        add: impl Fn(AnchorsBuilder, &[u8]) -> AnchorsBuilder,
    ) -> Result<AnchorsBuilder, PolicyFileError> {
        let pem = self.bytes(name)?;
        if let Some(root) = add(AnchorsBuilder::default(), &pem).build().unusable().first() {
            return Err(self.unusable(name, root.to_string()));
        }
        Ok(add(builder, &pem))
    }

    fn lists(&mut self, name: &Spanned<String>) -> Result<Vec<Arc<Crl>>, PolicyFileError> {
        let bytes = self.bytes(name)?;
        let lists = match Crl::all_from_pem(&bytes) {
            Ok(lists) => Ok(lists),
            Err(not_pem) => Crl::from_der(&bytes).map(|list| vec![list]).map_err(|_| not_pem),
        };
        match lists {
            Ok(lists) => Ok(lists.into_iter().map(Arc::new).collect()),
            Err(error) => Err(self.unusable(name, error.to_string())),
        }
    }

    fn bytes(&mut self, name: &Spanned<String>) -> Result<Vec<u8>, PolicyFileError> {
        (self.read)(name.get_ref()).map_err(|why| self.unusable(name, why))
    }

    fn unusable(&self, name: &Spanned<String>, why: String) -> PolicyFileError {
        self.file.error(name, PolicyFileProblem::File { name: name.get_ref().clone(), why })
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}
