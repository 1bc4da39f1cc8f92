-- Who asked from where, what was there before as JSON, and the chain: each event's hash is
-- of that event and the hash before; the log has the newest one's.
ALTER TABLE events ADD address {{.Text}} NOT NULL DEFAULT '';
ALTER TABLE events ADD was {{.Text}} NOT NULL DEFAULT '[]';
ALTER TABLE events ADD hash {{.Text}} NOT NULL DEFAULT '';
ALTER TABLE log ADD head {{.Text}} NOT NULL DEFAULT '';
