-- Version 3: receipts that are owed, unread messages as a number, and the order in which what is done goes.

ALTER TABLE messages ADD COLUMN owes INTEGER;           -- incoming: 1 while a receipt of delivery is owed and not in the outbox
CREATE INDEX receipts_owed ON messages(sequence) WHERE owes = 1;
CREATE INDEX done_by_age ON messages(at) WHERE state IN (2, 3, 4, 11);

ALTER TABLE peers ADD COLUMN unread INTEGER NOT NULL DEFAULT 0;
UPDATE peers SET unread = (SELECT count(*) FROM messages m
    WHERE m.kind = 0 AND m.peer = peers.id AND m.sequence > peers.read_to AND m.state >= 10);
