-- Which failover server keeps a camera's stream open, and how many sessions the camera allows.
ALTER TABLE cameras ADD COLUMN mirror TEXT NOT NULL DEFAULT '';
ALTER TABLE cameras ADD COLUMN sessions INTEGER NOT NULL DEFAULT 0;
ALTER TABLE recording_servers ADD COLUMN mirror_standby TEXT NOT NULL DEFAULT '';
