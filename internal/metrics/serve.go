package metrics

import (
	"context"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"understudy"
	"understudy/internal/listen"
	"understudy/internal/remote"
)

const (
	headerTimeout = 5 * time.Second
	answerTimeout = 30 * time.Second // Prometheus gives up after 10 s
	idleTimeout   = 5 * time.Minute
	listenAgain   = 10 * time.Second
)

// Serve answers at c.Address until ctx ends; without an address it only waits.
// A role does its work whether or not it is measured: a port that is taken, or a
// token that cannot be read, is logged and tried again.
func Serve(ctx context.Context, c Config) error {
	said := ""
	for c.Address != "" && ctx.Err() == nil {
		err := serve(ctx, c)
		if ctx.Err() != nil {
			break
		}
		if err != nil && err.Error() != said {
			said = err.Error()
			c.Log.Error("metrics are not served; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(listenAgain):
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

func serve(ctx context.Context, c Config) error {
	token, err := readToken(c.TokenFile)
	if err != nil {
		return err
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", c.Address)
	if err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "it is not possible to listen on %s; name a free port of this machine as metrics.listen: %w", c.Address, err)
	}
	host, _, _ := net.SplitHostPort(c.Address) // on which it listens already
	// What is said on loopback nobody else hears.
	mux := listen.New(l, c.TLS, listen.Options{AllowPlain: remote.IsHere(host), Log: c.Log})
	server := &http.Server{Handler: Handler(c, token), ReadHeaderTimeout: headerTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout}
	requests := mux.HTTP()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return mux.Run(ctx) })
	g.Go(func() error { return listen.Serve(ctx, requests, server, 0) })
	c.Log.Info("metrics are served", "address", l.Addr().String(), "token", token != "")
	return g.Wait()
}

func readToken(file string) (understudy.Secret, error) {
	token, err := remote.Secret("metrics.token_file", file)
	if err != nil || file == "" {
		return "", err
	}
	if len(token) < minToken {
		return "", understudy.Errorf(understudy.CodeInvalid, "metrics.token_file %s has a token of %d characters, and at least %d are needed; `openssl rand -hex 24` makes one", file, len(token), minToken)
	}
	return understudy.Secret(token), nil
}

// minToken is as long as a token may not be guessed.
const minToken = 20
