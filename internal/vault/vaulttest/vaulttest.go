// Package vaulttest is a vault for tests.
package vaulttest

import (
	"slices"
	"sync"

	"understudy"
)

// Memory keeps files in memory; while it hangs, nothing is kept and nobody returns from it.
type Memory struct {
	Hangs chan struct{} // nil: it does not
	files sync.Map
}

// SealFile implements vault.Vault.
func (m *Memory) SealFile(name string, plain []byte) error {
	if m.Hangs != nil {
		<-m.Hangs
	}
	m.files.Store(name, slices.Clone(plain))
	return nil
}

// OpenFile implements vault.Vault.
func (m *Memory) OpenFile(name string) ([]byte, error) {
	plain, ok := m.files.Load(name)
	if !ok {
		return nil, understudy.Errorf(understudy.CodeNotFound, "nothing is kept as %s", name)
	}
	return plain.([]byte), nil
}
