-- What waits for the shared database, in the order in which it is sent.
CREATE TABLE spool (
	seq   INTEGER PRIMARY KEY,
	kind  INTEGER NOT NULL, -- 1 receipt, 3 batch of counts
	id    BLOB NOT NULL,    -- of a receipt, 16 bytes; run and number of a batch
	body  BLOB NOT NULL,    -- JSON
	stuck TEXT              -- why the database refuses it; NULL while it waits
) STRICT;
CREATE UNIQUE INDEX spool_id ON spool (id);

-- What visitors were shown, by the SHA-256 of it.
CREATE TABLE texts (
	hash BLOB PRIMARY KEY,
	at   INTEGER NOT NULL,
	text BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- writer names this proxy in the chains of the shared database.
CREATE TABLE meta (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('writer', lower(hex(randomblob(8))));
