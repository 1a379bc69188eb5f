//! A small SIP registrar over TLS on loopback, for tests and the demo.
