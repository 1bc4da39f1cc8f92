package shells

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"slices"
	"sync"
	"time"

	"understudy"
	"understudy/internal/merge"
)

// frame is one sample: the n-th of a camera. Its bytes are its name, so that
// two servers that record it have the same hash.
type frame struct {
	n  uint64
	at time.Time
}

func (f frame) hash(camera understudy.CameraID) understudy.SampleHash {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(camera), f.n))
	return understudy.SampleHash(sum[:16])
}

// segment is a file: nothing but frames.
type segment struct {
	frames []frame
	closed bool
	held   bool // imported from elsewhere: it is at home here
}

func (s *segment) bytes() []byte {
	var content []byte
	for _, f := range s.frames {
		content = binary.BigEndian.AppendUint64(content, f.n)
		content = binary.BigEndian.AppendUint64(content, uint64(f.at.UnixNano()))
	}
	return content
}

// disk is a media database that outlives its server's process.
type disk struct {
	mu          sync.Mutex
	server      understudy.ServerID
	homeOf      map[understudy.CameraID]understudy.ServerID
	sequence    uint64
	segments    map[understudy.SegmentID]*segment
	unwritable  bool
	incarnation string
}

func newDisk(server understudy.ServerID, homeOf map[understudy.CameraID]understudy.ServerID) *disk {
	return &disk{server: server, homeOf: homeOf, segments: map[understudy.SegmentID]*segment{}, incarnation: "disk of " + string(server)}
}

// append records a frame; open is the segment being written, renewed now and then.
func (d *disk) append(open understudy.SegmentID, epoch uint64, camera understudy.CameraID, f frame) (understudy.SegmentID, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.unwritable {
		return open, false
	}
	s, ok := d.segments[open]
	if !ok || s.closed || open.Epoch != epoch || len(s.frames) >= segmentFrames {
		if ok {
			s.closed = true
		}
		d.sequence++
		open = understudy.SegmentID{Camera: camera, Epoch: epoch, Holder: d.server, Sequence: d.sequence}
		s = &segment{}
		d.segments[open] = s
	}
	s.frames = append(s.frames, f)
	return open, true
}

func (d *disk) close(open understudy.SegmentID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s, ok := d.segments[open]; ok {
		s.closed = true
	}
}

// closeAll is what recovery does at a start: nothing is being written.
func (d *disk) closeAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.segments {
		s.closed = true
	}
}

func (d *disk) frames(camera understudy.CameraID, into map[uint64]bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, s := range d.segments {
		if id.Camera == camera {
			for _, f := range s.frames {
				into[f.n] = true
			}
		}
	}
}

func (d *disk) ids() []understudy.SegmentID {
	var ids []understudy.SegmentID
	for id := range d.segments {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b understudy.SegmentID) int { return bytes.Compare([]byte(a.String()), []byte(b.String())) })
	return ids
}

func (d *disk) setUnwritable(is bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unwritable = is
}

// Prepare implements failover.Footage: a disk that is a model has no folders.
func (d *disk) Prepare([]understudy.CameraID) error { return nil }

// State implements failover.Footage.
func (d *disk) State() understudy.StorageState {
	d.mu.Lock()
	defer d.mu.Unlock()
	return understudy.StorageState{Writable: !d.unwritable, Incarnation: d.incarnation}
}

// Foreign implements failover.Footage.
func (d *disk) Foreign() []understudy.Segment {
	d.mu.Lock()
	defer d.mu.Unlock()
	var foreign []understudy.Segment
	for _, id := range d.ids() {
		if d.homeOf[id.Camera] != d.server && d.segments[id].closed {
			foreign = append(foreign, understudy.Segment{ID: id, Closed: true})
		}
	}
	return foreign
}

// Segments implements failover.Footage.
func (d *disk) Segments(_ context.Context, camera understudy.CameraID, from, to time.Time, marks bool) ([]understudy.Segment, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []understudy.Segment
	for _, id := range d.ids() {
		s := understudy.Segment{ID: id, Closed: d.segments[id].closed}
		for _, f := range d.segments[id].frames {
			if id.Camera == camera && !f.at.Before(from) && f.at.Before(to) {
				s.Marks = append(s.Marks, understudy.SampleMark{At: f.at, Duration: frameEvery, Hash: f.hash(camera)})
			}
		}
		if len(s.Marks) > 0 {
			found = append(found, s)
		}
	}
	return found, nil
}

// Has implements merge.Source and merge.Sink.
func (d *disk) Has(id understudy.SegmentID) (int64, [32]byte, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, ok := d.segments[id]
	if !ok || !s.closed {
		return 0, [32]byte{}, false
	}
	content := s.bytes()
	return int64(len(content)), sha256.Sum256(content), true
}

// OpenSegment implements merge.Source.
func (d *disk) OpenSegment(_ context.Context, id understudy.SegmentID) (io.ReadSeekCloser, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, ok := d.segments[id]
	if !ok {
		return nil, understudy.Errorf(understudy.CodeNotFound, "segment %s is not here", id)
	}
	return reader{bytes.NewReader(s.bytes())}, nil
}

type reader struct{ *bytes.Reader }

func (reader) Close() error { return nil }

// Delete implements merge.Source.
func (d *disk) Delete(id understudy.SegmentID, _ string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.segments, id)
	return nil
}

// Incarnation implements merge.Sink.
func (d *disk) Incarnation() string { return d.incarnation }

// Accept implements merge.Sink.
func (d *disk) Accept(camera understudy.CameraID) error {
	if d.homeOf[camera] != d.server {
		return understudy.Errorf(understudy.CodeForbidden, "camera %s does not belong to %s", camera, d.server)
	}
	return nil
}

// Expired, Retired and Quarantined implement merge.Sink: this disk keeps all.
func (d *disk) Retired(understudy.SegmentID) (string, bool) { return "", false }

func (d *disk) Expired(understudy.SegmentID, time.Time) string { return "" }

func (d *disk) Quarantined(understudy.SegmentID, int64, [32]byte) bool { return false }

// TakeNotes, DeleteNotes and ForeignNotes: a simulation has none.
func (d *disk) TakeNotes([]understudy.Note) error   { return nil }
func (d *disk) DeleteNotes([]understudy.Note) error { return nil }
func (d *disk) ForeignNotes() []understudy.Note     { return nil }

// Import implements merge.Sink. What is not sealed is lost with the session.
func (d *disk) Import(id understudy.SegmentID, size int64, sum [32]byte) (merge.Import, error) {
	return &incoming{disk: d, id: id, size: size, sum: sum}, nil
}

type incoming struct {
	disk    *disk
	id      understudy.SegmentID
	size    int64
	sum     [32]byte
	content []byte
}

func (i *incoming) Offset() int64 { return int64(len(i.content)) }
func (i *incoming) Close() error  { return nil }

func (i *incoming) Reject(bool) error {
	i.content = nil
	return nil
}

func (i *incoming) Write(p []byte) (int, error) {
	i.content = append(i.content, p...)
	return len(p), nil
}

func (i *incoming) Seal(context.Context) error {
	if int64(len(i.content)) != i.size || sha256.Sum256(i.content) != i.sum {
		return understudy.Errorf(understudy.CodeConflict, "segment %s arrived damaged", i.id)
	}
	s := &segment{closed: true, held: true}
	for rest := i.content; len(rest) > 0; rest = rest[16:] {
		s.frames = append(s.frames, frame{n: binary.BigEndian.Uint64(rest), at: time.Unix(0, int64(binary.BigEndian.Uint64(rest[8:])))})
	}
	i.disk.mu.Lock()
	defer i.disk.mu.Unlock()
	if i.disk.unwritable {
		return understudy.Errorf(understudy.CodeUnavailable, "the disk of %s cannot be written", i.disk.server)
	}
	i.disk.segments[i.id] = s
	return nil
}
