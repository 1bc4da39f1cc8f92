-- What a failover server may carry at a time, 0 without a bound; the second stream of a camera.
ALTER TABLE failover_servers ADD max_cameras {{.Number}} NOT NULL DEFAULT 0;
ALTER TABLE failover_servers ADD max_bit_rate {{.Number}} NOT NULL DEFAULT 0;
ALTER TABLE failover_servers ADD min_disk_time {{.Number}} NOT NULL DEFAULT 0;
ALTER TABLE cameras ADD sub {{.Text}} NOT NULL DEFAULT '';
