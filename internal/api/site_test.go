package api

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/fstest"
	"time"

	"understudy"
	"understudy/client"
	"understudy/internal/channel"
	"understudy/internal/identity"
	"understudy/internal/incident"
	"understudy/internal/listen"
	"understudy/internal/management"
	"understudy/internal/usage"
)

const password = understudy.Secret("correct horse battery")

// site is a management server as it is put together in a process: real
// authority, real identity, real sockets.
type site struct {
	t          *testing.T
	dir        string // of the authority
	authority  *identity.Authority
	node       *identity.Node
	management *management.Management
	hub        *channel.Hub
	server     *server
	handler    http.Handler
	address    string // host:port, TLS and plain on one port
	config     Config
	uses       *usage.Book // is not run: it tells when it is closed
}

func newSite(t *testing.T) *site {
	t.Helper()
	return siteOf(t, t.TempDir())
}

// siteOf is a site whose authority lies in dir.
func siteOf(t *testing.T, dir string) *site {
	t.Helper()
	authority, err := identity.OpenAuthority(dir)
	check(t, err)
	node, err := authority.Node("management", understudy.RoleManagement, []string{"127.0.0.1", "localhost"})
	check(t, err)
	m, err := management.New(t.Context(), management.NewMemory(), management.Options{Sealer: authority, Bundles: authority, Hasher: identity.NewPasswords(), Issuer: authority, Witness: nobodyAnswers{}})
	check(t, err)
	s := &site{t: t, dir: dir, authority: authority, node: node, management: m}
	identify := Identifier{Session: m.Identify, Peer: node.Member, Renews: true, Sole: &Sole{}}
	s.hub = channel.NewHub(channel.Config{Feed: channel.Tail(m), History: m, Identify: identify.Identify})
	s.config = Config{
		Services: m, Authority: authority, Identify: identify, Channel: s.hub, TLS: node.ClientTLS, Version: "test",
		Trust: func(context.Context) (json.RawMessage, error) { return json.Marshal(authority.Trust()) },
		JoinToken: func(secret understudy.Secret) (understudy.Secret, error) {
			token, err := authority.JoinToken([]string{"https://" + s.address}, secret)
			return token.Encode(), err
		},
		Timelines: noTimeline{}, Demo: http.NotFoundHandler(),
		Status: func() []understudy.ServerStatus {
			return []understudy.ServerStatus{{Server: "rec-1", Reachable: true, Sentence: "It answers."}}
		},
		Web: fstest.MapFS{"index.html": {Data: []byte("<!doctype html>page")}},
		Log: slog.New(slog.DiscardHandler),
	}
	s.uses = usage.New("", func(r understudy.Report) { check(t, m.ReportOwn(context.Background(), "", r)) }, node, s.config.Log)
	s.config.Refused = s.uses.RefusedRoute
	s.config.Incidents = incident.NewBook(incident.Config{Site: m, Timelines: noTimeline{}, Status: s.config.Status})
	s.config.Report = incident.Report
	s.server = newServer(s.config)
	s.handler = NewManagement(s.config)
	s.run(s.hub.Run)
	s.address = s.listen(s.handler, node)
	return s
}

// nobodyAnswers is what a management server sees whose servers are all away.
type nobodyAnswers struct{}

func (nobodyAnswers) Awake() error                                                  { return nil }
func (nobodyAnswers) Ask(context.Context, []understudy.ServerID) []understudy.State { return nil }

type noTimeline struct{}

func (noTimeline) Timeline(_ context.Context, c understudy.CameraID, from, to time.Time) (understudy.Timeline, error) {
	return understudy.Timeline{Camera: c, From: from, To: to}, nil
}

// run runs f until the test ends.
func (s *site) run(f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = f(ctx)
	}()
	s.t.Cleanup(func() { cancel(); <-ended })
}

// listen serves a handler on a port of its own, with and without TLS.
func (s *site) listen(handler http.Handler, node *identity.Node) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(s.t, err)
	mux := listen.New(ln, node.ManagementTLS(), listen.Options{AllowPlain: true})
	requests := mux.HTTP()
	s.run(func(ctx context.Context) error {
		return listen.Serve(ctx, requests, Server(handler, slog.New(slog.DiscardHandler)), 0)
	})
	s.run(mux.Run)
	return ln.Addr().String()
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// userClient returns a client without a session.
func (s *site) userClient() *client.Client {
	config, err := identity.UserTLS(s.authority.CACertificate())
	check(s.t, err)
	return s.client(func(understudy.ServerID) *tls.Config { return config })
}

func (s *site) client(config func(understudy.ServerID) *tls.Config) *client.Client {
	c, err := client.New(client.Config{Addresses: []string{"https://" + s.address}, TLS: config, Boot: "one"})
	check(s.t, err)
	s.t.Cleanup(c.Close)
	return c
}

// administrator sets the site up and returns a client that is signed in.
func (s *site) administrator() *client.Client {
	code, err := s.management.SetupCode(s.t.Context())
	check(s.t, err)
	c := s.userClient()
	check(s.t, c.Setup(s.t.Context(), code, "ada", password))
	_, err = c.SignIn(s.t.Context(), "ada", password)
	check(s.t, err)
	return c
}

// user makes a user and returns a client that is signed in as it.
func (s *site) user(admin *client.Client, name string, role understudy.UserRole, cameras ...understudy.CameraID) *client.Client {
	_, err := admin.PutUser(s.t.Context(), understudy.User{Name: name, Role: role, Cameras: cameras}, new(password))
	check(s.t, err)
	c := s.userClient()
	_, err = c.SignIn(s.t.Context(), name, password)
	check(s.t, err)
	return c
}

// join joins a server by the way that a real one takes, and returns its node and client.
func (s *site) join(admin *client.Client, role understudy.Role, id understudy.ServerID, media string) (*identity.Node, *client.Client) {
	text, err := admin.CreateJoinToken(s.t.Context(), role, id, 0)
	check(s.t, err)
	token, err := identity.ParseJoinToken(string(text))
	check(s.t, err)
	dir := s.t.TempDir()
	csr, err := identity.NewJoinRequest(dir)
	check(s.t, err)
	pinned := identity.PinnedTLS(token)
	newcomer := s.client(func(understudy.ServerID) *tls.Config { return pinned })
	request := understudy.JoinRequest{Secret: token.Secret, Request: string(csr), Hosts: []string{"127.0.0.1"}}
	if role != understudy.RoleChannel {
		request.Addresses = understudy.Addresses{Media: media, State: "127.0.0.1:11000", Merge: "127.0.0.1:5210"}
	}
	answer, err := newcomer.Join(s.t.Context(), request)
	check(s.t, err)
	var trust identity.Trust
	check(s.t, json.Unmarshal(answer.Trust, &trust))
	node, err := identity.SaveNode(dir, []byte(answer.Certificate), trust)
	check(s.t, err)
	return node, s.client(node.ClientTLS)
}
