//! A SIP client over verified TLS: register, send and receive messages.
