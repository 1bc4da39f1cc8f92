// Package client is how programs use a site: the same service interfaces that
// the management server implements, over HTTP; the service channel followed
// across restarts; live pictures, timelines and exports over all servers that
// hold footage.
package client

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"understudy"
)

// Config says where a site is and as whom to use it.
type Config struct {
	// Addresses are the URLs of management servers, https://host[:port], tried in this order.
	Addresses []string
	// Channels are URLs of service channels that run by themselves; empty is
	// the channel of the management servers.
	Channels []string
	// TLS returns how to connect to a server; an empty id is a management server
	// or a channel. An identity.Node's ClientTLS is one. A configuration that
	// shows a certificate makes this the client of a server, which needs no token.
	TLS func(server understudy.ServerID) *tls.Config
	// Verify returns what a server says of its part in a camera, if it is in its own
	// words (identity.StatementVerifier). Nil: servers are not asked, and whose
	// picture stands still is found out by connecting to one after the other.
	Verify func(understudy.SignedStatement) (understudy.Statement, error)
	// Memory keeps the site and the last media token for a run that finds no
	// management server; nil keeps nothing.
	Memory Memory
	// Boot names this process of a server (State.Boot), so that a copy of the server's
	// folder that runs elsewhere is told from it. Empty for who is no server.
	Boot string
	// Token is the bearer of a session; SignIn replaces it.
	Token understudy.Secret
	Log   *slog.Logger // nil is silent
}

// Client is the client of a site. It is safe for concurrent use.
type Client struct {
	config     Config
	log        *slog.Logger
	management []*url.URL
	channels   []*url.URL
	member     bool         // a server, known by its certificate
	heard      atomic.Int64 // when a management server last said anything, in Unix nanoseconds

	mu         sync.Mutex
	preferred  int // index of the management server that answered last
	token      understudy.Secret
	shown      understudy.MediaToken // to media ports
	shownFresh time.Time             // until when it is shown without asking for another
	asking     bool                  // for another one
	away       time.Time             // until when nobody is asked for another: nobody answered
	known      Known                 // as Memory has it
	connection map[understudy.ServerID]*http.Client
	places     map[understudy.ServerID]chan struct{} // for questions to a server

	follow following
}

var _ interface {
	understudy.ManagementService
	understudy.IncidentService
	understudy.Feed
} = (*Client)(nil)

// New returns a client; it connects when it is used. CodeInvalid for an address that is no https URL.
func New(c Config) (*Client, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	management, err := parseURLs(c.Addresses)
	if err != nil {
		return nil, err
	}
	channels, err := parseURLs(c.Channels)
	if err != nil {
		return nil, err
	}
	if len(management) == 0 {
		return nil, understudy.Errorf(understudy.CodeInvalid, "the address of a management server is needed, such as https://vms.example.com")
	}
	if len(channels) == 0 {
		channels = management
	}
	if c.TLS == nil {
		c.TLS = func(understudy.ServerID) *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS13} }
	}
	own := c.TLS("")
	client := &Client{
		config: c, log: c.Log, management: management, channels: channels, token: c.Token,
		member:     len(own.Certificates) > 0 || own.GetClientCertificate != nil,
		connection: map[understudy.ServerID]*http.Client{}, places: map[understudy.ServerID]chan struct{}{},
		follow: following{subscribers: map[int]func(understudy.Site, understudy.Update){}},
	}
	if c.Memory != nil {
		client.known, _ = c.Memory.Recall()
		client.shown = client.known.Token
	}
	return client, nil
}

// SetAddresses has other management servers asked from now on: those of a site come and
// go. Service channels that run by themselves stay. CodeInvalid as for New, and nothing changes.
func (c *Client) SetAddresses(addresses []string) error {
	management, err := parseURLs(addresses)
	if err != nil {
		return err
	}
	if len(management) == 0 {
		return understudy.Errorf(understudy.CodeInvalid, "the address of a management server is needed, such as https://vms.example.com")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.management, c.preferred = management, 0
	if len(c.config.Channels) == 0 {
		c.channels = management
	}
	return nil
}

func parseURLs(texts []string) ([]*url.URL, error) {
	var urls []*url.URL
	for _, text := range texts {
		u, err := url.Parse(strings.TrimSuffix(text, "/"))
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Path != "" {
			return nil, understudy.Errorf(understudy.CodeInvalid,
				"the address of a management server or channel is https://host or https://host:port, found %.200q", text)
		}
		urls = append(urls, u)
	}
	return urls, nil
}

// Bounds of connections: a server that is there answers a connection at once,
// and one that is not must not hold up the next.
const (
	dialTimeout      = 3 * time.Second
	handshakeTimeout = 5 * time.Second
	idleTimeout      = 30 * time.Second
	idlePerServer    = 256 // who looks on at many cameras asks for all of them at once, more than once
)

// TLSFor returns how to connect to a server; an empty id is a management server.
func (c *Client) TLSFor(server understudy.ServerID) *tls.Config { return c.config.TLS(server) }

// HTTP returns the HTTP client of connections to a server; an empty id is the
// management servers. It follows no redirects, sets no overall timeout, and is
// shared by all callers.
func (c *Client) HTTP(server understudy.ServerID) *http.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h, ok := c.connection[server]; ok {
		return h
	}
	h := &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: dialTimeout, KeepAlive: 5 * time.Second}).DialContext,
			TLSClientConfig:     c.config.TLS(server),
			TLSHandshakeTimeout: handshakeTimeout,
			IdleConnTimeout:     idleTimeout,
			MaxIdleConnsPerHost: idlePerServer,
			Proxy:               nil, // a proxy would see footage, and the address is the site's own
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.connection[server] = h
	return h
}

// Close ends idle connections. Requests that are under way go on.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.connection {
		h.CloseIdleConnections()
	}
}

// Token returns the bearer of the session; empty for a server and before SignIn.
func (c *Client) Token() understudy.Secret {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token
}

// Heard returns when a management server last answered or told anything; the
// zero time if none has yet.
func (c *Client) Heard() time.Time {
	at := c.heard.Load()
	if at == 0 {
		return time.Time{}
	}
	return time.Unix(0, at)
}

func (c *Client) hear() { c.heard.Store(time.Now().UnixNano()) }

// How long management servers may take to give another token in place of one
// that there is, and how long they are not asked again when they did not answer:
// one that hangs would cost each connection its time anew.
const (
	tokenPatience = 2 * time.Second
	tokenPause    = 3 * time.Second
)

// anew replaces a media token that a server refused: it may have been recalled since it was
// given (understudy.Recall). The second other one is of another second than the recall. It is
// false when there is none, or no use in trying once more.
func (c *Client) anew(ctx context.Context, token *understudy.Secret, tries int) bool {
	if *token == "" || tries >= 2 {
		return false
	}
	if tries > 0 {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(time.Second):
		}
	}
	c.mu.Lock()
	if c.shown.Token == *token {
		c.shownFresh, c.away = time.Time{}, time.Time{}
	}
	c.mu.Unlock()
	next, err := c.MediaToken(ctx)
	*token = next
	return err == nil
}

// MediaToken returns what to show recording and failover servers. It asks for
// another when half of the last one's life is over. While management servers are
// away it goes on with the last one, past its end: the servers decide for how
// long (identity.Node.VerifyTokenSince). A server gets an empty token: its
// certificate is its identity.
func (c *Client) MediaToken(ctx context.Context) (understudy.Secret, error) {
	if c.member {
		return "", nil
	}
	now := time.Now()
	c.mu.Lock()
	media := c.shown
	if media.Token != "" && (c.asking || now.Before(c.shownFresh) || now.Before(c.away)) {
		c.mu.Unlock()
		return media.Token, nil
	}
	c.asking = true
	c.mu.Unlock()
	if media.Token != "" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, tokenPatience)
		defer cancel()
	}
	var next understudy.MediaToken
	err := c.do(ctx, http.MethodPost, "/media-tokens", struct{}{}, &next)
	if err == nil {
		site, ok := c.Current()
		c.keep(func(k *Known) {
			k.Token = next
			if ok {
				k.Site = site
			}
		})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asking = false
	switch {
	case err == nil:
		c.shown, c.shownFresh = next, now.Add(next.Expires.Sub(now)/2)
		return next.Token, nil
	case media.Token == "" || understudy.CodeOf(err) != understudy.CodeUnavailable:
		return "", err
	}
	c.away = time.Now().Add(tokenPause)
	return media.Token, nil
}
