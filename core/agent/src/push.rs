//! How the registrar can wake this device (RFC 8599).

use std::fmt;
use std::time::Duration;

/// Longest part of a push registration, in bytes: tokens of the services in use have less than a fifth of it.
const MAX_PART: usize = 2048;
/// Most push services of an answer that are told.
pub(crate) const MAX_OFFERED: usize = 16;

/// What a proxy needs to have a push sent to this app: a service, who the app is there, and the device's token.
#[derive(Clone, PartialEq, Eq)]
pub struct Push {
    pub(crate) provider: String,
    pub(crate) prid: String,
    pub(crate) param: Option<String>,
    pub(crate) wakes_itself: bool,
}

/// Why something is not a push registration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPush {
    /// A part is empty, over 2048 bytes, or holds a control character.
    #[error("the push {0} must have 1 to 2048 bytes and no control characters")]
    Part(&'static str),
    /// The service knows an app by this parameter only (RFC 8599 §10, §11).
    #[error("the push service {0:?} needs a parameter: Team.Bundle.service for apns, the project id for fcm")]
    ParameterMissing(String),
    /// The service has no such parameter (RFC 8599 §12).
    #[error("the push service {0:?} takes no parameter")]
    ParameterUnknown(String),
}

impl Push {
    /// A push registration: the service (`apns`, `fcm`, `webpush` or another), the token that it gave this app on this
    /// device, and the parameter by which it knows the app: `Team.Bundle.service` for apns, the project id for fcm, none
    /// for webpush (PUSH-01).
    ///
    /// # Errors
    /// [`InvalidPush`].
    pub fn new(provider: &str, prid: &str, param: Option<&str>) -> Result<Self, InvalidPush> {
        for (what, part) in [("service", Some(provider)), ("token", Some(prid)), ("parameter", param)] {
            let wrong =
                |text: &str| text.is_empty() || text.len() > MAX_PART || text.chars().any(char::is_control);
            if part.is_some_and(wrong) {
                return Err(InvalidPush::Part(what));
            }
        }
        let is = |service: &str| provider.eq_ignore_ascii_case(service);
        if param.is_none() && (is("apns") || is("fcm")) {
            return Err(InvalidPush::ParameterMissing(provider.into()));
        }
        if param.is_some() && is("webpush") {
            return Err(InvalidPush::ParameterUnknown(provider.into()));
        }
        Ok(Push {
            provider: provider.into(),
            prid: prid.into(),
            param: param.map(Into::into),
            wakes_itself: false,
        })
    }

    /// Says that the app can wake itself in time for a refresh (`+sip.pnsreg`, RFC 8599 §4.1.4): only where the system
    /// reliably lets it, since a proxy that is told so sends no push before the binding expires (PUSH-06).
    pub fn waking_itself(mut self) -> Self {
        self.wakes_itself = true;
        self
    }

    /// The service.
    pub fn provider(&self) -> &str {
        &self.provider
    }
}

impl fmt::Debug for Push {
    /// Without the token: who has it can wake the device.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push")
            .field("provider", &self.provider)
            .field("param", &self.param)
            .field("wakes_itself", &self.wakes_itself)
            .finish_non_exhaustive()
    }
}

/// What becomes of push on one flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushChange {
    /// A proxy will have pushes sent (PUSH-03). With a time, the app must refresh that long before the expiry, and does so
    /// while it runs; without, a push comes before the binding expires (PUSH-07).
    Active {
        /// How long before the expiry the proxy counts on a refresh of ours.
        refresh_before: Option<Duration>,
    },
    /// The registration succeeded and nobody promised pushes: the app must not count on any.
    NotPromised,
    /// The network does not support the service (555); the device is registered without it (PUSH-12).
    Unsupported,
    /// The services that the network supports, as was asked (PUSH-11); none if it said so.
    Offered {
        /// Their names.
        providers: Vec<String>,
    },
    /// Switched off: the registrar holds no token of this device any more.
    Off,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_has_its_parameter_or_none_push_01() {
        assert!(Push::new("apns", "token", Some("TEAM.com.example.app.voip")).is_ok());
        assert!(Push::new("webpush", "https://push.example/x", None).is_ok());
        assert!(Push::new("acme", "token", None).is_ok());
        let missing = |service: &str| InvalidPush::ParameterMissing(service.into());
        assert_eq!(Push::new("apns", "token", None), Err(missing("apns")));
        assert_eq!(Push::new("FCM", "token", None), Err(missing("FCM")));
        assert_eq!(
            Push::new("webpush", "x", Some("y")),
            Err(InvalidPush::ParameterUnknown("webpush".into()))
        );
        assert_eq!(Push::new("acme", "", None), Err(InvalidPush::Part("token")));
        assert_eq!(Push::new("acme", "a\r\nb", None), Err(InvalidPush::Part("token")));
        assert_eq!(Push::new("acme", &"x".repeat(2049), None), Err(InvalidPush::Part("token")));
    }

    #[test]
    fn a_printed_push_registration_holds_no_token() {
        let push = Push::new("acme", "hush-hush", None).unwrap();
        assert!(!format!("{push:?}").contains("hush"));
    }
}
