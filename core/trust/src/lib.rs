//! Who is at the other end of a SIP over TLS connection: chain, identity, verdict.
