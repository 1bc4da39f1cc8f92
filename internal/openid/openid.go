// Package openid lets in whom an identity provider knows: OpenID Connect, the
// code flow with PKCE. The provider is believed for who somebody is and which
// groups they are in, and for nothing else.
package openid

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"understudy"
	"understudy/internal/remote"
)

const (
	patience  = 10 * time.Second // with the provider
	atOnce    = 8                // questions to it; whoever asks here is not known yet
	maxClaim  = 200              // bytes of a name
	maxGroups = 2000
)

// Config is what a Door is made of.
type Config struct {
	Issuer       string   // https://sso.example.com/realm
	ClientID     string   // by which the provider knows this site
	SecretFile   string   // with the client's secret and nothing else; read anew for each sign-in
	CAFile       string   // PEM; the system's authorities unless given
	UserClaim    string   // of the ID token; preferred_username unless given
	GroupsClaim  string   // groups unless given
	FurtherScope []string // asked for beside openid and profile
}

// Door is the way in by one provider. It is asked for its addresses when the
// first user comes, so that this server starts without it.
type Door struct {
	config Config
	host   string // of the issuer
	http   *http.Client
	places chan struct{}

	mu       sync.Mutex
	provider *oidc.Provider
}

// Begun is what must be known again when the user comes back from the provider,
// and must be known to that user's browser only.
type Begun struct {
	State, Nonce, Verifier, Redirect string
	At                               time.Time
}

// User is who came back.
type User struct {
	Name   string // ada@sso.example.com: what the provider calls the user, and its host
	Groups []string
}

// New checks the settings; the provider is not asked.
func New(c Config) (*Door, error) {
	issuer, err := url.Parse(c.Issuer)
	if err != nil || issuer.Scheme != "https" || issuer.Host == "" {
		return nil, understudy.Errorf(understudy.CodeInvalid, "openid.issuer is the address of the provider, as https://sso.example.com, found %.200q", c.Issuer)
	}
	if c.ClientID == "" || c.SecretFile == "" {
		return nil, understudy.Errorf(understudy.CodeInvalid, "openid needs client_id and secret_file, by which the provider knows this site")
	}
	if c.UserClaim == "" {
		c.UserClaim = "preferred_username"
	}
	if c.GroupsClaim == "" {
		c.GroupsClaim = "groups"
	}
	roots, err := remote.Roots("openid.ca_file", c.CAFile)
	if err != nil {
		return nil, err
	}
	security := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	return &Door{config: c, host: issuer.Hostname(), places: make(chan struct{}, atOnce), http: &http.Client{
		Timeout: patience, Transport: &http.Transport{TLSClientConfig: security, Proxy: http.ProxyFromEnvironment, MaxResponseHeaderBytes: 64 << 10},
	}}, nil
}

// Begin returns the address to which a browser is sent, and what it must bring back.
func (d *Door) Begin(ctx context.Context, redirect string) (address string, b Begun, err error) {
	err = d.asking(ctx, func(_ context.Context, to *oauth2.Config, _ *oidc.IDTokenVerifier) error {
		b = Begun{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Redirect: redirect, At: time.Now()}
		to.RedirectURL = redirect
		address = to.AuthCodeURL(b.State, oidc.Nonce(b.Nonce), oauth2.S256ChallengeOption(b.Verifier))
		return nil
	})
	return address, b, err
}

// Finish returns who came back with a code. CodeUnauthenticated when the provider
// does not vouch for it, CodeUnavailable when it cannot be asked.
func (d *Door) Finish(ctx context.Context, b Begun, state, code string) (user User, err error) {
	if b.State == "" || state != b.State || code == "" {
		return User{}, refuse("this sign-in was begun by another browser or long ago; begin again")
	}
	err = d.asking(ctx, func(ctx context.Context, to *oauth2.Config, verifier *oidc.IDTokenVerifier) error {
		to.RedirectURL = b.Redirect
		token, err := to.Exchange(ctx, code, oauth2.VerifierOption(b.Verifier))
		if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.Response.StatusCode < http.StatusInternalServerError {
			return refuse("the provider does not accept this sign-in (%.80q); begin again, and if that does not help compare client_id and secret_file with its settings: %w", refused.ErrorCode, err)
		}
		if err != nil {
			return understudy.Errorf(understudy.CodeUnavailable, "the provider cannot be asked who this is; try again: %w", err)
		}
		text, _ := token.Extra("id_token").(string)
		id, err := verifier.Verify(ctx, text)
		if err != nil {
			return refuse("the provider's word is not one that it signed for this site: %w", err)
		}
		if id.Nonce != b.Nonce {
			return refuse("the provider's word is about another sign-in; begin again")
		}
		var claims map[string]any
		if err := id.Claims(&claims); err != nil {
			return refuse("the provider's word cannot be read: %w", err)
		}
		user, err = d.userOf(claims)
		return err
	})
	return user, err
}

// userOf reads the claims. The host of the issuer stands behind the name, since
// users may choose theirs at many providers, and another realm's would be one.
func (d *Door) userOf(claims map[string]any) (User, error) {
	name, _ := claims[d.config.UserClaim].(string)
	strange := func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }
	if name == "" || len(name) > maxClaim || strings.ContainsFunc(name, strange) {
		return User{}, refuse("the provider says %.80q for the user's name (%s), which is none that can be used here", name, d.config.UserClaim)
	}
	user := User{Name: name + "@" + d.host}
	groups, _ := claims[d.config.GroupsClaim].([]any)
	if len(groups) > maxGroups {
		return User{}, refuse("the provider names %d groups of %s, and up to %d are looked at", len(groups), user.Name, maxGroups)
	}
	for _, g := range groups {
		// A SID is a domain's to say, which is granted to beside this provider.
		if group, ok := g.(string); ok && !strings.HasPrefix(strings.ToUpper(group), "S-1-") {
			user.Groups = append(user.Groups, group)
		}
	}
	return user, nil
}

// asking runs f with what is needed to speak to the provider, for a few at a time.
func (d *Door) asking(ctx context.Context, f func(context.Context, *oauth2.Config, *oidc.IDTokenVerifier) error) error {
	select {
	case d.places <- struct{}{}:
		defer func() { <-d.places }()
	default:
		return understudy.Errorf(understudy.CodeUnavailable, "many people are signing in at once; try again in a moment")
	}
	secret, err := remote.Secret("openid.secret_file", d.config.SecretFile)
	if err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "the provider cannot be asked: %w", err)
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, d.http), 2*patience)
	defer cancel()
	provider, err := d.discover(ctx)
	if err != nil {
		return err
	}
	to := &oauth2.Config{
		ClientID: d.config.ClientID, ClientSecret: secret, Endpoint: provider.Endpoint(),
		Scopes: append([]string{oidc.ScopeOpenID, "profile"}, d.config.FurtherScope...),
	}
	return f(ctx, to, provider.Verifier(&oidc.Config{ClientID: d.config.ClientID}))
}

func (d *Door) discover(ctx context.Context) (*oidc.Provider, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.provider != nil {
		return d.provider, nil
	}
	provider, err := oidc.NewProvider(ctx, d.config.Issuer)
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeUnavailable, "the provider %s does not say where to sign in; try again, and look at openid.issuer and openid.ca_file if it lasts: %w", d.config.Issuer, err)
	}
	d.provider = provider
	return provider, nil
}

func refuse(format string, args ...any) error {
	return understudy.Errorf(understudy.CodeUnauthenticated, format, args...)
}
