package main

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"understudy"
	"understudy/client"
	"understudy/internal/identity"
)

// trusting is the management server as a member follows it: when certificates are
// revoked or the CA is exchanged, the member asks at once whom to trust now.
type trusting struct {
	*client.Client
	node *identity.Node
	due  chan struct{} // holds one token
}

func newTrusting(site *client.Client, node *identity.Node) trusting {
	t := trusting{Client: site, node: node, due: make(chan struct{}, 1)}
	site.Subscribe(func(_ understudy.Site, u understudy.Update) { t.look(u) }) // where the client follows by itself (Run)
	return t
}

// Follow implements understudy.Feed.
func (t trusting) Follow(ctx context.Context, after understudy.Cursor, f func(understudy.Update) error) error {
	return t.Client.Follow(ctx, after, func(u understudy.Update) error {
		t.look(u)
		return f(u)
	})
}

func (t trusting) look(u understudy.Update) {
	if t.differs(u) {
		select {
		case t.due <- struct{}{}:
		default:
		}
	}
}

func (t trusting) differs(u understudy.Update) bool {
	switch {
	case u.Event != nil:
		return slices.ContainsFunc(u.Event.Changes, func(c understudy.Change) bool { return c.Revoked != nil || c.CA != "" })
	case u.Site != nil:
		known := map[understudy.ServerID]time.Time{}
		for _, r := range t.node.Trust().Revoked {
			known[r.Server] = r.Before
		}
		return slices.ContainsFunc(u.Site.Revoked, func(r understudy.Revocation) bool { return r.Before.After(known[r.Server]) })
	}
	return false
}

// trust is whom members are to trust: the installation's CA, or both while it is exchanged,
// without what was revoked.
// The management server goes by it as well.
func (m *managementServer) trust(ctx context.Context) (json.RawMessage, error) {
	site, err := m.service.Site(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.obey(site.Revoked); err != nil {
		return nil, err
	}
	return json.Marshal(m.node.Trust())
}

func (m *managementServer) obey(revoked []understudy.Revocation) error {
	trust := m.authority.Trust()
	trust.Revoked, trust.Management = revoked, m.addresses()
	before := m.node.Trust().CA
	if err := m.authority.Tell(m.node, trust); err != nil || before == trust.CA {
		return err
	}
	return m.writeCA()
}

// obeyRevocations refuses whoever comes with a certificate that was revoked.
func (m *managementServer) obeyRevocations(ctx context.Context) error {
	sites := make(chan []understudy.Revocation, 1)
	defer m.self.Subscribe(func(site understudy.Site, _ understudy.Update) {
		select {
		case <-sites:
		default:
		}
		sites <- site.Revoked
	})()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case revoked := <-sites:
			if err := m.obey(revoked); err != nil {
				m.log.Error("a revocation could not be obeyed", "error", err)
			}
		}
	}
}
