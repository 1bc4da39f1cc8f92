package main

import (
	"context"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"understudy"
)

// welcome prints what the administrator needs, and the setup code while there is no user.
func (m *managementServer) welcome(ctx context.Context, w io.Writer) error {
	if err := m.writeCA(); err != nil {
		return err
	}
	block, _ := pem.Decode(m.authority.CACertificate())
	fmt.Fprintf(w, "management server of installation %s on %s and %s\nCA certificate %s, SHA-256 %x\n",
		m.authority.Installation(), m.listeners[0].Addr(), m.listeners[1].Addr(), m.caPath(), sha256.Sum256(block.Bytes))
	code, err := m.service.SetupCode(ctx)
	file := filepath.Join(m.config.Data, "setup-code")
	if err != nil || code == "" {
		if removeErr := os.Remove(file); !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
		return err
	}
	fmt.Fprintf(w, "no user yet: open the page and enter the setup code %s (also in %s)\n", string(code), file)
	return os.WriteFile(file, []byte(code), 0o600)
}

func (m *managementServer) caPath() string { return filepath.Join(m.config.Data, "ca.pem") }

// writeCA writes down what people install in browsers.
func (m *managementServer) writeCA() error {
	if err := os.WriteFile(m.caPath(), m.authority.CACertificate(), 0o644); err != nil { //nolint:gosec // public
		return understudy.Errorf(understudy.CodeUnavailable, "the CA certificate could not be written for browsers: %w", err)
	}
	return nil
}
