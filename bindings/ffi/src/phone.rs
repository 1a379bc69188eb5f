//! The phone: commands down, events and messages up.

use crate::config::dns_server;
use crate::event::{Happened, may_go, outcome};
use crate::mailbox::Mailbox;
use crate::stop::unless_stopped;
use crate::{
    ClientKey, ConnectionState, Event, IncomingMessage, OutgoingState, PhoneConfig, RegisterError,
    Registered, RegistrationState, SecretProvider, SendError, SequencedEvent, SequencedMessage, StartError,
    StopSignal, runtime,
};
use aldis::Outgoing;
use aldis::store::Sequence;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Unread items. Of events, the oldest that only tells of a state, or is a notification, goes first; messages wait behind in the library, which
/// refuses more of them with 480, so that their senders keep them.
const MAX_UNREAD: usize = 1024;

/// The user agent of one account. Commands return at once; events tell what became of them. It ends with
/// [`Phone::shut_down`], or when it is dropped, on any thread.
#[derive(uniffi::Object)]
pub struct Phone {
    inner: Arc<Inner>,
    runtime: Handle,
}

struct Inner {
    phone: aldis::Phone,
    events: Mailbox<Event>,
    messages: Mailbox<(Sequence, IncomingMessage)>,
    waiting: Mutex<Waiting>,
}

type Outcome = Result<Registered, RegisterError>;

/// Who waits for the registration.
#[derive(Default)]
struct Waiting {
    /// What holds now.
    /// By flow.
    registered: BTreeMap<u32, Registered>,
    ended: bool,
    callers: Vec<oneshot::Sender<Outcome>>,
}

#[uniffi::export]
impl Phone {
    /// Starts a phone. It connects when there is something to do. The secret provider is asked for the password now, on
    /// this thread; the key, which belongs to the client certificate, whenever a server wants to see that.
    ///
    /// # Errors
    /// [`StartError`] says what in the configuration cannot be used.
    #[uniffi::constructor(default(secrets = None, key = None))]
    pub fn new(
        config: PhoneConfig,
        secrets: Option<Arc<dyn SecretProvider>>,
        key: Option<Arc<dyn ClientKey>>,
    ) -> Result<Arc<Self>, StartError> {
        let config = config.into_config(secrets.as_deref(), key)?;
        let runtime = runtime::handle()?;
        let phone = {
            let _inside = runtime.enter();
            aldis::Phone::start(config.acknowledge_explicitly())?
        };
        let inner = Arc::new(Inner {
            phone,
            events: Mailbox::new(MAX_UNREAD),
            messages: Mailbox::new(MAX_UNREAD),
            waiting: Mutex::default(),
        });
        runtime.spawn(distribute(inner.clone()));
        Ok(Arc::new(Phone { inner, runtime }))
    }

    /// States the intent to be registered. Losing and regaining the connection, refreshing and backing off are the phone's
    /// own business. Tries again what was refused for good.
    pub fn register(&self) {
        self.inner.phone.register();
    }

    /// Registers as [`Phone::register`] does, and waits for the first outcome.
    ///
    /// # Errors
    /// [`RegisterError`] says why it did not work yet, and whether it is tried again by itself.
    #[uniffi::method(default(until = None))]
    pub async fn register_and_wait(
        &self,
        until: Option<Arc<StopSignal>>,
    ) -> Result<Registered, RegisterError> {
        let outcome = {
            let mut waiting = self.inner.waiting();
            if waiting.ended {
                return Err(RegisterError::ShutDown);
            }
            self.inner.phone.register();
            if let Some(registered) = waiting.registered.values().next() {
                return Ok(registered.clone());
            }
            let (caller, outcome) = oneshot::channel();
            waiting.callers.retain(|caller| !caller.is_closed());
            waiting.callers.push(caller);
            outcome
        };
        match unless_stopped(until.as_deref(), outcome).await {
            None => Err(RegisterError::Stopped),
            Some(outcome) => outcome.unwrap_or(Err(RegisterError::ShutDown)),
        }
    }

    /// States the intent not to be registered: this device's binding is removed.
    pub fn unregister(&self) {
        self.inner.waiting().registered.clear();
        self.inner.phone.unregister();
    }

    /// Gives other credentials and tries again what was refused for the old ones.
    pub fn set_credentials(&self, user: String, password: String) {
        self.inner.phone.set_credentials(&user, password);
    }

    /// The system says that the network changed: every connection is replaced at once, and DNS is asked anew. The
    /// old one serves until the new one is registered, if it answers within 4 s.
    ///
    /// `dns_servers` are the network's, each an address with or without a port: on Android of `LinkProperties`, on iOS of
    /// `res_9_getservers`. Those systems resolve addresses for an app and nothing else, so that a domain's SRV records are
    /// looked up only with these; without them [`Connected::srv_not_asked`](crate::Connected::srv_not_asked) says so. Call
    /// it before the first registration too. What is no address is passed over, and logged.
    pub fn network_changed(&self, dns_servers: Vec<String>) {
        let mut change = aldis::net::NetworkChange::default();
        for server in dns_servers {
            match dns_server(&server) {
                Some(server) => change.dns_servers.push(server),
                None => tracing::warn!(%server, "not the address of a DNS server that can be asked"),
            }
        }
        self.inner.phone.network_changed(change);
    }

    /// The app goes to the background: keep-alives come every 11 to 14 minutes, unless the server asks for more; within a second
    /// the store's locks and files are let go, and from then on held only while something is stored.
    pub fn enter_background(&self) {
        self.inner.phone.enter_background();
    }

    /// The app comes to the front: connections that have been quiet are probed, and replaced if no answer comes within 4 s.
    pub fn enter_foreground(&self) {
        self.inner.phone.enter_foreground();
    }

    /// A push woke the app, or it was given time to run: connections are probed, registrations refreshed, and nothing waits
    /// for its next attempt. Known within 4 s.
    pub fn wake(&self) {
        self.inner.phone.wake();
    }

    /// The user types a message to `to`: call it at every keystroke. The recipient is told that somebody is writing, again
    /// every minute, and 15 s after the last call that nobody is.
    ///
    /// # Errors
    /// [`SendError::Recipient`].
    pub fn composing(&self, to: String) -> Result<(), SendError> {
        Ok(self.inner.phone.composing(&to)?)
    }

    /// Hands a text over and gives its identifier. Its states come as [`Event::Outgoing`]. With `receipts` the recipient's
    /// device is asked to tell that it has it and that it was shown, states that may follow the final one.
    ///
    /// # Errors
    /// [`SendError`] if it was not taken.
    #[uniffi::method(default(receipts = false))]
    pub async fn send_text(&self, to: String, text: String, receipts: bool) -> Result<String, SendError> {
        self.send(to, Outgoing::text(text), receipts).await
    }

    /// Hands any content over and gives its identifier.
    ///
    /// # Errors
    /// [`SendError`] if it was not taken.
    #[uniffi::method(default(receipts = false))]
    pub async fn send_content(
        &self,
        to: String,
        content_type: String,
        body: Vec<u8>,
        receipts: bool,
    ) -> Result<String, SendError> {
        self.send(to, Outgoing::new(content_type, body), receipts).await
    }

    /// Hands a text over and waits for its final state; nil if the wait was stopped, which does not take it back.
    ///
    /// # Errors
    /// [`SendError`] if it was not taken.
    #[uniffi::method(default(receipts = false, until = None))]
    pub async fn deliver_text(
        &self,
        to: String,
        text: String,
        receipts: bool,
        until: Option<Arc<StopSignal>>,
    ) -> Result<Option<OutgoingState>, SendError> {
        self.deliver(to, Outgoing::text(text), receipts, until).await
    }

    /// Hands any content over and waits as [`Phone::deliver_text`] does.
    ///
    /// # Errors
    /// [`SendError`] if it was not taken.
    #[uniffi::method(default(receipts = false, until = None))]
    pub async fn deliver_content(
        &self,
        to: String,
        content_type: String,
        body: Vec<u8>,
        receipts: bool,
        until: Option<Arc<StopSignal>>,
    ) -> Result<Option<OutgoingState>, SendError> {
        self.deliver(to, Outgoing::new(content_type, body), receipts, until).await
    }

    /// Takes a message back: it fails if nothing of it was sent, else its fate is unknown.
    ///
    /// # Errors
    /// [`SendError::Identifier`] if the text is none.
    pub fn withdraw(&self, id: String) -> Result<(), SendError> {
        self.inner.phone.withdraw(id.parse().map_err(|_| SendError::Identifier { given: id })?);
        Ok(())
    }

    /// Acknowledges the events up to that number and waits for the next; nil after the phone has shut down and all were
    /// read, or when the wait was stopped. An event that is not acknowledged comes again. For one reader at a time.
    #[uniffi::method(default(until = None))]
    pub async fn next_event(&self, after: u64, until: Option<Arc<StopSignal>>) -> Option<SequencedEvent> {
        let (sequence, event) = unless_stopped(until.as_deref(), self.inner.events.next(after)).await??;
        Some(SequencedEvent { sequence, event })
    }

    /// Acknowledges the messages up to that number and waits for the next, as [`Phone::next_event`] does. With a file for a
    /// store that is durable: what was acknowledged does not come again after a restart, and what was not does.
    #[uniffi::method(default(until = None))]
    pub async fn next_message(&self, after: u64, until: Option<Arc<StopSignal>>) -> Option<SequencedMessage> {
        let handled: Vec<Sequence> =
            self.inner.messages.up_to(after).into_iter().map(|(sequence, _)| sequence).collect();
        // If it fails they come again after a restart, and an event tells of the store.
        if !handled.is_empty() && self.inner.phone.acknowledge(handled).await.is_err() {
            tracing::debug!("messages could not be acknowledged");
        }
        let (sequence, (_, incoming)) =
            unless_stopped(until.as_deref(), self.inner.messages.next(after)).await??;
        Some(SequencedMessage { sequence, incoming })
    }

    /// Unregisters, ends what is under way within a few seconds, closes. May be called again; each call returns when all
    /// has ended. What was not read yet can still be.
    pub async fn shut_down(&self) {
        self.inner.phone.shut_down().await;
    }
}

impl Phone {
    /// The phone of the library.
    pub(crate) fn phone(&self) -> &aldis::Phone {
        &self.inner.phone
    }

    async fn send(&self, to: String, message: Outgoing, receipts: bool) -> Result<String, SendError> {
        Ok(self.inner.phone.send(&to, asking(message, receipts)).await?.to_string())
    }

    async fn deliver(
        &self,
        to: String,
        message: Outgoing,
        receipts: bool,
        until: Option<Arc<StopSignal>>,
    ) -> Result<Option<OutgoingState>, SendError> {
        let outcome = self.inner.phone.send_and_wait(&to, asking(message, receipts));
        Ok(unless_stopped(until.as_deref(), outcome).await.transpose()?.map(OutgoingState::from))
    }
}

fn asking(message: Outgoing, receipts: bool) -> Outgoing {
    if receipts { message.request_receipts() } else { message }
}

impl Drop for Phone {
    fn drop(&mut self) {
        // Nobody reads any more.
        self.inner.events.close();
        self.inner.messages.close();
        let inner = self.inner.clone();
        // Whoever drops it, a garbage collector perhaps, has no runtime of its own.
        self.runtime.spawn(async move { inner.phone.shut_down().await });
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone")
    }
}

impl Inner {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who wait for the registration.
    fn tell(&self, event: &Event) {
        let mut waiting = self.waiting();
        match event {
            Event::Registration { state: RegistrationState::Registered { registered }, reg_id } => {
                waiting.registered.insert(*reg_id, registered.clone());
            }
            Event::Registration { state: RegistrationState::Refreshing, .. }
            | Event::Connection { state: ConnectionState::Connected { .. }, .. } => {}
            Event::Registration { reg_id, .. } | Event::Connection { reg_id, .. } => {
                waiting.registered.remove(reg_id);
            }
            Event::Untrusted { .. }
            | Event::Outgoing { .. }
            | Event::Composing { .. }
            | Event::Storage { .. }
            | Event::Notify { .. }
            | Event::Push { .. }
            | Event::TokenNeeded { .. }
            | Event::Subscription { .. }
            | Event::MessagesWaiting { .. } => {}
        }
        if let Some(outcome) = outcome(event) {
            for caller in waiting.callers.drain(..) {
                // Whoever waited may have gone.
                let _ = caller.send(outcome.clone());
            }
        }
    }
}

/// Brings what the library tells to those who read it.
async fn distribute(inner: Arc<Inner>) {
    while let Some(event) = inner.phone.next_event().await {
        match event.into() {
            Happened::Message(message) => {
                inner.messages.has_room().await;
                inner.messages.push(message, |_| false);
            }
            Happened::Other(event) => {
                inner.tell(&event);
                inner.events.push(event, may_go);
            }
        }
    }
    inner.events.close();
    inner.messages.close();
    let mut waiting = inner.waiting();
    waiting.ended = true;
    waiting.callers.clear();
}
