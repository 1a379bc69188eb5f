//! What the server shows in the handshake.

use std::fs::write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use aldis_pki::{Ca, Issued, PkiError, Template, self_signed};

use crate::DOMAIN;

/// The server's certificate: good, or bad in one way alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Certificate {
    /// For the test domain, from an intermediate of the root that clients trust.
    #[default]
    Good,
    /// The same, but its time is over.
    Expired,
    /// Valid, for `other.test`.
    OtherName,
    /// For the test domain, from a root that clients do not trust.
    UnknownAuthority,
    /// For the test domain, signed by itself.
    SelfSigned,
}

impl Certificate {
    /// Writes `server.pem` (leaf first), `server.key` and `ca.pem` (what clients trust) into `folder`.
    #[track_caller]
    pub(crate) fn write(self, folder: &Path) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
        let now = now.try_into().expect("a clock before the end of time");
        let (trusted, server) = self.issue(now).expect("keys and certificates can be made");
        let files = [
            ("ca.pem", trusted.root_pem()),
            ("server.pem", server.chain_pem()),
            ("server.key", server.key_pem()),
        ];
        for (name, pem) in files {
            write(folder.join(name), pem).expect("a temporary file can be written");
        }
    }

    fn issue(self, now: i64) -> Result<(Ca, Issued), PkiError> {
        let trusted = Ca::new("Interop Root", now)?;
        let issuer = trusted.intermediate(Template::authority("Interop Issuing CA"))?;
        let good = Template::server(DOMAIN).uri(&format!("sip:{DOMAIN}"));
        let server = match self {
            Self::Good => issuer.issue(good)?,
            Self::Expired => issuer.issue(good.expired(now))?,
            Self::OtherName => issuer.issue(Template::server("other.test").uri("sip:other.test"))?,
            Self::UnknownAuthority => Ca::new("Somebody Else's Root", now)?.issue(good)?,
            Self::SelfSigned => self_signed(good, now)?,
        };
        Ok((trusted, server))
    }
}
