//! The sans-IO SIP user agent of Aldis: transactions, registration, messages.
