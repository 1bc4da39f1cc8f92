-- Times are microseconds since 1970 UTC, 0 where there is none; durations are
-- nanoseconds; lists are JSON. Ids compare as bytes.

CREATE TABLE log (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    stream TEXT    NOT NULL,
    floor  INTEGER NOT NULL, -- no epoch up to it is granted again
    seq    INTEGER NOT NULL  -- of the newest event
) STRICT;

INSERT INTO log (id, stream, floor, seq) VALUES (1, '', 0, 0);

CREATE TABLE events (
    seq      INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    actor    TEXT    NOT NULL,
    server   TEXT    NOT NULL,
    camera   TEXT    NOT NULL,
    sentence TEXT    NOT NULL,
    decided  INTEGER NOT NULL,
    changes  TEXT    NOT NULL
) STRICT;

CREATE INDEX events_by_kind ON events (kind, seq);

-- The cameras that an event is about or changes.
CREATE TABLE event_cameras (
    camera TEXT    NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (camera, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE cameras (
    id        TEXT    PRIMARY KEY,
    name      TEXT    NOT NULL,
    home      TEXT    NOT NULL,
    url       TEXT    NOT NULL,
    transport TEXT    NOT NULL,
    username  TEXT    NOT NULL,
    failover  TEXT    NOT NULL,
    priority  INTEGER NOT NULL,
    keep_for  INTEGER NOT NULL
) STRICT;

-- Apart from the cameras, so that nothing that shows a camera can show this.
CREATE TABLE camera_passwords (
    camera TEXT PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT;

CREATE TABLE recording_servers (
    id              TEXT PRIMARY KEY,
    name            TEXT NOT NULL,
    media_address   TEXT NOT NULL,
    state_address   TEXT NOT NULL,
    merge_address   TEXT NOT NULL,
    hot_standby     TEXT NOT NULL,
    primary_group   TEXT NOT NULL,
    secondary_group TEXT NOT NULL
) STRICT;

CREATE TABLE failover_servers (
    id            TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    media_address TEXT NOT NULL,
    state_address TEXT NOT NULL,
    merge_address TEXT NOT NULL
) STRICT;

CREATE TABLE failover_groups (
    id      TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    members TEXT NOT NULL
) STRICT;

-- The row stays when its camera goes, with an empty holder: a camera that gets
-- the id again must not get its epochs again.
CREATE TABLE leases (
    camera   TEXT    PRIMARY KEY,
    holder   TEXT    NOT NULL,
    epoch    INTEGER NOT NULL CHECK (epoch > 0),
    since    INTEGER NOT NULL,
    sentence TEXT    NOT NULL
) STRICT;

CREATE TABLE claims (
    id      TEXT    PRIMARY KEY,
    digest  BLOB    NOT NULL,
    at      INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    granted TEXT    NOT NULL,
    refused TEXT    NOT NULL
) STRICT;

CREATE INDEX claims_by_time ON claims (at);

CREATE TABLE accounts (
    name    TEXT    PRIMARY KEY,
    role    TEXT    NOT NULL,
    cameras TEXT    NOT NULL,
    created INTEGER NOT NULL,
    hash    TEXT    NOT NULL
) STRICT;

CREATE TABLE tokens (
    hash    BLOB    PRIMARY KEY,
    purpose TEXT    NOT NULL,
    account TEXT    NOT NULL,
    server  TEXT    NOT NULL,
    role    TEXT    NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    used    INTEGER NOT NULL
) STRICT;

CREATE INDEX tokens_by_purpose ON tokens (purpose, created);
