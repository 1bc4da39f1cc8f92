package identity

import (
	"crypto/ed25519"
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"understudy"
)

// MaxTokenAge is the longest life of a media token. It bounds how long
// somebody whose rights were taken away can go on watching.
const MaxTokenAge = 10 * time.Minute

const (
	maxTokenLength = 16 << 10
	rightsKnown    = 1 // with one for sound
	// A server whose clock is ahead believes a token a little longer than it
	// lives; one whose clock is behind believes tokens from its future.
	tokenGrace  = 30 * time.Second
	tokenFuture = 5 * time.Minute
	// While no management server is heard nobody can be given another token: for
	// users who were let in before, the clock of tokens stands still.
	outageAfter = 15 * time.Second // of silence; what is shorter a token outlives
	outageMax   = 12 * time.Hour   // that the clock stands still at most
)

// claims is the body of a media token (RFC 7519). The issuer is the
// installation, the subject the user.
type claims struct {
	jwt.RegisteredClaims
	Actions []understudy.Action   `json:"actions"`
	Cameras []understudy.CameraID `json:"cameras"`
	// Rights is which actions the signer knew: 0 is of before there was one for sound.
	Rights int `json:"rights,omitempty"`
	// Also is what a server that does not know it leaves out, to the user's disadvantage.
	Also map[understudy.Action][]understudy.CameraID `json:"also,omitempty"`
	// Address is to where it was given out, for the audit. It may be used from elsewhere.
	Address string `json:"address,omitempty"`
	// Grants stand in place of all that where it would name too many cameras.
	Grants []understudy.Grant `json:"grants,omitempty"`
}

// SignToken makes a media token for a user: a JWT signed with EdDSA that lives
// for ttl, up to MaxTokenAge. ActionAdminister and ActionConfigure never go into it:
// who changes things shows a session. It names cameras, some thousand at most; rights on more
// are told as the roles and groups of cameras from which they follow. CodeInvalid for an identity
// that is not a user, for a ttl out of range, and for more of either than a token can name.
func (a *Authority) SignToken(i understudy.Identity, ttl time.Duration) (understudy.MediaToken, error) {
	switch {
	case i.User == "" || i.Server != "":
		return understudy.MediaToken{}, understudy.Errorf(understudy.CodeInvalid, "media tokens are for users, not for %s", i)
	case ttl <= 0 || ttl > MaxTokenAge:
		return understudy.MediaToken{}, understudy.Errorf(understudy.CodeInvalid, "a media token lives up to %s, and %s was asked for", MaxTokenAge, ttl)
	}
	i = i.Without(understudy.Action.Changing)
	now := time.Now()
	expires := now.Add(ttl).Truncate(time.Second)
	c := claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    a.id,
			Subject:   i.User,
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(expires),
		},
		Rights:  rightsKnown,
		Actions: i.Actions,
		Cameras: i.Cameras,
		Also:    i.Also,
		Address: i.Address,
	}
	text, err := a.signClaims(c)
	if err == nil && len(text) > maxTokenLength && len(i.Grants) > 0 {
		c.Actions, c.Cameras, c.Also, c.Grants = nil, nil, nil, i.Grants
		text, err = a.signClaims(c)
	}
	if err != nil {
		return understudy.MediaToken{}, err
	}
	if len(text) > maxTokenLength {
		return understudy.MediaToken{}, understudy.Errorf(understudy.CodeInvalid,
			"the rights of %s name too many cameras for a media token (%d bytes of at most %d): give rights on groups of cameras, or on all", i, len(text), maxTokenLength)
	}
	return understudy.MediaToken{Token: understudy.Secret(text), Expires: expires}, nil
}

func (a *Authority) signClaims(c claims) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, c)
	token.Header["kid"] = keyID(a.token.Public().(ed25519.PublicKey))
	text, err := token.SignedString(a.token)
	if err != nil {
		return "", internal("sign a media token", err)
	}
	return text, nil
}

// VerifyToken returns the user behind a media token, asking nobody; as its address, to where
// the token was given out. site is what the
// server knows of it, nil for nothing: what roles and groups of cameras are there, and whose
// tokens were recalled.
// CodeUnauthenticated for anything but a token that this installation has
// signed and that has not expired; the sentence says which, never the token.
// CodeUnavailable for one that tells its rights by roles and groups, while the site is not known.
func (n *Node) VerifyToken(token string, site *understudy.Site) (understudy.Identity, error) {
	return n.VerifyTokenSince(token, site, time.Now())
}

// VerifyTokenSince is VerifyToken on a server that last heard a management
// server at a time (the zero time: not since it started). A token that was good
// then stays good while the silence lasts, for half a day at most, since nobody
// can renew it, nor take a right away. With the first word from a management
// server all tokens are judged by the clock again.
func (n *Node) VerifyTokenSince(token string, site *understudy.Site, heard time.Time) (understudy.Identity, error) {
	now := time.Now()
	c, err := n.current.Load().trust.verifyToken(token, now, judged(now, heard))
	if err != nil {
		return understudy.Identity{}, err
	}
	return c.identity(site)
}

// judged is the time by which the end of a token is judged.
func judged(now, heard time.Time) time.Time {
	if now.Sub(heard) <= outageAfter {
		return now
	}
	if bound := now.Add(-outageMax); heard.Before(bound) {
		return bound
	}
	return heard
}

func (t trusted) verifyToken(text string, now, judged time.Time) (claims, error) {
	refuse := func(format string, args ...any) (claims, error) {
		return claims{}, understudy.Errorf(understudy.CodeUnauthenticated, format, args...)
	}
	if text == "" || len(text) > maxTokenLength {
		return refuse("expected a media token of up to %d bytes, found %d: ask the management server for one", maxTokenLength, len(text))
	}
	// Strict decoding, since lax base64 lets two texts be one signature.
	parser := jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithStrictDecoding(),
		jwt.WithIssuer(t.Installation), jwt.WithExpirationRequired(), jwt.WithLeeway(tokenGrace),
		jwt.WithTimeFunc(func() time.Time { return judged }))
	var c claims
	_, err := parser.ParseWithClaims(text, &c, func(token *jwt.Token) (any, error) {
		id, _ := token.Header["kid"].(string)
		if key, ok := t.keys[id]; ok {
			return key, nil
		}
		return nil, jwt.ErrTokenUnverifiable
	})
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return refuse("the media token has expired: ask the management server for a new one")
	case err != nil:
		return refuse("the media token is not one that this installation has signed: %w", err)
	case c.Subject == "" || c.IssuedAt == nil || c.ExpiresAt.Sub(c.IssuedAt.Time) > MaxTokenAge:
		return refuse("the media token does not say for whom it is or lives longer than %s", MaxTokenAge)
	case c.IssuedAt.After(now.Add(tokenFuture)):
		return refuse("the media token was made %s from now: set the clocks of this server and of the management server right",
			c.IssuedAt.Sub(now).Round(time.Second))
	}
	return c, nil
}

// identity is the user of a token that was verified.
func (c claims) identity(site *understudy.Site) (understudy.Identity, error) {
	i := understudy.Identity{User: c.Subject, Actions: c.Actions, Cameras: c.Cameras, Also: c.Also, Given: c.IssuedAt.Time}
	if site != nil {
		if err := site.Recalled(i); err != nil {
			return understudy.Identity{}, err
		}
	}
	switch {
	case len(c.Grants) == 0:
	case site == nil:
		return understudy.Identity{}, understudy.Errorf(understudy.CodeUnavailable,
			"this server does not know yet which cameras are in the groups that %s has rights on: try again in a moment", c.Subject)
	default:
		i = site.Identity(c.Subject, c.Grants)
		i.Given = c.IssuedAt.Time
	}
	if i = i.Without(understudy.Action.Changing); c.Rights < rightsKnown {
		i = i.Hearing()
	}
	i.Address = c.Address
	return i, nil
}
