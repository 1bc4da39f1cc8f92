package api

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"time"

	"understudy"
)

// tokenAge is as long as media tokens may live, so that viewing outlives the
// management server; the page and the client renew at half of it.
const tokenAge = 10 * time.Minute

type signInRequest struct {
	Body struct {
		Name     string            `json:"name" maxLength:"200"`
		Password understudy.Secret `json:"password" maxLength:"1000"`
		Code     understudy.Secret `json:"code,omitempty" maxLength:"20" doc:"Of the second factor, for who has one"`
		Cookie   bool              `json:"cookie,omitempty" doc:"Keep the token in a cookie that scripts cannot read, and leave it out of the answer"`
	}
}

type signInAnswer struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      understudy.Session
}

type setCookie struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

type userBody struct {
	understudy.User
	Password *understudy.Secret `json:"password,omitempty" maxLength:"1000" doc:"Left out, the one that is stored stays; it is never returned"`
}

type joinToken struct {
	Token understudy.Secret `json:"token" doc:"One line, to be given to the new server"`
}

func (s *server) accessRoutes() {
	operation(s, route{method: "POST", path: "/sign-in", access: anyone, tag: "access", summary: "Sign in"}, s.signIn)
	operation(s, route{method: "POST", path: ticketSignIn, access: anyUser, tag: "access", summary: "Sign in with a Kerberos ticket"}, s.signInWithTicket)
	operation(s, route{method: "POST", path: "/sign-out", access: anyUser, tag: "access", summary: "End the session"}, s.signOut)
	operation(s, route{method: "GET", path: "/me", access: signedIn, tag: "access", summary: "Who is asking"},
		func(ctx context.Context, _ *struct{}) (*answer[understudy.Identity], error) {
			return one(understudy.Asker(ctx), nil)
		})
	operation(s, route{method: "POST", path: "/setup", access: anyone, tag: "access", summary: "Make the first administrator"}, s.setup)
	operation(s, route{method: "POST", path: "/media-tokens", access: anyUser, tag: "access", summary: "Get what recording and failover servers want to see"},
		func(ctx context.Context, _ *struct{}) (*answer[understudy.MediaToken], error) {
			return one(s.Authority.SignToken(understudy.Asker(ctx), tokenAge))
		})
	operation(s, route{method: "GET", path: "/sessions", access: anyUser, tag: "access", summary: "List one's own sessions; an administrator sees everyone's"},
		func(ctx context.Context, _ *struct{}) (*answer[[]understudy.Session], error) {
			return list(s.Services.Sessions(ctx, owner(ctx)))
		})
	operation(s, route{method: "DELETE", path: "/sessions/{name}", access: anyUser, tag: "access", summary: "End one's own session; an administrator ends anyone's"},
		func(ctx context.Context, in *struct {
			ID string `path:"name"`
		}) (*nothing, error) {
			return done(s.Services.EndSession(ctx, owner(ctx), in.ID))
		})
	administer := may(understudy.ActionAdminister)
	operation(s, route{method: "GET", path: "/users", access: administer, tag: "users", summary: "List the users"},
		func(ctx context.Context, _ *struct{}) (*answer[[]understudy.User], error) {
			return list(s.Services.Users(ctx))
		})
	operation(s, route{method: "PUT", path: "/users/{name}", access: administer, tag: "users", summary: "Create or change a user"},
		func(ctx context.Context, in *struct {
			Name string `path:"name"`
			Body userBody
		}) (*answer[understudy.User], error) {
			if err := sameName("user", in.Name, &in.Body.Name); err != nil {
				return nil, err
			}
			return one(s.Services.PutUser(ctx, in.Body.User, in.Body.Password))
		})
	operation(s, route{method: "DELETE", path: "/users/{name}", access: administer, tag: "users", summary: "Delete a user"},
		func(ctx context.Context, in *struct {
			Name string `path:"name"`
		}) (*nothing, error) {
			return done(s.Services.DeleteUser(ctx, in.Name))
		})
	s.joinRoutes()
}

// owner is whose sessions the asker may see and end; empty is everyone's.
func owner(ctx context.Context) string {
	asker := understudy.Asker(ctx)
	if asker.May(understudy.ActionAdminister, "") == nil {
		return ""
	}
	return asker.User
}

// sameName lets a body leave out the name that the path has; another one is a mistake.
func sameName[T ~string](noun string, path T, body *T) error {
	if *body == "" {
		*body = path
	}
	if *body != path {
		return understudy.Errorf(understudy.CodeInvalid, "the path names %s %q and the body %q; they must be the same", noun, string(path), string(*body))
	}
	return nil
}

func (s *server) signIn(ctx context.Context, in *signInRequest) (*signInAnswer, error) {
	session, err := s.Services.SignInWithCode(ctx, in.Body.Name, in.Body.Password, in.Body.Code)
	return s.signedIn(session, in.Body.Cookie, err)
}

// signedIn answers a sign-in, with the token where it was asked to be.
func (s *server) signedIn(session understudy.Session, inCookie bool, err error) (*signInAnswer, error) {
	if err != nil {
		return nil, err
	}
	out := &signInAnswer{Body: session}
	if inCookie {
		out.SetCookie = cookie(string(session.Token), session.Expires)
		out.Body.Token = ""
	}
	return out, nil
}

func cookie(value string, expires time.Time) http.Cookie {
	return http.Cookie{Name: sessionCookie, Value: value, Path: "/", Expires: expires, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

func (s *server) signOut(ctx context.Context, in *struct {
	Authorization string      `header:"Authorization"`
	Cookie        http.Cookie `cookie:"__Host-understudy"`
}) (*setCookie, error) {
	token := understudy.Secret(in.Cookie.Value)
	if in.Authorization != "" {
		token, _ = sessionToken(&http.Request{Header: http.Header{"Authorization": {in.Authorization}}})
	}
	if err := s.Services.SignOut(ctx, token); err != nil {
		return nil, err
	}
	return &setCookie{cookie("", time.Unix(1, 0))}, nil
}

func (s *server) setup(ctx context.Context, in *struct {
	Body struct {
		Code     understudy.Secret `json:"code" maxLength:"200" doc:"Printed by the management server at its first start"`
		Name     string            `json:"name" maxLength:"200"`
		Password understudy.Secret `json:"password" maxLength:"1000"`
	}
}) (*answer[understudy.User], error) {
	return one(s.Services.Setup(ctx, in.Body.Code, in.Body.Name, in.Body.Password))
}

func (s *server) joinRoutes() {
	operation(s, route{method: "POST", path: "/join-tokens", access: may(understudy.ActionAdminister), tag: "joining", summary: "Make a token by which a server may join, once"},
		func(ctx context.Context, in *struct {
			Body struct {
				Role   understudy.Role     `json:"role" enum:"recording,failover,channel"`
				Server understudy.ServerID `json:"server" doc:"Id that the server will have"`
				TTL    float64             `json:"ttl_seconds,omitempty" minimum:"0" maximum:"604800" doc:"0 is an hour"`
			}
		}) (*answer[joinToken], error) {
			secret, err := s.Services.CreateJoinToken(ctx, in.Body.Role, in.Body.Server, time.Duration(in.Body.TTL*float64(time.Second)))
			if err != nil {
				return nil, err
			}
			token, err := s.JoinToken(secret)
			return one(joinToken{token}, err)
		})
	operation(s, route{method: "POST", path: "/join", access: anyone, tag: "joining", summary: "Join, with the secret of a join token"}, s.join)
	operation(s, route{method: "POST", path: "/servers/{id}/certificate", tag: "joining", summary: "Get the next certificate",
		access: renews(understudy.RoleRecording, understudy.RoleFailover, understudy.RoleChannel)}, s.renew)
	operation(s, route{method: "POST", path: "/servers/{id}/revoke", access: may(understudy.ActionAdminister), tag: "joining", summary: "Believe no certificate that the server has had so far"},
		func(ctx context.Context, in *struct {
			ID   understudy.ServerID `path:"id"`
			Body struct {
				Reason string `json:"reason" maxLength:"500"`
			}
		}) (*answer[understudy.Revocation], error) {
			return one(s.Services.RevokeServer(ctx, in.ID, in.Body.Reason))
		})
	operation(s, route{method: "GET", path: "/trust", access: signedIn, tag: "joining", summary: "Whom members of the installation trust"},
		func(ctx context.Context, _ *struct{}) (*answer[any], error) {
			trust, err := s.Trust(ctx)
			return one[any](trust, err)
		})
}

// join makes a server a member: the secret is used up, the server is in the
// site, and it gets its certificate. Whoever lost the answer asks again, with
// the same key.
func (s *server) join(ctx context.Context, in *struct{ Body understudy.JoinRequest }) (*answer[understudy.JoinAnswer], error) {
	key, err := requestedKey(in.Body.Request)
	if err != nil {
		return nil, err
	}
	if in.Body.Addresses != (understudy.Addresses{}) {
		if err := in.Body.Addresses.Validate(); err != nil {
			return nil, err
		}
	}
	role, id, err := s.Services.UseJoinToken(ctx, in.Body.Secret, key, in.Body.Role)
	if err != nil {
		return nil, err
	}
	asking := understudy.WithAsker(ctx, understudy.Identity{Server: id, Role: role, Address: understudy.Asker(ctx).Address})
	if err := s.enter(asking, role, id, in.Body); err != nil {
		return nil, err
	}
	if err := s.outwait(ctx, id); err != nil {
		return nil, err
	}
	return s.certify(ctx, id, role, in.Body)
}

// outwait waits, for a second at most, until a certificate made now is not revoked already.
func (s *server) outwait(ctx context.Context, id understudy.ServerID) error {
	site, err := s.Services.Site(ctx)
	if err != nil {
		return err
	}
	revoked, ok := site.Revocation(id)
	if !ok {
		return nil
	}
	select {
	case <-time.After(time.Until(revoked.Before)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enter puts a joining server into the site; what is set of one that was there stays.
func (s *server) enter(ctx context.Context, role understudy.Role, id understudy.ServerID, r understudy.JoinRequest) error {
	site, err := s.Services.Site(ctx)
	if err != nil || r.Addresses == (understudy.Addresses{}) {
		return err
	}
	switch role {
	case understudy.RoleRecording:
		known, ok := site.RecordingServer(id)
		if !ok {
			known = understudy.RecordingServer{ID: id, Name: r.Name}
		}
		known.Addresses = r.Addresses
		_, err = s.Services.PutRecordingServer(ctx, known)
	case understudy.RoleFailover:
		known, ok := site.FailoverServer(id)
		if !ok {
			known = understudy.FailoverServer{ID: id, Name: r.Name}
		}
		known.Addresses = r.Addresses
		_, err = s.Services.PutFailoverServer(ctx, known)
	}
	return err
}

func (s *server) renew(ctx context.Context, in *struct {
	ID   understudy.ServerID `path:"id"`
	Body understudy.JoinRequest
}) (*answer[understudy.JoinAnswer], error) {
	role := understudy.Asker(ctx).Role
	site, err := s.Services.Site(ctx)
	if err != nil {
		return nil, err
	}
	if _, member := site.Addresses(in.ID); !member && role != understudy.RoleChannel { // channels are in no site
		return nil, understudy.Errorf(understudy.CodeForbidden, "server %s was removed from the site and gets no further certificate; add it again", in.ID)
	}
	if revoked, ok := site.Revocation(in.ID); ok && time.Since(revoked.Before) < revokedNow {
		return nil, understudy.Errorf(understudy.CodeForbidden, "the certificates of %s have just been revoked (%s); it has to join again", in.ID, revoked.Reason)
	}
	return s.certify(ctx, in.ID, role, in.Body)
}

// revokedNow is how long a server gets no further certificate after a revocation. Its
// connections are ended meanwhile, and it does not come in again.
const revokedNow = 5 * time.Second

func (s *server) certify(ctx context.Context, id understudy.ServerID, role understudy.Role, r understudy.JoinRequest) (*answer[understudy.JoinAnswer], error) {
	certificate, err := s.Authority.Sign([]byte(r.Request), id, role, r.Hosts, 0)
	if err != nil {
		return nil, err
	}
	trust, err := s.Trust(ctx)
	return one(understudy.JoinAnswer{Server: id, Role: role, Certificate: string(certificate), Trust: trust}, err)
}

// requestedKey returns the hash of the key of a certificate request, proven to
// be in the hands of who made it. Nobody has proved who is asking yet, so the
// kind of key is looked at first: a huge RSA key takes seconds to check.
func requestedKey(text string) ([sha256.Size]byte, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return [sha256.Size]byte{}, understudy.Errorf(understudy.CodeInvalid, "a certificate request in PEM is needed; `understudy recording --join TOKEN` makes and sends one")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return [sha256.Size]byte{}, understudy.Errorf(understudy.CodeInvalid, "the certificate request is damaged; join again: %w", err)
	}
	if key, ok := request.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		return [sha256.Size]byte{}, understudy.Errorf(understudy.CodeInvalid, "a certificate request has an ECDSA P-256 key, found a %s key; join again", request.PublicKeyAlgorithm)
	}
	if err := request.CheckSignature(); err != nil {
		return [sha256.Size]byte{}, understudy.Errorf(understudy.CodeInvalid, "the certificate request is not signed by its own key; join again: %w", err)
	}
	return sha256.Sum256(request.RawSubjectPublicKeyInfo), nil
}
