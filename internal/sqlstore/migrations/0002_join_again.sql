-- SHA-256 of the key that a join token was used with, empty where there is none:
-- the same server may join again, and no other.
ALTER TABLE tokens ADD used_by {{.Bytes}} NOT NULL DEFAULT {{.NoBytes}};
