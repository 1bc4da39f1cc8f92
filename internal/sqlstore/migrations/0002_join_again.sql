-- SHA-256 of the key that a join token was used with, empty where there is none:
-- the same server may join again, and no other.
ALTER TABLE tokens ADD COLUMN used_by BLOB NOT NULL DEFAULT x'';
