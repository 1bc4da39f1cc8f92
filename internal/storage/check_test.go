package storage_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/fs"
	"understudy/internal/storage"
)

// checkedStore is a closed store with two cameras and a segment from elsewhere.
func checkedStore(t *testing.T) (dir string, own []understudy.Segment, from understudy.SegmentID) {
	t.Helper()
	dir = t.TempDir()
	s := open(t, dir, func(c *storage.Config) { c.SegmentLength = 2 * time.Second })
	tracks, samples := fmp4test.Clip(t, "h264", 4)
	record(t, s, "lobby", 1, tracks, samples)
	record(t, s, "yard", 3, tracks, samples)
	id, b := away(t, 1)
	i := mustImport(t, s, id, b)
	if _, err := i.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := i.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, segment := range segments(t, s, "lobby") {
		if segment.ID != id {
			own = append(own, segment)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, own, id
}

func checked(t *testing.T, dir string) storage.Checked {
	t.Helper()
	found, err := storage.Check(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestCheckOfAWholeStore(t *testing.T) {
	dir, _, _ := checkedStore(t)
	s := open(t, dir) // it may run beside a server
	var done, total int64
	got, err := storage.Check(t.Context(), dir, func(d, all int64) { done, total = d, all })
	if err != nil || len(got.Faults) != 0 || got.Samples != 2*160+40 || got.Bytes != s.State().UsedBytes || done != total || total != got.Bytes {
		t.Errorf("of a whole store: %+v, %d of %d bytes, %v", got, done, total, err)
	}
	if _, err := storage.Repair(t.Context(), dir, nil); understudy.CodeOf(err) != understudy.CodeConflict || !strings.Contains(err.Error(), "stop it") {
		t.Errorf("a repair beside a server: %v", err)
	}
	if _, err := storage.Check(t.Context(), t.TempDir(), nil); understudy.CodeOf(err) != understudy.CodeInvalid {
		t.Errorf("an empty folder: %v", err)
	}
}

// Each kind of damage is found and told with what to do, mended, and found no
// more; no byte of a file is gone but those that were damaged or moved aside.
func TestCheckAndRepair(t *testing.T) {
	type store struct {
		dir string
		own []understudy.Segment
		in  understudy.SegmentID
	}
	path := func(s store, id understudy.SegmentID) string {
		return filepath.Join(s.dir, "cameras", id.String()+".mp4")
	}
	index := func(s store) string { return filepath.Join(s.dir, "index", "lobby", "2026-03-01-rec1") }
	for name, c := range map[string]struct {
		damage func(s store) error
		words  string // of a fault
		lost   int    // pictures, at least
		aside  string // something that is kept there
	}{
		"a flipped bit":      {func(s store) error { return flip(path(s, s.own[1].ID), s.own[1].Size/2) }, "is damaged: ", 1, ""},
		"a bit of what came": {func(s store) error { return flip(path(s, s.in), 20_000) }, "is damaged: ", 1, ""},
		"a truncated file":   {func(s store) error { return os.Truncate(path(s, s.own[1].ID), s.own[1].Size/2) }, "was truncated: ", 1, ""},
		"a file that grew":   {func(s store) error { return extend(path(s, s.own[1].ID), make([]byte, 5000)) }, "behind its end", 0, ".from-"},
		"a deleted file":     {func(s store) error { return os.Remove(path(s, s.own[1].ID)) }, "its file is gone", 20, ""},
		"a deleted index":    {func(s store) error { return os.RemoveAll(filepath.Dir(index(s))) }, "the index of camera lobby is missing", 0, ""},
		"a deleted day":      {func(s store) error { return os.Remove(index(s)) }, "is not in the index", 0, ""},
		"a damaged index":    {func(s store) error { return flip(index(s), 200) }, "the index file index/lobby/2026-03-01-rec1 is damaged", 0, ""},
		"an older index":     {func(s store) error { return os.Truncate(index(s), 136*4) }, "is not in the index", 0, ""},
		"a flipped bit of what no index has": {func(s store) error {
			return errors.Join(os.RemoveAll(filepath.Dir(index(s))), flip(path(s, s.own[1].ID), s.own[1].Size/2))
		}, "is damaged, and not in the index: bytes ", 1, ""},
		"a damaged header": {func(s store) error { return flip(path(s, s.own[1].ID), 5) }, "is no segment, or its header is damaged", 20, ".mp4"},
		"a foreign segment": {func(s store) error {
			return move(path(s, s.own[1].ID), filepath.Join(s.dir, "cameras", "yard", filepath.Base(path(s, s.own[1].ID))))
		}, "it is foreign here", 0, ".mp4"},
		"one under a name": {func(s store) error { return move(path(s, s.own[1].ID), path(s, s.own[2].ID)) }, "it is foreign here", 20, ".mp4"},
		"a stranger": {func(s store) error {
			return extend(filepath.Join(s.dir, "cameras", "lobby", "holiday.mp4"), []byte("x"))
		}, "no segment has such a name", 0, "holiday.mp4"},
		"one set aside before":   {func(s store) error { return extend(path(s, s.own[1].ID)+".damaged", []byte("x")) }, "was set aside", 0, ".damaged"},
		"what was written twice": {func(s store) error { return repeat(path(s, s.own[0].ID), path(s, s.own[1].ID)) }, "have the same pictures", 0, ".from-"},
	} {
		t.Run(name, func(t *testing.T) {
			var s store
			s.dir, s.own, s.in = checkedStore(t)
			whole := checked(t, s.dir)
			if err := c.damage(s); err != nil {
				t.Fatal(err)
			}
			found := checked(t, s.dir)
			if said := strings.Join(found.Faults, "\n"); !strings.Contains(said, c.words) || !strings.Contains(said, "understudy check --repair") {
				t.Fatalf("found %q, want one that says %q", found.Faults, c.words)
			}
			repaired, err := storage.Repair(t.Context(), s.dir, nil)
			if err != nil || len(repaired.Left) > 0 || len(repaired.Repaired) == 0 {
				t.Fatalf("repaired %q, left %q, %v", repaired.Repaired, repaired.Left, err)
			}
			after := checked(t, s.dir)
			if len(after.Faults) > 0 || after.Samples > whole.Samples-c.lost || after.Samples < whole.Samples-60 {
				t.Errorf("after the repair: %+v, it was %+v", after, whole)
			}
			var kept []string
			_ = filepath.WalkDir(filepath.Join(s.dir, "set-aside"), func(p string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					kept = append(kept, p)
				}
				return nil
			})
			if (c.aside == "") != (len(kept) == 0) || c.aside != "" && !strings.Contains(strings.Join(kept, " "), c.aside) {
				t.Errorf("aside lie %q, want one with %q", kept, c.aside)
			}
			opened := open(t, s.dir)
			shown := len(stored(t, opened, "lobby")) + len(stored(t, opened, "yard"))
			if shown != after.Samples {
				t.Errorf("%d pictures are shown, %d are whole", shown, after.Samples)
			}
			if notes := damageNotes(t, opened); c.lost > 0 && notes == 0 && c.words != "it is foreign here" {
				t.Error("the gap has no cause")
			}
		})
	}
}

// A server died with a segment open, and the disk broke it: the next start will
// cut it where it is broken, so who checks first is told where, and keeps the rest.
func TestCheckOfAnOpenSegmentThatIsDamaged(t *testing.T) {
	dir, died := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := run(t, fs.System(dir))
		tracks, samples := fmp4test.Clip(t, "h264", 8)
		w := begin(t, s.Store, "lobby", 1, tracks)
		feed(t, w, samples)
		time.Sleep(2 * time.Second) // all of it is durable, and the segment is open
		if err := os.CopyFS(died, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(t.Context()); err != nil {
			t.Error(err)
		}
		s.stop()
	})
	files, err := filepath.Glob(filepath.Join(died, "cameras", "lobby", "*.mp4"))
	if err != nil || len(files) != 1 {
		t.Fatalf("one segment is open: %q, %v", files, err)
	}
	whole := checked(t, died)
	file, err := os.Stat(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := flip(files[0], file.Size()/2); err != nil {
		t.Fatal(err)
	}
	found := checked(t, died)
	if said := strings.Join(found.Faults, "\n"); len(found.Faults) != 1 || !strings.Contains(said, "is damaged, and not closed in the index: bytes ") {
		t.Errorf("found %q", found.Faults)
	}
	if repaired, err := storage.Repair(t.Context(), died, nil); err != nil || len(repaired.Left) > 0 {
		t.Errorf("repaired %q, left %q, %v", repaired.Repaired, repaired.Left, err)
	}
	after := open(t, died)
	if n := len(stored(t, after, "lobby")); n != found.Samples || n < whole.Samples/2 || damageNotes(t, after) == 0 {
		t.Errorf("%d pictures are shown of %d, %d are whole; %d notes", n, whole.Samples, found.Samples, damageNotes(t, after))
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

func extend(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(b)
	return err
}

func move(from, to string) error {
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	return err
}

// repeat appends the first fragment of one segment to another one.
func repeat(to, from string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	begin := strings.Index(string(b), "moof") - 4
	end := begin + 8 + strings.Index(string(b[begin+8:]), "moof") - 4
	return extend(to, b[begin:end])
}
