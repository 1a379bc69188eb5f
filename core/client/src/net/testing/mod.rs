//! Servers on loopback for the tests.

pub mod dns_server;
pub mod tls_server;
