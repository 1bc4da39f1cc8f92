-- Whose certificates are believed no more, if they were made before a time.
CREATE TABLE revocations (
    server      TEXT    PRIMARY KEY,
    made_before INTEGER NOT NULL,
    reason      TEXT    NOT NULL
) STRICT;
