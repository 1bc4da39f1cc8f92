package directory

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"understudy"
	"understudy/internal/remote"
)

const (
	patience = 5 * time.Second // with one server, for one step
	page     = 500             // entries; Active Directory gives up to 1,000 at once
	maxLDAP  = 2000            // groups of one user
	accounts = 10_000          // whose answers are remembered
)

// LDAP asks a domain which groups a user is in, nested ones included, over TLS
// only. The zero value is not usable.
type LDAP struct {
	URLs []string // ldaps://host, or ldap://host, which goes on with StartTLS; the first that answers is asked
	Base string   // below which users and groups are looked for, DC=example,DC=com
	// Realm is whose users are in it; from the DCs of Base unless given. A user of
	// the same name in another realm is somebody else.
	Realm        string
	BindDN       string // an account that may read, by its DN or as name@example.com
	PasswordFile string // with nothing but its password; read anew for each connection
	CAFile       string // PEM; the system's authorities unless given
	Log          *slog.Logger

	authorities *x509.CertPool
	places      chan struct{}
	answers     answers
}

// Open checks the settings and makes l ready; no server is asked.
func (l *LDAP) Open() error {
	for _, text := range l.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "ldaps" && u.Scheme != "ldap" || u.Hostname() == "" || u.Path != "" {
			return understudy.Errorf(understudy.CodeInvalid, "ldap.urls are ldaps://host or ldap://host (which goes on with StartTLS), found %.200q", text)
		}
	}
	base, err := ldap.ParseDN(l.Base)
	switch {
	case len(l.URLs) == 0 || l.BindDN == "" || l.PasswordFile == "":
		return understudy.Errorf(understudy.CodeInvalid, "ldap needs urls, base, bind_dn and password_file: a domain tells nothing to whoever it does not know")
	case err != nil || len(base.RDNs) == 0:
		return understudy.Errorf(understudy.CodeInvalid, "ldap.base is a DN such as DC=example,DC=com, found %.200q", l.Base)
	}
	if l.Realm == "" {
		l.Realm = realmOf(base)
	}
	if l.Realm == "" {
		return understudy.Errorf(understudy.CodeInvalid, "ldap.realm says whose users are below %q, which names no domain", l.Base)
	}
	if l.authorities, err = remote.Roots("ldap.ca_file", l.CAFile); err != nil {
		return err
	}
	if l.Log == nil {
		l.Log = slog.New(slog.DiscardHandler)
	}
	const atOnce = 4
	l.places = make(chan struct{}, atOnce)
	l.answers.known = map[string]groupsAt{}
	return nil
}

func realmOf(base *ldap.DN) string {
	var labels []string
	for _, rdn := range base.RDNs {
		for _, part := range rdn.Attributes {
			if strings.EqualFold(part.Type, "DC") {
				labels = append(labels, strings.ToUpper(part.Value))
			}
		}
	}
	return strings.Join(labels, ".")
}

// Groups returns the DN, the name and the SID of each group that a user of the
// domain (ada@EXAMPLE.COM) is in. CodeForbidden for one who is not there or was
// disabled; CodeUnavailable when nobody can be asked, and the user was not seen lately.
func (l *LDAP) Groups(ctx context.Context, user string) ([]string, error) {
	name, _, _ := strings.Cut(user, "@")
	return l.answers.of(ctx, user, func(ctx context.Context) ([]string, error) {
		select {
		case l.places <- struct{}{}:
			defer func() { <-l.places }()
		case <-ctx.Done():
			return nil, understudy.Errorf(understudy.CodeUnavailable, "the directory has too much to do: %w", ctx.Err())
		}
		var failed error
		for _, server := range l.URLs {
			groups, err := l.ask(ctx, server, name)
			if err == nil || understudy.CodeOf(err) == understudy.CodeForbidden {
				return groups, err
			}
			l.Log.Warn("a server of the directory could not be asked", "server", server, "error", err)
			failed = errors.Join(failed, err)
		}
		return nil, understudy.Errorf(understudy.CodeUnavailable, "none of the directory's %d servers can be asked for the groups of %s; the management server's log says why: %w", len(l.URLs), user, failed)
	})
}

// of reports whether a user is one of the domain.
func (l *LDAP) of(user string) bool {
	_, realm, _ := strings.Cut(user, "@")
	return strings.EqualFold(realm, l.Realm)
}

func (l *LDAP) connect(ctx context.Context, server string) (*ldap.Conn, error) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: patience}
	if end, ok := ctx.Deadline(); ok {
		dialer.Deadline = end
	}
	security := &tls.Config{ServerName: u.Hostname(), RootCAs: l.authorities, MinVersion: tls.VersionTLS12}
	c, err := ldap.DialURL(server, ldap.DialWithDialer(dialer), ldap.DialWithTLSConfig(security))
	if err != nil {
		return nil, err
	}
	c.SetTimeout(patience)
	if u.Scheme == "ldap" {
		err = c.StartTLS(security)
	}
	if err == nil {
		err = l.bind(c)
	}
	if err != nil {
		_ = c.Close() // of no use
		return nil, err
	}
	return c, nil
}

func (l *LDAP) bind(c *ldap.Conn) error {
	password, err := remote.Secret("ldap.password_file", l.PasswordFile)
	if err != nil {
		return err
	}
	if password == "" { // which would be taken for nobody's, and let in
		return fmt.Errorf("ldap.password_file %s is empty", l.PasswordFile)
	} else if err := c.Bind(l.BindDN, password); err != nil {
		return fmt.Errorf("the directory does not know %s by the password in %s: %w", l.BindDN, l.PasswordFile, err)
	}
	return nil
}

func (l *LDAP) ask(ctx context.Context, server, name string) ([]string, error) {
	c, err := l.connect(ctx, server)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }() // only answers that came count
	// 1.2.840.113556.1.4.803 is a bitwise and: bit 2 is a disabled account ([MS-ADTS] §2.2.16).
	who := fmt.Sprintf("(&(objectClass=user)(sAMAccountName=%s)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))", ldap.EscapeFilter(name))
	found, err := c.Search(l.search(who, 2, "primaryGroupID", "objectSid"))
	switch {
	case err != nil && !ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded):
		return nil, err
	case err != nil || len(found.Entries) != 1:
		return nil, understudy.Errorf(understudy.CodeForbidden, "the directory has no enabled account %.80q below %s", name, l.Base)
	}
	account := found.Entries[0]
	// 1.2.840.113556.1.4.1941 follows the chain of members ([MS-ADTS] §3.1.1.3.4.4.3).
	member := fmt.Sprintf("(&(objectClass=group)(member:1.2.840.113556.1.4.1941:=%s))", ldap.EscapeFilter(account.DN))
	all, err := c.SearchWithPaging(l.search(member, 0, "sAMAccountName", "objectSid"), page)
	if err != nil {
		return nil, err
	}
	if len(all.Entries) > maxLDAP {
		return nil, understudy.Errorf(understudy.CodeForbidden, "%s is in %d groups, and up to %d are looked at", account.DN, len(all.Entries), maxLDAP)
	}
	var groups []string
	for _, g := range all.Entries {
		groups = append(groups, g.DN)
		// Who may make groups could name one like the SID of another.
		if name := g.GetAttributeValue("sAMAccountName"); name != "" && !strings.HasPrefix(strings.ToUpper(name), "S-1-") {
			groups = append(groups, name)
		}
		if sid, ok := parseSID(g.GetRawAttributeValue("objectSid")); ok {
			groups = append(groups, sid)
		}
	}
	return append(groups, primaryGroup(account)...), nil
}

// primaryGroup is the one that is no member's attribute, as a rule Domain Users.
func primaryGroup(account *ldap.Entry) []string {
	own, ok := parseSID(account.GetRawAttributeValue("objectSid"))
	number, err := strconv.ParseUint(account.GetAttributeValue("primaryGroupID"), 10, 32)
	if !ok || err != nil {
		return nil
	}
	return []string{fmt.Sprintf("%s-%d", own[:strings.LastIndexByte(own, '-')], number)}
}

func (l *LDAP) search(filter string, most int, attributes ...string) *ldap.SearchRequest {
	return ldap.NewSearchRequest(l.Base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, most, int(patience/time.Second), false, filter, attributes, nil)
}
