package storage_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/fs"
	"understudy/internal/storage"
)

// oracle stands outside the code and knows what was told durable, after how
// many steps of the disk. It believes nothing that a store says after a crash.
type oracle struct {
	archive *bucket                                // nil: none
	folders []string                               // of the disk; each is a folder of the store, all lose power at once
	fed     map[fedSample]time.Time                // every sample that was ever given to a store
	truth   map[understudy.SegmentID]*truthSegment // every segment that was ever begun
	notes   map[string][]understudy.Note           // every note that was ever given, by id, as they were given
}

type fedSample struct {
	camera understudy.CameraID
	hash   understudy.SampleHash
}

// truthSegment is all that was ever written to a segment's file.
type truthSegment struct {
	content []byte
	ends    map[int64]understudy.Watermark // where fragments end, and the last video sample there
}

// life is what one process did to a disk, and what it told, from a start to a
// power cut, a kill or an orderly end.
type life struct {
	name     string
	oracle   *oracle
	rec      *fs.Recording
	segments []segmentFact
	marks    []markFact
	notes    []noteFact
	gone     []goneFact
	numbers  []numberFact
}

// segmentFact says that so many bytes of a segment were told durable after so many steps.
type segmentFact struct {
	step int
	id   understudy.SegmentID
	size int64
}

type markFact struct {
	step   int
	camera understudy.CameraID
	at     time.Time
}

// noteFact says that a note was told durable, as it was given for the nth time.
type noteFact struct {
	step int
	id   string
	nth  int
}

// goneFact says that a segment was deleted on purpose, with step as the first that may do it.
type goneFact struct {
	step int
	id   understudy.SegmentID
}

type numberFact struct {
	step   int
	number uint64
}

// promises is what must hold after a power cut at one step.
type promises struct {
	oracle  *oracle
	durable map[understudy.SegmentID]int64
	gone    map[understudy.SegmentID]bool
	notes   map[string]int
	marks   map[understudy.CameraID]time.Time
	number  uint64
}

// at returns what had been told after so many steps.
func (l *life) at(step int) *promises {
	p := &promises{oracle: l.oracle, durable: map[understudy.SegmentID]int64{}, gone: map[understudy.SegmentID]bool{}, notes: map[string]int{}, marks: map[understudy.CameraID]time.Time{}}
	for _, f := range l.segments {
		if f.step <= step {
			p.durable[f.id] = max(p.durable[f.id], f.size)
		}
	}
	for _, f := range l.marks {
		if f.step <= step && f.at.After(p.marks[f.camera]) {
			p.marks[f.camera] = f.at
		}
	}
	for _, f := range l.notes {
		if f.step <= step {
			p.notes[f.id] = max(p.notes[f.id], f.nth)
		}
	}
	for _, f := range l.gone {
		if f.step < step {
			delete(p.durable, f.id)
			p.gone[f.id] = true
			delete(p.marks, f.id.Camera) // it may have been the last one
		}
	}
	for _, f := range l.numbers {
		if f.step < step {
			p.number = max(p.number, f.number)
		}
	}
	return p
}

// inherit makes what was promised before a crash the first facts of the life after it.
func (l *life) inherit(p *promises) {
	for id, size := range p.durable {
		l.segments = append(l.segments, segmentFact{0, id, size})
	}
	for camera, at := range p.marks {
		l.marks = append(l.marks, markFact{0, camera, at})
	}
	for id, nth := range p.notes {
		l.notes = append(l.notes, noteFact{0, id, nth})
	}
	for id := range p.gone {
		l.gone = append(l.gone, goneFact{-1, id})
	}
	l.numbers = append(l.numbers, numberFact{-1, p.number})
}

// observe notes what a store tells now. What it tells is true before the step
// that comes next, so the count of steps is taken afterwards.
func (l *life) observe(s *storage.Store) {
	var segments []understudy.Segment
	marks := map[understudy.CameraID]time.Time{}
	for _, camera := range s.Cameras() {
		list, err := s.Segments(context.Background(), camera, time.Time{}, farAway, false)
		if err != nil {
			panic(err)
		}
		segments = append(segments, list...)
		marks[camera] = s.Watermark(camera).At
	}
	notes := l.oracle.notesOf(s)
	step := l.rec.Len()
	for id, nth := range notes {
		if !slices.ContainsFunc(l.notes, func(f noteFact) bool { return f.id == id && f.nth >= nth }) {
			l.notes = append(l.notes, noteFact{step, id, nth})
		}
	}
	for _, segment := range segments {
		if f := l.lastOf(segment.ID); f == nil || f.size < segment.Size {
			l.segments = append(l.segments, segmentFact{step, segment.ID, segment.Size})
		}
	}
	for camera, at := range marks {
		if !slices.ContainsFunc(l.marks, func(f markFact) bool { return f.camera == camera && !f.at.Before(at) }) && !at.IsZero() {
			l.marks = append(l.marks, markFact{step, camera, at})
		}
	}
}

var farAway = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

func (l *life) lastOf(id understudy.SegmentID) *segmentFact {
	for i := len(l.segments) - 1; i >= 0; i-- {
		if l.segments[i].id == id {
			return &l.segments[i]
		}
	}
	return nil
}

// learn reads from the recording which segments were begun, with which bytes.
func (l *life) learn(t testing.TB) {
	last := map[understudy.SegmentID]int{}
	paths := map[understudy.SegmentID]string{}
	for i := range l.rec.Len() {
		op, name := l.rec.Step(i)
		id, ok := segmentOf(name)
		if !ok {
			continue
		}
		if id.Holder == server {
			l.numbers = append(l.numbers, numberFact{i, id.Sequence})
		}
		if op == fs.OpWrite {
			last[id], paths[id] = i+1, name
		}
	}
	for id, step := range last {
		content, ok := l.rec.At(step).Bytes(paths[id])
		if ok {
			l.oracle.learn(t, id, bytes.Clone(content))
		}
	}
}

func segmentOf(name string) (understudy.SegmentID, bool) {
	_, name, _ = strings.Cut(name, "cameras/")
	name, ok := strings.CutSuffix(name, ".mp4")
	id, err := understudy.ParseSegmentID(name)
	return id, ok && err == nil
}

// learn notes the bytes of a segment, each sample of which must have been fed.
func (o *oracle) learn(t testing.TB, id understudy.SegmentID, content []byte) {
	segment := &truthSegment{content: content, ends: map[int64]understudy.Watermark{}}
	o.truth[id] = segment
	r := fmp4.NewReader(bytes.NewReader(content))
	header, _, err := r.Header()
	if err != nil {
		return // torn by a failure that was planted
	}
	if header.Segment != id {
		t.Fatalf("the file of %s says that it is %s", id, header.Segment)
	}
	var last understudy.Watermark
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range f.Samples {
			if at, ok := o.fed[fedSample{id.Camera, s.Hash}]; !ok || !at.Equal(s.At) {
				t.Fatalf("segment %s has a sample of %s that was never fed", id, s.At)
			}
			if s.Track == understudy.VideoTrack {
				last = understudy.Watermark{At: s.At, Hash: s.Hash}
			}
		}
		segment.ends[r.Offset()] = last
	}
}

// notesOf returns which notes a store tells, and as which of those that were
// given; 0 if it was never given so.
func (o *oracle) notesOf(s *storage.Store) map[string]int {
	told := map[string]int{}
	if len(o.notes) == 0 {
		return told
	}
	for _, camera := range []understudy.CameraID{"lobby", "yard"} {
		notes, err := s.Notes(context.Background(), camera, time.Time{}, farAway)
		if err != nil {
			panic(err)
		}
		for _, note := range notes {
			if _, ok := o.notes[note.ID]; ok {
				told[note.ID] = 1 + slices.IndexFunc(o.notes[note.ID], func(n understudy.Note) bool { return sameNote(n, note) })
			}
		}
	}
	return told
}

// verify opens a store on what a crash left and compares it with what was
// promised. thorough asks for a second start and a check, too.
func (p *promises) verify(disk *fs.Memory, wrap func(fs.FS) fs.FS, thorough bool) error {
	s, err := p.oracle.open(disk, wrap)
	if err != nil {
		return fmt.Errorf("the store does not open: %w", err)
	}
	err = p.compare(s, disk)
	if err := errors.Join(err, s.Close()); err != nil || !thorough {
		return err
	}
	// A damaged record of the index may take a second start to be written off.
	for _, mayChange := range []string{"/index/", "nothing"} {
		before := disk.Kill()
		if s, err = p.oracle.open(disk, wrap); err != nil {
			return fmt.Errorf("another start: %w", err)
		}
		err = p.compare(s, disk)
		if err := errors.Join(err, s.Close()); err != nil {
			return fmt.Errorf("after another start: %w", err)
		}
		for _, change := range differences(before, disk, ".") {
			if !strings.Contains(change, mayChange) {
				return fmt.Errorf("another start changed %s", change)
			}
		}
	}
	for _, folder := range p.oracle.folders {
		checked, err := storage.CheckFS(context.Background(), sub{disk, folder}, folder, nil)
		if err != nil {
			return fmt.Errorf("the check after the start: %w", err)
		}
		for _, fault := range checked.Faults {
			if !strings.Contains(fault, "was set aside at an earlier start") {
				return fmt.Errorf("the check after the start finds: %s", fault)
			}
		}
	}
	return nil
}

func (o *oracle) open(disk *fs.Memory, wrap func(fs.FS) fs.FS) (*storage.Store, error) {
	return storage.Open(context.Background(), o.config(disk, wrap))
}

// differences names the files that two disks have otherwise.
func differences(one, other *fs.Memory, dir string) (names []string) {
	seen := map[string]bool{}
	for _, disk := range []*fs.Memory{one, other} {
		entries, _ := disk.ReadDir(dir)
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			if seen[name] {
				continue
			}
			seen[name] = true
			if e.IsDir() {
				names = append(names, differences(one, other, name)...)
				continue
			}
			was, _ := one.Bytes(name)
			if is, _ := other.Bytes(name); !bytes.Equal(was, is) {
				names = append(names, fmt.Sprintf("%s from %d bytes %.60q to %d %.60q", name, len(was), was, len(is), is))
			}
		}
	}
	return names
}

// config is of a store over all folders of the disk.
func (o *oracle) config(disk *fs.Memory, wrap func(fs.FS) fs.FS) storage.Config {
	c := storage.Config{Server: server, SegmentLength: 2 * time.Second}
	if o.archive != nil {
		c.Archive = o.archive
	}
	for _, folder := range o.folders {
		f := fs.FS(sub{disk, folder})
		if wrap != nil {
			f = wrap(f)
		}
		c.Folders = append(c.Folders, storage.FolderConfig{Dir: folder, MinFreeBytes: 1, FS: f})
	}
	return c
}

func (p *promises) compare(s *storage.Store, disk *fs.Memory) error {
	if err := s.CompareNow(); err != nil { // what a small store did already
		return err
	}
	seen := map[understudy.SegmentID]int64{}
	ctx := context.Background()
	for _, camera := range s.Cameras() {
		list, err := s.Segments(ctx, camera, time.Time{}, farAway, false)
		if err != nil {
			return err
		}
		for _, segment := range list {
			if err := p.isTrue(segment, disk); err != nil {
				return err
			}
			seen[segment.ID] = segment.Size
		}
	}
	for id, size := range p.durable {
		if seen[id] < size {
			return fmt.Errorf("of segment %s %d bytes were told durable, %d are there", id, size, seen[id])
		}
	}
	notes := p.oracle.notesOf(s)
	for id, nth := range p.notes {
		if notes[id] < nth {
			return fmt.Errorf("note %s was told durable as it was given the %d. time, and is there as the %d.", id, nth, notes[id])
		}
	}
	for camera, at := range p.marks {
		if got := s.Watermark(camera); got.At.Before(at) {
			return fmt.Errorf("the watermark of camera %s was %s and is %s", camera, at.Format(time.TimeOnly), got.At.Format(time.TimeOnly))
		}
	}
	if n := storage.NextNumber(s); n <= p.number {
		return fmt.Errorf("number %d was used, and the next one is %d", p.number, n)
	}
	return nil
}

// isTrue compares a segment that a store lists with what was once written.
func (p *promises) isTrue(segment understudy.Segment, disk *fs.Memory) error {
	truth := p.oracle.truth[segment.ID]
	var content []byte
	var ok bool
	if segment.Archived {
		content, ok = p.oracle.archive.get(segment.ID.String() + ".mp4")
	}
	for _, folder := range p.oracle.folders {
		if segment.Archived {
			break
		}
		if content, ok = disk.Bytes(folder + "/cameras/" + segment.ID.String() + ".mp4"); ok {
			break
		}
	}
	switch {
	case truth == nil:
		return fmt.Errorf("segment %s was never recorded", segment.ID)
	case !ok:
		return fmt.Errorf("segment %s is listed, and its file is gone", segment.ID)
	case int64(len(content)) != segment.Size:
		return fmt.Errorf("segment %s is listed with %d bytes and has %d", segment.ID, segment.Size, len(content))
	case !bytes.HasPrefix(truth.content, content):
		return fmt.Errorf("segment %s has bytes that were never written", segment.ID)
	}
	if _, ok := truth.ends[segment.Size]; !ok {
		return fmt.Errorf("segment %s ends at byte %d inside a fragment", segment.ID, segment.Size)
	}
	return nil
}

// complete compares all that a store has with all that was fed to cameras of
// which nothing was deleted or lost: each sample once.
func (o *oracle) complete(t testing.TB, s *storage.Store, cameras ...understudy.CameraID) {
	t.Helper()
	for _, camera := range cameras {
		var want []understudy.SampleHash
		for f := range o.fed {
			if f.camera == camera {
				want = append(want, f.hash)
			}
		}
		got := map[understudy.SampleHash]int{}
		list, err := s.Segments(t.Context(), camera, time.Time{}, farAway, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, segment := range list {
			for _, m := range segment.Marks {
				got[m.Hash]++
			}
		}
		if len(got) != len(want) {
			t.Errorf("camera %s has %d samples of %d", camera, len(got), len(want))
		}
		for hash, n := range got {
			if n != 1 {
				t.Errorf("camera %s has sample %x %d times", camera, hash, n)
			}
		}
	}
}

func sumOf(b []byte) [32]byte { return sha256.Sum256(b) }
