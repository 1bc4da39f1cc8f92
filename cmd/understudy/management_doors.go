package main

import (
	"context"

	"understudy"
	"understudy/internal/api"
	"understudy/internal/config"
	"understudy/internal/directory"
	"understudy/internal/kerberos"
	"understudy/internal/openid"
)

// openDoors makes ready what lets people in who have no account here.
func (m *managementServer) openDoors() error {
	grants, err := grantsOf(m.config.Grants)
	if err != nil {
		return err
	}
	k, l := m.config.Kerberos, m.config.LDAP
	rights := directory.Directory{Grants: grants, Site: func(ctx context.Context) (understudy.Site, error) { return m.service.Site(ctx) }}
	if len(l.URLs) > 0 {
		rights.LDAP = &directory.LDAP{URLs: l.URLs, Base: l.Base, Realm: l.Realm, BindDN: l.BindDN, PasswordFile: l.PasswordFile, CAFile: l.CAFile, Log: m.log}
		if err := rights.LDAP.Open(); err != nil {
			return err
		}
	}
	if k.Keytab != "" {
		acceptor, err := kerberos.New(kerberos.Config{Keytab: k.Keytab, Realms: k.Realms, Skew: k.ClockSkew, Log: m.log})
		if err != nil {
			return err
		}
		m.tickets = &api.Tickets{Accept: acceptor.Accept, Rights: rights.Rights, PlainHTTP: k.PlainHTTP}
	}
	return m.openProvider(rights)
}

// warnOfGrants tells of grants that give less than they say.
func (m *managementServer) warnOfGrants(ctx context.Context) error {
	grants, err := grantsOf(m.config.Grants)
	if err != nil || len(grants) == 0 {
		return err
	}
	site, err := m.service.Site(ctx)
	for _, sentence := range grants.Lacking(site) {
		m.log.Warn(sentence)
	}
	return err
}

func (m *managementServer) openProvider(rights directory.Directory) error {
	o := m.config.OpenID
	if o.Issuer == "" {
		return nil
	}
	door, err := openid.New(openid.Config{
		Issuer: o.Issuer, ClientID: o.ClientID, SecretFile: o.SecretFile, CAFile: o.CAFile,
		UserClaim: o.UserClaim, GroupsClaim: o.GroupsClaim, FurtherScope: o.Scopes,
	})
	if err != nil {
		return err
	}
	m.openID = &api.OpenID{Door: door, Rights: rights.Rights, Seal: m.authority.Seal, Open: m.authority.Open}
	return nil
}

func grantsOf(configured []config.Grant) (directory.Grants, error) {
	var grants directory.Grants
	for _, c := range configured {
		g := directory.Grant{Group: c.Group, User: c.User, Grant: understudy.Grant{Role: understudy.UserRole(c.Role)}}
		for _, camera := range c.Cameras {
			g.Cameras = append(g.Cameras, understudy.CameraID(camera))
		}
		for _, group := range c.CameraGroups {
			g.CameraGroups = append(g.CameraGroups, understudy.CameraGroupID(group))
		}
		grants = append(grants, g)
	}
	return grants, grants.Validate()
}
