-- How footage comes home to a recording server.
ALTER TABLE recording_servers ADD COLUMN merge_rate INTEGER NOT NULL DEFAULT 0;
ALTER TABLE recording_servers ADD COLUMN merge_windows TEXT NOT NULL DEFAULT '';
ALTER TABLE recording_servers ADD COLUMN merge_grace INTEGER NOT NULL DEFAULT 0;
