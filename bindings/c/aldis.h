/* Aldis for C: a SIP client over verified TLS.
 *
 * Text is UTF-8 and ends with a zero byte. What a function returns belongs to the caller and is freed by the function
 * that its comment names. Every function may be called from any thread; a NULL where an object belongs is refused and
 * does nothing. Generated from bindings/ffi/src/c.rs: change that, and run `bindings/build c`. */

#ifndef ALDIS_H
#define ALDIS_H

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
} AldisResult;

/*
 A message that came.
 */
typedef struct AldisMessage AldisMessage;

/*
 A phone.
 */
typedef struct AldisPhone AldisPhone;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 Starts a phone for `address_of_record` (`sip:alice@example.test`).

 `password` may be NULL. `address` is `host:port` to connect to instead of asking DNS, or NULL. `additional_roots` is PEM
 to trust beside the public roots, or NULL. Where `phone` points is set to the phone, to be freed by `aldis_phone_free`;
 on failure `explanation`, if not NULL, is set to a text to be freed by `aldis_text_free`.

 # Safety
 Texts are NULL or end with a zero byte; `phone` and `explanation` are NULL or may be written to.
 */
enum AldisResult aldis_phone_start(const char *address_of_record,
                                   const char *password,
                                   const char *address,
                                   const char *additional_roots,
                                   struct AldisPhone **phone,
                                   char **explanation);

/*
 Registers, and waits for the first outcome, at most `milliseconds` (negative: without end).

 # Safety
 `phone` is NULL or a phone that is not freed; `explanation` as for `aldis_phone_start`.
 */
enum AldisResult aldis_phone_register(const struct AldisPhone *phone, int64_t milliseconds, char **explanation);

/*
 Sends a text, and waits for its final state, at most `milliseconds` (negative: without end).

 # Safety
 `phone` is NULL or a phone that is not freed; texts end with a zero byte; `explanation` as for `aldis_phone_start`.
 */
enum AldisResult aldis_phone_send(const struct AldisPhone *phone,
                                  const char *to,
                                  const char *text,
                                  int64_t milliseconds,
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

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ALDIS_H */
