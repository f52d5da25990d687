-- Whether a response had the tag, and not only a report, which anyone can send.
ALTER TABLE tags ADD COLUMN served INTEGER NOT NULL DEFAULT 0;
UPDATE tags SET served = 1 WHERE id IN (SELECT tag FROM tag_days WHERE boxed + stripped + passed > 0);
