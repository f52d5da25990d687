-- The sums of counts by tag and page, over all days that are kept: a list of
-- pairs need not read every day of each.
CREATE TABLE IF NOT EXISTS pairs (
	tag          BIGINT NOT NULL,
	page         BIGINT NOT NULL,
	first        BIGINT NOT NULL,
	last         BIGINT NOT NULL,
	seen         BIGINT NOT NULL,
	held         BIGINT NOT NULL,
	boxed        BIGINT NOT NULL,
	stripped     BIGINT NOT NULL,
	passed       BIGINT NOT NULL,
	released     BIGINT NOT NULL,
	fired        BIGINT NOT NULL,
	stopped      BIGINT NOT NULL,
	fired_anyway BIGINT NOT NULL,
	PRIMARY KEY (tag, page)
);
CREATE INDEX IF NOT EXISTS pairs_page ON pairs (page, first, last);
INSERT INTO pairs
	SELECT tag, page, min(day), max(day), sum(seen), sum(held), sum(boxed), sum(stripped), sum(passed), sum(released), sum(fired), sum(stopped), sum(fired_anyway)
	FROM counts GROUP BY tag, page
	ON CONFLICT (tag, page) DO NOTHING;
