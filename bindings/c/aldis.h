/* Aldis for C: a SIP client over verified TLS.
 *
 * Text is UTF-8 and ends with a zero byte. What a function returns belongs to the caller and is freed by the function
 * that its comment names. Every function may be called from any thread; a NULL where an object belongs is refused and
 * does nothing. Generated from bindings/ffi/src/c.rs: change that, and run `bindings/build c`. */

#ifndef ALDIS_H
#define ALDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 What became of a call.
 */
typedef enum AldisResult {
  /*
   It worked.
   */
  ALDIS_RESULT_OK = 0,
  /*
   An argument is NULL, or no UTF-8.
   */
  ALDIS_RESULT_ARGUMENT = 1,
  /*
   The configuration cannot be used.
   */
  ALDIS_RESULT_CONFIGURATION = 2,
  /*
   User name or password are refused or missing.
   */
  ALDIS_RESULT_CREDENTIALS = 3,
  /*
   The server did not prove its identity, and received no SIP byte.
   */
  ALDIS_RESULT_UNTRUSTED = 4,
  /*
   The server refused.
   */
  ALDIS_RESULT_REFUSED = 5,
  /*
   There is no connection; it is tried again by itself.
   */
  ALDIS_RESULT_NO_CONNECTION = 6,
  /*
   It may or may not have happened.
   */
  ALDIS_RESULT_UNKNOWN = 7,
  /*
   It took longer than the caller wanted to wait, and goes on.
   */
  ALDIS_RESULT_TIMED_OUT = 8,
  /*
   The phone was shut down.
   */
  ALDIS_RESULT_SHUT_DOWN = 9,
  /*
   A bug of the library's own.
   */
  ALDIS_RESULT_BUG = 10,
  /*
   The message store failed.
   */
  ALDIS_RESULT_STORAGE = 11,
} AldisResult;

/*
 What an event tells of.
 */
typedef enum AldisEventKind {
  /*
   The registrar holds this device.
   */
  ALDIS_EVENT_KIND_REGISTERED = 0,
  /*
   It does not; the explanation says why, if there is a reason.
   */
  ALDIS_EVENT_KIND_NOT_REGISTERED = 1,
  /*
   A server proved its identity; the peer is its address.
   */
  ALDIS_EVENT_KIND_CONNECTED = 2,
  /*
   The connection is gone, or could not be had.
   */
  ALDIS_EVENT_KIND_DISCONNECTED = 3,
  /*
   A server did not prove its identity, and received no SIP byte; the peer is its address.
   */
  ALDIS_EVENT_KIND_UNTRUSTED = 4,
  /*
   A message of ours changed: see its state.
   */
  ALDIS_EVENT_KIND_OUTGOING = 5,
  /*
   Somebody began to write to us, or stopped: see whether it is active.
   */
  ALDIS_EVENT_KIND_COMPOSING = 6,
  /*
   The message store needs attention.
   */
  ALDIS_EVENT_KIND_STORAGE = 7,
  /*
   Something that this face has no words for.
   */
  ALDIS_EVENT_KIND_OTHER = 8,
} AldisEventKind;

/*
 The state of a message of ours.
 */
typedef enum AldisState {
  /*
   It waits.
   */
  ALDIS_STATE_QUEUED = 0,
  /*
   Bytes are under way.
   */
  ALDIS_STATE_SENDING = 1,
  /*
   The recipient's side took it.
   */
  ALDIS_STATE_ACCEPTED = 2,
  /*
   The recipient's device says that it has it.
   */
  ALDIS_STATE_DELIVERED = 3,
  /*
   The recipient's device says that it was shown.
   */
  ALDIS_STATE_DISPLAYED = 4,
  /*
   Not delivered, or refused.
   */
  ALDIS_STATE_FAILED = 5,
  /*
   It may or may not have arrived.
   */
  ALDIS_STATE_UNKNOWN = 6,
  /*
   It is none of ours.
   */
  ALDIS_STATE_NONE = 7,
} AldisState;

/*
 Something that happened.
 */
typedef struct AldisEvent AldisEvent;

/*
 A message that came.
 */
typedef struct AldisMessage AldisMessage;

/*
 A page of conversations or of messages, newest first. What it does not have of an entry is NULL or 0.
 */
typedef struct AldisPage AldisPage;

/*
 A phone.
 */
typedef struct AldisPhone AldisPhone;

/*
 What a phone starts from. Zeroed, it is as by default; a text that is NULL is not given.
 */
typedef struct AldisConfig {
  /*
   `sip:alice@example.test`. The one that has to be given.
   */
  const char *address_of_record;
  /*
   The password.
   */
  const char *password;
  /*
   `host:port` to connect to instead of asking DNS.
   */
  const char *address;
  /*
   Roots in PEM to trust beside the public ones.
   */
  const char *additional_roots;
  /*
   A file in which messages outlive the program: with it a message that was taken is sent after a restart too.
   */
  const char *store_file;
  /*
   Whether senders who ask for it are told that their message was shown: only with the user's consent.
   */
  bool send_display_receipts;
} AldisConfig;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 Starts a phone. Where `phone` points is set to it, to be freed by `aldis_phone_free`; on failure `explanation`, if not
 NULL, is set to a text to be freed by `aldis_text_free`.

 # Safety
 `config` is NULL or points to one whose texts are NULL or end with a zero byte; `phone` and `explanation` are NULL or may be
 written to.
 */
enum AldisResult aldis_phone_start(const struct AldisConfig *config,
                                   struct AldisPhone **phone,
                                   char **explanation);

/*
 Registers, and waits for the first outcome, at most `milliseconds` (negative: without end).

 # Safety
 `phone` is NULL or a phone that is not freed; `explanation` as for `aldis_phone_start`.
 */
enum AldisResult aldis_phone_register(const struct AldisPhone *phone, int64_t milliseconds, char **explanation);

/*
 Sends a text, and waits for its final state, at most `milliseconds` (negative: without end). With `receipts` the
 recipient's device is asked to tell that it has it and that it was shown, which comes by `aldis_phone_next_event`.

 # Safety
 `phone` is NULL or a phone that is not freed; texts end with a zero byte; `explanation` as for `aldis_phone_start`.
 */
enum AldisResult aldis_phone_send(const struct AldisPhone *phone,
                                  const char *to,
                                  const char *text,
                                  bool receipts,
                                  int64_t milliseconds,
                                  char **explanation);

/*
 Hands a text over and returns at once. Where `id` points, if it is not NULL, is set to its identifier, to be freed by
 `aldis_text_free`; its states come by `aldis_phone_next_event`.

 # Safety
 As for `aldis_phone_send`; `id` is NULL or may be written to.
 */
enum AldisResult aldis_phone_enqueue(const struct AldisPhone *phone,
                                     const char *to,
                                     const char *text,
                                     bool receipts,
                                     char **id,
                                     char **explanation);

/*
 Acknowledges the messages up to the number `after` (0 at first) and waits for the next, at most `milliseconds` (negative:
 without end). NULL if none came, or none will; else to be freed by `aldis_message_free`. A message that is not
 acknowledged comes again.

 # Safety
 `phone` is NULL or a phone that is not freed.
 */
struct AldisMessage *aldis_phone_next_message(const struct AldisPhone *phone,
                                              uint64_t after,
                                              int64_t milliseconds);

/*
 The number that acknowledges the message.

 # Safety
 `message` is NULL or a message that is not freed; so in all that follow.
 */
uint64_t aldis_message_sequence(const struct AldisMessage *message);

/*
 The message's identifier; lives as long as the message.

 # Safety
 As for `aldis_message_sequence`.
 */
const char *aldis_message_id(const struct AldisMessage *message);

/*
 The sender's URI; lives as long as the message.

 # Safety
 As for `aldis_message_sequence`.
 */
const char *aldis_message_from(const struct AldisMessage *message);

/*
 The content type; lives as long as the message.

 # Safety
 As for `aldis_message_sequence`.
 */
const char *aldis_message_content_type(const struct AldisMessage *message);

/*
 The body as text, or NULL if it is not text; lives as long as the message.

 # Safety
 As for `aldis_message_sequence`.
 */
const char *aldis_message_text(const struct AldisMessage *message);

/*
 The bytes of the body, whose number goes where `length` points; they live as long as the message.

 # Safety
 As for `aldis_message_sequence`; `length` is NULL or may be written to.
 */
const uint8_t *aldis_message_body(const struct AldisMessage *message, size_t *length);

/*
 Frees a message. NULL is allowed.

 # Safety
 `message` is NULL or a message that is not freed.
 */
void aldis_message_free(struct AldisMessage *message);

/*
 Unregisters, ends what is under way within a few seconds, and returns when all has ended. Calls that wait return.

 # Safety
 `phone` is NULL or a phone that is not freed.
 */
void aldis_phone_shut_down(const struct AldisPhone *phone);

/*
 Frees a phone, which ends in the background. No other call may use it any more. NULL is allowed.

 # Safety
 `phone` is NULL or a phone that is not freed.
 */
void aldis_phone_free(struct AldisPhone *phone);

/*
 Frees a text that an `explanation` was set to. NULL is allowed.

 # Safety
 `text` is NULL or such a text that is not freed.
 */
void aldis_text_free(char *text);

/*
 Acknowledges the events up to the number `after` (0 at first) and waits for the next, at most `milliseconds` (negative:
 without end). NULL if none came, or none will; else to be freed by `aldis_event_free`. Whoever does not read events
 misses nothing else: messages come by `aldis_phone_next_message`.

 # Safety
 `phone` is NULL or a phone that is not freed.
 */
struct AldisEvent *aldis_phone_next_event(const struct AldisPhone *phone, uint64_t after, int64_t milliseconds);

/*
 The number that acknowledges the event.

 # Safety
 `event` is NULL or an event that is not freed; so in all that follow.
 */
uint64_t aldis_event_sequence(const struct AldisEvent *event);

/*
 What it tells of.

 # Safety
 As for `aldis_event_sequence`.
 */
enum AldisEventKind aldis_event_kind(const struct AldisEvent *event);

/*
 The state of the message, `ALDIS_STATE_NONE` for other events.

 # Safety
 As for `aldis_event_sequence`.
 */
enum AldisState aldis_event_state(const struct AldisEvent *event);

/*
 Whether the other is writing now.

 # Safety
 As for `aldis_event_sequence`.
 */
bool aldis_event_active(const struct AldisEvent *event);

/*
 The message's identifier, or NULL; lives as long as the event.

 # Safety
 As for `aldis_event_sequence`.
 */
const char *aldis_event_id(const struct AldisEvent *event);

/*
 With whom: a URI, or a server's address; NULL if nobody is concerned. Lives as long as the event.

 # Safety
 As for `aldis_event_sequence`.
 */
const char *aldis_event_peer(const struct AldisEvent *event);

/*
 Why, in a sentence for people, or NULL; lives as long as the event.

 # Safety
 As for `aldis_event_sequence`.
 */
const char *aldis_event_explanation(const struct AldisEvent *event);

/*
 Frees an event. NULL is allowed.

 # Safety
 `event` is NULL or an event that is not freed.
 */
void aldis_event_free(struct AldisEvent *event);

/*
 The user types a message to `to`: call it at every keystroke. The recipient is told that somebody is writing, and 15 s
 after the last call that nobody is.

 # Safety
 `phone` is NULL or a phone that is not freed; `to` is NULL or ends with a zero byte.
 */
enum AldisResult aldis_phone_composing(const struct AldisPhone *phone, const char *to);

/*
 The user has seen this message: it counts as read, and its sender is told, once, if he asked to be and the
 configuration says that the user consents.

 # Safety
 `phone` is NULL or a phone that is not freed, `message` NULL or a message that is not freed; `explanation` as for
 `aldis_phone_start`.
 */
enum AldisResult aldis_phone_displayed(const struct AldisPhone *phone,
                                       const struct AldisMessage *message,
                                       char **explanation);

/*
 Conversations whose newest message stands before the place `before` (0: all), newest first, at most `limit`. Where `page`
 points is set to a page, to be freed by `aldis_page_free`.

 # Safety
 `phone` is NULL or a phone that is not freed; `page` is NULL or may be written to; `explanation` as for
 `aldis_phone_start`.
 */
enum AldisResult aldis_phone_conversations(const struct AldisPhone *phone,
                                           uint64_t before,
                                           uint32_t limit,
                                           struct AldisPage **page,
                                           char **explanation);

/*
 Messages with `peer` before the place `before` (0: all), newest first, at most `limit`.

 # Safety
 As for `aldis_phone_conversations`; `peer` is NULL or ends with a zero byte.
 */
enum AldisResult aldis_phone_history(const struct AldisPhone *phone,
                                     const char *peer,
                                     uint64_t before,
                                     uint32_t limit,
                                     struct AldisPage **page,
                                     char **explanation);

/*
 Messages before the place `before` (0: all) that have every one of these words, newest first, at most `limit`; with
 `peer` NULL of every conversation.

 # Safety
 As for `aldis_phone_history`; so is `words`.
 */
enum AldisResult aldis_phone_search(const struct AldisPhone *phone,
                                    const char *words,
                                    const char *peer,
                                    uint64_t before,
                                    uint32_t limit,
                                    struct AldisPage **page,
                                    char **explanation);

/*
 How many entries a page has.

 # Safety
 `page` is NULL or a page that is not freed; so in all that follow, in which `index` counts from 0.
 */
size_t aldis_page_count(const struct AldisPage *page);

/*
 A message's place in the store, or that of a conversation's newest message: the `before` of the next page.

 # Safety
 As for `aldis_page_count`.
 */
uint64_t aldis_page_sequence(const struct AldisPage *page, size_t index);

/*
 The correspondent; lives as long as the page.

 # Safety
 As for `aldis_page_count`.
 */
const char *aldis_page_peer(const struct AldisPage *page, size_t index);

/*
 How many messages of a conversation are unread.

 # Safety
 As for `aldis_page_count`.
 */
uint32_t aldis_page_unread(const struct AldisPage *page, size_t index);

/*
 The state of a message of ours; `ALDIS_STATE_NONE` for one that came.

 # Safety
 As for `aldis_page_count`.
 */
enum AldisState aldis_page_state(const struct AldisPage *page, size_t index);

/*
 When a message came or was handed over, in seconds since 1970.

 # Safety
 As for `aldis_page_count`.
 */
int64_t aldis_page_time(const struct AldisPage *page, size_t index);

/*
 A message's identifier; lives as long as the page.

 # Safety
 As for `aldis_page_count`.
 */
const char *aldis_page_id(const struct AldisPage *page, size_t index);

/*
 A message's text, or NULL if it is not text; lives as long as the page.

 # Safety
 As for `aldis_page_count`.
 */
const char *aldis_page_text(const struct AldisPage *page, size_t index);

/*
 A message's content type; lives as long as the page.

 # Safety
 As for `aldis_page_count`.
 */
const char *aldis_page_content_type(const struct AldisPage *page, size_t index);

/*
 Frees a page. NULL is allowed.

 # Safety
 `page` is NULL or a page that is not freed.
 */
void aldis_page_free(struct AldisPage *page);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ALDIS_H */
