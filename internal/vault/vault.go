// Package vault keeps what a server must not forget in small files that only it can read.
package vault

import (
	"bytes"
	"encoding/json"
)

// Vault keeps small files that only this node can read: an identity.Node.
type Vault interface {
	SealFile(name string, plain []byte) error
	// OpenFile is CodeNotFound where nothing is kept.
	OpenFile(name string) ([]byte, error)
}

// List is a list in a file of a vault. It is for one goroutine at a time.
type List[T any] struct {
	vault Vault
	name  string
	kept  []byte // what lies in the vault; nil is an empty list, or nothing
}

// OpenList returns a list and what lies in it. Where that cannot be read, the list is
// good nevertheless, and the error says why: CodeNotFound where there is nothing.
func OpenList[T any](v Vault, name string) (*List[T], []T, error) {
	l := &List[T]{vault: v, name: name}
	text, err := v.OpenFile(name)
	var all []T
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		return l, nil, err
	}
	l.kept = text
	return l, all, nil
}

// Keep writes a list down, if it has changed.
func (l *List[T]) Keep(all []T) error {
	if len(all) == 0 && l.kept == nil {
		return nil // as nearly always
	}
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if bytes.Equal(text, l.kept) {
		return nil
	}
	if err := l.vault.SealFile(l.name, text); err != nil {
		return err
	}
	if l.kept = text; len(all) == 0 {
		l.kept = nil
	}
	return nil
}
