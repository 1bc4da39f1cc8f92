package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"time"

	"golang.org/x/sync/errgroup"

	"understudy/internal/api"
	"understudy/internal/listen"
)

// drainTime is how long a stopping server lets requests finish. The service
// channel's never do; its clients come back by themselves.
const drainTime = time.Second

// mostOpen is room for the 10,000 clients that a service channel takes, and then some.
const mostOpen = 16384

// serveHTTP serves HTTP on l, with TLS and without, until ctx ends.
func serveHTTP(ctx context.Context, l net.Listener, config *tls.Config, handler http.Handler, log *slog.Logger) error {
	mux := listen.New(l, config, listen.Options{AllowPlain: true, MostOpen: mostOpen, Log: log})
	requests := mux.HTTP()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return mux.Run(ctx) })
	g.Go(func() error { return listen.Serve(ctx, requests, api.Server(handler, log), drainTime) })
	return g.Wait()
}

// demoControl relays to the demo that runs this management server.
func demoControl(socket string) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "demo"
			r.Out.Header.Del("Cookie")
			r.Out.Header.Del("Authorization")
		},
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		}},
	}
}
