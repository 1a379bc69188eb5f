//! The C face: a phone that waits instead of calling back, for programs that speak neither Swift nor Kotlin.

// Each function says what its pointers must be; nothing else here is unsafe.
#![allow(unsafe_code)]

mod event;
mod history;

use crate::{IncomingMessage, OutgoingState, Phone, PhoneConfig, RegisterError, SendError, TrustConfig};
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

/// What became of a call.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AldisResult {
    /// It worked.
    Ok = 0,
    /// An argument is NULL, or no UTF-8.
    Argument = 1,
    /// The configuration cannot be used.
    Configuration = 2,
    /// User name or password are refused or missing.
    Credentials = 3,
    /// The server did not prove its identity, and received no SIP byte.
    Untrusted = 4,
    /// The server refused.
    Refused = 5,
    /// There is no connection; it is tried again by itself.
    NoConnection = 6,
    /// It may or may not have happened.
    Unknown = 7,
    /// It took longer than the caller wanted to wait, and goes on.
    TimedOut = 8,
    /// The phone was shut down.
    ShutDown = 9,
    /// A bug of the library's own.
    Bug = 10,
    /// The message store failed.
    Storage = 11,
}

/// A phone.
pub struct AldisPhone {
    phone: Arc<Phone>,
}

/// A message that came.
pub struct AldisMessage {
    sequence: u64,
    id: CString,
    from: CString,
    content_type: CString,
    text: Option<CString>,
    incoming: IncomingMessage,
}

/// What a phone starts from. Zeroed, it is as by default; a text that is NULL is not given.
#[repr(C)]
pub struct AldisConfig {
    /// `sip:alice@example.test`. The one that has to be given.
    pub address_of_record: *const c_char,
    /// The password.
    pub password: *const c_char,
    /// `host:port` to connect to instead of asking DNS.
    pub address: *const c_char,
    /// Roots in PEM to trust beside the public ones.
    pub additional_roots: *const c_char,
    /// A file in which messages outlive the program: with it a message that was taken is sent after a restart too.
    pub store_file: *const c_char,
    /// Whether senders who ask for it are told that their message was shown: only with the user's consent.
    pub send_display_receipts: bool,
}

/// Reads a C string; `None` for NULL and for what is no UTF-8.
///
/// # Safety
/// `text` is NULL or ends with a zero byte.
unsafe fn read(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text) }.to_str().ok().map(Into::into)
}

fn to_c(text: String) -> CString {
    // A zero byte would end the text early: better to lose it than what follows.
    CString::new(text.replace('\0', "")).unwrap_or_default()
}

fn text_of(text: Option<&CStr>) -> *const c_char {
    text.map_or(ptr::null(), CStr::as_ptr)
}

/// Leaves `explanation` where the caller wants it.
///
/// # Safety
/// `out` is NULL or may be written to.
unsafe fn explain(out: *mut *mut c_char, explanation: String) {
    if !out.is_null() {
        // SAFETY: not NULL, so the caller promises that it may be written to.
        unsafe { *out = to_c(explanation).into_raw() };
    }
}

/// Runs `call`; a panic must not cross into C.
fn guarded<T>(otherwise: T, call: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(otherwise)
}

/// Waits for `call` as long as the caller wants; `None` after that. A negative time is forever.
fn wait<T>(milliseconds: i64, future: impl Future<Output = T>) -> Option<T> {
    let mut result = None;
    block_on(milliseconds, pin!(async { result = Some(future.await) }));
    result
}

/// One for all calls: a runtime's waiting is large, and would be there for each of them.
fn block_on(milliseconds: i64, future: Pin<&mut dyn Future<Output = ()>>) {
    let Ok(runtime) = crate::runtime::handle() else { return };
    runtime.block_on(async {
        match u64::try_from(milliseconds) {
            Err(_) => future.await,
            Ok(milliseconds) => {
                // Whoever waits sees that there is no result.
                let _ = tokio::time::timeout(Duration::from_millis(milliseconds), future).await;
            }
        }
    });
}

/// Starts a phone. Where `phone` points is set to it, to be freed by `aldis_phone_free`; on failure `explanation`, if not
/// NULL, is set to a text to be freed by `aldis_text_free`.
///
/// # Safety
/// `config` is NULL or points to one whose texts are NULL or end with a zero byte; `phone` and `explanation` are NULL or may be
/// written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_phone_start(
    config: *const AldisConfig,
    phone: *mut *mut AldisPhone,
    explanation: *mut *mut c_char,
) -> AldisResult {
    // SAFETY: as the caller promises.
    let Some(given) = (unsafe { config.as_ref() }).filter(|_| !phone.is_null()) else {
        return AldisResult::Argument;
    };
    let texts =
        [given.address_of_record, given.password, given.address, given.additional_roots, given.store_file];
    // SAFETY: as the caller promises.
    let read = texts.map(|text| (text.is_null(), unsafe { read(text) }));
    if read.iter().any(|(is_null, text)| !is_null && text.is_none()) {
        return AldisResult::Argument;
    }
    let [Some(address_of_record), password, address, additional_roots, store_file] =
        read.map(|(_, text)| text)
    else {
        return AldisResult::Argument;
    };
    guarded(AldisResult::Bug, || {
        let mut config = PhoneConfig::new(address_of_record);
        config.addresses.extend(address);
        config.trust = TrustConfig { additional_roots, ..TrustConfig::default() };
        config.store_file = store_file;
        config.send_display_receipts = given.send_display_receipts;
        let secrets = password.map(|password| Arc::new(Password(password)) as Arc<dyn crate::SecretProvider>);
        match Phone::new(config, secrets, None) {
            Ok(started) => {
                let started = Box::into_raw(Box::new(AldisPhone { phone: started }));
                // SAFETY: not NULL, so the caller promises that it may be written to.
                unsafe { *phone = started };
                AldisResult::Ok
            }
            Err(error) => {
                // SAFETY: as the caller promises.
                unsafe { explain(explanation, error.to_string()) };
                AldisResult::Configuration
            }
        }
    })
}

struct Password(String);

impl crate::SecretProvider for Password {
    fn password(&self, _: String) -> Result<Option<String>, crate::SecretError> {
        Ok(Some(self.0.clone()))
    }
}

/// Registers, and waits for the first outcome, at most `milliseconds` (negative: without end).
///
/// # Safety
/// `phone` is NULL or a phone that is not freed; `explanation` as for `aldis_phone_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_phone_register(
    phone: *const AldisPhone,
    milliseconds: i64,
    explanation: *mut *mut c_char,
) -> AldisResult {
    // SAFETY: as the caller promises.
    let Some(phone) = (unsafe { phone.as_ref() }) else { return AldisResult::Argument };
    guarded(AldisResult::Bug, || {
        let error = match wait(milliseconds, phone.phone.register_and_wait(None)) {
            None => return AldisResult::TimedOut,
            Some(Ok(_)) => return AldisResult::Ok,
            Some(Err(error)) => error,
        };
        // SAFETY: as the caller promises.
        unsafe { explain(explanation, format!("{error}. {}", error.advice())) };
        match &error {
            error if error.needs_credentials() => AldisResult::Credentials,
            error if error.verdict().is_some() => AldisResult::Untrusted,
            RegisterError::Refused { .. } => AldisResult::Refused,
            RegisterError::NoConnection { .. } => AldisResult::NoConnection,
            RegisterError::ShutDown => AldisResult::ShutDown,
            RegisterError::Stopped => AldisResult::TimedOut,
        }
    })
}

/// Sends a text, and waits for its final state, at most `milliseconds` (negative: without end). With `receipts` the
/// recipient's device is asked to tell that it has it and that it was shown, which comes by `aldis_phone_next_event`.
///
/// # Safety
/// `phone` is NULL or a phone that is not freed; texts end with a zero byte; `explanation` as for `aldis_phone_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_phone_send(
    phone: *const AldisPhone,
    to: *const c_char,
    text: *const c_char,
    receipts: bool,
    milliseconds: i64,
    explanation: *mut *mut c_char,
) -> AldisResult {
    // SAFETY: as the caller promises.
    let (phone, to, text) = unsafe { (phone.as_ref(), read(to), read(text)) };
    let (Some(phone), Some(to), Some(text)) = (phone, to, text) else { return AldisResult::Argument };
    guarded(AldisResult::Bug, || {
        let (result, words) = match wait(milliseconds, phone.phone.deliver_text(to, text, receipts, None)) {
            None | Some(Ok(None | Some(OutgoingState::Queued | OutgoingState::Sending))) => {
                return AldisResult::TimedOut;
            }
            Some(Ok(Some(
                OutgoingState::Accepted { .. } | OutgoingState::Delivered | OutgoingState::Displayed,
            ))) => return AldisResult::Ok,
            Some(Ok(Some(OutgoingState::Failed { failure, explanation, .. }))) => {
                let credentials = failure.needs_credentials();
                (if credentials { AldisResult::Credentials } else { AldisResult::Refused }, explanation)
            }
            Some(Ok(Some(OutgoingState::Unknown { explanation, .. }))) => (AldisResult::Unknown, explanation),
            Some(Err(error)) => (refused(&error), error.to_string()),
        };
        // SAFETY: as the caller promises.
        unsafe { explain(explanation, words) };
        result
    })
}

/// Hands a text over and returns at once. Where `id` points, if it is not NULL, is set to its identifier, to be freed by
/// `aldis_text_free`; its states come by `aldis_phone_next_event`.
///
/// # Safety
/// As for `aldis_phone_send`; `id` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_phone_enqueue(
    phone: *const AldisPhone,
    to: *const c_char,
    text: *const c_char,
    receipts: bool,
    id: *mut *mut c_char,
    explanation: *mut *mut c_char,
) -> AldisResult {
    // SAFETY: as the caller promises.
    let (phone, to, text) = unsafe { (phone.as_ref(), read(to), read(text)) };
    let (Some(phone), Some(to), Some(text)) = (phone, to, text) else { return AldisResult::Argument };
    guarded(AldisResult::Bug, || match wait(-1, phone.phone.send_text(to, text, receipts)) {
        None => AldisResult::TimedOut,
        Some(Ok(taken)) => {
            // SAFETY: as the caller promises.
            unsafe { explain(id, taken) };
            AldisResult::Ok
        }
        Some(Err(error)) => {
            // SAFETY: as the caller promises.
            unsafe { explain(explanation, error.to_string()) };
            refused(&error)
        }
    })
}

fn refused(error: &SendError) -> AldisResult {
    match error {
        SendError::ShutDown => AldisResult::ShutDown,
        SendError::Storage { .. } => AldisResult::Storage,
        _ => AldisResult::Argument,
    }
}

/// Acknowledges the messages up to the number `after` (0 at first) and waits for the next, at most `milliseconds` (negative:
/// without end). NULL if none came, or none will; else to be freed by `aldis_message_free`. A message that is not
/// acknowledged comes again.
///
/// # Safety
/// `phone` is NULL or a phone that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_phone_next_message(
    phone: *const AldisPhone,
    after: u64,
    milliseconds: i64,
) -> *mut AldisMessage {
    // SAFETY: as the caller promises.
    let Some(phone) = (unsafe { phone.as_ref() }) else { return ptr::null_mut() };
    guarded(ptr::null_mut(), || match wait(milliseconds, phone.phone.next_message(after, None)).flatten() {
        None => ptr::null_mut(),
        Some(next) => Box::into_raw(Box::new(AldisMessage {
            sequence: next.sequence,
            id: to_c(next.incoming.id.clone()),
            from: to_c(next.incoming.from.clone()),
            content_type: to_c(next.incoming.content_type.clone()),
            text: next.incoming.text.clone().map(to_c),
            incoming: next.incoming,
        })),
    })
}

/// The number that acknowledges the message.
///
/// # Safety
/// `message` is NULL or a message that is not freed; so in all that follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_message_sequence(message: *const AldisMessage) -> u64 {
    // SAFETY: as the caller promises.
    unsafe { message.as_ref() }.map_or(0, |message| message.sequence)
}

/// The message's identifier; lives as long as the message.
///
/// # Safety
/// As for `aldis_message_sequence`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_message_id(message: *const AldisMessage) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { message.as_ref() }.map_or(ptr::null(), |message| message.id.as_ptr())
}

/// The sender's URI; lives as long as the message.
///
/// # Safety
/// As for `aldis_message_sequence`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_message_from(message: *const AldisMessage) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { message.as_ref() }.map_or(ptr::null(), |message| message.from.as_ptr())
}

/// The content type; lives as long as the message.
///
/// # Safety
/// As for `aldis_message_sequence`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_message_content_type(message: *const AldisMessage) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { message.as_ref() }.map_or(ptr::null(), |message| message.content_type.as_ptr())
}

/// The body as text, or NULL if it is not text; lives as long as the message.
///
/// # Safety
/// As for `aldis_message_sequence`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_message_text(message: *const AldisMessage) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { message.as_ref() }.and_then(|message| message.text.as_deref()).map_or(ptr::null(), CStr::as_ptr)
}

/// The bytes of the body, whose number goes where `length` points; they live as long as the message.
///
/// # Safety
/// As for `aldis_message_sequence`; `length` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_message_body(message: *const AldisMessage, length: *mut usize) -> *const u8 {
    // SAFETY: as the caller promises.
    let Some(message) = (unsafe { message.as_ref() }) else { return ptr::null() };
    if !length.is_null() {
        // SAFETY: not NULL, so the caller promises that it may be written to.
        unsafe { *length = message.incoming.body.len() };
    }
    message.incoming.body.as_ptr()
}

/// Frees a message. NULL is allowed.
///
/// # Safety
/// `message` is NULL or a message that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_message_free(message: *mut AldisMessage) {
    if !message.is_null() {
        // SAFETY: it came from Box::into_raw, and the caller gives it back once.
        drop(unsafe { Box::from_raw(message) });
    }
}

/// Unregisters, ends what is under way within a few seconds, and returns when all has ended. Calls that wait return.
///
/// # Safety
/// `phone` is NULL or a phone that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_phone_shut_down(phone: *const AldisPhone) {
    // SAFETY: as the caller promises.
    let Some(phone) = (unsafe { phone.as_ref() }) else { return };
    guarded((), || {
        wait(-1, phone.phone.shut_down());
    });
}

/// Frees a phone, which ends in the background. No other call may use it any more. NULL is allowed.
///
/// # Safety
/// `phone` is NULL or a phone that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_phone_free(phone: *mut AldisPhone) {
    if !phone.is_null() {
        // SAFETY: it came from Box::into_raw, and the caller gives it back once.
        let phone = unsafe { Box::from_raw(phone) };
        guarded((), move || drop(phone));
    }
}

/// Frees a text that an `explanation` was set to. NULL is allowed.
///
/// # Safety
/// `text` is NULL or such a text that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_text_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: it came from CString::into_raw, and the caller gives it back once.
        drop(unsafe { CString::from_raw(text) });
    }
}
