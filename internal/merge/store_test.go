package merge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"slices"
	"sync"

	"understudy"
)

// disk is a store in memory that keeps the promises of both sides and can lose
// power: then what was written and not sealed is only partly there.
type disk struct {
	mu          sync.Mutex
	incarnation string
	segments    map[understudy.SegmentID][]byte
	incoming    map[understudy.SegmentID][]byte
	deleted     map[understudy.SegmentID]string
	refuse      func(understudy.SegmentID) error // Accept
	full        bool                             // writes fail
	damage      int                              // so many of the next seals find damaged bytes
	// onDelete sees each deletion before it happens.
	onDelete func(understudy.SegmentID)
}

func newDisk(incarnation string) *disk {
	return &disk{incarnation: incarnation, segments: map[understudy.SegmentID][]byte{},
		incoming: map[understudy.SegmentID][]byte{}, deleted: map[understudy.SegmentID]string{}}
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
		d.incoming[id] = content[:min(n, len(content))]
	}
}

// reformat forgets everything.
func (d *disk) reformat(incarnation string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.incarnation = incarnation
	clear(d.segments)
	clear(d.incoming)
}

func (d *disk) Incarnation() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.incarnation
}

func (d *disk) Accept(id understudy.SegmentID) error {
	if d.refuse != nil {
		return d.refuse(id)
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
	return &incoming{disk: d, id: id, size: size, sum: sum, offset: int64(len(d.incoming[id]))}, nil
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
	i.disk.incoming[i.id] = append(slices.Clone(i.disk.incoming[i.id]), p...)
	return len(p), nil
}

func (i *incoming) Seal(context.Context) error {
	i.disk.mu.Lock()
	defer i.disk.mu.Unlock()
	content := i.disk.incoming[i.id]
	delete(i.disk.incoming, i.id)
	if i.disk.damage > 0 {
		i.disk.damage--
		content = append(slices.Clone(content), 'x')
	}
	if int64(len(content)) != i.size || sha256.Sum256(content) != i.sum {
		return understudy.Errorf(understudy.CodeConflict, "segment %s arrived damaged", i.id)
	}
	i.disk.segments[i.id] = content
	return nil
}

func (i *incoming) Close() error { return nil }
