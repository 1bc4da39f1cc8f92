-- Where a session began.
ALTER TABLE tokens ADD address {{.Text}} NOT NULL DEFAULT '';
