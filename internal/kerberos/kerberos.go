// Package kerberos accepts the tickets of a Kerberos realm, an Active Directory
// domain among them, as browsers and curl send them with HTTP Negotiate
// (RFC 4559), against the keys of a keytab. No server of the realm is asked.
// For people at a command line it also shows one.
package kerberos

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"understudy"
)

// Accepted is what goes into WWW-Authenticate beside a request that was let in:
// the base64 of a NegTokenResp, accept-completed, Kerberos 5 (RFC 4178 §4.2.2).
const Accepted = "oRQwEqADCgEAoQsGCSqGSIb3EgECAg=="

const (
	defaultSkew = 5 * time.Minute
	maxToken    = 48 << 10 // a ticket with a PAC of a thousand groups
	maxUser     = 200
)

// Config is what an Acceptor is made of.
type Config struct {
	Keytab string   // file with the keys of HTTP/host; it may be replaced while it is in use
	Realms []string // whose users are let in; none: those that the keytab names
	// Skew is how far the clocks of a client and of this server may be apart; 0 is 5 minutes.
	Skew time.Duration
	Log  *slog.Logger // nil is silent
}

// Acceptor verifies tickets. Each is let in once.
type Acceptor struct {
	config Config
	keys   *keys
	seen   *seen
}

// Ticket is what a ticket says of its owner.
type Ticket struct {
	User string // ada@EXAMPLE.COM
	// Groups are the SIDs that the domain vouches for in the ticket's PAC, the
	// user's own first, nested groups included; none without a PAC.
	Groups []string
	Ends   time.Time
}

// New reads the keytab. CodeInvalid, with what to do, when it is of no use.
func New(c Config) (*Acceptor, error) {
	if c.Skew == 0 {
		c.Skew = defaultSkew
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	k, err := openKeys(c.Keytab)
	if err != nil {
		return nil, err
	}
	return &Acceptor{config: c, keys: k, seen: newSeen(time.Now(), 2*c.Skew)}, nil
}

// Accept returns what a Negotiate token proves that came from that network
// address (host:port). CodeUnauthenticated with a sentence that says what is
// wrong and what to do; CodeUnavailable when there are too many.
func (a *Acceptor) Accept(token []byte, address string) (ticket Ticket, err error) {
	// The token is a stranger's, and the library that reads it indexes lists of it.
	defer func() {
		if recover() != nil {
			ticket, err = Ticket{}, refuse("the Kerberos ticket is damaged; get another one")
		}
	}()
	if len(token) > maxToken {
		return Ticket{}, refuse("a Kerberos ticket has up to %d bytes, and this one has %d; its owner may be in too many groups", maxToken, len(token))
	}
	request, err := apRequest(token)
	if err != nil {
		return Ticket{}, err
	}
	if err := a.keys.refresh(); err != nil {
		a.config.Log.Warn("the keytab was changed and cannot be read; the keys of before are used on", "error", err)
	}
	key, err := a.keys.open(&request.Ticket)
	if err != nil {
		return Ticket{}, err
	}
	now := time.Now()
	if err := a.checkTicket(request.Ticket, address, now); err != nil {
		return Ticket{}, err
	}
	made, err := a.checkAuthenticator(&request, now)
	if err != nil {
		return Ticket{}, err
	}
	inside := request.Ticket.DecryptedEncPart
	granted, err := readPAC(inside.AuthorizationData, key)
	if err != nil {
		return Ticket{}, err
	}
	user, err := userOf(inside.CName, inside.CRealm, granted.name)
	if err != nil {
		return Ticket{}, err
	}
	// Last: only what is good takes room in the memory of what was seen.
	if err := a.seen.once(user, sha256.Sum256(request.EncryptedAuthenticator.Cipher), made, now); err != nil {
		return Ticket{}, err
	}
	return Ticket{User: user, Groups: granted.sids, Ends: inside.EndTime}, nil
}

// checkTicket judges the part that the realm wrote.
func (a *Acceptor) checkTicket(t messages.Ticket, address string, now time.Time) error {
	inside := t.DecryptedEncPart
	start := inside.StartTime
	if start.IsZero() {
		start = inside.AuthTime
	}
	const invalid = 7 // RFC 4120 §5.3
	switch {
	case types.IsFlagSet(&inside.Flags, invalid):
		return refuse("the Kerberos ticket was not validated by the realm yet (it is postdated); get another one")
	case start.Sub(now) > a.config.Skew:
		return refuse("the Kerberos ticket holds from %s, which is %s from now: set the clocks of this server and of the domain right",
			start.Format(time.RFC3339), start.Sub(now).Round(time.Second))
	case now.Sub(inside.EndTime) > a.config.Skew:
		return refuse("the Kerberos ticket expired at %s; get another one (kinit, or sign in to the computer again)", inside.EndTime.Format(time.RFC3339))
	}
	realms := a.config.Realms
	if len(realms) == 0 {
		realms = a.keys.realms()
	}
	if !slices.Contains(realms, inside.CRealm) {
		return refuse("users of the realm %.80q are not let in here, but those of %s are; add it to kerberos.realms if they should be", inside.CRealm, strings.Join(realms, ", "))
	}
	if len(inside.CAddr) == 0 {
		return nil
	}
	from, err := types.GetHostAddress(address)
	if err != nil || !types.HostAddressesContains(inside.CAddr, from) {
		return refuse("the Kerberos ticket is good at other network addresses only than %s; get one without addresses", address)
	}
	return nil
}

// checkAuthenticator judges the part that the client wrote now, and returns when it did.
func (a *Acceptor) checkAuthenticator(r *messages.APReq, now time.Time) (time.Time, error) {
	inside := r.Ticket.DecryptedEncPart
	if err := r.DecryptAuthenticator(inside.Key); err != nil {
		return time.Time{}, refuse("who sent the Kerberos ticket does not have its key, so it is somebody else's: %w", err)
	}
	if !r.Authenticator.CName.Equal(inside.CName) || r.Authenticator.CRealm != inside.CRealm {
		return time.Time{}, refuse("the Kerberos ticket is somebody else's than the one who sent it")
	}
	made := r.Authenticator.CTime.Add(time.Duration(r.Authenticator.Cusec) * time.Microsecond)
	if apart := made.Sub(now); apart.Abs() > a.config.Skew {
		return made, refuse("the clocks of the client and of this server are %s apart, and Kerberos allows %s: set both by the domain's time",
			apart.Abs().Round(time.Second), a.config.Skew)
	}
	return made, nil
}

// userOf returns the name by which rights are given and acts are written down.
// A domain tells in the PAC how it writes the name, since it does not mind case.
func userOf(name types.PrincipalName, realm, written string) (string, error) {
	if len(name.NameString) != 1 {
		return "", refuse("the Kerberos ticket is of %.80q, which is a service and no user", name.PrincipalNameString())
	}
	user := name.NameString[0]
	if strings.EqualFold(user, written) {
		user = written
	}
	strange := func(r rune) bool { return !unicode.IsGraphic(r) || strings.ContainsRune(`@/\"`, r) }
	if user == "" || len(user)+1+len(realm) > maxUser || strings.ContainsFunc(user, strange) || strings.ContainsFunc(realm, strange) {
		return "", refuse("the Kerberos ticket is of %.80q in %.80q, which is no name that can be used here", user, realm)
	}
	return user + "@" + realm, nil
}

func refuse(format string, args ...any) error {
	return understudy.Errorf(understudy.CodeUnauthenticated, format, args...)
}

func list(words []string) string {
	const most = 5
	if len(words) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
	}
	return strings.Join(words, ", ")
}
