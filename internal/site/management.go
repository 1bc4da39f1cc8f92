package site

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"understudy"
	"understudy/client"
	"understudy/internal/identity"
)

// manager is a management server before it runs.
type manager struct {
	name        string
	host        string
	http, https int
}

func (m manager) url() string { return "https://" + strings.TrimSuffix(join(m.host, m.https), ":443") }

// startManagements starts the first management server, sets the site up with it, and
// starts the others with the keys that it made.
func (s *Site) startManagements(ctx context.Context, hosts *addresses) error {
	var all []manager
	var urls, peers []string
	for n := range max(1, s.options.Managements) {
		m := manager{name: Management}
		if n > 0 {
			m.name = fmt.Sprint(Management, n+1)
		}
		host, ports, err := hosts.host(ctx, m.name, s.options.Ports[0], s.options.Ports[1])
		if err != nil {
			return err
		}
		m.host, m.http, m.https = host, ports[0], ports[1]
		all, urls = append(all, m), append(urls, m.url())
		peers = append(peers, "https://"+join(host, ports[0]), "https://"+join(host, ports[1]))
	}
	s.HTTP, s.URL = join(all[0].host, all[0].http), all[0].url()
	if len(all) == 1 {
		peers = nil
	}
	if err := s.startFirst(ctx, all[0], urls, peers); err != nil {
		return err
	}
	for _, m := range all[1:] {
		if err := s.startAnother(ctx, m, peers); err != nil {
			return err
		}
	}
	return nil
}

func (s *Site) startManager(m manager, peers []string) (*Process, error) {
	s.options.Say("starting the " + m.name + " server")
	settings := map[string]any{
		"data": s.Folder(m.name), "hosts": []string{m.host, "localhost"}, "http": join(m.host, m.http), "https": join(m.host, m.https),
		"demo_control": s.options.Demo, "metrics": s.metricsAt(m.host), "peers": peers,
	}
	if s.options.Store != "" {
		settings["store"] = s.options.Store
	}
	file, err := s.write(m.name, settings)
	if err != nil {
		return nil, err
	}
	return s.start(m.name, "management", "--config", file)
}

// startFirst starts the one that makes the site, and its first administrator, who signs in.
func (s *Site) startFirst(ctx context.Context, m manager, urls, peers []string) error {
	process, err := s.startManager(m, peers)
	if err != nil {
		return err
	}
	var code []byte
	err = until(ctx, "the management server to print its setup code", process, func(context.Context) bool {
		ca, caErr := os.ReadFile(filepath.Join(s.Folder(m.name), "ca.pem"))
		c, codeErr := os.ReadFile(filepath.Join(s.Folder(m.name), "setup-code"))
		s.CA, code = ca, c
		return caErr == nil && codeErr == nil && len(code) > 0
	})
	if err != nil {
		return err
	}
	config, err := identity.UserTLS(s.CA)
	if err != nil {
		return err
	}
	verify, err := identity.StatementVerifier(s.CA)
	if err != nil {
		return err
	}
	s.Client, err = client.New(client.Config{Addresses: urls, TLS: func(understudy.ServerID) *tls.Config { return config }, Verify: verify})
	if err != nil {
		return err
	}
	var last error
	err = until(ctx, "the management server to answer", process, func(ctx context.Context) bool {
		last = s.Client.Setup(ctx, understudy.Secret(strings.TrimSpace(string(code))), s.User, s.Password)
		return last == nil || understudy.CodeOf(last) != understudy.CodeUnavailable
	})
	if err := errors.Join(err, last); err != nil {
		return err
	}
	_, err = s.Client.SignIn(ctx, s.User, s.Password)
	return err
}

// startAnother starts one more, with a copy of the site's keys, and waits until it answers.
func (s *Site) startAnother(ctx context.Context, m manager, peers []string) error {
	keys := filepath.Join("authority", "authority.json")
	content, err := os.ReadFile(filepath.Join(s.Folder(Management), keys))
	if err == nil {
		err = os.MkdirAll(filepath.Join(s.Folder(m.name), "authority"), 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(s.Folder(m.name), keys), content, 0o600)
	}
	if err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "the keys of the site could not be copied to %s: %w", m.name, err)
	}
	process, err := s.startManager(m, peers)
	if err != nil {
		return err
	}
	one, err := client.New(client.Config{Addresses: []string{m.url()}, TLS: s.Client.TLSFor, Token: s.Client.Token()})
	if err != nil {
		return err
	}
	defer one.Close()
	return until(ctx, m.name+" to answer", process, func(ctx context.Context) bool {
		_, err := one.Site(ctx)
		return err == nil
	})
}
