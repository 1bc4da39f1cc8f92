package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"

	"github.com/spf13/cobra"

	"understudy"
	"understudy/client"
	"understudy/internal/api"
	"understudy/internal/channel"
	"understudy/internal/config"
	"understudy/internal/identity"
	"understudy/internal/incident"
	"understudy/internal/management"
	"understudy/internal/outbox"
	"understudy/internal/poll"
	"understudy/internal/sqlstore"
	"understudy/internal/usage"
)

// managementID is the name of the one management server of a site.
const managementID = understudy.ServerID("management")

func managementCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "management",
		Short: "Run the management server: configuration, leases, events, users, the page",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.LoadManagement(file)
			if err != nil {
				return err
			}
			m, err := openManagement(cmd.Context(), c)
			if err != nil {
				return err
			}
			if err = m.welcome(cmd.Context(), cmd.OutOrStdout()); err == nil {
				err = m.run(cmd.Context())
			}
			m.uses.Close()
			m.outbox.Keep()
			return errors.Join(err, m.store.Close(), m.lock.Close())
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration file (YAML); the defaults unless given")
	return c
}

// managementServer is the parts of the role.
type managementServer struct {
	outward
	config    config.Management
	log       *slog.Logger
	lock      io.Closer // of the data folder
	authority *identity.Authority
	node      *identity.Node
	store     *sqlstore.Store
	watcher   *poll.Watcher
	service   *management.Management
	self      *client.Client // looks at all servers for timelines
	channel   *channel.Hub
	outbox    *outbox.Outbox // of uses alone
	uses      *usage.Book
	incidents *incident.Book
	identify  api.Identifier // who asks the API, and the channel
	tickets   *api.Tickets   // nil without a realm
	openID    *api.OpenID    // nil without an identity provider
	listeners []net.Listener // http, https
	alarms    chan func(context.Context) error
}

func openManagement(ctx context.Context, c config.Management) (_ *managementServer, err error) {
	m := &managementServer{config: c, alarms: make(chan func(context.Context) error, 16)}
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
	if m.store, err = openSite(ctx, c.Store, m.log); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.store.Close())
		}
	}()
	if m.authority, err = openAuthority(ctx, c.Data, c.KeyFile, m.store); err != nil {
		return nil, err
	}
	if m.node, err = m.authority.Node(managementID, understudy.RoleManagement, append(c.Hosts, "localhost", "127.0.0.1")); err != nil {
		return nil, err
	}
	if m.listeners, err = listenAll(ctx, c.HTTP, c.HTTPS); err != nil {
		return nil, err
	}
	if err = m.openDoors(); err != nil {
		return nil, err
	}
	m.watcher = poll.NewWatcher(m.stateAddresses, m.node.ClientTLS)
	m.watcher.OnDouble(func(id understudy.ServerID, at string) {
		m.alarm(func(ctx context.Context) error { return m.service.TwoAnswer(ctx, id, at) })
	})
	m.service, err = management.New(ctx, m.store, management.Options{
		Sealer: m.authority, Bundles: m.authority, Hasher: identity.NewPasswords(), Witness: m.watcher, AuditKey: m.authority.AuditKey(), Issuer: exchange{m.authority, m}, Anchor: auditHead{m.node},
	})
	if err != nil {
		return nil, err
	}
	if err = m.warnOfGrants(ctx); err != nil {
		return nil, err
	}
	m.self, err = client.New(client.Config{Addresses: []string{"https://" + m.listeners[1].Addr().String()}, TLS: m.node.ClientTLS, Log: m.log})
	if err != nil {
		return nil, err
	}
	m.outbox = outbox.New("", m.service.ReportOwn, m.node, m.log)
	m.uses = usage.New("", m.outbox.Report, m.node, m.log)
	m.identify = api.Identifier{Session: m.service.Identify, Peer: m.node.Member, Renews: true, Tickets: m.tickets, Sole: m.sole()}
	m.channel = channel.NewHub(channel.Config{Feed: channel.Tail(m.service), History: m.service, Identify: m.identify.Identify, Log: m.log})
	m.incidents = incident.NewBook(incident.Config{Site: m.service, Timelines: m.self, Status: m.self.LastStatus, Log: m.log})
	m.outward, err = m.openOutward()
	return m, err
}
