package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"understudy"
	"understudy/client"
	"understudy/internal/config"
	"understudy/internal/identity"
)

// membership is what a server needs to take part in an installation.
type membership struct {
	Data   string // folder of the server
	Role   understudy.Role
	Hosts  []string
	Listen config.Listen
	Boot   string // names this process
	Token  string // join token, or @FILE that holds one; empty once the server has joined
}

// member loads the server's node, joining first where it has none, and returns
// the client with which it talks to the management servers.
func (m membership) member(ctx context.Context, log *slog.Logger) (*identity.Node, *client.Client, error) {
	dir := filepath.Join(m.Data, "identity")
	node, err := identity.LoadNode(dir)
	if understudy.CodeOf(err) == understudy.CodeNotFound && err != nil {
		if m.Token == "" {
			return nil, nil, understudy.Errorf(understudy.CodeUnauthenticated,
				"this server belongs to no installation yet (%s is empty); make a token with `understudy server add` and give it with --join", dir)
		}
		node, err = m.join(ctx, dir, log)
	} else if err == nil && m.Token != "" {
		log.Info("the server has joined already; the join token was not used", "server", node.ID())
	}
	if err != nil {
		return nil, nil, err
	}
	if node.Role() != m.Role {
		return nil, nil, understudy.Errorf(understudy.CodeInvalid, "%s holds the identity of a %s server named %s; start it as `understudy %s`, or name another data folder",
			m.Data, node.Role(), node.ID(), node.Role())
	}
	known, err := m.managers(node)
	if err != nil {
		return nil, nil, err
	}
	site, err := client.New(client.Config{Addresses: known, TLS: node.ClientTLS, Boot: m.Boot, Log: log})
	return node, site, err
}

// join turns a one-time token into an identity of the installation.
func (m membership) join(ctx context.Context, dir string, log *slog.Logger) (*identity.Node, error) {
	token, err := m.token()
	if err != nil {
		return nil, err
	}
	if len(m.Hosts) == 0 {
		return nil, understudy.Errorf(understudy.CodeInvalid, "the configuration needs `hosts`: the names or addresses by which clients and servers reach this one, such as [10.0.0.11]")
	}
	addresses, err := m.addresses()
	if err != nil {
		return nil, err
	}
	request, err := identity.NewJoinRequest(dir)
	if err != nil {
		return nil, err
	}
	pinned := identity.PinnedTLS(token)
	site, err := client.New(client.Config{Addresses: token.URLs, TLS: func(understudy.ServerID) *tls.Config { return pinned }, Log: log})
	if err != nil {
		return nil, err
	}
	answer, err := site.Join(ctx, understudy.JoinRequest{Secret: token.Secret, Role: m.Role, Request: string(request), Hosts: m.Hosts, Addresses: addresses})
	if err != nil {
		return nil, err
	}
	var trust identity.Trust
	if err := json.Unmarshal(answer.Trust, &trust); err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "the management server's answer to the join could not be read: %w", err)
	}
	text, err := json.Marshal(managers{Addresses: token.URLs})
	if err != nil {
		return nil, err
	}
	// Before the node: a node without it could never be used.
	if err := os.WriteFile(filepath.Join(m.Data, "management.json"), text, 0o600); err != nil {
		return nil, understudy.Errorf(understudy.CodeUnavailable, "where the management servers are could not be kept: %w", err)
	}
	node, err := identity.SaveNode(dir, []byte(answer.Certificate), trust)
	if err == nil {
		log.Info("joined the installation", "server", node.ID(), "role", node.Role(), "installation", trust.Installation)
	}
	return node, err
}

func (m membership) token() (identity.JoinToken, error) {
	text := m.Token
	if file, ok := strings.CutPrefix(text, "@"); ok {
		content, err := os.ReadFile(file)
		if err != nil {
			return identity.JoinToken{}, understudy.Errorf(understudy.CodeInvalid, "this server belongs to no installation yet, and its join token could not be read; `understudy server add` makes one: %w", err)
		}
		text = strings.TrimSpace(string(content))
	}
	return identity.ParseJoinToken(text)
}

// addresses are the first host with the ports that are listened on.
func (m membership) addresses() (understudy.Addresses, error) {
	if m.Role == understudy.RoleChannel {
		return understudy.Addresses{}, nil
	}
	at := func(listen string) (string, error) {
		_, port, err := net.SplitHostPort(listen)
		if err != nil || port == "0" {
			return "", understudy.Errorf(understudy.CodeInvalid, "a listen address needs a fixed port, others must find it; found %q", listen)
		}
		return net.JoinHostPort(m.Hosts[0], port), nil
	}
	media, err := at(m.Listen.Media)
	if err != nil {
		return understudy.Addresses{}, err
	}
	state, err := at(m.Listen.State)
	if err != nil {
		return understudy.Addresses{}, err
	}
	if m.Role != understudy.RoleRecording {
		return understudy.Addresses{Media: media, State: state}, nil
	}
	merge, err := at(m.Listen.Merge)
	return understudy.Addresses{Media: media, State: state, Merge: merge}, err
}
