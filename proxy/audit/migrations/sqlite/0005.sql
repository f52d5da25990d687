-- The sums of counts by tag and page, over all days that are kept: a list of
-- pairs need not read every day of each.
CREATE TABLE pairs (
	tag          INTEGER NOT NULL,
	page         INTEGER NOT NULL,
	first        INTEGER NOT NULL, -- no count is of a day before it
	last         INTEGER NOT NULL, -- the last day of a count
	seen         INTEGER NOT NULL,
	held         INTEGER NOT NULL,
	boxed        INTEGER NOT NULL,
	stripped     INTEGER NOT NULL,
	passed       INTEGER NOT NULL,
	released     INTEGER NOT NULL,
	fired        INTEGER NOT NULL,
	stopped      INTEGER NOT NULL,
	fired_anyway INTEGER NOT NULL,
	PRIMARY KEY (tag, page)
) STRICT, WITHOUT ROWID;
CREATE INDEX pairs_page ON pairs (page, first, last);
INSERT INTO pairs
	SELECT tag, page, min(day), max(day), sum(seen), sum(held), sum(boxed), sum(stripped), sum(passed), sum(released), sum(fired), sum(stopped), sum(fired_anyway)
	FROM counts GROUP BY tag, page;
