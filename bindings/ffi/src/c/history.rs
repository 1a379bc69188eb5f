//! Conversations for C, a page at a time.

use super::event::AldisState;
use super::{AldisPhone, AldisResult, explain, guarded, read, text_of, to_c, wait};
use crate::{Conversation, HistoryEntry, Said, SentState, StorageError};
use std::ffi::{CString, c_char};

/// A page of conversations or of messages, newest first. What it does not have of an entry is NULL or 0.
pub struct AldisPage {
    entries: Vec<Entry>,
}

struct Entry {
    sequence: u64,
    unread: u32,
    at: i64,
    state: AldisState,
    peer: CString,
    id: Option<CString>,
    text: Option<CString>,
    content_type: Option<CString>,
}

impl From<Conversation> for Entry {
    fn from(conversation: Conversation) -> Self {
        Entry {
            sequence: conversation.last,
            unread: conversation.unread,
            at: 0,
            state: AldisState::None,
            peer: to_c(conversation.peer),
            id: None,
            text: None,
            content_type: None,
        }
    }
}

impl From<HistoryEntry> for Entry {
    fn from(entry: HistoryEntry) -> Self {
        let (at, state, id, text, content_type) = match entry.said {
            Said::Received { incoming } => {
                (incoming.received_at, AldisState::None, incoming.id, incoming.text, incoming.content_type)
            }
            Said::Sent { id, text, content_type, created_at, state, delivered_at, displayed_at, .. } => {
                let state = match (displayed_at, delivered_at, state) {
                    (Some(_), _, _) => AldisState::Displayed,
                    (None, Some(_), _) => AldisState::Delivered,
                    (None, None, SentState::Queued) => AldisState::Queued,
                    (None, None, SentState::Sending) => AldisState::Sending,
                    (None, None, SentState::Accepted { .. }) => AldisState::Accepted,
                    (None, None, SentState::Failed { .. }) => AldisState::Failed,
                    (None, None, SentState::Unknown { .. }) => AldisState::Unknown,
                };
                (created_at, state, id, text, content_type)
            }
        };
        Entry {
            sequence: entry.sequence,
            unread: 0,
            at,
            state,
            peer: to_c(entry.peer),
            id: Some(to_c(id)),
            text: text.map(to_c),
            content_type: Some(to_c(content_type)),
        }
    }
}

/// The page before `before`: 0 is the newest.
fn place(before: u64) -> Option<u64> {
    (before != 0).then_some(before)
}

/// Hands a page out.
///
/// # Safety
/// `page` may be written to; `explanation` is NULL or may be.
unsafe fn give<T: Into<Entry>>(
    found: Option<Result<Vec<T>, StorageError>>,
    page: *mut *mut AldisPage,
    explanation: *mut *mut c_char,
) -> AldisResult {
    match found {
        None => AldisResult::TimedOut,
        Some(Err(error)) => {
            // SAFETY: as the caller promises.
            unsafe { explain(explanation, error.to_string()) };
            AldisResult::Storage
        }
        Some(Ok(found)) => {
            let entries = found.into_iter().map(Into::into).collect();
            // SAFETY: as the caller promises.
            unsafe { *page = Box::into_raw(Box::new(AldisPage { entries })) };
            AldisResult::Ok
        }
    }
}

/// Conversations whose newest message stands before the place `before` (0: all), newest first, at most `limit`. Where `page`
/// points is set to a page, to be freed by `aldis_page_free`.
///
/// # Safety
/// `phone` is NULL or a phone that is not freed; `page` is NULL or may be written to; `explanation` as for
/// `aldis_phone_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_phone_conversations(
    phone: *const AldisPhone,
    before: u64,
    limit: u32,
    page: *mut *mut AldisPage,
    explanation: *mut *mut c_char,
) -> AldisResult {
    // SAFETY: as the caller promises.
    let Some(phone) = (unsafe { phone.as_ref() }).filter(|_| !page.is_null()) else {
        return AldisResult::Argument;
    };
    guarded(AldisResult::Bug, || {
        let found = wait(-1, phone.phone.conversations(place(before), limit));
        // SAFETY: not NULL, so the caller promises that it may be written to.
        unsafe { give(found, page, explanation) }
    })
}

/// Messages with `peer` before the place `before` (0: all), newest first, at most `limit`.
///
/// # Safety
/// As for `aldis_phone_conversations`; `peer` is NULL or ends with a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_phone_history(
    phone: *const AldisPhone,
    peer: *const c_char,
    before: u64,
    limit: u32,
    page: *mut *mut AldisPage,
    explanation: *mut *mut c_char,
) -> AldisResult {
    // SAFETY: as the caller promises.
    let (Some(phone), Some(peer), false) = (unsafe { (phone.as_ref(), read(peer), page.is_null()) }) else {
        return AldisResult::Argument;
    };
    guarded(AldisResult::Bug, || {
        let found = wait(-1, phone.phone.history(peer, place(before), limit));
        // SAFETY: not NULL, so the caller promises that it may be written to.
        unsafe { give(found, page, explanation) }
    })
}

/// Messages before the place `before` (0: all) that have every one of these words, newest first, at most `limit`; with
/// `peer` NULL of every conversation.
///
/// # Safety
/// As for `aldis_phone_history`; so is `words`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_phone_search(
    phone: *const AldisPhone,
    words: *const c_char,
    peer: *const c_char,
    before: u64,
    limit: u32,
    page: *mut *mut AldisPage,
    explanation: *mut *mut c_char,
) -> AldisResult {
    // SAFETY: as the caller promises.
    let (phone, words, only) = unsafe { (phone.as_ref(), read(words), read(peer)) };
    let (Some(phone), Some(words), false) = (phone, words, page.is_null()) else {
        return AldisResult::Argument;
    };
    if only.is_none() && !peer.is_null() {
        return AldisResult::Argument;
    }
    guarded(AldisResult::Bug, || {
        let found = wait(-1, phone.phone.search(words, only, place(before), limit));
        // SAFETY: not NULL, so the caller promises that it may be written to.
        unsafe { give(found, page, explanation) }
    })
}

/// How many entries a page has.
///
/// # Safety
/// `page` is NULL or a page that is not freed; so in all that follow, in which `index` counts from 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_page_count(page: *const AldisPage) -> usize {
    // SAFETY: as the caller promises.
    unsafe { page.as_ref() }.map_or(0, |page| page.entries.len())
}

/// # Safety
/// `page` is NULL or a page that is not freed.
unsafe fn entry<'a>(page: *const AldisPage, index: usize) -> Option<&'a Entry> {
    // SAFETY: as the caller promises.
    unsafe { page.as_ref() }.and_then(|page| page.entries.get(index))
}

/// A message's place in the store, or that of a conversation's newest message: the `before` of the next page.
///
/// # Safety
/// As for `aldis_page_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_page_sequence(page: *const AldisPage, index: usize) -> u64 {
    // SAFETY: as the caller promises.
    unsafe { entry(page, index) }.map_or(0, |entry| entry.sequence)
}

/// The correspondent; lives as long as the page.
///
/// # Safety
/// As for `aldis_page_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_page_peer(page: *const AldisPage, index: usize) -> *const c_char {
    // SAFETY: as the caller promises.
    text_of(unsafe { entry(page, index) }.map(|entry| entry.peer.as_c_str()))
}

/// How many messages of a conversation are unread.
///
/// # Safety
/// As for `aldis_page_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_page_unread(page: *const AldisPage, index: usize) -> u32 {
    // SAFETY: as the caller promises.
    unsafe { entry(page, index) }.map_or(0, |entry| entry.unread)
}

/// The state of a message of ours; `ALDIS_STATE_NONE` for one that came.
///
/// # Safety
/// As for `aldis_page_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_page_state(page: *const AldisPage, index: usize) -> AldisState {
    // SAFETY: as the caller promises.
    unsafe { entry(page, index) }.map_or(AldisState::None, |entry| entry.state)
}

/// When a message came or was handed over, in seconds since 1970.
///
/// # Safety
/// As for `aldis_page_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_page_time(page: *const AldisPage, index: usize) -> i64 {
    // SAFETY: as the caller promises.
    unsafe { entry(page, index) }.map_or(0, |entry| entry.at)
}

/// A message's identifier; lives as long as the page.
///
/// # Safety
/// As for `aldis_page_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_page_id(page: *const AldisPage, index: usize) -> *const c_char {
    // SAFETY: as the caller promises.
    text_of(unsafe { entry(page, index) }.and_then(|entry| entry.id.as_deref()))
}

/// A message's text, or NULL if it is not text; lives as long as the page.
///
/// # Safety
/// As for `aldis_page_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_page_text(page: *const AldisPage, index: usize) -> *const c_char {
    // SAFETY: as the caller promises.
    text_of(unsafe { entry(page, index) }.and_then(|entry| entry.text.as_deref()))
}

/// A message's content type; lives as long as the page.
///
/// # Safety
/// As for `aldis_page_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_page_content_type(page: *const AldisPage, index: usize) -> *const c_char {
    // SAFETY: as the caller promises.
    text_of(unsafe { entry(page, index) }.and_then(|entry| entry.content_type.as_deref()))
}

/// Frees a page. NULL is allowed.
///
/// # Safety
/// `page` is NULL or a page that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aldis_page_free(page: *mut AldisPage) {
    if !page.is_null() {
        // SAFETY: it came from Box::into_raw, and the caller gives it back once.
        drop(unsafe { Box::from_raw(page) });
    }
}
