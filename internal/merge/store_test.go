package merge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"understudy"
)

// disk is a store in memory that keeps the promises of both sides and can lose
// power: then what was written and not sealed is only partly there.
type disk struct {
	mu          sync.Mutex
	incarnation string
	segments    map[understudy.SegmentID][]byte
	incoming    map[understudy.SegmentID][]byte
	imports     map[understudy.SegmentID]*incoming // the newest of each
	deleted     map[understudy.SegmentID]string
	refuse      func(understudy.CameraID) error // Accept
	expired     func(understudy.SegmentID) string
	notes       map[string]understudy.Note
	aside       map[understudy.SegmentID][]byte // quarantined
	// Of incoming bytes: how many were ever written, and how many of them were
	// lost again, to a crash, a damage or with the disk.
	written, lost int64
	full          bool // writes fail
	damage        int  // so many of the next seals find damaged bytes
	// onDelete sees each deletion before it happens.
	onDelete func(understudy.SegmentID)
}

func newDisk(incarnation string) *disk {
	return &disk{incarnation: incarnation, segments: map[understudy.SegmentID][]byte{},
		incoming: map[understudy.SegmentID][]byte{}, deleted: map[understudy.SegmentID]string{},
		notes: map[string]understudy.Note{}, aside: map[understudy.SegmentID][]byte{}}
}

func (d *disk) ids() []understudy.SegmentID {
	d.mu.Lock()
	defer d.mu.Unlock()
	var ids []understudy.SegmentID
	for id := range d.segments {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b understudy.SegmentID) int { return bytes.Compare([]byte(a.String()), []byte(b.String())) })
	return ids
}

// list is what a failover server finds here to send.
func (d *disk) list() []understudy.Segment {
	var segments []understudy.Segment
	for i, id := range d.ids() {
		start := time.Date(2026, 11, 25, 12, i, 0, 0, time.UTC)
		segments = append(segments, understudy.Segment{ID: id, Start: start, End: start.Add(time.Minute), Size: int64(len(d.content(id))), Closed: true})
	}
	return segments
}

func (d *disk) noteList() []understudy.Note {
	d.mu.Lock()
	defer d.mu.Unlock()
	var notes []understudy.Note
	for _, id := range slices.Sorted(maps.Keys(d.notes)) {
		notes = append(notes, d.notes[id])
	}
	return notes
}

func (d *disk) content(id understudy.SegmentID) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.segments[id]
}

// crash keeps of each unfinished import only the share that n tells.
func (d *disk) crash(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, content := range d.incoming {
		d.lost += int64(len(content) - min(n, len(content)))
		d.incoming[id] = content[:min(n, len(content))]
	}
}

// reformat forgets everything.
func (d *disk) reformat(incarnation string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.incarnation = incarnation
	for _, all := range []map[understudy.SegmentID][]byte{d.segments, d.incoming, d.aside} {
		for _, content := range all {
			d.lost += int64(len(content))
		}
		clear(all)
	}
	clear(d.notes)
}

func (d *disk) Incarnation() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.incarnation
}

func (d *disk) Accept(camera understudy.CameraID) error {
	if d.refuse != nil {
		return d.refuse(camera)
	}
	return nil
}

func (d *disk) Expired(id understudy.SegmentID, _ time.Time) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.expired != nil {
		return d.expired(id)
	}
	return ""
}

func (d *disk) Retired(id understudy.SegmentID) (string, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	why, ok := d.deleted[id]
	return why, ok
}

func (d *disk) Quarantined(id understudy.SegmentID, _ int64, _ [32]byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.aside[id] != nil
}

func (d *disk) TakeNotes(notes []understudy.Note) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range notes {
		d.notes[n.ID] = n
	}
	return nil
}

func (d *disk) DeleteNotes(notes []understudy.Note) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range notes {
		delete(d.notes, n.ID)
	}
	return nil
}

func (d *disk) Has(id understudy.SegmentID) (int64, [32]byte, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	content, ok := d.segments[id]
	return int64(len(content)), sha256.Sum256(content), ok
}

type reader struct{ *bytes.Reader }

func (reader) Close() error { return nil }

func (d *disk) OpenSegment(_ context.Context, id understudy.SegmentID) (io.ReadSeekCloser, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	content, ok := d.segments[id]
	if !ok {
		return nil, understudy.Errorf(understudy.CodeNotFound, "no segment %s", id)
	}
	return reader{bytes.NewReader(content)}, nil
}

func (d *disk) Delete(id understudy.SegmentID, why string) error {
	if d.onDelete != nil {
		d.onDelete(id)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.segments, id)
	d.deleted[id] = why
	return nil
}

func (d *disk) Import(id understudy.SegmentID, size int64, sum [32]byte) (Import, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := &incoming{disk: d, id: id, size: size, sum: sum, offset: int64(len(d.incoming[id]))}
	if d.imports == nil {
		d.imports = map[understudy.SegmentID]*incoming{}
	}
	d.imports[id] = i
	return i, nil
}

type incoming struct {
	disk   *disk
	id     understudy.SegmentID
	size   int64
	sum    [32]byte
	offset int64
}

func (i *incoming) Offset() int64 { return i.offset }

func (i *incoming) Write(p []byte) (int, error) {
	i.disk.mu.Lock()
	defer i.disk.mu.Unlock()
	if i.disk.full {
		return 0, understudy.Errorf(understudy.CodeUnavailable, "the disk is full")
	}
	if i.offset != int64(len(i.disk.incoming[i.id])) || i.disk.imports[i.id] != i {
		return 0, understudy.Errorf(understudy.CodeUnavailable, "another session goes on with it")
	}
	i.disk.incoming[i.id] = append(slices.Clone(i.disk.incoming[i.id]), p...)
	i.disk.written += int64(len(p))
	i.offset += int64(len(p))
	return len(p), nil
}

func (i *incoming) Seal(context.Context) error {
	i.disk.mu.Lock()
	defer i.disk.mu.Unlock()
	if i.disk.segments[i.id] != nil {
		return nil
	}
	content := i.disk.incoming[i.id]
	if i.disk.imports[i.id] != i || int64(len(content)) < i.size {
		return understudy.Errorf(understudy.CodeUnavailable, "another session goes on with it, or a crash took some of it")
	}
	if i.disk.damage > 0 {
		i.disk.damage--
		content = append(slices.Clone(content), 'x')
	}
	if int64(len(content)) != i.size || sha256.Sum256(content) != i.sum {
		return understudy.Errorf(understudy.CodeConflict, "segment %s arrived damaged", i.id)
	}
	i.disk.segments[i.id] = content
	delete(i.disk.incoming, i.id)
	return nil
}

func (i *incoming) Reject(last bool) error {
	i.disk.mu.Lock()
	defer i.disk.mu.Unlock()
	content := i.disk.incoming[i.id]
	delete(i.disk.incoming, i.id)
	i.disk.lost += int64(len(content))
	if last {
		i.disk.aside[i.id] = content
		i.disk.lost -= int64(len(content))
	}
	return nil
}

func (i *incoming) Close() error { return nil }
