package api

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"understudy"
	"understudy/internal/listen"
)

// sessionCookie is sent by browsers only to the host that set it, only over TLS.
const sessionCookie = "__Host-understudy"

// Identifier finds out who asks: the bearer of a session, a server with a
// certificate, or a browser with a cookie, in this order.
type Identifier struct {
	// Session returns who has that session (UserService.Identify).
	Session func(ctx context.Context, token understudy.Secret) (understudy.Identity, error)
	// Peer returns the server behind a verified certificate (identity.PeerIdentity, Node.Member); nil lets no server in.
	Peer func(*tls.ConnectionState) (understudy.Identity, bool)
	// Renews: Peer also knows servers whose certificate has ended, which are to get another and nothing else.
	Renews bool
	// Sole refuses the copies of servers; nil refuses none.
	Sole *Sole
	// MediaToken, when not nil, accepts media tokens, too (identity.Node.VerifyToken).
	MediaToken func(token string) (understudy.Identity, error)
	// Tickets lets the users of a Kerberos realm in; nil where there is none.
	Tickets *Tickets
}

// Identify returns who asks; the zero Identity with CodeUnauthenticated for
// nobody, another code when that cannot be found out now. A server whose certificate has ended is
// nobody, and is told so.
func (d Identifier) Identify(r *http.Request) (understudy.Identity, error) {
	identity, err := d.identifyLate(r)
	if err == nil && identity.Server != "" && d.ended(r) {
		err = understudy.Errorf(understudy.CodeForbidden, "the certificate of %s ended %s: it has to be renewed first (POST %s/servers/%s/certificate), which the server does by itself, and nothing else is given until then",
			identity.Server, r.TLS.PeerCertificates[0].NotAfter.UTC().Format(time.RFC3339), base, identity.Server)
		identity = understudy.Identity{}
	}
	identity.Address = listen.Host(r.RemoteAddr)
	return identity, err
}

// identifyLate also knows a server whose certificate has ended, and that Peer still knows.
func (d Identifier) identifyLate(r *http.Request) (understudy.Identity, error) {
	identity, err := d.identify(r)
	identity.Address = listen.Host(r.RemoteAddr)
	return identity, err
}

// ended reports whether the certificate that a server showed when it connected has ended.
func (d Identifier) ended(r *http.Request) bool {
	return d.Renews && r.TLS != nil && len(r.TLS.PeerCertificates) > 0 && time.Now().After(r.TLS.PeerCertificates[0].NotAfter)
}

func (d Identifier) identify(r *http.Request) (understudy.Identity, error) {
	if ticket, ok := shown(r.Context()); ok {
		return d.Tickets.identity(r, ticket)
	}
	token, given := sessionToken(r)
	bearer := r.Header.Get("Authorization") != ""
	if !bearer && d.Peer != nil && r.TLS != nil {
		if server, ok := d.Peer(r.TLS); ok {
			return d.sole(r, server)
		}
	}
	switch {
	case !given:
		return understudy.Identity{}, understudy.Errorf(understudy.CodeUnauthenticated, "sign in first: nobody proved who is asking")
	case d.MediaToken != nil && bearer && strings.Count(string(token), ".") == 2: // a JWT; sessions have no dots
		return d.MediaToken(string(token))
	}
	asking := understudy.WithAsker(r.Context(), understudy.Identity{Address: listen.Host(r.RemoteAddr)})
	identity, err := d.Session(asking, token)
	if err != nil {
		return understudy.Identity{}, err
	}
	return identity, nil
}

func (d Identifier) sole(r *http.Request, server understudy.Identity) (understudy.Identity, error) {
	if d.Sole == nil {
		return server, nil
	}
	if err := d.Sole.Admit(r.Context(), server, r.Header.Get(understudy.BootHeader), listen.Host(r.RemoteAddr)); err != nil {
		return understudy.Identity{}, err
	}
	return server, nil
}

// sessionToken returns the session that a request shows.
func sessionToken(r *http.Request) (understudy.Secret, bool) {
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, token, _ := strings.Cut(header, " ")
		return understudy.Secret(token), strings.EqualFold(scheme, "Bearer") && token != ""
	}
	cookie, err := r.Cookie(sessionCookie)
	if err != nil || cookie.Value == "" {
		return "", false
	}
	return understudy.Secret(cookie.Value), true
}

// access says who may use a route. {id} in its pattern is the object.
type access struct {
	text  string // for the description
	allow func(i understudy.Identity, id string) error
	late  bool // also servers whose certificate has ended
}

var (
	anyone   = access{text: "Anyone."}
	signedIn = access{text: "Whoever is signed in, and servers.", allow: func(i understudy.Identity, _ string) error {
		if i.User == "" && i.Server == "" {
			return understudy.Errorf(understudy.CodeUnauthenticated, "sign in first: nobody proved who is asking")
		}
		return nil
	}}
	anyUser = access{text: "Users who are signed in.", allow: func(i understudy.Identity, _ string) error {
		switch {
		case i.User != "":
			return nil
		case i.Server != "":
			return understudy.Errorf(understudy.CodeForbidden, "%s is a server, and this is for users", i)
		}
		return understudy.Errorf(understudy.CodeUnauthenticated, "sign in first: nobody proved who is asking")
	}}
)

// may is for those who may do a, to some camera at least.
func may(a understudy.Action) access {
	return access{text: "Those who may: " + string(a) + ".", allow: func(i understudy.Identity, _ string) error { return i.May(a, "") }}
}

// mayCamera is for those who may do a to the camera {id}.
func mayCamera(a understudy.Action) access {
	return access{text: "Those who may, for this camera: " + string(a) + ".", allow: func(i understudy.Identity, id string) error {
		if err := i.May(a, ""); err != nil { // before the id is looked at, so that nobody is told of ids
			return err
		}
		if err := understudy.ValidateID("camera", understudy.CameraID(id)); err != nil {
			return err
		}
		return i.May(a, understudy.CameraID(id))
	}}
}

// mayEverywhere is for those who may do a to every camera.
func mayEverywhere(a understudy.Action) access {
	return access{text: "Those who may, for every camera: " + string(a) + ".", allow: func(i understudy.Identity, _ string) error {
		return i.May(a, understudy.AllCameras)
	}}
}

// actsAs is for the server {id} itself, in one of roles.
func actsAs(roles ...understudy.Role) access {
	return access{text: "The server itself, by its certificate.", allow: func(i understudy.Identity, id string) error {
		return i.MayActAs(understudy.ServerID(id), roles...)
	}}
}

// renews is actsAs for what a server does to get its next certificate.
func renews(roles ...understudy.Role) access {
	a := actsAs(roles...)
	a.text, a.late = "The server itself, by its certificate, which may have ended within a week.", true
	return a
}

// anyServer is for servers in one of roles; which one, the route looks at.
func anyServer(roles ...understudy.Role) access {
	return access{text: "Servers, by their certificate.", allow: func(i understudy.Identity, _ string) error {
		return i.MayActAs(i.Server, roles...)
	}}
}

// gate is the router. Nothing passes that was not given an access.
type gate struct {
	mux      *http.ServeMux
	identify Identifier
	log      *slog.Logger
	declared map[string]access // by pattern
	patterns []string          // registered, in order
	// refused is told of whom a request was refused for want of rights; nil tells nobody.
	refused func(i understudy.Identity, route string)
	// answered is told of each request that has been; nil tells nobody.
	answered func(route string, status int, took time.Duration)
}

func newGate(d Identifier, log *slog.Logger) *gate {
	return &gate{mux: http.NewServeMux(), identify: d, log: log, declared: map[string]access{}}
}

// handle registers a route with its access.
func (g *gate) handle(pattern string, a access, handler http.HandlerFunc) {
	g.declared[pattern] = a
	g.HandleFunc(pattern, handler)
}

// HandleFunc implements humago.Mux. A route without an access is a mistake of
// the programmer, and no server starts with it.
func (g *gate) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	a, ok := g.declared[pattern]
	if !ok {
		panic("api: nobody said who may use " + pattern)
	}
	g.patterns = append(g.patterns, pattern)
	g.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if g.answered != nil {
			begun, seen := time.Now(), &statusSeen{ResponseWriter: w}
			defer func() { g.answered(pattern, seen.status, time.Since(begun)) }()
			w = seen
		}
		identify := g.identify.Identify
		if a.late {
			identify = g.identify.identifyLate
		}
		if g.identify.ended(r) { // the next request is to come with the next certificate
			w.Header().Set("Connection", "close")
		}
		identity, err := identify(r)
		if a.allow != nil {
			if err == nil {
				if err = a.allow(identity, r.PathValue("id")); understudy.CodeOf(err) == understudy.CodeForbidden && g.refused != nil {
					g.refused(identity, pattern)
				}
				if r.TLS == nil && understudy.CodeOf(err) == understudy.CodeForbidden {
					err = understudy.Errorf(understudy.CodeForbidden, "without TLS nothing but the state of the site is shown; use https")
				}
			}
			if err != nil {
				writeError(w, r, g.log, err)
				return
			}
		}
		handler(w, r.WithContext(understudy.WithAsker(r.Context(), identity)))
	})
}

// ServeHTTP implements http.Handler.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.mux.ServeHTTP(w, r) }

// statusSeen remembers the status of an answer.
type statusSeen struct {
	http.ResponseWriter
	status int // 0: nothing was written yet
}

// WriteHeader implements http.ResponseWriter.
func (s *statusSeen) WriteHeader(status int) {
	if s.status == 0 {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController find what it controls.
func (s *statusSeen) Unwrap() http.ResponseWriter { return s.ResponseWriter }
