package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"understudy"
	"understudy/internal/channel"
	"understudy/internal/config"
	"understudy/internal/identity"
	"understudy/internal/metrics"
	"understudy/internal/notify"
	"understudy/internal/supervise"
)

// operation is a role as its operator's tools see it: Prometheus and systemd.
type operation struct {
	role   understudy.Role
	config config.Metrics
	tls    *tls.Config
	parts  []prometheus.Collector
	ready  func() (bool, string)
	alive  func() (bool, string)
	log    *slog.Logger
}

// run tells of the role until ctx ends. It never ends the role.
func (o operation) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return supervise.Role{Ready: o.ready, Alive: o.alive, Log: o.log}.Run(ctx) })
	g.Go(func() error {
		return metrics.Serve(ctx, metrics.Config{
			Address: o.config.Listen, TokenFile: o.config.TokenFile, TLS: o.tls, Role: o.role, Version: version(),
			Parts: o.parts, Ready: o.ready, Log: o.log,
		})
	})
	return g.Wait()
}

func (m *mediaServer) operation() operation {
	media := &supervise.Media{State: m.recorder.State, Assignment: m.recorder.Assignment}
	return operation{
		role: m.node.Role(), config: m.config.Metrics, tls: m.node.ServerTLS(), ready: media.Ready, alive: media.Alive, log: m.log,
		parts: []prometheus.Collector{metrics.NewServer(metrics.ServerConfig{
			State: m.recorder.State, Assignment: m.recorder.Assignment, Heard: m.site.Heard, RenewAt: m.node.RenewAt,
			Waiting: m.outbox.Waiting, Syncs: m.store.Syncs,
		})},
	}
}

// outward is what a management server tells those outside its site.
type outward struct {
	requests *metrics.Requests
	counted  *metrics.Log
	ready    func() (bool, string)
	notifier *notify.Notifier
}

func (m *managementServer) openOutward() (o outward, err error) {
	o = outward{requests: metrics.NewRequests(), counted: metrics.NewLog(channel.Tail(m.service), m.log), ready: supervise.Lately(m.answers)}
	o.notifier, err = m.notifications()
	return o, err
}

func (m *managementServer) runOutward(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return m.counted.Run(ctx) })
	g.Go(func() error { return m.notifier.Run(ctx) })
	g.Go(func() error { return m.operation().run(ctx) })
	return g.Wait()
}

func (m *managementServer) operation() operation {
	return operation{
		role: understudy.RoleManagement, config: m.config.Metrics, tls: m.node.ServerTLS(), ready: m.ready, log: m.log,
		// That a question comes back is what counts: a database that is away is not mended by a new start.
		alive: func() (bool, string) { m.ready(); return true, "" },
		parts: []prometheus.Collector{m.requests, m.counted, metrics.NewNotifications(m.notified), metrics.NewClients(m.channel.Clients), metrics.NewSite(metrics.SiteConfig{
			Site: m.self.Current, Status: m.self.LastStatus, Preflights: m.service.Preflights,
		})},
	}
}

// storePatience is how long a management server's database may take for one question.
const storePatience = 5 * time.Second

// answers says whether this management server can answer: its database does, and
// the service channel knows the site.
func (m *managementServer) answers() (bool, string) {
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	if _, err := m.service.Events(ctx, understudy.EventQuery{Limit: 1}); err != nil {
		m.log.Warn("the database does not answer", "error", err)
		return false, "the database does not answer; the log of this server says why"
	}
	site, known := m.self.Current()
	if !known {
		return false, "the database answers; the service channel has not read the site yet"
	}
	return true, fmt.Sprintf("answers for %d cameras and %d servers", len(site.Cameras), len(site.MediaServers()))
}

func channelReady(hub *channel.Hub) func() (bool, string) {
	return func() (bool, string) {
		if _, known := hub.Site(); !known {
			return false, "has not heard from a management server yet"
		}
		return true, fmt.Sprintf("tells %d clients", hub.Clients())
	}
}

func channelOperation(c config.Metrics, node *identity.Node, hub *channel.Hub, log *slog.Logger) operation {
	ready := channelReady(hub)
	return operation{
		role: understudy.RoleChannel, config: c, tls: node.ServerTLS(), ready: ready, log: log,
		alive: func() (bool, string) { ready(); return true, "" },
		parts: []prometheus.Collector{metrics.NewClients(hub.Clients)},
	}
}

func (m *managementServer) notified() []metrics.Notification {
	var all []metrics.Notification
	for _, c := range m.notifier.Counts() {
		all = append(all, metrics.Notification(c))
	}
	return all
}
