-- The keys that passwords of cameras and second factors are sealed under, sealed themselves under
-- one that follows from the authority's file.
CREATE TABLE keyring (
    id     {{.Number}} PRIMARY KEY CHECK (id = 1),
    sealed {{.Bytes}} NOT NULL
){{.Strict}};
