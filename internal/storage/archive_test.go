package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/internal/archive"
	"understudy/internal/archive/archivetest"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/fs"
	"understudy/internal/storage"
)

// tier is a bucket of its own prefix, in one store that all these tests share.
type tier struct {
	*archivetest.Gateway
	*archive.Bucket
	prefix string
}

func newTier(t *testing.T, g *archivetest.Gateway) tier {
	t.Helper()
	c := g.Config
	c.Prefix = strings.ReplaceAll(t.Name(), "/", "-")
	b, err := archive.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return tier{g, b, c.Prefix}
}

func (a tier) objects(t *testing.T) (names []string) {
	t.Helper()
	if err := a.List(t.Context(), "", func(name string, _ int64) error { names = append(names, name); return nil }); err != nil {
		t.Fatal(err)
	}
	return names
}

// archived opens a store whose old footage moves to the archive at once.
func (a tier) archived(t *testing.T, folder storage.FolderConfig) *storage.Store {
	t.Helper()
	folder.MinFreeBytes = 1
	s, err := storage.Open(context.Background(), storage.Config{Folders: []storage.FolderConfig{folder}, Server: server, SegmentLength: 2 * time.Second, Archive: a.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	s.SetHome(ours)
	s.SetLimits(func(understudy.CameraID) storage.Limits { return storage.Limits{ArchiveAfter: time.Second} })
	return s
}

func lookAfter(t *testing.T, s *storage.Store) {
	t.Helper()
	if err := s.LookAfterAll(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func contents(t *testing.T, s *storage.Store, list []understudy.Segment) map[understudy.SegmentID][]byte {
	t.Helper()
	all := map[understudy.SegmentID][]byte{}
	for _, segment := range list {
		r, err := s.OpenSegment(t.Context(), segment.ID)
		if err != nil {
			t.Fatal(err)
		}
		if all[segment.ID], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
	return all
}

// asBefore fails unless the same segments with the same marks and bytes are listed, all in the archive or none.
func asBefore(t *testing.T, what string, s *storage.Store, list []understudy.Segment, bytesOf map[understudy.SegmentID][]byte, archived bool) {
	t.Helper()
	now := segments(t, s, "lobby")
	for i := range now {
		if now[i].Archived != archived {
			t.Errorf("%s: segment %s is in the archive: %v", what, now[i].ID, now[i].Archived)
		}
		now[i].Archived = false
	}
	if !reflect.DeepEqual(now, list) {
		t.Errorf("%s: %d segments are listed otherwise than the %d before", what, len(now), len(list))
	}
	if got := contents(t, s, now); !reflect.DeepEqual(got, bytesOf) {
		t.Errorf("%s: the bytes of some segments are others", what)
	}
}

func TestTheArchive(t *testing.T) {
	gateway := archivetest.Start(t)
	for name, test := range map[string]func(*testing.T, *archivetest.Gateway){
		"old footage moves there and is played from there": testMoves,
		"a crash at any step loses nothing":                testArchiveCrash,
		"while it is away nothing is lost":                 testAwayTier,
		"retention deletes there, but nothing locked":      testArchiveRetention,
		"what belongs elsewhere does not go there":         testArchiveForeign,
	} {
		t.Run(name, func(t *testing.T) { test(t, gateway) })
	}
}

func testMoves(t *testing.T, g *archivetest.Gateway) {
	tier, dir := newTier(t, g), t.TempDir()
	s := tier.archived(t, storage.FolderConfig{Dir: dir})
	tracks, samples := fmp4test.Clip(t, "h264", 2)
	record(t, s, "lobby", 1, tracks, samples)
	list := segments(t, s, "lobby")
	bytesOf := contents(t, s, list)
	lookAfter(t, s)
	asBefore(t, "moved", s, list, bytesOf, true)
	size, sum, ok := s.Has(list[0].ID)
	state := s.State()
	if !ok || size != list[0].Size || sum == [32]byte{} || state.UsedBytes != 0 || !state.Archive.Reachable || state.Archive.Segments != len(list) || state.Archive.Waiting != 0 {
		t.Errorf("%d bytes with %x, %v; the state is %+v, %+v", size, sum, ok, state, state.Archive)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "cameras/lobby/*.mp4")); err != nil || len(left) > 0 {
		t.Errorf("%v are still on the disk, %v", left, err)
	}
	again := func(what string) {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if found, err := storage.Check(t.Context(), dir, nil); err != nil || len(found.Faults) > 0 {
			t.Errorf("%s: check found %q, %v", what, found.Faults, err)
		}
		s = tier.archived(t, storage.FolderConfig{Dir: dir})
		lookAfter(t, s)
		asBefore(t, what, s, list, bytesOf, true)
	}
	again("opened again")
	if err := os.RemoveAll(filepath.Join(dir, "index/lobby")); err != nil {
		t.Fatal(err)
	}
	again("without an index")
	for _, lost := range []string{"the disk", "marks in the archive"} {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if lost != "the disk" {
			if err := tier.Delete(t.Context(), list[0].ID.String()+".marks"); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = tier.archived(t, storage.FolderConfig{Dir: dir})
		lookAfter(t, s)
		asBefore(t, "without "+lost, s, list, bytesOf, true)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// The disk dies at each of its operations during a move, with and without a power cut.
func testArchiveCrash(t *testing.T, g *archivetest.Gateway) {
	tier := newTier(t, g)
	disk := fs.NewMemory()
	s := tier.archived(t, storage.FolderConfig{Dir: "memory", FS: disk})
	tracks, samples := fmp4test.Clip(t, "h265", 1)
	record(t, s, "lobby", 1, tracks, samples)
	list := segments(t, s, "lobby")
	bytesOf := contents(t, s, list)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	recorded := disk.Kill()
	for step, done := 0, false; !done; step++ {
		disk := recorded.Kill()
		s := tier.archived(t, storage.FolderConfig{Dir: "memory", FS: disk})
		left := step
		disk.Fail(func(op fs.Op, name string) error {
			if left--; left < 0 {
				return errors.New("the disk is gone")
			}
			return nil
		})
		lookAfter(t, s)
		done = left >= 0
		for n, after := range []*fs.Memory{disk.Kill(), disk.Crash(nil)} {
			what := fmt.Sprintf("after %d operations, %s", step, []string{"killed", "power cut"}[n])
			s := tier.archived(t, storage.FolderConfig{Dir: "memory", FS: after})
			if got := contents(t, s, segments(t, s, "lobby")); !reflect.DeepEqual(got, bytesOf) {
				t.Errorf("%s: %d of %d segments are whole", what, len(got), len(bytesOf))
			}
			lookAfter(t, s)
			asBefore(t, what, s, list, bytesOf, true)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if got := len(tier.objects(t)); got != 2*len(list) {
			t.Errorf("after %d operations there are %d objects of %d segments", step, got, len(list))
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func testAwayTier(t *testing.T, g *archivetest.Gateway) {
	tier := newTier(t, g)
	s := tier.archived(t, storage.FolderConfig{Dir: t.TempDir()})
	defer func() { _ = s.Close() }()
	tracks, samples := fmp4test.Clip(t, "h265", 1)
	record(t, s, "lobby", 1, tracks, samples)
	list := segments(t, s, "lobby")
	lookAfter(t, s)
	record(t, s, "gate", 1, tracks, samples)
	g.SetAway(true)
	defer g.SetAway(false)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := s.LookAfterAll(ctx); err == nil {
		t.Error("footage moved to an archive that is away")
	}
	state := s.State()
	if state.Archive.Reachable || !strings.Contains(state.Archive.Sentence, "not reachable") || state.Archive.Waiting == 0 || !state.Writable {
		t.Errorf("the state is %+v, %+v", state, state.Archive)
	}
	if got := segments(t, s, "lobby"); len(got) != len(list) || len(got[0].Marks) == 0 {
		t.Errorf("%d of %d segments are on the timeline", len(got), len(list))
	}
	if got := contents(t, s, segments(t, s, "gate")); len(got) == 0 {
		t.Error("what had not moved is gone")
	}
	r, err := s.OpenSegment(t.Context(), list[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadAll(r); understudy.CodeOf(err) != understudy.CodeUnavailable || !strings.Contains(err.Error(), "not reachable") {
		t.Errorf("archived footage is read with %v", err)
	}
	g.SetAway(false)
	lookAfter(t, s)
	if state := s.State(); !state.Archive.Reachable || state.Archive.Waiting != 0 || state.UsedBytes != 0 {
		t.Errorf("when it is back the state is %+v, %+v", state, state.Archive)
	}
}

func testArchiveRetention(t *testing.T, g *archivetest.Gateway) {
	tier := newTier(t, g)
	s := tier.archived(t, storage.FolderConfig{Dir: t.TempDir()})
	defer func() { _ = s.Close() }()
	tracks, samples := fmp4test.Clip(t, "h265", 2)
	record(t, s, "lobby", 1, tracks, samples)
	list := segments(t, s, "lobby")
	lookAfter(t, s)
	bytesOf := contents(t, s, list[:1])
	// An upload whose record a crash prevented, of footage that retention took meanwhile.
	orphan := list[0].ID
	orphan.Sequence += 1000
	if err := tier.Put(t.Context(), orphan.String()+".marks", bytes.NewReader([]byte("no marks")), 8, nil); err != nil {
		t.Fatal(err)
	}
	s.SetKeep(func(understudy.CameraID) time.Duration { return time.Minute })
	s.SetProtect(func(understudy.CameraID) []storage.Protected {
		return []storage.Protected{{From: list[0].Start, To: list[0].Start.Add(time.Millisecond), Locked: true}}
	})
	lookAfter(t, s)
	if got := contents(t, s, segments(t, s, "lobby")); !reflect.DeepEqual(got, bytesOf) {
		t.Errorf("%d segments are left, want the locked one alone", len(got))
	}
	s.SetProtect(nil)
	lookAfter(t, s)
	if got := tier.objects(t); len(got) != 1 || s.State().Archive.Segments != 0 {
		t.Errorf("%v are left, the state is %+v", got, s.State().Archive)
	}
	again := tier.archived(t, storage.FolderConfig{Dir: t.TempDir()})
	defer func() { _ = again.Close() }()
	lookAfter(t, again)
	if got := tier.objects(t); len(got) != 0 {
		t.Errorf("%v are left after the archive was compared", got)
	}
}

func testArchiveForeign(t *testing.T, g *archivetest.Gateway) {
	tier := newTier(t, g)
	s := tier.archived(t, storage.FolderConfig{Dir: t.TempDir()})
	defer func() { _ = s.Close() }()
	s.SetHome(func(understudy.CameraID) understudy.ServerID { return "rec2" })
	tracks, samples := fmp4test.Clip(t, "h265", 1)
	record(t, s, "lobby", 1, tracks, samples)
	lookAfter(t, s)
	if got := tier.objects(t); len(got) != 0 || len(s.Foreign()) == 0 {
		t.Errorf("%v are in the archive, %d segments wait to go home", got, len(s.Foreign()))
	}
}
