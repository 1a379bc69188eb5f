-- Version 3: receipts that are owed, unread messages as a number, an index that a change of state leaves alone.

ALTER TABLE messages ADD COLUMN owes INTEGER;           -- incoming: 1 while a receipt of delivery is owed and not in the outbox
CREATE INDEX receipts_owed ON messages(sequence) WHERE owes = 1;

ALTER TABLE peers ADD COLUMN unread INTEGER NOT NULL DEFAULT 0;
UPDATE peers SET unread = (SELECT count(*) FROM messages m
    WHERE m.kind = 0 AND m.peer = peers.id AND m.sequence > peers.read_to AND m.state >= 10);

-- What is outgoing has a Call-ID, and keeps it: an index whose condition names `state` is written again with each state.
DROP INDEX outgoing_by_id;
CREATE UNIQUE INDEX outgoing_by_id ON messages(id) WHERE call_id IS NOT NULL;
