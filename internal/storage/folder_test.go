package storage_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/fs"
	"understudy/internal/storage"
)

func TestAFolderHasOneOwner(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	refused := func(what, words string, c storage.Config) {
		t.Helper()
		_, err := storage.Open(t.Context(), c)
		if understudy.CodeOf(err) != understudy.CodeConflict || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v, want a conflict that says %q", what, err, words)
		}
	}
	refused("a folder in use", "held by another process", storage.Config{Folders: []storage.FolderConfig{{Dir: dir}}, Server: server})
	incarnation := s.State().Incarnation
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	refused("another server's folder", "belongs to server rec1, and this is server rec2", storage.Config{Folders: []storage.FolderConfig{{Dir: dir}}, Server: "rec2"})
	if got := open(t, dir).State().Incarnation; got != incarnation {
		t.Errorf("the incarnation was %s and is %s", incarnation, got)
	}
	if got := open(t, t.TempDir()).State().Incarnation; got == incarnation {
		t.Error("two stores have one incarnation")
	}

	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "letter.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused("a folder with something else", "letter.txt", storage.Config{Folders: []storage.FolderConfig{{Dir: other}}, Server: server})
	newer := t.TempDir()
	if err := os.WriteFile(filepath.Join(newer, "store.json"), []byte(`{"format":3,"server":"rec1","incarnation":"x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	refused("a newer format", "has format 3", storage.Config{Folders: []storage.FolderConfig{{Dir: newer}}, Server: server})
	if err := os.WriteFile(filepath.Join(newer, "store.json"), []byte(`{"for`), 0o600); err != nil {
		t.Fatal(err)
	}
	refused("a damaged store file", "damaged", storage.Config{Folders: []storage.FolderConfig{{Dir: newer}}, Server: server})
}

// The index is a cache: whatever happens to it, the same footage is listed.
func TestTheIndexIsACache(t *testing.T) {
	dir := t.TempDir()
	short := func(c *storage.Config) { c.SegmentLength = 2 * time.Second }
	s := open(t, dir, short)
	tracks, samples := fmp4test.Clip(t, "h264", 4)
	record(t, s, "lobby", 1, tracks, samples)
	want, mark := segments(t, s, "lobby"), s.Watermark("lobby")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	index := filepath.Join(dir, "index", "lobby", "2026-03-01-rec1")
	whole, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(whole)
	flipped[len(flipped)/2] ^= 4
	if err := os.CopyFS(filepath.Join(dir, "index", "yard"), os.DirFS(filepath.Join(dir, "index", "lobby"))); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"whole": string(whole), "empty": "", "torn": string(whole[:len(whole)-30]), "flipped": string(flipped),
		"twice": string(whole) + string(whole), "stale": string(whole[:len(whole)/3]),
		"garbage": strings.Repeat("\x00\xff gibberish\n", 40), "gone": "-",
	} {
		if name == "gone" {
			err = os.Remove(index)
		} else {
			err = os.WriteFile(index, []byte(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second start uses what the first one made
			s := open(t, dir, short)
			got := segments(t, s, "lobby")
			if len(got) != len(want) || s.Watermark("lobby") != mark {
				t.Fatalf("index %s: %d segments, want %d; watermark %v, want %v", name, len(got), len(want), s.Watermark("lobby"), mark)
			}
			for i := range want {
				if got[i].ID != want[i].ID || got[i].Size != want[i].Size || !got[i].Start.Equal(want[i].Start) ||
					!got[i].End.Equal(want[i].End) || !got[i].Closed || len(got[i].Marks) != len(want[i].Marks) {
					t.Fatalf("index %s: segment %d is %+v, want %+v", name, i, got[i], want[i])
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAFileThatIsNoSegmentIsSetAside(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	lobby := filepath.Join(dir, "cameras", "lobby")
	if err := os.MkdirAll(lobby, 0o750); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(lobby, "0000000001-rec1-000000000001.mp4")
	if err := os.WriteFile(name, []byte("this is no video"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := segments(t, open(t, dir), "lobby"); len(got) != 0 {
		t.Errorf("%d segments", len(got))
	}
	if _, err := os.Stat(name + ".damaged"); err != nil {
		t.Errorf("the file is gone: %v", err)
	}
}

// Age, then size, oldest first; never what must still go home; and nothing at
// all while nobody has said what belongs where.
func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := fs.NewMemory()
		short := func(c *storage.Config) { c.SegmentLength = 2 * time.Second }
		s := run(t, disk, short)
		tracks, samples := fmp4test.Clip(t, "h265", 7)
		for _, camera := range []understudy.CameraID{"mine", "theirs"} {
			record(t, s.Store, camera, 1, tracks, samples)
		}
		count := func(camera understudy.CameraID) int { return len(segments(t, s.Store, camera)) }
		mine, theirs := count("mine"), count("theirs")
		free, err := disk.FreeBytes()
		if err != nil {
			t.Fatal(err)
		}
		disk.SetFree(1<<40 - free + 1<<20 - 1) // a byte too little
		time.Sleep(3 * time.Second)
		if count("mine") != mine || s.State().Writable {
			t.Errorf("before homes are known: %d of %d segments, %+v", count("mine"), mine, s.State())
		}
		s.SetHome(func(c understudy.CameraID) understudy.ServerID {
			if c == "theirs" {
				return "rec2"
			}
			return server
		})
		oldest := segments(t, s.Store, "mine")[0].ID
		time.Sleep(3 * time.Second)
		if got := segments(t, s.Store, "mine"); len(got) != mine-1 || got[0].ID == oldest || !s.State().Writable {
			t.Errorf("a byte too little: %d of %d segments, first %s, %+v", len(got), mine, got[0].ID, s.State())
		}
		disk.SetFree(1 << 20)
		time.Sleep(3 * time.Second)
		state := s.State()
		if count("mine") != 0 || count("theirs") != theirs || state.Writable || !strings.Contains(state.Sentence, "full") {
			t.Errorf("no room: %d of mine, %d of %d of theirs, %+v", count("mine"), count("theirs"), theirs, state)
		}
		if state.UnmergedSegments != theirs || state.UnmergedBytes != state.UsedBytes || len(s.Foreign()) != theirs {
			t.Errorf("%d segments must go home, the state is %+v", theirs, state)
		}
		w := begin(t, s.Store, "mine", 2, tracks)
		feed(t, w, samples[:60])
		if count("mine") != 0 {
			t.Error("a full disk was written to")
		}
		disk.SetFree(1 << 40)
		feed(t, w, samples[60:90])
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := len(stored(t, s.Store, "mine")); got != 90 || !s.State().Writable {
			t.Errorf("after there was room again %d of 90 samples are there, %+v", got, s.State())
		}
		s.stop()
		if !s.reported("retention deleted 1 segment (0 MB) of camera mine") || !s.reported("the disk is full") || !s.reported("there is room again") {
			t.Errorf("the reports are %q", s.reports)
		}
	})
}

func TestRetentionByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := run(t, fs.NewMemory(), func(c *storage.Config) { c.SegmentLength = 2 * time.Second })
		tracks, samples := fmp4test.Clip(t, "h265", 3)
		back := time.Since(samples[0].At) // the clip as if captured now
		for i := range samples {
			again := *samples[i].Sample
			again.At = again.At.Add(back)
			samples[i].Sample = &again
		}
		film(t, s.Store, "lobby", 1, tracks, samples)
		s.SetHome(func(understudy.CameraID) understudy.ServerID { return "" })
		s.SetKeep(func(understudy.CameraID) time.Duration { return 15 * time.Second })
		before := len(segments(t, s.Store, "lobby"))
		time.Sleep(11500 * time.Millisecond) // of the second look at all segments, at 20 s
		got := segments(t, s.Store, "lobby")
		if len(got) == 0 || len(got) >= before || time.Since(got[0].End) > 16*time.Second {
			t.Errorf("%d of %d segments, the oldest ended %v ago", len(got), before, time.Since(got[0].End))
		}
		time.Sleep(20 * time.Second)
		if got := segments(t, s.Store, "lobby"); len(got) != 0 {
			t.Errorf("%d segments outlived their time", len(got))
		}
		s.stop()
	})
}

// Cameras that begin together after a preparation wait for no folder of the
// store: each syncs its own files only.
func TestPreparedCamerasNeedNoFolders(t *testing.T) {
	disk := fs.NewMemory()
	s := open(t, "", func(c *storage.Config) { c.Folders = []storage.FolderConfig{{FS: disk, MinFreeBytes: 1}} })
	for range 2 { // the second time there is nothing to do
		if err := s.Prepare([]understudy.CameraID{"lobby", "gate"}); err != nil {
			t.Fatal(err)
		}
	}
	disk.Fail(func(op fs.Op, name string) error {
		if op == fs.OpMkdir || op == fs.OpSyncDir && (name == "cameras" || name == "index") {
			t.Errorf("%s of %s after the preparation", op, name)
		}
		return nil
	})
	tracks, samples := fmp4test.Clip(t, "h264", 1)
	for _, camera := range []understudy.CameraID{"lobby", "gate"} {
		record(t, s, camera, 1, tracks, samples)
		if len(segments(t, s, camera)) != 1 {
			t.Errorf("%s was not recorded", camera)
		}
	}
}
