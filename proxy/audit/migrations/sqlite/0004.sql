-- What was counted on one page: without this, by the day, through most of the
-- table.
CREATE INDEX counts_page ON counts (page, day);
