-- Choices counted by country, apart from the other counts of choices, so that
-- no row says much of one visitor.
CREATE TABLE countries (
	site    TEXT NOT NULL,
	day     INTEGER NOT NULL,
	country TEXT NOT NULL, -- ISO 3166-1 alpha-2
	action  TEXT NOT NULL,
	granted TEXT NOT NULL,
	n       INTEGER NOT NULL,
	PRIMARY KEY (site, day, country, action, granted)
) STRICT, WITHOUT ROWID;
