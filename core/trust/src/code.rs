//! The closed list of reasons.

use std::fmt;

/// The step of the judgement that a finding belongs to; a refusal reports the findings of every step it could reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Reading the certificates.
    Parse,
    /// Finding a valid path to a trusted root (RFC 5280 §6.1).
    Path,
    /// Whether an issuer has withdrawn a certificate of the path.
    Revocation,
    /// Whether the certificate names the reference identity (RFC 5922 §7).
    Identity,
    /// What this account demands beyond that: pins, domains of a root, depth, hygiene of level `strict`.
    Policy,
}

/// Who can do something about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Who {
    /// The person in front of the device.
    User,
    /// Who runs the server, or who manages this device for an organisation.
    Administrator,
    /// The certificate authority that issued the certificate.
    Authority,
}

impl Stage {
    /// The name used in JSON and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Path => "path",
            Self::Revocation => "revocation",
            Self::Identity => "identity",
            Self::Policy => "policy",
        }
    }
}

impl Who {
    /// The name used in JSON and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Administrator => "administrator",
            Self::Authority => "authority",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])+ $variant:ident = $text:literal, $stage:ident, $who:ident, $meaning:literal;)+) => {
        /// Why a chain is refused, or what about an accepted one is worth a warning.
        ///
        /// The list is closed: an app can match on it, a script on [`Code::as_str`], which never changes for a variant.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $meaning] #[doc = ""] $(#[$doc])+ $variant,)+
        }

        impl Code {
            /// Every code there is, in the order in which findings are reported.
            pub const ALL: &'static [Code] = &[$(Code::$variant),+];

            /// The stable name, in kebab case.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The step of the judgement that it belongs to.
            pub const fn stage(self) -> Stage {
                match self { $(Self::$variant => Stage::$stage),+ }
            }

            /// Who can usually do something about it; a [`Finding`](crate::Finding) may know better.
            pub const fn who(self) -> Who {
                match self { $(Self::$variant => Who::$who),+ }
            }

            /// What it means, as one sentence for a person.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),+ }
            }
        }
    };
}

codes! {
    /// An empty list was presented.
    NoCertificate = "no-certificate", Parse, Administrator, "The server presented no certificate.";
    /// Not DER, not X.509, or a field in it is broken.
    MalformedCertificate = "malformed-certificate", Parse, Administrator, "A certificate cannot be read.";
    /// Bytes behind the end of a certificate belong to nobody and are covered by no signature.
    TrailingData = "trailing-data", Parse, Administrator, "Bytes follow the end of a certificate.";
    /// The contents of an extension do not have the form that its type demands.
    MalformedExtension = "malformed-extension", Parse, Authority, "A part (extension) of a certificate cannot be read.";
    /// RFC 5280 §4.2: at most one instance of an extension; two readers may pick different ones.
    DuplicateExtension = "duplicate-extension", Parse, Authority, "A certificate has the same extension twice.";
    /// X.509 version 1 or 2: without extensions, a certificate cannot say what it is for.
    UnsupportedVersion = "unsupported-version", Parse, Authority, "A certificate is of an outdated version of the format.";
    /// An entry of the roots given cannot be used; only a warning as long as others are left.
    UnusableRoot = "unusable-root", Parse, Administrator, "A certificate given as a root cannot be used as one.";

    /// Most of the chain lies in the future, which is what a clock set years back looks like.
    ClockWrong = "clock-wrong", Path, User, "The clock of this device seems to be wrong.";
    /// There is nothing to trust.
    NoTrustedRoots = "no-trusted-roots", Path, Administrator, "No root certificates are configured.";
    /// It was signed with its own key, and nobody who is trusted vouches for it.
    SelfSigned = "self-signed", Path, Administrator, "The server's certificate is signed only by itself.";
    /// A certificate of the same name as a trusted root, but with another key.
    ImpostorRoot = "impostor-root", Path, User, "The chain ends at a certificate that bears the name of a trusted root but not its key.";
    /// The issuer named in the last certificate was not presented and is no root.
    MissingIntermediate = "missing-intermediate", Path, Administrator, "The server left out a certificate that links its own to a trusted root.";
    /// The chain is complete, but its end is no root that is trusted here.
    UnknownCa = "unknown-ca", Path, Administrator, "The certificate authority is not trusted on this device.";
    /// RFC 5280 §4.1.1.2: both places name the same algorithm.
    SignatureMismatch = "signature-mismatch", Path, Authority, "A certificate names two different signature methods.";
    /// The issuer's key is there, and did not make this signature.
    AlteredCertificate = "altered-certificate", Path, Administrator, "A certificate was changed after it was signed.";
    /// notAfter has passed.
    Expired = "expired", Path, Administrator, "A certificate has expired.";
    /// notBefore has not come.
    NotYetValid = "not-yet-valid", Path, Administrator, "A certificate is not valid yet.";
    /// notBefore lies behind notAfter.
    InvertedValidity = "inverted-validity", Path, Authority, "A certificate ends before it begins.";
    /// basicConstraints absent or cA false on an issuer (RFC 5280 §6.1.4 (k)).
    NotAnAuthority = "not-an-authority", Path, Administrator, "A certificate was used to issue another one without being allowed to.";
    /// RFC 5280 §6.1.4 (n).
    MayNotSignCertificates = "may-not-sign-certificates", Path, Authority, "An issuer's key may not be used to sign certificates.";
    /// A certificate with cA true presented as the server's.
    AuthorityAsServer = "authority-as-server", Path, Administrator, "The server presented a certificate authority's certificate as its own.";
    /// keyCertSign without cA true (RFC 5280 §4.2.1.9).
    ServerMaySign = "server-may-sign", Path, Authority, "The server's key is marked as able to issue certificates.";
    /// pathLenConstraint (RFC 5280 §4.2.1.9).
    PathLengthExceeded = "path-length-exceeded", Path, Authority, "More authorities follow than an issuer allows.";
    /// More intermediates than can be followed (six), or than the search may cost.
    PathTooComplex = "path-too-complex", Path, Administrator, "The chain is too long or too tangled to follow.";
    /// RFC 5280 §4.2.1.10.
    NameNotPermitted = "name-not-permitted", Path, Authority, "An authority vouches for a name that it is not allowed to vouch for.";
    /// A domain proven by a URI must also lie within the dNSName subtrees of the path.
    NameConstraintEscape = "name-constraint-escape", Path, Authority, "An authority limited to certain domains vouches for another one by way of a SIP URI.";
    /// Empty, or in a form that nobody can apply.
    UnusableNameConstraints = "unusable-name-constraints", Path, Authority, "An authority's list of allowed names cannot be applied.";
    /// RFC 5280 §4.2.
    UnknownCriticalExtension = "unknown-critical-extension", Path, Authority, "A certificate demands something that this program does not know.";
    /// A CA without a name cannot be told from another.
    NamelessAuthority = "nameless-authority", Path, Authority, "A certificate authority's certificate has no name.";
    /// extKeyUsage present without serverAuth or sipDomain (RFC 5280 §4.2.1.12, RFC 5924).
    WrongPurpose = "wrong-purpose", Path, Administrator, "The certificate was issued for another purpose than a server's.";
    /// anyExtendedKeyUsage is no statement about servers.
    AnyPurpose = "any-purpose", Path, Authority, "The certificate was issued for any purpose whatever.";
    /// RSA below 2048 bits, curves below 256 (RFC 9325 §4.5).
    WeakKey = "weak-key", Path, Administrator, "A key is too short to be safe.";
    /// DSA, unusual curves, and whatever else TLS cannot use here.
    UnsupportedKey = "unsupported-key", Path, Administrator, "A key is of a kind that is not supported.";
    /// SHA-1, MD5 (RFC 9325 §4.5).
    WeakSignature = "weak-signature", Path, Authority, "A certificate is signed with an outdated method.";
    /// Neither known to be weak nor supported.
    UnsupportedSignature = "unsupported-signature", Path, Authority, "A certificate is signed with a method that is not supported.";
    /// A negative serial number cannot be looked up in a revocation list.
    NegativeSerial = "negative-serial", Path, Authority, "A certificate has a negative serial number.";
    /// Refused by the path builder for a reason that has no code of its own.
    PathRefused = "path-refused", Path, Administrator, "No valid path leads from the server's certificate to a trusted root.";

    /// On its issuer's list, or by its issuer's signed answer.
    Revoked = "revoked", Revocation, Authority, "A certificate was withdrawn by its issuer.";
    /// Broken, forged, about another certificate, or from an unauthorized signer (RFC 6960 §3.2).
    StapleInvalid = "staple-invalid", Revocation, Administrator, "The server's proof that its certificate was not withdrawn is not valid.";
    /// nextUpdate has passed, or there is none.
    StapleExpired = "staple-expired", Revocation, Administrator, "The server's proof that its certificate was not withdrawn is out of date.";
    /// thisUpdate has not come.
    StapleFromFuture = "staple-from-future", Revocation, Administrator, "The server's proof that its certificate was not withdrawn is dated in the future.";
    /// The responder answers that it does not know the certificate.
    StapleUnknown = "staple-unknown", Revocation, Authority, "The issuer says that it does not know the server's certificate.";
    /// RFC 7633.
    StapleMissing = "staple-missing", Revocation, Administrator, "The certificate demands a fresh proof that it was not withdrawn, and the server sent none.";
    /// nextUpdate has passed.
    ListExpired = "list-expired", Revocation, Administrator, "A revocation list is out of date.";
    /// thisUpdate has not come.
    ListFromFuture = "list-from-future", Revocation, Administrator, "A revocation list is dated in the future.";
    /// The issuer's key did not sign it.
    ListForged = "list-forged", Revocation, Administrator, "A revocation list is not signed by the issuer that it names.";
    /// Its issuer's keyUsage lacks cRLSign (RFC 5280 §6.3.3 (f)).
    ListIssuerNotAllowed = "list-issuer-not-allowed", Revocation, Authority, "A revocation list is signed with a key that may not sign such lists.";
    /// A form of list that cannot be applied: delta, indirect, partitioned by reason, or without what RFC 5280 §5.2 demands.
    ListUnusable = "list-unusable", Revocation, Authority, "A revocation list cannot be used.";
    /// Mode `require` and nothing that proves the status.
    RevocationUnknown = "revocation-unknown", Revocation, Administrator, "Whether a certificate was withdrawn could not be found out.";

    /// Names are there; none is the one wanted.
    NameMismatch = "name-mismatch", Identity, Administrator, "The certificate is for another name.";
    /// It names the host that DNS pointed to, not the domain (RFC 5922 §7.3).
    NameOfTargetOnly = "name-of-target-only", Identity, Administrator, "The certificate names only the host that DNS pointed to, not the domain.";
    /// No subjectAltName; the common name is never an identity.
    CommonNameOnly = "common-name-only", Identity, Authority, "The certificate has its name only in a place that no longer counts.";
    /// A wildcard would match, and is not allowed (RFC 5922 §7.2).
    WildcardNotAllowed = "wildcard-not-allowed", Identity, Administrator, "The certificate covers the name only by a wildcard.";
    /// A wildcard for a whole registry, like `*.co.uk`.
    WildcardTooBroad = "wildcard-too-broad", Identity, Authority, "A wildcard covers a whole public suffix.";
    /// A sip URI that matches, under a public root.
    UriFromPublicCa = "uri-from-public-ca", Identity, Authority, "A public certificate authority vouches for a SIP URI, which it may not.";
    /// A matching dNSName beside sip URIs of other domains (RFC 5922 §7.1).
    UriTakesPrecedence = "uri-takes-precedence", Identity, Authority, "The certificate's SIP URIs name other domains, and they take precedence over its DNS names.";
    /// No name of a kind that can name a server.
    NoUsableName = "no-usable-name", Identity, Authority, "The certificate names no server at all.";

    /// None of the pinned keys stands on the verified path.
    PinMismatch = "pin-mismatch", Policy, Administrator, "None of the keys expected for this server stands in its chain.";
    /// The root may speak for other domains only.
    RootOutOfScope = "root-out-of-scope", Policy, Administrator, "The certificate authority is trusted for other domains only.";
    /// More intermediates that are not self-issued than the policy allows.
    TooDeep = "too-deep", Policy, Administrator, "The chain has more authorities than the policy allows.";
    /// Accepted by the account's named exception; always reported.
    WildcardUsed = "wildcard-used", Policy, Administrator, "The name was matched by a wildcard.";
    /// A common name that looks like a host and is no subjectAltName.
    CommonNameDiffers = "common-name-differs", Policy, Authority, "The common name is none of the certificate's names.";
    /// Zero, or longer than 20 octets (RFC 5280 §4.1.2.2).
    OddSerial = "odd-serial", Policy, Authority, "A serial number has a form that the standard forbids.";
    /// An RSA modulus whose bits are no multiple of eight.
    OddKeySize = "odd-key-size", Policy, Authority, "A key has an odd size.";
    /// No extKeyUsage on the server's certificate.
    PurposeMissing = "purpose-missing", Policy, Authority, "The certificate does not say what it is for.";
    /// extKeyUsage critical on a server's certificate, or present in a root.
    OddPurpose = "odd-purpose", Policy, Authority, "The statement of purpose has a form that the standard forbids.";
    /// An underscore or another form that no host name has.
    OddName = "odd-name", Policy, Authority, "A name has a form that host names do not have.";
    /// subjectAltName critical beside a subject, or not critical without one (RFC 5280 §4.2.1.6).
    OddCriticality = "odd-criticality", Policy, Authority, "An extension is marked as critical, or not, against the standard.";
    /// authorityKeyIdentifier and subjectKeyIdentifier (RFC 5280 §4.2.1.1, §4.2.1.2).
    OddKeyIdentifier = "odd-key-identifier", Policy, Authority, "The identifiers that link certificates to each other are missing or wrong.";
    /// Name constraints in a place or form against RFC 5280 §4.2.1.10.
    OddNameConstraints = "odd-name-constraints", Policy, Authority, "A list of allowed names has a form that the standard forbids.";
    /// authorityInfoAccess or policyConstraints against RFC 5280.
    OddExtension = "odd-extension", Policy, Authority, "An extension has a form that the standard forbids.";
    /// cRLNumber absent or critical (RFC 5280 §5.2.3).
    OddListNumber = "odd-list-number", Policy, Authority, "A revocation list lacks its number, or marks it wrongly.";
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_has_a_name_of_its_own_in_kebab_case() {
        let names: BTreeSet<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for name in names {
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
        }
    }

    #[test]
    fn codes_are_listed_in_the_order_of_the_stages() {
        assert!(Code::ALL.windows(2).all(|w| w[0].stage() <= w[1].stage()));
    }
}
