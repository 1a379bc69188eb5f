//! Why a TLS handshake failed for another reason than the server's certificate.

use std::fmt;
use std::io;

use rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible};

/// Why there is no TLS connection, although TCP connected and no certificate was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsCause {
    /// What came back is not TLS: a plain SIP or web port, or a network's login page.
    NotTls,
    /// The server speaks only versions of TLS that are too old.
    Version,
    /// The server does not speak TLS 1.3, and this account takes nothing older.
    NoTls13 {
        /// Not because it says so, but because its client certificate must not travel in clear.
        for_own_certificate: bool,
    },
    /// The server and we have no cipher suite, group or signature in common; also the answer of old servers that know
    /// only CBC suites or RSA key exchange.
    NothingInCommon,
    /// The account demands a post-quantum key exchange, and the server does not offer it.
    NoPostQuantum,
    /// The server demands a client certificate, and has got none or one that it does not accept.
    ClientCertificate {
        /// Its alert.
        alert: Alert,
    },
    /// Our own certificate could not be used: its key, which the platform keeps, did not sign.
    OwnCertificate {
        /// Why.
        detail: String,
    },
    /// The server does not serve the name that it was asked for (alert `unrecognized_name`).
    UnknownName,
    /// ALPN failed: the server does not know `sip/2`.
    Alpn,
    /// The server ended the handshake with another alert.
    Alert(Alert),
    /// The connection was closed during the handshake.
    Closed,
    /// The connection was reset or broke during the handshake.
    Broken(io::ErrorKind),
    /// Nothing came during the time that a handshake may take.
    Silent,
    /// The server could not prove that it holds the key of the certificate that it presented: it has a copy of
    /// somebody else's certificate, or is badly broken.
    KeyNotProven,
    /// The server broke the protocol.
    Misbehaved {
        /// What it did, in the TLS library's words.
        detail: String,
    },
    /// Our own side could not begin: the system's randomness, or an identity that TLS cannot name.
    Setup {
        /// What failed.
        detail: String,
    },
}

/// A TLS alert (RFC 8446 §6.2), by its number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Alert(pub u8);

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({})", AlertDescription::from(self.0), self.0)
    }
}

impl fmt::Debug for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TlsCause {
    /// Reads the error of a stream that speaks TLS: of the handshake, or of a later read or write. In TLS 1.3 the
    /// server's "certificate required" comes only after our side of the handshake has ended.
    pub fn of(error: &io::Error) -> TlsCause {
        if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            return Self::of_rustls(error);
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed,
            io::ErrorKind::TimedOut => Self::Silent,
            kind => Self::Broken(kind),
        }
    }

    pub(super) fn of_rustls(error: &Error) -> TlsCause {
        let misbehaved = || Self::Misbehaved { detail: error.to_string() };
        match error {
            Error::AlertReceived(alert) => Self::of_alert(*alert),
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::MessageTooLarge
                | InvalidMessage::InvalidEmptyPayload,
            ) => Self::NotTls,
            Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled,
            ) => Self::Version,
            Error::PeerIncompatible(_) => Self::NothingInCommon,
            Error::NoApplicationProtocol => Self::Alpn,
            // The chain itself is the verifier's matter; what is left is the signature of the handshake.
            Error::InvalidCertificate(_) => Self::KeyNotProven,
            Error::FailedToGetCurrentTime | Error::FailedToGetRandomBytes | Error::UnsupportedNameType => {
                Self::Setup { detail: error.to_string() }
            }
            _ => misbehaved(),
        }
    }

    fn of_alert(alert: AlertDescription) -> TlsCause {
        let number = Alert(alert.into());
        match alert {
            AlertDescription::ProtocolVersion => Self::Version,
            AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
                Self::NothingInCommon
            }
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied => Self::ClientCertificate { alert: number },
            AlertDescription::UnrecognisedName => Self::UnknownName,
            AlertDescription::NoApplicationProtocol => Self::Alpn,
            AlertDescription::CloseNotify => Self::Closed,
            _ => Self::Alert(number),
        }
    }

    /// Whether a ClientHello of more than one segment may be to blame, if it failed before the server's certificate:
    /// border controllers drop it, reset the connection, or take its second half for garbage.
    pub(super) fn large_hello_may_be_to_blame(&self) -> bool {
        const ILLEGAL_PARAMETER: Alert = Alert(47);
        const DECODE_ERROR: Alert = Alert(50);
        const RECORD_OVERFLOW: Alert = Alert(22);
        const INTERNAL_ERROR: Alert = Alert(80);
        match self {
            Self::Closed | Self::Broken(_) | Self::Silent | Self::NothingInCommon => true,
            Self::Alert(alert) => {
                [ILLEGAL_PARAMETER, DECODE_ERROR, RECORD_OVERFLOW, INTERNAL_ERROR].contains(alert)
            }
            _ => false,
        }
    }

    /// What the user or the server's administrator can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NotTls => {
                "Check the port: SIP over TLS is mostly on 5061. In a hotel or train, log in to its network first."
            }
            Self::Version => {
                "The server's administrator has to enable TLS 1.2 or 1.3; TLS 1.0 and 1.1 are not secure (RFC 8996)."
            }
            Self::NoTls13 { for_own_certificate: false } => {
                "The server's administrator has to enable TLS 1.3, or the account has to accept TLS 1.2."
            }
            Self::NoTls13 { for_own_certificate: true } => {
                "The server's administrator has to enable TLS 1.3. Under TLS 1.2 everybody on the way reads whose client \
                 certificate it is, so an account shows it there only if it says that this is allowed."
            }
            Self::NothingInCommon => {
                "The server's administrator has to enable ECDHE (X25519, P-256 or P-384) with AES-GCM or ChaCha20; CBC \
                 suites and RSA key exchange are not offered. Some servers answer like this when they want a client certificate."
            }
            Self::NoPostQuantum => {
                "Update the server's TLS library (OpenSSL 3.5 has X25519MLKEM768), or stop demanding a post-quantum \
                 key exchange for this account."
            }
            Self::ClientCertificate { .. } => {
                "Give the account the client certificate that the server's administrator issued, or a current one."
            }
            Self::OwnCertificate { .. } => {
                "Unlock the device or its token, agree to the use of the key, and connect again."
            }
            Self::UnknownName => {
                "The server does not know this domain: check its spelling, and the proxy or address that was given."
            }
            Self::Alpn => "Turn ALPN off for this account.",
            Self::Closed | Self::Broken(_) | Self::Silent => {
                "Check that this port speaks TLS; a firewall on the way may also cut such connections."
            }
            Self::KeyNotProven => {
                "Do not use this network until it is explained: somebody may be pretending to be the server."
            }
            Self::Alert(_) | Self::Misbehaved { .. } => {
                "The server's administrator finds the reason in the server's log."
            }
            Self::Setup { .. } => "Check this device and the account's settings.",
        }
    }
}

impl fmt::Display for TlsCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTls => f.write_str("this port does not speak TLS"),
            Self::Version => f.write_str("the server speaks no version of TLS that is acceptable"),
            Self::NoTls13 { for_own_certificate: false } => {
                f.write_str("the server does not speak TLS 1.3, which the account demands")
            }
            Self::NoTls13 { for_own_certificate: true } => f.write_str(
                "the server does not speak TLS 1.3, which protects the account's client certificate",
            ),
            Self::NothingInCommon => {
                f.write_str("the server accepts none of the cipher suites and groups offered")
            }
            Self::NoPostQuantum => {
                f.write_str("the server offers no post-quantum key exchange, which is demanded")
            }
            Self::ClientCertificate { alert } => {
                write!(f, "the server demands a client certificate that it accepts: alert {alert}")
            }
            Self::OwnCertificate { detail } => {
                write!(f, "the client certificate could not be used: {detail}")
            }
            Self::UnknownName => f.write_str("the server does not serve this domain"),
            Self::Alpn => f.write_str("the server does not know the application protocol sip/2"),
            Self::Alert(alert) => write!(f, "the server ended the handshake with alert {alert}"),
            Self::Closed => f.write_str("the server closed the connection during the handshake"),
            Self::Broken(kind) => write!(f, "the connection broke during the handshake: {kind}"),
            Self::Silent => f.write_str("the server accepted the connection and then said nothing"),
            Self::KeyNotProven => {
                f.write_str("the server could not prove that it holds the key of its certificate")
            }
            Self::Misbehaved { detail } => write!(f, "the server broke the protocol: {detail}"),
            Self::Setup { detail } => write!(f, "the handshake could not begin: {detail}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn io_error(error: Error) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }

    #[test]
    fn each_kind_of_failure_has_its_cause() {
        use AlertDescription as A;
        for (error, cause) in [
            (io_error(Error::InvalidMessage(InvalidMessage::InvalidContentType)), TlsCause::NotTls),
            (io_error(Error::AlertReceived(A::ProtocolVersion)), TlsCause::Version),
            (io_error(Error::AlertReceived(A::HandshakeFailure)), TlsCause::NothingInCommon),
            (io_error(Error::AlertReceived(A::UnrecognisedName)), TlsCause::UnknownName),
            (io_error(Error::AlertReceived(A::DecodeError)), TlsCause::Alert(Alert(50))),
            (
                io_error(Error::AlertReceived(A::CertificateRequired)),
                TlsCause::ClientCertificate { alert: Alert(116) },
            ),
            (io::ErrorKind::UnexpectedEof.into(), TlsCause::Closed),
            (io::ErrorKind::ConnectionReset.into(), TlsCause::Broken(io::ErrorKind::ConnectionReset)),
        ] {
            assert_eq!(TlsCause::of(&error), cause);
            assert!(!cause.advice().is_empty() && !cause.to_string().is_empty());
        }
    }

    #[test]
    fn an_alert_prints_its_name_and_number() {
        assert_eq!(Alert(80).to_string(), "InternalError (80)");
    }

    /// TLS-11: an old version is no reason to try again.
    #[test]
    fn only_what_a_large_hello_can_cause_is_tried_again() {
        for cause in
            [TlsCause::Closed, TlsCause::Silent, TlsCause::NothingInCommon, TlsCause::Alert(Alert(50))]
        {
            assert!(cause.large_hello_may_be_to_blame(), "{cause:?}");
        }
        for cause in [TlsCause::NotTls, TlsCause::Version, TlsCause::UnknownName, TlsCause::KeyNotProven] {
            assert!(!cause.large_hello_may_be_to_blame(), "{cause:?}");
        }
    }
}
