package storage_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"understudy"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/fs"
	"understudy/internal/storage"
)

func gapNote(camera understudy.CameraID, from, to int) understudy.Note {
	at := func(s int) time.Time { return fmp4test.Start.Add(time.Duration(s) * time.Second) }
	return understudy.NewGapNote(server, camera, understudy.GapCamera, at(from), at(to), "it was away")
}

func allNotes(t testing.TB, s *storage.Store, camera understudy.CameraID) []understudy.Note {
	t.Helper()
	notes, err := s.Notes(t.Context(), camera, fmp4test.Start.Add(-time.Hour), fmp4test.Start.Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return notes
}

// A note is told of when it is durable, and then survives a power cut; it is
// replaced by its id, and deleted only as it was seen.
func TestNotesAreToldWhenTheyAreDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := fs.NewMemory()
		r := run(t, disk)
		if err := r.Note(gapNote("lobby", 10, 10)); err != nil {
			t.Fatal(err)
		}
		if n := allNotes(t, r.Store, "lobby"); len(n) != 0 {
			t.Errorf("told of %v before a sync", n)
		}
		time.Sleep(1100 * time.Millisecond)
		want := []understudy.Note{gapNote("lobby", 10, 10)}
		if n := allNotes(t, r.Store, "lobby"); !slices.EqualFunc(n, want, sameNote) {
			t.Errorf("got %v", n)
		}
		if err := r.Note(gapNote("lobby", 10, 20)); err != nil {
			t.Fatal(err)
		}
		after, err := storage.Open(t.Context(), storage.Config{Folders: []storage.FolderConfig{{Dir: "memory", FS: disk.Crash(nil)}}, Server: server})
		if err != nil {
			t.Fatal(err)
		}
		if n := allNotes(t, after, "lobby"); !slices.EqualFunc(n, want, sameNote) {
			t.Errorf("after a crash: %v", n)
		}
		time.Sleep(1100 * time.Millisecond)
		if err := r.DeleteNotes(want); err != nil {
			t.Fatal(err)
		}
		if n := allNotes(t, r.Store, "lobby"); len(n) != 1 || !sameNote(n[0], gapNote("lobby", 10, 20)) {
			t.Errorf("a note was deleted that had been replaced: %v", n)
		}
		if err := r.DeleteNotes([]understudy.Note{gapNote("lobby", 10, 20)}); err != nil {
			t.Fatal(err)
		}
		if n := allNotes(t, r.Store, "lobby"); len(n) != 0 {
			t.Errorf("deleted, and still there: %v", n)
		}
		if err := after.Close(); err != nil {
			t.Error(err)
		}
		r.stop()
	})
}

func sameNote(a, b understudy.Note) bool {
	return a.ID == b.ID && a.From.Equal(b.From) && a.To.Equal(b.To) && a.Sentence == b.Sentence
}

// Whatever fails or is cut, and wherever: every note that Notes told of before is
// there after the crash, or a later one of its id, unless it was deleted.
func TestNotesSurviveFailuresAndCrashes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		disk := fs.NewMemory()
		failing := false
		disk.Fail(func(op fs.Op, name string) error {
			if failing && (op == fs.OpWrite || op == fs.OpSync || op == fs.OpRename || op == fs.OpSyncDir) && rapid.IntRange(0, 2).Draw(t, "fails") == 0 {
				return errors.New("input/output error")
			}
			return nil
		})
		open := func() *storage.Store {
			s, err := storage.Open(t.Context(), storage.Config{Folders: []storage.FolderConfig{{Dir: "memory", FS: disk}}, Server: server})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		s := open()
		told := map[string]time.Time{}
		list := func() []understudy.Note {
			notes, err := s.Notes(t.Context(), "lobby", fmp4test.Start, fmp4test.Start.Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			return notes
		}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			from := rapid.IntRange(1, 5).Draw(t, "from")
			n := gapNote("lobby", from, from+rapid.IntRange(0, 9).Draw(t, "length"))
			switch rapid.SampledFrom([]string{"take", "note", "delete", "fail", "mend", "crash"}).Draw(t, "act") {
			case "take":
				if s.TakeNotes([]understudy.Note{n}) == nil && told[n.ID].Before(n.To) {
					told[n.ID] = n.To
				}
			case "note": // waits for a later sync, if one comes
				if have, ok := told[n.ID]; !ok || have.Before(n.To) {
					_ = s.Note(n)
				}
			case "delete":
				for _, n := range list() {
					delete(told, n.ID) // whether or not it went
					_ = s.DeleteNotes([]understudy.Note{n})
					break
				}
			case "fail":
				failing = true
			case "mend":
				failing = false
			case "crash":
				failing = false
				disk = disk.Crash(func(int) fs.Fate {
					return rapid.SampledFrom([]fs.Fate{{}, fs.Kept, {Bytes: 70}, {Rest: fs.Zeros}, {Bytes: 70, Rest: fs.Garbage}}).Draw(t, "unsynced")
				})
				s = open()
			}
			for _, n := range list() {
				if told[n.ID].Before(n.To) {
					told[n.ID] = n.To
				}
			}
			for id, to := range told {
				if !slices.ContainsFunc(list(), func(n understudy.Note) bool { return n.ID == id && !n.To.Before(to) }) {
					t.Fatalf("note %s until %s was told of and is gone: %v", id, to, list())
				}
			}
		}
	})
}

// What belongs elsewhere goes there, once, whatever is repeated.
func TestForeignNotesGoHome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away, home := run(t, fs.NewMemory()), run(t, fs.NewMemory())
		away.SetHome(func(c understudy.CameraID) understudy.ServerID {
			return map[understudy.CameraID]understudy.ServerID{"lobby": "other"}[c]
		})
		for _, n := range []understudy.Note{gapNote("lobby", 1, 2), gapNote("yard", 1, 2)} {
			if err := away.Note(n); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(1100 * time.Millisecond)
		foreign := away.ForeignNotes()
		if len(foreign) != 1 || foreign[0].Camera != "lobby" {
			t.Fatalf("foreign %v", foreign)
		}
		for range 2 {
			if err := home.TakeNotes(foreign); err != nil {
				t.Fatal(err)
			}
		}
		if n := allNotes(t, home.Store, "lobby"); len(n) != 1 || !sameNote(n[0], foreign[0]) {
			t.Errorf("home has %v", n)
		}
		if err := away.DeleteNotes(foreign); err != nil || len(away.ForeignNotes()) != 0 {
			t.Errorf("left %v, %v", away.ForeignNotes(), err)
		}
		if err := home.TakeNotes([]understudy.Note{{ID: "x", Camera: "../etc"}}); understudy.CodeOf(err) != understudy.CodeInvalid {
			t.Errorf("took what is no note: %v", err)
		}
		away.stop()
		home.stop()
	})
}

// What another server lost sight of in a crash, and is here, is not damaged.
func TestFootageThatIsHereIsNotNotedAsDamaged(t *testing.T) {
	s, err := storage.Open(t.Context(), storage.Config{Server: server, Folders: []storage.FolderConfig{{FS: fs.NewMemory()}}})
	if err != nil {
		t.Fatal(err)
	}
	tracks, samples := fmp4test.Clip(t, "h265", 1)
	w := begin(t, s, "lobby", 1, tracks)
	for _, sample := range samples {
		if err := w.Write(sample.Sample); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	segments, err := s.Segments(t.Context(), "lobby", fmp4test.Start, fmp4test.Start.Add(time.Hour), false)
	if err != nil || len(segments) != 1 {
		t.Fatal(segments, err)
	}
	here := understudy.NewGapNote("fo1", "lobby", understudy.GapDamage, segments[0].Start, segments[0].End, "gone")
	gone := understudy.NewGapNote("fo1", "lobby", understudy.GapDamage, segments[0].Start, segments[0].End.Add(time.Minute), "gone, and more")
	gone.ID = "another"
	if err := s.TakeNotes([]understudy.Note{here, gone}); err != nil {
		t.Fatal(err)
	}
	if n := allNotes(t, s, "lobby"); len(n) != 1 || n[0].ID != "another" {
		t.Errorf("notes %v", n)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A camera that makes more notes than there is room for loses the oldest, and the store goes on.
func TestNotesAreBounded(t *testing.T) {
	s, err := storage.Open(t.Context(), storage.Config{Folders: []storage.FolderConfig{{Dir: "memory", FS: fs.NewMemory()}}, Server: server})
	if err != nil {
		t.Fatal(err)
	}
	const many = 20_100
	notes := make([]understudy.Note, many)
	for i := range notes {
		notes[i] = gapNote("lobby", i, i+1)
		notes[i].Sentence = fmt.Sprint(i)
	}
	if err := s.TakeNotes(notes); err != nil {
		t.Fatal(err)
	}
	if n := allNotes(t, s, "lobby"); len(n) != 20_000 || n[0].Sentence != "100" {
		t.Errorf("%d notes, the oldest %v", len(n), n[0])
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
