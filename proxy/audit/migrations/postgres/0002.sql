CREATE TABLE IF NOT EXISTS countries (
	site    TEXT NOT NULL,
	day     BIGINT NOT NULL,
	country TEXT NOT NULL,
	action  TEXT NOT NULL,
	granted TEXT NOT NULL,
	n       BIGINT NOT NULL,
	PRIMARY KEY (site, day, country, action, granted)
);
