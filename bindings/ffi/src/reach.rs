//! How the network reaches a device that sleeps, and what it tells beside messages: push, access tokens, subscriptions.

use crate::phone::Phone;
use std::time::Duration;

/// What becomes of push on one flow.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum PushState {
    /// A proxy will have pushes sent.
    Active {
        /// How long before the expiry the app must refresh, if the proxy counts on it.
        refresh_before: Option<Duration>,
    },
    /// The registration succeeded and nobody promised pushes: do not count on any.
    NotPromised,
    /// The network does not support the service; the device is registered without it.
    Unsupported,
    /// The services that the network supports, as was asked.
    Offered {
        /// Their names.
        providers: Vec<String>,
    },
    /// Switched off.
    Off,
}

/// What can be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum EventPackage {
    /// The messages that wait in the account's mailbox.
    MessageSummary,
    /// What the registrar does with the account's registrations.
    Registration,
}

/// What becomes of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum SubscriptionState {
    /// The server notifies, or still has to decide.
    Active {
        /// Whether somebody has yet to allow it.
        pending: bool,
    },
    /// It ended, or could not be had.
    Ended {
        /// Why.
        reason: String,
        /// When it is tried again, from now; nil: not by itself.
        retry_in: Option<Duration>,
    },
}

/// How many messages of a kind wait.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct MessageCount {
    /// The kind, such as `Voice-Message`.
    pub kind: String,
    /// Not read yet.
    pub new_messages: u32,
    /// Read, and kept.
    pub old_messages: u32,
    /// Urgent ones among the new.
    pub new_urgent: u32,
    /// Urgent ones among the old.
    pub old_urgent: u32,
}

/// The state of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct MessageSummary {
    /// Whether messages are waiting.
    pub waiting: bool,
    /// Whose mailbox it is, if the server says.
    pub account: Option<String>,
    /// The counts by kind.
    pub counts: Vec<MessageCount>,
}

/// Why something that an app gave cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, uniffi::Error)]
#[uniffi::export(Display)]
pub enum ReachError {
    /// Not a push registration.
    #[error("{explanation}")]
    Push {
        /// Why, in a sentence.
        explanation: String,
    },
    /// Not an access token.
    #[error("{explanation}")]
    Token {
        /// Why, in a sentence.
        explanation: String,
    },
}

#[uniffi::export]
impl Phone {
    /// Has the network wake this device by push from now on (RFC 8599); call it again for each new token of the service.
    /// [`crate::Event::Push`] tells whether a proxy takes part. Call [`Phone::wake`] for each push that comes.
    ///
    /// `provider` is the service: `apns`, `fcm`, `webpush` or another; `token` what it gave this app on this device;
    /// `parameter` by what it knows the app: `Team.Bundle.service` for apns, the project id for fcm, nil for webpush.
    /// `wakes_itself` says that the system reliably wakes the app for a refresh; a proxy that is told so sends no push before
    /// the registration expires.
    ///
    /// # Errors
    /// [`ReachError::Push`] if these make no registration; nothing has changed.
    // Arguments, not a record, which would print the token: who has it can wake the device.
    #[uniffi::method(default(parameter = None, wakes_itself = false))]
    pub fn set_push(
        &self,
        provider: String,
        token: String,
        parameter: Option<String>,
        wakes_itself: bool,
    ) -> Result<(), ReachError> {
        let push = aldis::Push::new(&provider, &token, parameter.as_deref())
            .map_err(|error| ReachError::Push { explanation: error.to_string() })?;
        self.phone().set_push(Some(if wakes_itself { push.waking_itself() } else { push }));
        Ok(())
    }

    /// Has the network wake this device no more.
    pub fn clear_push(&self) {
        self.phone().set_push(None);
    }

    /// Asks which push services the network supports, or whether it supports this one; [`crate::Event::Push`] answers.
    #[uniffi::method(default(provider = None))]
    pub fn query_push(&self, provider: Option<String>) {
        self.phone().query_push(provider.as_deref());
    }

    /// Gives an access token for a realm, as [`crate::Event::TokenNeeded`] asks for it; what waited for it is tried again.
    ///
    /// # Errors
    /// [`ReachError::Token`] if the text is none; nothing has changed.
    pub fn set_token(&self, realm: String, token: String) -> Result<(), ReachError> {
        let wrong = |error: aldis::InvalidToken| ReachError::Token { explanation: error.to_string() };
        self.phone().set_token(&realm, token).map_err(wrong)
    }

    /// Subscribes, while the account is registered.
    pub fn subscribe(&self, package: EventPackage) {
        self.phone().subscribe(package.into());
    }

    /// Ends a subscription.
    pub fn unsubscribe(&self, package: EventPackage) {
        self.phone().unsubscribe(package.into());
    }
}

impl From<EventPackage> for aldis::Package {
    fn from(package: EventPackage) -> Self {
        match package {
            EventPackage::MessageSummary => aldis::Package::MessageSummary,
            EventPackage::Registration => aldis::Package::Registration,
        }
    }
}

impl From<aldis::Package> for EventPackage {
    fn from(package: aldis::Package) -> Self {
        match package {
            aldis::Package::MessageSummary => EventPackage::MessageSummary,
            aldis::Package::Registration => EventPackage::Registration,
        }
    }
}

impl From<aldis::PushState> for PushState {
    fn from(state: aldis::PushState) -> Self {
        match state {
            aldis::PushState::Active { refresh_before } => Self::Active { refresh_before },
            aldis::PushState::NotPromised => Self::NotPromised,
            aldis::PushState::Unsupported => Self::Unsupported,
            aldis::PushState::Offered { providers } => Self::Offered { providers },
            aldis::PushState::Off => Self::Off,
        }
    }
}

impl From<aldis::SubscriptionState> for SubscriptionState {
    fn from(state: aldis::SubscriptionState) -> Self {
        match state {
            aldis::SubscriptionState::Active { pending } => Self::Active { pending },
            aldis::SubscriptionState::Ended { reason, retry_in } => Self::Ended { reason, retry_in },
        }
    }
}

impl From<aldis::MessageSummary> for MessageSummary {
    fn from(summary: aldis::MessageSummary) -> Self {
        let counts = summary.counts.into_iter().map(|(kind, count)| MessageCount {
            kind,
            new_messages: count.new,
            old_messages: count.old,
            new_urgent: count.new_urgent,
            old_urgent: count.old_urgent,
        });
        MessageSummary { waiting: summary.waiting, account: summary.account, counts: counts.collect() }
    }
}
