-- What a user who has no account may do while the session lasts, as JSON.
ALTER TABLE tokens ADD visitor {{.Text}} NOT NULL DEFAULT '{}';
