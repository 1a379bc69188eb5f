-- Version 2: receipts, what peers can read, and the index of words.

ALTER TABLE messages ADD COLUMN wants TEXT;             -- receipts asked for: letters d, s, f, then what a receipt repeats, a line each
ALTER TABLE messages ADD COLUMN duties TEXT;            -- incoming: receipts that were sent, letters as above
ALTER TABLE messages ADD COLUMN claimed_from TEXT;      -- incoming: who wrote it, as the message itself says
ALTER TABLE messages ADD COLUMN delivered_at INTEGER;
ALTER TABLE messages ADD COLUMN displayed_at INTEGER;

ALTER TABLE peers ADD COLUMN reads_cpim INTEGER;
ALTER TABLE peers ADD COLUMN largest INTEGER;
ALTER TABLE peers ADD COLUMN refuses TEXT;              -- one media type a line
ALTER TABLE peers ADD COLUMN learned_at INTEGER;
CREATE INDEX peers_by_learned ON peers(learned_at) WHERE learned_at IS NOT NULL;

-- Only the words; the texts stay where they are. What is deleted leaves at once, not with some later merge.
CREATE VIRTUAL TABLE search USING fts5(peer, text, content = '', tokenize = 'unicode61 remove_diacritics 2');
INSERT INTO search(search, rank) VALUES ('secure-delete', 1);
