-- Which failover server keeps a camera's stream open, and how many sessions the camera allows.
ALTER TABLE cameras ADD mirror {{.Text}} NOT NULL DEFAULT '';
ALTER TABLE cameras ADD sessions {{.Number}} NOT NULL DEFAULT 0;
ALTER TABLE recording_servers ADD mirror_standby {{.Text}} NOT NULL DEFAULT '';
