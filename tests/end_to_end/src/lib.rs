//! Aldis against its embedded registrar over real TLS.
