package config

import (
	"time"

	"understudy"
)

// Kerberos configures who is let in with a ticket; without a keytab nobody is.
type Kerberos struct {
	Keytab    string        `yaml:"keytab"`     // file with the keys of HTTP/host
	Realms    []string      `yaml:"realms"`     // whose users; those of the keytab unless given
	ClockSkew time.Duration `yaml:"clock_skew"` // between clients and this server
	// PlainHTTP lets tickets be shown on the port without TLS, to look at the state
	// of the site. Whoever stands between can use such a ticket once, elsewhere.
	PlainHTTP bool `yaml:"plain_http"`
}

// LDAP configures where the groups of the users of a domain are asked for; without urls
// those count that stand in the ticket.
type LDAP struct {
	URLs         []string `yaml:"urls"` // ldaps://host, or ldap://host with StartTLS
	Base         string   `yaml:"base"`
	Realm        string   `yaml:"realm"` // whose users; from base unless given
	BindDN       string   `yaml:"bind_dn"`
	PasswordFile string   `yaml:"password_file"`
	CAFile       string   `yaml:"ca_file"`
}

// OpenID configures an identity provider whose users are let in; without an issuer there is none.
type OpenID struct {
	Issuer      string   `yaml:"issuer"` // https://sso.example.com/realm
	ClientID    string   `yaml:"client_id"`
	SecretFile  string   `yaml:"secret_file"`
	CAFile      string   `yaml:"ca_file"`
	UserClaim   string   `yaml:"user_claim"`
	GroupsClaim string   `yaml:"groups_claim"`
	Scopes      []string `yaml:"scopes"` // beside openid and profile
}

// Grant is what members of a group, or one user, who have no account here may do.
type Grant struct {
	Group   string   `yaml:"group"`
	User    string   `yaml:"user"`
	Role    string   `yaml:"role"`
	Cameras []string `yaml:"cameras"` // * is every one
	// CameraGroups are those whose cameras it is for, too.
	CameraGroups []string `yaml:"camera_groups"`
}

func (k Kerberos) check(path string, grants int) error {
	switch {
	case k.Keytab == "" && (k.PlainHTTP || len(k.Realms) > 0 || k.ClockSkew != 0):
		return understudy.Errorf(understudy.CodeInvalid, "configuration %s: kerberos needs keytab, the file with the keys of HTTP/host", path)
	case k.ClockSkew < 0 || k.ClockSkew > 15*time.Minute:
		return understudy.Errorf(understudy.CodeInvalid, "configuration %s: kerberos.clock_skew is up to 15m, and 5m unless given; found %s", path, k.ClockSkew)
	case k.Keytab != "" && grants == 0:
		return understudy.Errorf(understudy.CodeInvalid, "configuration %s: kerberos lets nobody do anything without grants: a list of group (or user), role and cameras", path)
	}
	return nil
}

func (o OpenID) check(path string, grants int) error {
	switch {
	case o.Issuer == "" && (o.ClientID != "" || o.SecretFile != "" || o.CAFile != ""):
		return understudy.Errorf(understudy.CodeInvalid, "configuration %s: openid needs issuer, the address of the provider", path)
	case o.Issuer != "" && grants == 0:
		return understudy.Errorf(understudy.CodeInvalid, "configuration %s: openid lets nobody do anything without grants: a list of group (or user), role and cameras", path)
	}
	return nil
}
