package listen

import "net"

// Host returns the host of an address that a connection came from, or all of it where it has no port.
func Host(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}
