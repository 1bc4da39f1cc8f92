-- The latest pre-flight of each failover server, as JSON.
CREATE TABLE preflights (
    server  {{.ID}} PRIMARY KEY,
    content {{.Text}} NOT NULL
){{.Strict}};
