package sqlstore

import "testing"

// Pragma returns a setting of the connection that writes.
func Pragma(t testing.TB, s *Store, name string) string {
	t.Helper()
	var value string
	if err := s.writer.NewRaw("PRAGMA "+name).Scan(t.Context(), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// AtLeast is atLeast.
var AtLeast = atLeast
