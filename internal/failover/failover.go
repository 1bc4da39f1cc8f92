// Package failover decides when a failover server stands in for another, and does it.
package failover
