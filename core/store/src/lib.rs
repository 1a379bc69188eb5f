//! What a SIP client must not lose: outbox, inbox, seen messages.
