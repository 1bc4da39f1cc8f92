package storage_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/storage"
)

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, func(c *storage.Config) { c.SegmentLength = 2 * time.Second })
	tracks, samples := fmp4test.Clip(t, "h264", 4)
	record(t, s, "lobby", 1, tracks, samples)
	id, b := away(t, 1)
	i := mustImport(t, s, id, b)
	if _, err := i.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := i.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	var done, total int64
	check := func() storage.Checked {
		t.Helper()
		checked, err := storage.Check(t.Context(), dir, func(d, all int64) { done, total = d, all })
		if err != nil {
			t.Fatal(err)
		}
		return checked
	}
	list := segments(t, s, "lobby")
	got := check()
	if len(got.Faults) != 0 || got.Segments != len(list) || got.Samples != 160+40 || got.Bytes != s.State().UsedBytes || done != total || total != got.Bytes {
		t.Errorf("of a whole store: %+v, %d of %d bytes", got, done, total)
	}

	path := func(id understudy.SegmentID) string { return filepath.Join(dir, "cameras", id.String()+".mp4") }
	damage := func(what, words string, do func() error) {
		t.Helper()
		before := len(check().Faults)
		if err := do(); err != nil {
			t.Fatal(err)
		}
		if got := check().Faults; len(got) != before+1 || !strings.Contains(strings.Join(got, "\n"), words) {
			t.Errorf("%s: %q, want one more than %d that says %q", what, got, before, words)
		}
	}
	own := list[1:]
	damage("a flipped bit", "damaged behind byte", func() error { return flip(path(own[1].ID), own[1].Size/2) })
	damage("a flipped bit in what came home", id.String()+" is damaged", func() error { return flip(path(id), int64(len(b)-1)) })
	damage("a file under another name", "says that it is", func() error {
		b, err := os.ReadFile(path(own[2].ID))
		if err != nil {
			return err
		}
		return os.WriteFile(path(own[0].ID), b, 0o600)
	})
	damage("a file that is gone", "its file is gone", func() error { return os.Remove(path(own[2].ID)) })
	damage("a header that is none", "cannot be read", func() error { return flip(path(own[3].ID), 5) })
	damage("a file that was set aside", "set aside", func() error { return os.WriteFile(path(own[0].ID)+".damaged", nil, 0o600) })
	if _, err := storage.Check(t.Context(), t.TempDir(), nil); understudy.CodeOf(err) != understudy.CodeInvalid {
		t.Errorf("an empty folder: %v", err)
	}
}

func flip(name string, at int64) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	b[at] ^= 0x20
	return os.WriteFile(name, b, 0o600)
}
