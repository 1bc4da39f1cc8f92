package site

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"understudy"
)

// Place is the machine that a process runs on.
type Place struct {
	Address string   // its own, all ports free
	Enter   []string // comes before the program: what enters a network namespace, as nsenter does; empty is this machine
}

// addresses gives out loopback addresses, one for each server, so that each has
// the real ports; where the machine has only 127.0.0.1, or a port is taken,
// free ports there.
type addresses struct {
	network string // "127.0.0." of an address such as 127.0.0.11
	next    int
	place   func(name string) Place // nil unless each process has a machine of its own
}

// host returns the address of a process's own machine; where there is none, the
// next one of the network on which all ports are free, or 127.0.0.1 with free
// ports instead.
func (a *addresses) host(ctx context.Context, name string, ports ...int) (string, []int, error) {
	if a.place != nil {
		return a.place(name).Address, ports, nil
	}
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
