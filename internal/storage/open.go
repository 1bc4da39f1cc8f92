package storage

import (
	"errors"
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
	store    *Store
	id       understudy.SegmentID
	start    time.Time
	tracks   []understudy.Track
	file     fs.File
	header   []byte // until it is written, together with the first fragment
	sequence uint32 // of the last fragment
	size     int64  // written
	marks    []understudy.SampleMark
	durable  int64 // bytes, and
	nDurable int   // marks, that are synced
	listed   bool  // the folder's entry is synced
}

// beginSegment creates the file of a segment whose first fragment is f.
func (s *Store) beginSegment(w *Writer, f fragment) (*openSegment, error) {
	sequence, err := s.nextSequence()
	if err != nil {
		return nil, err
	}
	o := &openSegment{store: s, start: f.samples[0].At, tracks: w.tracks,
		id: understudy.SegmentID{Camera: w.camera, Epoch: w.epoch, Holder: s.config.Server, Sequence: sequence}}
	for _, sample := range f.samples {
		if sample.Track == understudy.VideoTrack {
			o.start = sample.At
			break
		}
	}
	o.header, err = fmp4.MarshalHeader(fmp4.Header{Segment: o.id, Start: o.start}, w.tracks)
	if err != nil {
		return nil, err
	}
	err = s.health.do("the creation of a file", func() error {
		if err := s.makeCameraDir(w.camera); err != nil {
			return err
		}
		o.file, err = s.fs.OpenFile(segmentPath(o.id), os.O_WRONLY|os.O_CREATE|os.O_EXCL)
		return err
	})
	if err != nil {
		return nil, err
	}
	return o, nil
}

// makeCameraDir creates a camera's folder, durably, once in the life of the process.
func (s *Store) makeCameraDir(camera understudy.CameraID) error {
	s.mu.Lock()
	made := s.folders[camera]
	s.mu.Unlock()
	if made {
		return nil
	}
	if err := errors.Join(s.fs.MkdirAll(cameraDir(camera)), s.fs.SyncDir(camerasDir)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.folders[camera] = true
	return nil
}

// append writes a fragment with one write.
func (o *openSegment) append(samples []fmp4.TimedSample) error {
	o.sequence++
	b, err := fmp4.MarshalFragment(o.tracks, o.sequence, o.start, samples)
	if err != nil {
		return err
	}
	if o.header != nil {
		b = append(o.header, b...)
	}
	err = o.store.health.do("a write", func() error {
		_, err := o.file.Write(b)
		return err
	})
	if err != nil {
		return err
	}
	o.header = nil
	o.size += int64(len(b))
	o.store.written.Add(int64(len(b)))
	for _, s := range samples {
		if s.Track == understudy.VideoTrack {
			o.marks = append(o.marks, understudy.SampleMark{At: s.At, Duration: s.Duration, Key: s.Key, Hash: s.Hash})
		}
	}
	return nil
}

// sync makes durable what was written.
func (o *openSegment) sync() error {
	err := o.store.health.do("a sync", o.file.Sync)
	if err == nil && !o.listed {
		err = o.store.health.do("a sync of a folder", func() error { return o.store.fs.SyncDir(cameraDir(o.id.Camera)) })
	}
	if err != nil {
		return err
	}
	o.listed, o.durable, o.nDurable = true, o.size, len(o.marks)
	return nil
}

// trim takes off what never became durable, so that players do not stumble over
// it. If the disk refuses that, too, the next start does it.
func (o *openSegment) trim() {
	err := o.store.health.do("a truncation", func() error { return o.file.Truncate(o.durable) })
	if err != nil {
		o.store.log.Warn("the tail of a segment that was not durable stays until the next start", "segment", o.id, "err", err)
	}
}

// publish lets what is durable be seen: the segment's end, and the watermark.
func (s *Store) publish(w *Writer) {
	o := w.segment
	if o.nDurable == 0 {
		return
	}
	first, last := o.marks[0], o.marks[o.nDurable-1]
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.cameras[w.camera]
	i, ok := place(list, o.id)
	if !ok {
		e := &entry{Segment: understudy.Segment{ID: o.id, Start: first.At, Codec: w.tracks[0].Codec}}
		list = slices.Insert(list, i, e)
		s.cameras[w.camera] = list
	}
	e := list[i]
	s.used += o.durable - e.Size
	e.Size = o.durable
	e.End = last.At.Add(last.Duration)
	e.marks = o.marks[:o.nDurable:o.nDurable]
	e.last = understudy.Watermark{At: last.At, Hash: last.Hash}
	if s.watermarks[w.camera].writer <= w.number {
		s.watermarks[w.camera] = watermark{w.number, e.last}
	}
}

// closeSegment ends a segment at its last durable byte. A file of which
// nothing became durable is removed.
func (s *Store) closeSegment(o *openSegment) {
	o.file.Close() // what matters was synced
	s.mu.Lock()
	list := s.cameras[o.id.Camera]
	i, ok := place(list, o.id)
	var line indexLine
	if ok {
		list[i].Closed, list[i].marks = true, nil
		line = lineOf(list[i])
	}
	s.mu.Unlock()
	if ok {
		s.record(o.id.Camera, line)
		return
	}
	if err := s.health.do("a deletion", func() error { return s.fs.Remove(segmentPath(o.id)) }); err != nil {
		s.log.Warn("a segment that got nothing durable could not be removed; the next start will", "segment", o.id, "err", err)
	}
}
