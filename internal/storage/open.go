package storage

import (
	"cmp"
	"os"
	"slices"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/fs"
)

// openSegment is a segment that is being written. Its file has its final name
// from the beginning. After an error it is only closed.
type openSegment struct {
	folder   *folder
	id       understudy.SegmentID
	start    time.Time
	tracks   []understudy.Track
	file     fs.File
	source   *source
	header   []byte // until it is written, together with the first fragment
	sequence uint32 // of the last fragment
	size     int64  // written
	marks    []openMark
	places   []fragmentPlace // of the fragments
	durable  int64           // bytes, and
	nDurable int             // marks, that are synced
	listed   bool            // the folder's entry is synced
	shown    int64           // of durable, what was published
}

// beginSegment creates the file of a segment whose first fragment is first.
func (f *folder) beginSegment(w *Writer, first fragment) (*openSegment, error) {
	sequence, err := f.nextSequence()
	if err != nil {
		return nil, err
	}
	o := &openSegment{folder: f, start: first.samples[0].At, tracks: w.tracks,
		id: understudy.SegmentID{Camera: w.camera, Epoch: w.epoch, Holder: f.store.server, Sequence: sequence}}
	o.source = &source{f, o.id}
	for _, sample := range first.samples {
		if sample.Track == understudy.VideoTrack {
			o.start = sample.At
			break
		}
	}
	o.header, err = fmp4.Header{Segment: o.id, Start: o.start}.AppendTo(w.init, w.tracks)
	if err != nil {
		return nil, err
	}
	_ = f.change(recordBegun, o.entry()) // if it fails, the first sync does, too
	err = f.health.do("the creation of a file", func() error {
		if err := f.makeCameraDir(w.camera); err != nil {
			return err
		}
		o.file, err = f.fs.OpenFile(segmentPath(o.id), os.O_WRONLY|os.O_CREATE|os.O_EXCL)
		return err
	})
	if err != nil {
		_ = f.change(recordGone, o.entry()) // else the next start finds that it is gone
		return nil, err
	}
	return o, nil
}

// entry is what the index has of the segment while nothing of it is durable.
func (o *openSegment) entry() *entry {
	return &entry{Segment: understudy.Segment{ID: o.id, Start: o.start.UTC(), Codec: o.tracks[0].Codec}}
}

// append writes a fragment with one write.
func (o *openSegment) append(samples []fmp4.TimedSample) error {
	o.sequence++
	parts, err := fmp4.FragmentParts(o.tracks, o.sequence, o.start, samples)
	if err != nil {
		return err
	}
	if o.header != nil {
		parts = slices.Insert(parts, 0, o.header)
	}
	var written int
	err = o.folder.health.do("a write", func() (err error) {
		written, err = o.file.WriteVector(parts)
		return err
	})
	if err != nil {
		return err
	}
	o.places = append(o.places, fragmentPlace{o.size + int64(len(o.header)), len(o.marks)})
	o.tell(samples, parts)
	o.header = nil
	o.size += int64(written)
	o.folder.written.Add(int64(written))
	for _, s := range samples {
		if s.Track == understudy.VideoTrack {
			o.marks = append(o.marks, openMarkOf(s))
		}
	}
	return nil
}

// tell tells the samples of a fragment that was written where they lie. Who
// writes holds them until that is durable.
func (o *openSegment) tell(samples []fmp4.TimedSample, parts [][]byte) {
	at := o.size
	for _, head := range parts[:len(parts)-len(samples)] {
		at += int64(len(head))
	}
	for _, t := range o.tracks { // the order of FragmentParts
		for _, s := range samples {
			if s.Track == t.ID {
				s.Stored(o.source, at)
				at += int64(len(s.Payload))
			}
		}
	}
}

// source reads a segment back, also while it is written.
type source struct {
	folder *folder
	id     understudy.SegmentID
}

// ReadAt implements io.ReaderAt.
func (s *source) ReadAt(p []byte, offset int64) (int, error) {
	file, err := s.folder.openFile(s.id)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return file.ReadAt(p, offset)
}

// sync makes durable what was written.
func (o *openSegment) sync() error {
	begun := time.Now()
	err := o.folder.health.do("a sync", o.file.Sync)
	o.folder.syncs.took(time.Since(begun))
	if err == nil && !o.listed {
		err = o.folder.health.do("a sync of a folder", func() error { return o.folder.fs.SyncDir(cameraDir(o.id.Camera)) })
		err = cmp.Or(err, o.folder.syncIndex(o.entry()))
	}
	if err != nil {
		return err
	}
	o.listed, o.durable, o.nDurable = true, o.size, len(o.marks)
	return nil
}

// trim takes off what was never shown as durable: it is written again elsewhere. If the disk refuses that, too, the next start does it.
func (o *openSegment) trim() {
	err := o.folder.health.do("a truncation", func() error { return cmp.Or(o.file.Truncate(o.shown), o.file.Sync()) })
	if err != nil {
		o.folder.log.Warn("the tail of a segment that was not durable stays until the next start", "segment", o.id, "err", err)
	}
}

// publish lets what is durable be seen: the segment's end, and the watermark.
func (s *Store) publish(w *Writer) {
	o := w.segment
	if o.nDurable == 0 {
		return
	}
	o.shown = o.durable
	last := o.marks[o.nDurable-1]
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.day(w.camera, keyOf(o.folder, o.entry()))
	i, ok := place(d.entries, o.id)
	if !ok {
		e := o.entry()
		e.folder = o.folder
		d.entries = slices.Insert(d.entries, i, e)
		d.version++
		s.places[w.camera] = o.folder
	}
	e := d.entries[i]
	o.folder.used += o.durable - e.Size
	e.Size = o.durable
	e.End = last.end()
	e.marks = o.marks[:o.nDurable:o.nDurable]
	e.last = understudy.Watermark{At: last.start(), Hash: last.hash}
	s.reach(w, watermark{w.number, o.id.Sequence, e.last, time.Now()})
}

// table returns the seek table of what is durable.
func (o *openSegment) table() seekTable {
	n := len(o.places)
	for n > 0 && o.places[n-1].offset >= o.durable {
		n--
	}
	return seekTable{size: o.durable, marks: sampleMarks(o.marks[:o.nDurable]), places: o.places[:n]}
}

// close ends a segment at its last durable byte. A file of which nothing became
// durable is removed.
func (o *openSegment) close() {
	o.file.Close() // what matters was synced
	f, s := o.folder, o.folder.store
	table := o.table()
	holes := understudy.HolesIn(table.marks)
	var done *entry
	s.mu.Lock()
	d := s.day(o.id.Camera, keyOf(f, o.entry()))
	if i, ok := place(d.entries, o.id); ok {
		e := *d.entries[i]
		e.Closed, e.marks, e.Holes = true, nil, holes
		done = &e
	}
	s.mu.Unlock()
	if done != nil {
		f.keepTable(done, table)
		_ = f.change(recordClosed, done)
		return
	}
	err := f.health.do("a deletion", func() error { return f.fs.Remove(segmentPath(o.id)) })
	if err != nil && !isNotExist(err) {
		f.log.Warn("a segment that got nothing durable could not be removed; the next start will", "segment", o.id, "err", err)
		return
	}
	_ = f.change(recordGone, o.entry())
}
