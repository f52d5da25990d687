-- What was counted on one page.
CREATE INDEX IF NOT EXISTS counts_page ON counts (page, day);
