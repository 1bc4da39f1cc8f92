package sqlstore_test

import (
	"context"
	"path/filepath"
	"testing"

	"understudy/internal/management"
	"understudy/internal/management/storetest"
	"understudy/internal/sqlstore"
)

func open(t testing.TB, path string) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t testing.TB) management.Store { return open(t, filepath.Join(t.TempDir(), "a folder", "management.db")) })
}
