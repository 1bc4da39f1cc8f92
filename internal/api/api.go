// Package api is the management server over HTTP: REST with OpenAPI, the
// service channel, the web page, and a relay to the media ports. Every route
// says who may use it; one that does not say so cannot be registered.
package api

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"understudy"
)

// Services are what a management server does; management.Management is them all.
type Services interface {
	understudy.ManagementService
	// BeginSession is a session for who was proven elsewhere and has no account here.
	BeginSession(ctx context.Context, i understudy.Identity, until time.Time) (understudy.Session, error)
	// Sessions are those that go on, of a user or, for an empty name, of everyone.
	Sessions(ctx context.Context, user string) ([]understudy.Session, error)
	EndSession(ctx context.Context, user, id string) error
	SignInWithCode(ctx context.Context, name string, password, code understudy.Secret) (understudy.Session, error)
	BeginSecondFactor(ctx context.Context, user string, password understudy.Secret) (secret, address understudy.Secret, err error)
	ConfirmSecondFactor(ctx context.Context, user string, code understudy.Secret) error
	RemoveSecondFactor(ctx context.Context, user string, password, code understudy.Secret) error
	ResetSecondFactor(ctx context.Context, user string) error
	Setup(ctx context.Context, code understudy.Secret, user string, password understudy.Secret) (understudy.User, error)
	CreateJoinToken(ctx context.Context, role understudy.Role, id understudy.ServerID, ttl time.Duration) (understudy.Secret, error)
	UseJoinToken(ctx context.Context, secret understudy.Secret, key [32]byte, as understudy.Role) (understudy.Role, understudy.ServerID, error)
}

// Authority signs; identity.Authority is one.
type Authority interface {
	CACertificate() []byte
	Sign(csrPEM []byte, id understudy.ServerID, role understudy.Role, hosts []string, ttl time.Duration) ([]byte, error)
	SignToken(i understudy.Identity, ttl time.Duration) (understudy.MediaToken, error)
}

// Config is what a management server's handler is made of.
type Config struct {
	Services  Services
	Authority Authority
	// Trust is what a member needs to know the others by, as JSON.
	Trust func(ctx context.Context) (json.RawMessage, error)
	// JoinToken makes of a secret the line that a joining server is given.
	JoinToken func(secret understudy.Secret) (understudy.Secret, error)
	// Identify says who asks. Media tokens are no identity here.
	Identify Identifier
	// OpenID lets the users of an identity provider in; nil where there is none.
	OpenID *OpenID
	// Status is what was last seen of each server.
	Status func() []understudy.ServerStatus
	// Timelines looks at all servers; nil where there is none.
	Timelines understudy.TimelineService
	// Incidents tells the stories of failovers; nil where nobody does.
	Incidents understudy.IncidentService
	// Report writes an incident as one page that needs nothing else.
	Report func(w io.Writer, i understudy.Incident) error
	// Channel serves the service channel; it identifies by itself, too.
	Channel http.Handler
	// TLS connects the relay to a server's media port. Certificates in it are not shown.
	TLS func(server understudy.ServerID) *tls.Config
	// Web is the web page; nil is none.
	Web fs.FS
	// Demo, when not nil, serves /api/v1/demo/ for administrators; only the demo has one.
	Demo http.Handler
	// HTTPS is the port of users, to which plain HTTP is redirected; 0 is 443.
	HTTPS   int
	Version string
	// Ready says in a sentence, which anyone may read, whether requests can be answered; nil is always.
	Ready func() (ready bool, sentence string)
	// Refused is told of whom a request was refused for want of rights, and of which route; nil tells nobody.
	Refused func(i understudy.Identity, route string)
	// Answered is told of each request that has been; nil tells nobody.
	Answered func(route string, status int, took time.Duration)
	Log      *slog.Logger // nil is silent
}

// server is the handler under construction, and then what its routes share.
type server struct {
	Config
	gate *gate
	huma huma.API
}

const base = "/api/v1"

// NewManagement returns the handler of a management server. Request.TLS must be
// set on connections with TLS (listen.Serve).
func NewManagement(c Config) http.Handler {
	s := newServer(c)
	return outside(s.gate, c.HTTPS, s.Log)
}

func newServer(c Config) *server {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Status == nil {
		c.Status = func() []understudy.ServerStatus { return nil }
	}
	s := &server{Config: c, gate: newGate(c.Identify, c.Log)}
	s.gate.refused, s.gate.answered = c.Refused, c.Answered
	s.huma = humago.New(s.gate, describe(c.Version))
	s.accessRoutes()
	s.rightsRoutes()
	s.secondFactorRoutes()
	s.openIDRoutes()
	s.siteRoutes()
	s.serverRoutes()
	s.preflightRoutes()
	s.orderRoutes()
	s.logRoutes()
	s.auditRoutes()
	s.rulesRoutes()
	s.incidentRoutes()
	s.plainRoutes()
	s.docsRoutes()
	return s
}

// describe configures the OpenAPI description. Unknown fields are let through,
// since a server may be newer than its management server; what is missing is
// told by the services, in sentences.
func describe(version string) huma.Config {
	h := huma.DefaultConfig("Understudy", version)
	h.Info.Description = "A video management system whose recording survives the loss of a recording server. " +
		"Sign in and send the token as `Authorization: Bearer`, or let the page keep it in a cookie; servers show the certificate of their installation. " +
		"An error is `{\"code\", \"message\"}`; branch on the code, show the message."
	h.OpenAPIPath, h.DocsPath, h.SchemasPath, h.CreateHooks = "", "", "", nil
	h.FieldsOptionalByDefault = true
	h.AllowAdditionalPropertiesByDefault = true
	h.Formats = map[string]huma.Format{}
	for _, name := range []string{"application/json", "json"} {
		h.Formats[name] = huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal}
	}
	h.Transformers = []huma.Transformer{plainError}
	h.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"session": {Type: "http", Scheme: "bearer", Description: "Token of POST /api/v1/sign-in"},
		"server":  {Type: "mutualTLS", Description: "Certificate of a server of the installation"},
	}
	return h
}

// plainRoutes registers what is not REST.
func (s *server) plainRoutes() {
	s.gate.handle("GET "+base+"/health", anyone, s.health)
	s.gate.handle("GET "+base+"/ready", anyone, readiness(s.Ready))
	s.gate.handle("GET "+base+"/ca.pem", anyone, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-pem-file")
		w.Header().Set("Content-Disposition", `attachment; filename="understudy-ca.pem"`)
		_, _ = w.Write(s.Authority.CACertificate()) // the client may be gone
	})
	if s.Channel != nil {
		s.gate.handle("GET "+base+"/channel", may(understudy.ActionStatus), s.Channel.ServeHTTP)
	}
	if s.TLS != nil {
		s.gate.handle("GET /relay/{server}/{path...}", may(understudy.ActionStatus), newRelay(s.Services, s.TLS, s.Log).ServeHTTP)
	}
	if s.Demo != nil {
		s.gate.handle(base+"/demo/", may(understudy.ActionAdminister), http.StripPrefix(base+"/demo", s.Demo).ServeHTTP)
	}
	s.gate.handle(base+"/", signedIn, func(w http.ResponseWriter, r *http.Request) {
		writeError(w, r, s.Log, understudy.Errorf(understudy.CodeNotFound, "there is no %s %s; what there is stands at /docs", r.Method, r.URL.Path))
	})
	if s.Web != nil {
		s.pageRoutes()
	}
}

func (s *server) health(w http.ResponseWriter, _ *http.Request) { healthy(w) }

func healthy(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte("{\"status\":\"ok\"}\n")) // the client may be gone
}

// readiness answers load balancers: 200 where requests can be answered, else
// 503, with the sentence. That the process lives is what health says.
func readiness(ready func() (bool, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		yes, sentence := true, "ready"
		if ready != nil {
			yes, sentence = ready()
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if !yes {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"ready": yes, "sentence": sentence}) // the client may be gone
	}
}

// NewChannel returns the handler of a service channel that runs by itself.
func NewChannel(identify Identifier, channel http.Handler, ready func() (bool, string), https int, log *slog.Logger) http.Handler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	g := newGate(identify, log)
	g.handle("GET "+base+"/health", anyone, func(w http.ResponseWriter, _ *http.Request) { healthy(w) })
	g.handle("GET "+base+"/ready", anyone, readiness(ready))
	g.handle("GET "+base+"/channel", may(understudy.ActionStatus), channel.ServeHTTP)
	g.handle("/", signedIn, func(w http.ResponseWriter, r *http.Request) {
		writeError(w, r, log, understudy.Errorf(understudy.CodeNotFound, "this is a service channel, at %s/channel; for %s ask the management server", base, r.URL.Path))
	})
	return outside(g, https, log)
}
