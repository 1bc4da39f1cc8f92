package main

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"understudy"
	"understudy/internal/api"
	"understudy/internal/channel"
	"understudy/internal/config"
	"understudy/internal/identity"
)

func channelCommand() *cobra.Command {
	var file, token string
	c := &cobra.Command{
		Use:   "channel",
		Short: "Run a service channel in a process of its own, chained to the management server",
		Long: "Follows the management server's channel and tells any number of clients. It verifies their media tokens\n" +
			"without asking anyone. It takes no sessions: with one it could administer the site in its user's name.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.LoadChannel(file)
			if err != nil {
				return err
			}
			return runChannel(cmd.Context(), c, token)
		},
	}
	mediaFlags(c, &file, &token)
	return c
}

func runChannel(ctx context.Context, c config.Channel, token string) error {
	log, err := newLog(c.Log)
	if err != nil {
		return err
	}
	lock, err := dataFolder(c.Data)
	if err != nil {
		return err
	}
	defer lock.Close()
	node, site, err := membership{Data: c.Data, Role: understudy.RoleChannel, Hosts: c.Hosts, Token: token, Boot: rand.Text()}.member(ctx, log)
	if err != nil {
		return err
	}
	var hub *channel.Hub
	identify := api.Identifier{
		Session: func(context.Context, understudy.Secret) (understudy.Identity, error) {
			return understudy.Identity{}, understudy.Errorf(understudy.CodeUnauthenticated, "this service channel takes media tokens (POST /api/v1/media-tokens of the management server)")
		},
		Peer: identity.PeerIdentity, MediaToken: func(token string) (understudy.Identity, error) {
			site, known := hub.Site()
			if !known {
				return node.VerifyToken(token, nil)
			}
			return node.VerifyToken(token, &site)
		},
	}
	listeners, err := listenAll(ctx, c.HTTP, c.HTTPS)
	if err != nil {
		return err
	}
	followed := newTrusting(site, node)
	node.Hears(site.Heard)
	hub = channel.NewHub(channel.Config{Feed: followed, History: site, Identify: identify.Identify, Log: log})
	handler := api.NewChannel(identify, hub, channelReady(hub), portOf(listeners[1]), log)
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range listeners {
		g.Go(func() error { return serveHTTP(ctx, l, node.ServerTLS(), handler, log) })
	}
	g.Go(func() error { return hub.Run(ctx) })
	g.Go(func() error { return keepMembership(ctx, followed, log) })
	g.Go(func() error { return channelOperation(c.Metrics, node, hub, log).run(ctx) })
	if err := g.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
