-- Media tokens of whom are believed no more, if they were given before a time. The key is
-- the hash of the name, which may be long.
CREATE TABLE recalls (
    hash        {{.Hash}} PRIMARY KEY,
    account     {{.Text}} NOT NULL,
    made_before {{.Number}} NOT NULL
){{.Strict}};
