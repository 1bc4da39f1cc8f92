package sqlstore

import (
	"context"

	"github.com/uptrace/bun"
)

// bell is a kind of database that tells its clients of what others have written.
type bell interface {
	// ring tells all who hear that by has written, once tx is committed.
	ring(ctx context.Context, tx bun.Tx, by string) error
	// hear calls f whenever another than self may have rung, until ctx ends.
	hear(ctx context.Context, self string, f func())
}

// ring tells others of what t has written to the log.
func (s *Store) ring(t *tx) error {
	b, ok := s.engine.(bell)
	if !ok || !t.wrote {
		return nil
	}
	return b.ring(t.ctx, t.db, s.self)
}

// Told calls f soon after another process has written an event, until ctx ends, if the
// database tells of it. It may also call it for nothing, and misses what happens while the
// database is away.
func (s *Store) Told(ctx context.Context, f func()) {
	if b, ok := s.engine.(bell); ok {
		b.hear(ctx, s.self, f)
	}
}
