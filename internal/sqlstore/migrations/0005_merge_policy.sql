-- How footage comes home to a recording server.
ALTER TABLE recording_servers ADD merge_rate {{.Number}} NOT NULL DEFAULT 0;
ALTER TABLE recording_servers ADD merge_windows {{.Text}} NOT NULL DEFAULT '';
ALTER TABLE recording_servers ADD merge_grace {{.Number}} NOT NULL DEFAULT 0;
