package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"understudy"
	"understudy/client"
	"understudy/internal/config"
	"understudy/internal/identity"
	"understudy/internal/mqtt"
	"understudy/internal/outbox"
	"understudy/internal/recording"
	"understudy/internal/storage"
	"understudy/internal/usage"
)

// mediaServer is what a recording and a failover server have in common: an
// identity, a store, three ports and a recorder.
type mediaServer struct {
	config   config.Media
	log      *slog.Logger
	lock     io.Closer // of the data folder
	node     *identity.Node
	site     *client.Client
	followed trusting // site, for those that follow it
	store    *storage.Store
	outbox   *outbox.Outbox
	uses     *usage.Book
	recorder *recording.Server
	events   *mqtt.Subscription // nil without a broker
}

func openMediaServer(ctx context.Context, role understudy.Role, file, token string) (_ *mediaServer, err error) {
	c, err := config.LoadMedia(file, role)
	if err != nil {
		return nil, err
	}
	m := &mediaServer{config: c}
	if m.log, err = newLog(c.Log); err != nil {
		return nil, err
	}
	if m.lock, err = dataFolder(c.Data); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			m.lock.Close()
		}
	}()
	boot := rand.Text()
	m.node, m.site, err = membership{Data: c.Data, Role: role, Hosts: c.Hosts, Listen: c.Listen, Token: token, Boot: boot}.member(ctx, m.log)
	if err != nil {
		return nil, err
	}
	m.followed = newTrusting(m.site, m.node)
	m.node.Hears(m.site.Heard)
	m.log = m.log.With("server", m.node.ID())
	m.outbox = outbox.New(m.node.ID(), m.site.Report, m.node, m.log)
	m.uses = usage.New(m.node.ID(), m.outbox.Report, m.node, m.log)
	if m.store, err = openStore(ctx, c.Storage, storage.Config{Server: m.node.ID(), Log: m.log, Events: m.outbox.Report}); err != nil {
		return nil, err
	}
	ports := []string{c.Listen.Media, c.Listen.State}
	if role == understudy.RoleRecording { // to a failover server no footage comes home
		ports = append(ports, c.Listen.Merge)
	}
	listeners, err := listenAll(ctx, ports...)
	if err != nil {
		return nil, errors.Join(err, m.store.Close())
	}
	recorder := recording.Config{
		ID: m.node.ID(), Role: role, Node: m.node, Boot: boot, Store: m.store, Media: listeners[0], State: listeners[1],
		PlainMedia: c.PlainMedia, Heard: m.site.Heard, Report: m.outbox.Report, Uses: m.uses, Log: m.log,
		Elsewhere: func(site func() (understudy.Site, bool)) understudy.RecordingService {
			return m.site.Elsewhere(m.node.ID(), site)
		},
	}
	if len(listeners) > 2 {
		recorder.Merge = listeners[2]
	}
	m.recorder = recording.New(recorder)
	if m.events, err = subscription(c.MQTT, m); err != nil {
		for _, l := range listeners {
			l.Close()
		}
		return nil, errors.Join(err, m.store.Close())
	}
	return m, nil
}

// run runs a role together with what keeps a member a member. ctx's end is a
// planned stop: leave does what must be done before the role ends.
func (m *mediaServer) run(ctx context.Context, role func(context.Context) error, leave func(context.Context)) error {
	whole, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, running := errgroup.WithContext(whole)
	forget := context.AfterFunc(ctx, func() {
		m.log.Info("asked to stop; recording goes on until somebody covers the cameras")
		leave(running)
		stop()
	})
	defer forget() // a role that failed leaves nothing to hand over
	g.Go(func() error { return role(running) })
	g.Go(func() error { return m.outbox.Run(running) })
	g.Go(func() error { return m.uses.Run(running) })
	if m.events != nil {
		g.Go(func() error { return m.events.Run(running) })
	}
	g.Go(func() error { return keepMembership(running, m.followed, m.log) })
	g.Go(func() error { return m.operation().run(running) })
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	err = errors.Join(err, m.store.Close())
	m.uses.Close()
	m.outbox.Keep() // what the store said last, too
	return errors.Join(err, m.lock.Close())
}
