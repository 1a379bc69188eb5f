//! Events for C: what becomes of the registration and of messages, who is writing.

use super::{AldisMessage, AldisPhone, AldisResult, explain, guarded, read, text_of, to_c, wait};
use crate::{ConnectionState, Event, OutgoingState, RegistrationState};
use std::ffi::{CString, c_char};
use std::ptr;

/// What an event tells of.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AldisEventKind {
    /// The registrar holds this device.
    Registered = 0,
    /// It does not; the explanation says why, if there is a reason.
    NotRegistered = 1,
    /// A server proved its identity; the peer is its address.
    Connected = 2,
    /// The connection is gone, or could not be had.
    Disconnected = 3,
    /// A server did not prove its identity, and received no SIP byte; the peer is its address.
    Untrusted = 4,
    /// A message of ours changed: see its state.
    Outgoing = 5,
    /// Somebody began to write to us, or stopped: see whether it is active.
    Composing = 6,
    /// The message store needs attention.
    Storage = 7,
    /// Something that this face has no words for.
    Other = 8,
}

/// The state of a message of ours.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AldisState {
    /// It waits.
    Queued = 0,
    /// Bytes are under way.
    Sending = 1,
    /// The recipient's side took it.
    Accepted = 2,
    /// The recipient's device says that it has it.
    Delivered = 3,
    /// The recipient's device says that it was shown.
    Displayed = 4,
    /// Not delivered, or refused.
    Failed = 5,
    /// It may or may not have arrived.
    Unknown = 6,
    /// It is none of ours.
    None = 7,
}

/// Something that happened.
pub struct AldisEvent {
    sequence: u64,
    kind: AldisEventKind,
    state: AldisState,
    active: bool,
    id: Option<CString>,
    peer: Option<CString>,
    explanation: Option<CString>,
}

impl AldisEvent {
    fn new(sequence: u64, event: Event) -> Self {
        use AldisEventKind as Kind;
        let (kind, mut state, mut active, mut id, mut peer, mut why) =
            (Kind::Other, AldisState::None, false, None, None, None);
        let kind = match event {
            Event::Registration { state: RegistrationState::Registered { .. }, .. } => Kind::Registered,
            Event::Registration { state: RegistrationState::Failed { explanation, .. }, .. } => {
                why = Some(explanation);
                Kind::NotRegistered
            }
            Event::Registration { state: RegistrationState::Unregistered, .. } => Kind::NotRegistered,
            Event::Connection { state: ConnectionState::Connected { server }, .. } => {
                peer = Some(server.address);
                Kind::Connected
            }
            Event::Connection { state: ConnectionState::BackingOff { trouble, .. }, .. } => {
                why = Some(trouble.explanation());
                Kind::Disconnected
            }
            Event::Connection { state: ConnectionState::Lost { .. } | ConnectionState::Closed, .. } => {
                Kind::Disconnected
            }
            Event::Untrusted { verdict } => {
                why = verdict.findings.first().map(|finding| finding.meaning.clone());
                peer = Some(verdict.address);
                Kind::Untrusted
            }
            Event::Outgoing { id: of, to, state: now } => {
                (state, why) = said(now);
                (id, peer) = (Some(of), Some(to));
                Kind::Outgoing
            }
            Event::Composing { from, active: now } => {
                (peer, active) = (Some(from), now);
                Kind::Composing
            }
            Event::Storage { explanation, advice } => {
                why = Some(format!("{explanation}. {advice}"));
                Kind::Storage
            }
            Event::Registration { .. }
            | Event::Connection { .. }
            | Event::Push { .. }
            | Event::TokenNeeded { .. }
            | Event::Subscription { .. }
            | Event::MessagesWaiting { .. }
            | Event::Notify { .. } => kind,
        };
        AldisEvent {
            sequence,
            kind,
            state,
            active,
            id: id.map(to_c),
            peer: peer.map(to_c),
            explanation: why.map(to_c),
        }
    }
}

fn said(state: OutgoingState) -> (AldisState, Option<String>) {
    match state {
        OutgoingState::Queued => (AldisState::Queued, None),
        OutgoingState::Sending => (AldisState::Sending, None),
        OutgoingState::Accepted { .. } => (AldisState::Accepted, None),
        OutgoingState::Delivered => (AldisState::Delivered, None),
        OutgoingState::Displayed => (AldisState::Displayed, None),
        OutgoingState::Failed { explanation, .. } => (AldisState::Failed, Some(explanation)),
        OutgoingState::Unknown { explanation, .. } => (AldisState::Unknown, Some(explanation)),
    }
}

/// Acknowledges the events up to the number `after` (0 at first) and waits for the next, at most `milliseconds` (negative:
/// without end). NULL if none came, or none will; else to be freed by `aldis_event_free`. Whoever does not read events
/// misses nothing else: messages come by `aldis_phone_next_message`.
///
/// # Safety
/// `phone` is NULL or a phone that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_phone_next_event(
    phone: *const AldisPhone,
    after: u64,
    milliseconds: i64,
) -> *mut AldisEvent {
    // SAFETY: as the caller promises.
    let Some(phone) = (unsafe { phone.as_ref() }) else { return ptr::null_mut() };
    guarded(ptr::null_mut(), || match wait(milliseconds, phone.phone.next_event(after, None)).flatten() {
        None => ptr::null_mut(),
        Some(next) => Box::into_raw(Box::new(AldisEvent::new(next.sequence, next.event))),
    })
}

/// The number that acknowledges the event.
///
/// # Safety
/// `event` is NULL or an event that is not freed; so in all that follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_event_sequence(event: *const AldisEvent) -> u64 {
    // SAFETY: as the caller promises.
    unsafe { event.as_ref() }.map_or(0, |event| event.sequence)
}

/// What it tells of.
///
/// # Safety
/// As for `aldis_event_sequence`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_event_kind(event: *const AldisEvent) -> AldisEventKind {
    // SAFETY: as the caller promises.
    unsafe { event.as_ref() }.map_or(AldisEventKind::Other, |event| event.kind)
}

/// The state of the message, `ALDIS_STATE_NONE` for other events.
///
/// # Safety
/// As for `aldis_event_sequence`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_event_state(event: *const AldisEvent) -> AldisState {
    // SAFETY: as the caller promises.
    unsafe { event.as_ref() }.map_or(AldisState::None, |event| event.state)
}

/// Whether the other is writing now.
///
/// # Safety
/// As for `aldis_event_sequence`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_event_active(event: *const AldisEvent) -> bool {
    // SAFETY: as the caller promises.
    unsafe { event.as_ref() }.is_some_and(|event| event.active)
}

/// The message's identifier, or NULL; lives as long as the event.
///
/// # Safety
/// As for `aldis_event_sequence`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_event_id(event: *const AldisEvent) -> *const c_char {
    // SAFETY: as the caller promises.
    text_of(unsafe { event.as_ref() }.and_then(|event| event.id.as_deref()))
}

/// With whom: a URI, or a server's address; NULL if nobody is concerned. Lives as long as the event.
///
/// # Safety
/// As for `aldis_event_sequence`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_event_peer(event: *const AldisEvent) -> *const c_char {
    // SAFETY: as the caller promises.
    text_of(unsafe { event.as_ref() }.and_then(|event| event.peer.as_deref()))
}

/// Why, in a sentence for people, or NULL; lives as long as the event.
///
/// # Safety
/// As for `aldis_event_sequence`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_event_explanation(event: *const AldisEvent) -> *const c_char {
    // SAFETY: as the caller promises.
    text_of(unsafe { event.as_ref() }.and_then(|event| event.explanation.as_deref()))
}

/// Frees an event. NULL is allowed.
///
/// # Safety
/// `event` is NULL or an event that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_event_free(event: *mut AldisEvent) {
    if !event.is_null() {
        // SAFETY: it came from Box::into_raw, and the caller gives it back once.
        drop(unsafe { Box::from_raw(event) });
    }
}

/// The user types a message to `to`: call it at every keystroke. The recipient is told that somebody is writing, and 15 s
/// after the last call that nobody is.
///
/// # Safety
/// `phone` is NULL or a phone that is not freed; `to` is NULL or ends with a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_phone_composing(phone: *const AldisPhone, to: *const c_char) -> AldisResult {
    // SAFETY: as the caller promises.
    let (Some(phone), Some(to)) = (unsafe { (phone.as_ref(), read(to)) }) else {
        return AldisResult::Argument;
    };
    guarded(AldisResult::Bug, || match phone.phone.composing(to) {
        Ok(()) => AldisResult::Ok,
        Err(_) => AldisResult::Argument,
    })
}

/// The user has seen this message: it counts as read, and its sender is told, once, if he asked to be and the
/// configuration says that the user consents.
///
/// # Safety
/// `phone` is NULL or a phone that is not freed, `message` NULL or a message that is not freed; `explanation` as for
/// `aldis_phone_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_phone_displayed(
    phone: *const AldisPhone,
    message: *const AldisMessage,
    explanation: *mut *mut c_char,
) -> AldisResult {
    // SAFETY: as the caller promises.
    let (Some(phone), Some(message)) = (unsafe { (phone.as_ref(), message.as_ref()) }) else {
        return AldisResult::Argument;
    };
    guarded(AldisResult::Bug, || match wait(-1, phone.phone.displayed(message.incoming.clone())) {
        Some(Ok(())) => AldisResult::Ok,
        None => AldisResult::TimedOut,
        Some(Err(error)) => {
            // SAFETY: as the caller promises.
            unsafe { explain(explanation, error.to_string()) };
            AldisResult::Storage
        }
    })
}
