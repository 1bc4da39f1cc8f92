-- Where a session began.
ALTER TABLE tokens ADD COLUMN address TEXT NOT NULL DEFAULT '';
