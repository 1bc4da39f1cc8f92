package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"

	"understudy"
)

// listenAll listens on all addresses or on none.
func listenAll(ctx context.Context, addresses ...string) ([]net.Listener, error) {
	var listeners []net.Listener
	for _, address := range addresses {
		l, err := listenOn(ctx, address)
		if err != nil {
			for _, open := range listeners {
				open.Close()
			}
			return nil, err
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

func portOf(l net.Listener) int {
	at, _ := netip.ParseAddrPort(l.Addr().String()) // the address of a TCP listener is one
	return int(at.Port())
}

// listenOn listens, and says what to do when it cannot.
func listenOn(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, understudy.Errorf(understudy.CodeConflict, "%s is in use by another program; stop it, or choose another port in the configuration", address)
	case errors.Is(err, syscall.EACCES):
		return nil, understudy.Errorf(understudy.CodeForbidden, "this user may not listen on %s; choose a port above 1023, or grant CAP_NET_BIND_SERVICE", address)
	case err != nil:
		return nil, understudy.Errorf(understudy.CodeInvalid, "it is not possible to listen on %s; name an address of this machine in the configuration: %w", address, err)
	}
	return l, nil
}
