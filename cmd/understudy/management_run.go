package main

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"
)

func (m *managementServer) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	handler := m.handler()
	for i, l := range m.listeners {
		// Plain HTTP is let in to be redirected, or to be told to use TLS.
		g.Go(func() error {
			return serveHTTP(ctx, l, m.node.ManagementTLS(), handler, m.log.With("port", []string{"http", "https"}[i]))
		})
	}
	g.Go(func() error { return m.authority.KeepRenewed(ctx, m.node, m.log) })
	g.Go(func() error { return m.channel.Run(ctx) })
	g.Go(func() error { return m.self.Run(ctx) })
	g.Go(func() error { return m.watchServers(ctx) })
	g.Go(func() error { return m.incidents.Run(ctx) })
	g.Go(func() error { return m.tendOrders(ctx) })
	g.Go(func() error { return m.obeyRevocations(ctx) })
	g.Go(func() error { return m.tellAlarms(ctx) })
	g.Go(func() error { return m.outbox.Run(ctx) })
	g.Go(func() error { return m.uses.Run(ctx) })
	g.Go(func() error {
		return m.service.KeepUp(ctx, func(err error) {
			m.log.Warn("the database does not answer; what other management servers write is not heard until it does", "error", err)
		})
	})
	g.Go(func() error {
		return m.service.KeepHead(ctx, func(err error) {
			m.log.Warn("the end of the event log could not be kept outside of the database; it is tried again", "error", err)
		})
	})
	g.Go(func() error { return m.runOutward(ctx) })
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
