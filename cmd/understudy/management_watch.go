package main

import (
	"context"
	"time"

	"understudy"
)

// watchServers looks at every server once a second, for the page and for what
// only the authority can do about it.
func (m *managementServer) watchServers(ctx context.Context) error {
	return m.watcher.Run(ctx, func(seen []understudy.ServerStatus) {
		m.channel.Status(seen)
		m.ratchet(ctx, seen)
	})
}

// ratchet tells the authority the highest epoch that any server has seen: a
// database restored from a backup must not grant one twice.
func (m *managementServer) ratchet(ctx context.Context, seen []understudy.ServerStatus) {
	highest := uint64(0)
	for _, s := range seen {
		if s.State != nil {
			highest = max(highest, s.State.Epoch)
		}
	}
	if err := m.service.Ratchet(ctx, highest); err != nil && ctx.Err() == nil {
		m.log.Error("the epochs that servers have seen could not be compared with the database", "error", err)
	}
}

// stateAddresses are not known before the first snapshot.
func (m *managementServer) stateAddresses() (map[understudy.ServerID]string, bool) {
	site, known := m.self.Current()
	addresses := map[understudy.ServerID]string{}
	for id, a := range site.MediaServers() {
		addresses[id] = a.State
	}
	return addresses, known
}

// tendOrders ends an operator's orders when their time is over: who hears this
// server goes by its word and not by a clock of its own.
func (m *managementServer) tendOrders(ctx context.Context) error {
	const every = time.Second
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if err := m.service.TendOrders(ctx); err != nil && ctx.Err() == nil {
			m.log.Error("the orders whose time is over could not be ended; servers that hear nothing of this one end them by themselves", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
