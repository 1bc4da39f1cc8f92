-- The latest pre-flight of each failover server, as JSON.
CREATE TABLE preflights (
    server  TEXT PRIMARY KEY,
    content TEXT NOT NULL
) STRICT;
