package site

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"understudy"
)

// addresses gives out loopback addresses, one for each server, so that each has
// the real ports; where the machine has only 127.0.0.1, or a port is taken,
// free ports there.
type addresses struct {
	network string // "127.0.0." of an address such as 127.0.0.11
	next    int
}

// host returns the next address of the network on which all ports are free, or
// 127.0.0.1 with free ports instead.
func (a *addresses) host(ctx context.Context, ports ...int) (string, []int, error) {
	host := a.network + strconv.Itoa(a.next)
	a.next++
	if allFree(ctx, host, ports) {
		return host, ports, nil
	}
	free := make([]int, len(ports))
	held := make([]net.Listener, 0, len(ports))
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	for i := range ports {
		l, err := listen(ctx, "127.0.0.1:0")
		if err != nil {
			return "", nil, understudy.Errorf(understudy.CodeUnavailable, "this machine has no free port on 127.0.0.1: %w", err)
		}
		held = append(held, l)
		free[i] = l.Addr().(*net.TCPAddr).Port
	}
	return "127.0.0.1", free, nil
}

// allFree tries the ports, without keeping them.
func allFree(ctx context.Context, host string, ports []int) bool {
	for _, port := range ports {
		l, err := listen(ctx, join(host, port))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	return config.Listen(ctx, "tcp", address)
}

func join(host string, port int) string { return net.JoinHostPort(host, fmt.Sprint(port)) }
