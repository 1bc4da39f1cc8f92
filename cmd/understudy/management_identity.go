package main

import (
	"context"
	"net"

	"understudy"
	"understudy/internal/identity"
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

// sole refuses a process that comes as a server of which another process answers where the
// site has it, and tells of it: one of them is a copy. The one at the address of the site is
// whom the others ask and send clients to, so that it stays.
func (m *managementServer) sole(ctx context.Context, server understudy.Identity, boot, from string) error {
	address, found := m.watcher.Double(ctx, server.Server, boot)
	if !found {
		return nil
	}
	m.alarm(func(ctx context.Context) error { return m.service.CopyFound(ctx, server.Server, from, address) })
	return understudy.Errorf(understudy.CodeForbidden,
		"another machine answers as %s at %s: one of the two is a copy of the other. This one records what it was told last, and gets nothing more; stop the copy, or `understudy server replace %s`",
		server.Server, address, server.Server)
}

// alarm tells the log of an identity in wrong hands, without waiting for it: whoever has it
// tries again, and is told of then.
func (m *managementServer) alarm(tell func(context.Context) error) {
	select {
	case m.alarms <- tell:
	default:
	}
}

// tellAlarms tells of revoked certificates that are shown and of copied servers, until ctx ends.
func (m *managementServer) tellAlarms(ctx context.Context) error {
	m.node.OnRevoked(func(id understudy.ServerID, from net.Addr) {
		host, _, err := net.SplitHostPort(from.String())
		if err != nil {
			host = from.String()
		}
		m.alarm(func(ctx context.Context) error { return m.service.RevokedShown(ctx, id, host) })
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
