package main

import (
	"net"
	"net/http"
	"slices"
	"strconv"

	"understudy"
	"understudy/internal/api"
	"understudy/internal/incident"
	"understudy/web"
)

func (m *managementServer) handler() http.Handler {
	var demo http.Handler
	if m.config.DemoControl != "" {
		demo = demoControl(m.config.DemoControl)
	}
	return api.NewManagement(api.Config{
		Services: m.service, Authority: m.authority, Identify: m.identify, Channel: m.channel,
		Trust:     m.trust,
		JoinToken: m.joinToken, Status: m.self.LastStatus, Timelines: m.self, TLS: m.node.ClientTLS,
		OpenID: m.openID, Incidents: m.incidents, Report: incident.Report,
		Web: web.Files, Demo: demo, HTTPS: portOf(m.listeners[1]), Version: version(), Ready: m.ready, Refused: m.uses.RefusedRoute, Answered: m.requests.Answered, Log: m.log,
	})
}

// joinToken names the port of servers first, and that of users in case only it is let through.
func (m *managementServer) joinToken(secret understudy.Secret) (understudy.Secret, error) {
	if len(m.config.Hosts) == 0 {
		return "", understudy.Errorf(understudy.CodeInvalid, "the management server's configuration needs `hosts`, so that a joining server finds it")
	}
	token, err := m.authority.JoinToken(m.addresses(), secret)
	return token.Encode(), err
}

// addresses of all management servers, in the order in which each of them tells them; none without a host name.
func (m *managementServer) addresses() []string {
	if len(m.config.Hosts) == 0 {
		return nil
	}
	var urls []string
	for _, l := range m.listeners {
		urls = append(urls, "https://"+net.JoinHostPort(m.config.Hosts[0], strconv.Itoa(portOf(l))))
	}
	urls = append(urls, m.config.Peers...)
	slices.Sort(urls)
	return slices.Compact(urls)
}
