package api

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"understudy"
	"understudy/internal/kerberos"
)

// Tickets lets the users of a Kerberos realm in, who have no account here.
type Tickets struct {
	// Accept verifies a Negotiate token that came from a network address (kerberos.Acceptor).
	Accept func(token []byte, address string) (kerberos.Ticket, error)
	// Rights says what the members of groups may do here; CodeForbidden for those who may do nothing.
	Rights func(ctx context.Context, user string, groups []string) (understudy.Identity, error)
	// PlainHTTP lets them see the state of the site without TLS. Who stands between
	// can then take a ticket and use it on the encrypted port, so that with it no
	// ticket administers.
	PlainHTTP bool
}

const negotiate = "Negotiate"

type ticketKey struct{}

// shown returns the ticket that was verified at the door of this request. It
// can be verified once only, and some who serve a request ask again who it is.
func shown(ctx context.Context) (kerberos.Ticket, bool) {
	ticket, ok := ctx.Value(ticketKey{}).(kerberos.Ticket)
	return ticket, ok
}

// withTicket verifies the ticket that a request shows, if it shows one.
func (d Identifier) withTicket(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case strings.EqualFold(scheme, "NTLM"):
		return r, understudy.Errorf(understudy.CodeUnauthenticated, "NTLM is never let in here, since whoever reads it can use it elsewhere; use Kerberos (Negotiate) or a session")
	case !strings.EqualFold(scheme, negotiate):
		return r, nil
	case d.Tickets == nil:
		return r, understudy.Errorf(understudy.CodeUnauthenticated, "this server belongs to no Kerberos realm (kerberos.keytab); sign in with name and password")
	}
	token, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return r, understudy.Errorf(understudy.CodeUnauthenticated, "what was sent with Negotiate is not base64: %w", err)
	}
	ticket, err := d.Tickets.Accept(token, r.RemoteAddr)
	if err != nil {
		return r, err
	}
	w.Header().Set("WWW-Authenticate", negotiate+" "+kerberos.Accepted)
	return r.WithContext(context.WithValue(r.Context(), ticketKey{}, ticket)), nil
}

// identity returns the owner of a ticket, with the rights of now.
func (t *Tickets) identity(r *http.Request, ticket kerberos.Ticket) (understudy.Identity, error) {
	if !time.Now().Before(ticket.Ends) {
		return understudy.Identity{}, understudy.Errorf(understudy.CodeUnauthenticated, "the Kerberos ticket ended at %s; connect again with another one", ticket.Ends.Format(time.RFC3339))
	}
	identity, err := t.Rights(r.Context(), ticket.User, ticket.Groups)
	if err != nil {
		return understudy.Identity{}, err
	}
	switch {
	case r.TLS == nil:
		identity = identity.Without(func(a understudy.Action) bool { return a != understudy.ActionStatus })
	case t.PlainHTTP:
		identity = identity.Without(understudy.Action.Changing)
	}
	return identity, nil
}

// onPlain reports whether a request without TLS is one that a ticket is enough
// for: it looks at the state of the site, and sends nothing that could be used again.
func (t *Tickets) onPlain(r *http.Request) bool {
	scheme, _, given := strings.Cut(r.Header.Get("Authorization"), " ")
	return t != nil && t.PlainHTTP && (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		strings.HasPrefix(r.URL.Path, base+"/") && r.URL.Path != base+"/ca.pem" &&
		(!given || strings.EqualFold(scheme, negotiate)) && r.Header.Get("Cookie") == "" && !r.URL.Query().Has("token")
}

// challenged asks whoever proves nothing for a ticket: with every 401, but not a
// page in a browser, which would show a window of its own for name and password.
func (t *Tickets) challenged(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	if t == nil || r.Header.Get("Sec-Fetch-Mode") != "" && r.URL.Path != base+ticketSignIn {
		return w
	}
	return &challenge{w}
}

// challenge adds what a 401 must have (RFC 9110 §11.6.1).
type challenge struct{ http.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (c *challenge) WriteHeader(status int) {
	if status == http.StatusUnauthorized {
		c.Header().Set("WWW-Authenticate", negotiate)
	}
	c.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (c *challenge) Unwrap() http.ResponseWriter { return c.ResponseWriter }

const ticketSignIn = "/sign-in/ticket"

// signInWithTicket begins a session for the owner of a ticket, which ends with it.
func (s *server) signInWithTicket(ctx context.Context, in *struct {
	Body struct {
		Cookie bool `json:"cookie,omitempty" doc:"Keep the token in a cookie that scripts cannot read, and leave it out of the answer"`
	}
}) (*signInAnswer, error) {
	ticket, ok := shown(ctx)
	if !ok {
		return nil, understudy.Errorf(understudy.CodeUnauthenticated, "show a Kerberos ticket (Authorization: Negotiate); name and password go to %s/sign-in", base)
	}
	session, err := s.Services.BeginSession(ctx, understudy.Asker(ctx), ticket.Ends)
	return s.signedIn(session, in.Body.Cookie, err)
}
