// Package sqlstore keeps what the management server knows in an SQL database:
// SQLite, inside the process.
package sqlstore

import (
	"context"

	"understudy/internal/management"
)

// Store is a management.Store on an SQL database.
type Store struct{}

var _ management.Store = (*Store)(nil)

// Open opens the SQLite database in the file at path, and creates or migrates it.
func Open(ctx context.Context, path string) (*Store, error) { panic("being built") }

// Close closes the database.
func (s *Store) Close() error { panic("being built") }

// Update runs f in one transaction.
func (s *Store) Update(ctx context.Context, f func(management.Tx) error) error { panic("being built") }

// View runs f on one consistent state.
func (s *Store) View(ctx context.Context, f func(management.Reader) error) error {
	panic("being built")
}
