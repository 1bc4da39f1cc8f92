package bench

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"understudy"
	"understudy/client"
	"understudy/internal/identity"
	"understudy/internal/site"
)

const (
	benchChannel  = understudy.ServerID("channel1")
	crowdPassword = understudy.Secret("a password of the benchmark")
	dialAtOnce    = 64
)

// crowd is a service channel in a process of its own, and its clients in this one.
type crowd struct {
	dir     string
	binary  string // the understudy program
	site    *site.Site
	say     func(string)
	channel *site.Process
	address string // host:port of the channel
	clients []*channelClient
	rss     float64 // MiB of the channel, the most
}

// startChannel runs the channel on a host, chained to the site's management server.
func (c *crowd) startChannel(ctx context.Context, host string) error {
	c.say("a service channel")
	token, err := c.site.Client.CreateJoinToken(ctx, understudy.RoleChannel, benchChannel, time.Minute)
	if err != nil {
		return err
	}
	c.address = host + ":8443"
	config, secret := filepath.Join(c.dir, "channel.yaml"), filepath.Join(c.dir, "join-token")
	settings := fmt.Sprintf("{data: %q, hosts: [%q], http: '%s:8080', https: %q}", filepath.Join(c.dir, "channel"), host, host, c.address)
	if err := errors.Join(os.WriteFile(config, []byte(settings), 0o600), os.WriteFile(secret, []byte(token), 0o600)); err != nil {
		return err
	}
	c.channel = site.NewProcess(string(benchChannel), filepath.Join(c.dir, "channel.log"), c.binary, "channel", "--config", config, "--join", "@"+secret)
	return c.channel.Start()
}

// caller is who a client is, and what it knows of the site already.
type caller struct {
	token  understudy.Secret
	cursor understudy.Cursor // the zero Cursor: nothing
}

// connect connects so many clients, and returns when each knows the site, and how long that took.
func (c *crowd) connect(ctx context.Context, count int, who func(n int) caller) (took time.Duration, err error) {
	trust, err := identity.UserTLS(c.site.CA)
	if err != nil {
		return 0, err
	}
	if err := c.reachable(ctx, trust, who(0)); err != nil {
		return 0, err
	}
	c.say(fmt.Sprintf("%d clients", count))
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(dialAtOnce)
	c.clients = make([]*channelClient, count)
	for n := range c.clients {
		group.Go(func() (err error) {
			c.clients[n], err = dialChannel(ctx, c.address, trust, who(n))
			return err
		})
	}
	err = group.Wait()
	c.clients = slices.DeleteFunc(c.clients, func(c *channelClient) bool { return c == nil })
	return time.Since(began), errors.Join(err, c.sample())
}

// reachable waits for the channel to have joined and to know the site.
func (c *crowd) reachable(ctx context.Context, trust *tls.Config, who caller) error {
	for deadline := time.Now().Add(30 * time.Second); ; {
		client, err := dialChannel(ctx, c.address, trust, who)
		if err == nil {
			client.close()
			return nil
		}
		if time.Now().After(deadline) {
			return understudy.Errorf(understudy.CodeUnavailable, "the service channel does not answer: %w; it said: %s", err, c.channel.LastWords())
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// sample notes how much memory the channel has now.
func (c *crowd) sample() error {
	resident, err := site.Resident(c.channel.PID())
	c.rss = math.Max(c.rss, round(float64(resident)/(1<<20)))
	return err
}

func (c *crowd) end() {
	for _, client := range c.clients {
		client.close()
	}
	if c.channel != nil {
		_ = c.channel.Signal(os.Kill) // it may be gone already
	}
}

// addUser makes an operator who sees those cameras, and returns what they show a service channel.
func (c *crowd) addUser(ctx context.Context, name string, cameras []understudy.CameraID) (understudy.Secret, error) {
	password := crowdPassword
	if _, err := c.site.Client.PutUser(ctx, understudy.User{Name: name, Role: understudy.RoleOperator, Cameras: cameras}, &password); err != nil {
		return "", err
	}
	user, err := c.asUser()
	if err != nil {
		return "", err
	}
	defer user.Close()
	if _, err := user.SignIn(ctx, name, password); err != nil {
		return "", err
	}
	return user.MediaToken(ctx)
}

// asUser is a client of the management server that has not signed in.
func (c *crowd) asUser() (*client.Client, error) {
	trust, err := identity.UserTLS(c.site.CA)
	if err != nil {
		return nil, err
	}
	return client.New(client.Config{Addresses: []string{c.site.URL}, TLS: func(understudy.ServerID) *tls.Config { return trust }})
}

// asServer is a client of the management server that speaks as one of the site's servers.
func (c *crowd) asServer(id understudy.ServerID, role understudy.Role) (*client.Client, error) {
	node, err := joinedNode(c.site.Folder(site.Management), filepath.Join(c.dir, string(id)), id, role)
	if err != nil {
		return nil, err
	}
	return client.New(client.Config{Addresses: []string{"https://" + c.site.HTTP}, TLS: node.ClientTLS, Boot: rand.Text()})
}
