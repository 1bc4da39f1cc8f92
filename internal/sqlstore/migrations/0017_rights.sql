-- Roles of a site's own, groups of cameras, and what users are granted on these and besides
-- the first role. The lists are JSON.
CREATE TABLE roles (
    name    {{.ID}} PRIMARY KEY,
    actions {{.Text}} NOT NULL
){{.Strict}};
CREATE TABLE camera_groups (
    id      {{.ID}} PRIMARY KEY,
    name    {{.Text}} NOT NULL,
    cameras {{.Text}} NOT NULL
){{.Strict}};
ALTER TABLE accounts ADD camera_groups {{.Text}} NOT NULL DEFAULT '[]';
ALTER TABLE accounts ADD also {{.Text}} NOT NULL DEFAULT '[]';
