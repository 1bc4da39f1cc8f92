-- When a camera is recorded and how long footage is kept, as JSON.
ALTER TABLE cameras ADD COLUMN rule TEXT NOT NULL DEFAULT '{}';

-- Footage that nobody deletes; 0 is a lock without an end.
CREATE TABLE locks (
    id     TEXT    PRIMARY KEY,
    camera TEXT    NOT NULL,
    start  INTEGER NOT NULL,
    finish INTEGER NOT NULL,
    owner  TEXT    NOT NULL,
    reason TEXT    NOT NULL,
    until  INTEGER NOT NULL
) STRICT;

-- Events that were told lately, so that one that is told again is known.
CREATE TABLE triggers (
    id      TEXT    PRIMARY KEY,
    told    INTEGER NOT NULL,
    content TEXT    NOT NULL
) STRICT;

CREATE INDEX triggers_by_time ON triggers (told);
