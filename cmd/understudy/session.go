package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"understudy"
	"understudy/client"
	"understudy/internal/identity"
)

// session is what sign-in keeps for the commands that follow.
type session struct {
	Addresses []string          `json:"addresses"`
	CA        string            `json:"ca"` // PEM
	Token     understudy.Secret `json:"token"`
}

// sessionPath is in the user's configuration folder; UNDERSTUDY_SESSION names another file.
func sessionPath() (string, error) {
	if path := os.Getenv("UNDERSTUDY_SESSION"); path != "" {
		return path, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", understudy.Errorf(understudy.CodeInvalid, "there is no place for the session; name a file in UNDERSTUDY_SESSION: %w", err)
	}
	return filepath.Join(dir, "understudy", "session.json"), nil
}

func (s session) save() error {
	path, err := sessionPath()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "the folder of the session could not be made: %w", err)
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "the session could not be kept: %w", err)
	}
	return nil
}

func loadSession() (session, error) {
	path, err := sessionPath()
	if err != nil {
		return session{}, err
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return session{}, understudy.Errorf(understudy.CodeUnauthenticated, "nobody is signed in; run: understudy sign-in https://ADDRESS --user NAME")
	}
	if err != nil {
		return session{}, understudy.Errorf(understudy.CodeUnavailable, "the session could not be read: %w", err)
	}
	var s session
	if err := json.Unmarshal(text, &s); err != nil {
		return session{}, understudy.Errorf(understudy.CodeInvalid, "the session in %s is damaged; sign in again: %w", path, err)
	}
	return s, nil
}

// signedIn returns the client of the site where the user signed in.
func signedIn() (*client.Client, error) {
	_, site, err := ownSession()
	return site, err
}

// ownSession is signedIn for who changes the session itself.
func ownSession() (session, *client.Client, error) {
	s, err := loadSession()
	if err != nil {
		return s, nil, err
	}
	site, err := s.client()
	return s, site, err
}

// siteNow is signedIn for who begins with the site as it is.
func siteNow(ctx context.Context) (*client.Client, understudy.Site, error) {
	site, err := signedIn()
	if err != nil {
		return nil, understudy.Site{}, err
	}
	now, err := site.Site(ctx)
	return site, now, err
}

func (s session) client() (*client.Client, error) {
	config, err := identity.UserTLS([]byte(s.CA))
	if err != nil {
		return nil, err
	}
	verify, err := identity.StatementVerifier([]byte(s.CA))
	if err != nil {
		return nil, err
	}
	memory, err := s.memory()
	if err != nil {
		return nil, err
	}
	return client.New(client.Config{
		Memory:    memory,
		Addresses: s.Addresses,
		TLS:       func(understudy.ServerID) *tls.Config { return config },
		Verify:    verify,
		Token:     s.Token,
	})
}
