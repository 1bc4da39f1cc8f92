-- Who asked from where, what was there before as JSON, and the chain: each event's hash is
-- of that event and the hash before; the log has the newest one's.
ALTER TABLE events ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN was TEXT NOT NULL DEFAULT '[]';
ALTER TABLE events ADD COLUMN hash TEXT NOT NULL DEFAULT '';
ALTER TABLE log ADD COLUMN head TEXT NOT NULL DEFAULT '';
