-- When a camera is recorded and how long footage is kept, as JSON.
ALTER TABLE cameras ADD "rule" {{.Text}} NOT NULL DEFAULT '{}';

-- Footage that nobody deletes; 0 is a lock without an end.
CREATE TABLE locks (
    id     {{.ID}} PRIMARY KEY,
    camera {{.Text}} NOT NULL,
    start  {{.Number}} NOT NULL,
    finish {{.Number}} NOT NULL,
    owner  {{.Text}} NOT NULL,
    reason {{.Text}} NOT NULL,
    until  {{.Number}} NOT NULL
){{.Strict}};

-- Events that were told lately, so that one that is told again is known.
CREATE TABLE triggers (
    id      {{.ID}} PRIMARY KEY,
    told    {{.Number}} NOT NULL,
    content {{.Text}} NOT NULL
){{.Strict}};

CREATE INDEX triggers_by_time ON triggers (told);
