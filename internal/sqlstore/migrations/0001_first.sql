-- Times are microseconds since 1970 UTC, 0 where there is none; durations are
-- nanoseconds; lists are JSON. Ids compare as bytes.

CREATE TABLE log (
    id     {{.Number}} PRIMARY KEY CHECK (id = 1),
    stream {{.Text}} NOT NULL,
    floor  {{.Number}} NOT NULL, -- no epoch up to it is granted again
    seq    {{.Number}} NOT NULL  -- of the newest event
){{.Strict}};

INSERT INTO log (id, stream, floor, seq) VALUES (1, '', 0, 0);

CREATE TABLE events (
    seq      {{.Number}} PRIMARY KEY,
    at       {{.Number}} NOT NULL,
    kind     {{.ID}} NOT NULL,
    actor    {{.Text}} NOT NULL,
    server   {{.Text}} NOT NULL,
    camera   {{.Text}} NOT NULL,
    sentence {{.Text}} NOT NULL,
    decided  {{.Number}} NOT NULL,
    changes  {{.Text}} NOT NULL
){{.Strict}};

CREATE INDEX events_by_kind ON events (kind, seq);

-- The cameras that an event is about or changes.
CREATE TABLE event_cameras (
    camera {{.ID}} NOT NULL,
    seq    {{.Number}} NOT NULL,
    PRIMARY KEY (camera, seq)
){{.StrictByKey}};

CREATE TABLE cameras (
    id        {{.ID}} PRIMARY KEY,
    name      {{.Text}} NOT NULL,
    home      {{.Text}} NOT NULL,
    url       {{.Text}} NOT NULL,
    transport {{.Text}} NOT NULL,
    username  {{.Text}} NOT NULL,
    failover  {{.Text}} NOT NULL,
    priority  {{.Number}} NOT NULL,
    keep_for  {{.Number}} NOT NULL
){{.Strict}};

-- Apart from the cameras, so that nothing that shows a camera can show this.
CREATE TABLE camera_passwords (
    camera {{.ID}} PRIMARY KEY,
    sealed {{.Bytes}} NOT NULL
){{.Strict}};

CREATE TABLE recording_servers (
    id              {{.ID}} PRIMARY KEY,
    name            {{.Text}} NOT NULL,
    media_address   {{.Text}} NOT NULL,
    state_address   {{.Text}} NOT NULL,
    merge_address   {{.Text}} NOT NULL,
    hot_standby     {{.Text}} NOT NULL,
    primary_group   {{.Text}} NOT NULL,
    secondary_group {{.Text}} NOT NULL
){{.Strict}};

CREATE TABLE failover_servers (
    id            {{.ID}} PRIMARY KEY,
    name          {{.Text}} NOT NULL,
    media_address {{.Text}} NOT NULL,
    state_address {{.Text}} NOT NULL,
    merge_address {{.Text}} NOT NULL
){{.Strict}};

CREATE TABLE failover_groups (
    id      {{.ID}} PRIMARY KEY,
    name    {{.Text}} NOT NULL,
    members {{.Text}} NOT NULL
){{.Strict}};

-- The row stays when its camera goes, with an empty holder: a camera that gets
-- the id again must not get its epochs again.
CREATE TABLE leases (
    camera   {{.ID}} PRIMARY KEY,
    holder   {{.ID}} NOT NULL,
    epoch    {{.Number}} NOT NULL CHECK (epoch > 0),
    since    {{.Number}} NOT NULL,
    sentence {{.Text}} NOT NULL
){{.Strict}};

CREATE TABLE claims (
    id      {{.ID}} PRIMARY KEY,
    digest  {{.Bytes}} NOT NULL,
    at      {{.Number}} NOT NULL,
    seq     {{.Number}} NOT NULL,
    granted {{.Text}} NOT NULL,
    refused {{.Text}} NOT NULL
){{.Strict}};

CREATE INDEX claims_by_time ON claims (at);

CREATE TABLE accounts (
    name    {{.ID}} PRIMARY KEY,
    role    {{.Text}} NOT NULL,
    cameras {{.Text}} NOT NULL,
    created {{.Number}} NOT NULL,
    hash    {{.Text}} NOT NULL
){{.Strict}};

CREATE TABLE tokens (
    hash    {{.Hash}} PRIMARY KEY,
    purpose {{.ID}} NOT NULL,
    account {{.Text}} NOT NULL,
    server  {{.Text}} NOT NULL,
    role    {{.Text}} NOT NULL,
    created {{.Number}} NOT NULL,
    expires {{.Number}} NOT NULL,
    used    {{.Number}} NOT NULL
){{.Strict}};

CREATE INDEX tokens_by_purpose ON tokens (purpose, created);
