//! The phone: commands down, events up.

use crate::config::Config;
use crate::driver::{Command, Driver, Durable};
use crate::event::{Event, Incoming};
use crate::keeping;
use crate::net::NetworkChange;
use crate::queue::Queue;
use aldis_agent::{
    Account, InvalidAccount, InvalidToken, MessageId, NewMessage, OutgoingState, Package, Push,
    ReceiptsWanted, SendRefused,
};
use aldis_sip::Secret;
use aldis_sip::body::ExternalBody;
use aldis_store::{Keeper, Store, StoreError};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// The user agent of one account. Commands return at once; events tell what became of them. Dropping it shuts it down as
/// [`Phone::shut_down`] does, in the background.
#[derive(Debug)]
pub struct Phone {
    commands: mpsc::UnboundedSender<Box<Command>>,
    pub(crate) events: Arc<Queue>,
    pub(crate) keeper: Keeper,
    /// The app acknowledges messages itself.
    pub(crate) explicit: bool,
    finished: watch::Receiver<bool>,
}

/// A message to send.
#[derive(Clone, Debug)]
pub struct Outgoing {
    content_type: String,
    body: Bytes,
    receipts: ReceiptsWanted,
}

impl Outgoing {
    /// A text, as `text/plain` in UTF-8.
    pub fn text(text: impl Into<String>) -> Self {
        Outgoing::new("text/plain;charset=UTF-8", text.into())
    }

    /// Any content; the type is checked when it is sent.
    pub fn new(content_type: impl Into<String>, body: impl Into<Bytes>) -> Self {
        let receipts = ReceiptsWanted::default();
        Outgoing { content_type: content_type.into(), body: body.into(), receipts }
    }

    /// Content that lies elsewhere (RFC 4483), where the app has put it: nothing is uploaded or fetched here.
    pub fn elsewhere(content: &ExternalBody) -> Self {
        Outgoing::new(content.media_type().to_string(), content.to_bytes())
    }

    /// Asks for receipts: the states [`OutgoingState::Delivered`] and [`OutgoingState::Displayed`] may follow
    /// [`OutgoingState::Accepted`], as far as the recipient's device and its user give them.
    #[must_use]
    pub fn request_receipts(mut self) -> Self {
        self.receipts = ReceiptsWanted::ALL;
        self
    }
}

/// Why a message was not taken. Nothing of it was sent or kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It cannot be sent.
    #[error(transparent)]
    Refused(#[from] SendRefused),
    /// It cannot be kept, and so was not sent.
    #[error("the message cannot be kept: {0}")]
    Storage(StoreError),
}

/// Why a phone cannot start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// It was started outside a tokio runtime.
    #[error("a phone needs a tokio runtime with IO and time enabled")]
    NoRuntime,
    /// The system gave no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    /// The store cannot be opened.
    #[error("{}. {}", .0, .0.advice())]
    Storage(#[from] StoreError),
    /// The system starts no thread.
    #[error("the system starts no thread: {0}")]
    Thread(String),
}

impl Phone {
    /// Starts the phone's task on the runtime that this is called in. It connects when there is something to do. With
    /// [`Config::store_file`] it opens the file, which may take the time of a few disk accesses.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(config: Config) -> Result<Self, StartError> {
        let events = Arc::new(Queue::default());
        let store = keeping::open(config.store.clone(), &events)?;
        Self::run(config, store, events)
    }

    /// Starts a phone over a store of the app's own.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_with_store(config: Config, store: Box<dyn Store>) -> Result<Self, StartError> {
        Self::run(config, store, Arc::new(Queue::default()))
    }

    fn run(config: Config, store: Box<dyn Store>, events: Arc<Queue>) -> Result<Self, StartError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let mut seed = [0u8; 32];
        getrandom::fill(&mut seed).map_err(|error| StartError::Random(error.to_string()))?;
        let (commands, receiver) = mpsc::unbounded_channel();
        let (finished, finished_receiver) = watch::channel(false);
        let mut owner = [0u8; 4];
        getrandom::fill(&mut owner).map_err(|error| StartError::Random(error.to_string()))?;
        let durable = Durable::start(store, u32::from_ne_bytes(owner), config.store_use)
            .map_err(|error| StartError::Thread(error.to_string()))?;
        let (keeper, explicit) = (durable.keeper().clone(), config.explicit);
        let driver = Box::new(Driver::new(config, seed, durable, receiver, events.clone()));
        runtime.spawn(async move {
            driver.run().await;
            // Nobody may be listening any more.
            let _ = finished.send(true);
        });
        Ok(Phone { commands, events, keeper, explicit, finished: finished_receiver })
    }

    pub(crate) fn command(&self, command: Command) {
        // After the driver has ended there is nothing left to command.
        let _ = self.commands.send(Box::new(command));
    }

    /// States the intent to be registered. Losing and regaining the connection, refreshing and backing off are the
    /// phone's own business; events tell of them. Tries again what was refused for good.
    pub fn register(&self) {
        self.command(Command::Register);
    }

    /// States the intent not to be registered: our binding is removed, other devices' stay.
    pub fn unregister(&self) {
        self.command(Command::Unregister);
    }

    /// Gives other credentials and tries again what was refused for the old ones.
    pub fn set_credentials(&self, user: &str, password: impl Into<Secret>) {
        self.command(Command::SetCredentials { user: user.into(), password: password.into() });
    }

    /// Asks for another expiry, in seconds, from 1: what is registered is registered anew in place.
    ///
    /// # Errors
    /// [`InvalidAccount`] for 0; nothing has changed.
    pub fn set_expires(&self, seconds: u32) -> Result<(), InvalidAccount> {
        Account::check_expires(seconds)?;
        self.command(Command::SetExpires(seconds));
        Ok(())
    }

    /// Has the network wake this device by push from now on, or no longer (RFC 8599): give it the token of the platform's
    /// service, and each new one. What is registered is registered anew in place. [`Event::Push`] tells whether a proxy takes
    /// part; call [`Phone::wake`] for each push that comes.
    pub fn set_push(&self, push: Option<Push>) {
        self.command(Command::SetPush(push));
    }

    /// Asks which push services the network supports (`None`), or whether it supports this one; the answer is an
    /// [`Event::Push`]. Costs a REGISTER; nothing happens where push is on.
    pub fn query_push(&self, provider: Option<&str>) {
        self.command(Command::QueryPush(provider.map(Into::into)));
    }

    /// Gives an access token for a realm, as [`Event::TokenNeeded`] asks for it (RFC 8898). What waited for it is tried again.
    /// Tokens should be encrypted JWTs for the SIP server, since proxies on the way see them.
    ///
    /// # Errors
    /// [`InvalidToken`]; nothing has changed.
    pub fn set_token(&self, realm: &str, token: impl Into<Secret>) -> Result<(), InvalidToken> {
        let token = token.into();
        InvalidToken::check(&token)?;
        self.command(Command::SetToken { realm: realm.into(), token });
        Ok(())
    }

    /// Subscribes to the account's mailbox or to what the registrar does with its bindings, while it is registered:
    /// [`Event::Subscription`], [`Event::MessagesWaiting`].
    pub fn subscribe(&self, package: Package) {
        self.command(Command::Subscribe(package));
    }

    /// Ends a subscription.
    pub fn unsubscribe(&self, package: Package) {
        self.command(Command::Unsubscribe(package));
    }

    /// The system says that the network changed. Every flow gets a new connection at once, whatever was waited for, and DNS is
    /// asked anew; the old connection serves until the new one is registered, if it answers a ping within 4 s. Costs a
    /// handshake and a REGISTER for each flow.
    pub fn network_changed(&self, change: NetworkChange) {
        self.command(Command::NetworkChanged(change));
    }

    /// The app goes to the background, where the battery counts: keep-alives come at intervals of 672 to 840 s
    /// ([`Timing::background_ping`](crate::Timing)), unless the server asks for more. Costs nothing. Within a second a store in a
    /// file has ended what it was doing and let go of every lock and file, as iOS demands of an app that is suspended; from then
    /// on it opens them for what comes, and lets go 100 ms after. An app that must not touch them at all any more calls
    /// [`Phone::suspend_store`] too.
    pub fn enter_background(&self) {
        self.command(Command::EnterBackground);
    }

    /// The app comes to the front: a connection that brought nothing in the last 10 s is probed with a ping, and replaced if
    /// no answer comes within 4 s. Costs a ping for each flow, no REGISTER.
    pub fn enter_foreground(&self) {
        self.command(Command::EnterForeground);
    }

    /// A push woke the app, or it was given time to run: every connection is probed, every binding refreshed (RFC 8599
    /// §4.1.3), and what waits for a connection waits no longer. Costs a ping and a REGISTER for each flow, a handshake where
    /// the connection is gone; known within 4 s.
    pub fn wake(&self) {
        self.command(Command::Wake);
    }

    /// Hands a message over, and returns when it is durable: with a file for a store it is sent even if the program or the
    /// device crashes now, once there is a connection. Its states come as [`Event::Outgoing`]; the last one is final, and told
    /// when it is durable.
    ///
    /// # Errors
    /// [`SendError`] if it was not taken.
    pub async fn send(&self, to: &str, message: Outgoing) -> Result<MessageId, SendError> {
        let (id, _) = self.hand_over(to, message).await?;
        Ok(id)
    }

    /// Hands a message over and waits for its final state.
    ///
    /// # Errors
    /// [`SendError`] if it was not taken.
    pub async fn send_and_wait(&self, to: &str, message: Outgoing) -> Result<OutgoingState, SendError> {
        let (_, outcome) = self.hand_over(to, message).await?;
        outcome.await.map_err(|_| SendRefused::Stopped.into())
    }

    async fn hand_over(
        &self,
        to: &str,
        message: Outgoing,
    ) -> Result<(MessageId, oneshot::Receiver<OutgoingState>), SendError> {
        let receipts = message.receipts;
        let message = NewMessage::new(to, &message.content_type, message.body)?.with_receipts(receipts);
        let (taken, reply) = oneshot::channel();
        let (done, outcome) = oneshot::channel();
        self.command(Command::Send { message: Box::new(message), taken, done });
        let id = reply.await.unwrap_or(Err(SendRefused::Stopped.into()))?;
        Ok((id, outcome))
    }

    /// Takes a message back: it fails if nothing of it was sent, else its fate is unknown.
    pub fn withdraw(&self, id: MessageId) {
        self.command(Command::Withdraw(id));
    }

    /// The user types a message to `to`: call it at every keystroke. The recipient is told that somebody is writing, again
    /// every minute, and 15 s after the last call that nobody is (RFC 3994). It is told while there is a connection, and
    /// no message to the same recipient is under way; a recipient that refuses it is told no more.
    ///
    /// # Errors
    /// [`SendRefused::Recipient`].
    pub fn composing(&self, to: &str) -> Result<(), SendError> {
        NewMessage::new(to, "text/plain", "")?;
        self.command(Command::Composing(to.to_owned()));
        Ok(())
    }

    /// The user has seen this message. Its sender is told if he asked to be and [`Config::send_display_receipts`] allows it,
    /// once, however often this is called.
    pub fn displayed(&self, message: &Incoming) {
        if message.wants_display_receipt() {
            self.command(Command::Displayed(Box::new(message.clone())));
        }
    }

    /// The next event; `None` after the phone has shut down. Dropping the future loses nothing.
    ///
    /// Asking for the next one says that the messages given before are handled: they are acknowledged, and do not come again
    /// after a restart. One that was given, and not followed by another call (or by [`Phone::shut_down`]) before a crash, comes
    /// again. An app with several readers, or which handles messages elsewhere, acknowledges them itself
    /// ([`Config::acknowledge_explicitly`]).
    pub async fn next_event(&self) -> Option<Event> {
        self.acknowledge_given();
        let event = self.events.next().await;
        if self.events.wants_more() {
            self.command(Command::MoreMessages);
        }
        event
    }

    /// Unregisters, ends what is under way within a few seconds, closes. May be called again; each call returns when
    /// all has ended. Receipts that are owed for messages that came have 2 s to leave, if there is a connection. What was not sent yet goes with a later run, if the store is a file; else it fails.
    pub async fn shut_down(&self) {
        self.acknowledge_given();
        self.command(Command::ShutDown);
        // An error means that the driver is gone, which is what is waited for.
        let _ = self.finished.clone().wait_for(|finished| *finished).await;
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.command(Command::ShutDown);
    }
}
