-- What this database knows of itself: writer names those who write here in
-- chains that are copied elsewhere.
CREATE TABLE meta (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('writer', lower(hex(randomblob(8))));

-- One chain per site and writer. Its entries are numbered from 1; the first
-- pruned ones are gone.
CREATE TABLE chains (
	id     INTEGER PRIMARY KEY,
	site   TEXT NOT NULL,
	writer TEXT NOT NULL,
	pruned INTEGER NOT NULL, -- number of the last entry pruned, 0 for none
	start  BLOB NOT NULL,    -- link of that entry, empty for none
	n      INTEGER NOT NULL, -- number of the last entry
	link   BLOB NOT NULL,    -- link of that entry, empty for none
	UNIQUE (site, writer)
) STRICT;
INSERT INTO chains (site, writer, pruned, start, n, link)
	SELECT s.site, (SELECT value FROM meta WHERE name = 'writer'), coalesce(o.pruned, 0), coalesce(o.link, x''),
		coalesce(o.pruned, 0) + (SELECT count(*) FROM ledger l WHERE l.site = s.site),
		coalesce((SELECT l.link FROM ledger l WHERE l.site = s.site ORDER BY l.seq DESC LIMIT 1), o.link, x'')
	FROM (SELECT site FROM starts UNION SELECT site FROM ledger) s LEFT JOIN starts o ON o.site = s.site;

CREATE TABLE entries (
	chain  INTEGER NOT NULL,
	n      INTEGER NOT NULL,
	kind   INTEGER NOT NULL, -- 1 receipt, 2 erasure
	id     BLOB NOT NULL,    -- of the receipt, 16 bytes
	at     INTEGER NOT NULL, -- Unix seconds
	shown  BLOB,             -- SHA-256 of what was shown; NULL for nothing
	salt   BLOB,             -- 16 random bytes
	body   BLOB,             -- JSON
	digest BLOB NOT NULL,    -- SHA-256 of kind, salt and body
	link   BLOB NOT NULL     -- SHA-256 of the link before and digest
) STRICT;
INSERT INTO entries
	SELECT c.id, c.pruned + row_number() OVER (PARTITION BY l.site ORDER BY l.seq), l.kind, l.id, l.at,
		CASE WHEN l.kind = 1 AND l.body IS NOT NULL THEN unhex(CAST(l.body AS TEXT) ->> 'shown') END, l.salt, l.body, l.digest, l.link
	FROM ledger l JOIN chains c ON c.site = l.site ORDER BY l.seq;
DROP TABLE ledger;
DROP TABLE starts;
ALTER TABLE entries RENAME TO ledger;
CREATE UNIQUE INDEX ledger_chain ON ledger (chain, n);
CREATE UNIQUE INDEX ledger_id ON ledger (id, kind);
CREATE INDEX ledger_at ON ledger (at);
CREATE INDEX ledger_shown ON ledger (shown) WHERE shown IS NOT NULL;

-- How many batches of counts of each run of askfirst are in; a batch that is
-- sent again is known by its number.
CREATE TABLE runs (
	run TEXT PRIMARY KEY,
	n   INTEGER NOT NULL,
	at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What operators did.
CREATE TABLE operations (
	id     INTEGER PRIMARY KEY,
	at     INTEGER NOT NULL,
	who    TEXT NOT NULL,
	action TEXT NOT NULL,
	about  TEXT NOT NULL,
	detail TEXT NOT NULL
) STRICT;
CREATE INDEX operations_at ON operations (at);

-- What visitors asked of the operator, and when it was answered.
CREATE TABLE requests (
	receipt  BLOB NOT NULL,
	kind     TEXT NOT NULL,
	received INTEGER NOT NULL, -- Unix seconds
	answered INTEGER NOT NULL, -- Unix seconds, 0 while open
	PRIMARY KEY (receipt, kind, received)
) STRICT, WITHOUT ROWID;
