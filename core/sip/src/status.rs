//! Status codes.

use std::fmt;

/// A status code from 100 to 699 (RFC 3261 §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusCode(u16);

impl StatusCode {
    /// A code from 100 to 699; `None` outside.
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 100 && code <= 699 { Some(StatusCode(code)) } else { None }
    }

    /// The number.
    pub const fn code(self) -> u16 {
        self.0
    }

    /// The first digit, 1 to 6. An unknown code counts as x00 of its class (RFC 3261 §8.1.3.2).
    pub const fn class(self) -> u16 {
        self.0 / 100
    }

    /// Whether a further response to the same request follows (1xx).
    pub const fn is_provisional(self) -> bool {
        self.class() == 1
    }

    /// Whether the request succeeded (2xx).
    pub const fn is_success(self) -> bool {
        self.class() == 2
    }
}

macro_rules! codes {
    ($($name:ident $code:literal $reason:literal),* $(,)?) => {
        impl StatusCode {
            $(#[doc = concat!($code, " ", $reason)] pub const $name: StatusCode = StatusCode($code);)*

            /// The usual reason phrase (RFC 3261 §21 and the documents of the extensions); empty for unknown codes.
            pub const fn reason(self) -> &'static str {
                match self.0 {
                    $($code => $reason,)*
                    _ => "",
                }
            }
        }
    };
}

codes! {
    TRYING 100 "Trying", RINGING 180 "Ringing", CALL_IS_BEING_FORWARDED 181 "Call Is Being Forwarded", QUEUED 182 "Queued",
    SESSION_PROGRESS 183 "Session Progress",
    OK 200 "OK", ACCEPTED 202 "Accepted", NO_NOTIFICATION 204 "No Notification",
    MULTIPLE_CHOICES 300 "Multiple Choices", MOVED_PERMANENTLY 301 "Moved Permanently",
    MOVED_TEMPORARILY 302 "Moved Temporarily", USE_PROXY 305 "Use Proxy", ALTERNATIVE_SERVICE 380 "Alternative Service",
    BAD_REQUEST 400 "Bad Request", UNAUTHORIZED 401 "Unauthorized", PAYMENT_REQUIRED 402 "Payment Required",
    FORBIDDEN 403 "Forbidden", NOT_FOUND 404 "Not Found", METHOD_NOT_ALLOWED 405 "Method Not Allowed",
    NOT_ACCEPTABLE 406 "Not Acceptable", PROXY_AUTHENTICATION_REQUIRED 407 "Proxy Authentication Required",
    REQUEST_TIMEOUT 408 "Request Timeout", GONE 410 "Gone", CONDITIONAL_REQUEST_FAILED 412 "Conditional Request Failed",
    REQUEST_ENTITY_TOO_LARGE 413 "Request Entity Too Large", REQUEST_URI_TOO_LONG 414 "Request-URI Too Long",
    UNSUPPORTED_MEDIA_TYPE 415 "Unsupported Media Type", UNSUPPORTED_URI_SCHEME 416 "Unsupported URI Scheme",
    BAD_EXTENSION 420 "Bad Extension", EXTENSION_REQUIRED 421 "Extension Required",
    INTERVAL_TOO_BRIEF 423 "Interval Too Brief", FLOW_FAILED 430 "Flow Failed",
    FIRST_HOP_LACKS_OUTBOUND 439 "First Hop Lacks Outbound Support",
    TEMPORARILY_UNAVAILABLE 480 "Temporarily Unavailable",
    TRANSACTION_DOES_NOT_EXIST 481 "Call/Transaction Does Not Exist", LOOP_DETECTED 482 "Loop Detected",
    TOO_MANY_HOPS 483 "Too Many Hops", ADDRESS_INCOMPLETE 484 "Address Incomplete", AMBIGUOUS 485 "Ambiguous",
    BUSY_HERE 486 "Busy Here", REQUEST_TERMINATED 487 "Request Terminated", NOT_ACCEPTABLE_HERE 488 "Not Acceptable Here",
    BAD_EVENT 489 "Bad Event", REQUEST_PENDING 491 "Request Pending", UNDECIPHERABLE 493 "Undecipherable",
    SERVER_INTERNAL_ERROR 500 "Server Internal Error", NOT_IMPLEMENTED 501 "Not Implemented",
    BAD_GATEWAY 502 "Bad Gateway", SERVICE_UNAVAILABLE 503 "Service Unavailable", SERVER_TIMEOUT 504 "Server Time-out",
    VERSION_NOT_SUPPORTED 505 "Version Not Supported", MESSAGE_TOO_LARGE 513 "Message Too Large",
    PUSH_SERVICE_NOT_SUPPORTED 555 "Push Notification Service Not Supported",
    BUSY_EVERYWHERE 600 "Busy Everywhere", DECLINE 603 "Decline",
    DOES_NOT_EXIST_ANYWHERE 604 "Does Not Exist Anywhere", NOT_ACCEPTABLE_ANYWHERE 606 "Not Acceptable",
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
