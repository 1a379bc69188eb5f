//! Aldis against real servers and clients.
