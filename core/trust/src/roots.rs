//! The roots that are trusted, with their source, their reach, and what their own certificates say.

use crate::facts::Facts;
use crate::{packed, text};
use aldis_sip::{Domain, ReferenceIdentity};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, Der, TrustAnchor};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Where a root came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The public set (Mozilla's) that this program carries.
    Bundled,
    /// The platform's store.
    System,
    /// Given by the user or the organisation.
    Organisation,
}

/// A trusted root: its whole certificate is kept, because webpki's trust anchors forget validity, key usage, basic
/// constraints and unknown critical extensions, and an expired or unsuitable root must not vouch for anybody.
pub struct Anchor {
    der: CertificateDer<'static>,
    pub(crate) facts: Facts,
    trust: TrustAnchor<'static>,
    source: Source,
    public: bool,
    scope: Option<Vec<Domain>>,
}

/// A set of trusted roots, read once and shared.
#[derive(Default)]
pub struct Anchors {
    anchors: Vec<Arc<Anchor>>,
    /// Contents of the subject, as they stand in certificates, to the anchors of that name.
    by_subject: BTreeMap<Vec<u8>, Vec<usize>>,
    unusable: Vec<UnusableRoot>,
}

/// A certificate that was given as a root and cannot be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableRoot {
    /// Where it came from.
    pub source: Source,
    /// Why it cannot be used, and which one it was.
    pub why: String,
}

/// Collects roots. What cannot be used is skipped and remembered in [`Anchors::unusable`].
#[derive(Default)]
pub struct AnchorsBuilder {
    anchors: Vec<Arc<Anchor>>,
    unusable: Vec<UnusableRoot>,
}

impl Anchors {
    /// The public roots that this program carries; read at the first call.
    pub fn bundled() -> Arc<Anchors> {
        static BUNDLED: OnceLock<Arc<Anchors>> = OnceLock::new();
        BUNDLED
            .get_or_init(|| {
                let mut builder = AnchorsBuilder::default();
                for der in packed::roots() {
                    builder = builder.certificate(der.clone(), Source::Bundled);
                }
                Arc::new(builder.build())
            })
            .clone()
    }

    /// Starts a set.
    pub fn builder() -> AnchorsBuilder {
        AnchorsBuilder::default()
    }

    /// Roots from PEM and nothing else.
    pub fn from_pem(pem: &[u8], source: Source) -> Anchors {
        Self::builder().pem(pem, source).build()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.anchors.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// The roots.
    pub fn iter(&self) -> impl Iterator<Item = &Anchor> {
        self.anchors.iter().map(Arc::as_ref)
    }

    /// What was given as a root and could not be used.
    pub fn unusable(&self) -> &[UnusableRoot] {
        &self.unusable
    }

    /// The roots of that name (contents of the subject, without the SEQUENCE header).
    pub(crate) fn named<'a>(&'a self, subject: &[u8]) -> impl Iterator<Item = &'a Arc<Anchor>> + use<'a> {
        self.by_subject.get(subject).into_iter().flatten().filter_map(|i| self.anchors.get(*i))
    }
}

impl AnchorsBuilder {
    /// Adds the bundled public roots.
    pub fn bundled(self) -> Self {
        self.all_of(&Anchors::bundled())
    }

    /// Adds every root of another set.
    pub fn all_of(mut self, other: &Anchors) -> Self {
        self.anchors.extend(other.anchors.iter().cloned());
        self.unusable.extend(other.unusable.iter().cloned());
        self
    }

    /// Adds every certificate of a PEM text.
    pub fn pem(self, pem: &[u8], source: Source) -> Self {
        self.add_pem(pem, source, None)
    }

    /// Adds every certificate of a PEM text as roots of a federated partner: each vouches for these domains and
    /// their subdomains, and for nobody else (never for IP addresses).
    pub fn partner_pem(self, pem: &[u8], domains: &[Domain]) -> Self {
        self.add_pem(pem, Source::Organisation, Some(domains))
    }

    /// Adds one certificate (DER).
    pub fn certificate(mut self, der: CertificateDer<'static>, source: Source) -> Self {
        self.add(der, source, None);
        self
    }

    /// The finished set.
    pub fn build(self) -> Anchors {
        let mut by_subject: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
        for (index, anchor) in self.anchors.iter().enumerate() {
            by_subject.entry(anchor.trust.subject.as_ref().to_vec()).or_default().push(index);
        }
        Anchors { anchors: self.anchors, by_subject, unusable: self.unusable }
    }

    fn add_pem(mut self, pem: &[u8], source: Source, scope: Option<&[Domain]>) -> Self {
        let mut count = 0;
        for item in CertificateDer::pem_slice_iter(pem) {
            count += 1;
            match item {
                Ok(der) => self.add(der, source, scope),
                Err(error) => {
                    self.unusable
                        .push(UnusableRoot { source, why: format!("number {count} is not PEM: {error}") });
                }
            }
        }
        if count == 0 {
            self.unusable.push(UnusableRoot { source, why: "there is no certificate in PEM form".into() });
        }
        self
    }

    fn add(&mut self, der: CertificateDer<'static>, source: Source, scope: Option<&[Domain]>) {
        let read = Facts::read(&der).map_err(|e| e.to_string()).and_then(|facts| {
            let trust =
                webpki::anchor_from_trusted_cert(&der).map_err(|e| format!("{} ({e})", facts.subject))?;
            Ok((trust.to_owned(), facts))
        });
        match read {
            Ok((trust, facts)) => {
                let public = source == Source::Bundled || is_public(&trust);
                let scope = scope.map(<[Domain]>::to_vec);
                self.anchors.push(Arc::new(Anchor { der, facts, trust, source, public, scope }));
            }
            Err(why) => self.unusable.push(UnusableRoot { source, why }),
        }
    }
}

impl Anchor {
    /// Its certificate.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// Where it came from.
    pub fn source(&self) -> Source {
        self.source
    }

    /// Whether its name and key are in the bundled public set, whatever source it was taken from.
    pub fn is_public(&self) -> bool {
        self.public
    }

    /// Its subject, made safe to show.
    pub fn subject(&self) -> &str {
        &self.facts.subject
    }

    /// The domains it may vouch for, if it is limited.
    pub fn scope(&self) -> Option<&[Domain]> {
        self.scope.as_deref()
    }

    /// Whether it may vouch for that identity.
    pub fn speaks_for(&self, identity: &ReferenceIdentity) -> bool {
        let Some(scope) = &self.scope else { return true };
        match identity {
            ReferenceIdentity::Address(_) => false,
            ReferenceIdentity::Domain(domain) => scope.iter().any(|allowed| {
                domain
                    .as_str()
                    .strip_suffix(allowed.as_str())
                    .is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }),
        }
    }

    /// As webpki wants it, borrowed.
    pub(crate) fn as_trust_anchor(&self) -> TrustAnchor<'_> {
        TrustAnchor {
            subject: Der::from_slice(self.trust.subject.as_ref()),
            subject_public_key_info: Der::from_slice(self.trust.subject_public_key_info.as_ref()),
            name_constraints: self.trust.name_constraints.as_ref().map(|nc| Der::from_slice(nc.as_ref())),
        }
    }
}

impl fmt::Debug for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anchor")
            .field("subject", &self.facts.subject)
            .field("source", &self.source)
            .field("public", &self.public)
            .field("scope", &self.scope)
            .finish()
    }
}

impl fmt::Debug for Anchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anchors").field("len", &self.anchors.len()).field("unusable", &self.unusable).finish()
    }
}

impl Source {
    /// The name used in JSON and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bundled => "bundled",
            Self::System => "system",
            Self::Organisation => "organisation",
        }
    }
}

impl fmt::Display for UnusableRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::shown(&self.why))
    }
}

/// Whether name and key are those of a bundled root.
fn is_public(trust: &TrustAnchor<'_>) -> bool {
    static PUBLIC: OnceLock<BTreeSet<[u8; 32]>> = OnceLock::new();
    PUBLIC
        .get_or_init(|| {
            let mut known = BTreeSet::new();
            for anchor in packed::roots().iter().filter_map(|der| webpki::anchor_from_trusted_cert(der).ok())
            {
                known.insert(fingerprint(&anchor));
            }
            known
        })
        .contains(&fingerprint(trust))
}

/// A digest of name and key; the length in front keeps them apart.
fn fingerprint(trust: &TrustAnchor<'_>) -> [u8; 32] {
    let subject = trust.subject.as_ref();
    Sha256::new()
        .chain_update(u64::try_from(subject.len()).unwrap_or(u64::MAX).to_be_bytes())
        .chain_update(subject)
        .chain_update(trust.subject_public_key_info.as_ref())
        .finalize()
        .into()
}
