package main

import (
	"context"
	"net"

	"understudy"
	"understudy/internal/api"
	"understudy/internal/identity"
	"understudy/internal/listen"
)

// exchange takes the steps in the exchange of the CA, and has this server's own node follow at once.
type exchange struct {
	*identity.Authority
	m *managementServer
}

func (e exchange) AnnounceCA() error { return e.step(e.Authority.AnnounceCA) }
func (e exchange) UseCA() error      { return e.step(e.Authority.UseCA) }
func (e exchange) RetireCA() error   { return e.step(e.Authority.RetireCA) }

func (e exchange) step(take func() error) error {
	if err := take(); err != nil {
		return err
	}
	return e.m.obey(e.m.node.Trust().Revoked)
}

// sole refuses the copies of servers, and tells the log of them.
func (m *managementServer) sole() *api.Sole {
	return &api.Sole{
		Double: m.watcher.Double,
		Copied: func(server understudy.Identity, from, at string) {
			m.alarm(func(ctx context.Context) error { return m.service.CopyFound(ctx, server, from, at) })
		},
		Nameless: func(server understudy.ServerID, from string) {
			m.alarm(func(ctx context.Context) error { return m.service.NamelessCame(ctx, server, from) })
		},
	}
}

// alarm tells the log of an identity in wrong hands, without waiting for it: whoever has it
// tries again, and is told of then.
func (m *managementServer) alarm(tell func(context.Context) error) {
	select {
	case m.alarms <- tell:
	default:
	}
}

// tellAlarms tells of revoked certificates that are shown, of copied servers and of those that name no process, until ctx ends.
func (m *managementServer) tellAlarms(ctx context.Context) error {
	m.node.OnRevoked(func(id understudy.ServerID, from net.Addr) {
		m.alarm(func(ctx context.Context) error { return m.service.RevokedShown(ctx, id, listen.Host(from.String())) })
	})
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case tell := <-m.alarms:
			if err := tell(ctx); err != nil && ctx.Err() == nil {
				m.log.Error("an alarm of a server's identity could not be written into the log", "error", err)
			}
		}
	}
}
