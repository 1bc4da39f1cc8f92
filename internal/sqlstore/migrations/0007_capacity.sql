-- What a failover server may carry at a time, 0 without a bound; the second stream of a camera.
ALTER TABLE failover_servers ADD COLUMN max_cameras INTEGER NOT NULL DEFAULT 0;
ALTER TABLE failover_servers ADD COLUMN max_bit_rate INTEGER NOT NULL DEFAULT 0;
ALTER TABLE failover_servers ADD COLUMN min_disk_time INTEGER NOT NULL DEFAULT 0;
ALTER TABLE cameras ADD COLUMN sub TEXT NOT NULL DEFAULT '';
