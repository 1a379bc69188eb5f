-- Version 1: what came, what is to go, what was seen, with whom.

CREATE TABLE peers (
    id INTEGER PRIMARY KEY,
    address TEXT NOT NULL UNIQUE,
    last INTEGER,                         -- the newest message's sequence; NULL: no conversation
    read_to INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX peers_by_last ON peers(last) WHERE last IS NOT NULL;

CREATE TABLE messages (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    peer INTEGER NOT NULL REFERENCES peers(id),
    -- outgoing: 0 queued, 1 sending, 2 accepted, 3 failed, 4 unknown; incoming: 10 waits for the app, 11 acknowledged
    state INTEGER NOT NULL,
    kind INTEGER NOT NULL DEFAULT 0,      -- 0 message, 1 receipt
    id TEXT NOT NULL,
    remote TEXT NOT NULL,                 -- the other's URI
    local TEXT,                           -- incoming: the URI that it was sent to
    display_name TEXT,
    content_type TEXT NOT NULL,
    body BLOB NOT NULL,
    at INTEGER NOT NULL,                  -- when it came, or was handed over; seconds since 1970
    sent_at INTEGER,                      -- incoming: when the sender says that it was sent
    expires INTEGER,                      -- incoming: seconds since 1970; outgoing: seconds from `at`
    status INTEGER,
    why TEXT,
    call_id TEXT,
    from_tag TEXT,
    owner INTEGER                         -- the process that is at it
) STRICT;
CREATE INDEX messages_by_peer ON messages(peer, sequence) WHERE kind = 0;
CREATE UNIQUE INDEX outgoing_by_id ON messages(id) WHERE state < 10;
CREATE INDEX outgoing_pending ON messages(sequence) WHERE state < 2;
CREATE INDEX incoming_waiting ON messages(sequence) WHERE state = 10;

CREATE TABLE seen (
    key TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_by_age ON seen(at);

CREATE TABLE owners (
    id INTEGER PRIMARY KEY,
    suspended_at INTEGER                  -- NULL: alive while it holds its lock file
) STRICT;
