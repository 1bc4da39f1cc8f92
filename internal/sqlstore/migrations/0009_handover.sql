-- When a recording server takes its part back, and an operator's orders about who plays it, each as JSON.
ALTER TABLE recording_servers ADD COLUMN failback TEXT NOT NULL DEFAULT '{}';
ALTER TABLE recording_servers ADD COLUMN hand_over TEXT NOT NULL DEFAULT '{}';
ALTER TABLE recording_servers ADD COLUMN maintenance TEXT NOT NULL DEFAULT '{}';
ALTER TABLE recording_servers ADD COLUMN take_back INTEGER NOT NULL DEFAULT 0;
