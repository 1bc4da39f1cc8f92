-- Whose certificates are believed no more, if they were made before a time.
CREATE TABLE revocations (
    server      {{.ID}} PRIMARY KEY,
    made_before {{.Number}} NOT NULL,
    reason      {{.Text}} NOT NULL
){{.Strict}};
