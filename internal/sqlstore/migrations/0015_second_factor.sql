-- The second factor of an account, its secret sealed, as JSON.
ALTER TABLE accounts ADD second {{.Text}} NOT NULL DEFAULT '{}';
