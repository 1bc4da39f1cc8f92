-- A claim is granted under an epoch above all others of the site.
CREATE INDEX leases_by_epoch ON leases (epoch);
