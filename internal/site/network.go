package site

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"

	"understudy"
)

// lockPort is held on the last address of a network that is taken. It is no port
// of a server, and below those that systems give out by themselves.
const lockPort = 8999

// TakeNetwork returns a loopback network that no other site on this machine has,
// until release is called: a port that is free now may be another's when the
// server that is to have it starts again. Where a machine has no loopback
// network but 127.0.0.1 it is that one, for free ports.
func TakeNetwork(ctx context.Context) (network string, release func(), err error) {
	for range 100 {
		network = fmt.Sprintf("127.%d.%d.", 64+rand.IntN(128), 1+rand.IntN(254))
		lock, err := listen(ctx, join(network+"254", lockPort))
		switch {
		case err == nil:
			return network, func() { _ = lock.Close() }, nil
		case errors.Is(err, syscall.EADDRNOTAVAIL):
			return "127.0.0.", func() {}, nil
		case !errors.Is(err, syscall.EADDRINUSE):
			return "", nil, understudy.Errorf(understudy.CodeUnavailable, "no loopback network could be taken: %w", err)
		}
	}
	return "", nil, understudy.Errorf(understudy.CodeUnavailable, "100 loopback networks were tried, and each is another site's; end some of them")
}
