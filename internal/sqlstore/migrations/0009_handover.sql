-- When a recording server takes its part back, and an operator's orders about who plays it, each as JSON.
ALTER TABLE recording_servers ADD failback {{.Text}} NOT NULL DEFAULT '{}';
ALTER TABLE recording_servers ADD hand_over {{.Text}} NOT NULL DEFAULT '{}';
ALTER TABLE recording_servers ADD maintenance {{.Text}} NOT NULL DEFAULT '{}';
ALTER TABLE recording_servers ADD take_back {{.Number}} NOT NULL DEFAULT 0;
