package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"understudy"
	"understudy/internal/listen"
	"understudy/internal/openid"
)

// OpenID lets users of an identity provider in, who have no account here.
type OpenID struct {
	Door *openid.Door
	// Rights says what the members of groups may do here (directory.Directory).
	Rights func(ctx context.Context, user string, groups []string) (understudy.Identity, error)
	// Seal and Open keep what a browser must bring back from being read or made up.
	Seal func(plain, context []byte) ([]byte, error)
	Open func(sealed, context []byte) ([]byte, error)
}

const (
	openIDSignIn = base + "/sign-in/openid"
	openIDBack   = openIDSignIn + "/back"
	// begunCookie comes along when the provider sends the browser back, which a
	// stricter cookie would not.
	begunCookie = "__Host-understudy-openid"
	// begunFor is how long somebody may take to sign in at the provider.
	begunFor   = 10 * time.Minute
	sessionFor = 12 * time.Hour
)

var begunContext = []byte("a sign-in at the identity provider")

func (s *server) openIDRoutes() {
	s.gate.handle("GET "+base+"/sign-in", anyone, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]bool{"ticket": s.Identify.Tickets != nil, "openid": s.OpenID != nil}) // the client may be gone
	})
	failing := func(f func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			err := error(understudy.Errorf(understudy.CodeNotFound, "this site has no identity provider (openid.issuer); sign in with name and password"))
			if s.OpenID != nil {
				err = f(w, r)
			}
			if err != nil {
				writeError(w, r, s.Log, err)
			}
		}
	}
	s.gate.handle("GET "+openIDSignIn, anyone, failing(s.leave))
	s.gate.handle("GET "+openIDBack, anyone, failing(s.comeBack))
}

// leave sends a browser to the provider.
func (s *server) leave(w http.ResponseWriter, r *http.Request) error {
	address, begun, err := s.OpenID.Door.Begin(r.Context(), "https://"+r.Host+openIDBack)
	if err != nil {
		return err
	}
	text, err := json.Marshal(begun)
	if err != nil {
		return err
	}
	sealed, err := s.OpenID.Seal(text, begunContext)
	if err != nil {
		return err
	}
	setBegun(w, base64.RawURLEncoding.EncodeToString(sealed), begun.At.Add(begunFor))
	http.Redirect(w, r, address, http.StatusFound)
	return nil
}

// comeBack begins the session of whom the provider sends back.
func (s *server) comeBack(w http.ResponseWriter, r *http.Request) error {
	setBegun(w, "", time.Unix(1, 0)) // good once
	user, err := s.OpenID.Door.Finish(r.Context(), s.begun(r), r.URL.Query().Get("state"), r.URL.Query().Get("code"))
	if err != nil {
		return err
	}
	identity, err := s.OpenID.Rights(r.Context(), user.Name, user.Groups)
	if err != nil {
		return err
	}
	identity.Address = listen.Host(r.RemoteAddr)
	session, err := s.Services.BeginSession(r.Context(), identity, time.Now().Add(sessionFor))
	if err != nil {
		return err
	}
	http.SetCookie(w, new(cookie(string(session.Token), session.Expires)))
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// begun returns what the browser brings back; the zero Begun if that is nothing, or old.
func (s *server) begun(r *http.Request) openid.Begun {
	kept, err := r.Cookie(begunCookie)
	if err != nil {
		return openid.Begun{}
	}
	sealed, err := base64.RawURLEncoding.DecodeString(kept.Value)
	if err != nil {
		return openid.Begun{}
	}
	var begun openid.Begun
	text, err := s.OpenID.Open(sealed, begunContext)
	if err != nil || json.Unmarshal(text, &begun) != nil || time.Since(begun.At) > begunFor {
		return openid.Begun{}
	}
	return begun
}

func setBegun(w http.ResponseWriter, value string, expires time.Time) {
	http.SetCookie(w, &http.Cookie{Name: begunCookie, Value: value, Path: "/", Expires: expires, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}
