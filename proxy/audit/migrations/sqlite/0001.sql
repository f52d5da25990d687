-- The ledger is append-only: every entry carries the hash of the one before it
-- on the same site. Erasing empties salt and body of a receipt and appends an
-- erasure; digest and link stay, so that the chain still holds.
CREATE TABLE ledger (
	seq    INTEGER PRIMARY KEY,
	site   TEXT NOT NULL,
	kind   INTEGER NOT NULL, -- 1 receipt, 2 erasure
	id     BLOB NOT NULL,    -- of the receipt, 16 bytes
	at     INTEGER NOT NULL, -- Unix seconds
	salt   BLOB,             -- 16 random bytes
	body   BLOB,             -- JSON
	digest BLOB NOT NULL,    -- SHA-256 of kind, salt and body
	link   BLOB NOT NULL     -- SHA-256 of the link before and digest
) STRICT;
CREATE UNIQUE INDEX ledger_id ON ledger (id, kind);
CREATE INDEX ledger_site ON ledger (site, seq);
CREATE INDEX ledger_at ON ledger (at);

-- Where a site's chain begins once its oldest entries have been pruned.
CREATE TABLE starts (
	site   TEXT PRIMARY KEY,
	link   BLOB NOT NULL,    -- of the last entry pruned
	pruned INTEGER NOT NULL  -- entries pruned so far
) STRICT, WITHOUT ROWID;

-- What visitors were shown, by the SHA-256 of it.
CREATE TABLE texts (
	hash BLOB PRIMARY KEY,
	at   INTEGER NOT NULL,
	text BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Choices counted by day (days since 1970, UTC); nothing here leads to a person.
CREATE TABLE choices (
	site     TEXT NOT NULL,
	day      INTEGER NOT NULL,
	action   TEXT NOT NULL,
	method   TEXT NOT NULL,
	regime   TEXT NOT NULL,
	language TEXT NOT NULL,
	granted  TEXT NOT NULL, -- as the consent cookie spells it
	n        INTEGER NOT NULL,
	PRIMARY KEY (site, day, action, method, regime, language, granted)
) STRICT, WITHOUT ROWID;

CREATE TABLE pages (
	id    INTEGER PRIMARY KEY,
	site  TEXT NOT NULL,
	path  TEXT NOT NULL,
	first INTEGER NOT NULL, -- Unix seconds
	last  INTEGER NOT NULL,
	UNIQUE (site, path)
) STRICT;

CREATE TABLE tags (
	id       INTEGER PRIMARY KEY,
	site     TEXT NOT NULL,
	vendor   TEXT NOT NULL,
	name     TEXT NOT NULL,
	category TEXT NOT NULL,
	kind     TEXT NOT NULL,
	host     TEXT NOT NULL,
	path     TEXT NOT NULL,
	first    INTEGER NOT NULL,
	last     INTEGER NOT NULL,
	UNIQUE (site, host, path, kind, vendor, category)
) STRICT;

-- How often what happened to a tag on a page, by day and choice.
CREATE TABLE counts (
	tag          INTEGER NOT NULL,
	page         INTEGER NOT NULL,
	day          INTEGER NOT NULL,
	granted      INTEGER NOT NULL, -- the bits of a consent.Set
	seen         INTEGER NOT NULL,
	held         INTEGER NOT NULL,
	boxed        INTEGER NOT NULL,
	stripped     INTEGER NOT NULL,
	passed       INTEGER NOT NULL,
	released     INTEGER NOT NULL,
	fired        INTEGER NOT NULL,
	stopped      INTEGER NOT NULL,
	fired_anyway INTEGER NOT NULL,
	PRIMARY KEY (tag, page, day, granted)
) STRICT, WITHOUT ROWID;
CREATE INDEX counts_day ON counts (day);

-- The sums of counts by tag and by page: what most questions are about, in far
-- fewer rows.
CREATE TABLE tag_days (
	tag          INTEGER NOT NULL,
	day          INTEGER NOT NULL,
	seen         INTEGER NOT NULL,
	held         INTEGER NOT NULL,
	boxed        INTEGER NOT NULL,
	stripped     INTEGER NOT NULL,
	passed       INTEGER NOT NULL,
	released     INTEGER NOT NULL,
	fired        INTEGER NOT NULL,
	stopped      INTEGER NOT NULL,
	fired_anyway INTEGER NOT NULL,
	PRIMARY KEY (tag, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE page_days (
	page         INTEGER NOT NULL,
	day          INTEGER NOT NULL,
	seen         INTEGER NOT NULL,
	held         INTEGER NOT NULL,
	boxed        INTEGER NOT NULL,
	stripped     INTEGER NOT NULL,
	passed       INTEGER NOT NULL,
	released     INTEGER NOT NULL,
	fired        INTEGER NOT NULL,
	stopped      INTEGER NOT NULL,
	fired_anyway INTEGER NOT NULL,
	PRIMARY KEY (page, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE views (
	page  INTEGER NOT NULL,
	day   INTEGER NOT NULL,
	views INTEGER NOT NULL,
	asked INTEGER NOT NULL, -- views without a choice
	PRIMARY KEY (page, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE cookies (
	id       INTEGER PRIMARY KEY,
	site     TEXT NOT NULL,
	name     TEXT NOT NULL,
	vendor   TEXT NOT NULL,
	category TEXT NOT NULL,
	source   TEXT NOT NULL,
	first    INTEGER NOT NULL,
	last     INTEGER NOT NULL,
	UNIQUE (site, name, vendor, category, source)
) STRICT;

CREATE TABLE cookie_days (
	cookie INTEGER NOT NULL,
	day    INTEGER NOT NULL,
	held   INTEGER NOT NULL,
	passed INTEGER NOT NULL,
	PRIMARY KEY (cookie, day)
) STRICT, WITHOUT ROWID;
